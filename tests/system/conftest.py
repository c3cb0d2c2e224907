"""The lab that system tests share: three real LXD nodes with a Pathfinder around them."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pathfinder.embedded.lab import Lab


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """A lab of the test run's own, beside whatever the user has running. Whoever breaks a node mends it again."""
    # A short path, for the sockets in it.
    with tempfile.TemporaryDirectory(prefix="pf-") as directory:
        made = Lab(Path(directory) / "lab")
        try:
            made.up(nodes=3)
            yield made
        finally:
            made.down()
