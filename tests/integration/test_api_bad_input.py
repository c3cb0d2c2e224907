"""Bad input: the right status, a problem document that says what to do, and nothing left behind."""

from collections.abc import AsyncIterator

import httpx2
import pytest
from workbench import Fleet, MakeProcess, registration

from api.app import create_app
from api.tail import Tail
from pathfinder.bootstrap import Process
from pathfinder.store import tokens
from workers.agent.pulse import DATABASE_AWAY

pytestmark = pytest.mark.usefixtures("nothing_left_behind")


@pytest.fixture
async def nothing_left_behind(fleet: Fleet) -> AsyncIterator[None]:
    """Every test here is about refusals: tables are as it left them in its `given` part."""
    yield
    told = await fleet.rows("SELECT count(*) FROM outbox WHERE exchange = 'pathfinder.commands'")
    assert told == [(0,)]


async def contents(fleet: Fleet) -> list[tuple[object, ...]]:
    """How many rows there are, of every kind."""
    tables = (
        "clusters",
        "nodes",
        "leases",
        "containers",
        "departures",
        "events",
        "outbox",
        "tokens",
        "idempotency_keys",
    )
    return await fleet.rows(" UNION ALL ".join(f"SELECT '{name}', count(*) FROM {name}" for name in tables))  # noqa: S608


