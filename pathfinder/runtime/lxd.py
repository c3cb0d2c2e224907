"""The real runtime: LXD (or Incus) over its Unix socket, with pylxd."""

import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import uuid4

import orjson
import stamina

from pathfinder.domain.bootstrapping import File
from pathfinder.domain.checks import Check
from pathfinder.domain.instances import ContainerUsage, ExecResult, Instance, InstanceOrder, NodeFacts, NodeUsage, Stage
from pathfinder.domain.lifecycle import ContainerType
from pathfinder.runtime import lxd_events, lxd_exec, probes
from pathfinder.runtime.lxd_address import first_ipv4, is_running, wait_for_ipv4
from pathfinder.runtime.lxd_api import Forgotten, Json, LxdApi
from pathfinder.runtime.lxd_errors import Absent, Busy
from pathfinder.runtime.lxd_facts import read_facts, read_usage, used
from pathfinder.runtime.lxd_images import REMOTES, Images, not_found, percent, stored_alias, unreachable
from pathfinder.runtime.lxd_order import (
    MARK_CALL,
    MARK_CHECKS,
    MARK_CLUSTER,
    MARK_CONTAINER,
    MARK_DIGEST,
    MARK_GENERATION,
    MARK_RESTART,
    MARK_TYPE,
    SIZING_DRIVERS,
    Devices,
    expand,
    instance_config,
    kept_config,
    root_disk,
    with_disk_size,
)
from pathfinder.runtime.lxd_socket import find_socket
from pathfinder.runtime.port import (
    ImageNotFound,
    ImageServerUnreachable,
    InstanceExists,
    OperationFailed,
    Progress,
    Refused,
    RuntimeFailure,
    RuntimeUnreachable,
)

#: How long an instance may be busy with something else, like a create that a killed agent left under way.
BUSY_SECONDS = 60.0


