"""Rolling out: one look at a deployment, in one transaction: what its replicas are, what is to be done, and doing it.

A look holds the row of the deployment, so that there is one at a time; of the replicas only those that it changes are
locked. What made it due is forgotten in the same transaction, before the replicas are read: whatever changes later
makes another look due.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import islice
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.controllers import bootstrapping, renewal, rollout
from pathfinder.domain import commands, meta
from pathfinder.domain.containers import Container
from pathfinder.domain.deployed import Deployment, replica_spec
from pathfinder.domain.errors import AlreadyExists, Conflict, Invalid, PathfinderError
from pathfinder.domain.lifecycle import RUNNING, Health, Status
from pathfinder.domain.messages import Envelope, Kind
from pathfinder.domain.meta import Facts
from pathfinder.domain.rollouts import Change, Phase, Plan, Replica, Rollout
from pathfinder.domain.specs import ContainerSpec
from pathfinder.scheduling.policy import BUILT_IN, Rules
from pathfinder.store import admission, bootstraps, clusters, containers, deployments, journal, nodes, requests
from pathfinder.store.clusters import Cluster
from pathfinder.store.requests import Asker

ACTOR = "controller"

#: So many replicas are made, and so many deleted, in one transaction; the rest in the next.
BATCH = 500

#: What could not be made is tried again after this time.
AGAIN_SECONDS = 10.0

_DUE = text("""
    SELECT deployment_id AS id FROM touches UNION SELECT id FROM deployments WHERE wake_at <= now()
""")
_BEGIN = text("WITH seen AS (DELETE FROM touches WHERE deployment_id = :id) SELECT clock_timestamp()")
# Well is what `deployment_listing` counts as available.
_REPLICAS = text("""
    SELECT c.id, c.hostname, c.status, c.health, c.revision, c.status_at, c.health_at, c.created_at, c.ipaddress,
           c.spec ? 'bootstrappers' AS bootstraps, c.spec ? 'checks' AS checked, c.node_id,
           CASE WHEN c.status = 'PENDING' AND c.waiting THEN c.message END AS waits
    FROM containers AS c WHERE c.deployment_id = :id AND c.status <> 'DELETED'
""")
_ZONES = text("""
    SELECT id, COALESCE(own_labels ->> 'zone', labels ->> 'zone') AS zone FROM nodes WHERE id = ANY(:ids)
