"""Part of the controller: looks at what deployments are to be scaled by, decides, and has them scaled."""

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from uuid import UUID

import orjson
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.bootstrap import Process
from pathfinder.broker.connection import pause
from pathfinder.controllers import metering
from pathfinder.controllers.autoscale import REMEMBERED_SECONDS, Decision, Memory, Seen, decide
from pathfinder.controllers.deployment_problems import metrics_unknown
from pathfinder.controllers.metering import Metered
from pathfinder.controllers.noticing import Noticing
from pathfinder.controllers.situation import ClusterRef
from pathfinder.controllers.usage import Usages
from pathfinder.controllers.wishes import Count, Reading, Unknown
from pathfinder.domain.autoscaling import Autoscaling, HttpMetric, LoadMetric, PrometheusMetric, secrets
from pathfinder.domain.errors import Invalid, PathfinderError, Unavailable
from pathfinder.domain.problems import ProblemKind
from pathfinder.store import autoscaling, clusters, deployments
from pathfinder.store.autoscaling import Replica, Scaled
from pathfinder.store.leadership import Leadership
from pathfinder.store.requests import Asker
from workers.agent.lease import now as steady_now
from workers.foresight import Foresight
from workers.problems import look_at_one
from workers.recording import Recording
from workers.sources import Sources

log = structlog.get_logger()

ACTOR = "autoscaling"

#: How often all replicas are looked at, also those of deployments that do not scale themselves.
ALL_SECONDS = 60.0

#: What goes on being in the way is kept once in so many seconds, unless the number is changed meanwhile.
TELL_AGAIN_SECONDS = 3600.0


