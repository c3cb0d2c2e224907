"""Requests: their retries and their refusals."""

from collections.abc import Iterator

import httpx2
import pytest
from wire import SERVER, Handler, client, problem

from pathfinder.client import ApiError, BadArgument, Client, Selection, UnexpectedAnswer, Unreachable

CLUSTER = {
    "id": "00000000-0000-0000-0000-000000000001",
    "name": "default",
    "policy": "spread",
    "default_image": "ubuntu:26.04",
    "nodes": 1,
    "containers": 0,
    "created_at": "2026-11-23T20:30:05Z",
}


def answering(*answers: httpx2.Response | Exception) -> tuple[Handler, list[httpx2.Request]]:
    """A handler that gives one answer after another, and the requests it got."""
    requests: list[httpx2.Request] = []
    left: Iterator[httpx2.Response | Exception] = iter(answers)

    def handle(request: httpx2.Request) -> httpx2.Response:
        requests.append(request)
        answer = next(left)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return handle, requests


async def test_a_refusal_carries_its_problem_document() -> None:
    """Everything the server says about a refusal reaches the caller."""
    wrong = [{"field": "hostname", "message": "too long"}]
    handler, _ = answering(problem(422, "Not valid.", errors=wrong))

    async with client(handler) as api:
        with pytest.raises(ApiError, match="Not valid") as refusal:
            await api.clusters.get("default")

    assert refusal.value.status == 422
    assert refusal.value.problem.errors == wrong


async def test_a_read_is_tried_again_when_the_connection_breaks() -> None:
    """Reading twice is as good as reading once."""
    handler, requests = answering(httpx2.ReadError("reset"), httpx2.Response(200, json=CLUSTER))

    async with client(handler) as api:
        assert (await api.clusters.get("default")).name == "default"

    assert len(requests) == 2


async def test_a_read_is_tried_again_when_the_server_is_unavailable() -> None:
    """503 means soon."""
    handler, requests = answering(problem(503, "Soon."), httpx2.Response(200, json=CLUSTER))

    async with client(handler) as api:
        await api.clusters.get("default")

    assert len(requests) == 2


async def test_a_create_is_tried_again_with_the_same_key() -> None:
    """The key tells the server that it is one wish, however often it arrives."""
    handler, requests = answering(httpx2.ReadError("reset"), problem(409, "Stop here."))

    async with client(handler) as api:
        with pytest.raises(ApiError):
            await api.containers.create("web-01", memory="512MiB")

    first, second = requests
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]
    assert first.content == second.content == b'{"hostname":"web-01","memory":"512MiB"}'


async def test_two_creates_have_different_keys() -> None:
    """Two wishes are two containers."""
    handler, requests = answering(problem(409, "No."), problem(409, "No."))

    async with client(handler) as api:
        for _ in range(2):
            with pytest.raises(ApiError):
                await api.containers.create("web-01")

    first, second = requests
    assert first.headers["Idempotency-Key"] != second.headers["Idempotency-Key"]


@pytest.mark.parametrize("act", ["delete", "reschedule"])
async def test_what_may_have_been_done_already_is_not_done_again(act: str) -> None:
    """After a lost answer the name may belong to another container, and a second move would be one too many."""
    handler, requests = answering(httpx2.ReadError("reset"))

    async with client(handler) as api:
        with pytest.raises(Unreachable) as failure:
            await getattr(api.containers, act)("web-01")

    assert failure.value.sent
    assert len(requests) == 1


async def test_a_deletion_that_was_never_sent_is_tried_again() -> None:
    """A refused connection cannot have deleted anything."""
    handler, requests = answering(httpx2.ConnectError("refused"), problem(404, "There is none."))

    async with client(handler) as api:
        with pytest.raises(ApiError):
            await api.containers.delete("web-01")

    assert len(requests) == 2


async def test_retries_end() -> None:
    """A server that is away is reported, not waited for."""
    handler, requests = answering(*[httpx2.ConnectError("refused")] * 9)

    async with client(handler) as api:
        with pytest.raises(Unreachable):
            await api.clusters.get("default")

    assert len(requests) == 4


async def test_a_proxy_with_nothing_behind_it_is_an_unreachable_server() -> None:
    """Its page in HTML is no answer of the API."""
    handler, _ = answering(*[httpx2.Response(502, html="<h1>Bad gateway</h1>")] * 4)

    async with client(handler) as api:
        with pytest.raises(Unreachable, match="502"):
            await api.clusters.get("default")