""")


async def due(tx: AsyncConnection) -> list[UUID]:
    """The deployments that are to be looked at."""
    return list((await tx.execute(_DUE)).scalars())


async def touch_all(tx: AsyncConnection) -> None:
    """Have every deployment looked at."""
    await tx.execute(text("INSERT INTO touches (deployment_id) SELECT id FROM deployments"))


async def look(tx: AsyncConnection, id_: UUID, trace_id: str, rules: Rules = BUILT_IN) -> Plan | None:
    """Do what is to be done with a deployment now; None if it is not there any more."""
    found = (await deployments.lock(tx, [id_])).get(id_)
    now: datetime = (await tx.execute(_BEGIN, {"id": id_})).scalar_one()
    if found is None:
        return None
    rows = (await tx.execute(_REPLICAS, {"id": id_})).all()
    sight = _Sight(tx, found, await clusters.find(tx, found.cluster), Asker(ACTOR, trace_id), rules)
    changes = await sight.changes({row.id: row.revision for row in rows})
    # Where they are decides on nothing but who goes.
    zones = await _zones(tx, {row.node_id for row in rows}) if len(rows) > found.replicas else {}
    seen = {row.id: _replica(found, row, changes[row.id], zones.get(row.node_id)) for row in rows}
    plan = rollout.decide(found, list(seen.values()), now)
    if plan.gone:
        await deployments.forget(tx, id_)
        await journal.record(tx, [sight.fact(Kind.DEPLOYMENT_DELETED)])
        return plan
    await sight.carry_out(plan, seen)
    addresses = _digest([(row.hostname, row.ipaddress) for row in rows if row.ipaddress and _is_there(row.status)])
    if addresses != Rollout.read(found.rollout).addresses:
        await deployments.touch_readers(tx, found)
    await sight.keep(replace(plan, rollout=replace(plan.rollout, addresses=addresses)), now)
    return plan


@dataclass
class _Sight:
    """A locked deployment, and what goes wrong with it."""

    tx: AsyncConnection
    deployment: Deployment
    cluster: Cluster
    asker: Asker
    rules: Rules
    problem: str | None = None

    async def changes(self, revisions: Mapping[UUID, int]) -> dict[UUID, Change]:
        """What it takes to make each replica one of the wanted revision, by the revisions that they are of."""
        wanted, depends = self.deployment.revision, _depends(self.deployment.template)
        same = {one for one in revisions.values() if one == wanted and not depends}
        if set(revisions.values()) <= same:
            return dict.fromkeys(revisions, Change.NONE)
        facts = await self._facts()
        found = dict.fromkeys(revisions, Change.NONE)
        for one in await containers.of_deployment(self.tx, self.deployment.id):
            if one.id in found and one.revision not in same:
                found[one.id] = self._change(one, facts)
        return found

    def _change(self, container: Container, facts: Facts) -> Change:
        if self.deployment.must_rebuild(container.revision):
            return Change.REBUILD
        try:
            spec = replica_spec(self.deployment, self.deployment.revision, _number(self.deployment, container), facts)
        except Invalid as error:
            self.problem = _words(error)
            return Change.NONE
        former = self.deployment.revisions.get(container.revision)
        kept = former is not None and former.template.get("image") is None
        image = spec.image or (container.image if kept else self.cluster.default_image)
        return renewal.change(container, spec, image)

    async def carry_out(self, plan: Plan, seen: Mapping[UUID, Replica]) -> None:
        """Change the store as planned, but for those that are not what they were when it was decided."""
        going, changing = dict(islice(plan.delete.items(), BATCH)), dict(plan.change)
        locked = await containers.lock(self.tx, [*going, *changing]) if going or changing else {}
        as_seen = {
            id_: one
            for id_, one in locked.items()
            if (one.status, one.revision) == (seen[id_].status, seen[id_].revision)
        }
        for why in sorted(set(going.values())):
            chosen = [one for id_, one in as_seen.items() if going.get(id_) == why]
            await requests.remove(self.tx, chosen, self.asker.actor, why)
        await self._change_in_place([one for id_, one in as_seen.items() if id_ in changing], changing)
        making = dict(islice(plan.create.items(), BATCH))
        if making:
            await self._make(making)
        if len(as_seen) < len(locked) or len(going) < len(plan.delete) or len(making) < len(plan.create):
            await deployments.touch(self.tx, [self.deployment.id])

    async def _change_in_place(self, chosen: Sequence[Container], changes: Mapping[UUID, Change]) -> None:
        if not chosen:
            return
        facts, again, told = await self._facts(), [], defaultdict[str, list[Envelope]](list)
        epochs = await nodes.epochs(self.tx, {one.node_id for one in chosen})
        for one in chosen:
            wanted = self.deployment.revision
            spec = replica_spec(self.deployment, wanted, _number(self.deployment, one), facts)
            after = await containers.rewrite(self.tx, one, spec, wanted)
            if one.status not in RUNNING or one.node is None or one.node_id is None:
                continue
            if changes[one.id] is Change.LIVE:
                told[one.node].append(commands.update(after, epochs[one.node_id]))
            if bootstrapping.wanted(after) and bootstrapping.wanted(after) != bootstrapping.wanted(one):
                again.append(after)
        await journal.record(self.tx, [], told)
        await bootstraps.again(self.tx, again, self.asker.actor)

    async def _make(self, numbers: Mapping[int, int]) -> None:
        facts = await self._facts()
        for revision in sorted(set(numbers.values())):
            try:
                specs = [
                    replica_spec(self.deployment, revision, number, facts)
                    for number, of in numbers.items()
                    if of == revision
                ]
            except Invalid as error:
                self.problem = _words(error)
            else:
                await self._ask(specs, revision)

    async def _ask(self, specs: Sequence[ContainerSpec], revision: int) -> bool:
        """Ask for as many of them as may be, each half by itself where not all may; whether to go on with others."""
        try:
            async with self.tx.begin_nested():
                await requests.create(
                    *(self.tx, self.cluster, specs, self.asker, None),
                    deployment_id=self.deployment.id,
                    revision=revision,
                    rules=self.rules,
                )
        except (Invalid, Conflict) as error:
            if len(specs) == 1:
                self.problem = f"{specs[0].hostname} could not be made: {_words(error)}"
                # A name that is taken is this one's trouble; all else would befall the next one, too.
                return isinstance(error, AlreadyExists)
            half = len(specs) // 2
            return await self._ask(specs[:half], revision) and await self._ask(specs[half:], revision)
        return True

    async def _facts(self) -> Facts:
        """What functions of the wanted template read, and of the former one, which may be made still."""
        names: set[str] = set()
        for revision in {self.deployment.revision, self.deployment.stable or self.deployment.revision}:
            template = self.deployment.revisions[revision].template
            if _depends(template):
                names |= meta.reads(template).keys()
        return Facts(self.deployment.replicas, await admission.addresses(self.tx, self.deployment.cluster_id, names))

    async def keep(self, plan: Plan, now: datetime) -> None:
        """Write how far the rollout is, if that changed, and tell of it."""
        message, wake_at = self.problem or plan.message, plan.wake_at
        if self.problem is not None:
            again = now + timedelta(seconds=AGAIN_SECONDS)
            wake_at = again if wake_at is None else min(again, wake_at)
        before = self.deployment
        after = replace(before, rollout=plan.rollout.document(), stable=plan.stable, message=message, wake_at=wake_at)
        if after != before:
            await deployments.save(self.tx, after)
        await journal.record(self.tx, self._facts_of(Rollout.read(before.rollout), plan.rollout))
        if plan.undo_to is not None:
            await deployments.go_back(self.tx, after, plan.undo_to, ACTOR, plan.rollout.why or "")

    def _facts_of(self, before: Rollout, after: Rollout) -> list[journal.Fact]:
        body: dict[str, Any] = {"revision": after.revision}
        another = before.revision != after.revision
        facts = [self.fact(Kind.DEPLOYMENT_ROLLOUT_STARTED, body)] if another else []
        if after.promoted == after.revision != before.promoted:
            facts.append(self.fact(Kind.DEPLOYMENT_PROMOTED, body))
        if another or after.phase != before.phase:
            if after.phase is Phase.DONE:
                facts.append(self.fact(Kind.DEPLOYMENT_ROLLED_OUT, body))
            elif after.phase is Phase.FAILED:
                facts.append(self.fact(Kind.DEPLOYMENT_ROLLOUT_FAILED, {**body, "why": after.why}))
        return facts

    def fact(self, kind: Kind, body: Mapping[str, Any] | None = None) -> journal.Fact:
        """Something that happened to it."""
        return journal.Fact(
            kind=kind,
            cluster_id=self.deployment.cluster_id,
            subject_type="deployment",
            subject_id=self.deployment.id,
            subject_name=self.deployment.name,
            actor=self.asker.actor,
            trace_id=self.asker.trace_id,
            body=dict(body or {}),
        )


async def _zones(tx: AsyncConnection, node_ids: Collection[UUID | None]) -> dict[UUID, str | None]:
    rows = await tx.execute(_ZONES, {"ids": [one for one in node_ids if one is not None]})
    return {row.id: row.zone for row in rows}


def _replica(deployment: Deployment, row: Any, change: Change, zone: str | None) -> Replica:
    status, health = Status(row.status), Health(row.health)
    fit = status is Status.BOOTSTRAPPED or (status is Status.PROVISIONED and not row.bootstraps)
    well = fit and (health is Health.HEALTHY or (health is Health.UNKNOWN and not row.checked))
    since = max(row.status_at, row.health_at) if row.checked and row.health_at else row.status_at
    return Replica(
        id=row.id,
        hostname=row.hostname,
        number=int(row.hostname[len(deployment.name) + 1 :]),
        status=status,
        health=health,
        revision=row.revision,
        change=change,
        well_since=since if well else None,
        since=row.status_at,
        created_at=row.created_at,
        node=row.node_id and str(row.node_id),
        zone=zone,
        waits=row.waits,
    )


def _number(deployment: Deployment, container: Container) -> int:
    return int(container.hostname[len(deployment.name) + 1 :])


def _depends(template: Mapping[str, Any]) -> bool:
    """Whether a template has functions, so that equal ones may give what is not equal."""
    return meta.PREFIX.encode() in orjson.dumps(template)


def _is_there(status: str) -> bool:
    return status not in (Status.SCHEDULE_DELETION, Status.LOST)


def _digest(addresses: Collection[tuple[str, str]]) -> str | None:
    return sha256(orjson.dumps(sorted(addresses))).hexdigest()[:16] if addresses else None


def _words(error: PathfinderError) -> str:
    problems = [f"{one.field}: {one.message}" for one in error.problems[:1]] if isinstance(error, Invalid) else []
    return " ".join([str(error), *problems])
