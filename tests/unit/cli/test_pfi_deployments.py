"""`pfi apply`, `plan -f`, `delete -f`, `scale` and `edit`: files become requests, and refusals find their lines."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from fake_api import AT, FakeApi, Pfi, container, event, found, page, problem
from test_pfi_plan import FILLING, plan, planned

from pathfinder.cli.pfi import listing
from pathfinder.client import Client
from pathfinder.domain.views import Event

WEB = "kind: Deployment\nname: web\nreplicas: 2\ntemplate:\n  memory: 64MiB\n"
DB = "kind: Deployment\nname: db\ntemplate: {}\n"
READER = (
    "kind: Deployment\nname: api\ntemplate:\n  environment:\n"
    "    DB: $pf-meta:deployment_ip_addresses?deployment_name=db\n"
)


def stored(name: str = "web", **changes: Any) -> dict[str, Any]:
    """A deployment as the API shows it."""
    document = {
        "name": name, "labels": {}, "replicas": 2, "min_available_replicas": 0, "template": {"memory": "64MiB"},
        "strategy": {"type": "rolling", "promote_after_seconds": None}, "autoscaling": None,
    }  # fmt: skip
    usual = {
        "id": "01a22182-93e7-790c-91d2-375a6ee005ba", "name": name, "cluster": "default", "labels": {}, "replicas": 2,
        "counts": {"existing": 2, "available": 1, "updated": 2}, "image": None, "version": 4, "revision": 3,
        "stable": 2, "paused": False, "leaving": False, "rollout": {}, "message": None, "document": document,
        "created_at": AT, "changed_at": AT,
    }  # fmt: skip
    return usual | changes


def applied(*names: str, change: str = "created", pruned: tuple[str, ...] = ()) -> Any:
    """What applying these did."""
    return found({"applied": [stored(one, change=change) for one in names], "pruned": list(pruned)})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A deployment of two."""
    path = tmp_path / "web.yaml"
    path.write_text(WEB)
    return path


def sent(api: FakeApi, index: int = -1) -> Any:
    """The body of a request."""
    return json.loads(api.requests[index].content)


def test_files_are_applied_all_at_once(api: FakeApi, pfi: Pfi, tmp_path: Path) -> None:
    """What was not written is not sent; policies and clusters go before who names them."""
    (tmp_path / "a.yaml").write_text(f"{WEB}---\n{DB}")
    (tmp_path / "b.yaml").write_text(
        "kind: Policy\nname: mine\nscorers: {balance: 1}\n---\n"
        "kind: Cluster\nname: two\npolicy: mine\nquota: {memory: 1GiB}\n"
    )
    policy = {"name": "mine", "version": 1, "built_in": False, "description": "", "actor": "x", "created_at": AT}
    policy |= {"clusters": [], "containers": 0, "problem": None, "document": {}, "change": "created"}
    cluster = {"id": "01a22182-93e7-790c-91d2-375a6ee005ba", "name": "two", "policy": "mine", "default_image": "x"}
    cluster |= {"nodes": 0, "containers": 0, "created_at": AT}
    api.on("PUT", "/policies/mine", found(policy))
    api.on("POST", "/clusters", found(cluster))
    api.on("PATCH", "/clusters/two", found(cluster))
    api.on("POST", "/deployments/batch", applied("web", "db", pruned=("old",)))

    ran = pfi("apply", "-f", str(tmp_path), "--prune", "-l", "team=a", "--cause", "a reason")

    assert ran.lines == [
        "policy mine is created: version 1",
        "cluster two is created",
        "deployment web is created: revision 3, 2 replicas",
        "deployment db is created: revision 3, 2 replicas",
        "deployment old is being deleted",
    ]
    assert sent(api) == {
        "deployments": [
            {"name": "web", "replicas": 2, "template": {"memory": "64MiB"}},
            {"name": "db", "template": {}},
        ],
        "prune": {"team": "a"},
    }
    assert api.requests[-1].url.params["cause"] == "a reason"
    assert sent(api, -2) == {"quota": {"memory": 1 << 30}}
    assert [request.method for request in api.requests] == ["PUT", "GET", "POST", "PATCH", "POST"]


