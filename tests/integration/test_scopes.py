"""Whoever is for some clusters sees nothing of the others."""

from collections.abc import AsyncIterator
from uuid import UUID

import httpx2
import pytest
from sqlalchemy import text
from workbench import Fleet

from pathfinder.bootstrap import Process
from pathfinder.domain.access import Role
from pathfinder.store import clusters, tokens, users
from pathfinder.store.events import Cursor, Query, read
from pathfinder.store.tokens import Grant


@pytest.fixture
async def blue(process: Process, fleet: Fleet) -> UUID:
    """A cluster beside `default`, each with a node, a container and a problem; and a problem of no cluster."""
    await fleet.node("node-01")
    await fleet.ask("web-01")
    async with process.database.begin() as tx:
        await clusters.create(tx, "blue", "spread", "local:tiny", "test", "")
        id_ = (await clusters.find(tx, "blue")).id
        for number, cluster_id in enumerate((fleet.cluster_id, id_, None)):
            given = {"id": UUID(int=number), "cluster_id": cluster_id, "key": f"problem-{number}"}
            await tx.execute(
                text("""
                    INSERT INTO problems (id, key, kind, severity, cluster_id, subject, summary, advice)
                    VALUES (:id, :key, 'container.stuck', 'warning', :cluster_id, :key, '', '')
                """),
                given,
            )
    return id_


@pytest.fixture
async def viewer(api: httpx2.AsyncClient, process: Process, blue: UUID) -> AsyncIterator[httpx2.AsyncClient]:
    """Somebody who may look at `blue`."""
    async with process.database.begin() as tx:
        secret = (await tokens.issue(tx, Grant("blue-viewer", Role.VIEWER, clusters=[blue]), "test", ""))[1]
    api.headers["Authorization"] = f"Bearer {secret}"
    return api


async def test_lists_leave_out_what_is_of_other_clusters(viewer: httpx2.AsyncClient) -> None:
    """Clusters, problems, events, who goes by a policy, and the numbers of the status."""
    names = [one["name"] for one in (await viewer.get("/clusters")).json()["items"]]
    subjects = [one["subject"] for one in (await viewer.get("/problems")).json()["items"]]
    told = {one["cluster"] for one in (await viewer.get("/events")).json()["items"]}
    policies = (await viewer.get("/policies")).json()["items"]
    status = (await viewer.get("/status")).json()

    assert names == ["blue"]
    assert subjects == ["problem-1"]
    assert told == {"blue"}
    assert {name for one in policies for name in one["clusters"]} == {"blue"}
    assert (await viewer.get("/policies/spread")).json()["clusters"] == ["blue"]
    assert status["nodes"] == status["containers"] == {}
    found = {one["subject"] for one in status["findings"]}
    assert {"problem-1", "problem-2"} <= found
    assert "problem-0" not in found


async def test_asking_for_another_cluster_tells_not_even_whether_it_is_there(viewer: httpx2.AsyncClient) -> None:
    """The same 403 for one that is and one that is not."""
    for path in ("/containers", "/nodes/node-01", "/events", "/events/stream", "/resilience"):
        answers = [await viewer.get(path, params={"cluster": name}) for name in ("default", "ghost")]
        assert [one.status_code for one in answers] == [403, 403]


async def test_a_stream_is_told_the_same_as_a_list(process: Process, blue: UUID) -> None:
    """What the query reads and what a live event is compared with agree; what is of no cluster is for nobody's eyes."""
    async with process.database.begin() as tx:
        await tx.execute(
            text("""
                INSERT INTO events (cluster_id, kind, subject_type, subject_id, subject_name, actor, trace_id)
                VALUES (:id, 'user.created', 'user', :id, 'bob', 'user:alice', '')
            """),
            {"id": blue},
        )
    async with process.database.begin() as tx:
        every = (await read(tx, Cursor(), Query(), 100)).events
        for within in (frozenset({"blue"}), frozenset[str](), frozenset({"blue", "default"})):
            query = Query(within=within)
            read_ = [event for _, event in (await read(tx, Cursor(), query, 100)).events]
            assert read_ == [event for _, event in every if query.matches(event)]
            assert all(one.cluster in within and one.subject.type != "user" for one in read_)


async def test_a_users_token_may_no_more_than_the_user(process: Process, blue: UUID, fleet: Fleet) -> None:
    """Neither in role nor in clusters, whatever it was made for, and from the moment that the user may less."""
    async with process.database.begin() as tx:
        await users.create(tx, "alice", "no hash", Role.OPERATOR, [blue], actor="test")
        alice = await users.find(tx, "alice")
        assert alice is not None
        grant = Grant("alice", Role.ADMIN, user_id=alice.id, clusters=[blue, fleet.cluster_id])
        secret = (await tokens.issue(tx, grant, "test", ""))[1]
        found = await tokens.find(tx, secret)
        await tx.execute(text("UPDATE users SET role = 'viewer', clusters = '{}'"))
        later = await tokens.find(tx, secret)

    assert found is not None
    assert later is not None
    assert (found.role, found.clusters) == ("operator", {"blue"})
    assert (later.role, later.clusters) == ("viewer", set())
