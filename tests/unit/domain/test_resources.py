"""How amounts are written and read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathfinder.domain.resources import (
    MAX_BYTES,
    MAX_CPU_MILLICORES,
    MIN_MEMORY_BYTES,
    format_bytes,
    format_cpu,
    parse_bytes,
    parse_cpu,
)


@pytest.mark.parametrize(
    ("written", "millicores"),
    [("2", 2000), ("0.5", 500), ("500m", 500), (2, 2000), (0.25, 250), (" 1 ", 1000), ("0.001", 1), ("10000", 10**7)],
)
def test_cpu_is_read_as_millicores(written: str | float, millicores: int) -> None:
    """Cores, or millicores with an m."""
    assert parse_cpu(written) == millicores


@pytest.mark.parametrize("written", ["", "-1", "0", "0m", "1.5m", "1e9", "nan", "inf", "two", "10001", "0.0001", "1,5"])
def test_cpu_that_makes_no_sense_is_refused_with_what_to_write(written: str) -> None:
    """Negative, nothing, absurd, unreadable."""
    with pytest.raises(ValueError, match="write"):
        parse_cpu(written)


@pytest.mark.parametrize(
    ("written", "size"),
    [("512MiB", 512 << 20), ("1.5GiB", 3 << 29), ("10GB", 10**10), ("4096", 4096), (4096, 4096), ("1 TiB", 1 << 40)],
)
def test_sizes_are_read_as_bytes(written: str | int, size: int) -> None:
    """Binary and decimal units, or a count."""
    assert parse_bytes(written) == size


@pytest.mark.parametrize(
    "written", ["", "-5MiB", "0", "5 parsecs", "5mb", "1e9", "9999999TiB", "0x10", "1.5.2GiB", "MiB"]
)
def test_sizes_that_make_no_sense_are_refused_with_what_to_write(written: str) -> None:
    """Negative, nothing, absurd, unreadable."""
    with pytest.raises(ValueError, match="write"):
        parse_bytes(written)


def test_a_least_size_is_named_when_it_is_missed() -> None:
    """A person who writes 512 for 512 MiB is told."""
    with pytest.raises(ValueError, match="at least 4MiB"):
        parse_bytes("512", least=MIN_MEMORY_BYTES)


@given(st.integers(1, MAX_CPU_MILLICORES))
def test_cpu_survives_the_way_to_words_and_back(millicores: int) -> None:
    """What is printed can be typed again."""
    assert abs(parse_cpu(format_cpu(millicores)) - millicores) <= millicores // 10**5


@given(st.integers(1, 1023), st.sampled_from([0, 10, 20, 30, 40]))
def test_whole_sizes_survive_the_way_to_words_and_back(count: int, shift: int) -> None:
    """What is printed can be typed again, to the byte."""
    assert parse_bytes(format_bytes(count << shift)) == count << shift


@given(st.integers(1, MAX_BYTES))
def test_any_size_survives_the_way_to_words_and_back_within_a_tenth_of_its_unit(size: int) -> None:
    """One decimal is kept, nothing else is lost."""
    unit = next(1 << shift for shift in (40, 30, 20, 10, 0) if size >= 1 << shift)
    written = format_bytes(size)
    if size < MAX_BYTES - unit:
        assert abs(parse_bytes(written) - size) <= unit // 20 + 1


@given(st.text(max_size=30))
def test_no_text_at_all_makes_the_parsers_stumble(written: str) -> None:
    """Either an amount within bounds, or a ValueError; nothing else."""
    for parse, most in ((parse_cpu, MAX_CPU_MILLICORES), (parse_bytes, MAX_BYTES)):
        try:
            amount = parse(written)
        except ValueError:
            continue
        assert 0 < amount <= most