def test_everything_that_is_wrong_is_told_before_anything_is_sent(api: FakeApi, pfi: Pfi, tmp_path: Path) -> None:
    """With file, line and field, for each document of each file."""
    (tmp_path / "a.yaml").write_text(f"{WEB}  memry: 1\n---\nname: x\n---\nkind: Pod\n---\n- 1\n---\nkind: Remote\n")
    (tmp_path / "b.yaml").write_text(
        f"{WEB}---\n{WEB}---\nkind: Deployment\nname: n\ntemplate:\n  cpu: $pf-meta:cores\nstrategy:\n  canaries: 0\n"
        "---\nkind: Deployment\nname: n\ntemplate:\n  labels:\n    a: $pf-meta:container_id?x=1\n"
    )

    ran = pfi("apply", "-f", str(tmp_path))

    assert (ran.code, ran.out, api.requests) == (1, "", [])
    told = ran.err.replace(f"{tmp_path}/", "").splitlines()
    expected = [
        "error: nothing is sent, because some documents cannot be used",
        "  a.yaml:6: template.memry: is not a field here; check the spelling",
        "  a.yaml:8: it has no kind; write kind: and one of Policy, Cluster, Deployment",
        "  a.yaml:10: kind: there is no kind 'Pod'; there are Policy, Cluster, Deployment",
        "  a.yaml:12: a document has fields, and a kind: one of Policy, Cluster, Deployment",
        "  a.yaml:14: kind: a Remote cannot be declared: image servers are what the agents know",
        "  b.yaml:18: strategy.canaries: Input should be greater than or equal to 1",
        "  b.yaml:24: template.labels.a: container_id has no argument 'x'; it takes: none",
        "  b.yaml:8: name: Deployment 'web' is declared in b.yaml:1 already",
    ]
    assert len(told) == len(expected)
    assert all(line.startswith(start) for line, start in zip(told, expected, strict=True)), told


def test_what_the_server_refuses_is_told_with_its_line(api: FakeApi, pfi: Pfi, tmp_path: Path) -> None:
    """Of the document it is about; what names no field is told as it is."""
    (tmp_path / "a.yaml").write_text(f"{DB}---\n{WEB}")
    wrong = {"deployments[1].template.memory": "1TiB is more than any node has"}
    api.on("POST", "/deployments/batch", problem(422, "No node could hold it.", **wrong), problem(409, "Not now."))

    ran = pfi("apply", "-f", str(tmp_path))
    assert ran.code == 1
    assert f"  {tmp_path}/a.yaml:9: template.memory: 1TiB is more than any node has" in ran.err
    assert "error: Not now." in pfi("apply", "-f", str(tmp_path)).err


def plan_of(*deployments: dict[str, Any], **changes: Any) -> Any:
    """What a plan of these deployments tells."""
    return found({"deployments": list(deployments), "pruned": [], "placements": None} | changes)


SAME = {"name": "web", "change": "unchanged", "differences": [], "created": [], "changed": 0, "removed": []}


def test_a_plan_is_told_field_by_field_and_by_its_exit_code(api: FakeApi, pfi: Pfi, file: Path) -> None:
    """0: nothing to do; 1: refused; 2: something would change."""
    changed = SAME | {
        "change": "changed",
        "differences": [
            {"field": "replicas", "before": 2, "after": 3},
            {"field": "template.cpu", "before": None, "after": "1"},
            {"field": "template.config", "before": {"a": "b"}, "after": None},
        ],
        "created": ["web-03"],
        "changed": 2,
    }
    placements = plan(planned("web-03", "node-01"), nodes=[FILLING])
    api.on(
        "POST",
        "/deployments/plan",
        plan_of(changed, placements=placements, pruned=["old"]),
        plan_of(SAME),
        problem(422, "No.", **{"deployments[0].replicas": "too many"}),
        plan_of(changed),
    )

    ran = pfi("plan", "-f", str(file), "--prune", "-l", "a=b")
    assert ran.code == 2
    assert ran.lines[:7] == [
        "deployment web would be changed",
        "  ~ replicas: 2 → 3",
        "  + template.cpu: 1",
        '  - template.config: {"a": "b"}',
        "    replicas: 1 would be made (web-03), 2 would follow the new template",
        "deployment old would be deleted",
        "",
    ]
    assert "web-03      node-01" in ran.lines
    same = pfi("plan", "-f", str(file))
    assert (same.code, same.lines) == (0, ["deployment web is as it is declared", "nothing would be done"])
    refused = pfi("plan", "-f", str(file))
    assert (refused.code, f"{file}:3: replicas: too many" in refused.err) == (1, True)
    assert json.loads(pfi("plan", "-f", str(file), "-o", "json").out)["documents"][0]["change"] == "changed"


