"""One run: start the client and the faults, stop them, wait until everything has settled, and judge."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import asyncpg
from aio_pika.exceptions import AMQPError

from chaos.checker import Violation, check
from chaos.customer import Customer
from chaos.evidence import Evidence
from chaos.faults import Fault
from chaos.ledger import Ledger
from chaos.meddler import Meddler
from chaos.owner import Owner
from pathfinder.embedded.errors import EmbeddedError
from pathfinder.embedded.lxd_client import LxdRefused

#: How long everything may take to come right once the faults are gone.
SETTLE_SECONDS = 90.0
LOOK_SECONDS = 1.0
READY_SECONDS = 180.0
#: What asking may meet while services are still coming back.
NOT_YET = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, AMQPError, EmbeddedError, LxdRefused)


@dataclass(frozen=True)
class Settings:
    """A run: its seed and length, the requests a second it aims at, and the mean pause between faults in seconds.

    `settle`: how many seconds everything may take to come right once the faults are gone.
    """

    seed: int
    seconds: float
    rate: float = 10.0
    pause: float = 1.5
    settle: float = SETTLE_SECONDS


@dataclass
class Log:
    """What was done to the fleet, with times: one JSON line each."""

    path: Path
    began: float = field(default_factory=time.time)
    counts: Counter[str] = field(default_factory=Counter)

    def note(self, what: str, **details: Any) -> None:
        """Write it down."""
        line = {"at": round(time.time() - self.began, 2), "time": time.time(), "what": what, **details}
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")


class Fleet(Protocol):
    """What a run is done to."""

    name: str

    async def all_ready(self) -> bool:
        """Whether every node is READY."""

    def plan(self, settings: Settings) -> list[Fault]:
        """What will be broken when."""

    def customer(self, settings: Settings, book: Ledger) -> Customer:
        """The client."""

    def owner(self, settings: Settings, book: Ledger) -> Owner:
        """Who owns the deployments."""

    def meddler(self, settings: Settings) -> Meddler:
        """What doubles, delays and reorders messages."""

    async def inject(self, fault: Fault) -> None:
        """Break what the fault says; return when it is mended again."""

    async def mend_all(self) -> None:
        """No fault is left, and everything that should run does."""

    async def watch(self) -> None:
        """Keep an eye on the machines until cancelled, where they keep no chronicle themselves."""

    async def evidence(self) -> Evidence:
        """Everything as it is now."""


@dataclass(frozen=True)
class Verdict:
    """How a run ended."""

    fleet: str
    settings: Settings
    faults: Counter[str]
    requests: Counter[str]
    demands: Counter[str]
    tries: int
    copied: int
    held: int
    containers: int
    events: int
    settled_seconds: float | None
    violations: Sequence[Violation]

    def as_json(self) -> dict[str, Any]:
        """For a file."""
        return {
            "fleet": self.fleet,
            "seed": self.settings.seed,
            "seconds": self.settings.seconds,
            "faults": dict(self.faults),
            "requests": dict(self.requests),
            "of deployments": dict(self.demands),
            "tries": self.tries,
            "messages copied": self.copied,
            "messages held": self.held,
            "containers": self.containers,
            "events": self.events,
            "settled seconds": self.settled_seconds,
            "violations": [violation._asdict() for violation in self.violations],
        }


async def conduct(fleet: Fleet, settings: Settings, record: Path) -> Verdict:
    """Run it; everything about it is kept in `record`."""
    log, book = Log(record / "faults.jsonl"), Ledger(record / "ledger.jsonl")
    await _until(fleet.all_ready, READY_SECONDS)
    customer, owner = fleet.customer(settings, book), fleet.owner(settings, book)
    meddler = fleet.meddler(settings)
    watching = asyncio.create_task(fleet.watch())
    log.note("begin", seed=settings.seed, seconds=settings.seconds)
    async with asyncio.TaskGroup() as group:
        group.create_task(customer.run())
        group.create_task(owner.run())
        meddling = group.create_task(meddler.run())
        await _break(fleet, fleet.plan(settings), settings.seconds, log)
        meddler.stop()
        await meddling
        await fleet.mend_all()
        log.note("faults gone")
        customer.stopping.set()
        owner.stopping.set()
        gone = time.monotonic()
    book.close()
    evidence, violations = await _settle(fleet, gone, settings.settle)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    settled = None if violations else round(time.monotonic() - gone, 1)
    log.note("judged", settled=settled, violations=violations)
    return Verdict(
        fleet.name,
        settings,
        log.counts,
        Counter(request.op for request in evidence.requests),
        Counter(demand.op for demand in evidence.demands),
        book.tries,
        meddler.copied,
        meddler.held,
        len(evidence.containers),
        len(evidence.events),
        settled,
        violations,
    )


async def _break(fleet: Fleet, plan: Sequence[Fault], seconds: float, log: Log) -> None:
    """Carry out the plan; what is still broken at the end is mended then."""
    began = asyncio.get_running_loop().time()

    async def one(fault: Fault) -> None:
        await asyncio.sleep(max(0.0, began + fault.at - asyncio.get_running_loop().time()))
        log.note(fault.kind, targets=fault.targets, seconds=fault.seconds)
        log.counts[fault.kind] += 1
        try:
            await fleet.inject(fault)
        except NOT_YET as error:
            log.note("could not", kind=fault.kind, error=str(error))
        else:
            if fault.seconds:
                log.note(f"end of {fault.kind}", targets=fault.targets)

    tasks = [asyncio.create_task(one(fault)) for fault in plan]
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, Exception):
            raise result


async def _settle(fleet: Fleet, gone: float, longest: float) -> tuple[Evidence, Sequence[Violation]]:
    """Look until nothing is wrong twice in a row, at most `longest` seconds after the faults were gone."""
    evidence, violations = Evidence(), [Violation("evidence", "services", "could not be asked")]
    clean = 0
    while clean < 2 and time.monotonic() - gone < longest:
        with suppress(*NOT_YET):
            evidence = await fleet.evidence()
            violations = check(evidence)
            clean = 0 if violations else clean + 1
        await asyncio.sleep(LOOK_SECONDS)
    return evidence, violations


async def _until(check: Any, seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while True:
            with suppress(*NOT_YET):
                if await check():
                    return
            await asyncio.sleep(0.2)
