"""What is wrong with nodes: those that are silent or set aside, and those that look alive and do nothing."""

from collections.abc import Collection, Iterator
from dataclasses import replace

from pathfinder.controllers.situation import NodeRef, NodeSeen, Situation
from pathfinder.domain.problems import Problem, ProblemKind, Severity


def _nodes(now: Situation, open_keys: Collection[str]) -> Iterator[Problem]:
    for node in now.nodes:
        about = Problem(
            ProblemKind.NODE_SET_ASIDE,
            Severity.WARNING,
            node.hostname,
            f"Node {node.hostname} is set aside: {node.aside}",
            f"Mend it (`pfi describe node {node.hostname}` tells more); it is tried again by itself.",
            cluster_id=node.cluster.id,
            subject_type="node",
            subject_id=node.id,
        )
        if node.aside is not None and not node.down:
            yield about
        if node.down and not node.expected:
            yield _down(node, about)


def _down(node: NodeSeen, about: Problem) -> Problem:
    summary = f"Node {node.hostname} is DOWN: it sends no heartbeats."
    advice = (
        f"Look at the machine, its network and its agent (`pfi describe node {node.hostname}`); "
        f"if it will not come back: `pfi delete node {node.hostname}`."
    )
    if node.held_back is not None:
        summary = f"Node {node.hostname} is heard, but stays DOWN: {node.held_back}."
        advice = f"Look at LXD on {node.hostname} and at its agent's log; what cannot be deleted, remove by hand."
    waits = f" {node.lost} container(s) wait for it." if node.lost else ""
    return replace(
        about, kind=ProblemKind.NODE_DOWN, severity=Severity.CRITICAL, summary=summary + waits, advice=advice
    )


def _hearing(now: Situation, open_keys: Collection[str]) -> Iterator[Problem]:
    """Nodes that look alive and do nothing: nobody there listens, or LXD does not answer the agent."""
    for node in now.deaf or ():
        yield of_node(
            node,
            ProblemKind.NODE_DEAF,
            f"Node {node.hostname} sends heartbeats, but listens for no commands: what is placed there does not start.",
            f"Restart its agent: `systemctl restart pathfinder@agent` on {node.hostname}; until then "
            f"`pfi cordon node {node.hostname}` keeps new containers away.",
        )
    for node in now.mute:
        yield of_node(
            node,
            ProblemKind.NODE_RUNTIME_DOWN,
            f"Node {node.hostname} sends heartbeats, but its LXD does not answer: nothing starts or stops there.",
            f"See that LXD runs on {node.hostname} (`lxc info`, its journal); until then "
            f"`pfi cordon node {node.hostname}` keeps new containers away.",
        )


def of_node(node: NodeRef, kind: ProblemKind, summary: str, advice: str) -> Problem:
    """One that keeps a node from doing its work."""
    return Problem(kind, Severity.CRITICAL, node.hostname, summary, advice, node.cluster.id, "node", node.id)


RULES = (_nodes, _hearing)
