"""Tidying up: what is old goes, what is young or still needed stays, and generations go on."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text
from workbench import Fleet, MakeProcess

from pathfinder.bootstrap import Process
from pathfinder.domain.errors import IdempotencyMismatch
from pathfinder.domain.specs import ContainerSpec
from pathfinder.store import clusters, events, pruning, requests
from pathfinder.store.events import Cursor
from workers.tidy import Tidy

ASKER = requests.Asker("test", "trace")


async def do(process: Process, statement: str, **given: object) -> None:
    """Run a statement."""
    async with process.database.begin() as tx:
        await tx.execute(text(statement), given)


async def delete(fleet: Fleet, *hostnames: str) -> None:
    """Delete containers that never had an instance: they are gone at once."""
    for hostname in hostnames:
        async with fleet.process.database.begin() as tx:
            await requests.delete(tx, fleet.cluster_id, hostname, ASKER)


async def age(fleet: Fleet, table: str, column: str, days: float) -> None:
    """Make the rows of a table that old."""
    await do(
        fleet.process,
        f"UPDATE {table} SET {column} = now() - make_interval(secs => CAST(:days AS float8) * 86400)",  # noqa: S608
        days=days,
    )


async def count(fleet: Fleet, table: str) -> int:
    """The number of rows of a table."""
    ((found,),) = await fleet.rows(f"SELECT count(*) FROM {table}")  # noqa: S608
    return int(str(found))


async def test_a_deleted_container_is_forgotten_after_its_time(fleet: Fleet) -> None:
    """Living ones stay, however old; deleted ones stay until then."""
    await fleet.ask("old", "living")
    await delete(fleet, "old")
    await age(fleet, "containers", "status_at", 31)
    await fleet.ask("young")
    await delete(fleet, "young")

    await Tidy(fleet.process).run()

    assert await fleet.statuses() == {"living": "PENDING", "young": "DELETED"}


async def test_generations_go_on_where_forgotten_containers_stopped(fleet: Fleet) -> None:
    """A late command about the old container is older than everything about the new one."""
    await fleet.ask("web", "other")
    await do(fleet.process, "UPDATE containers SET generation = 7 WHERE hostname = 'web'")
    await delete(fleet, "web", "other")
    await age(fleet, "containers", "status_at", 31)
    await Tidy(fleet.process).run()
    assert await count(fleet, "containers") == 0

    await fleet.ask("web", "new")

    assert await fleet.rows("SELECT hostname, generation FROM containers ORDER BY hostname") == [("new", 7), ("web", 7)]


async def test_a_deleted_container_with_an_instance_somewhere_is_remembered(fleet: Fleet) -> None:
    """A departure is a former placement that nobody has reported gone."""
    node_id = await fleet.node("node-01")
    (id_,) = await fleet.ask("web")
    await delete(fleet, "web")
    await do(
        fleet.process,
        "INSERT INTO departures (container_id, generation, node_id) VALUES (:id, 1, :node)",
        id=id_,
        node=node_id,
    )
    await age(fleet, "containers", "status_at", 31)

    await Tidy(fleet.process).run()

    assert await count(fleet, "containers") == 1


async def test_attempts_of_a_forgotten_container_go_with_it(fleet: Fleet) -> None:
    """And old ones of living containers by themselves."""
    ids = await fleet.ask("gone", "living")
    for id_ in ids:
        for generation, days in ((1, 31), (2, 0)):
            await do(
                fleet.process,
                "INSERT INTO attempts (container_id, generation, node, fault, reason, at) "
                "VALUES (:id, :generation, 'n', 'node', 'full', now() - make_interval(days => :days))",
                id=id_,
                generation=generation,
                days=days,
            )
    await delete(fleet, "gone")
    await do(fleet.process, "UPDATE containers SET status_at = now() - interval '31 days' WHERE id = :id", id=ids[0])

    await Tidy(fleet.process).run()

    assert await fleet.rows("SELECT container_id, generation FROM attempts") == [(ids[1], 2)]


async def test_events_are_kept_for_ever_unless_a_setting_says_otherwise(fleet: Fleet) -> None:
    """A reader whose place was removed goes on with what is left."""
    await fleet.ask("web")
    await age(fleet, "events", "at", 400)
    await fleet.ask("web-2")
    before = await count(fleet, "events")

    await Tidy(fleet.process).run()
    assert await count(fleet, "events") == before

    fleet.process.settings.keep_events_days = 365
    await Tidy(fleet.process).run()
    async with fleet.process.database.begin() as tx:
        left = await events.read(tx, Cursor(), events.Query(), 100)
    assert [one.event.subject.name for one in left.events] == ["web-2"]


async def test_a_large_backlog_goes_batch_by_batch(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """No transaction is long, and the next batch does not wait for the next minute."""
    monkeypatch.setattr(pruning, "BATCH", 2)
    await fleet.ask(*(f"web-{number}" for number in range(5)))
    await delete(fleet, *(f"web-{number}" for number in range(5)))
    await age(fleet, "containers", "status_at", 31)
    tidy, left = Tidy(fleet.process), []
    for _ in range(5):
        await tidy.run()
        left.append(await count(fleet, "containers"))

    assert left == [3, 1, 0, 0, 0]


async def test_closed_problems_silent_roles_and_used_keys_go(fleet: Fleet) -> None:
    """Open problems, roles that live and young keys stay."""
    old, now = datetime.now(UTC) - timedelta(days=31), datetime.now(UTC)
    for name, closed in (("old", old), ("young", now), ("open", None)):
        await do(
            fleet.process,
            "INSERT INTO problems (id, key, kind, severity, subject, summary, advice, closed_at) "
            "VALUES (:id, :name, 'k', 's', 's', 's', 'a', :closed)",
            id=uuid4(),
            name=name,
            closed=closed,
        )
    for name, seen in (("old", old), ("young", now)):
        await do(
            fleet.process,
            "INSERT INTO roles (id, role, host, pid, version, seen_at) VALUES (:id, :name, 'h', 1, '3', :seen)",
            id=uuid4(),
            name=name,
            seen=seen,
        )
        await do(
            fleet.process,
            "INSERT INTO idempotency_keys (cluster_id, key, request_sha256, created_at) VALUES (:c, :name, '', :at)",
            c=fleet.cluster_id,
            name=name,
            at=seen,
        )

    await Tidy(fleet.process).run()

    assert await fleet.rows("SELECT key FROM problems ORDER BY key") == [("open",), ("young",)]
    assert await fleet.rows("SELECT role FROM roles") == [("young",)]
    assert await fleet.rows("SELECT key FROM idempotency_keys") == [("young",)]
    await do(fleet.process, "DELETE FROM problems")
    await do(fleet.process, "DELETE FROM roles")


async def test_dead_letters_are_bounded_by_age_and_number(fleet: Fleet) -> None:
    """The oldest go first."""
    for number in range(6):
        await do(
            fleet.process,
            "INSERT INTO dead_letters (message_key, failed_at, queue, exchange, routing_key, reason, body, created_at) "
            "VALUES (:key, now(), :queue, 'e', 'k', 'r', '', now() - make_interval(days => :days))",
            key=uuid4(),
            queue=str(number),
            days=31 if number == 0 else 1,
        )
    fleet.process.settings.keep_dead_rows = 3

    await Tidy(fleet.process).run()

    assert await fleet.rows("SELECT queue FROM dead_letters ORDER BY id") == [("3",), ("4",), ("5",)]


async def test_a_table_that_cannot_be_tidied_does_not_keep_the_others_from_it(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor the controller from watching."""
    monkeypatch.setattr(pruning, "_CONTAINERS", "DELETE FROM no_such_table WHERE :batch > :days")
    await do(
        fleet.process,
        "INSERT INTO idempotency_keys (cluster_id, key, request_sha256, created_at) "
        "VALUES (:c, 'old', '', now() - interval '2 days')",
        c=fleet.cluster_id,
    )

    await Tidy(fleet.process).run()

    assert await count(fleet, "idempotency_keys") == 0


