"""The commands in hand: one at a time for each hostname, different ones in parallel up to the node's limit."""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace

import structlog

from pathfinder import telemetry
from pathfinder.broker.consume import Delivery
from pathfinder.controllers import provisioning
from pathfinder.controllers.provisioning import Step
from pathfinder.domain.bootstrapping import File
from pathfinder.domain.errors import MalformedMessage
from pathfinder.domain.instances import Instance, InstanceOrder, Stage
from pathfinder.domain.lifecycle import ContainerType
from pathfinder.domain.messages import Command, Envelope, Report
from pathfinder.domain.resources import Resources
from pathfinder.failpoints import point
from pathfinder.runtime.port import InstanceExists, Runtime, RuntimeFailure
from pathfinder.settings import Settings
from workers.agent.admission import Membership
from workers.agent.bootstrap import Bootstraps
from workers.agent.checking import Checking, Term
from workers.agent.fences import FenceNotKept, Fences
from workers.agent.lease import Lease
from workers.agent.progress import Progress
from workers.agent.reporting import Reporter
from workers.agent.secrets import Secrets

log = structlog.get_logger()

#: How long a container that is UNHEALTHY has to stop by itself.
STOP_SECONDS = 10.0


class LeaseLost(RuntimeFailure):
    """This node may not start containers now."""


class GivenUp(RuntimeFailure):
    """This placement, or a later one, failed or was deleted here before. `left`: something of it is still here."""

    def __init__(self, message: str, *, left: bool) -> None:
        super().__init__(message)
        self.left = left


