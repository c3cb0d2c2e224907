"""A client of several servers: one that is down is passed over, and the one that answers is kept."""

import httpx2
import pytest

from pathfinder.client import BadArgument, Client, Unreachable

SERVERS = "http://first.test:8080, http://second.test:8081/"


def client_of(dead: dict[str, Exception], asked: list[str]) -> Client:
    """A client of two servers; those in `dead` fail."""

    def handle(request: httpx2.Request) -> httpx2.Response:
        asked.append(f"{request.method} {request.url} {request.headers['Host']}")
        if error := dead.get(request.url.host):
            raise error
        return httpx2.Response(200, json={"version": "3"})

    return Client(SERVERS, "secret", transport=httpx2.MockTransport(handle))


async def test_the_next_server_is_asked_when_one_cannot_be_reached_and_is_kept() -> None:
    """Nobody waits for a back-off."""
    asked: list[str] = []
    async with client_of({"first.test": httpx2.ConnectError("refused")}, asked) as client:
        assert await client.version() == "3"
        assert await client.version() == "3"
    second = "GET http://second.test:8081/api/v3/version second.test:8081"
    assert asked == ["GET http://first.test:8080/api/v3/version first.test:8080", second, second]


async def test_a_server_that_breaks_off_is_left_for_the_repetition() -> None:
    """A GET may be repeated, so its caller learns nothing of it."""
    asked: list[str] = []
    async with client_of({"first.test": httpx2.ReadError("broken")}, asked) as client:
        assert await client.version() == "3"
    assert [one.split()[2] for one in asked] == ["first.test:8080", "second.test:8081"]


async def test_an_error_names_all_servers_when_none_can_be_reached() -> None:
    """So that it is plain which were tried."""
    refused = httpx2.ConnectError("refused")
    async with client_of({"first.test": refused, "second.test": refused}, []) as client:
        with pytest.raises(Unreachable, match=r"first\.test:8080, http://second\.test:8081"):
            await client.version()


def test_each_address_is_looked_at() -> None:
    """One wrong among several is wrong."""
    with pytest.raises(BadArgument, match="nonsense"):
        Client("http://first.test,nonsense")
