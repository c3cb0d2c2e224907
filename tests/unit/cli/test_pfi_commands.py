"""The other verbs, the exit codes, and what errors look like."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from fake_api import AT, FakeApi, Pfi, container, ended, event, found, node, page, problem

from pathfinder.cli.pfi import words
from pathfinder.cli.pfi.app import VERBS


def test_a_create_sends_only_what_was_written(api: FakeApi, pfi: Pfi) -> None:
    """The server's defaults and rules live on the server."""
    api.on("POST", "/containers", found(container(status="PENDING", node=None, ipaddress=None), 201))

    ran = pfi(
        "create", "container", "web-01", "--cpu", "500m", "--memory", "512MiB", "-l", "tier=web", "-c", "a=b=c",
        "--profile", "default", "-p", "gpu", "--node-label", "zone=a", "--type", "STATEFUL",
    )  # fmt: skip

    assert json.loads(api.requests[0].content) == {
        "hostname": "web-01",
        "cpu": "500m",
        "memory": "512MiB",
        "labels": {"tier": "web"},
        "node_labels": {"zone": "a"},
        "config": {"a": "b=c"},
        "profiles": ["default", "gpu"],
        "type": "stateful",
    }
    assert ran.lines == ["container web-01 is PENDING"]


def test_wrong_fields_are_listed_one_to_a_line(api: FakeApi, pfi: Pfi) -> None:
    """A user can mend them all at once."""
    api.on("POST", "/containers", problem(422, "The request is not valid.", hostname="too long", memory="negative"))

    ran = pfi("create", "container", "x" * 99)

    assert ran.code == 1
    assert ran.err == "error: The request is not valid.\n  hostname: too long\n  memory: negative\n"


def test_a_wrong_token_says_how_to_get_one(api: FakeApi, pfi: Pfi) -> None:
    """The first thing a newcomer runs into."""
    api.on("GET", "/nodes", problem(401, "The token is not known."))

    ran = pfi("get", "nodes")

    assert ran.code == 1
    assert "pathfinder up" in ran.err
    assert "pfi config set token" in ran.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["gte"],
        ["get", "pods"],
        ["get", "nodes", "--nope"],
        ["create", "container"],
        ["create", "container", "web-01", "--label", "tier"],
        ["create", "container", "web-01", "--label", "=web"],
        ["create", "container", "web-01", "--wait", "--timeout", "soon"],
        ["get", "events", "--since", "yesterday"],
        ["get", "nodes", "-o", "xml"],
        ["get", "nodes", ""],
        ["--server", "localhost", "get", "nodes"],
        ["--profile", "nobody", "get", "nodes"],
        ["help", "fly"],
    ],
)
def test_a_wrong_command_line_is_exit_code_two(pfi: Pfi, arguments: list[str]) -> None:
    """With one line that says what is wrong, and no request."""
    ran = pfi(*arguments)

    assert ran.code == 2
    assert ran.out == ""
    assert ran.err.startswith("error: ")


def test_a_global_flag_in_the_wrong_place_says_where_it_goes(pfi: Pfi) -> None:
    """The usual slip of somebody who knows other tools."""
    ran = pfi("get", "nodes", "--cluster", "lab")

    assert ran.code == 2
    assert "--cluster stands before the command" in ran.err


def test_a_bug_is_one_line_unless_the_traceback_is_wanted(api: FakeApi, pfi: Pfi) -> None:
    """Users get a sentence, those who mend it the traceback."""
    api.on("GET", "/version", RuntimeError("boom"))

    short, long = pfi("version", "--remote"), pfi("--debug", "version", "--remote")

    assert short.code == long.code == 1
    assert short.err.startswith("error: unexpected: RuntimeError: boom\nhint: ")
    assert "Traceback" not in short.err
    assert "Traceback" in long.err


def test_cordon_and_uncordon_take_several_nodes(api: FakeApi, pfi: Pfi) -> None:
    """A rack at a time."""
    for mark in ("cordon", "uncordon"):
        api.on("POST", f"/nodes/node-01/{mark}", found(node()))
        api.on("POST", f"/nodes/node-02/{mark}", found(node("node-02")))

    assert len(pfi("cordon", "node", "node-01", "node-02").lines) == 2
    assert len(pfi("uncordon", "node", "node-01", "node-02").lines) == 2


def test_a_node_that_holds_containers_is_not_deleted(api: FakeApi, pfi: Pfi) -> None:
    """The server's refusal is the user's answer."""
    api.on("DELETE", "/nodes/node-01", problem(409, "Node 'node-01' holds 2 containers."))

    ran = pfi("delete", "node", "node-01")

    assert (ran.code, ran.err) == (1, "error: Node 'node-01' holds 2 containers.\n")


