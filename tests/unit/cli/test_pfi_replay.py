"""`pfi policy replay`: a table for people, an image where one is asked for."""

import json
import sys
from pathlib import Path

import pytest
from fake_api import FakeApi, Pfi, found, problem


def of_policy(name: str, nodes: int, never: int = 0) -> dict[str, object]:
    """How a policy did."""
    shares = ("cpu", "memory", "nodes_used", "imbalance", "stranded_cpu", "stranded_memory")
    return {
        "policy": name,
        "version": 0,
        "needed": {
            "nodes": nodes, "least": nodes - 1, "most": nodes, "of": 12, "containers": 80, "left_out": 0,
            "at": "2026-11-23T18:00:00Z",
        },
        "cpu": 0.5,
        "memory": 0.4,
        "nodes_used": 9.5,
        "imbalance": 0.102,
        "stranded_cpu": 0.03,
        "stranded_memory": 0.0,
        "pending_p50_seconds": 0.0,
        "pending_p99_seconds": 75.0,
        "never_placed": never,
        "decision_seconds": 0.00042,
        "series": {share: [0.0, 0.5, 0.4] for share in (*shares, "waiting")},
    }  # fmt: skip


REPLAY = {
    "cluster": "default",
    "since": "2026-11-22T20:00:00Z",
    "until": "2026-11-23T20:00:00Z",
    "nodes": 12,
    "containers": 100,
    "came": 60,
    "went": 20,
    "forgotten": 3,
    "share": 0.125,
    "at": [0.0, 43_200.0, 86_400.0],
    "policies": [of_policy("spread", 10), of_policy("binpack", 8)],
}


def test_policies_stand_side_by_side(api: FakeApi, pfi: Pfi) -> None:
    """One to a line; what was left out is said, and that it is a sample."""
    api.on("POST", "/replays", found(REPLAY))

    ran = pfi("policy", "replay", "--since", "24h", "--policy", "spread", "--policy", "binpack")

    assert ran.code == 0
    assert ran.lines[:4] == [
        "cluster default, 1d since 2026-11-22 20:00:00: 12 nodes, 100 containers, of which 60 came and 20 went",
        "a sample: 12.5% of the containers on 12.5% of the nodes; all counts are of the sample",
        "left out: 3 whose sizes are not recorded any more",
        "",
    ]
    assert [line.split("   ")[0].strip() for line in ran.lines[4:]] == ["POLICY", "spread@0", "binpack@0"]
    assert "8 of 12" in ran.lines[6]
    assert "1m15s" in ran.lines[6]
    assert "420 us" in ran.lines[6]
    assert json.loads(api.requests[0].content) == {"since": "86400s", "policies": ["spread", "binpack"], "seed": 0}
    assert json.loads(pfi("policy", "replay", "-o", "json").out) == REPLAY
    assert pfi("policy", "replay", "-o", "name").lines == ["binpack"]


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_a_plot_is_drawn(api: FakeApi, pfi: Pfi, tmp_path: Path, ending: str) -> None:
    """From what the API answered, where pfi runs."""
    api.on("POST", "/replays", found(REPLAY))
    image = tmp_path / f"replay.{ending}"

    ran = pfi("policy", "replay", "--plot", str(image))

    assert ran.code == 0
    assert image.stat().st_size > 10_000
    assert "drawn" in ran.err


def test_a_plot_that_cannot_be_drawn_is_refused_before_anything_is_asked(
    api: FakeApi, pfi: Pfi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another kind of file, no such directory, no matplotlib: and what to do about it."""
    assert pfi("policy", "replay", "--plot", "replay.doc").code == 2
    assert pfi("policy", "replay", "--plot", str(tmp_path / "missing" / "replay.png")).code == 2
    monkeypatch.setitem(sys.modules, "matplotlib", None)

    ran = pfi("policy", "replay", "--plot", str(tmp_path / "replay.png"))

    assert ran.code == 1
    assert "pip install 'pathfinder-orchestrator[plot]'" in ran.err
    assert api.requests == []


def test_a_refusal_is_told(api: FakeApi, pfi: Pfi) -> None:
    """With the server's words."""
    api.on("POST", "/replays", problem(422, "Nothing to replay: no container was asked for in cluster 'default'."))

    ran = pfi("policy", "replay")

    assert ran.code == 1
    assert "Nothing to replay" in ran.err
