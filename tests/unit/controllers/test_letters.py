"""Dead letters: what is kept of a message, whatever is in it, and never a secret."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathfinder.controllers import dead_letters
from pathfinder.controllers.dead_letters import letter, reason, replayed
from pathfinder.domain.errors import MalformedMessage
from pathfinder.domain.messages import Envelope, Exchange, decode, encode

PROVISION = Envelope("provision", "c", "0b0e", body={"hostname": "web-01"})


def test_a_reason_is_the_words_of_our_own_errors() -> None:
    """They are written for people already."""
    assert reason(MalformedMessage("version 9 is not read here")) == "version 9 is not read here"


def test_a_reason_of_a_foreign_error_is_its_class_and_first_line() -> None:
    """The rest, where libraries put parameters and tracebacks, stays away."""
    assert reason(ValueError("badly formed\n[parameters: {'key': 'x'}]\nTraceback …")) == "ValueError: badly formed"
    assert reason(KeyError()) == "KeyError"


def test_a_reason_of_a_group_is_that_of_its_first_error() -> None:
    """A task group's own words say nothing."""
    assert reason(ExceptionGroup("several", [ExceptionGroup("more", [ValueError("this")])])) == "ValueError: this"


@pytest.mark.parametrize(
    "words",
    [
        "cannot connect to postgresql://pathfinder:hunter2@db:5432/pathfinder",
        "login failed, password=hunter2",
        "bad header Authorization: Bearer hunter2",
        "no such token: pf_hunter2hunter2",
        '{"secret": "hunter2"}',
    ],
)
def test_a_reason_holds_no_secret(words: str) -> None:
    """What looks like one is masked, even in words that a library wrote."""
    assert "hunter2" not in reason(RuntimeError(words))


def test_a_reason_is_one_bounded_line() -> None:
    """Terminals obey control characters, and tables want to line up."""
    written = reason(RuntimeError("x\x1b[31m\x00" * 1000))

    assert written.isprintable()
    assert len(written) == dead_letters.MAX_REASON


def test_a_letter_tells_what_its_consumer_said() -> None:
    """Set aside by a consumer: all of it is in the headers."""
    told = dead_letters.headers(RuntimeError("cannot"), "pathfinder.node.a", "pathfinder.commands", "a", 5)

    found = letter(encode([PROVISION, PROVISION]), told, "id-1", "pathfinder.node.a")

    assert found is not None
    assert (found.queue, found.exchange, found.routing_key) == ("pathfinder.node.a", "pathfinder.commands", "a")
    assert (found.reason, found.deliveries) == ("RuntimeError: cannot", 5)
    assert (found.kinds, found.subjects) == (["provision"], ["web-01"])


def test_a_letter_from_the_broker_tells_what_the_broker_said() -> None:
    """Set aside by the queue itself, because its consumers died: the reason is in its own header."""
    at = datetime(2026, 11, 24, tzinfo=UTC)
    death = {
        "reason": "delivery_limit",
        "queue": "pathfinder.recorder",
        "exchange": "pathfinder.reports",
        "routing-keys": ["provisioned"],
        "time": at,
    }

    found = letter(b"gibberish", {"x-death": [death], "x-delivery-count": 6}, None, "pathfinder.recorder")

    assert found is not None
    assert (found.queue, found.exchange, found.routing_key) == (
        "pathfinder.recorder",
        "pathfinder.reports",
        "provisioned",
    )
    assert "each time its consumer died" in found.reason
    assert (found.deliveries, found.failed_at) == (6, at)


def test_a_hint_that_only_made_room_is_no_dead_letter() -> None:
    """A full scheduler queue drops its oldest hints, and the sweep finds what they told of."""
    assert letter(encode([PROVISION]), {"x-death": [{"reason": "maxlen"}]}, "id", "pathfinder.scheduler") is None


def test_doubles_have_the_same_key_and_others_do_not() -> None:
    """A consumer killed between publishing and acknowledging sets the same message aside again."""
    one, double, other = (letter(b"[]", {}, id_, "q") for id_ in ("a", "a", "b"))

    assert one is not None
    assert double is not None
    assert other is not None
    assert one.key == double.key != other.key


HEADER = st.none() | st.text() | st.binary() | st.integers() | st.lists(st.dictionaries(st.text(), st.text()))


@given(
    body=st.binary() | st.text().map(str.encode),
    headers=st.dictionaries(
        st.sampled_from(
            [
                "x-death",
                "x-delivery-count",
                dead_letters.REASON,
                dead_letters.QUEUE,
                dead_letters.FAILED_AT,
                dead_letters.DELIVERIES,
            ]
        ),
        HEADER,
    ),
    key=st.text(),
)
def test_any_message_can_be_kept(body: bytes, headers: dict[str, object], key: str) -> None:
    """It has nowhere else to go; and PostgreSQL can store every text of it."""
    found = letter(body, headers, None, key)

    assert found is not None
    for text in (found.queue, found.exchange, found.routing_key, found.reason, *found.kinds, *found.subjects):
        assert "\0" not in text
        text.encode()


def test_what_was_readable_once_can_be_replayed() -> None:
    """As it was, whatever its spaces: relays join bodies without reading them."""
    again = replayed(Exchange.COMMANDS, b" " + encode([PROVISION]) + b"\n")

    assert again is not None
    assert decode(again) == [PROVISION]
    assert again[:1] + again[-1:] == b"[]"


@pytest.mark.parametrize(
    ("exchange", "body"),
    [(Exchange.COMMANDS, b"gibberish"), (Exchange.COMMANDS, b"{}"), (Exchange.REPORTS, b"[]"), ("", b"[1]")],
)
def test_what_nobody_could_read_is_not_replayed(exchange: str, body: bytes) -> None:
    """It would only die again, or upset whoever joins it with others."""
    assert replayed(exchange, body) is None


def test_a_node_cannot_have_others_sent_anything_by_a_replay() -> None:
    """What it sets aside is a command of its own queue, whatever its headers say; its reason is kept."""
    told = dead_letters.headers(RuntimeError("cannot"), "pathfinder.node.b", "pathfinder.reports", "b", 5)

    found = letter(encode([PROVISION]), told | {"x-death": [{"routing-keys": ["b"]}]}, "id-1", "pathfinder.node.a")

    assert found is not None
    assert (found.queue, found.exchange, found.routing_key) == ("pathfinder.node.a", Exchange.COMMANDS, "a")
    assert found.reason == "RuntimeError: cannot"
