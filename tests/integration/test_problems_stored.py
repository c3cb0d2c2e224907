"""Problems, on a real PostgreSQL: one open row for each, with its events."""

import asyncio
from collections.abc import AsyncIterator

import aio_pika
import httpx2
import pytest
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from sqlalchemy import text
from workbench import Fleet, MakeProcess, eventually

from pathfinder.bootstrap import Process
from pathfinder.broker import topology
from pathfinder.controllers import noticing
from pathfinder.controllers.noticing import Noticing, Patience
from pathfinder.controllers.situation import ClusterRef, Survival
from pathfinder.domain.errors import Unavailable
from pathfinder.domain.policies import Overcommit, PolicyDocument
from pathfinder.domain.problems import ProblemKind
from pathfinder.store import leadership, policies
from pathfinder.store.leadership import Leadership
from workers import problems as worker
from workers.problems import Queues, look, watch
from workers.resilience import Watch

AT_ONCE = dict.fromkeys(ProblemKind, Patience(0, 0))


@pytest.fixture(autouse=True)
def without_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time is the unit tests' subject."""
    monkeypatch.setattr(noticing, "PATIENCE", AT_ONCE)


@pytest.fixture
async def lead(process: Process) -> AsyncIterator[Leadership]:
    """The right to look."""
    async with leadership.session(process.database, "problems") as session:
        taken = await leadership.take(session, "problems")
        assert taken is not None
        yield taken


@pytest.fixture
def queues() -> Queues:
    """RabbitMQ answers, and nothing waits."""
    made = Queues()
    made.depths = {"pathfinder.scheduler": 0}
    return made


async def rows(fleet: Fleet) -> list[tuple[object, ...]]:
    """The key of each problem, and whether it is open."""
    return await fleet.rows("SELECT key, closed_at IS NULL FROM problems ORDER BY opened_at, key")


async def test_nothing_is_wrong_with_an_empty_pathfinder(fleet: Fleet, lead: Leadership, queues: Queues) -> None:
    """A cluster without a node, too."""
    assert not await look(lead, queues, Noticing(), ())
    assert await rows(fleet) == []


async def test_a_problem_is_a_row_and_an_event_until_it_is_over(fleet: Fleet, lead: Leadership, queues: Queues) -> None:
    """Said once when it opens, once when it ends, however often is looked and by how many leaders."""
    queues.depths = {"pathfinder.scheduler": 9000}
    await look(lead, queues, Noticing(), ())
    await look(lead, queues, Noticing(), ())

    assert await rows(fleet) == [("queue.backlog:pathfinder.scheduler", True)]

    queues.depths = {"pathfinder.scheduler": 0}
    await look(lead, queues, Noticing(), ())
    await look(lead, queues, Noticing(), ())

    assert await rows(fleet) == [("queue.backlog:pathfinder.scheduler", False)]
    assert (await fleet.kinds())[1:] == ["queue.backlog", "problem.resolved"]
    (((opened, ended)),) = [
        [row[0] for row in await fleet.rows("SELECT body FROM events WHERE subject_type = 'problem' ORDER BY seq")]
    ]
    assert isinstance(opened, dict)
    assert isinstance(ended, dict)
    assert "pathfinder.scheduler" in opened["reason"]
    assert opened["advice"]
    assert (ended["kind"], ended["key"]) == ("queue.backlog", opened["key"])

    queues.depths = {"pathfinder.scheduler": 9000}
    await look(lead, queues, Noticing(), ())
    assert len(await rows(fleet)) == 2


async def test_what_only_a_newer_version_knows_is_left_to_it(
    process: Process, fleet: Fleet, lead: Leadership, queues: Queues
) -> None:
    """A controller of before may lead again for a while: it does its work, and ends nothing that it cannot judge."""
    async with process.database.begin() as tx:
        await tx.execute(
            text("""
                INSERT INTO problems (id, key, kind, severity, subject, summary, advice, opened_at)
                VALUES (gen_random_uuid(), 'moon.full', 'moon.full', 'warning', 'moon', 'It is.', 'Wait.', now())
            """)
        )

    await look(lead, queues, Noticing(), ())

    assert await rows(fleet) == [("moon.full", True)]


async def test_a_node_that_is_down_is_a_problem_but_no_second_event(
    fleet: Fleet, lead: Leadership, queues: Queues
) -> None:
    """The monitor recorded the fact already."""
    await fleet.node("node-1")
    await fleet.rows("UPDATE nodes SET status = 'DOWN' RETURNING id")

    await look(lead, queues, Noticing(), ())
    assert await rows(fleet) == []  # it has just joined
    await fleet.rows("UPDATE nodes SET down_at = now() RETURNING id")
    await look(lead, queues, Noticing(), ())

    assert await rows(fleet) == [("node.down:node-1", True)]
    assert (await fleet.kinds()).count("node.down") == 0

    await fleet.rows("UPDATE nodes SET status = 'READY' RETURNING id")
    await look(lead, queues, Noticing(), ())
    assert await rows(fleet) == [("node.down:node-1", False)]


