"""Envelopes on the wire."""

from dataclasses import asdict

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathfinder.domain.errors import MalformedMessage
from pathfinder.domain.messages import Envelope, Report, decode, decode_report, encode, join, report_key

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
BODIES = st.dictionaries(WORDS, st.none() | st.booleans() | st.integers(-(2**53), 2**53) | WORDS, max_size=4)
ENVELOPES = st.builds(
    Envelope, kind=WORDS, cluster=WORDS, subject=WORDS, generation=st.integers(0, 2**62), trace_id=WORDS, body=BODIES
)
LISTS = st.lists(ENVELOPES, min_size=1, max_size=4)


@given(LISTS)
def test_envelopes_survive_the_way_over_the_wire(envelopes: list[Envelope]) -> None:
    """Id and time included."""
    assert decode(encode(envelopes)) == envelopes


@given(st.lists(LISTS, min_size=1, max_size=4))
def test_joined_bodies_hold_the_same_envelopes_in_the_same_order(parts: list[list[Envelope]]) -> None:
    """The relay joins without reading."""
    assert decode(join(encode(part) for part in parts)) == [one for part in parts for one in part]


def good(**changes: object) -> dict[str, object]:
    """An envelope as it stands in a body."""
    return asdict(Envelope("provision", "c", "s")) | changes


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no json",
        b"{}",
        b"[]",
        b"null",
        b"[1]",
        b"[[]]",
        b"\xff\xfe",
        b"[" * 5000,
        orjson.dumps([{}]),
        orjson.dumps([good(extra=1)]),
        orjson.dumps([good(version=2)]),
        orjson.dumps([good(version=True)]),
        orjson.dumps([good(version="1")]),
        orjson.dumps([good(generation="1")]),
        orjson.dumps([good(generation=True)]),
        orjson.dumps([good(generation=1.0)]),
        orjson.dumps([good(body=[])]),
        orjson.dumps([good(kind=None)]),
        orjson.dumps([good(), good(subject=7)]),
    ],
)
def test_what_is_not_one_of_ours_is_malformed(body: bytes) -> None:
    """One wrong envelope spoils the message: it is set aside as a whole."""
    with pytest.raises(MalformedMessage):
        decode(body)


@given(st.binary(max_size=60))
def test_no_bytes_at_all_make_decode_stumble(body: bytes) -> None:
    """Only MalformedMessage is ever raised."""
    with pytest.raises(MalformedMessage):
        decode(body)


def report(kind: str, node: str, subject: str = "s") -> Envelope:
    """A report that claims to be of a node."""
    return Envelope(kind, "c", subject, body={"node_id": node})


@pytest.mark.parametrize(
    "told",
    [
        [report(Report.PROVISIONED, "other")],
        [report(Report.DELETED, "own")],
        [report(Report.HEARTBEAT, "own", "own")],
        [Envelope(Report.PROVISIONED, "c", "own")],
        [report(Report.PROVISIONED, "own"), report(Report.PROVISIONED, "other")],
    ],
)
def test_a_report_has_to_be_of_the_node_and_kind_of_its_key(told: list[Envelope]) -> None:
    """RabbitMQ sees to it that the key is the sender's own; each envelope is held to that."""
    with pytest.raises(MalformedMessage, match="node own sent a provisioned report"):
        decode_report(encode(told), report_key(Report.PROVISIONED, "own"))


def test_a_report_about_a_node_is_of_its_subject() -> None:
    """Whatever else it says."""
    beat = encode([report(Report.HEARTBEAT, "own", "other")])

    assert decode_report(beat, "heartbeat.other")
    with pytest.raises(MalformedMessage):
        decode_report(beat, "heartbeat.own")


@pytest.mark.parametrize("key", ["provisioned", "pathfinder.recorder", "mark.own"])
def test_keys_that_no_node_may_use_are_believed(key: str) -> None:
    """Agents of before, and the control plane itself."""
    assert decode_report(encode([report(Report.PROVISIONED, "other")]), key)
