"""What users ask of containers, each as one transaction: the change, its events and its commands."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.controllers import bootstrapping
from pathfinder.domain import commands
from pathfinder.domain.containers import Container
from pathfinder.domain.errors import (
    FieldProblem,
    IdempotencyMismatch,
    IllegalTransition,
    Invalid,
    NeverFits,
    NotFound,
    NotPlaced,
)
from pathfinder.domain.ids import uuid7
from pathfinder.domain.lifecycle import RESCHEDULABLE, RUNNING, ContainerType, Status
from pathfinder.domain.messages import Envelope, Kind
from pathfinder.domain.resources import Resources, format_bytes, format_cpu
from pathfinder.domain.specs import ContainerSpec
from pathfinder.scheduling.policy import BUILT_IN, Policy, Rules
from pathfinder.store import bootstraps, capacity, claims, containers, journal, policies, quotas
from pathfinder.store.clusters import Cluster


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks: the actor that events name, and the trace id that follows the request."""

    actor: str
    trace_id: str


async def create(
    tx: AsyncConnection,
    cluster: Cluster,
    specs: Sequence[ContainerSpec],
    asker: Asker,
    key: str | None,
    *,
    together: bool = False,
    deployment_id: UUID | None = None,
    revision: int = 0,
    rules: Rules = BUILT_IN,
) -> list[UUID]:
    """Accept containers, all or none; their ids. With an idempotency `key`, the same request is accepted once.
    Those that go `together` are also placed all or none. Policies may name the filters and scorers of `rules`.
    Replicas of a deployment are of that `revision` of it.

    Raises Invalid, NeverFits, QuotaExceeded, AlreadyExists, IdempotencyMismatch.
    """
    ids = [uuid7() for _ in specs]
    if key is not None and (known := await _answered(tx, cluster.id, key, _digest(specs, together), ids)) is not None:
        return known
    await check(tx, cluster, specs)
    await check_sizes(tx, cluster, specs, await policies_of(tx, cluster, specs, rules))
    if cluster.quota is not None:
        await quotas.admit(tx, cluster.id, cluster.name, specs)
    new = dict(zip(ids, specs, strict=True))
    generations = await containers.insert(
        tx,
        cluster.id,
        cluster.default_image,
        new,
        asker.trace_id,
        together=together,
        deployment_id=deployment_id,
        revisions=dict.fromkeys(ids, revision),
    )
    facts = [
        journal.Fact(
            kind=Kind.CONTAINER_REQUESTED,
            cluster_id=cluster.id,
            subject_type="container",
            subject_id=id_,
            subject_name=spec.hostname,
            actor=asker.actor,
            generation=generation,
            trace_id=asker.trace_id,
            body=spec.document() | {"image": spec.image or cluster.default_image, "status": Status.PENDING},
        )
        for (id_, spec), generation in zip(new.items(), generations, strict=True)
    ]
    await journal.record(tx, facts)
    return ids


async def check(tx: AsyncConnection, cluster: Cluster, specs: Sequence[ContainerSpec]) -> None:
    """Whether these containers could be asked for, beside their sizes, names and the quota. Raises Invalid."""
    seen: set[str] = set()
    for index, spec in enumerate(specs):
        if spec.hostname in seen:
            words = f"{spec.hostname!r} is in this batch twice"
            field = f"{_field(specs, index)}hostname"
            raise Invalid("Each hostname may be asked for once.", [FieldProblem(field, words)])
        seen.add(spec.hostname)
    wished = {spec.policy: index for index, spec in reversed(list(enumerate(specs))) if spec.policy is not None}
    for name, index in wished.items():
        await policies.require(tx, name, f"{_field(specs, index)}policy")


async def policies_of(
    tx: AsyncConnection, cluster: Cluster, specs: Sequence[ContainerSpec], rules: Rules
) -> dict[str | None, Policy]:
    """The policies a scheduler would use now for these containers, by what they ask for."""
    wished = {spec.policy for spec in specs}
    found = await policies.usable(tx, {name or cluster.policy for name in wished}, cluster.policy, rules)
    return {name: found[name or cluster.policy][0] for name in wished}


