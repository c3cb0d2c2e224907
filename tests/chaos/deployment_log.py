"""Deployments as the event log alone tells them: a fold over `events`, in the order of `seq`, from nothing."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from chaos.evidence import Deployment, Event, Evidence, Told

Found = Iterator[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class _Wants:
    """What the log tells of a deployment."""

    version: int = 0
    revision: int = 0
    replicas: int = 0
    paused: bool = False
    leaving: bool = False


def the_log_tells_of_each_deployment_change(evidence: Evidence) -> Found:
    """Replayed from nothing, `events` give each version of each deployment, once, and what was wanted then: what the
    table says in the end, what each answer said, and how each rollout ended.
    """
    rows, events = {one.id: one for one in evidence.deployments}, _events(evidence, lambda one: one.subject_id)
    told = defaultdict[str, list[tuple[str, Told]]](list)
    for demand in evidence.demands:
        if demand.told:
            told[demand.told.id].append((demand.name, demand.told))
    for id_ in rows.keys() | events.keys() | told.keys():
        row = rows.get(id_)
        mine = events.get(id_, [])
        name = row.name if row else mine[0].subject_name if mine else told[id_][0][0]
        steps = {0: _Wants()}
        for event in mine:
            yield from _step(name, steps, event)
        last = steps[max(steps)]
        if row is None:
            if not mine or mine[-1].kind != "deployment.deleted" or not last.leaving:
                yield name, f"is gone, and the last the log tells of it is {mine[-1].kind if mine else 'nothing'}"
        elif last != (kept := _Wants(row.version, row.revision, row.replicas, row.paused, row.leaving)):
            yield name, f"is {kept} in the table; replaying the log gives {last}"
        else:
            yield from _ending(row, mine)
        for _, answer in told[id_]:
            said = _Wants(answer.version, answer.revision, answer.replicas, answer.paused, answer.leaving)
            if said != steps.get(answer.version):
                yield name, f"was answered to be {said}; the log gives {steps.get(answer.version)}"


def _step(name: str, steps: dict[int, _Wants], event: Event) -> Found:
    if "version" not in event.body:
        return  # it tells of a rollout, not of what is wanted
    before, version = steps[max(steps)], event.body["version"]
    if version != before.version + 1:
        yield name, f"event {event.seq} ({event.kind}) is of version {version}, after {before.version}"
    body, kind = event.body, event.kind.removeprefix("deployment.")
    after = replace(before, version=version)
    if kind == "applied":
        after = replace(after, revision=body["revision"], replicas=body["replicas"])
    elif kind == "scaled":
        after = replace(after, replicas=body["to"])
    elif kind == "undone":
        after = replace(after, revision=body["to"], paused=False)
    elif kind == "restarted":
        after = replace(after, revision=body["revision"])
    elif kind in ("paused", "resumed"):
        after = replace(after, paused=kind == "paused")
    elif kind == "deletion_scheduled":
        after = replace(after, leaving=True)
    steps[version] = after


_ENDS = {"done": "deployment.rolled_out", "failed": "deployment.rollout_failed"}


def _ending(row: Deployment, events: Sequence[Event]) -> Found:
    kind = _ENDS.get(row.phase)
    ends = Counter((event.kind, event.body.get("revision")) for event in events)
    if kind and not ends[kind, row.rolls]:
        yield row.name, f"the rollout of revision {row.rolls} is {row.phase}, and the log has no {kind} of it"


def by_name(evidence: Evidence) -> dict[str, list[Event]]:
    """The events of deployments by their names, in their order."""
    return _events(evidence, lambda one: one.subject_name)


def _events(evidence: Evidence, key: Callable[[Event], str]) -> dict[str, list[Event]]:
    found: dict[str, list[Event]] = defaultdict(list)
    for event in sorted(evidence.events, key=lambda one: one.seq):
        if event.subject_type == "deployment":
            found[key(event)].append(event)
    return found
