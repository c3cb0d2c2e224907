"""Who may use which route: what the document says is what the API does, for every route, role and cluster."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, cast
from uuid import UUID

import httpx2
import pytest

from api import auth
from api.app import create_app
from api.auth import Principal
from api.permissions import UNLISTED, need
from api.tail import Tail
from pathfinder.bootstrap import Process
from pathfinder.domain.access import Role
from pathfinder.domain.errors import Unavailable
from pathfinder.settings import Settings

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "permissions.md"
#: What anybody may ask.
OPEN = {"GET /healthz", "GET /readyz", "GET /metrics", "GET /api/v3/version", "POST /api/v3/session"}
OPEN |= {"GET /api/v3/sso", "POST /api/v3/sso/session"}
#: What a viewer, an operator and an admin have of the others.
ROLES = {"viewer": {"viewer"}, "operator": {"viewer", "operator"}, "admin": {"viewer", "operator", "admin"}}
ROLES |= {"join": {"join"}, "node": {"join", "node"}}


class Row(NamedTuple):
    """A row of the document."""

    role: str
    clusters: str


def document() -> dict[str, Row]:
    """The table of the page, by method and path."""
    rows = re.findall(r"^\| `([A-Z]+ /[^`]*)` \| (\w+) \| (.*?) \|$", PAGE.read_text(), flags=re.MULTILINE)
    return {route: Row(role, clusters) for route, role, clusters in rows}


class Away:
    """A database that nobody needs to find out that they may not."""

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[None]:
        raise Unavailable("not here")
        yield

    read = begin


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Any:
    """An application whose requests come from `asking`, which a test sets."""
    process = Process(Settings(requests_per_second=0))
    process.database = cast(Any, Away())
    made = SimpleNamespace(app=create_app(process, Tail(process)), asking=None)

    async def found(*_: object) -> Principal:
        return cast(Principal, made.asking)

    monkeypatch.setattr(auth, "_found", found)
    return made


def routes(app: Any) -> list[tuple[str, str]]:
    """Method and path of every operation."""
    paths = app.openapi()["paths"]
    return [(method.upper(), path) for path, operations in paths.items() for method in operations]


def may(row: Row, role: str, clusters: frozenset[str] | None, path: str, asked: str) -> bool:
    """What the document says."""
    if row.role != "any" and row.role not in ROLES[role]:
        return False
    if clusters is None:
        return True
    return {
        "that of `?cluster=`": asked in clusters,
        "that of the path": asked in clusters,
        "any; only theirs are shown": True,
        "all": False,
    }[row.clusters]


@pytest.mark.parametrize("role", list(Role))
async def test_each_role_may_what_the_document_says_in_each_cluster(api: Any, role: Role) -> None:
    """Every route is asked about two clusters by somebody who is for all, for one of them, and for none."""
    table, seen = document(), set()
    transport = httpx2.ASGITransport(api.app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://pathfinder") as client:
        for method, path in routes(api.app):
            route = f"{method} {path}"
            if route in OPEN:
                continue
            seen.add(route)
            for clusters in (None, frozenset({"blue"}), frozenset[str]()):
                for asked in ("blue", "green"):
                    api.asking = Principal(role, clusters, user="a", session_id=UUID(int=1), node_id=UUID(int=1))
                    address = path.replace("{name}", asked).replace("{hostname}", "blue").replace("{id}", "1")
                    # The stream would begin, and never end.
                    answer = await client.request(method, f"{address}?cluster={asked}&cursor=x", json={})
                    allowed = answer.status_code not in (401, 403)
                    expected = may(table[route], role, clusters, path, asked)
                    if "events" in path:  # only theirs are shown, and nothing of others is asked for
                        expected = expected and (clusters is None or asked in clusters)
                    assert allowed == expected, (route, role, clusters, asked, answer.text)

    assert seen == table.keys()


async def test_a_cluster_of_the_same_name_as_the_thing_is_not_meant(api: Any) -> None:
    """Which cluster is asked about is said by `cluster`, or is the usual one; names of other things say nothing."""
    transport = httpx2.ASGITransport(api.app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://pathfinder/api/v3") as client:
        api.asking = Principal("operator", frozenset({"blue"}), UUID(int=1), "tester")
        for query in ("", "?cluster=green", "?cluster=blue&cluster=green"):
            assert (await client.get(f"/containers/blue{query}")).status_code == 403
        assert (await client.get("/containers/green?cluster=green&cluster=blue")).status_code == 503


def test_a_route_that_was_forgotten_is_for_admins_of_all_clusters() -> None:
    """So that forgetting opens nothing."""
    assert need("POST", "/nobody/knows") == UNLISTED
    assert UNLISTED.role == Role.ADMIN
