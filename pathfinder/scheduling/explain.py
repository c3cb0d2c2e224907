"""Decisions as stored documents, and as sentences."""

from collections.abc import Mapping, Sequence
from typing import Any

from pathfinder.scheduling.place import Decision, Rejected


def document(decisions: Sequence[Decision], hostnames: Sequence[str], nodes: int) -> dict[str, Any]:
    """Why the containers of one kind went where they went, as plain JSON. `hostnames` are the nodes of those that were
    placed, in the order of `decisions`; nobody's where one was not.

    `rejections` tell of the fleet before the first of them, and where `others` has one for a container, of what it
    found. The first ones also tell their `candidates`.
    """
    first = decisions[0].rejected
    return {
        "nodes_considered": nodes,
        "rejections": _rejections(first),
        "placed": {
            one.request.id: host for one, host in zip(decisions, hostnames, strict=True) if one.index is not None
        },
        "candidates": {one.request.id: _candidates(one) for one in decisions if one.candidates},
        "others": {one.request.id: _rejections(one.rejected) for one in decisions if one.rejected is not first},
    }


def about(document: Mapping[str, Any], container_id: str) -> dict[str, Any]:
    """What a document says of one container: nodes_considered, rejections and candidates."""
    return {
        "nodes_considered": document["nodes_considered"],
        "rejections": document["others"].get(container_id, document["rejections"]),
        "candidates": document["candidates"].get(container_id, []),
    }


def _rejections(rejected: Sequence[Rejected]) -> list[dict[str, Any]]:
    return [{"filter": one.filter, "nodes": one.nodes, "reason": one.reason} for one in rejected]


def _candidates(decision: Decision) -> list[dict[str, Any]]:
    return [
        {"node": c.node, "score": round(c.score, 4), "scores": {name: round(s, 4) for name, s in c.scores.items()}}
        for c in decision.candidates
    ]


def sentence(decision: Decision, nodes: int) -> str:
    """One line for `describe`: why no node could take the container."""
    if nodes == 0:
        return "Waiting for a node: the cluster has none yet."
    why = "; ".join(f"{r.nodes} × {r.reason}" for r in decision.rejected)
    return f"No node of {nodes} can take it now: {why}."
