"""What an agent does with a command, and what it says of it."""

import errno
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from pathfinder.domain.instances import Fault, InstanceOrder
from pathfinder.domain.messages import Command, Envelope, Report
from pathfinder.runtime.simulated import Pace, SimulatedRuntime
from pathfinder.settings import Settings
from workers.agent import lease
from workers.agent.admission import Admission, Membership
from workers.agent.fences import Fences
from workers.agent.lease import Lease
from workers.agent.listing import Lister
from workers.agent.worklist import Worklist

CLUSTER, CONTAINER = str(uuid4()), str(uuid4())
BODY: dict[str, Any] = {
    "hostname": "web",
    "container_id": CONTAINER,
    "generation": 2,
    "cluster_id": CLUSTER,
    "image": "local:tiny",
    "type": "STATELESS",
    "resources": {},
    "profiles": ["default"],
    "epoch": 0,
}


class Heard:
    """Stands in for a reporter: keeps what was said."""

    def __init__(self) -> None:
        self.said: list[tuple[Report, dict[str, Any]]] = []

    async def about(self, _: Envelope, kind: Report, **body: Any) -> None:
        """Keep it."""
        self.said.append((kind, body))


def worklist(directory: Path, runtime: SimulatedRuntime, kept: Lease | None = None, cluster: str = CLUSTER) -> Worklist:
    """That of a node which is heard, unless told otherwise."""
    settings = Settings(state_dir=directory)
    membership = Membership(settings, runtime)
    membership._admission = Admission("n", "node-01", cluster, "", 0, 5.0, 15.0)
    if kept is None:
        kept = Lease(directory / "lease.json")
        kept.renew(cluster, lease.now(), 3600)
    return Worklist(runtime, membership, kept, settings)


async def carried_out(works: Worklist, kind: Command = Command.PROVISION, **changes: Any) -> list[Any]:
    """What is said of a command; keyword arguments replace what its body says."""
    body = BODY | {"cluster_id": works.cluster_id} | changes
    reporter = Heard()
    command = Envelope(kind, works.cluster_id, CONTAINER, generation=body["generation"], body=body)
    await works._carry_out(reporter, command)  # type: ignore[arg-type]
    return reporter.said


class Slow(SimulatedRuntime):
    """A machine whose starts take longer than its lease."""

    kept: Lease

    async def start(self, hostname: str) -> None:
        """Start it; meanwhile the lease runs out."""
        await super().start(hostname)
        self.kept.renew(CLUSTER, lease.now() - 60, 15)


@pytest.mark.parametrize("there", [False, True])
async def test_a_start_that_ends_after_the_lease_leaves_nothing_running(there: bool, tmp_path: Path) -> None:
    """What was there before is stopped and stays; what was made for the command goes."""
    runtime = Slow(pace=Pace(0, 0, 0, 0))
    runtime.kept = Lease(tmp_path / "lease.json")
    runtime.kept.renew(CLUSTER, lease.now(), 3600)
    if there:
        await runtime.create(InstanceOrder("web", CONTAINER, 2, CLUSTER, "local:tiny"), lambda *_: None)

    ((kind, _),) = await carried_out(worklist(tmp_path, runtime, runtime.kept))

    found = await runtime.instance("web")
    assert kind == Report.PROVISION_FAILED
    assert (found is not None, found is not None and found.running) == (there, False)


async def test_a_fence_that_the_disk_does_not_take_fails_the_command_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A provision says so besides its reason."""
    works = worklist(tmp_path, SimulatedRuntime(pace=Pace(0, 0, 0, 0)))
    monkeypatch.setattr(Fences, "_append", full)

    ((kind, body),) = await carried_out(works, hostname="other", image="local:broken")

    assert kind == Report.PROVISION_FAILED
    assert "cannot be unpacked" in body["reason"]
    assert "No space left on device" in body["reason"]


async def test_a_delete_on_a_full_disk_makes_the_room_that_its_fence_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else nothing would ever be deleted there, and no room come."""
    runtime = SimulatedRuntime(pace=Pace(0, 0, 0, 0))
    works = worklist(tmp_path, runtime)
    await carried_out(works)
    append, remove = Fences._append, runtime.remove

    async def removes(hostname: str) -> None:
        await remove(hostname)
        monkeypatch.setattr(Fences, "_append", append)

    monkeypatch.setattr(Fences, "_append", full)
    monkeypatch.setattr(runtime, "remove", removes)

    assert [kind for kind, _ in await carried_out(works, Command.DELETE)] == [Report.DELETED]
    assert worklist(tmp_path, runtime)._fences.of("web") == 2


