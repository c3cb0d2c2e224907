"""The lab that system tests share: three real LXD nodes with a Pathfinder around them."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from harness import SETTINGS, Harness

from pathfinder.embedded.lab import Lab


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """A lab of the test run's own, beside whatever the user has running. Whoever breaks a node mends it again."""
    # A short path, for the sockets in it.
    with tempfile.TemporaryDirectory(prefix="pf-") as directory:
        made = Lab(Path(directory) / "lab", SETTINGS)
        try:
            made.up(nodes=3)
            yield made
        finally:
            made.down()


@pytest_asyncio.fixture
async def harness(lab: Lab) -> AsyncIterator[Harness]:
    """The lab with everything to watch it by; afterwards it is empty, whole and its books balance."""
    async with Harness.of(lab) as made:
        await made.tidy()
        yield made
        await made.tidy()