def test_a_plan_compares_policies_and_clusters_too(api: FakeApi, pfi: Pfi, tmp_path: Path) -> None:
    """Only what is written counts of a cluster, and as the server would keep it."""
    cluster = {"id": "01a22182-93e7-790c-91d2-375a6ee005ba", "name": "two", "policy": "spread", "default_image": "x"}
    cluster |= {"nodes": 0, "containers": 0, "created_at": AT, "quota": {"memory_bytes": 1 << 30, "containers": 5}}
    api.on("GET", "/clusters/two", found(cluster))
    api.on("GET", "/policies/mine", problem(404, "There is none."))
    path = tmp_path / "x.yaml"
    path.write_text("kind: Cluster\nname: two\npolicy: spread\nquota: {memory: 1GiB}\n")

    assert pfi("plan", "-f", str(path)).code == 0
    path.write_text(
        "kind: Cluster\nname: two\nquota: {containers: null, cpu: 2}\n---\n"
        "kind: Policy\nname: mine\nscorers: {balance: 1}\n"
    )
    ran = pfi("plan", "-f", str(path))
    assert (ran.code, ran.lines[0]) == (2, "policy mine would be created")
    assert ran.lines[-3:] == [
        "cluster two would be changed",
        "  + quota.cpu_millicores: 2000",
        "  - quota.containers: 5",
    ]


def test_what_files_declare_is_deleted_readers_first(api: FakeApi, pfi: Pfi, tmp_path: Path) -> None:
    """What is not there is no mistake; clusters stay."""
    path = tmp_path / "x.yaml"
    path.write_text(f"{DB}---\n{READER}---\n{WEB}---\nkind: Cluster\nname: two\n")
    api.on("DELETE", "/deployments/db", found(stored("db")))
    api.on("DELETE", "/deployments/api", found(stored("api")))

    ran = pfi("delete", "-f", str(path))

    assert ran.code == 0
    assert "cluster two stays" in ran.err
    assert set(ran.lines) == {
        "deployment api is being deleted", "deployment db is being deleted", "deployment web is not there",
    }  # fmt: skip
    assert ran.lines.index("deployment api is being deleted") < ran.lines.index("deployment db is being deleted")
    assert pfi("delete", "-f", str(path), "container", "x").code == 2
    assert pfi("delete").code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("apply",),
        ("plan",),
        ("apply", "-f", "x", "--prune"),
        ("plan", "-f", "x", "-l", "a=b"),
        ("plan", "-f", "x", "create", "y"),
    ],
)
def test_a_command_line_that_makes_no_sense_is_wrong_usage(pfi: Pfi, arguments: tuple[str, ...]) -> None:
    """Nothing is read or sent."""
    assert pfi(*arguments).code == 2