@pytest.mark.parametrize("answer", [httpx2.Response(200, html="<p>hello"), httpx2.Response(404, text="nothing")])
async def test_another_web_server_is_recognised(answer: httpx2.Response) -> None:
    """A wrong address is told apart from a refusal."""
    handler, _ = answering(answer)

    async with client(handler) as api:
        with pytest.raises(UnexpectedAnswer):
            await api.clusters.get("default")


async def test_a_list_is_read_to_its_last_page() -> None:
    """Pages are the wire's business, not the caller's."""
    pages = [{"items": [CLUSTER], "next_cursor": "more"}, {"items": [CLUSTER], "next_cursor": None}]
    handler, requests = answering(*(httpx2.Response(200, json=page) for page in pages))

    async with client(handler) as api:
        assert len([it async for it in api.clusters.list()]) == 2

    assert [request.url.params.get("cursor") for request in requests] == [None, "more"]


async def test_a_selection_becomes_query_parameters() -> None:
    """Several statuses and labels are repeated parameters."""
    handler, requests = answering(httpx2.Response(200, json={"items": []}))
    selection = Selection(statuses=("PENDING", "LOST"), node="node-01", labels={"tier": "web"}, prefix="web-")

    async with client(handler) as api:
        assert [it async for it in api.containers.list(selection)] == []

    params = requests[0].url.params
    assert params.get_list("status") == ["PENDING", "LOST"]
    assert (params["label"], params["node"], params["prefix"]) == ("tier=web", "node-01", "web-")
    assert params["cluster"] == "default"


@pytest.mark.parametrize("name", ["../clusters", "a/b", "a?b=c", "%2e%2e"])
async def test_a_name_never_reaches_another_route(name: str) -> None:
    """Names come from command lines; a slash in one stays inside its segment."""
    handler, requests = answering(problem(404, "There is none."))

    async with client(handler) as api:
        with pytest.raises(ApiError):
            await api.nodes.get(name)

    assert requests[0].url.raw_path.count(b"/") == 4


@pytest.mark.parametrize("server", ["", "127.0.0.1:8080", "ftp://here", "http://"])
def test_a_server_must_be_an_address(server: str) -> None:
    """A missing scheme is the usual mistake."""
    with pytest.raises(BadArgument, match="write http://HOST:PORT"):
        Client(server)


def overloaded(seconds: str = "0") -> httpx2.Response:
    """What a server says that has too much to do."""
    answer = problem(503, "Too much work is waiting.", type="/problems/overloaded")
    answer.headers["Retry-After"] = seconds
    return answer


async def test_an_overloaded_server_is_asked_again_when_it_said_with_the_same_key() -> None:
    """More often than other failures are tried, and whoever wants to know is told."""
    handler, requests = answering(*[overloaded() for _ in range(9)], problem(409, "Stop here."))
    waits: list[float] = []

    async with Client(
        SERVER, transport=httpx2.MockTransport(handler), on_wait=lambda _, wait: waits.append(wait)
    ) as api:
        with pytest.raises(ApiError, match="Stop here"):
            await api.containers.create("web-01")

    assert len(requests) == 10
    assert len(waits) == 9
    assert len({request.headers["Idempotency-Key"] for request in requests}) == 1


@pytest.mark.parametrize(("seconds", "patience"), [("0", -1), ("30", 20)])
async def test_patience_with_an_overloaded_server_ends(seconds: str, patience: float) -> None:
    """Nobody waits for a moment that comes too late."""
    handler, requests = answering(overloaded(seconds))

    async with Client(SERVER, transport=httpx2.MockTransport(handler), patience=patience) as api:
        with pytest.raises(ApiError) as refusal:
            await api.containers.create("web-01")

    assert refusal.value.overloaded
    assert len(requests) == 1


@pytest.mark.parametrize(
    ("written", "seconds"), [("7", 7), ("99999", 60), ("Wed, 21 Oct 2026 07:28:00 GMT", 5), ("-1", 5), ("", 5)]
)
async def test_when_to_ask_again_is_read_and_bounded(written: str, seconds: float) -> None:
    """Whatever a proxy makes of the header."""
    handler, _ = answering(overloaded(written))

    async with Client(SERVER, transport=httpx2.MockTransport(handler), patience=0) as api:
        with pytest.raises(ApiError) as refusal:
            await api.containers.create("web-01")

    assert refusal.value.retry_after == seconds