def assert_problem(answer: httpx2.Response, status: int, *words: str) -> dict[str, object]:
    """The answer is a problem document with this status; everything in it together holds the words."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, object] = answer.json()
    assert document["status"] == status
    assert str(document["type"]).startswith("/problems/")
    assert document["title"]
    assert document["detail"]
    assert document["trace_id"] == answer.headers["x-request-id"]
    for word in words:
        assert word in answer.text, answer.text
    return document


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"hostname": "Not_A_Name"}, ("hostname", "RFC 1123")),
        ({"hostname": "-a"}, ("RFC 1123",)),
        ({"hostname": "a" * 64}, ("RFC 1123",)),
        ({"hostname": "123"}, ("at least one letter",)),
        ({"hostname": "a\x00b"}, ("RFC 1123",)),
        ({"hostname": 7}, ("hostname", "string")),
        ({}, ("hostname", "required")),
        ([], ("errors",)),
        ("web", ("errors",)),
        (None, ("errors",)),
        ({"hostname": "web", "memory": "-1GiB"}, ("memory", "MiB")),
        ({"hostname": "web", "memory": 0}, ("memory", "at least 4MiB")),
        ({"hostname": "web", "memory": "99999999TiB"}, ("memory", "at most")),
        ({"hostname": "web", "memory": 10**30}, ("memory", "MiB")),
        ({"hostname": "web", "disk": "1e9"}, ("disk", "GiB")),
        ({"hostname": "web", "cpu": -2}, ("cpu", "cores")),
        ({"hostname": "web", "cpu": 100_000}, ("cpu", "10000")),
        ({"hostname": "web", "cpu": True}, ("cpu", "cores")),
        ({"hostname": "web", "image": "no image!"}, ("image", "REMOTE")),
        ({"hostname": "web", "type": "immortal"}, ("type", "STATELESS")),
        ({"hostname": "web", "labels": {"a b": ""}}, ("labels", "label key")),
        ({"hostname": "web", "labels": "a=b"}, ("labels",)),
        ({"hostname": "web", "config": {"limits.cpu": "4"}}, ("config", "cpu and memory")),
        ({"hostname": "web", "config": {"limits.cpu.allowance": "50%"}}, ("config", "cpu and memory")),
        ({"hostname": "web", "config": {"volatile.uuid": "4"}}, ("config", "set by Pathfinder")),
        ({"hostname": "web", "memroy": "1GiB"}, ("memroy", "spelling")),
    ],
)
async def test_a_container_that_is_not_right_is_refused_field_by_field(
    api: httpx2.AsyncClient, fleet: Fleet, body: object, words: tuple[str, ...]
) -> None:
    """422, with the field and what to write instead."""
    before = await contents(fleet)

    document = assert_problem(await api.post("/containers", json=body), 422, *words)

    assert document["errors"]
    assert await contents(fleet) == before


async def test_a_wrong_field_in_a_batch_is_named_with_its_place(api: httpx2.AsyncClient, fleet: Fleet) -> None:
    """All are refused."""
    before = await contents(fleet)
    batch = {"containers": [{"hostname": "a"}, {"hostname": "b", "memory": "much"}]}

    document = assert_problem(await api.post("/containers/batch", json=batch), 422)

    assert [one["field"] for one in document["errors"]] == ["containers[1].memory"]  # type: ignore[attr-defined]
    assert await contents(fleet) == before


async def test_the_same_name_twice_in_a_batch_is_refused(api: httpx2.AsyncClient, fleet: Fleet) -> None:
    """Before anything is made."""
    before = await contents(fleet)
    batch = {"containers": [{"hostname": "a"}, {"hostname": "a"}]}

    assert_problem(await api.post("/containers/batch", json=batch), 422, "containers[1].hostname", "twice")

    assert await contents(fleet) == before


@pytest.mark.parametrize("count", [0, 1001])
async def test_a_batch_of_none_or_of_too_many_is_refused(api: httpx2.AsyncClient, count: int) -> None:
    """With the bound."""
    batch = {"containers": [{"hostname": f"c-{number}"} for number in range(count)]}

    assert_problem(await api.post("/containers/batch", json=batch), 422, "containers")


async def test_a_name_of_a_living_container_is_taken(api: httpx2.AsyncClient, fleet: Fleet) -> None:
    """409, also for the one name of a batch; the others of the batch are not made."""
    await fleet.ask("web")
    before = await contents(fleet)

    assert_problem(await api.post("/containers", json={"hostname": "web"}), 409, "web", "delete the old one")
    batch = {"containers": [{"hostname": "new"}, {"hostname": "web"}]}
    assert_problem(await api.post("/containers/batch", json=batch), 409, "web")

    assert await contents(fleet) == before


@pytest.mark.parametrize(
    ("wish", "words"),
    [({"cpu": 9}, "the largest has 8"), ({"memory": "9GiB"}, "8GiB"), ({"disk": "1TiB"}, "80GiB")],
)
async def test_what_no_node_could_ever_hold_is_said_at_once(
    api: httpx2.AsyncClient, fleet: Fleet, wish: dict[str, object], words: str
) -> None:
    """Also when every node is full or down just now: those may change, its size does not."""
    await fleet.node("node-01")
    before = await contents(fleet)

    document = assert_problem(await api.post("/containers", json={"hostname": "web"} | wish), 422, words, "larger node")

    assert document["type"] == "/problems/never-fits"
    assert await contents(fleet) == before


async def test_what_fits_only_across_two_nodes_never_fits(api: httpx2.AsyncClient, fleet: Fleet) -> None:
    """One node has the CPU, the other the memory; no single one could ever hold it."""
    await fleet.node("cores", cpu_millicores=16_000)
    await fleet.node("memory", memory_bytes=16 << 30)
    before = await contents(fleet)

    answer = await api.post("/containers", json={"hostname": "web", "cpu": 12, "memory": "12GiB"})

    assert_problem(answer, 422, "larger node")
    assert await contents(fleet) == before


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/containers/ghost"),
        ("GET", "/containers/ghost/explain"),
        ("DELETE", "/containers/ghost"),
        ("POST", "/containers/ghost/reschedule"),
        ("GET", "/nodes/ghost"),
        ("POST", "/nodes/ghost/cordon"),
        ("POST", "/nodes/ghost/uncordon"),
        ("DELETE", "/nodes/ghost"),
        ("GET", "/clusters/ghost"),
        ("GET", "/containers?cluster=ghost"),
        ("GET", "/nodes?cluster=ghost"),
        ("GET", "/events?cluster=ghost"),
        ("GET", "/events/stream?cluster=ghost"),
        ("GET", "/containers?node=ghost"),
        ("POST", "/containers/a/reschedule?cluster=ghost"),
        ("GET", "/nothing/here"),
    ],
)
async def test_what_is_not_there_is_named(api: httpx2.AsyncClient, fleet: Fleet, method: str, path: str) -> None:
    """404, with where to look."""
    before = await contents(fleet)

    assert_problem(await api.request(method, path), 404, "There is no")

    assert await contents(fleet) == before


async def test_creates_in_a_cluster_that_is_not_there_make_nothing(api: httpx2.AsyncClient, fleet: Fleet) -> None:
    """One and batch."""
    before = await contents(fleet)
    given = {"params": {"cluster": "ghost"}}

    assert_problem(await api.post("/containers", json={"hostname": "web"}, **given), 404, "ghost")
    batch = {"containers": [{"hostname": "web"}]}
    assert_problem(await api.post("/containers/batch", json=batch, **given), 404, "ghost")
    assert_problem(await api.patch("/clusters/ghost", json={"policy": "spread"}), 404, "ghost")

    assert await contents(fleet) == before


async def test_an_unknown_policy_is_answered_with_those_there_are(api: httpx2.AsyncClient, fleet: Fleet) -> None:
    """On create and on change."""
    before = await contents(fleet)

    assert_problem(
        await api.post("/clusters", json={"name": "two", "policy": "best"}), 422, "spread, binpack", "random"
    )
    assert_problem(await api.patch("/clusters/default", json={"policy": "best"}), 422, "spread, binpack", "random")

    assert await contents(fleet) == before


async def test_a_clusters_name_is_taken_once(api: httpx2.AsyncClient, fleet: Fleet) -> None:
    """And is a name."""
    before = await contents(fleet)

    assert_problem(await api.post("/clusters", json={"name": "default"}), 409, "another name")
    assert_problem(await api.post("/clusters", json={"name": "a/b"}), 422, "name")

    assert await contents(fleet) == before


@pytest.mark.parametrize("body", [b"{", b"not json", b'{"hostname": }', b"", b"\xff\xfe\x00", b"{'hostname': 'web'}"])
async def test_a_body_that_is_not_json_is_malformed(api: httpx2.AsyncClient, fleet: Fleet, body: bytes) -> None:
    """400; nothing at all is a missing field, 422."""
    before = await contents(fleet)

    answer = await api.post("/containers", content=body, headers={"content-type": "application/json"})

    assert_problem(answer, 400 if body else 422)
    assert await contents(fleet) == before


async def test_a_body_nested_without_end_is_malformed(api: httpx2.AsyncClient) -> None:
    """Not a way to the end of the stack."""
    body = b'{"hostname":' + b"[" * 100_000
    answer = await api.post("/containers", content=body, headers={"content-type": "application/json"})

    assert_problem(answer, 400)


async def test_a_body_over_the_bound_is_not_read(api: httpx2.AsyncClient, fleet: Fleet) -> None:
    """413, announced or in chunks."""
    before = await contents(fleet)
    huge = b'{"hostname": "web", "config": {"user.x": "' + b"x" * (1 << 20) + b'"}}'

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(huge), 65_536):
            yield huge[start : start + 65_536]

    for content in (huge, chunks()):
        answer = await api.post("/containers", content=content, headers={"content-type": "application/json"})
        assert_problem(answer, 413, "1048576 bytes")

    assert await contents(fleet) == before


@pytest.mark.parametrize("path", ["/containers", "/nodes", "/clusters", "/events", "/containers/a", "/events/stream"])
@pytest.mark.parametrize(
    "header", [None, "Bearer wrong", "Bearer ", "Basic dXNlcjpwYXNz", "Bearer \xff\x00".encode("latin-1")]
)
async def test_without_a_good_token_nothing_is_told(
    api: httpx2.AsyncClient, path: str, header: str | bytes | None
) -> None:
    """401, with how to get one."""
    api.headers.pop("authorization")

    answer = await api.get(path, headers={} if header is None else {"Authorization": header})

    assert_problem(answer, 401, "pathfinder token create")
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_an_expired_token_is_no_token(api: httpx2.AsyncClient, process: Process, fleet: Fleet) -> None:
    """Its time is looked at on every request."""
    await fleet.rows("UPDATE tokens SET expires_at = now() - interval '1 second' RETURNING name")

    assert_problem(await api.get("/nodes"), 401, "expired")


async def test_a_join_token_opens_nothing_but_registration(
    api: httpx2.AsyncClient, process: Process, fleet: Fleet
) -> None:
    """403 everywhere else; and an operator's token registers no node."""
    async with process.database.begin() as tx:
        join = await tokens.create(tx, "join", "join", fleet.cluster_id)
    headers = {"Authorization": f"Bearer {join}"}
    before = await contents(fleet)

    for method, path in (("GET", "/containers"), ("DELETE", "/nodes/a"), ("GET", "/events"), ("GET", "/events/stream")):
        assert_problem(await api.request(method, path, headers=headers), 403, "only register a node")
    assert_problem(await api.post("/containers", json={"hostname": "web"}, headers=headers), 403)
    body = registration("node-01").model_dump()
    assert_problem(await api.post("/nodes/register", json=body), 403, "join token")

    assert await contents(fleet) == before


