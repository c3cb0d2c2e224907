"""Decisions as stored documents, and as sentences."""

from typing import Any

from pathfinder.scheduling.place import Decision


def document(decision: Decision, policy: str, seed: int, nodes: int) -> dict[str, Any]:
    """What `pfi explain` needs to tell why: plain JSON, stored with the container."""
    return {
        "policy": policy,
        "seed": seed,
        "nodes_considered": nodes,
        "rejections": [{"filter": r.filter, "nodes": r.nodes, "reason": r.reason} for r in decision.rejected],
        "candidates": [
            {"node": c.node, "score": round(c.score, 4), "scores": {name: round(s, 4) for name, s in c.scores.items()}}
            for c in decision.candidates
        ],
    }


def sentence(decision: Decision, nodes: int) -> str:
    """One line for `describe`: why no node could take the container."""
    if nodes == 0:
        return "Waiting for a node: the cluster has none yet."
    why = "; ".join(f"{r.nodes} × {r.reason}" for r in decision.rejected)
    return f"No node of {nodes} can take it now: {why}."
