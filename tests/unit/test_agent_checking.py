"""How a node looks after its containers: what it says of them, and when it starts them anew."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast

import pytest

from pathfinder.domain.instances import Instance, InstanceOrder
from pathfinder.domain.lifecycle import ContainerType, Health
from pathfinder.domain.messages import Envelope, Report
from pathfinder.runtime.simulated import Pace, SimulatedRuntime
from pathfinder.settings import Settings
from workers.agent import lease
from workers.agent.admission import Admission, Membership
from workers.agent.checking import Checking
from workers.agent.lease import Lease
from workers.agent.reporting import Reporter
from workers.agent.worklist import Worklist

FAST = {"name": "web", "tcp": {"port": 80}, "interval_seconds": 0.02, "unhealthy_after": 2}
SOON = {"delay_seconds": 0.02, "most_delay_seconds": 0.05, "replace_after": 3}


class Said:
    """Stands in for a reporter: keeps what was said."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []

    async def about(self, about: Envelope, kind: Report, **body: Any) -> None:
        """Keep it."""
        assert kind == Report.HEALTH
        self.bodies.append({**body, "generation": about.generation})

    @property
    def states(self) -> list[tuple[str, int]]:
        """Health and restarts, as they were said."""
        return [(one["health"], one["restarts"]) for one in self.bodies]


class Node:
    """A node that is heard, with one container that runs."""

    def __init__(self, directory: Path) -> None:
        self.runtime = SimulatedRuntime(pace=Pace(0, 0, 0, 0))
        settings = Settings(state_dir=directory)
        self.membership = Membership(settings, self.runtime)
        self.membership._admission = Admission("n", "node-01", "k", "", 0, 5.0, 15.0)
        self.lease = Lease(directory / "lease.json")
        self.lease.renew("k", lease.now(), 3600)
        self.works = Worklist(self.runtime, self.membership, self.lease, settings)
        self.said = Said()
        self.works.checking.reporter = cast(Reporter, self.said)

    @property
    def checking(self) -> Checking:
        """What looks after it."""
        return self.works.checking

    async def runs(self, **fields: Any) -> None:
        """The container is started, and looked after."""
        order = InstanceOrder("web", "c", 3, "k", "local:tiny", **({"checks": (FAST,), "restart": SOON} | fields))
        await self.runtime.create(order, lambda *_: None)
        await self.runtime.start("web")
        await self.sync()

    async def sync(self) -> None:
        """As with each inventory."""
        await self.checking.sync(await self.runtime.instances("k"), (), self.works.term)

    async def crash(self) -> None:
        """Its init ends, and somebody hears of it."""
        await self.runtime.stop("web", 0)
        await self.checking.look("web")

    async def found(self) -> Instance:
        """What is there."""
        found = await self.runtime.instance("web")
        assert found is not None
        return found


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    """A node; what looks after its container ends with the test."""
    made = Node(tmp_path)
    yield made
    made.checking.close()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for it."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what changes it tells nobody
            await asyncio.sleep(0.005)


async def test_only_changes_are_said(node: Node) -> None:
    """However often its checks answer; before they did there is nothing to say."""
    await node.runs(restart={"enabled": False})
    assert node.checking.told() == []
    await until(lambda: node.said.states == [(Health.HEALTHY, 0)])

    node.runtime.sick["web"] = "no answer"
    await until(lambda: len(node.said.bodies) > 1)
    node.runtime.sick.clear()
    await until(lambda: len(node.said.bodies) > 2)

    assert node.said.states == [(Health.HEALTHY, 0), (Health.UNHEALTHY, 0), (Health.HEALTHY, 0)]
    assert node.said.bodies[1]["message"] == "web: no answer"
    assert node.said.bodies[0]["generation"] == 3
    assert [one["health"] for one in node.checking.told()] == [Health.HEALTHY]


