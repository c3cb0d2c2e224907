"""Advice on the size of replicas."""

from pathfinder.controllers.recommending import cpu, memory

DAY = 288


def test_cpu_is_the_95th_percentile_and_a_margin_not_the_peak() -> None:
    """Twelve peaks a day do not make it large; steps of 50 millicores."""
    advice = cpu(2000, [400.0] * (DAY - 12) + [1900.0] * 12)

    assert (advice.recommended, advice.p95, advice.most) == (500, 400.0, 1900.0)
    assert advice.words == "could do with 75% less"


def test_memory_is_never_less_than_the_most_that_was_used() -> None:
    """Whoever has too little memory is killed."""
    advice = memory(128 << 20, [float(100 << 20)] * (DAY - 1) + [float(300 << 20)])

    assert advice.recommended == 304 << 20
    assert advice.words.startswith("needs ")


def test_what_is_about_right_is_left_alone_and_little_history_gives_no_advice() -> None:
    """A tenth is no reason to change anything; neither is half a day."""
    assert cpu(500, [400.0] * DAY).words == "is right as it is"
    assert cpu(0, [400.0] * DAY).words.startswith("asks for nothing")
    assert cpu(500, [400.0] * 100).recommended is None
    assert memory(0, []).recommended is None
    assert memory(0, [0.0] * DAY).recommended == 4 << 20
