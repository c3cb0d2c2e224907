"""Events on their way to streams: once for each, encoded once for all that ask for the same."""

from datetime import UTC, datetime
from uuid import UUID

from api.windows import PING, Part, Window
from pathfinder.domain import views
from pathfinder.store.events import Cursor, Logged, Query


def event(seq: int, name: str = "a") -> views.Event:
    """The progress of a container."""
    return views.Event(
        cursor=f"0-0-{seq}",
        seq=seq,
        at=datetime(2026, 1, 1, tzinfo=UTC),
        kind="container.progress",
        cluster="default",
        subject=views.Subject(type="container", id=UUID(int=1), name=name),
        node=None,
        actor="test",
        generation=1,
        trace_id="",
        body={"message": "über\nall"},
        simulated=False,
    )


def test_streams_that_ask_for_the_same_are_given_the_same_bytes() -> None:
    """Whoever is beyond the past shares a part with everybody else; others have their own."""
    window = Window([Logged(10, event(1)), Logged(11, event(2, "b"))], low=10)

    everything, again = (window.part(Query(), Cursor(high, high, 0)) for high in (3, 10))
    narrowed = window.part(Query(container="b"), Cursor(10, 10, 0))

    assert everything is again
    assert everything.frames is again.frames
    assert [one.seq for one in narrowed.events] == [2]


def test_where_past_and_present_meet_nothing_is_told_twice() -> None:
    """What a stream read from the log by itself is left out of the window, and nothing else is."""
    window = Window([Logged(10, event(1)), Logged(11, event(2)), Logged(12, event(3))], low=10)

    part = window.part(Query(), Cursor(11, 12, 2))

    assert [one.seq for one in part.events] == [3]


def test_a_frame_is_a_server_sent_event_and_nothing_is_a_comment() -> None:
    """Kind, cursor and the event on one line of JSON, whatever it holds."""
    one = event(7)

    lines = Part([one]).frames.decode().split("\n")

    assert lines == ["event: container.progress", f"data: {one.model_dump_json()}", "id: 0-0-7", "", ""]
    assert Part([]).frames == PING