def test_deployments_are_listed_described_scaled_and_deleted(api: FakeApi, pfi: Pfi) -> None:
    """How many are well, of how many; the template as it is written."""
    api.on("GET", "/deployments", page(stored(), stored("db", stable=3, image="images:debian/13")))
    api.on("GET", "/deployments/web", found(stored(message="waits for room")))
    api.on("GET", "/containers", page(container("web-01")))
    revision = {"revision": 3, "wanted": True, "stable": False, "cause": "", "actor": "token:x", "created_at": AT}
    api.on("GET", "/deployments/web/revisions", page(revision | {"template": {}}))
    api.on("GET", "/events", page())
    api.on("POST", "/deployments/web/scale", found(stored(replicas=5)))
    api.on("DELETE", "/deployments/web", found(stored(leaving=True)))

    lines = pfi("get", "deployments").lines
    assert [line.split()[:5] for line in lines] == [
        ["NAME", "AVAILABLE", "UPDATED", "REVISION", "STATUS"],
        ["web", "1/2", "2", "3", "ROLLING"],
        ["db", "1/2", "2", "3", "STABLE"],
    ]
    described = pfi("describe", "deployment", "web").out
    for words in ("2 wanted, 2 there, 1 available", "waits for room", "  memory: 64MiB", "web-01", "wanted", "token:x"):
        assert words in described
    assert pfi("scale", "deployment", "web", "--replicas", "5").lines == ["deployment web shall have 5 replicas"]
    assert sent(api) == {"replicas": 5}
    assert pfi("delete", "deployment", "web").lines == ["deployment web is being deleted"]


def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """Have `pfi edit` open this instead of an editor, on files in a directory of the test's."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setenv("VISUAL", command)


def test_what_is_saved_in_an_editor_is_applied(
    api: FakeApi, pfi: Pfi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless another version is there by then; what was not changed is not sent."""
    api.on("GET", "/deployments/web", found(stored()))
    api.on("PUT", "/deployments/web", found(stored(change="changed")), problem(409, "version 5 by now"))

    editor(tmp_path, monkeypatch, "true")
    assert pfi("edit", "deployment", "web").lines == ["deployment web is unchanged"]
    editor(tmp_path, monkeypatch, "sed -i s/64MiB/65MiB/")
    assert pfi("edit", "deployment", "web").lines == ["deployment web is changed: revision 3, 2 replicas"]
    assert sent(api)["template"] == {"memory": "65MiB"}
    assert api.requests[-1].url.params["expected_version"] == "4"
    assert list(tmp_path.glob("pfi-*")) == []

    refused = pfi("edit", "deployment", "web")
    (kept,) = tmp_path.glob("pfi-*")
    assert (refused.code, f"what you wrote is kept in {kept}" in refused.err) == (1, True)
    kept.unlink()
    editor(tmp_path, monkeypatch, "sed -i s/64MiB/x/")
    assert "template.memory: " in pfi("edit", "deployment", "web").err
    editor(tmp_path, monkeypatch, "false")
    assert "the editor 'false' did not work" in pfi("edit", "deployment", "web").err


def test_without_a_terminal_no_editor_is_opened_that_would_want_one(
    api: FakeApi, pfi: Pfi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script that forgot to say which would wait for ever."""
    api.on("GET", "/deployments/web", found(stored()))
    editor(tmp_path, monkeypatch, "")
    for name in ("VISUAL", "EDITOR"):
        monkeypatch.delenv(name, raising=False)

    refused = pfi("edit", "deployment", "web")

    assert (refused.code, "no terminal to edit on" in refused.err, list(tmp_path.glob("pfi-*"))) == (1, True, [])


def test_the_schema_for_editors_is_printed(pfi: Pfi) -> None:
    """As JSON."""
    assert json.loads(pfi("schema").out)["title"] == "Pathfinder"


def test_a_watched_list_follows_the_replicas_too() -> None:
    """An event of a replica is one of its deployment; containers that are none are nobody's."""

    def named(kind: str, name: str, type_: str) -> str | None:
        told = event(1, kind, of=name) | {"subject": {"type": type_, "id": str(UUID(int=1)), "name": name}}
        return changed(Event.model_validate(told))

    changed = listing.deployments(Client("http://x"), {}, None, []).changed
    assert named("deployment.scaled", "web-01", "deployment") == "web-01"
    assert named("container.provisioned", "web-app-12", "container") == "web-app"
    assert named("container.provisioned", "web", "container") is None
    assert named("container.progress", "web-01", "container") is None