async def test_a_live_nodes_name_is_taken(api: httpx2.AsyncClient, process: Process, fleet: Fleet) -> None:
    """409 for another machine; the same machine may come back; after the lease anyone may."""
    async with process.database.begin() as tx:
        join = await tokens.create(tx, "join", "join", fleet.cluster_id)
    headers = {"Authorization": f"Bearer {join}"}
    await fleet.node("node-01")
    before = await contents(fleet)
    twin = registration("node-01", machine_id="a clone").model_dump()

    answer = await api.post("/nodes/register", json=twin, headers=headers)
    assert_problem(answer, 409, "PATHFINDER_NODE_NAME")
    assert await contents(fleet) == before

    same = await api.post("/nodes/register", json=registration("node-01").model_dump(), headers=headers)
    assert same.status_code == 200
    await fleet.rows("UPDATE leases SET until = now() - interval '1 second' RETURNING node_id")
    assert (await api.post("/nodes/register", json=twin, headers=headers)).status_code == 200


async def test_a_join_token_admits_to_its_own_cluster_only(
    api: httpx2.AsyncClient, process: Process, fleet: Fleet
) -> None:
    """403 elsewhere, and 409 for a node that belongs to another cluster."""
    await api.post("/clusters", json={"name": "other"})
    async with process.database.begin() as tx:
        join = await tokens.create(tx, "join", "join", fleet.cluster_id)
        free = await tokens.create(tx, "any", "join")
    await fleet.node("node-01")
    before = await contents(fleet)
    body = registration("node-01").model_dump()

    def to_other(secret: str) -> dict[str, object]:
        return {"params": {"cluster": "other"}, "headers": {"Authorization": f"Bearer {secret}"}}

    assert_problem(await api.post("/nodes/register", json=body, **to_other(join)), 403)
    assert_problem(await api.post("/nodes/register", json=body, **to_other(free)), 409, "another cluster")

    assert await contents(fleet) == before


