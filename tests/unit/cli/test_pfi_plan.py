"""`pfi plan`: what would happen for people, an exit code for scripts."""

import json

from fake_api import FakeApi, Pfi, found, problem


def planned(name: str, node: str | None, source: str | None = None, reason: str | None = None) -> dict[str, object]:
    """A container of a plan."""
    it = {"hostname": name, "source": source, "node": node, "reason": reason}
    return it | {"candidates": [], "rejections": []}


def plan(*containers: dict[str, object], **changes: object) -> dict[str, object]:
    """A plan for these containers."""
    waiting = [one for one in containers if one["node"] is None]
    return {
        "cluster": "default",
        "seed": 0,
        "fits": not waiting,
        "placed": [one for one in containers if one["node"] is not None],
        "waiting": waiting,
        "staying": [],
        "skipped": [],
        "preempted": [],
        "nodes": [],
        "simulated": [],
        **changes,
    }


FILLING = {
    "hostname": "node-01", "cpu_before": 0.25, "cpu_after": 0.5, "memory_before": 0.1, "memory_after": 0.35,
    "containers_before": 2, "containers_after": 4,
}  # fmt: skip


def test_it_tells_where_new_containers_would_go(api: FakeApi, pfi: Pfi) -> None:
    """The same options as a create has; several of each name; nothing else is asked of the API."""
    answer = plan(planned("web-01", "node-01"), planned("web-02", "node-01"), nodes=[FILLING])
    api.on("POST", "/plans/create", found(answer))

    ran = pfi("plan", "create", "web", "--count", "2", "--cpu", "2", "--spread", "app=web@zone", "-l", "app=web")

    assert ran.code == 0
    assert ran.lines == [
        "2 containers: all would have a node; nothing was done",
        "",
        "CONTAINER   TO",
        "web-01      node-01",
        "web-02      node-01",
        "",
        "NODE      CPU         MEMORY      CONTAINERS",
        "node-01   25% → 50%   10% → 35%   2 → 4",
    ]
    (request,) = api.requests
    sent = json.loads(request.content)
    assert [one["hostname"] for one in sent["containers"]] == ["web-01", "web-02"]
    assert sent["containers"][0] == {
        "hostname": "web-01",
        "cpu": "2",
        "labels": {"app": "web"},
        "spread": [{"of": "app=web", "over": "zone", "required": True}],
    }
    assert json.loads(pfi("plan", "create", "web", "-o", "json").out) == answer


def test_a_gang_can_be_planned(api: FakeApi, pfi: Pfi) -> None:
    """As it can be asked for."""
    api.on("POST", "/plans/create", found(plan(planned("mpi-01", "node-01"), planned("mpi-02", "node-02"))))

    assert pfi("plan", "create", "mpi", "--count", "2", "--together").code == 0
    assert json.loads(api.requests[0].content)["together"] is True


def test_exit_code_2_says_that_some_would_wait(api: FakeApi, pfi: Pfi) -> None:
    """With the reasons, and who would give way."""
    waits = planned("db", None, reason="No node of 2 can take it now: 2 × cpu.")
    api.on(
        "POST",
        "/plans/create",
        found(plan(waits, preempted=[{"hostname": "batch-7", "node": "node-02", "by": "db"}])),
    )

    ran = pfi("plan", "create", "db", "--priority", "10")

    assert ran.code == 8
    assert ran.lines == [
        "1 container: 1 of 1 would wait; nothing was done",
        "",
        "WOULD WAIT   WHY",
        "db           No node of 2 can take it now: 2 × cpu.",
        "",
        "WOULD GIVE WAY   ON        FOR",
        "batch-7          node-02   db",
    ]
    assert pfi("plan", "create", "db", "-o", "name").lines == ["db"]


def test_a_node_or_a_zone_may_be_lost(api: FakeApi, pfi: Pfi) -> None:
    """Not both, and not nothing."""
    stays = planned("pg", None, "node-01", "It is stateful: it waits for node-01.")
    api.on("POST", "/plans/lose", found(plan(planned("web", "node-02", "node-01"), staying=[stays])))

    ran = pfi("plan", "lose", "node", "node-01")

    assert ran.code == 0
    assert ran.lines == [
        "1 container: all would have a node; nothing was done",
        "1 stateful would stay, and wait for their own node in any case",
        "",
        "CONTAINER   FROM      TO",
        "web         node-01   node-02",
    ]
    pfi("plan", "lose", "node", "--zone", "a")
    assert [json.loads(one.content) for one in api.requests] == [
        {"seed": 0, "nodes": ["node-01"]},
        {"seed": 0, "zone": "a"},
    ]
    assert pfi("plan", "lose", "node").code == 2
    assert "--zone" in pfi("plan", "lose", "node", "node-01", "--zone", "a").err


def test_a_node_that_is_not_there_is_an_error(api: FakeApi, pfi: Pfi) -> None:
    """Exit code 1, as with every refusal."""
    api.on("POST", "/plans/drain", problem(404, "There is no node named 'nod-01'."))

    ran = pfi("plan", "drain", "node", "nod-01")

    assert ran.code == 1
    assert "nod-01" in ran.err
