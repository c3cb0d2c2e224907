"""Retries without their pauses."""

from collections.abc import Iterator

import pytest
import stamina


@pytest.fixture(autouse=True)
def no_pauses() -> Iterator[None]:
    """As many attempts as ever, but none waits."""
    with stamina.set_testing(True, attempts=4, cap=True):
        yield
