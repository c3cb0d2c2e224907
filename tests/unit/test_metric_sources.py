"""Metrics that somebody else knows: what of an answer is a number, and whoever is slow, wrong or not to be asked."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

import workers.sources
from pathfinder.controllers.wishes import Level, Total, Unknown
from pathfinder.domain.autoscaling import HttpMetric, PrometheusMetric
from pathfinder.embedded.ports import free_port
from pathfinder.telemetry import METRIC_READS_FAILED
from workers.sources import Rubbish, Sources, number


def prometheus(url: str = "http://prometheus:9090") -> PrometheusMetric:
    return PrometheusMetric.model_validate(
        {"type": "prometheus", "url": url, "query": "sum(up)", "target_per_replica": 5}
    )


def http(url: str = "http://queue/stats", pointer: str = "/waiting", **target: float) -> HttpMetric:
    given = {"type": "http", "url": url, "pointer": pointer, **(target or {"target_per_replica": 5})}
    return HttpMetric.model_validate(given)


def vector(*values: object) -> dict[str, Any]:
    result = [{"metric": {}, "value": [1.5, value]} for value in values]
    return {"status": "success", "data": {"resultType": "vector", "result": result}}


@asynccontextmanager
async def serving(
    status: str, body: bytes, *, slow: bool = False, headers: list[bytes] | None = None
) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that answers so, and what it was asked; `headers` gets all of it."""
    asked: list[bytes] = []
    headers = [] if headers is None else headers

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        asked.append(head.split(b" ")[1])
        headers.append(head)
        if slow:
            await reader.read()  # until whoever asks has enough of it
        else:
            head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\nLocation: /\r\n\r\n"
            writer.write(head.encode() + body)
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked


@pytest.mark.parametrize(
    ("document", "value"),
    [
        (vector("42.5"), 42.5),
        ({"data": {"resultType": "scalar", "result": [1.5, "7"]}}, 7.0),
    ],
)
def test_a_prometheus_tells_a_scalar_or_one_series(document: object, value: float) -> None:
    """As its HTTP API writes them: numbers as texts."""
    assert number(prometheus(), orjson.dumps(document)) == value


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (vector(), "0 series"),
        (vector("1", "2"), "2 series"),
        (vector("NaN"), "no amount"),
        (vector("-1"), "no amount"),
        (vector("+Inf"), "no amount"),
        (vector(None), "no number"),
        ({"data": {"resultType": "matrix", "result": []}}, "no numbers of now"),
        ({"status": "error"}, "otherwise than a Prometheus"),
        ([], "otherwise than a Prometheus"),
        ({"data": {"resultType": "scalar", "result": []}}, "otherwise than a Prometheus"),
    ],
)
def test_what_is_no_number_of_a_prometheus_is_told(document: object, words: str) -> None:
    """With what to do about it, where that is known."""
    with pytest.raises(Rubbish, match=words):
        number(prometheus(), orjson.dumps(document))


@pytest.mark.parametrize(
    ("body", "pointer", "found"),
    [
        (b'{"waiting": 3}', "/waiting", 3.0),
        (b'{"a": [{"b": "4.5"}]}', "/a/0/b", 4.5),
        (b"9", "", 9.0),
        (b'{"waiting": true}', "/waiting", "no number"),
        (b'{"waiting": "many"}', "/waiting", "no number"),
        (b'{"waiting": {}}', "/waiting", "no number"),
        (b"{}", "/waiting", "nothing at '/waiting'"),
        (b"[1]", "/waiting", "nothing at '/waiting'"),
        (b"3", "/waiting", "nothing at '/waiting'"),
        (b"<html>", "/waiting", "no JSON"),
    ],
)
def test_a_pointer_leads_to_a_number_or_it_is_told_where_it_leads(
    body: bytes, pointer: str, found: float | str
) -> None:
    """What a stranger wrote is never repeated."""
    if isinstance(found, float):
        assert number(http(pointer=pointer), body) == found
    else:
        with pytest.raises(Rubbish, match=found):
            number(http(pointer=pointer), body)


async def test_each_source_is_read_and_those_that_fail_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is down, slow, moved, too large or refused by the settings holds up none of the others."""
    monkeypatch.setattr(workers.sources, "WHOLE_SECONDS", 1.0)
    sources = Sources("127.0.0.1")
    failed = METRIC_READS_FAILED.labels("http")._value.get()
    async with (
        serving("200 OK", orjson.dumps(vector("12"))) as (good, asked),
        serving("200 OK", b"", slow=True) as (slow, _),
        serving("302 Found", b"") as (moved, _),
        serving("200 OK", b" " * (2 << 20)) as (large, _),
    ):
        found = await sources.read(
            {
                "good": prometheus(good + "/"),
                "level": http(slow, target_value=3.0),
                "moved": http(moved),
                "large": http(large),
                "down": http(f"http://127.0.0.1:{free_port(24900)}/"),
                "foreign": http("http://169.254.169.254/latest"),
            }
        )
    await sources.close()

    assert found.pop("good") == Total("prometheus", 5, 12.0)
    assert asked == [b"/api/v1/query?query=sum%28up%29"]
    reasons = {key: one.reason for key, one in found.items() if isinstance(one, Unknown)}
    assert reasons.pop("down").startswith("cannot be reached")
    assert reasons == {
        "level": "gave no answer within 1 s",
        "moved": "answered 302",
        "large": "answered more than 1 MiB",
        "foreign": "169.254.169.254 is not among PATHFINDER_METRIC_HOSTS of the controller",
    }
    assert METRIC_READS_FAILED.labels("http")._value.get() - failed == 5


async def test_a_value_that_is_to_be_held_is_a_level() -> None:
    """More replicas make it smaller; it is not shared out."""
    sources = Sources()
    async with serving("200 OK", b'{"waiting": 0.4}') as (url, _):
        found = await sources.read({"it": http(url, target_value=0.2)})
    await sources.close()

    assert found == {"it": Level("http", 0.2, 0.4)}


async def test_a_secret_is_a_bearer_token_for_its_own_source_and_in_no_reason() -> None:
    """One that is not known, or that no header can have, is not sent, and not repeated either."""
    sources = Sources()
    headers: list[bytes] = []
    async with serving("200 OK", b'{"waiting": 3}', headers=headers) as (url, _):
        secured = HttpMetric.model_validate(
            {"type": "http", "url": url, "pointer": "/waiting", "target_per_replica": 1, "secret": "token"}
        )
        good = await sources.read({"it": secured}, {"it": "s3cret\n"})
        open_ = await sources.read({"it": http(url)}, {"it": "s3cret"})
        bad = await sources.read(
            dict.fromkeys(("gone", "lines", "wide", "empty"), secured),
            {"lines": "hush\r\nX: y", "wide": "hush\u20ac", "empty": " "},
        )
    await sources.close()

    assert (good, open_) == ({"it": Total("http", 1, 3.0)}, {"it": Total("http", 5, 3.0)})
    assert [b"Authorization: Bearer s3cret\r\n" in one for one in headers] == [True, False]
    assert all(
        isinstance(one, Unknown) and "'token'" in one.reason and "hush" not in one.reason for one in bad.values()
    )