def test_describe_ends_with_what_happened_lately(api: FakeApi, pfi: Pfi) -> None:
    """With the reason of a failure, and without each percent of a download."""
    failed = container(status="PROVISION_ERROR", message="No space left.", ipaddress=None)
    api.on("GET", "/containers/web-01", found(failed))
    api.on("GET", "/containers/web-01/attempts", page())
    events = [event(1, "container.progress", stage="image"), event(2, "container.provision_failed", reason="No space.")]
    api.on("GET", "/events", page(*events))

    ran = pfi("describe", "container", "web-01")

    assert "Message:       No space left." in ran.lines
    assert ran.lines[-1].endswith("container.provision_failed   web-01         node-01   No space.")
    assert "progress" not in ran.out


ATTEMPTS = [
    {"at": AT, "node": "node-02", "generation": 1, "fault": "node", "reason": "No space left.", "simulated": False},
    {
        "at": AT,
        "node": "node-01",
        "generation": 2,
        "fault": "node",
        "reason": "LXD does not answer.",
        "simulated": False,
    },
]


def test_describe_shows_each_failed_attempt(api: FakeApi, pfi: Pfi) -> None:
    """When and where it was, whose fault, and why; and when it is tried again."""
    waiting = container(status="PENDING", node=None, ipaddress=None, failed_attempts=2, retry_at=AT)
    api.on("GET", "/containers/web-01", found(waiting))
    api.on("GET", "/containers/web-01/attempts", page(*ATTEMPTS))
    api.on("GET", "/events", page())

    ran = pfi("describe", "container", "web-01")

    assert "Attempts:      2 of 5 failed" in ran.lines
    assert any(line.startswith("Tried again:   2026-11-23") for line in ran.lines)
    header, first, second = ran.lines[ran.lines.index("Failed attempts:") + 1 :]
    assert header.split() == ["TIME", "NODE", "GENERATION", "FAULT", "REASON"]
    assert first.split(maxsplit=5)[2:] == ["node-02", "1", "node", "No space left."]
    assert second.split(maxsplit=5)[2:] == ["node-01", "2", "node", "LXD does not answer."]


def test_describe_is_data_for_programs(api: FakeApi, pfi: Pfi) -> None:
    """The API's own shapes, put together."""
    api.on("GET", "/containers/web-01", found(container()))
    api.on("GET", "/containers/web-01/attempts", page(*ATTEMPTS))
    api.on("GET", "/events", page(event(1, "container.provisioned")))

    described = json.loads(pfi("describe", "container", "web-01", "-o", "json").out)

    assert described["container"] == container()
    assert described["attempts"] == ATTEMPTS
    assert [one["kind"] for one in described["events"]] == ["container.provisioned"]
    assert pfi("describe", "container", "web-01", "-o", "name").lines == ["web-01"]


def test_explain_counts_the_nodes_each_filter_rejected(api: FakeApi, pfi: Pfi) -> None:
    """Why a container waits."""
    explanation = {
        "hostname": "web-01",
        "status": "PENDING",
        "node": None,
        "policy": "spread",
        "policy_version": 3,
        "seed": 7,
        "nodes_considered": 3,
        "skipped": ["scorer mine: it took longer than 50 ms"],
        "rejections": [
            {"filter": "fits", "nodes": 2, "reason": "not enough memory", "wakes": ["container.deleted"]},
            {"filter": "ready", "nodes": 1, "reason": "node is DOWN", "wakes": ["node.ready", "node.registered"]},
        ],
        "candidates": [],
        "decided_at": "2026-11-23T20:30:05Z",
        "message": "no node can take it",
    }
    api.on("GET", "/containers/web-01/explain", found(explanation))
    api.on("GET", "/containers/web-01", found(container(constraints=["zone=a"])))

    assert pfi("explain", "container", "web-01").lines == [
        "web-01 is PENDING: no node can take it",
        "Asked for: cpu 0.5, memory 512MiB, disk 0B; constraints zone=a",
        "Decided 2026-11-23 20:30:05, policy spread@3, seed 7, 3 nodes considered.",
        "Left out: scorer mine: it took longer than 50 ms",
        "",
        "FILTER   NODES REJECTED   REASON",
        "fits     2                not enough memory",
        "ready    1                node is DOWN",
        "",
        "Most nodes, 2, are rejected by fits: not enough memory. "
        "It is tried again after one of container.deleted, node.ready, node.registered.",
    ]


