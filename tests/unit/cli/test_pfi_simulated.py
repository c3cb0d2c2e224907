"""Nobody may take a simulation for the real thing, whatever `pfi` shows."""

import re

import pytest
from fake_api import AT, ID, FakeApi, Pfi, container, ended, event, found, node, page, problem
from test_pfi_plan import FILLING, plan, planned
from test_pfi_resilience import loss, resilience

ATTEMPT = {"at": AT, "node": "node-01", "generation": 1, "fault": "node", "reason": "disk full", "simulated": True}
PROBLEM = {
    "id": str(ID), "kind": "node.down", "severity": "critical", "cluster": "default", "subject": "node-01",
    "summary": "It is DOWN.", "advice": "Start it.", "opened_at": AT, "closed_at": None, "simulated": True,
}  # fmt: skip
EXPLANATION = {
    "hostname": "web-01", "status": "PROVISIONED", "node": "node-01", "policy": "spread", "seed": 7,
    "nodes_considered": 1, "rejections": [],
    "candidates": [{"node": "node-01", "score": 1.0, "scores": {"spread": 1.0}, "turn": 0}],
    "decided_at": AT, "message": "It fits.", "recomputed": "node-01", "simulated": ["node-01"],
}  # fmt: skip
PLAN = plan(
    planned("web-01", "node-01", source="node-01"),
    planned("web-02", None, source="node-01", reason="No room."),
    preempted=[{"hostname": "web-03", "node": "node-01", "by": "web-01"}],
    nodes=[FILLING],
    simulated=["node-01"],
)
HAPPENED = [
    event(1, "container.scheduled") | {"simulated": True},
    event(2, "node.ready", of="node-01") | {"simulated": True},
    event(3, "node.set_aside", of="node-01", on=None) | {"simulated": True},
]


@pytest.fixture
def simulated(api: FakeApi) -> None:
    """A cluster of one simulated node."""
    api.on("GET", "/nodes", page(node(simulated=True)))
    api.on("GET", "/nodes/node-01", found(node(simulated=True)))
    api.on("GET", "/containers", page(container(simulated=True)))
    api.on("GET", "/containers/web-01", found(container(simulated=True)))
    api.on("GET", "/containers/web-01/attempts", page(ATTEMPT))
    api.on("GET", "/containers/web-01/explain", found(EXPLANATION))
    api.on("GET", "/events", page(*HAPPENED))
    api.on("GET", "/problems", page(PROBLEM))
    api.on("GET", "/resilience", found(resilience(loss("node", "node-01", 3)) | {"simulated": ["node-01"]}))
    api.on("POST", "/plans/lose", found(PLAN))


@pytest.mark.usefixtures("simulated")
@pytest.mark.parametrize(
    "command",
    [
        "get nodes",
        "get nodes -o wide",
        "get containers",
        "get containers -o wide",
        "get events",
        "get events -o wide",
        "get problems",
        "get problems -o wide",
        "describe node node-01",
        "describe container web-01",
        "explain container web-01",
        "plan lose node node-01",
        "plan lose node node-01 -o wide",
        "resilience",
        "resilience -o wide",
    ],
)
def test_every_table_labels_a_simulated_node(pfi: Pfi, command: str) -> None:
    """Each line that names it says so, once or more; the label is the same everywhere."""
    lines = [line for line in pfi(*command.split()).lines if "node-01" in line]

    assert lines
    assert [line for line in lines if not re.search(r"\bnode-01 SIMULATED\b", line)] == []


def test_the_stream_of_events_labels_a_simulated_node(api: FakeApi, pfi: Pfi) -> None:
    """What happens is labelled as what is."""
    api.on("GET", "/events/stream", ended(*HAPPENED[:1]), problem(401, "Enough."))

    assert "node-01 SIMULATED" in pfi("events", "tail", "--since", "1h").out
