"""A source of metrics that goes down and comes back, on a real store: who is told of it, and when."""

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest
from workbench import Fleet

import workers.autoscaling
from pathfinder.bootstrap import Process
from pathfinder.controllers.noticing import Noticing
from pathfinder.controllers.usage import Usages
from pathfinder.store import leadership
from workers import problems
from workers.autoscaling import Autoscaler

AWAY, RUBBISH, TWENTY = (
    b"HTTP/1.1 %b\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (status, len(body), body)
    for status, body in ((b"503 Away", b""), (b"200 OK", b"<html>"), (b"200 OK", b"20"))
)
KIND = "deployment.metric_unknown"
TOLD = "Deployment web is not made smaller while these of its metrics cannot be told: queue (answered {})."


class Source:
    """Answers so, whatever it is asked."""

    answer = AWAY
    url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request."""
        await reader.readuntil(b"\r\n\r\n")
        writer.write(self.answer)
        await writer.drain()
        writer.close()


@pytest.fixture
async def source() -> AsyncIterator[Source]:
    made = Source()
    async with await asyncio.start_server(made.serve, "127.0.0.1", 0) as server:
        made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield made


class Controller:
    """Both parts of it that look, every 15 seconds; `scaler` is another one's after a change of leaders."""

    def __init__(self, process: Process, lead: leadership.Leadership, fleet: Fleet) -> None:
        self._process, self._lead, self._fleet = process, lead, fleet
        self._general = Noticing()
        self.now = 1000.0
        self.scaler = Autoscaler(process, lead, Usages())

    async def look(self, times: int) -> list[tuple[object, ...]]:
        """The problems there were since: what is wrong, and whether it is open."""
        for _ in range(times):
            self.now += 15
            await self.scaler.look()
            await problems.look(self._lead, problems.Queues(), self._general, ())
        return await self._fleet.rows(f"SELECT summary, closed_at IS NULL FROM problems WHERE kind = '{KIND}'")  # noqa: S608


@pytest.fixture
async def controller(process: Process, fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Controller]:
    async with leadership.session(process.database, "controller") as session:
        lead = await leadership.take(session, "controller")
        assert lead is not None
        made = Controller(process, lead, fleet)
        monkeypatch.setattr(workers.autoscaling, "steady_now", lambda: made.now)
        yield made
        await made.scaler._sources.close()


async def declare(api: httpx2.AsyncClient, url: str) -> None:
    queue = {"type": "http", "name": "queue", "url": url, "target_per_replica": 10}
    web = {"name": "web", "template": {"memory": "64MiB"}, "autoscaling": {"min": 0, "max": 4, "metrics": [queue]}}
    answer = await api.put("/deployments/web", json=web)
    assert answer.is_success, answer.text


async def test_a_source_that_fails_is_a_problem_until_it_answers_again(
    api: httpx2.AsyncClient, fleet: Fleet, controller: Controller, source: Source
) -> None:
    """After a while of failing, and until a while of answering, it is in `pfi status`, an event, and a notice; the
    controller's general look for problems leaves it alone.
    """
    hook = {"name": "ops", "url": "http://127.0.0.1:9/", "kinds": [KIND]}
    assert (await api.post("/webhooks", json=hook)).status_code == 201
    await declare(api, source.url)

    assert await controller.look(2) == []
    assert await controller.look(2) == [(TOLD.format("503"), True)]
    (found,) = [one for one in (await api.get("/status")).json()["findings"] if one["kind"] == KIND]
    assert (found["subject"], found["summary"]) == ("web", TOLD.format("503"))
    assert "`pfi --cluster default explain autoscaling web`" in found["advice"]

    source.answer = RUBBISH
    assert await controller.look(1) == [(TOLD.format("no JSON"), True)]
    source.answer = TWENTY
    assert await controller.look(2) == [(TOLD.format("no JSON"), True)]
    assert await controller.look(2) == [(TOLD.format("no JSON"), False)]

    assert [kind for kind in await fleet.kinds() if kind in {KIND, "problem.resolved"}] == [KIND, "problem.resolved"]
    told = await fleet.rows("SELECT state FROM deliveries ORDER BY state")
    assert told == [("firing",), ("resolved",)]
    assert await fleet.rows("SELECT replicas FROM deployments") == [(2,)]


async def test_a_source_that_nobody_asks_any_more_is_no_problem(
    api: httpx2.AsyncClient, controller: Controller, source: Source
) -> None:
    """It is over once the deployment that was scaled by it is gone, also for a controller that leads anew."""
    await declare(api, source.url)
    assert await controller.look(4) == [(TOLD.format("503"), True)]
    controller.scaler._noticing = Noticing()

    assert (await api.delete("/deployments/web")).is_success

    assert await controller.look(4) == [(TOLD.format("503"), False)]