def test_explain_shows_the_best_nodes_by_scorer(api: FakeApi, pfi: Pfi) -> None:
    """With weights; the turn says who wins where scores are equal; and the decision follows from what is shown."""
    explanation = {
        "hostname": "web-01",
        "status": "PROVISIONED",
        "node": "node-02",
        "policy": "spread",
        "policy_version": 0,
        "seed": 7,
        "nodes_considered": 2,
        "weights": {"free-share": 1.0, "wishes": 2.0},
        "rejections": [],
        "candidates": [
            {"node": "node-02", "score": 0.75, "scores": {"free-share": 0.75}, "turn": 0},
            {"node": "node-01", "score": 0.75, "scores": {"free-share": 0.75}, "turn": 1},
        ],
        "recomputed": "node-02",
        "decided_at": "2026-11-23T20:30:05Z",
        "message": "Policy spread chose node-02 out of 2 possible node(s).",
    }
    api.on("GET", "/containers/web-01/explain", found(explanation))
    api.on("GET", "/containers/web-01", found(container()))

    assert pfi("explain", "container", "web-01").lines[2:] == [
        "Decided 2026-11-23 20:30:05, policy spread@0, seed 7, 2 nodes considered; recomputed: same.",
        "",
        "NODE      SCORE   FREE-SHARE x1   TURN",
        "node-02   0.750   0.750           0",
        "node-01   0.750   0.750           1",
    ]


def test_a_tail_prints_each_event_once_across_connections(api: FakeApi, pfi: Pfi) -> None:
    """One JSON object to a line; one notice when the connection is lost, one when it is back."""
    one, two, three = (event(seq, "container.scheduled") for seq in (1, 2, 3))
    api.on("GET", "/events/stream", ended(one, two), ended(two, three), problem(401, "Enough."))

    ran = pfi("events", "tail", "-o", "json")

    assert [json.loads(line)["seq"] for line in ran.lines] == [1, 2, 3]
    assert [line.split()[1] for line in ran.err.splitlines()[:2]] == ["lost", "connected"]


def test_a_tail_is_narrowed_by_its_flags(api: FakeApi, pfi: Pfi) -> None:
    """A bare noun stands for all its kinds; a duration is sent in seconds, a moment in UTC."""
    api.on("GET", "/events/stream", problem(401, "Enough."))

    pfi("events", "tail", "--kind", "node", "--kind", "container.deleted", "--node", "node-01", "--since", "1h30m")
    pfi("events", "tail", "--container", "web-01", "--since", "2026-11-23T21:30:05+01:00")

    first, second = (request.url.params for request in api.requests)
    assert first.get_list("kind") == ["node.", "container.deleted"]
    assert (first["node"], first["since"]) == ("node-01", "5400s")
    assert (second["container"], second["since"]) == ("web-01", "2026-11-23T20:30:05Z")


@pytest.mark.parametrize("verb", list(VERBS))
def test_every_verb_explains_itself(pfi: Pfi, verb: str) -> None:
    """`pfi help VERB` and `pfi VERB --help` say the same."""
    helped, asked = pfi("help", verb), pfi(verb, "--help")

    assert helped.code == asked.code == 0
    assert helped.out == asked.out
    assert helped.out.startswith(f"Usage: pfi {verb}")


def test_help_lists_every_verb_and_the_exit_codes(pfi: Pfi) -> None:
    """What a newcomer sees first."""
    text = pfi("help").out

    assert all(f"\n  {verb} " in text for verb in VERBS)
    assert "Exit codes: 0 done, 1 refused or failed, 2 wrong usage" in text


def test_version_does_not_load_a_client(tmp_path: Path) -> None:
    """It answers at once, wherever the server is."""
    program = "import sys; from pathfinder.cli.pfi.app import start; start(['version']); print('httpx2' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path)

    version, loaded = ran.stdout.splitlines()
    assert version.startswith("pfi ")
    assert loaded == "False"


def test_a_closed_pipe_is_no_error() -> None:
    """pfi … | head"""
    command = f"{sys.executable} -m pathfinder.cli.pfi help create container | true; echo ${{PIPESTATUS[0]}}"
    ran = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)

    assert ran.stderr == ""


@pytest.mark.parametrize(
    ("seconds", "words_"),
    [(-3, "0s"), (0.4, "0s"), (59, "59s"), (60, "1m"), (190, "3m10s"), (86_400 * 2 + 3600 * 4 + 5, "2d4h")],
)
def test_ages_have_their_two_largest_units(seconds: float, words_: str) -> None:
    """Enough to tell minutes from days."""
    assert words.span(seconds) == words_