async def test_nobody_hears_that_an_instance_is_gone_before_its_fence_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By no report and by no list: a late copy of its provision could bring it back once the agent started anew."""
    runtime = SimulatedRuntime(pace=Pace(0, 0, 0, 0))
    works = worklist(tmp_path, runtime)
    lister = Lister(works, works._membership, 60)
    await carried_out(works)

    with monkeypatch.context() as disk:
        disk.setattr(Fences, "_append", full)
        assert await carried_out(works, Command.DELETE) == []
        said = await lister._list()
        ((kind, body),) = await carried_out(works)

    assert await runtime.instance("web") is None
    assert (said["instances"], said["busy"]) == ([], [CONTAINER])
    assert (kind, body["looked"]) == (Report.PROVISION_FAILED, True)
    assert (await lister._list())["busy"] == []
    assert worklist(tmp_path, runtime)._fences.of("web") == 2


def full(*_: object) -> None:
    """What a full disk does."""
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("generation", [1, 2])
async def test_every_stale_provision_is_answered(generation: int, tmp_path: Path) -> None:
    """A database restored from a backup asks for generations that are over; silence would leave them SCHEDULED."""
    works = worklist(tmp_path, SimulatedRuntime(pace=Pace(0, 0, 0, 0)))
    await carried_out(works, Command.DELETE)

    ((kind, body),) = await carried_out(works, generation=generation)

    assert (kind, body["left"], body["fault"]) == (Report.PROVISION_FAILED, False, Fault.NODE)
    assert "given up here before" in body["reason"]


async def test_a_provision_that_a_later_placement_overtook_is_answered(tmp_path: Path) -> None:
    """What is there stays."""
    works = worklist(tmp_path, SimulatedRuntime(pace=Pace(0, 0, 0, 0)))
    await carried_out(works)

    ((kind, body),) = await carried_out(works, generation=1)

    found = await works.runtime.instance("web")
    assert (kind, body["left"]) == (Report.PROVISION_FAILED, True)
    assert found is not None
    assert (found.generation, found.running) == (2, True)


async def test_a_node_that_moved_to_another_cluster_takes_its_provisions(tmp_path: Path) -> None:
    """Generations begin anew there."""
    runtime = SimulatedRuntime(pace=Pace(0, 0, 0, 0))
    await carried_out(worklist(tmp_path, runtime), Command.DELETE)

    ((kind, _),) = await carried_out(worklist(tmp_path, runtime, cluster=str(uuid4())), generation=1)

    assert kind == Report.PROVISIONED


async def test_an_update_changes_what_runs_and_how_it_is_looked_after(tmp_path: Path) -> None:
    """Twice is harmless; that of another placement, or of an earlier epoch, changes nothing and is not answered."""
    works = worklist(tmp_path, SimulatedRuntime(pace=Pace(0, 0, 0, 0)))
    await carried_out(works)
    check = {"name": "web", "tcp": {"port": 80}}

    for changes in ({"generation": 1}, {"epoch": 7}):
        assert await carried_out(works, Command.UPDATE, checks=[check], **changes) == []
    unchanged = await works.runtime.instance("web")
    said = [await carried_out(works, Command.UPDATE, checks=[check]) for _ in range(2)]

    found = await works.runtime.instance("web")
    works.checking.close()
    assert unchanged is not None
    assert unchanged.checks == ()
    assert said == [[(Report.UPDATED, {"reason": None})]] * 2
    assert found is not None
    assert (found.running, found.checks) == (True, (check,))
