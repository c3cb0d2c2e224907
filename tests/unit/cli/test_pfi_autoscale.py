"""`pfi autoscale simulate`, `pfi explain autoscaling` and `pfi recommend deployment`."""

import json
from pathlib import Path

import pytest
from fake_api import FakeApi, Pfi, found

RULES = "min: 1\nmax: 20\nmetrics:\n- type: cpu\n  target_percent: 70\n"
DEPLOYMENT = "kind: Deployment\nname: web\ntemplate: {}\nautoscaling:\n  " + RULES.replace("\n", "\n  ")


@pytest.fixture
def load(tmp_path: Path) -> str:
    """An hour: two replicas' worth, ten, two."""
    path = tmp_path / "load.csv"
    rows = [f"{minute * 60}, {700 if 20 <= minute < 40 else 140}" for minute in range(61)]
    path.write_text("\n".join(["seconds, cpu", *rows]))
    return str(path)


def written(tmp_path: Path, text: str) -> str:
    path = tmp_path / "rules.yaml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("text", [RULES, DEPLOYMENT])
def test_a_trace_is_played_beside_the_plain_ratio_and_drawn(
    api: FakeApi, pfi: Pfi, tmp_path: Path, load: str, text: str
) -> None:
    """From rules alone or from a whole Deployment; no server is asked."""
    image = tmp_path / "drawn.png"

    ran = pfi("autoscale", "simulate", "--trace", load, "--policy", written(tmp_path, text), "--plot", str(image))

    assert ran.code == 0, ran.err
    assert [line.split("   ")[0] for line in ran.lines] == ["RULE", "policy", "plain ratio"]
    assert "2-10" in ran.lines[1]
    assert image.stat().st_size > 10_000
    assert api.requests == []
    again = pfi("autoscale", "simulate", "--trace", load, "--policy", written(tmp_path, text), "-o", "json")
    assert [one["rule"] for one in json.loads(again.out)] == ["policy", "plain ratio"]


@pytest.mark.parametrize(
    ("text", "trace", "words"),
    [
        ("min: 9\nmax: 3\nmetrics: [{type: cpu, target_percent: 1}]", None, "above max"),
        ("max: 3\nmetrics: [{type: cpu, target_percent: no}]", None, "rules.yaml:2"),
        ("autoscaling:\n  max: x\n  metrics: [{type: cpu, target_percent: 1}]", None, "rules.yaml:2: autoscaling.max"),
        ("max: 3\nmetrics:\n- {type: cpu, target_percent: no}", None, "rules.yaml:3: metrics[0].target_percent"),
        (RULES + "---\n" + RULES, None, "2 documents"),
        (RULES, "seconds,cpu\n0,1\n0,2", "line 3"),
        (RULES, "", "no rows"),
        (RULES, "seconds,cpu\n0,1\n1e9,2", "too long"),
    ],
)
def test_what_cannot_be_played_is_told_with_its_place(
    pfi: Pfi, tmp_path: Path, load: str, text: str, trace: str | None, words: str
) -> None:
    """The file, the line, and what is wrong there."""
    if trace is not None:
        Path(load).write_text(trace)

    ran = pfi("autoscale", "simulate", "--trace", load, "--policy", written(tmp_path, text))

    assert ran.code == 1
    assert words in ran.err


def test_a_file_that_is_not_there_is_named(pfi: Pfi, tmp_path: Path) -> None:
    """No traceback for a typing mistake."""
    ran = pfi("autoscale", "simulate", "--trace", "nowhere.csv", "--policy", written(tmp_path, RULES))

    assert (ran.code, "cannot read nowhere.csv" in ran.err) == (1, True)


STATE = {
    "deployment": "web",
    "replicas": 5,
    "ready": 4,
    "rules": {"min": 2, "max": 8, "metrics": [{"type": "cpu", "target_percent": 50}]},
    "measured": [{"metric": "cpu", "at": "2026-11-23T20:00:00Z", "value": 240.0}],
    "decisions": [
        {
            "at": "2026-11-23T20:04:00Z",
            "before": 5,
            "after": 5,
            "asked": 5,
            "reason": "cpu is 48 and shall be 50: it asks for 5",
            "held": "not fewer, because queue cannot be told",
            "failed": None,
            "metrics": [
                {"name": "cpu", "replicas": 5, "value": 48.0, "target": 50.0, "measured": 4},
                {"name": "queue", "reason": "answered 500"},
            ],
        },
        {"at": "2026-11-23T20:00:00Z", "before": 2, "after": 5, "reason": "cpu is 120 and shall be 50: it asks for 5"},
    ],
}


def test_scaling_is_explained_by_its_numbers(api: FakeApi, pfi: Pfi) -> None:
    """What is wanted, what each metric said last, and every change with its reason."""
    api.on("GET", "/deployments/web/autoscaling", found(STATE))

    ran = pfi("explain", "autoscaling", "web")

    assert ran.code == 0, ran.err
    assert ran.lines[0] == "web: 5 replicas are wanted, between 2 and 8; 4 are ready"
    assert any("queue" in line and "answered 500" in line for line in ran.lines)
    assert any("2 -> 5" in line and "cpu is 120" in line for line in ran.lines)
    assert any("not fewer, because queue cannot be told" in line for line in ran.lines)
    assert json.loads(pfi("explain", "autoscaling", "web", "-o", "json").out)["replicas"] == 5


def test_a_deployment_that_is_scaled_by_hand_says_so(api: FakeApi, pfi: Pfi) -> None:
    """There is nothing to explain then."""
    api.on("GET", "/deployments/web/autoscaling", found(STATE | {"rules": None, "measured": [], "decisions": []}))

    assert "scaled by hand" in pfi("explain", "autoscaling", "web").lines[0]


def test_a_size_is_recommended_or_why_none_is(api: FakeApi, pfi: Pfi) -> None:
    """Cores and sizes as people write them; too little history is no advice."""
    cpu = {
        "asked": 2000,
        "recommended": 950,
        "p95": 800.0,
        "most": 1700.0,
        "samples": 2016,
        "words": "could do with less",
    }
    memory = {"asked": 0, "recommended": None, "p95": None, "most": None, "samples": 9, "words": "only 1 hours"}
    api.on(
        "GET", "/deployments/web/recommendation", found({"deployment": "web", "days": 7, "cpu": cpu, "memory": memory})
    )

    ran = pfi("recommend", "deployment", "web")

    assert ran.code == 0, ran.err
    assert "168 recorded hours" in ran.lines[0]
    assert ran.lines[3].split()[:5] == ["cpu", "2", "0.8", "1.7", "0.95"]
    assert ran.lines[4].split()[:5] == ["memory", "-", "-", "-", "-"]