async def test_a_nodes_token_is_good_until_the_next_one_is_used(
    api: httpx2.AsyncClient, process: Process, fleet: Fleet
) -> None:
    """The answer that has the next one may be lost, and the join token be gone by then."""
    node_id = await fleet.node("node-01")
    async with process.database.begin() as tx:
        first = await tokens.create(tx, "node-01", "node", fleet.cluster_id, node_id)

    async def register(token: str) -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {token}"}
        answer = await api.post("/nodes/register", json=registration("node-01").model_dump(), headers=headers)
        return answer.status_code, answer.json().get("token", "")

    _, lost = await register(first)
    _, second = await register(first)
    assert (await register(second))[0] == 200

    assert [(await register(token))[0] for token in (first, lost, second)] == [401, 401, 200]


async def test_a_nodes_own_token_speaks_for_that_node_only(
    api: httpx2.AsyncClient, process: Process, fleet: Fleet
) -> None:
    """403 for another name, and nothing is registered."""
    node_id = await fleet.node("node-01")
    async with process.database.begin() as tx:
        secret = await tokens.create(tx, "node-01", "node", fleet.cluster_id, node_id)
    before = await contents(fleet)

    answer = await api.post(
        "/nodes/register",
        json=registration("node-02").model_dump(),
        headers={"Authorization": f"Bearer {secret}"},
    )

    assert_problem(answer, 403, "join token")
    assert await contents(fleet) == before


@pytest.mark.parametrize(
    "changes",
    [
        {"hostname": "Bad_Name"},
        {"cpu_millicores": -1},
        {"memory_bytes": 1 << 70},
        {"disk_bytes": "much"},
        {"machine_id": ""},
        {"labels": {"a b": "c"}},
        {"ipaddress": "x" * 99},
        {"surprise": 1},
        {"runtime": "a\x00b"},
    ],
)
async def test_a_node_that_is_not_right_is_refused(
    api: httpx2.AsyncClient, process: Process, fleet: Fleet, changes: dict[str, object]
) -> None:
    """422, whatever the agent's version thinks."""
    async with process.database.begin() as tx:
        join = await tokens.create(tx, "join", "join", fleet.cluster_id)
    before = await contents(fleet)

    body = registration("node-01").model_dump() | changes
    answer = await api.post("/nodes/register", json=body, headers={"Authorization": f"Bearer {join}"})

    assert_problem(answer, 422)
    assert await contents(fleet) == before


