"""The state as the event log alone tells it: a fold over `events`, in the order of `seq`, from nothing."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from chaos.evidence import Event
from pathfinder.domain.lifecycle import TRANSITIONS, Status

#: What a node is after each kind of fact about it. A new one is DOWN until its first list; one that registers again is
#: what it was.
NODE_STATUS = {"node.ready": "READY", "node.down": "DOWN"}


class Placement(NamedTuple):
    """A container as the log tells it."""

    status: str
    node: str | None
    generation: int


@dataclass
class State:
    """What the log tells of every container and node, by id, and where it contradicts itself."""

    containers: dict[str, Placement] = field(default_factory=dict)
    nodes: dict[str, str] = field(default_factory=dict)
    contradictions: list[tuple[str, str]] = field(default_factory=list)


def replay(events: Iterable[Event]) -> State:
    """The state after all of `events`."""
    state = State()
    for event in events:
        if event.subject_type == "container":
            _container(state, event)
        elif event.subject_type == "node":
            _node(state, event)
    return state


def _container(state: State, event: Event) -> None:
    if "status" not in event.body:
        return  # it tells of something else than the placement: of a step, or of a former one
    after = Placement(str(event.body["status"]), event.node, event.generation)
    before = state.containers.get(event.subject_id)
    state.contradictions += [(event.subject_name, words) for words in _contradictions(before, after, event)]
    state.containers[event.subject_id] = after


def _contradictions(before: Placement | None, after: Placement, event: Event) -> Iterator[str]:
    what = f"event {event.seq} ({event.kind})"
    if before is None:
        if event.kind != "container.requested":
            yield f"{what} is the first the log has of it; nothing tells that it was asked for"
        return
    if after.generation < before.generation:
        yield f"{what} goes back from generation {before.generation} to {after.generation}"
    if after.status != before.status and Status(after.status) not in TRANSITIONS[Status(before.status)]:
        yield f"{what} leads from {before.status} to {after.status}; something in between is missing"


def _node(state: State, event: Event) -> None:
    if event.kind == "node.deleted":
        state.nodes.pop(event.subject_id, None)
    elif event.kind == "node.registered":
        state.nodes.setdefault(event.subject_id, "DOWN")
    elif event.kind in NODE_STATUS:
        state.nodes[event.subject_id] = NODE_STATUS[event.kind]