async def check_sizes(
    tx: AsyncConnection, cluster: Cluster, specs: Sequence[ContainerSpec], by: Mapping[str | None, Policy]
) -> None:
    """Whether each of these containers would fit somewhere, were it empty. Raises NeverFits."""
    for overcommit in {policy.overcommit for policy in by.values()}:
        same = {index: spec for index, spec in enumerate(specs) if by[spec.policy].overcommit == overcommit}
        too_large = await capacity.too_large(tx, cluster.id, {spec.resources for spec in same.values()}, overcommit)
        # Without any node yet, anything may come to fit.
        if too_large and (there := await capacity.sizes(tx, cluster.id, overcommit)):
            index = next(index for index, spec in same.items() if spec.resources in too_large)
            raise _never_fits(cluster, there, specs[index], _field(specs, index))


def _field(specs: Sequence[ContainerSpec], index: int) -> str:
    return f"containers[{index}]." if len(specs) > 1 else ""


def _never_fits(cluster: Cluster, sizes: Sequence[Resources], spec: ContainerSpec, field: str) -> NeverFits:
    for name, wanted, most, write in (
        ("cpu", spec.cpu, max(size.cpu_millicores for size in sizes), format_cpu),
        ("memory", spec.memory, max(size.memory_bytes for size in sizes), format_bytes),
        ("disk", spec.disk, max(size.disk_bytes for size in sizes), format_bytes),
    ):
        if wanted is not None and wanted > most:
            words = f"{write(wanted)} is more than any node has; the largest has {write(most)}"
            return NeverFits(
                f"No node of cluster {cluster.name!r} could ever hold {spec.hostname!r}: {name} {words}. "
                "Ask for less, or add a larger node first.",
                [FieldProblem(field + name, words)],
            )
    return NeverFits(
        f"No node of cluster {cluster.name!r} could ever hold {spec.hostname!r}: some have the CPU, some the "
        "memory, some the disk it asks for, but none has all of it. Ask for less, or add a larger node first.",
        [FieldProblem(field + "cpu", "no node has this together with the memory and disk asked for")],
    )


async def delete(tx: AsyncConnection, cluster_id: UUID, hostname: str, asker: Asker) -> UUID:
    """Have a container deleted; one without an instance is gone at once. Asking again changes nothing.

    Raises NotFound.
    """
    container = await _living(tx, cluster_id, hostname)
    await remove(tx, [container], asker.actor)
    return container.id


async def remove(tx: AsyncConnection, locked: Sequence[Container], actor: str, why: str | None = None) -> None:
    """Have containers deleted that are locked, which is told with the reason. Those without an instance are gone at
    once; those that are being deleted already are left alone.
    """
    body = {} if why is None else {"why": why}
    leaving, facts = [], []
    told: dict[str, list[Envelope]] = defaultdict(list)
    for container in locked:
        if container.status == Status.SCHEDULE_DELETION:
            continue
        if container.status == Status.LOST:
            # Nobody can say when its node is back; what is on it then is removed before it takes part again.
            await claims.depart(tx, [container])
            after, kind = container.to(Status.DELETED, ipaddress=None, message=None), Kind.CONTAINER_DELETED
        elif container.claims:
            after, kind = container.to(Status.SCHEDULE_DELETION, message=None), Kind.CONTAINER_DELETION_SCHEDULED
        else:
            after = container.to(Status.DELETED, waiting=False, message=None, retry_at=None)
            kind = Kind.CONTAINER_DELETED
        if container.claims:
            told[container.node or ""].append(commands.delete_placement(container))
        leaving.append(after)
        facts.append(journal.about(after, kind, actor, body))
    await containers.save(tx, leaving)
    await journal.record(tx, facts, told)


