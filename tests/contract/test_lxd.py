"""What only real LXD can show: limits, marks, half-made instances, sockets."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pathfinder.domain.instances import InstanceOrder, Stage
from pathfinder.domain.resources import Resources
from pathfinder.runtime.lxd import LxdRuntime
from pathfinder.runtime.lxd_api import LxdApi
from pathfinder.runtime.lxd_exec import MOST_OUTPUT
from pathfinder.runtime.port import OperationFailed, Refused
from pathfinder.runtime.select import open_runtime

MakeOrder = Callable[..., InstanceOrder]

pytestmark = pytest.mark.lxd


def ignore(_stage: Stage, _percent: int | None) -> None:
    """A progress callback for tests that do not look at it."""


async def read(socket: Path, hostname: str) -> dict[str, Any]:
    """The instance as LXD itself describes it."""
    api = LxdApi(socket, threads=1)
    try:
        answer: dict[str, Any] = await api.get("instances", hostname)
        return answer
    finally:
        await api.close()


@pytest.mark.parametrize(
    ("millicores", "cores", "allowance"), [(2000, "2", None), (500, "1", "50ms/100ms"), (1250, "2", "125ms/100ms")]
)
async def test_limits_and_marks_are_in_the_instances_config(
    lxd: LxdRuntime, lxd_socket: Path, order: MakeOrder, millicores: int, cores: str, allowance: str | None
) -> None:
    wanted = order(resources=Resources(millicores, 64 << 20), generation=4, config={"user.note": "hello"})

    await lxd.create(wanted, ignore)

    config = (await read(lxd_socket, wanted.hostname))["config"]
    assert (config["limits.cpu"], config.get("limits.cpu.allowance")) == (cores, allowance)
    assert config["limits.memory"] == "64MiB"
    assert config["user.pathfinder.container"] == wanted.container_id
    assert config["user.pathfinder.generation"] == "4"
    assert config["user.pathfinder.cluster"] == wanted.cluster_id
    assert config["user.note"] == "hello"


async def test_a_container_with_limits_starts(lxd: LxdRuntime, order: MakeOrder) -> None:
    wanted = order(resources=Resources(250, 32 << 20))
    await lxd.create(wanted, ignore)

    await lxd.start(wanted.hostname)

    assert await lxd.address(wanted.hostname, 30)


async def test_a_create_from_an_image_of_the_node_is_one_call_besides_waiting_for_it(
    lxd: LxdRuntime, order: MakeOrder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call costs LXD milliseconds of a processor that the next container waits for."""
    asked: list[tuple[str, str]] = []
    call = lxd._api._call

    async def counted(method: str, path: tuple[str, ...], *rest: Any) -> Any:
        if path[:1] != ("operations",):
            asked.append((method, "/".join(path)))
        return await call(method, path, *rest)

    monkeypatch.setattr(lxd._api, "_call", counted)

    await lxd.create(order(resources=Resources()), ignore)

    assert asked == [("post", "instances")]


async def test_an_image_is_found_by_its_fingerprint(
    lxd: LxdRuntime, lxd_socket: Path, tiny_image: str, order: MakeOrder
) -> None:
    api = LxdApi(lxd_socket, threads=1)
    fingerprint = (await api.get("images", "aliases", tiny_image))["target"]
    await api.close()

    await lxd.create(order(image=f"local:{fingerprint[:12]}"), ignore)
    await lxd.create(order(image=fingerprint), ignore)


async def test_an_image_without_a_remote_is_taken_from_the_nodes_store(
    lxd: LxdRuntime, tiny_image: str, order: MakeOrder
) -> None:
    wanted = order(image=tiny_image)

    await lxd.create(wanted, ignore)

    assert await lxd.instance(wanted.hostname)


@pytest.mark.parametrize(
    "fields",
    [
        {"config": {"no.such": "key"}},
        {"devices": {"x": {"type": "no-such-type"}}},
        {"config": {"security.nesting": "perhaps"}},
        {"profiles": ()},
        {"hostname": "not_a_name"},
    ],
)
async def test_what_lxd_refuses_as_written_is_the_requests_fault_and_leaves_nothing(
    lxd: LxdRuntime, order: MakeOrder, fields: dict[str, object]
) -> None:
    wanted = order(**fields)

    with pytest.raises(Refused):
        await lxd.create(wanted, ignore)

    assert await lxd.instance(wanted.hostname) is None


async def leave_create_under_way(lxd: LxdRuntime, socket: Path, order: InstanceOrder) -> None:
    """Begin a create and drop it as a killed agent does: LXD has taken the request and goes on alone."""
    api = LxdApi(socket, threads=1)
    creating = asyncio.create_task(lxd.create(order, ignore))
    async with asyncio.timeout(5):
        while True:
            if order.hostname in str(await api.get("operations", params={"recursion": 1})):
                break
    creating.cancel()
    await api.close()


@pytest.mark.parametrize("later_seconds", [0, 0.01, 0.02, 0.03])
async def test_a_create_that_a_killed_agent_left_under_way_can_be_removed(
    lxd: LxdRuntime, lxd_socket: Path, order: MakeOrder, later_seconds: float
) -> None:
    wanted = order()
    await leave_create_under_way(lxd, lxd_socket, wanted)
    await asyncio.sleep(later_seconds)

    await lxd.remove(wanted.hostname)

    await asyncio.sleep(0.3)  # longer than the create takes: nothing may appear afterwards
    assert await lxd.instance(wanted.hostname) is None


async def test_a_create_that_a_killed_agent_left_under_way_can_be_started(
    lxd: LxdRuntime, lxd_socket: Path, order: MakeOrder
) -> None:
    wanted = order()
    await leave_create_under_way(lxd, lxd_socket, wanted)
    async with asyncio.timeout(5):
        while True:
            if await lxd.instance(wanted.hostname):
                break

    await lxd.start(wanted.hostname)

    assert await lxd.address(wanted.hostname, 30)


async def test_a_start_that_cannot_succeed_says_why(lxd: LxdRuntime, order: MakeOrder) -> None:
    wanted = order(devices={"eth0": {"type": "nic", "nictype": "bridged", "parent": "no-such-br"}})
    await lxd.create(wanted, ignore)

    with pytest.raises(OperationFailed, match="no-such-br"):
        await lxd.start(wanted.hostname)


async def test_lxd_is_chosen_where_it_answers(lxd_socket: Path, tmp_path: Path) -> None:
    runtime = await open_runtime("auto", lxd_socket, tmp_path)

    assert runtime.kind == "lxd"
    await runtime.close()


async def test_a_command_that_is_too_slow_is_killed_and_of_much_output_the_end_is_kept(
    lxd: LxdRuntime, order: MakeOrder
) -> None:
    """Nothing of it is left on the node's disk, and nothing of it runs on."""
    wanted = order()
    await lxd.create(wanted, ignore)
    await lxd.start(wanted.hostname)

    with pytest.raises(OperationFailed):
        await lxd.execute(wanted.hostname, ["sleep", "600"], timeout_seconds=1)
    much = await lxd.execute(wanted.hostname, ["sh", "-c", "seq 1 50000; exit 3"], timeout_seconds=20)
    missing = await lxd.execute(wanted.hostname, ["no-such-command"], timeout_seconds=20)

    async with asyncio.timeout(10):
        while not (await lxd.execute(wanted.hostname, ["pgrep", "-f", "sleep 600"], timeout_seconds=20)).exit_code:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    assert (much.exit_code, len(much.output), much.output[-6:]) == (3, MOST_OUTPUT, "50000\n")
    assert missing.exit_code == 127
