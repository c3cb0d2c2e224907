"""Decisions as stored documents, as sentences, and made again from what was stored."""

from collections.abc import Mapping, Sequence
from typing import Any

from pathfinder.domain.messages import Kind
from pathfinder.scheduling.line import WISHES, Candidate, Line, Stand, Weights, candidate
from pathfinder.scheduling.place import Decision, Rejected
from pathfinder.scheduling.policy import Policy


def document(decisions: Sequence[Decision], policy: Policy, nodes: int, skipped: Sequence[str] = ()) -> dict[str, Any]:
    """Why the containers of one kind went where they went, as plain JSON; `nodes` were looked at.

    Every number is kept whole, so that `recompute` finds the same node. Where nodes stood in `line`, each is told with
    its turn and its rungs, and `order` says which container was the how-manieth; otherwise `seen` has the best nodes
    of each container, with their turns. `rejections` tell of the fleet before the first of them, and where `others` has
    one for a container, of what it found. `skipped` are the plugins that failed, in words.
    """
    first = decisions[0].rejected
    line = decisions[0].line
    told = {
        "nodes_considered": nodes,
        "weights": [*([scorer.name, weight] for scorer, weight in policy.scorers), [WISHES, policy.wishes]],
        "ties": policy.ties,
        "rejections": _rejections(first),
        "others": {one.request.id: _rejections(one.rejected) for one in decisions if one.rejected is not first},
        "skipped": list(skipped),
    }
    if line is not None:
        told["line"] = [[one.node, one.turn, one.rungs] for one in line.stands]
        # Not an object by their ids: PostgreSQL would sort them.
        order: list[str | None] = [None] * (1 + max(one.position for one in decisions))
        for one in decisions:
            order[one.position] = one.request.id
        told["order"] = order
    else:
        told["seen"] = {
            one.request.id: [[it.node, it.turn, list(it.scores.values())] for it in one.seen]
            for one in decisions
            if one.seen
        }
    return told


def kind(decision: Decision) -> object:
    """Decisions with equal ones can share a document."""
    return (decision.request.ask, decision.index is None) if decision.line is None else id(decision.line)


def candidates(stored: Mapping[str, Any], container_id: str) -> tuple[Candidate, ...]:
    """The best nodes for one container of a document, the best first; nothing for one that found no place."""
    weights: Weights = tuple((name, weight) for name, weight in stored.get("weights", ()))
    if "line" in stored:
        line = Line(weights, [Stand(node, turn, rungs) for node, turn, rungs in stored["line"]])
        # Documents that were written before there was an `order` tell each one's position.
        position = stored["order"].index(container_id) if "order" in stored else stored["placed"][container_id]
        return line.candidates(position)
    seen = (candidate(weights, node, turn, parts) for node, turn, parts in stored.get("seen", {}).get(container_id, ()))
    return tuple(sorted(seen, key=lambda one: (-one.score, one.turn)))


def recompute(stored: Mapping[str, Any], container_id: str) -> str | None:
    """The decision made again from what was stored: of the best nodes, weighed anew, the best; None: no place."""
    return next((one.node for one in candidates(stored, container_id)), None)


def about(stored: Mapping[str, Any], container_id: str) -> dict[str, Any]:
    """What a document says of one container: how it was weighed, what was rejected, and the best nodes."""
    return {
        "nodes_considered": stored["nodes_considered"],
        "weights": dict(stored.get("weights", ())),
        "ties": stored.get("ties"),
        "skipped": stored.get("skipped", []),
        "rejections": stored["others"].get(container_id, stored["rejections"]),
        "candidates": _candidates(candidates(stored, container_id)),
        "recomputed": recompute(stored, container_id),
    }


def seen(decision: Decision) -> dict[str, Any]:
    """The best nodes of a decision that is not stored, and what was rejected; as `about` tells them."""
    return {"rejections": _rejections(decision.rejected), "candidates": _candidates(decision.candidates)}


def _candidates(best: Sequence[Candidate]) -> list[dict[str, Any]]:
    return [{"node": one.node, "score": one.score, "scores": one.scores, "turn": one.turn} for one in best]


def _rejections(rejected: Sequence[Rejected]) -> list[dict[str, Any]]:
    return [
        {"filter": one.filter, "nodes": one.nodes, "reason": one.reason, "wakes": _kinds(one.wakes)} for one in rejected
    ]


def _kinds(wakes: frozenset[str]) -> list[str]:
    """Sorted; none where it is all there are."""
    return sorted(map(str, wakes)) if len(wakes) < len(Kind) else []


def sentence(decision: Decision, nodes: int) -> str:
    """One line for `describe`: why no node could take the container."""
    if nodes == 0:
        return "Waiting for a node: the cluster has none yet."
    why = "; ".join(f"{r.nodes} × {r.reason}" if r.nodes else r.reason for r in decision.rejected)
    return f"No node of {nodes} can take it now: {why}."