class LxdRuntime:
    """One LXD daemon. `socket` is searched for if None; raises RuntimeUnreachable where there is none.

    `remotes` are the image servers known by name, `threads` the most calls LXD is asked at once.
    """

    kind = "lxd"

    def __init__(
        self,
        socket: Path | None = None,
        *,
        remotes: Mapping[str, str] = REMOTES,
        threads: int | None = None,
        busy_seconds: float = BUSY_SECONDS,
    ) -> None:
        self.socket = find_socket(socket)
        self._api = LxdApi(self.socket, threads)
        self._images = Images(self._api, remotes)
        self._busy_seconds = busy_seconds

    async def facts(self) -> NodeFacts:
        """What the machine is. Raises RuntimeUnreachable."""
        return await read_facts(self._api)

    async def images(self) -> tuple[str, ...]:
        """The images it has already. Raises RuntimeUnreachable."""
        return await self._images.names()

    async def usage(self) -> NodeUsage:
        """How busy it is now. Raises RuntimeUnreachable."""
        return await read_usage(self._api)

    async def usages(self, cluster_id: str) -> dict[str, ContainerUsage]:
        """What each of the cluster's running instances uses, in one call as `instances` makes it."""
        everything = await self._api.get("instances", params={"recursion": 2})
        ours = [each for each in everything if each["config"].get(MARK_CLUSTER) == cluster_id]
        return {
            each["config"][MARK_CONTAINER]: used(state)
            for each in ours
            if MARK_CONTAINER in each["config"] and (state := each.get("state")) and is_running(state)
        }

    async def instance(self, hostname: str) -> Instance | None:
        """The instance of that name, even one still being made, or None. Its address would cost a second call."""
        try:
            return _instance(await self._api.get("instances", hostname))
        except Absent:
            return None

    async def instances(self, cluster_id: str) -> list[Instance]:
        """The cluster's instances, in one call.

        Measured with 60 running containers: 146 ms of LXD's CPU time; asking each one's state takes twice that.
        """
        everything = await self._api.get("instances", params={"recursion": 2})
        return [_instance(each) for each in everything if each["config"].get(MARK_CLUSTER) == cluster_id]

    async def create(self, order: InstanceOrder, progress: Progress) -> None:
        """Make the instance, stopped; see the port. A cancelled create goes on in LXD and is found by `instance`."""
        by_alias = stored_alias(order.image)
        source = by_alias or await self._source(order)
        try:
            await self._create(order, source, progress)
        except ImageNotFound:
            if not by_alias:
                raise
            await self._create(order, await self._source(order), progress)

    async def start(self, hostname: str) -> None:
        """Start it; running already is success. Raises OperationFailed, RuntimeUnreachable."""
        await self._until_not_busy(lambda: self._set_state(hostname, {"action": "start"}, running=True))

    async def address(self, hostname: str, timeout_seconds: float) -> str:
        """Wait for its first global IPv4. Raises NoAddress, OperationFailed if it does not run."""
        return await wait_for_ipv4(lambda: self._api.get("instances", hostname, "state"), hostname, timeout_seconds)

    async def stop(self, hostname: str, timeout_seconds: float) -> None:
        """Ask it to stop, force it after the time-out, at once if that is 0; stopped or absent is success."""
        found = await self.instance(hostname)
        if found is None or not found.running:
            return
        if timeout_seconds:
            gently = {"action": "stop", "timeout": max(1, round(timeout_seconds))}
            with contextlib.suppress(OperationFailed):
                await self._set_state(hostname, gently, running=False)
                return
        await self._until_not_busy(lambda: self._force_stop(hostname))

    async def remove(self, hostname: str) -> None:
        """Stop it by force and delete it with its disk; absent is success. Raises OperationFailed."""
        await self._until_not_busy(lambda: self._remove(hostname))

    async def push(self, hostname: str, file: File) -> None:
        """Write a file into an instance, with the directories above it. Raises OperationFailed, RuntimeUnreachable."""
        await lxd_exec.push(self._api, hostname, file)

    async def execute(
        self,
        hostname: str,
        command: Sequence[str],
        *,
        timeout_seconds: float,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> ExecResult:
        """Run a command in a running instance; see the port."""
        return await lxd_exec.execute(self._api, hostname, command, timeout_seconds, environment)

    async def probe(self, hostname: str, address: str, check: Check) -> str | None:
        """Why this check fails; see the port."""
        if check.tcp is not None:
            return await probes.tcp(address, check.tcp, check.timeout_seconds)
        if check.http is not None:
            return await probes.http(address, check.http, check.timeout_seconds)
        return await probes.command(self, hostname, check)

    def endings(self) -> AsyncGenerator[str]:
        """Hostnames of instances as they stop; see the port."""
        return lxd_events.endings(self.socket)

    async def update(self, order: InstanceOrder) -> None:
        """Make the instance what `order` says, while it runs. Raises Refused, OperationFailed, RuntimeUnreachable."""
        await self._until_not_busy(lambda: self._update(order))

    async def close(self) -> None:
        """Give back threads and connections."""
        await self._api.close()

    async def _source(self, order: InstanceOrder) -> Json:
        source = await self._images.source(order.image)
        # LXD itself finds out, but only after downloading.
        if "server" in source and await self.instance(order.hostname):
            raise InstanceExists(_exists(order))
        return source

    async def _create(self, order: InstanceOrder, source: Json, progress: Progress) -> None:
        progress(Stage.IMAGE if "server" in source else Stage.CREATE, None)
        call = uuid4().hex
        wanted = instance_config(order)
        # Until its files are there it is of no generation: what a killed agent left is made anew.
        half = {MARK_GENERATION: "0"} if order.files else {}
        try:
            body = {
                "name": order.hostname,
                "type": "container",
                "source": source,
                "profiles": list(order.profiles),
                "config": {**wanted, **half, MARK_CALL: call},
                "devices": await self._devices(order),
            }
            await self._api.run("post", "instances", body=body, seen=_stages(progress))
            if order.files:
                for file in order.files:
                    await self.push(order.hostname, file)
                whole = {"config": {MARK_GENERATION: wanted[MARK_GENERATION]}}
                await self._api.run("patch", "instances", order.hostname, body=whole)
        except RuntimeFailure as failure:
            await self._after_failed_create(order, source, call, failure)

    async def _update(self, order: InstanceOrder) -> None:
        found = await self._api.get("instances", order.hostname)
        body = {
            **{name: found[name] for name in ("architecture", "description", "ephemeral", "profiles")},
            "config": {**kept_config(found["config"]), **instance_config(order)},
            "devices": await self._devices(replace(order, profiles=tuple(found["profiles"]))),
        }
        await self._api.run("put", "instances", order.hostname, body=body)

    async def _devices(self, order: InstanceOrder) -> Devices:
        """The order's own devices, with the root disk held to size where its pool can do that."""
        own = dict(order.devices)
        if not order.resources.disk_bytes:
            return own
        profiles = [await self._profile_devices(name) for name in order.profiles]
        expanded = expand(profiles, own)
        root = root_disk(expanded)
        if root is None or not await self._holds_to_size(expanded[root].get("pool", "")):
            return own
        return with_disk_size(own, expanded, order.resources.disk_bytes)

    async def _profile_devices(self, name: str) -> Devices:
        try:
            devices: Devices = (await self._api.get("profiles", name))["devices"]
        except Absent:
            raise Refused(f"Profile {name!r} is not on this node; see `lxc profile list`.") from None
        return devices

    async def _holds_to_size(self, pool: str) -> bool:
        return (await self._api.get("storage-pools", pool))["driver"] in SIZING_DRIVERS

    async def _after_failed_create(
        self, order: InstanceOrder, source: Json, call: str, failure: RuntimeFailure
    ) -> None:
        """Leave nothing of a failed create behind, then raise the failure in words that help.

        Only what this very `call` made is undone. Anything else of that name was there before.
        """
        maker = None
        with contextlib.suppress(RuntimeFailure):  # what cannot be undone now is found as stale by the inventory
            maker = await self._maker(order.hostname)
            if maker == call:
                if isinstance(failure, Forgotten):
                    return
                await self.remove(order.hostname)
        if maker not in (None, call):
            raise InstanceExists(_exists(order)) from failure
        match failure:
            case ImageNotFound():
                raise not_found(order.image, source) from failure
            case ImageServerUnreachable():
                raise unreachable(order.image, str(source.get("server")), str(failure)) from failure
            case _:
                raise failure

    async def _maker(self, hostname: str) -> str | None:
        """Which call made the instance of that name, empty if none of ours; None where there is no instance."""
        try:
            config = (await self._api.get("instances", hostname))["config"]
        except Absent:
            return None
        return str(config.get(MARK_CALL, ""))

    async def _until_not_busy(self, action: Callable[[], Awaitable[None]]) -> None:
        # LXD works on an instance one operation at a time and refuses, rather than queues, the next one.
        async for attempt in stamina.retry_context(
            on=Busy, attempts=None, timeout=self._busy_seconds, wait_initial=0.05, wait_max=1.0, wait_jitter=0.05
        ):
            with attempt:
                await action()

    async def _set_state(self, hostname: str, change: Json, *, running: bool) -> None:
        """Change the state once. What failed or ran out of time is judged by the instance as it then is."""
        quiet_seconds = float(change.get("timeout", 0)) + 60
        try:
            await self._api.run("put", "instances", hostname, "state", body=change, quiet_seconds=quiet_seconds)
        except (OperationFailed, RuntimeUnreachable) as failure:
            found = await self.instance(hostname)
            if (found is not None and found.running) == running:
                return
            raise failure

    async def _force_stop(self, hostname: str) -> None:
        await self._set_state(hostname, {"action": "stop", "force": True}, running=False)

    async def _remove(self, hostname: str) -> None:
        found = await self.instance(hostname)
        if found is None:
            await self._require_not_coming(hostname)
            return
        if found.running:
            await self._force_stop(hostname)
        try:
            await self._api.run("delete", "instances", hostname)
        except (OperationFailed, RuntimeUnreachable) as failure:
            # An ephemeral instance is deleted by its stop.
            if await self.instance(hostname):
                raise failure

    async def _require_not_coming(self, hostname: str) -> None:
        """Raise Busy while LXD is still at a create that a killed agent left: what is absent now is coming."""
        by_status = await self._api.get("operations", params={"recursion": 1})
        for operation in by_status.get("running", []):
            if f"/1.0/instances/{hostname}" in (operation["resources"] or {}).get("instances", []):
                raise Busy(f"LXD is still making {hostname!r} for an earlier request.")


def _exists(order: InstanceOrder) -> str:
    return f"An instance named {order.hostname!r} is on this node already."


def _instance(answer: Json) -> Instance:
    config = answer["config"]
    state = answer.get("state") or {}
    generation = config.get(MARK_GENERATION, "")
    return Instance(
        hostname=answer["name"],
        running=answer["status"] in ("Running", "Frozen"),
        container_id=config.get(MARK_CONTAINER),
        generation=int(generation) if generation.isdecimal() else 0,
        cluster_id=config.get(MARK_CLUSTER),
        address=first_ipv4(state),
        type=ContainerType(config.get(MARK_TYPE) or ContainerType.STATELESS),
        checks=tuple(_kept(config, MARK_CHECKS, list)),
        restart=_kept(config, MARK_RESTART, dict),
        digest=config.get(MARK_DIGEST, ""),
    )


def _kept(config: Json, mark: str, kind: type[Any]) -> Any:
    """A body kept with the instance; an empty one where somebody wrote over it."""
    with contextlib.suppress(orjson.JSONDecodeError):
        body = orjson.loads(config.get(mark) or "null")
        if isinstance(body, kind):
            return body
    return kind()


def _stages(progress: Progress) -> Callable[[Json], None]:
    """What hears an operation's metadata and tells `progress` each change once."""
    told: list[tuple[Stage, int]] = []

    def seen(metadata: Json) -> None:
        for stage, key in (
            (Stage.CREATE, "create_instance_from_image_unpack_progress"),
            (Stage.IMAGE, "download_progress"),
        ):
            done = percent(metadata, key)
            if done is not None:
                if (stage, done) not in told[-1:]:
                    told.append((stage, done))
                    progress(stage, done)
                return

    return seen