async def test_what_the_tables_tell_is_seen(fleet: Fleet, lead: Leadership, queues: Queues) -> None:
    """Each question to PostgreSQL, once."""
    await fleet.node("node-1", memory_bytes=1 << 30)
    ids = await fleet.ask("lost", "waits", "loops", "fails", "other", "stuck", "restarts")
    async with fleet.process.database.begin() as tx:
        for statement in (
            "UPDATE containers SET status = 'LOST' WHERE hostname = 'lost'",
            "UPDATE containers SET waiting = true, message = 'Too big.', status_at = now() - interval '2 min' "
            "WHERE hostname = 'waits'",
            "UPDATE containers SET attempts = 3, message = 'No space.' WHERE hostname = 'fails'",
            "UPDATE containers SET attempts = 9, status = 'PROVISIONED' WHERE hostname = 'other'",
            "UPDATE nodes SET memory_claimed = memory_bytes, aside_until = now() + interval '1 min', "
            "aside_reason = 'It broke.'",
            "UPDATE outbox SET created_at = now() - interval '1 min'",
            "INSERT INTO dead_letters (message_key, failed_at, queue, exchange, routing_key, reason, body) "
            "VALUES (gen_random_uuid(), now(), 'q', 'e', 'k', 'r', '')",
            "INSERT INTO roles (id, role, host, pid, version, parts, seen_at) VALUES "
            "(gen_random_uuid(), 'relay', 'one', 1, '3', '{}', now() - interval '1 min'), "
            "(gen_random_uuid(), 'scheduler', 'one', 2, '3', '{\"postgresql\": \"ok\"}', now())",
            "INSERT INTO roles (id, role, host, pid, version, parts, started_at, seen_at) VALUES "
            "(gen_random_uuid(), 'api', 'one', 3, '3', '{}', now() - interval '9 min', now() - interval '1 min'), "
            "(gen_random_uuid(), 'api', 'one', 4, '3', '{}', now() - interval '9 s', now()), "
            "(gen_random_uuid(), 'recorder', 'one', 5, '3', '{}', now() - interval '9 min', now() - interval '1 min'), "
            "(gen_random_uuid(), 'recorder', 'one', 6, '3', '{}', now() - interval '9 min', now())",
            "UPDATE containers SET status = 'SCHEDULED', node_id = (SELECT id FROM nodes), "
            "status_at = now() - interval '11 min' WHERE hostname = 'stuck'",
            "UPDATE containers SET restarts = 3, health_message = 'web: refused' WHERE hostname = 'restarts'",
            """UPDATE leases SET usage = '{"runtime_down": 1}'""",
        ):
            await tx.execute(text(statement))
        for _ in range(3):
            await tx.execute(
                text(
                    "INSERT INTO events (cluster_id, kind, subject_type, subject_id, subject_name, actor, trace_id) "
                    "VALUES (:cluster, 'container.missing', 'container', :id, 'loops', 'test', '')"
                ),
                {"cluster": fleet.cluster_id, "id": ids[2]},
            )
    queues.depths = None

    survival = Survival(ClusterRef(fleet.cluster_id, "default"), 2, False, "12 would wait.")
    news = await look(lead, queues, Noticing(), (survival,))

    assert {one.key for one in news.opened} == {
        "service.down:relay",
        "service.down:recorder on one",
        "container.stuck:node-1",
        "node.runtime_down:node-1",
        "outbox.backlog:outbox",
        "dead.letters:dead letters",
        "node.set_aside:node-1",
        "container.crash_looping:default/loops",
        "container.crash_looping:default/fails",
        "container.crash_looping:default/restarts",
        "container.unplaceable:default",
        "container.lost:default",
        "capacity.low:default/memory",
        "resilience.lost:default",
    }
    told = dict(await fleet.rows("SELECT subject_name, subject_type FROM events WHERE actor = 'controller'"))
    assert told["loops"] == "container"
    assert told["relay"] == "problem"


@pytest.mark.parametrize(
    ("overcommit", "kept", "full"), [("{}", 1.0, True), ('{"cpu": 2}', 1.5, False), ('{"cpu": 2}', 1.9, True)]
)
async def test_a_fleet_is_full_when_what_it_may_promise_is(
    fleet: Fleet, lead: Leadership, queues: Queues, overcommit: str, kept: float, full: bool
) -> None:
    """Not when it has promised what it has, where that may be promised more than once."""
    await fleet.node("node-1")
    update = (
        "UPDATE nodes SET overcommit = CAST(:overcommit AS jsonb), "
        "cpu_claimed = CAST(cpu_millicores * CAST(:kept AS float8) AS bigint) RETURNING id"
    )
    await fleet.rows(update, overcommit=overcommit, kept=kept)

    news = await look(lead, queues, Noticing(), ())

    assert ("capacity.low:default/CPU" in {one.key for one in news.opened}) is full


