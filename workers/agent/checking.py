"""Looking after the containers of a node: their checks are run, and what crashed or is UNHEALTHY is started anew.

What to look for is kept with each instance, so an agent that was started anew knows it. It knows nothing then of how
they were: it says nothing of a container before its checks have answered. Only what changes is reported, and all of it
again with each inventory.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import structlog
from pydantic import ValidationError

from pathfinder.broker.connection import BrokerLost
from pathfinder.broker.publish import Unroutable
from pathfinder.controllers import health
from pathfinder.controllers.health import Answers, Remedy
from pathfinder.domain.checks import Check, RestartPolicy
from pathfinder.domain.instances import Instance
from pathfinder.domain.lifecycle import Health
from pathfinder.domain.messages import Envelope, Report
from pathfinder.runtime.port import Runtime, RuntimeFailure
from workers.agent.reporting import Reporter

log = structlog.get_logger()

#: Checks that are run at once; each takes as long as its container lets it.
PARALLEL = 32

ENDED = "its init ended"

#: The node's epoch, and how often its lease had run out: what was stopped in an earlier one did not crash.
Term = tuple[int, int]

#: Restarts an instance unless the node may not; its address then, None if it is not ours to start any more.
Restart = Callable[[Instance, Term], Awaitable[str | None]]


@dataclass(eq=False)
class _Ward:
    """A container that is looked after. `restarts`: in a row; `ended`: its init did; `told`: what was said last."""

    instance: Instance
    term: Term
    address: str
    checks: tuple[Check, ...]
    policy: RestartPolicy
    answers: list[Answers]
    restarts: int = 0
    ended: bool = False
    settled: bool = True
    started_at: float = field(default_factory=time.monotonic)
    told: tuple[Health, int] | None = None
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    mending: asyncio.Task[None] | None = None

    @property
    def id(self) -> str:
        return self.instance.container_id or ""

    @property
    def state(self) -> tuple[Health, str | None]:
        if self.ended:
            return Health.UNHEALTHY, ENDED
        return health.overall(zip(self.checks, self.answers, strict=True))

    def cancel(self) -> None:
        for task in (*self.tasks, *([self.mending] if self.mending else ())):
            if task is not asyncio.current_task():
                task.cancel()


class Checking:
    """What is looked after on a node. `reporter` is set while a connection stands."""

    def __init__(self, runtime: Runtime, restart: Restart, held: Callable[[], Collection[str]]) -> None:
        self._runtime = runtime
        self._restart = restart
        #: Ids of containers that are not to be judged now: their bootstrappers are carried out.
        self._held = held
        self._wards: dict[str, _Ward] = {}
        self._slots = asyncio.Semaphore(PARALLEL)
        self.reporter: Reporter | None = None

    @property
    def resting(self) -> set[str]:
        """Ids of containers whose init ended, and that this agent starts anew in its time, if at all."""
        return {ward.id for ward in self._wards.values() if ward.ended}

    def watch(self, instance: Instance, address: str | None, term: Term, *, fresh: bool = False) -> None:
        """Look after a running instance from now on, as is kept with it. `fresh`: it was just started."""
        before = self._wards.get(instance.container_id or "")
        known = before is not None and before.instance.generation == instance.generation and before.term == term
        if before is not None and known and not fresh and _same(before.instance, instance):
            before.address = address or before.address
            return
        try:
            checks = tuple(Check.model_validate(one) for one in instance.checks)
            policy = RestartPolicy.model_validate(instance.restart)
        except ValidationError as error:
            log.error("checks cannot be read", hostname=instance.hostname, error=str(error))
            return
        ward = _Ward(instance, term, address or "", checks, policy, [Answers()] * len(checks))
        if before is not None:
            before.cancel()
            if known:
                ward.restarts, ward.told, ward.settled = before.restarts, before.told, before.settled
        self._wards[ward.id] = ward
        ward.tasks = [asyncio.create_task(self._run(ward, place)) for place in range(len(checks))]

    def forget(self, container_id: str) -> None:
        """Look after it no more: it goes, or is made anew."""
        if (ward := self._wards.pop(container_id, None)) is not None:
            ward.cancel()

    def close(self) -> None:
        """Look after nothing any more."""
        for container_id in list(self._wards):
            self.forget(container_id)

    async def sync(self, there: Sequence[Instance], busy: Collection[str], term: Term) -> None:
        """Compare with the instances that are there, but for those that somebody is at work on."""
        for gone in self._wards.keys() - {one.container_id for one in there} - set(busy):
            self.forget(gone)
        for one in there:
            if one.container_id is None or one.container_id in busy:
                continue
            ward = self._wards.get(one.container_id)
            if ward is not None and (ward.term, ward.instance.generation) != (term, one.generation):
                self.forget(one.container_id)  # who gave it up since may have started it elsewhere
                ward = None
            if one.running and not (ward and ward.ended):
                self.watch(one, one.address, term)
            elif ward is not None and not one.running and ward.mending is None:
                await self._found_ended(ward)
        for ward in list(self._wards.values()):
            await self._settle(ward)

    async def look(self, hostname: str) -> None:
        """See whether the instance of that name still runs: there is a hint that it does not."""
        ward = next((one for one in self._wards.values() if one.instance.hostname == hostname), None)
        if ward is None or ward.mending is not None:
            return
        try:
            found = await self._runtime.instance(hostname)
        except RuntimeFailure:
            return  # the next list tells
        if found is not None and found.container_id == ward.id and not found.running and self._current(ward):
            await self._found_ended(ward)

    def told(self) -> list[dict[str, Any]]:
        """How they all are, for the inventory: those of which there is something to say."""
        return [_body(ward) for ward in self._wards.values() if ward.told or _known(ward)]

    async def say(self, container_id: str) -> None:
        """Report how it is, where that is news."""
        if (ward := self._wards.get(container_id)) is not None:
            await self._say(ward)

    # What one container's checks do

    async def _run(self, ward: _Ward, place: int) -> None:
        """One check, again and again."""
        check = ward.checks[place]
        # So that an agent that is started anew does not ask all of them at once.
        await asyncio.sleep(check.interval_seconds * (hash((ward.id, place)) % 997) / 997)
        while True:
            wait = ward.started_at + check.initial_delay_seconds - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            if not ward.ended and ward.id not in self._held():
                await self._ask(ward, place)
            await asyncio.sleep(check.interval_seconds)

    async def _ask(self, ward: _Ward, place: int) -> None:
        check, began = ward.checks[place], ward.started_at
        async with self._slots:
            try:
                failure = await self._runtime.probe(ward.instance.hostname, ward.address, check)
            except RuntimeFailure as error:
                log.warning("check not run", hostname=ward.instance.hostname, check=check.name, error=str(error))
                return  # the node's trouble says nothing about the container
        if ward.started_at != began or ward.ended or not self._current(ward):
            return  # it was about what was there before
        ward.answers[place] = health.answered(check, ward.answers[place], failure)
        await self._say(ward)
        if ward.state[0] is Health.UNHEALTHY:
            await self.look(ward.instance.hostname)
            self._mend(ward)

    def _current(self, ward: _Ward) -> bool:
        return self._wards.get(ward.id) is ward

    async def _found_ended(self, ward: _Ward) -> None:
        log.warning("init ended", hostname=ward.instance.hostname)
        ward.ended = True
        self._mend(ward)
        await self._say(ward)

    # What is done about it

    def _mend(self, ward: _Ward) -> None:
        if ward.mending is None and ward.policy.enabled and self._current(ward):
            ward.mending = asyncio.create_task(self._start_anew(ward))

    async def _start_anew(self, ward: _Ward) -> None:
        try:
            while await self._once(ward):
                pass
        finally:
            ward.mending = None

    async def _once(self, ward: _Ward) -> bool:
        """Wait, and restart it; whether that is to be tried again."""
        if health.remedy(ward.policy, ward.restarts, ward.instance.type) is Remedy.REPLACE:
            # It is to go elsewhere. Until that is heard it is tried on here.
            await self._say(ward, exhausted=True)
        await asyncio.sleep(health.delay_seconds(ward.policy, ward.restarts))
        if ward.state[0] is not Health.UNHEALTHY:
            return False  # it came round
        ward.restarts += 1
        ward.settled = False
        try:
            address = await self._restart(replace(ward.instance, running=not ward.ended), ward.term)
        except RuntimeFailure as error:
            log.warning("not restarted", hostname=ward.instance.hostname, error=str(error))
            return True
        if address is None:
            self.forget(ward.id)
            return False
        ward.address, ward.ended, ward.started_at = address, False, time.monotonic()
        ward.answers[:] = [Answers()] * len(ward.checks)
        log.warning("restarted", hostname=ward.instance.hostname, restarts=ward.restarts)
        await self._say(ward)
        return False

    async def _settle(self, ward: _Ward) -> None:
        """Forget the restarts of one that has stayed well since for longer than the last pause was."""
        calm = max(health.SETTLED_SECONDS, health.delay_seconds(ward.policy, ward.restarts))
        if ward.restarts and ward.state[0] is not Health.UNHEALTHY and time.monotonic() - ward.started_at >= calm:
            ward.restarts, ward.settled = 0, True
            await self._say(ward)

    async def _say(self, ward: _Ward, *, exhausted: bool = False) -> None:
        state = (ward.state[0], ward.restarts)
        news = state != ward.told if ward.told else _known(ward)
        if not exhausted and not news:
            return
        ward.told = state
        if (reporter := self.reporter) is None:
            return
        about = Envelope(
            Report.HEALTH,
            ward.instance.cluster_id or "",
            ward.id,
            ward.instance.generation,
            body={"hostname": ward.instance.hostname},
        )
        try:
            await reporter.about(about, Report.HEALTH, **_body(ward), **({"exhausted": True} if exhausted else {}))
        except (BrokerLost, Unroutable) as error:
            log.warning("not said; the next inventory tells", hostname=ward.instance.hostname, reason=str(error))


def _same(one: Instance, other: Instance) -> bool:
    return (one.checks, one.restart) == (other.checks, other.restart)


def _known(ward: _Ward) -> bool:
    """Whether anything is known of it that is not so of every container."""
    return ward.state[0] is not Health.UNKNOWN or ward.restarts > 0


def _body(ward: _Ward) -> dict[str, Any]:
    found, message = ward.state
    return {
        "container_id": ward.id,
        "generation": ward.instance.generation,
        "health": found,
        "message": message,
        "restarts": ward.restarts,
        "settled": ward.settled,
    }
