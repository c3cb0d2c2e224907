"""`pfi` as a user runs it, a program of its own, against the lab."""

import json
from pathlib import Path

import pytest
from harness import Harness

pytestmark = pytest.mark.lab


@pytest.fixture
def user(harness: Harness, tmp_path: Path) -> dict[str, str]:
    """A user's environment, with the profile `lab` chosen by PFI_PROFILE."""
    return harness.pfi_environment(tmp_path)


async def test_a_container_lives_and_dies_by_pfi(harness: Harness, user: dict[str, str]) -> None:
    """Nodes, create, list, describe, explain, delete: what each prints, and that each ends with 0."""
    nodes = await harness.pfi(user, "get", "nodes")
    assert (nodes.code, nodes.err) == (0, "")
    header, *rows = nodes.out.splitlines()
    assert header.split("  ")[0] == "HOSTNAME"
    assert header.split() == ["HOSTNAME", "IPADDRESS", "CREATED", "AT"]
    assert [row.split()[:2] for row in rows] == [[node, harness.lab.address(node)] for node in harness.lab.nodes()]

    wishes = ("--cpu", "500m", "--memory", "64MiB", "--label", "tier=web")
    made = await harness.pfi(user, "create", "container", "by-hand", *wishes, "--wait")
    assert made.code == 0, made.err
    container = await harness.client.containers.get("by-hand")
    assert made.out.splitlines()[-1] == f"container by-hand is PROVISIONED on {container.node} at {container.ipaddress}"

    listed = await harness.pfi(user, "get", "containers")
    header, row = listed.out.splitlines()
    assert header.split() == ["HOSTNAME", "IPADDRESS", "IMAGE", "NODE", "STATUS"]
    assert row.split() == ["by-hand", container.ipaddress, container.image, container.node, "PROVISIONED"]
    as_json = await harness.pfi(user, "get", "containers", "-o", "json")
    assert "by-hand" in json.dumps(json.loads(as_json.out))
    assert (await harness.pfi(user, "get", "containers", "-o", "name")).out == "by-hand\n"

    described = await harness.pfi(user, "describe", "container", "by-hand")
    assert described.code == 0
    for word in ("by-hand", str(container.node), str(container.ipaddress), "64MiB", "tier=web", "PROVISIONED"):
        assert word in described.out
    explained = await harness.pfi(user, "explain", "container", "by-hand")
    assert explained.code == 0
    assert f"on {container.node}" in explained.out
    assert "3 nodes considered" in explained.out

    deleted = await harness.pfi(user, "delete", "container", "by-hand", "--wait")
    assert (deleted.code, deleted.out.splitlines()[-1]) == (0, "by-hand: deleted")
    assert (await harness.pfi(user, "get", "containers", "-o", "name")).out == ""


async def test_explain_counts_the_nodes_each_filter_rejected(harness: Harness, user: dict[str, str]) -> None:
    """One node is cordoned and two are too full: both are said, with the number of nodes."""
    capacity = (await harness.client.nodes.get("node-01")).capacity.memory_bytes
    most = str(capacity * 6 // 10)
    await harness.create("full-1", "full-2", "full-3", memory=most)
    await harness.client.nodes.cordon("node-02")
    asked = await harness.pfi(user, "create", "container", "waiting", "--memory", most)
    assert asked.code == 0

    async def explained() -> list[list[str]]:
        told = await harness.pfi(user, "explain", "container", "waiting")
        lines = [line.split() for line in told.out.splitlines()]
        return [line[:2] for line in lines if line and line[0] in ("fits", "schedulable")]

    assert sorted(await harness.until("the reasons", explained)) == [["fits", "2"], ["schedulable", "1"]]


async def test_cordon_reschedule_and_uncordon_by_pfi(harness: Harness, user: dict[str, str]) -> None:
    """The node's mark shows in the wide table, and the container moves."""
    before = (await harness.create("moved"))["moved"]
    assert (await harness.pfi(user, "cordon", "node", str(before.node))).code == 0
    wide = await harness.pfi(user, "get", "nodes", "-o", "wide")
    assert [line.split()[0] for line in wide.out.splitlines() if "CORDONED" in line] == [before.node]

    moved = await harness.pfi(user, "reschedule", "container", "moved", "--wait")

    assert moved.code == 0, moved.err
    after = await harness.client.containers.get("moved")
    assert (after.generation, after.node != before.node) == (before.generation + 1, True)
    assert (await harness.pfi(user, "uncordon", "node", str(before.node))).code == 0


async def test_exit_codes_tell_what_went_wrong(harness: Harness, user: dict[str, str]) -> None:
    """1 refused or failed, 2 usage, 3 no server, 4 timed out; each with words on standard error."""
    await harness.only("node-01")
    for code, environment, arguments in (
        (1, {}, ("delete", "container", "nobody")),
        (1, {}, ("create", "container", "Not_A_Name")),
        (1, {}, ("create", "container", "no-image", "--image", "local:none", "--wait")),
        (1, {"PFI_TOKEN": "pf_wrong"}, ("get", "containers")),
        (2, {}, ("create", "container", "x", "--no-such-option")),
        (2, {}, ("get", "unicorns")),
        (2, {"PFI_PROFILE": "nowhere"}, ("get", "nodes")),
        (3, {"PFI_PROFILE": "elsewhere"}, ("get", "nodes")),
        (4, {}, ("create", "container", "late", "--node-label", "zone=nowhere", "--wait", "--timeout", "1s")),
    ):
        run = await harness.pfi(user | environment, *arguments)
        assert (run.code, bool(run.err), "Traceback" in run.err) == (code, True, False), (arguments, run)
