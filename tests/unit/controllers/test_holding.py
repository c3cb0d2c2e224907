"""Which destinations are left alone, and until when."""

from pathfinder.controllers.holding import FIRST_SECONDS, HOPELESS, MOST_SECONDS, Holding

FULL, OTHER = ("pathfinder.commands", "full"), ("pathfinder.commands", "other")


def test_a_refused_way_is_left_alone_for_a_while() -> None:
    """Others are not."""
    holding = Holding()
    holding.refused(FULL, 10)

    assert holding.ways(10) == [FULL]
    assert holding.ways(10 + FIRST_SECONDS) == []


def test_pauses_grow_up_to_a_bound_and_begin_anew_after_a_success() -> None:
    """A queue that stays full is asked about seldom, one that fills again soon."""
    holding, now, pauses = Holding(), 0.0, []
    for _ in range(8):
        holding.refused(FULL, now)
        pauses.append(holding.next(now))
        now += MOST_SECONDS

    assert pauses == [0.25, 0.5, 1, 2, 4, 5, 5, 5]
    holding.only([])
    holding.refused(FULL, now)
    assert holding.next(now) == FIRST_SECONDS


def test_the_next_try_is_that_of_the_first_way_due() -> None:
    """None where nothing is held; no time to wait where one is due."""
    holding = Holding()
    assert holding.next(0) is None
    holding.refused(FULL, 0)
    holding.refused(OTHER, 0.1)

    assert holding.next(0.1) == FIRST_SECONDS - 0.1
    assert holding.next(9) == 0


def test_a_way_that_was_tried_is_waited_for_no_more() -> None:
    """Nor one whose messages another relay has taken: whoever waits for it would never sleep again."""
    holding = Holding()
    holding.refused(FULL, 0)
    holding.refused(OTHER, 9)
    holding.only(holding.ways(9))

    assert holding.ways(9) == [OTHER]
    assert holding.next(9) == FIRST_SECONDS


def test_one_that_never_answers_is_hopeless_in_the_end_and_until_then_a_suspect() -> None:
    """Those that were under suspicion beside it are free of it once they were answered."""
    holding = Holding()
    holding.suspect([FULL, OTHER])
    for now in range(HOPELESS):
        assert (FULL in holding.suspects, holding.hopeless()) == (True, [])
        holding.only([FULL])
        holding.silent(FULL, now)

    assert (list(holding.suspects), holding.hopeless()) == ([FULL], [FULL])
    assert holding.ways(HOPELESS - 1) == [FULL]
    holding.suspect([FULL])
    assert holding.hopeless() == [FULL]
    holding.only([])
    assert not holding.suspects