@pytest.mark.parametrize(
    "query",
    [
        "/containers?limit=0",
        "/containers?limit=1001",
        "/containers?limit=many",
        "/containers?status=ALIVE",
        "/containers?label=nokey",
        "/containers?cursor=nonsense",
        "/containers?cursor=%00",
        "/containers?cursor=é",
        "/containers?prefix=%00",
        "/containers?node=%00",
        "/containers?label=a%3D%00",
        f"/containers?prefix={'x' * 64}",
        "/nodes?limit=-1",
        "/nodes?cursor=AAAA",
        "/nodes?status=%00",
        "/nodes?status=BOGUS",
        "/clusters?limit=0",
        "/clusters?cursor=%00",
        "/events?cursor=1-2",
        "/events?cursor=a-b-c",
        "/events?cursor=٣-٣-٣",
        "/events?since=yesterday",
        "/events?since=999999999d",
        "/events?since=0001-01-01T00:00:00%2B23:59",
        "/events?subject=web",
        "/events?container=%00",
        "/events?kind=%00",
        "/events/stream?cursor=nonsense",
        "/events/stream?since=later",
    ],
)
async def test_a_query_that_is_not_right_is_refused(api: httpx2.AsyncClient, query: str) -> None:
    """422 and never a 500; streams are refused before they begin."""
    assert_problem(await api.get(query), 422)


@pytest.mark.parametrize(
    "path", ["/containers/a%00b", "/nodes/%00", "/clusters/%00", "/containers/%ff", "/nodes/%F0%9F"]
)
async def test_odd_bytes_in_a_path_are_no_bug(api: httpx2.AsyncClient, path: str) -> None:
    """Not found, or refused."""
    answer = await api.get(path)

    assert_problem(answer, answer.status_code)
    assert answer.status_code in (404, 422)


async def test_a_method_that_is_not_there_is_refused_with_those_that_are(api: httpx2.AsyncClient) -> None:
    """405 with Allow."""
    answer = await api.put("/containers", json={})

    assert_problem(answer, 405, "PUT")
    assert answer.headers["allow"]


async def test_a_container_that_may_not_be_rescheduled_is_left_alone(api: httpx2.AsyncClient, fleet: Fleet) -> None:
    """409 while it waits for its first placement."""
    await fleet.ask("web")
    before = await contents(fleet)

    assert_problem(
        await api.post("/containers/web/reschedule"), 409, "PENDING", "not placed yet", "pfi explain container web"
    )

    assert await contents(fleet) == before


@pytest.mark.parametrize("key", ["", "k" * 256])
async def test_a_key_that_is_none_is_refused(api: httpx2.AsyncClient, fleet: Fleet, key: str) -> None:
    """Empty or too long."""
    before = await contents(fleet)

    answer = await api.post("/containers", json={"hostname": "web"}, headers={"Idempotency-Key": key})

    assert_problem(answer, 422)
    assert await contents(fleet) == before


async def test_an_api_whose_connections_are_all_in_use_does_not_say_that_postgresql_is_away(
    make_process: MakeProcess,
) -> None:
    """Nodes would take it for a proof that nobody can be declared dead."""
    full = make_process(database_pool_size=1)
    full.database.engine.sync_engine.pool._timeout = 0.01  # type: ignore[attr-defined]
    transport = httpx2.ASGITransport(create_app(full, Tail(full)), raise_app_exceptions=False)
    async with (
        httpx2.AsyncClient(
            transport=transport, base_url="http://pathfinder", headers={"Authorization": "Bearer x"}
        ) as client,
        full.database.begin(),
    ):
        answer = await client.post("/api/v3/nodes/heartbeat")

    assert_problem(answer, 503)
    assert answer.json()["type"] != DATABASE_AWAY


async def test_while_postgresql_is_away_the_answer_says_to_try_again(make_process: object) -> None:
    """503 with Retry-After, as a problem document."""
    away = make_process(database_url="postgresql+asyncpg://nobody@127.0.0.1:9/none")  # type: ignore[operator]
    transport = httpx2.ASGITransport(create_app(away, Tail(away)), raise_app_exceptions=False)
    async with httpx2.AsyncClient(
        transport=transport, base_url="http://pathfinder", headers={"Authorization": "Bearer x"}
    ) as client:
        answer = await client.get("/api/v3/nodes")
        assert_problem(answer, 503)
        assert answer.headers["retry-after"]
        assert answer.json()["type"] == DATABASE_AWAY
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (503, "unavailable")
        assert ready.json()["parts"]["postgresql"] != "ok"
        assert (await client.get("/healthz")).status_code == 200
