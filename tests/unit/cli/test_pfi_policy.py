"""`pfi policy`: files are read with care, and differences told."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from fake_api import AT, FakeApi, Pfi, found, page, problem
from test_pfi_plan import plan, planned

from pathfinder.domain.policies import PolicyDocument

MINE = {"name": "mine", "scorers": {"used-share": 1.0}}
YAML = "name: mine\nscorers:\n  used-share: 1.0\n"


def stored(version: int = 1, changes: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """A policy as the API shows it; its document with `changes`."""
    document = PolicyDocument.model_validate(MINE | (changes or {})).model_dump(mode="json")
    usual = {"version": version, "built_in": False, "description": "", "actor": "token:ops", "created_at": AT}
    own = {"name": "mine", "clusters": [], "containers": 0, "problem": None, "document": document}
    return usual | own | fields


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A policy that packs."""
    path = tmp_path / "mine.yaml"
    path.write_text(YAML)
    return path


def test_policies_are_listed_with_who_goes_by_them(api: FakeApi, pfi: Pfi) -> None:
    """One that cannot be used says why, instead of what it is for."""
    spread = stored(0, name="spread", built_in=True, actor=None, created_at=None, description="Few on each node.")
    api.on("GET", "/policies", page(spread | {"clusters": ["default", "two"]}, stored(3, problem="'x' is gone")))

    assert pfi("policy", "list").lines == [
        "NAME     VERSION   CLUSTERS     CONTAINERS   DESCRIPTION",
        "spread   0         default +1   0            Few on each node.",
        "mine     3         -            0            'x' is gone",
    ]
    assert "token:ops" in pfi("policy", "list", "-o", "wide").lines[2]
    assert pfi("policy", "list", "-o", "name").lines == ["spread", "mine"]


def test_what_is_shown_can_be_applied(api: FakeApi, pfi: Pfi, tmp_path: Path) -> None:
    """As YAML and as JSON; of any version."""
    api.on("GET", "/policies/mine", found(stored(2)))
    api.on("PUT", "/policies/mine", found(stored(2, change="unchanged")))

    for form in ("yaml", "json"):
        ran = pfi("policy", "show", "mine", "--version", "2", "-o", form)
        (tmp_path / form).write_text(ran.out)
        assert yaml.safe_load(ran.out) == stored()["document"]
        assert pfi("policy", "apply", "-f", str(tmp_path / form)).lines == ["policy mine is unchanged, at version 2"]
    assert api.requests[0].url.params["version"] == "2"
    assert pfi("policy", "show", "mine", "-o", "wide").code == 2