@pytest.mark.parametrize(("own", "full"), [("{}", False), ('{"cpu": 1}', True)])
async def test_a_policy_says_what_a_fleet_may_promise_where_neither_node_nor_cluster_does(
    fleet: Fleet, lead: Leadership, queues: Queues, own: str, full: bool
) -> None:
    """Its latest version, as the scheduler has it."""
    await fleet.node("node-1")
    async with fleet.process.database.begin() as tx:
        for ratio in (1.0, 2.0):
            document = PolicyDocument(name="dense", scorers={"balance": 1.0}, overcommit=Overcommit(cpu=ratio))
            await policies.apply(tx, document, "test", "")
    await fleet.rows("UPDATE clusters SET policy = 'dense', overcommit = CAST(:own AS jsonb) RETURNING id", own=own)
    await fleet.rows("UPDATE nodes SET cpu_claimed = cpu_millicores * 3 / 2 RETURNING id")

    news = await look(lead, queues, Noticing(), ())

    assert ("capacity.low:default/CPU" in {one.key for one in news.opened}) is full


async def test_events_of_problems_are_read_by_everybody(
    fleet: Fleet, lead: Leadership, queues: Queues, make_process: MakeProcess
) -> None:
    """They go the way of every event: through the outbox."""
    queues.depths = {"pathfinder.recorder": 9000}

    await look(lead, queues, Noticing(), ())

    assert ("queue.backlog",) in await fleet.rows("SELECT routing_key FROM outbox")


async def test_a_look_that_fails_is_not_the_last(
    fleet: Fleet, lead: Leadership, queues: Queues, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL goes away in the middle, or there is a mistake in a rule: the controller goes on, and looks again."""
    failures: list[Exception] = [Unavailable("away"), ValueError("a mistake")]

    async def failing(*_: object, **__: object) -> None:
        if not failures:
            fleet.process.stopping.set()
            return
        raise failures.pop()

    monkeypatch.setattr(worker, "look", failing)
    monkeypatch.setattr(worker, "LOOK_SECONDS", 0.01)

    await watch(fleet.process, queues, Watch(fleet.process), lead)

    assert failures == []


async def test_what_is_wrong_can_be_listed_and_what_is_over_too(
    fleet: Fleet, lead: Leadership, queues: Queues, api: httpx2.AsyncClient
) -> None:
    """Newest first, page by page."""
    await fleet.node("node-1")
    queues.depths = {"pathfinder.scheduler": 9000}
    await look(lead, queues, Noticing(), ())
    await fleet.rows("UPDATE nodes SET status = 'DOWN', down_at = now() RETURNING id")
    queues.depths = {}
    for _ in range(2):
        await look(lead, queues, Noticing(), ())

    (open_,) = (await api.get("/problems")).json()["items"]
    first = (await api.get("/problems", params={"all": True, "limit": 1})).json()
    rest = (await api.get("/problems", params={"all": True, "cursor": first["next_cursor"]})).json()

    assert (open_["kind"], open_["subject"], open_["cluster"]) == ("node.down", "node-1", "default")
    assert open_["closed_at"] is None
    assert open_["advice"]
    assert first["items"] == [open_]
    ((over,), none) = rest["items"], rest["next_cursor"]
    assert (over["kind"], over["cluster"], none) == ("queue.backlog", None, None)
    assert over["closed_at"]


async def test_a_node_that_beats_and_does_not_listen_is_told_of(
    fleet: Fleet, lead: Leadership, broker_url: str, channel: AbstractChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without anybody asking for the status; and that it is over once its agent listens."""
    monkeypatch.setattr(worker, "LOOK_SECONDS", 0.05)
    await fleet.node("node-1")
    queue = await topology.declare(channel, topology.node_queue("node-1"))
    process, queues = fleet.process, Queues()
    process.leading.add(worker.LEAD)
    connection = await aio_pika.connect(broker_url)
    measuring = asyncio.create_task(queues.measure(process, connection))

    async def deaf() -> bool:
        return queues.deaf == ["node-1"]

    async def hearing() -> bool:
        return queues.deaf == []

    await eventually(deaf)
    await look(lead, queues, Noticing(), ())
    assert ("node.deaf:node-1", True) in await rows(fleet)

    await queue.consume(take)
    await eventually(hearing)
    await look(lead, queues, Noticing(), ())
    assert ("node.deaf:node-1", False) in await rows(fleet)

    process.stopping.set()
    await measuring
    await connection.close()
    await channel.queue_delete(queue.name)


async def take(_: AbstractIncomingMessage) -> None:
    """As an agent that listens."""


async def test_what_is_dear_to_ask_is_asked_seldom_and_stays_as_it_was(
    fleet: Fleet, lead: Leadership, queues: Queues
) -> None:
    """A look that does not look for it says nothing of it."""
    await fleet.node("node-1")
    await fleet.ask("web")
    stuck = "UPDATE containers SET status = 'SCHEDULED', node_id = (SELECT id FROM nodes), status_at = {} RETURNING id"
    noticing = Noticing()

    await fleet.rows(stuck.format("now() - interval '11 min'"))
    await look(lead, queues, noticing, (), thorough=False)
    assert await rows(fleet) == []
    await look(lead, queues, noticing, ())
    await fleet.rows(stuck.format("now()"))
    await look(lead, queues, noticing, (), thorough=False)
    assert await rows(fleet) == [("container.stuck:node-1", True)]
    await look(lead, queues, noticing, ())
    assert await rows(fleet) == [("container.stuck:node-1", False)]