def test_a_create_says_where_it_may_go(api: FakeApi, pfi: Pfi) -> None:
    """Each option is a field; a selector is written as one, its topology behind an @."""
    api.on("POST", "/containers", found(container(status="PENDING", node=None, ipaddress=None), 201))

    pfi(
        "create", "container", "web-01", "--limit-cpu", "4", "--limit-memory", "2GiB", "--constraint", "zone in (a, b)",
        "--constraint", "!legacy", "--arch", "arm64", "--pool", "*", "--toleration", "dedicated=db",
        "--near", "app=db@zone", "--apart", "app=web", "--prefer-near", "tier in (a, b)@rack",
        "--prefer-apart", "noisy",
        "--spread", "app=web@zone:2", "--spread", "app=web@rack:a=2,b=0.5", "--spread", "app=web@row:3:a=2",
        "--prefer-spread", "app=web", "--budget", "app=web:1", "--priority", "-5",
        "--policy", "binpack",
    )  # fmt: skip

    assert json.loads(api.requests[0].content) == {
        "hostname": "web-01",
        "limits": {"cpu": "4", "memory": "2GiB"},
        "constraints": ["zone in (a, b)", "!legacy"],
        "architecture": "arm64",
        "pool": "*",
        "tolerations": ["dedicated=db"],
        "affinity": [
            {"to": "app=db", "over": "zone", "rule": "together", "required": True},
            {"to": "app=web", "rule": "apart", "required": True},
            {"to": "tier in (a, b)", "over": "rack", "rule": "together", "required": False},
            {"to": "noisy", "rule": "apart", "required": False},
        ],
        "spread": [
            {"of": "app=web", "over": "zone", "max_skew": 2, "required": True},
            {"of": "app=web", "over": "rack", "weights": {"a": "2", "b": "0.5"}, "required": True},
            {"of": "app=web", "over": "row", "max_skew": 3, "weights": {"a": "2"}, "required": True},
            {"of": "app=web", "required": False},
        ],
        "budget": {"of": "app=web", "max_unavailable": 1},
        "priority": -5,
        "policy": "binpack",
    }


def test_several_are_asked_for_at_once(api: FakeApi, pfi: Pfi) -> None:
    """All are accepted or none; together, all are placed at once or none."""
    made = [container(name, status="PENDING", node=None, ipaddress=None) for name in ("mpi-0", "mpi-1")]
    api.on("POST", "/containers/batch", found({"items": made, "next_cursor": None}, 201))

    ran = pfi("create", "container", "mpi-0", "mpi-1", "--cpu", "2", "--together")

    assert ran.lines == ["container mpi-0 is PENDING", "container mpi-1 is PENDING"]
    wanted = [{"hostname": "mpi-0", "cpu": "2"}, {"hostname": "mpi-1", "cpu": "2"}]
    assert json.loads(api.requests[0].content) == {"containers": wanted, "together": True}
    assert json.loads(pfi("create", "container", "mpi-0", "mpi-1", "-o", "json").out) == made
    assert "together" not in json.loads(api.requests[1].content)
    assert pfi("create", "container", "mpi-0", "mpi-1", "-o", "name").lines == ["mpi-0", "mpi-1"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--near", "@zone"],
        ["--apart", "app=web@"],
        ["--spread", "app=web@zone:few"],
        ["--spread", "app=web@zone:1:few"],
        ["--spread", "app=web@zone:a=2:b=1"],
        ["--budget", "a:-1"],
    ],
)
def test_a_rule_that_is_none_is_a_wrong_command_line(pfi: Pfi, arguments: list[str]) -> None:
    """Told before anything is sent."""
    assert pfi("create", "container", "web-01", *arguments).code == 2