async def test_an_unhealthy_container_is_restarted_until_it_is_to_go_elsewhere(node: Node) -> None:
    """Three times here; then its node asks for another place, and goes on meanwhile."""
    node.runtime.sick["web"] = "no answer"
    await node.runs()

    await until(lambda: any(one.get("exhausted") for one in node.said.bodies))

    asked = next(one for one in node.said.bodies if one.get("exhausted"))
    assert (asked["restarts"], asked["health"]) == (3, Health.UNHEALTHY)
    assert (Health.UNKNOWN, 1) in node.said.states
    await until(lambda: (Health.UNKNOWN, 4) in node.said.states)


async def test_a_container_with_a_disk_is_restarted_for_ever(node: Node) -> None:
    """Nothing of it is elsewhere."""
    node.runtime.sick["web"] = "no answer"
    await node.runs(type=ContainerType.STATEFUL)

    await until(lambda: (Health.UNKNOWN, 5) in node.said.states)

    assert not any(one.get("exhausted") for one in node.said.bodies)


async def test_one_whose_init_ended_is_started_again(node: Node) -> None:
    """With or without checks; until then the inventory leaves it to its agent."""
    await node.runs(checks=())

    await node.crash()
    assert node.checking.resting == {"c"}
    await until(lambda: not node.checking.resting)

    assert (await node.found()).running
    assert node.said.states == [(Health.UNHEALTHY, 0), (Health.UNKNOWN, 1)]
    assert node.said.bodies[0]["message"] == "its init ended"


async def test_one_that_is_not_to_be_restarted_is_left_as_it_ended(node: Node) -> None:
    await node.runs(restart={"enabled": False})

    await node.crash()
    await node.sync()

    assert node.checking.resting == {"c"}
    assert not (await node.found()).running
    assert node.said.states[-1] == (Health.UNHEALTHY, 0)


async def test_what_stopped_while_the_node_was_not_heard_did_not_crash(node: Node) -> None:
    """It may run elsewhere by now: whoever placed it decides, not this node."""
    await node.runs(checks=())
    await node.runtime.stop("web", 0)
    node.lease.renew("k", lease.now() - 60, 15)
    node.lease.renew("k", lease.now(), 3600)

    await node.sync()

    assert node.checking.resting == set()
    assert not (await node.found()).running
    assert node.said.bodies == []


async def test_nothing_is_restarted_while_the_lease_does_not_stand(node: Node) -> None:
    await node.runs(checks=())
    node.lease.renew("k", lease.now() - 60, 15)

    await node.crash()
    await until(lambda: not node.checking.resting)

    assert not (await node.found()).running


async def test_a_new_agent_says_nothing_before_checks_have_answered(node: Node, tmp_path: Path) -> None:
    """And it takes what to look for from the instance."""
    await node.runs(checks=({**FAST, "initial_delay_seconds": 3600},))
    node.checking.close()
    assert node.said.bodies == []

    after = Node(tmp_path)
    after.runtime = node.runtime
    after.works = Worklist(node.runtime, after.membership, after.lease, Settings(state_dir=tmp_path))
    await after.sync()

    assert after.checking.told() == []
    after.checking.close()


async def test_a_container_is_not_judged_while_it_is_bootstrapped(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """A restart would end its bootstrappers."""
    held = {"c"}
    monkeypatch.setattr(node.checking, "_held", lambda: held)
    node.runtime.sick["web"] = "not installed yet"
    await node.runs()
    await asyncio.sleep(0.2)  # ten times its interval
    assert node.said.bodies == []

    held.clear()

    await until(lambda: (Health.UNHEALTHY, 0) in node.said.states)


async def test_restarts_are_forgotten_once_it_stays_well(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then, and not before, is the next pause a short one again."""
    await node.runs(checks=())
    await node.crash()
    await until(lambda: not node.checking.resting)
    await node.sync()
    assert node.said.states[-1] == (Health.UNKNOWN, 1)

    monkeypatch.setattr("pathfinder.controllers.health.SETTLED_SECONDS", 0.0)
    await asyncio.sleep(0.1)  # longer than its longest pause
    await node.sync()

    assert node.said.states[-1] == (Health.UNKNOWN, 0)
    assert node.said.bodies[-1]["settled"] is True