async def reschedule(tx: AsyncConnection, cluster_id: UUID, hostname: str, asker: Asker) -> UUID:
    """Give a container a new placement at once; the former one holds its claim until its instance is gone.

    Both may run for a moment: whoever asks wants it elsewhere now, also when its node does not get rid of it. One that
    waits for another attempt, or for a former placement to be gone, is tried at once. Failed attempts do not count
    any more.
    A LOST container whose disk is on a DOWN node is marked only: the node is fenced first, by a controller.
    Raises NotFound, NotPlaced, IllegalTransition.
    """
    container = await _living(tx, cluster_id, hostname)
    held = await claims.unguard(tx, container.id)
    waits = container.status == Status.PENDING and (held or container.retry_at is not None)
    if container.status == Status.PENDING and not waits:
        raise NotPlaced(hostname)
    if container.status not in RESCHEDULABLE and not waits:
        raise IllegalTransition(hostname, container.status, Status.PENDING)
    if container.status == Status.LOST and container.type == ContainerType.STATEFUL and await _is_down(tx, container):
        await _ask_for_takeover(tx, container, asker)
        return container.id
    command = {}
    if container.claims:
        await claims.depart(tx, [container], guarded=False)
        command = {container.node or "": [commands.delete_placement(container)]}
    fresh = container if waits else container.to(Status.PENDING, node_id=None, node=None, ipaddress=None)
    pending = replace(fresh, message=None, decision_id=None, waiting=False, attempts=0, retry_at=None, takeover=False)
    await containers.save(tx, [pending])
    fact = journal.about(pending, Kind.CONTAINER_RESCHEDULED, asker.actor, {"from": container.node})
    await journal.record(tx, [fact], command)
    return container.id


async def rebootstrap(tx: AsyncConnection, cluster_id: UUID, hostname: str, asker: Asker) -> UUID:
    """Have a container's bootstrappers carried out again, from the first.

    Raises NotFound, Invalid, IllegalTransition.
    """
    container = await _living(tx, cluster_id, hostname)
    if not bootstrapping.wanted(container):
        raise Invalid(f"Container {hostname!r} has no bootstrappers; they are asked for when it is created.")
    if container.status not in RUNNING:
        raise IllegalTransition(hostname, container.status, Status.PROVISIONED)
    await bootstraps.again(tx, [container], asker.actor)
    return container.id


async def _is_down(tx: AsyncConnection, container: Container) -> bool:
    result = await tx.execute(text("SELECT status = 'DOWN' FROM nodes WHERE id = :id"), {"id": container.node_id})
    return bool(result.scalar_one_or_none())


async def _ask_for_takeover(tx: AsyncConnection, container: Container, asker: Asker) -> None:
    if container.takeover:
        return
    message = f"It is taken over, with an empty disk, once it is sure that nothing of it runs on {container.node}."
    asked = replace(container, takeover=True, message=message)
    await containers.save(tx, [asked])
    await journal.record(tx, [journal.about(asked, Kind.CONTAINER_TAKEOVER_ASKED, asker.actor)])


async def _living(tx: AsyncConnection, cluster_id: UUID, hostname: str) -> Container:
    container = await containers.lock_named(tx, cluster_id, hostname)
    if container is None:
        raise NotFound("container", hostname, "`pfi get containers` lists those there are.")
    return container


def _digest(specs: Sequence[ContainerSpec], together: bool) -> str:
    request: list[Any] = [spec.document() for spec in specs]
    if together:
        request.append("together")
    return sha256(orjson.dumps(request, option=orjson.OPT_SORT_KEYS)).hexdigest()


async def _answered(
    tx: AsyncConnection, cluster_id: UUID, key: str, digest: str, ids: Sequence[UUID]
) -> list[UUID] | None:
    """The containers an earlier request with this key made; None if it is the first, which is to make those of `ids`.
    Holds back a twin in flight.
    """
    first = await tx.execute(
        text("""
            INSERT INTO idempotency_keys (cluster_id, key, request_sha256, containers)
            VALUES (:cluster_id, :key, :digest, CAST(:ids AS jsonb))
            ON CONFLICT (cluster_id, key) DO NOTHING RETURNING key
        """),
        {
            "cluster_id": cluster_id,
            "key": key,
            "digest": digest,
            "ids": orjson.dumps([str(one) for one in ids]).decode(),
        },
    )
    if first.scalar_one_or_none() is not None:
        return None
    row = (
        await tx.execute(
            text(
                "SELECT request_sha256, containers FROM idempotency_keys WHERE cluster_id = :cluster_id AND key = :key"
            ),
            {"cluster_id": cluster_id, "key": key},
        )
    ).one()
    if row.request_sha256 != digest:
        raise IdempotencyMismatch(
            "This Idempotency-Key was used for another request; send a new key with each new request."
        )
    made = [UUID(one) for one in row.containers]
    there = await tx.execute(text("SELECT count(*) FROM containers WHERE id = ANY(:ids)"), {"ids": made})
    if there.scalar_one() < len(made):
        raise IdempotencyMismatch(
            "This Idempotency-Key was used before, and what it made was deleted and forgotten since; send a new key."
        )
    return made
