"""A node changes its credential by itself: whatever is lost or dies on the way, it has one that is good."""

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
import structlog
from structlog.testing import capture_logs
from workbench import Fleet, MakeProcess, eventually

import workers.agent
from api.app import create_app
from api.tail import Tail
from pathfinder.bootstrap import Process
from pathfinder.runtime.simulated import SimulatedRuntime
from pathfinder.settings import Settings
from pathfinder.store import clusters, credentials, tokens
from workers.agent.admission import Membership
from workers.agent.credential import Kept

#: What an agent does to change its credential, in this order, and dies before or after.
STEPS = ("write 1", "ask 1", "ask 2", "write 2")


class Killed(BaseException):
    """The agent dies here."""


class Steps:
    """Counts what an agent does, and has it fail before or after one of these steps."""

    def __init__(self) -> None:
        self.done: dict[str, int] = {}
        self.failing: tuple[str, str] | None = None
        self.failure: BaseException = Killed()

    def fail(self, when: str, step: str, failure: BaseException) -> None:
        self.done, self.failing, self.failure = {}, (when, step), failure

    def before(self, what: str) -> str:
        self.done[what] = self.done.get(what, 0) + 1
        step = f"{what} {self.done[what]}"
        self._at("before", step)
        return step

    def after(self, step: str) -> None:
        self._at("after", step)

    def _at(self, when: str, step: str) -> None:
        if self.failing == (when, step):
            self.failing = None
            raise self.failure


