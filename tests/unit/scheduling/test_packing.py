"""How few machines are enough."""

from collections.abc import Callable

import pytest

from benchmarks import packing
from benchmarks.mixes import Mix, azure_like, google_like

COUNT, SEEDS = 600, (7, 8, 9)


@pytest.mark.parametrize("make", [azure_like, google_like])
def test_balanced_packs_what_it_sees_at_once_as_well_as_best_fit_decreasing(make: Callable[[int, int], Mix]) -> None:
    """The same is known to both: no more than 3 % more machines are needed, and that is rounded up once."""
    known, ours = packing.best_fit_decreasing("product", "even"), packing.by_policy("balanced")
    mixes = [(make(COUNT, seed), seed) for seed in SEEDS]

    least, needed = (sum(packing.needed(mix, fits, seed) for mix, seed in mixes) for fits in (known, ours))

    assert needed <= 1.03 * least + 1