def test_apply_says_what_it_did(api: FakeApi, pfi: Pfi, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not written is not sent; the version that is expected is."""
    api.on(
        "PUT",
        "/policies/mine",
        found(stored(1, change="created")),
        found(stored(4, change="changed")),
        problem(409, "The policy 'mine' is version 4 by now, not version 1."),
    )

    assert pfi("policy", "apply", "-f", str(file)).lines == ["policy mine is created, as version 1"]
    assert json.loads(api.requests[0].content) == MINE
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(MINE)))
    assert pfi("policy", "apply", "-f", "-").lines == ["policy mine is changed, and is version 4 now"]
    refused = pfi("policy", "apply", "-f", str(file), "--expect-version", "1")
    assert refused.code == 1
    assert "version 4 by now" in refused.err
    assert api.requests[2].url.params["expected_version"] == "1"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: mine\nscorers:\n  balance: .nan\n", "mine.yaml:3: scorers.balance: is not a finite number"),
        ('{"name": "mine",\n"scorers": {"balance": Infinity}}', "mine.yaml:2: scorers.balance: is not a finite number"),
        ("name: mine\nscorer: {}\nscorers: {balance: 1}\n", "mine.yaml:2: scorer: is not a field here"),
        (YAML + "scorers: {balance: 1}\n", "mine.yaml:2: scorers: is written twice"),
        (YAML + "  used-share: 2.0\n", "mine.yaml:3: scorers.used-share: is written twice"),
        (YAML + "filters:\n- fits\n- 7\n", "mine.yaml:6: filters[1]: Input should be a valid string"),
        (YAML + "filters: [", "mine.yaml:4: it is not YAML"),
        ('{"name":\t"mine",\n"scorers": }', "mine.yaml:2: it is not JSON"),
        ("spread\n", "holds no policy"),
        ("", "holds no policy"),
        ("scorers: {balance: 1}", "name: Field required"),
    ],
)
def test_what_is_wrong_in_a_file_is_told_with_its_line(
    api: FakeApi, pfi: Pfi, file: Path, text: str, words: str
) -> None:
    """Before anything is sent."""
    file.write_text(text)

    for command in (("apply",), ("test",), ("diff", "mine")):
        ran = pfi("policy", *command, "-f", str(file))
        assert (ran.code, ran.out) == (1, "")
        assert words in ran.err
    assert api.requests == []


def test_a_file_that_cannot_be_read_is_named(pfi: Pfi, tmp_path: Path) -> None:
    """Not there, or no text."""
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    for name in ("missing", "bytes"):
        ran = pfi("policy", "apply", "-f", str(tmp_path / name))
        assert ran.code == 1
        assert f"cannot read {tmp_path / name}" in ran.err


def test_what_the_server_refuses_is_told_with_its_line_too(api: FakeApi, pfi: Pfi, file: Path) -> None:
    """Only it knows which filters and scorers are installed; a sample that no node could hold is no line's fault."""
    api.on("PUT", "/policies/mine", problem(422, "No.", **{"scorers.used-share": "'used-share' is not a scorer here"}))
    api.on(
        "POST",
        "/plans/create",
        problem(422, "No.", **{"document.scorers.used-share": "'used-share' is not a scorer here"}),
        problem(422, "No node could ever hold it.", **{"containers[0].cpu": "900 is more than any node has"}),
    )

    for command in ("apply", "test"):
        ran = pfi("policy", command, "-f", str(file))
        assert ran.code == 1
        assert "mine.yaml:3: scorers.used-share: 'used-share' is not a scorer here" in ran.err
    assert "could ever hold" in pfi("policy", "test", "-f", str(file)).err


def test_diff_compares_a_file_or_two_versions(api: FakeApi, pfi: Pfi, file: Path) -> None:
    """The same is 0 and silent, a difference 9, an error 1; what is left out counts as its default."""
    other = {"scorers": {"used-share": 1.0, "balance": -2.0}, "memory_threshold": 0.9}
    api.on(
        "GET",
        "/policies/mine",
        lambda request: found(stored(2, other) if "version" in request.url.params else stored()),
    )

    same = pfi("policy", "diff", "mine", "-f", str(file))
    assert (same.code, same.out) == (0, "")
    changed = pfi("policy", "diff", "mine@2", "mine")
    assert changed.code == 9
    assert changed.lines[:2] == ["--- mine@2", "+++ mine@1"]
    assert [line for line in changed.lines[2:] if line[0] in "+-"] == [
        "-  balance: -2.0",
        "-memory_threshold: 0.9",
        "+memory_threshold: 1.0",
    ]
    assert pfi("policy", "diff", "gone", "-f", str(file)).code == 1
    assert pfi("policy", "diff", "mine").code == 2
    assert pfi("policy", "diff", "mine@x", "mine").code == 2


def test_a_policy_is_tested_on_the_fleet_as_it_is(api: FakeApi, pfi: Pfi, file: Path) -> None:
    """Where samples would go, the scores of the best nodes, and what was rejected; 8 where some would wait."""
    best = [
        {"node": "node-02", "score": 0.75, "scores": {"used-share": 0.75}, "turn": 1},
        {"node": "node-01", "score": 0.5, "scores": {"used-share": 0.5}, "turn": 0},
    ]
    full = [{"filter": "fits", "nodes": 2, "reason": "cpu 2 wanted, at most 1 free", "wakes": []}]
    goes = planned("policy-test-01", "node-02") | {"candidates": best}
    waits = planned("policy-test-02", None, reason="No node of 2 can take it now.") | {"rejections": full}
    fits, some = plan(goes), plan(goes, waits, skipped=["scorer last: raised ValueError: away"])
    api.on("POST", "/plans/create", found(fits), found(some))
    api.on("GET", "/policies/mine", problem(404, "There is no policy named 'mine'."), found(stored(3)))

    ran = pfi("policy", "test", "-f", str(file), "--count", "2", "--cpu", "2")

    assert ran.code == 0
    assert ran.lines[:2] == [
        "policy mine can be used, and is not there yet",
        "1 container: all would have a node; nothing was done",
    ]
    assert ran.lines[-4:] == [
        "the best nodes for policy-test-01",
        "NODE      SCORE   USED-SHARE x1",
        "node-02   0.750   0.750",
        "node-01   0.500   0.500",
    ]
    sent = json.loads(api.requests[0].content)
    assert (sent["document"], sent["explain"], len(sent["containers"])) == (MINE, True, 2)
    assert sent["containers"][0] == {"hostname": "policy-test-01", "cpu": "2", "memory": "1GiB", "priority": 0}

    ran = pfi("policy", "test", "-f", str(file))
    assert ran.code == 8
    assert ran.lines[0] == "policy mine can be used, and is the same as version 3"
    assert "left out: scorer last: raised ValueError: away" in ran.lines
    assert ran.lines[-2].split() == ["FILTER", "NODES", "REJECTED", "REASON"]
    assert pfi("policy", "test", "-f", str(file), "-o", "name").lines == ["policy-test-02"]


def test_versions_and_deletion(api: FakeApi, pfi: Pfi) -> None:
    """A deletion is a line of the history; one that is used stays, and the others go."""
    version = {"version": 1, "actor": "token:ops", "created_at": AT, "description": "Few nodes.", "deleted": False}
    api.on("GET", "/policies/mine/versions", page(version | {"version": 2, "deleted": True}, version))
    api.on("DELETE", "/policies/used", problem(409, "The policy 'used' is used by cluster default."))
    api.on("DELETE", "/policies/mine", found({}))

    assert [line.split()[-1] for line in pfi("policy", "versions", "mine").lines] == [
        "DESCRIPTION",
        "deleted",
        "nodes.",
    ]
    assert pfi("policy", "versions", "mine", "-o", "name").lines == ["mine@2", "mine@1"]
    ran = pfi("policy", "delete", "used", "mine")
    assert ran.code == 1
    assert ran.lines == ["policy mine is deleted"]
    assert "is used by cluster default" in ran.err
