"""`pfi resilience`: sentences for people, an exit code for scripts."""

import json

from fake_api import FakeApi, Pfi, found


def loss(domain: str, name: str, waiting: int, stateful: int = 0) -> dict[str, object]:
    """What one death would mean."""
    return {
        "domain": domain, "name": name, "nodes": 1, "containers": 20, "waiting": waiting, "stateful": stateful,
    }  # fmt: skip


def resilience(*losses: dict[str, object]) -> dict[str, object]:
    """A cluster's."""
    nodes = [one for one in losses if one["domain"] == "node"]
    return {
        "cluster": "default",
        "policy": "spread",
        "zone_label": "zone",
        "survives_any_node": not any(one["waiting"] for one in nodes),
        "survives_any_zone": None,
        "losses": list(losses),
        "simulated": [],
    }


def test_it_says_what_would_be_lost(api: FakeApi, pfi: Pfi) -> None:
    """Any node, each zone; the table has what should worry somebody."""
    well = resilience(loss("node", "node-1", 0), loss("node", "node-2", 0), loss("zone", "b", 12))
    api.on("GET", "/resilience", found(well))

    ran = pfi("resilience")

    assert ran.code == 0
    assert ran.lines == [
        "any 1 node: yes",
        "zone b: 12 containers would wait",
        "",
        "IF THIS DIED   CONTAINERS   WOULD WAIT   STATEFUL",
        "zone b         20           12           0",
    ]
    assert "node node-2" in pfi("resilience", "-o", "wide").out
    assert json.loads(pfi("resilience", "-o", "json").out) == well


def test_the_exit_code_says_no(api: FakeApi, pfi: Pfi) -> None:
    """2, and the names of what must not die."""
    api.on("GET", "/resilience", found(resilience(loss("node", "node-1", 5, 2), loss("node", "node-2", 0))))

    ran = pfi("resilience")

    assert ran.code == 8
    assert ran.lines[0] == "any 1 node: no: 1 of 2 nodes, up to 5 containers would wait"
    assert ran.lines[1].startswith("2 stateful containers")
    assert pfi("resilience", "-o", "name").out == "node-1\n"
