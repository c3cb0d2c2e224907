"""The rules about deployments: what is wanted of each was accepted last, and its replicas are what is wanted."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from chaos import deployment_log
from chaos.evidence import Container, Demand, Evidence, Told
from chaos.owner import DOOMED_IMAGE
from chaos.room import has_room

Found = Iterator[tuple[str, str]]

#: Whose tries without an answer may bring another revision.
_REVISE = frozenset({"declare", "undo", "restart"})
_COUNTS = "$pf-meta:deployment_host_sequences"


def every_deployment_is_as_last_accepted(evidence: Evidence) -> Found:
    """Each answer, and in the end the table, says what was accepted up to then, or what a try without an answer may
    have brought; and every deployment was asked for.
    """
    rows = {one.name: one for one in evidence.deployments}
    templates = {(one.deployment, one.number): one.template for one in evidence.revisions}
    stories = _stories(evidence)
    for name, story in stories.items():
        yield from _answers(name, story)
        if _is_retired(story) or not (last := _last(story)):
            continue
        row = rows.get(name)
        if row is None:
            if not any(one.op == "retire" for one in story):
                yield name, f"was accepted as {last.id} and is in no table"
            continue
        kept = Told(*(row.id, row.version, row.revision, row.replicas, row.paused, row.leaving))
        yield from _unexplained(name, "in the table", kept, last, None, story)
        template = templates.get((row.id, row.revision))
        if row.revision == last.revision and template != last.template:
            yield name, f"revision {row.revision} was accepted as {last.template} and is {template}"
    for name in rows.keys() - stories.keys():
        yield name, "is in the table, and nobody declared it"


def _answers(name: str, story: Sequence[Demand]) -> Found:
    before: Told | None = None
    for number, demand in enumerate(story):
        what = f"{demand.op} {demand.number}"
        if demand.status is None:
            yield name, f"{what} never got an answer"
        elif demand.status == 404 and before and not (demand.op == "retire" and demand.unclear):
            yield name, f"{what}: the API knows nothing of a deployment it had accepted"
        elif not demand.accepted and demand.status not in (404, 409):
            yield name, f"{what} was refused with {demand.status}"
        if demand.told is None:
            continue
        yield from _unexplained(name, f"in the answer to {what}", demand.told, before, demand, story[: number + 1])
        before = demand.told


def _unexplained(
    name: str, where: str, found: Told, before: Told | None, demand: Demand | None, story: Sequence[Demand]
) -> Found:
    """What `found` says that follows neither from what was told `before` and the `demand` then, nor from tries without
    an answer. Each of those changes the version, and so does the demand unless it was done already.
    """
    late = [one for one in story if one.unclear and not (one.op == "declare" and one.accepted)]
    wanted = _after(before, demand)
    if wanted is None:
        return
    if before and found.id != before.id:
        yield name, f"is {found.id} {where}, and was {before.id}"
    grown = found.version - (before.version if before else 0)
    if grown < 0:
        yield name, f"went back from version {before.version if before else 0} to {found.version} {where}"
    if grown > int(demand is not None) + sum(one.unclear for one in late):
        yield name, f"is of version {found.version} {where}, after {before}: nobody asked for so many changes"
    others = grown > int(demand is not None and (wanted != before or demand.op in _REVISE))
    if found.replicas != wanted.replicas and not (others and found.replicas in {one.replicas for one in late}):
        yield name, f"has {found.replicas} replicas {where}; {wanted.replicas} were accepted"
    pauses = {one.op == "pause" for one in late if one.op in ("pause", "resume", "undo")}
    if found.paused != wanted.paused and not (others and found.paused in pauses):
        yield name, f"is {'' if found.paused else 'not '}paused {where}, and should {'' if wanted.paused else 'not '}be"
    free = demand is not None and demand.op in _REVISE
    if found.revision != wanted.revision and not free and not (others and any(one.op in _REVISE for one in late)):
        yield name, f"wants revision {found.revision} {where}; {wanted.revision} was accepted"
    if demand and demand.template is not None and found.template != demand.template:
        yield name, f"{where} is of another template than was asked for: {found.template}"
    if found.leaving and not (demand and demand.op == "retire") and not any(one.op == "retire" for one in late):
        yield name, f"is being deleted {where}, and nobody asked for that"


def _after(before: Told | None, demand: Demand | None) -> Told | None:
    """What is to be wanted after that; None where nothing was before."""
    if demand is None or before is None:
        if demand is None or demand.told is None or demand.op != "declare":
            return before
        return replace(demand.told, replicas=demand.replicas or 0, paused=False)
    if demand.op in ("declare", "scale"):
        return replace(before, replicas=demand.replicas or 0)
    if demand.op in ("pause", "resume", "undo"):
        return replace(before, paused=demand.op == "pause")
    return before


def _stories(evidence: Evidence) -> dict[str, list[Demand]]:
    found: dict[str, list[Demand]] = defaultdict(list)
    for one in sorted(evidence.demands, key=lambda one: one.number):
        found[one.name].append(one)
    return found


def _last(story: Sequence[Demand]) -> Told | None:
    return next((one.told for one in reversed(story) if one.told), None)


def _is_retired(story: Sequence[Demand]) -> bool:
    # Not found after a try without an answer: that try was carried out.
    return any(one.op == "retire" and (one.accepted or one.status == 404) for one in story)


# Replicas


def every_deployment_has_its_replicas(evidence: Evidence) -> Found:
    """So many as are wanted, each of a number of its own and well; without a gap where its template counts them."""
    living, templates = _living(evidence), _templates(evidence)
    for one in evidence.deployments:
        if one.leaving:
            continue
        names = [replica.hostname for replica in living[one.id]]
        if len(names) != one.replicas:
            yield one.name, f"should have {one.replicas} replicas and has {len(names)}: {', '.join(sorted(names))}"
        numbers = [_number(one.name, name) for name in names]
        if None in numbers or len(set(numbers)) < len(numbers):
            yield one.name, f"has replicas that are not numbered {one.name}-01, {one.name}-02, …: {sorted(names)}"
        elif _counts(templates.get((one.id, one.revision))) and set(numbers) != set(range(1, len(numbers) + 1)):
            yield one.name, f"counts its replicas, and a number is missing: {', '.join(sorted(names))}"
        for replica in living[one.id]:
            template = templates.get((one.id, replica.revision), {})
            if replica.status != _status(template) and not _waits(evidence, replica):
                yield replica.hostname, f"is {replica.status}: {replica.message or 'without a reason'}"


def _waits(evidence: Evidence, replica: Container) -> bool:
    return replica.status == "PENDING" and replica.waiting and not has_room(evidence, replica)


def _status(template: Mapping[str, Any]) -> str:
    return "PROVISION_ERROR" if template.get("image") == DOOMED_IMAGE else "PROVISIONED"


def _number(name: str, hostname: str) -> int | None:
    found = re.fullmatch(rf"{re.escape(name)}-(\d\d+)", hostname)
    return int(found[1]) if found else None


def _counts(template: Any) -> bool:
    return _COUNTS in str(template)


def every_rollout_ended(evidence: Evidence) -> Found:
    """All replicas are of the wanted revision, unless the deployment is paused, or its rollout is told as failed or as
    waiting for room that is not there, and why; and their machines have them so.
    """
    living, templates = _living(evidence), _templates(evidence)
    held = {one.container_id: one.digest for one in evidence.instances}
    digests: dict[str, str] = {}
    for one in evidence.deployments:
        if one.leaving or one.paused:
            continue
        if one.rolls != one.revision or one.phase not in ("done", "failed"):
            if one.rolls == one.revision and one.message and any(_waits(evidence, each) for each in living[one.id]):
                continue
            why = one.message or "without a reason"
            yield one.name, f"wants revision {one.revision}; the rollout of {one.rolls} is {one.phase or 'new'}: {why}"
            continue
        if one.phase == "failed":
            if not one.why:
                yield one.name, f"the rollout of revision {one.revision} failed without a reason"
            continue
        live = _live_part(templates.get((one.id, one.revision)))
        for replica in living[one.id]:
            if replica.revision != one.revision:
                yield replica.hostname, f"is of revision {replica.revision}; {one.revision} is wanted and rolled out"
            has = held.get(replica.id)
            if has is not None and digests.setdefault(live, has) != has:
                yield (
                    replica.hostname,
                    f"its machine has it as {has}, and others of its like as {digests[live]}",
                )


def _live_part(template: Mapping[str, Any] | None) -> str:
    """What machines change while it runs: where that is the same, they tell the same of it."""
    names = ("cpu", "memory", "disk", "limits", "config", "checks", "restart")
    return json.dumps([(template or {}).get(name) for name in names], sort_keys=True)


def nothing_is_left_of_deleted_deployments(evidence: Evidence) -> Found:
    """A deployment whose delete was accepted is gone, and so is each replica and revision of one that is gone."""
    rows = {one.name for one in evidence.deployments}
    for name, story in _stories(evidence).items():
        if name in rows and _is_retired(story):
            yield name, "its delete was accepted, and it is still there"
    there = {one.id for one in evidence.deployments}
    for replica in evidence.containers:
        if replica.deployment and replica.deployment not in there and replica.status != "DELETED":
            yield replica.hostname, f"is {replica.status}, and its deployment {replica.deployment} is gone"
    for one in evidence.revisions:
        if one.deployment not in there:
            yield one.deployment, f"revision {one.number} is kept, and the deployment is gone"


def _living(evidence: Evidence) -> dict[str, list[Container]]:
    found: dict[str, list[Container]] = defaultdict(list)
    for one in evidence.containers:
        if one.deployment and one.status != "DELETED":
            found[one.deployment].append(one)
    return found


def _templates(evidence: Evidence) -> dict[tuple[str, int], Mapping[str, Any]]:
    return {(one.deployment, one.number): one.template for one in evidence.revisions}


# Revisions


def revisions_are_numbered_once_and_without_gaps(evidence: Evidence) -> Found:
    """Those that are kept follow each other; those that the log tells of came one after the other; and one that was
    told to the owner never stood for two templates.
    """
    kept: dict[str, list[int]] = defaultdict(list)
    for one in evidence.revisions:
        kept[one.deployment].append(one.number)
    for row in evidence.deployments:
        numbers = sorted(kept[row.id])
        if not numbers or numbers != list(range(numbers[0], numbers[0] + len(numbers))) or row.revision not in numbers:
            yield row.name, f"wants revision {row.revision}, and has the revisions {numbers}"
    for name, events in deployment_log.by_name(evidence).items():
        most = 0
        for event in events:
            number = event.body.get("revision", 0) if event.kind in _NEW else 0
            if number > most + 1:
                yield name, f"event {event.seq} tells of revision {number}, and the last before was {most}"
            elif event.kind == "deployment.restarted" and number <= most:
                yield name, f"event {event.seq} tells of revision {number} again"
            most = max(most, number)
    for name, story in _stories(evidence).items():
        meant: dict[int, Mapping[str, Any]] = {}
        for told in (one.told for one in story if one.told):
            if meant.setdefault(told.revision, told.template) != told.template:
                yield name, f"revision {told.revision} stood for {meant[told.revision]} and for {told.template}"


_NEW = ("deployment.applied", "deployment.restarted")


RULES = (
    every_deployment_is_as_last_accepted,
    every_deployment_has_its_replicas,
    every_rollout_ended,
    nothing_is_left_of_deleted_deployments,
    revisions_are_numbered_once_and_without_gaps,
    deployment_log.the_log_tells_of_each_deployment_change,
)
