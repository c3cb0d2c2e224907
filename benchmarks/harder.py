"""Harder mixes than the ten shapes: containers that compare nodes with each other, and such as fit nowhere.

Kubernetes tests its scheduler with the same kinds of pod, each against a floor at 5,000 nodes.
"""

from typing import Any

from benchmarks.shapes import container

#: Of every mix, pods/s that Kubernetes' whole scheduler must reach at 5,000 nodes, and what is to be reached here.
FLOORS = {"apart": 60, "zones": 90, "racks": 90, "churn": 590}
REACH = 1_500

#: The plain ten shapes, and the harder ones.
PLAIN = "plain"
MIXES = (PLAIN, *FLOORS)

#: What each is, in words.
WORDS = {
    PLAIN: "ten shapes",
    "apart": "required anti-affinity, one of a group on each node",
    "zones": "topology spread over zones, skew 1",
    "racks": "preferred affinity, in racks",
    "churn": "every second one fits nowhere",
}

#: Containers that are apart from each other: fewer than there are nodes.
GROUP = 400
#: So many different wishes that cannot be fulfilled.
WISHES = 20


def asked(mix: str, number: int) -> dict[str, Any]:
    """The request for container `number` of a mix."""
    one = container(number)
    if mix == PLAIN:
        return one
    if mix == "churn":
        return one | {"constraints": [f"nowhere={number % WISHES}"]} if number % 2 else one
    group = f"{mix}-{number // GROUP}"
    company = {
        "apart": {"affinity": [{"to": f"group={group}", "rule": "apart"}]},
        "zones": {"spread": [{"of": f"group={group}", "over": "zone"}]},
        "racks": {"affinity": [{"to": f"group={group}", "over": "rack", "required": False}]},
    }
    return {**one, **company[mix], "labels": {**one["labels"], "group": group}}


def placed(mix: str, containers: int) -> int:
    """How many of so many can get a node."""
    return containers - containers // 2 if mix == "churn" else containers