@pytest.fixture
def steps(process: Process, monkeypatch: pytest.MonkeyPatch) -> Steps:
    """Agents of this test ask an API in this process, and everything they ask or write is a step."""
    made, app = Steps(), httpx2.ASGITransport(create_app(process, Tail(process)))
    keep = Kept.keep

    class Wire(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            step = made.before("ask")
            answer = await app.handle_async_request(request)
            made.after(step)
            return answer

    def writing(kept: Kept, admission: dict[str, Any]) -> None:
        step = made.before("write")
        keep(kept, admission)
        made.after(step)

    monkeypatch.setattr(httpx2, "AsyncClient", partial(httpx2.AsyncClient, transport=Wire()))
    monkeypatch.setattr(Kept, "keep", writing)
    return made


@pytest.fixture
async def agent(process: Process, tmp_path: Path, steps: Steps) -> Membership:
    """An agent that joined, and has no join token any more."""
    async with process.database.begin() as tx:
        cluster = await clusters.find(tx, "default")
        secret = await tokens.create(tx, "joiner", "join", cluster.id)
    joining = Membership(_settings(tmp_path, join_token=secret), SimulatedRuntime())
    assert await joining.rejoin()
    return await started(tmp_path)


async def started(directory: Path) -> Membership:
    """An agent that has only what is on its disk."""
    made = Membership(_settings(directory), SimulatedRuntime())
    assert await made.rejoin(), "locked out"
    return made


def _settings(directory: Path, **more: object) -> Settings:
    return Settings(node_name="node-01", state_dir=directory, api_url="http://pathfinder", **more)  # type: ignore[arg-type]


async def test_an_agent_at_work_changes_its_credential_by_itself(
    process: Process, make_process: MakeProcess, steps: Steps, tmp_path: Path
) -> None:
    """Again and again, also while RabbitMQ is away."""
    async with process.database.begin() as tx:
        secret = await tokens.create(tx, "joiner", "join")
    given = {"node_name": "node-01", "api_url": "http://pathfinder", "join_token": secret, "state_dir": tmp_path}
    agent, seen = make_process(credential_hours=1e-6, **given), set[str]()
    working = asyncio.create_task(workers.agent.serve(agent, SimulatedRuntime()))

    async def changed() -> bool:
        assert not working.done()
        seen.update(Kept(tmp_path / "agent.json").tokens())
        return len(seen) > 4

    await eventually(changed)
    agent.stopping.set()
    await working
    assert await good(process, Kept(tmp_path / "agent.json").tokens()[-1])


async def good(process: Process, token: str) -> bool:
    async with process.database.begin() as tx:
        return await credentials.holder(tx, token) is not None


async def test_a_node_changes_its_credential_and_the_former_one_ends(
    agent: Membership, process: Process, fleet: Fleet, tmp_path: Path
) -> None:
    """It asks with the new one from then on, also after a restart, and nobody logs either of them."""
    former = agent.now.token
    structlog.reset_defaults()
    with capture_logs() as logged:
        await agent.renew()

    assert agent.now.token != former
    assert not await good(process, former)
    assert Kept(tmp_path / "agent.json").tokens() == [agent.now.token]
    assert await fleet.rows("SELECT count(*) FROM tokens WHERE role = 'node'") == [(1,)]
    for secret in (former, agent.now.token):
        assert secret not in f"{logged}{agent.now}"
    await started(tmp_path)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
async def test_an_agent_that_dies_while_it_changes_its_credential_is_not_locked_out(
    agent: Membership, process: Process, steps: Steps, fleet: Fleet, tmp_path: Path, when: str, step: str
) -> None:
    """Before and after each step; and what is left of former credentials ends with the next change."""
    steps.fail(when, step, Killed())
    with pytest.raises(Killed):
        await agent.renew()

    again = await started(tmp_path)
    await again.renew()

    assert await good(process, again.now.token)
    assert await fleet.rows("SELECT count(*) FROM tokens WHERE role = 'node'") == [(1,)]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
async def test_what_is_lost_on_the_way_is_made_good_by_the_same_agent(
    agent: Membership, process: Process, steps: Steps, fleet: Fleet, when: str, step: str
) -> None:
    """A request, its answer, or what the disk did not take: until the next try, its credential is a good one."""
    failure = OSError("No space left on device") if step.startswith("write") else httpx2.ReadTimeout("lost")
    steps.fail(when, step, failure)
    with pytest.raises(type(failure)):
        await agent.renew()
    assert await good(process, agent.now.token)

    await agent.renew()

    assert await good(process, agent.now.token)
    assert await fleet.rows("SELECT count(*) FROM tokens WHERE role = 'node'") == [(1,)]


async def test_a_change_that_was_asked_for_twice_is_done_once(
    agent: Membership, api: httpx2.AsyncClient, process: Process, fleet: Fleet
) -> None:
    """The former credential stays until the other one is used, and then cannot bring itself back."""
    following = "pf_the-next-one"
    former, body = agent.now.token, {"sha256": tokens.digest(following)}

    async def ask(token: str) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        return (await api.put("/nodes/credential", json=body, headers=headers)).status_code

    assert [await ask(former), await ask(former)] == [204, 204]
    assert await good(process, former)
    assert await good(process, following)
    assert [await ask(following), await ask(following)] == [204, 204]
    assert [await ask(former), await good(process, former), await good(process, following)] == [401, False, True]
    async with process.database.begin() as tx:
        found = await credentials.holder(tx, following)
        assert found is not None
        assert (found.hostname, str(found.node_id)) == ("node-01", agent.now.node_id)
    await fleet.rows("DELETE FROM nodes RETURNING id")
    assert not await good(process, following)


async def test_nobody_takes_anothers_credential_or_changes_one_that_is_no_nodes(
    agent: Membership, api: httpx2.AsyncClient
) -> None:
    """The operator's token is not the node's to have, and an operator has no credential to change."""
    theirs = {"sha256": tokens.digest(api.headers["Authorization"].removeprefix("Bearer "))}
    node = {"Authorization": f"Bearer {agent.now.token}"}

    assert (await api.put("/nodes/credential", json=theirs, headers=node)).status_code == 409
    assert (await api.put("/nodes/credential", json=theirs)).status_code == 403
    assert (await api.put("/nodes/credential", json={"sha256": "secret"}, headers=node)).status_code == 422