def test_describe_shows_all_that_was_asked_of_a_placement(api: FakeApi, pfi: Pfi) -> None:
    """And nothing of what was not."""
    asked = container(
        constraints=["zone in (a, b)"],
        pool="gpu",
        tolerations=["dedicated=db"],
        priority=7,
        policy="binpack",
        affinity=[{"to": "app=web", "over": "node", "rule": "apart", "required": True, "weight": 1.0}],
        spread=[
            {"of": "app=web", "over": "zone", "max_skew": 1, "required": False, "weight": 2.0, "weights": {"a": 2.0}}
        ],
        limits={"cpu_millicores": 4000, "memory_bytes": 1 << 30, "disk_bytes": 0},
        gang={"id": "x", "size": 3},
    )
    api.on("GET", "/containers/web-01", found(asked), found(container()))
    api.on("GET", "/containers/web-01/attempts", page(), page())
    api.on("GET", "/events", page(), page())

    told = {
        line.partition(":")[0]: line.partition(":")[2].strip() for line in pfi("describe", "container", "web-01").lines
    }
    usual = {line.partition(":")[0] for line in pfi("describe", "container", "web-01").lines}

    assert told["CPU limit"] == "4"
    assert told["Constraints"] == "zone in (a, b)"
    assert told["Pool"] == "gpu"
    assert told["Tolerates"] == "dedicated=db"
    assert told["Priority"] == "7"
    assert told["Policy"] == "binpack"
    assert told["Apart"] == "app=web@node"
    assert told["Rather spread"] == "app=web@zone, weight 2, skew 1, shares a:2"
    assert told["Gang"] == "3 containers placed at once"
    assert not {"Constraints", "Pool", "Priority", "Policy", "Apart", "Gang", "Budget"} & usual


def test_a_node_is_changed_as_it_was_written(api: FakeApi, pfi: Pfi) -> None:
    """A minus behind a key removes."""
    api.on("PATCH", "/nodes/node-01", found(node()))

    ran = pfi(
        "update", "node", "node-01", "--label", "zone=a", "--label", "old-", "--label", "end=x-", "--pool", "gpu",
        "--taint", "dedicated=db:NoSchedule", "--taint", "noisy-", "--max-containers", "20", "--max-stateful", "none",
        "--overcommit-cpu", "2.0", "--overcommit-disk", "none",
    )  # fmt: skip

    assert json.loads(api.requests[0].content) == {
        "labels": {"zone": "a", "end": "x-", "old": None},
        "taints": ["dedicated=db:NoSchedule"],
        "untaint": ["noisy"],
        "pool": "gpu",
        "max_containers": 20,
        "max_stateful": None,
        "overcommit": {"cpu": "2.0", "disk": None},
    }
    assert ran.lines == ["node node-01 is changed"]


def test_a_cluster_gets_a_quota_and_loses_parts_of_it(api: FakeApi, pfi: Pfi) -> None:
    """Amounts are sent as written; `none` removes."""
    cluster = {"id": "00000000-0000-0000-0000-00000000beef", "name": "default", "policy": "spread", "nodes": 0}
    answer = {**cluster, "default_image": "tiny", "containers": 0, "created_at": AT}
    api.on("PATCH", "/clusters/default", found(answer))

    pfi(
        "update", "cluster", "default", "--quota-cpu", "100", "--quota-memory", "1TiB", "--quota-containers", "none",
        "--overcommit-memory", "1.5",
    )  # fmt: skip

    assert json.loads(api.requests[0].content) == {
        "quota": {"cpu": "100", "memory": "1TiB", "containers": None},
        "overcommit": {"memory": "1.5"},
    }


@pytest.mark.parametrize(
    "arguments", [["node", "node-01"], ["cluster", "default"], ["node", "node-01", "--label", "zone"]]
)
def test_an_update_that_changes_nothing_is_a_wrong_command_line(pfi: Pfi, arguments: list[str]) -> None:
    """Told before anything is sent."""
    assert pfi("update", *arguments).code == 2


def test_describe_node_shows_what_was_set_on_it(api: FakeApi, pfi: Pfi) -> None:
    """With how far its limits are used up."""
    changed = node(
        taints=["dedicated=db:NoSchedule"],
        pool="gpu",
        max_containers=20,
        max_stateful=2,
        overcommit={"cpu": 2.0},
        labels={"zone": "a"},
        own_labels={"zone": "a"},
        images=["tiny"],
        capabilities=["gpu_cdi"],
        allocated={"cpu_millicores": 500, "memory_bytes": 512 << 20, "disk_bytes": 0, "containers": 3, "stateful": 1},
    )
    api.on("GET", "/nodes/node-01", found(changed))
    api.on("GET", "/events", page())

    lines = pfi("describe", "node", "node-01").lines
    told = {line.partition(":")[0]: line.partition(":")[2].strip() for line in lines}

    assert told["Claimed"].endswith("by 3 of 20 containers, 1 of 2 stateful")
    assert (told["Pool"], told["Taints"], told["Overcommit"]) == ("gpu", "dedicated=db:NoSchedule", "cpu x2")
    assert (told["Own labels"], told["Images"], told["Can do"]) == ("zone=a", "tiny", "gpu_cdi")