async def test_a_table_in_which_others_are_at_work_does_not_keep_the_others_from_it(
    fleet: Fleet, make_process: MakeProcess
) -> None:
    """Nobody is waited for."""
    await do(
        fleet.process,
        "INSERT INTO idempotency_keys (cluster_id, key, request_sha256, created_at) "
        "VALUES (:c, 'old', '', now() - interval '2 days')",
        c=fleet.cluster_id,
    )
    await do(
        fleet.process,
        "INSERT INTO roles (id, role, host, pid, version, seen_at) "
        "VALUES (:id, 'api', 'h', 1, '3', now() - interval '99 days')",
        id=uuid4(),
    )

    async with make_process().database.begin() as tx:
        await tx.execute(text("LOCK TABLE idempotency_keys IN ACCESS EXCLUSIVE MODE"))
        await Tidy(fleet.process).run()

    assert await count(fleet, "idempotency_keys") == 1
    assert await fleet.rows("SELECT id FROM roles WHERE role = 'api'") == []


async def test_a_key_whose_container_was_forgotten_is_refused(fleet: Fleet) -> None:
    """Not answered with nothing, and not carried out again either."""
    specs = [ContainerSpec(hostname="web")]

    async def ask() -> None:
        async with fleet.process.database.begin() as tx:
            await requests.create(tx, await clusters.find(tx, "default"), specs, ASKER, "key")

    await ask()
    await delete(fleet, "web")
    await age(fleet, "containers", "status_at", 31)
    await Tidy(fleet.process).run()

    with pytest.raises(IdempotencyMismatch, match="new key"):
        await ask()