class Worklist:
    """Carries out commands on a runtime. Every command may come again: what is done already is reported again."""

    def __init__(
        self,
        runtime: Runtime,
        membership: Membership,
        lease: Lease,
        settings: Settings,
        watch: Callable[[Envelope], None] | None = None,
    ) -> None:
        """`watch` hears of what somebody looks at."""
        self._watch = watch or (lambda _: None)
        self.runtime = runtime
        self._membership = membership
        self._lease = lease
        self.parallel = settings.agent_parallel or 2 * (os.cpu_count() or 1)
        self._address_seconds = settings.address_timeout_seconds
        self._slots = asyncio.Semaphore(self.parallel)
        self._locks: dict[str, asyncio.Lock] = {}
        self._users: Counter[str] = Counter()
        self._busy: Counter[str] = Counter()
        self._watchers: list[set[str]] = []
        self._deletions: set[asyncio.Event] = set()
        self._secrets = Secrets(settings, membership)
        self.bootstraps = Bootstraps(runtime, self._secrets.filled)
        self.checking = Checking(runtime, self.restart, lambda: self.bootstraps.in_hand)
        self._fences = Fences(settings.state_dir / "fences.jsonl", self.cluster_id)
        #: Of deleted containers whose fence the disk did not take: their hostnames, by their ids.
        self._unfenced: dict[str, str] = {}

    @property
    def term(self) -> Term:
        """What changes when this node may have been given up: what is known of its containers does not count then."""
        return self._membership.now.epoch, self._lease.lapses

    @property
    def cluster_id(self) -> str:
        """The cluster whose instances are ours to touch."""
        return self._membership.now.cluster_id

    async def handle(
        self, reporter: Reporter, rejoin: Callable[[], Awaitable[None]], batch: Sequence[Delivery]
    ) -> None:
        """Carry out every command of the messages; they are acknowledged when all reports are confirmed."""
        async with asyncio.TaskGroup() as all_of_them:
            for delivery in batch:
                for envelope in delivery.envelopes:
                    if envelope.kind == Command.REJOIN:
                        all_of_them.create_task(self._rejoin(rejoin))
                    elif envelope.kind == Command.WATCH:
                        self._watch(envelope)
                    else:
                        all_of_them.create_task(self._carry_out(reporter, envelope))

    async def _rejoin(self, rejoin: Callable[[], Awaitable[None]]) -> None:
        """Once the deletes that came before are done, so that the list that follows does not show their instances."""
        await asyncio.gather(*(deletion.wait() for deletion in list(self._deletions)))
        await rejoin()

    @contextmanager
    def watching(self) -> Iterator[set[str]]:
        """The ids of containers that are worked on at any time while the context is open.

        One that is deleted counts until its fence is kept: else the list would tell of what is not reported yet.
        """
        touched = {*self._busy, *self._unfenced}
        self._watchers.append(touched)
        try:
            yield touched
        finally:
            self._watchers.remove(touched)

    async def _carry_out(self, reporter: Reporter, command: Envelope) -> None:
        hostname = command.body.get("hostname")
        if not isinstance(hostname, str) or command.cluster != self.cluster_id:
            raise MalformedMessage(
                f"{command.kind} for cluster {command.cluster} names no hostname of this node's cluster"
            )
        with self._deleting(command):
            await self._in_turn(reporter, command, hostname)

    @contextmanager
    def _deleting(self, command: Envelope) -> Iterator[None]:
        """While a delete is in hand, a `rejoin` that came after it waits."""
        done = asyncio.Event()
        if command.kind == Command.DELETE:
            self._deletions.add(done)
        try:
            yield
        finally:
            done.set()
            self._deletions.discard(done)

    async def _in_turn(self, reporter: Reporter, command: Envelope, hostname: str) -> None:
        async with self._turn(hostname, command.subject), self._slots:
            match command.kind:
                case Command.PROVISION | Command.BOOTSTRAP | Command.UPDATE if not self._is_present(command):
                    log.info("command of an earlier epoch refused", hostname=hostname, generation=command.generation)
                case Command.PROVISION:
                    await self._provision(reporter, command, read_order(command))
                case Command.DELETE:
                    await self._delete(reporter, command, hostname)
                case Command.UPDATE:
                    await self._update(reporter, command, read_order(command))
                case Command.BOOTSTRAP:
                    self.bootstraps.start(command)
                case _:
                    raise MalformedMessage(f"{command.kind} is not a command")

    def _is_present(self, command: Envelope) -> bool:
        return command.body.get("epoch") == self._membership.now.epoch

    @asynccontextmanager
    async def _turn(self, hostname: str, container_id: str) -> AsyncIterator[None]:
        self._users[hostname] += 1
        self._busy[container_id] += 1
        telemetry.BUSY.inc()
        for touched in self._watchers:
            touched.add(container_id)
        try:
            async with self._locks.setdefault(hostname, asyncio.Lock()):
                yield
        finally:
            telemetry.BUSY.dec()
            for counter, key in ((self._users, hostname), (self._busy, container_id)):
                counter[key] -= 1
                if not counter[key]:
                    del counter[key]
            if hostname not in self._users:
                self._locks.pop(hostname, None)

    async def _provision(self, reporter: Reporter, command: Envelope, order: InstanceOrder) -> None:
        step = None
        try:
            found = await self.runtime.instance(order.hostname)
            point("agent.provision.found")
            step = provisioning.provision(order, found, self._fences.of(order.hostname))
            if step == Step.REFUSE_STALE:
                # The report that it was given up may have been lost, or the database be older than what this node
                # knows; to whoever had another placement since, this is no news.
                raise GivenUp(
                    f"Generation {order.generation} of {order.hostname} was given up here before, or a later one was "
                    "here.",
                    left=found is not None,
                )
            if step == Step.REFUSE_FOREIGN:
                raise InstanceExists(
                    f"An instance named {order.hostname} that Pathfinder did not make is on this node; rename or "
                    "delete it, or choose another hostname."
                )
            address = await self._bring_up(reporter, command, order, step)
        except RuntimeFailure as error:
            reason = str(error)
            log.warning("provision failed", hostname=order.hostname, reason=reason)
            if step is not None and step not in (Step.KEEP, Step.START):
                # It is placed elsewhere as soon as that is heard; a copy of the command must not start it here then.
                reason += await self._fence(order)
            await reporter.about(
                command,
                Report.PROVISION_FAILED,
                reason=reason,
                fault=error.fault,
                kept=step in (Step.KEEP, Step.START),
                looked=step is not None,
                left=error.left,
            )
            return
        self.checking.watch(order.instance(running=True), address, self.term, fresh=step != Step.KEEP)
        point("agent.provision.addressed")
        await reporter.about(command, Report.PROVISIONED, ipaddress=address)
        point("agent.provision.reported")

    async def _fence(self, order: InstanceOrder) -> str:
        """Give this placement up; what to tell besides, where the disk does not take that."""
        try:
            await self._fences.put(order.hostname, order.generation)
        except FenceNotKept as error:
            log.error("fence not kept", hostname=order.hostname, error=str(error))
            return f" {error}"
        return ""

    async def _bring_up(self, reporter: Reporter, command: Envelope, order: InstanceOrder, step: Step) -> str:
        """The steps from what is there to a running instance with an address.

        After a failure nothing is left of an instance made here; one that was there before is never thrown away.
        """
        async with Progress(reporter, command) as progress:
            try:
                if step in (Step.CREATE, Step.REPLACE):
                    self.checking.forget(order.container_id)  # first: else its end would be taken for a crash
                    if step == Step.REPLACE:
                        await self.runtime.remove(order.hostname)
                    files = await self._secrets.filled(order.container_id, order.files)
                    await self.runtime.create(replace(order, files=files), progress)
                    point("agent.provision.created")
                if step != Step.KEEP:
                    progress(Stage.START, None)
                    self._require_lease(order)
                    await self.runtime.start(order.hostname)
                    point("agent.provision.started")
                    await self._stop_unless_leased(order)
                progress(Stage.ADDRESS, None)
                return await self.runtime.address(order.hostname, self._address_seconds)
            except RuntimeFailure as error:
                if step in (Step.CREATE, Step.REPLACE) and not isinstance(error, InstanceExists):
                    error.left = not await self._clean_up(order.hostname)
                raise

    async def _update(self, reporter: Reporter, command: Envelope, order: InstanceOrder) -> None:
        """Make the instance what the order says. One of another placement is left alone: its own commands come."""
        reason = None
        try:
            found = await self.runtime.instance(order.hostname)
            if found is None or not _is_of(found, order.container_id, order.generation):
                return
            await self.runtime.update(order)
            if found.running:
                self.checking.watch(order.instance(running=True), found.address, self.term)
                await self.checking.say(order.container_id)
        except RuntimeFailure as error:
            reason = str(error)
            log.warning("update failed", hostname=order.hostname, reason=reason)
        await reporter.about(command, Report.UPDATED, reason=reason)

    async def restart(self, instance: Instance, term: Term) -> str | None:
        """Start the instance anew, stopping it first if it was `running` when it was last looked at; its address then.

        None where it is not ours to start any more: it is gone, or was given up, or this node may have been.
        """
        hostname = instance.hostname
        async with self._turn(hostname, instance.container_id or ""), self._slots:
            found = await self.runtime.instance(hostname)
            fenced = instance.generation <= self._fences.of(hostname)
            if fenced or found is None or not _is_of(found, instance.container_id, instance.generation):
                return None
            if term != self.term or not self._lease.stands:
                return None
            if instance.running:
                await self.runtime.stop(hostname, STOP_SECONDS)
            self._require_lease(instance)
            await self.runtime.start(hostname)
            await self._stop_unless_leased(instance)
            return await self.runtime.address(hostname, self._address_seconds)

    def _require_lease(self, order: InstanceOrder | Instance) -> None:
        """A process that stood still must not go on and start what is started elsewhere by now."""
        if not self._lease.stands:
            raise LeaseLost(f"This node is not heard; {order.hostname} is started once it is.")

    async def _stop_unless_leased(self, order: InstanceOrder | Instance) -> None:
        """A start that ended after the lease came too late for whoever stops what runs then."""
        try:
            self._require_lease(order)
        except LeaseLost:
            await self.runtime.stop(order.hostname, 0)
            raise

    async def _clean_up(self, hostname: str) -> bool:
        try:
            await self.runtime.remove(hostname)
        except RuntimeFailure as error:
            log.warning("half-made instance left; the next inventory removes it", hostname=hostname, error=str(error))
            return False
        return True

    async def keep_fences(self) -> None:
        """Try once more to keep the fences of what was deleted while the disk was full."""
        for hostname in set(self._unfenced.values()):
            with suppress(FenceNotKept):
                await self._keep_fence(hostname, self._fences.of(hostname))

    async def _keep_fence(self, hostname: str, generation: int) -> None:
        await self._fences.put(hostname, generation)
        self._unfenced = {id_: name for id_, name in self._unfenced.items() if name != hostname}

    async def _delete(self, reporter: Reporter, command: Envelope, hostname: str) -> None:
        try:
            with suppress(FenceNotKept):  # it holds while this agent runs
                await self._keep_fence(hostname, command.generation)
            found = await self.runtime.instance(hostname)
            point("agent.delete.found")
            if provisioning.deletes(found, self.cluster_id, command.generation):
                self.bootstraps.cancel(command.subject)
                self.checking.forget(command.subject)
                await self.runtime.remove(hostname)
            # Removing it may have made the room its fence needs. Nobody hears that it is gone before that is kept.
            self._unfenced[command.subject] = hostname
            await self._keep_fence(hostname, command.generation)
        except RuntimeFailure as error:
            # Not reported: the container stays SCHEDULE_DELETION until an inventory brings the command again, or tells
            # that its instance is gone.
            log.warning("delete failed", hostname=hostname, error=str(error))
            return
        point("agent.delete.removed")
        await reporter.about(command, Report.DELETED)
        point("agent.delete.reported")


def _is_of(found: Instance, container_id: str | None, generation: int) -> bool:
    return (found.container_id, found.generation) == (container_id, generation)


def read_order(command: Envelope) -> InstanceOrder:
    """The order in a provision command's body."""
    try:
        body = dict(command.body)
        del body["epoch"]
        return InstanceOrder(
            **{
                **body,
                "type": ContainerType(body["type"]),
                "resources": Resources(**body["resources"]),
                "profiles": tuple(body["profiles"]),
                "files": tuple(File(**one) for one in body.get("files", ())),
                "checks": tuple(body.get("checks", ())),
            }
        )
    except (TypeError, KeyError, ValueError) as error:
        raise MalformedMessage(f"not an order: {error}") from error
