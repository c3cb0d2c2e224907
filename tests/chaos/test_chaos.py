"""A short run of what `make chaos` does for minutes: real services and roles, simulated machines, one seed."""

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import asyncpg
import pytest

from chaos.conduct import NOT_YET, Settings, conduct
from chaos.faults import AWAY_SHARE, KINDS, Fault, plan
from chaos.owner import Estate
from chaos.simulated import Simulated
from chaos.stage import ROLES, Stage

NODES = [f"node-{number:03d}" for number in range(1, 201)]
BRISK = {
    "PATHFINDER_INVENTORY_SECONDS": "4",
    "PATHFINDER_GRACE_SECONDS": "3",
    "PATHFINDER_SWEEP_SECONDS": "2",
    "PATHFINDER_HEARTBEAT_SECONDS": "2",
    "PATHFINDER_LEASE_SECONDS": "6",
}
#: The machine that dies.
VICTIM = "node-001"


def test_the_same_seed_breaks_the_same_things() -> None:
    """So that what was found once can be looked for again; another seed breaks others."""
    hosts = ["agents-1", "agents-2"]

    assert plan(7, 300, NODES, ROLES, hosts) == plan(7, 300, NODES, ROLES, hosts)
    assert plan(7, 300, NODES, ROLES, hosts) != plan(8, 300, NODES, ROLES, hosts)


@pytest.mark.parametrize("seed", range(1, 11))
def test_five_minutes_hold_nearly_every_kind_of_fault_but_never_too_many_nodes_at_once(seed: int) -> None:
    """And crashes of a service leave it the time to come back."""
    faults = plan(seed, 300, NODES, ROLES, ["agents-1"])

    assert len({fault.kind for fault in faults}) >= len(KINDS) - 2
    for kind in ("crash postgres", "crash rabbitmq"):
        times = [fault.at for fault in faults if fault.kind == kind]
        assert all(later - earlier >= KINDS[kind][1] for earlier, later in pairwise(times))
    gone = [fault for fault in faults if fault.kind in ("partition nodes", "power nodes off")]
    for fault in gone:
        away = {one for other in gone if other.at <= fault.at < other.at + other.seconds for one in other.targets}
        assert len(away) <= AWAY_SHARE * len(NODES)


@pytest.fixture
def record() -> Iterator[Path]:
    """Where a run keeps what it does: a short path that service accounts may pass."""
    with tempfile.TemporaryDirectory(prefix="pf-chaos-") as directory:
        Path(directory).chmod(0o711)
        yield Path(directory)


@pytest.fixture
def stage(record: Path) -> Iterator[Stage]:
    """A small simulated fleet."""
    made = Stage(record / "stage", nodes=24, hosts=2, settings=BRISK)
    try:
        made.up()
        yield made
    finally:
        made.down()


class Deadly(Simulated):
    """At the end of it all a machine has no power for as long as it takes until what ran there is placed anew."""

    estate = Estate(2, 2, 4, images=(None, "local:other"), pause=2.0)

    def plan(self, settings: Settings) -> list[Fault]:
        """But for what takes agents away: leases are brief here, and no other process looks after these machines."""
        kinds = {kind: rate for kind, rate in KINDS.items() if not kind.endswith("agents")}
        hosts = self.stage.hosts
        return plan(settings.seed, settings.seconds, self.stage.nodes, ROLES, hosts, pause=settings.pause, kinds=kinds)

    async def mend_all(self) -> None:
        """Other faults are gone, so nothing gives it a fresh lease again and again; users go on asking."""
        for kind in ("cut", "dead"):
            self.stage.set_fault(kind, VICTIM)
        await until_happened(self.stage, "node.down", "container.rescheduled")
        await super().mend_all()


async def until_happened(stage: Stage, *kinds: str) -> None:
    """Return once there are such events about the machine that dies, or about what was lost on it."""
    seen: set[str] = set()
    with suppress(TimeoutError):
        async with asyncio.timeout(60):
            while not seen >= set(kinds):
                with suppress(*NOT_YET):
                    seen = await happened(stage)
                await asyncio.sleep(0.5)
    assert seen >= set(kinds)


async def happened(stage: Stage) -> set[str]:
    """The kinds of these events."""
    connection = await asyncpg.connect(stage.database_url.replace("+asyncpg", ""))
    try:
        rows = await connection.fetch("SELECT kind FROM events WHERE node = $1 OR subject_name = $1", VICTIM)
        lost = "SELECT subject_id FROM events WHERE kind = 'container.lost' AND node = $1"
        rows += await connection.fetch(f"SELECT kind FROM events WHERE subject_id IN ({lost})", VICTIM)  # noqa: S608
    finally:
        await connection.close()
    return {row["kind"] for row in rows}


async def test_a_short_chaos_loses_and_doubles_nothing(stage: Stage, record: Path) -> None:
    """Faults of every sort and a machine's death for some seconds, and then the checker has nothing to say."""
    verdict = await conduct(Deadly(stage, record), Settings(seed=9, seconds=15, pause=0.8), record)

    assert list(verdict.violations) == []
    await until_happened(stage, "node.down", "container.lost", "container.rescheduled", "node.ready")
    assert verdict.faults.total() > 10
    assert verdict.requests["create"] > 20
    assert verdict.demands.total() > 2