class Autoscaler:
    """The leader's looks. All it remembers may be lost: see `Memory`, `Usages` and `Recording`."""

    def __init__(self, process: Process, lead: Leadership, usages: Usages) -> None:
        self._process = process
        self._lead = lead
        self._usages = usages
        self._sources = Sources(process.settings.metric_hosts)
        self._foresight = Foresight(process)
        self._recording = Recording(process)
        self._noticing = Noticing()
        self._memories: dict[UUID, Memory] = {}
        #: By deployment: what was in the way, and when that was kept.
        self._told: dict[UUID, dict[tuple[str | None, str | None], float]] = {}
        self._all_due = 0.0

    async def run(self) -> None:
        """Look again and again, until told to stop."""
        try:
            while not self._process.stopping.is_set():
                try:
                    await self.look()
                except Unavailable as error:
                    log.warning("deployments are not scaled now", reason=str(error))
                except Exception:
                    log.exception("deployments are not scaled now")
                await pause(self._process.stopping, self._process.settings.autoscale_seconds)
        finally:
            await self._sources.close()

    async def look(self) -> None:
        """One look at every deployment that scales itself."""
        everyone = steady_now() >= self._all_due
        async with self._process.database.begin() as tx:
            scaled = await autoscaling.scaled(tx)
            found = await autoscaling.replicas(tx, None if everyone else [one.id for one in scaled])
            rules = {one.id: _rules(one) for one in scaled}
            wanted = any(isinstance(metric, LoadMetric) for one in rules.values() if one for metric in one.metrics)
            loads = await autoscaling.loads(tx, {one.node_id for one in found if one.node_id}) if wanted else {}
            tokens = await self._tokens(tx, scaled, rules)
        if everyone:
            self._all_due = steady_now() + ALL_SECONDS
        self._watch(found, everyone=everyone)
        told = await self._elsewhere(rules, tokens)
        by_deployment = defaultdict(list)
        for replica in found:
            by_deployment[replica.deployment_id].append(replica)
        self._forget(rules)
        for one in scaled:
            if its := rules[one.id]:
                try:
                    await self._one(one, its, by_deployment[one.id], told.get(one.id, {}), loads)
                except Unavailable:
                    raise
                except Exception:
                    log.exception("a deployment is not scaled now", deployment=one.name, cluster=one.cluster)
        await self._complain(scaled, told)
        if everyone:
            self._recording.replicas(found, self._usages, steady_now(), time.time())
            await self._recording.write()

    async def _complain(self, scaled: Sequence[Scaled], told: Mapping[UUID, Mapping[str, Reading]]) -> None:
        """Have users see which deployments' sources fail, until they answer again."""
        failing = [
            metrics_unknown(ClusterRef(one.cluster_id, one.cluster), one.id, one.name, unknown)
            for one in scaled
            if (unknown := [it for it in told.get(one.id, {}).values() if isinstance(it, Unknown)])
        ]
        await look_at_one(self._lead, ProblemKind.DEPLOYMENT_METRIC_UNKNOWN, self._noticing, failing, steady_now())

    def _watch(self, found: Sequence[Replica], *, everyone: bool) -> None:
        these = {one.id: one.node_id for one in found if one.node_id}
        self._usages.watch(these if everyone else {**self._usages.watched, **these})

    async def _tokens(
        self, tx: AsyncConnection, scaled: Sequence[Scaled], rules: Mapping[UUID, Autoscaling | None]
    ) -> dict[tuple[UUID, str], str]:
        """The values of the secrets that metrics name, by deployment and the metric's name, where they are known."""
        named = {
            (one.id, its.metrics[index].called): (one.cluster_id, secret)
            for one in scaled
            if (its := rules[one.id])
            for index, secret in secrets(its).items()
        }
        values = await self._process.vault.tokens(tx, named.values()) if named else {}
        return {key: values[secret] for key, secret in named.items() if secret in values}

    async def _elsewhere(
        self, rules: Mapping[UUID, Autoscaling | None], tokens: Mapping[tuple[UUID, str], str]
    ) -> dict[UUID, dict[str, Reading]]:
        asked = {
            (id_, metric.called): metric
            for id_, one in rules.items()
            if one
            for metric in one.metrics
            if isinstance(metric, PrometheusMetric | HttpMetric)
        }
        told: dict[UUID, dict[str, Reading]] = defaultdict(dict)
        for (id_, name), reading in (await self._sources.read(asked, tokens)).items():
            told[id_][name] = reading
        return told

    async def _one(
        self,
        one: Scaled,
        rules: Autoscaling,
        replicas: Sequence[Replica],
        told: Mapping[str, Reading],
        loads: Mapping[str, float],
    ) -> None:
        at, wall = steady_now(), time.time()
        ready = [self._metered(replica, loads, at) for replica in replicas if replica.ready]
        count = Count(one.replicas, len(ready))
        moment = datetime.fromtimestamp(wall, UTC)
        readings = tuple(metering.reading(metric, ready, told, moment) for metric in rules.metrics)
        for reading in readings:
            self._recording.demand(one.id, reading, count, wall)
        memory = self._memories.get(one.id) or await self._remember(one, at)
        seen = Seen(at, count, readings, await self._foresight.wish(one.id, rules, wall))
        found = decide(rules, memory, seen)
        self._memories[one.id] = await self._carry_out(one, found, memory)

    def _metered(self, replica: Replica, loads: Mapping[str, float], at: float) -> Metered:
        use = self._usages.use(replica.id, at)
        return Metered(replica.cpu_millicores, replica.memory_bytes, use, loads.get(replica.node_id or ""))

    async def _remember(self, one: Scaled, at: float) -> Memory:
        """What whoever begins to look now knows: how much was changed lately, and that so many were wanted."""
        async with self._process.database.begin() as tx:
            changed = await autoscaling.changes(tx, one.id, REMEMBERED_SECONDS)
        return Memory.fresh(at, one.replicas, [(at - ago, by) for ago, by in changed])

    async def _carry_out(self, one: Scaled, found: Decision, before: Memory) -> Memory:
        """Have it so, and keep why; what to remember of it."""
        unchanged = replace(found.memory, changed=before.changed)
        if found.replicas != found.before:
            try:
                scaled = await self._scale(one, found)
            except Unavailable:
                raise
            except PathfinderError as refusal:
                await self._tell(one, found, _words(refusal))
                return unchanged
            self._told.pop(one.id, None)
            return found.memory if scaled else unchanged
        await self._tell(one, found, None)
        return unchanged

    async def _scale(self, one: Scaled, found: Decision) -> bool:
        """Whether it is so now: not if somebody changed the deployment meanwhile, which is to be looked at anew."""
        async with self._lead.begin() as tx:
            locked = (await deployments.lock(tx, [one.id])).get(one.id)
            if locked is None or locked.leaving or locked.version != one.version:
                return False
            cluster = await clusters.find(tx, one.cluster)
            asker = Asker(ACTOR, "")
            reason = found.reason
            await deployments.scale(
                tx, cluster, one.name, found.replicas, asker, reason=reason, rules=self._process.rules
            )
            await autoscaling.keep(tx, one.id, found.before, found.replicas, found.document())
        log.info("scaled", deployment=one.name, before=found.before, after=found.replicas, reason=reason)
        return True

    async def _tell(self, one: Scaled, found: Decision, failed: str | None) -> None:
        """Keep why nothing was changed although more or fewer were asked for; however a load swings, now and then."""
        why, now = (found.held, failed), steady_now()
        told = {was: at for was, at in self._told.get(one.id, {}).items() if now - at < TELL_AGAIN_SECONDS}
        if any(why) and why not in told:
            async with self._lead.begin() as tx:
                await autoscaling.keep(tx, one.id, found.before, found.before, found.document() | {"failed": failed})
            told[why] = now
        self._told[one.id] = told

    def _forget(self, rules: Mapping[UUID, Autoscaling | None]) -> None:
        self._memories = {id_: one for id_, one in self._memories.items() if id_ in rules}
        self._told = {id_: one for id_, one in self._told.items() if id_ in rules}
        self._foresight.forget(rules.keys())


def _rules(one: Scaled) -> Autoscaling | None:
    """How it is scaled, never below what shall stay available; None where it is written as no rules are any more."""
    try:
        rules = _parsed(orjson.dumps(one.document))
    except ValueError as error:
        log.error("not scaled: its autoscaling cannot be read", deployment=one.name, reason=str(error))
        return None
    least = min(max(rules.min, one.min_available_replicas), rules.max)
    return rules if least == rules.min else rules.model_copy(update={"min": least})


@lru_cache(4096)
def _parsed(document: bytes) -> Autoscaling:
    return Autoscaling.model_validate_json(document)


def _words(refusal: PathfinderError) -> str:
    if isinstance(refusal, Invalid) and refusal.problems:
        return "; ".join(f"{one.field}: {one.message}" for one in refusal.problems[:3])
    return str(refusal)
