"""Deployments as they are declared, through the API and on a real store: what is written, and what is refused."""

import asyncio
import functools
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from workbench import Fleet

from api.app import create_app
from api.tail import Tail
from pathfinder.bootstrap import Process
from pathfinder.cli.pfi import apply as applying
from pathfinder.cli.pfi import manifests, plan_files
from pathfinder.client import Client
from pathfinder.domain.deployed import replica_spec
from pathfinder.store import deployments, tokens


def web(**changes: Any) -> dict[str, Any]:
    """A deployment of three, but for `changes`."""
    return {"name": "web", "replicas": 3, "template": {"memory": "64MiB"}} | changes


async def put(api: httpx2.AsyncClient, document: dict[str, Any], **params: Any) -> httpx2.Response:
    """Declare a deployment."""
    return await api.put(f"/deployments/{document['name']}", json=document, params=params)


async def act(api: httpx2.AsyncClient, action: str, **body: Any) -> httpx2.Response:
    """Ask something of the rollout of `web`."""
    return await api.post(f"/deployments/web/rollout/{action}", json=body or None)


def fields(answer: httpx2.Response) -> list[str]:
    """The fields that a 422 names."""
    assert answer.status_code == 422, answer.text
    return [one["field"] for one in answer.json()["errors"]]


async def touched(fleet: Fleet) -> list[object]:
    """Forget who is to be looked at; their names."""
    names = await fleet.rows("SELECT d.name FROM touches AS t JOIN deployments AS d ON d.id = t.deployment_id")
    await fleet.rows("DELETE FROM touches RETURNING id")
    return [row[0] for row in names]


async def test_a_deployment_is_declared_changed_and_deleted(api: httpx2.AsyncClient, fleet: Fleet) -> None:
    """Each change is a version, an event and a look; each other template a revision; no change is nothing at all."""
    made = (await put(api, web(labels={"app": "web"}), cause="first")).json()
    assert (made["change"], made["version"], made["revision"], made["stable"]) == ("created", 1, 1, None)
    assert await touched(fleet) == ["web"]
    assert (await put(api, web(labels={"app": "web"}))).json()["change"] == "unchanged"
    assert await touched(fleet) == []
    changed = (await put(api, web(labels={"app": "web"}, min_available_replicas=2))).json()
    assert (changed["change"], changed["version"], changed["revision"]) == ("changed", 2, 1)
    changed = (await put(api, web(template={"memory": "65MiB"}), expected_version=2)).json()
    assert (changed["version"], changed["revision"], changed["labels"]) == (3, 2, {})

    assert (await put(api, web(), expected_version=2)).status_code == 409
    listed = (await api.get("/deployments")).json()["items"]
    assert [one["name"] for one in listed] == ["web"]
    assert listed[0]["counts"] == {"existing": 0, "available": 0, "updated": 0}
    revisions = (await api.get("/deployments/web/revisions")).json()["items"]
    assert [(one["revision"], one["wanted"], one["cause"]) for one in revisions] == [(2, True, ""), (1, False, "first")]

    gone = await api.delete("/deployments/web")
    assert (gone.status_code, gone.json()["leaving"]) == (202, True)
    assert (await api.delete("/deployments/web")).status_code == 202
    assert (await put(api, web())).status_code == 409
    kinds = [one for one in await fleet.kinds() if one.startswith("deployment.")]
    assert kinds == ["deployment.applied"] * 3 + ["deployment.deletion_scheduled"]


async def test_what_was_declared_can_be_declared_again(api: httpx2.AsyncClient, fleet: Fleet) -> None:
    """The document of a deployment is one that changes nothing."""
    template = {"memory": "64MiB", "environment": {"N": "$pf-meta:container_id"}}
    made = (await put(api, web(template=template, strategy={"type": "canary"}))).json()

    assert (await put(api, made["document"])).json()["change"] == "unchanged"


async def test_replicas_that_are_left_out_stay_as_they_are(api: httpx2.AsyncClient, fleet: Fleet) -> None:
    """Whoever scales by hand is not undone by the next apply that says nothing of it; nor is autoscaling by any."""
    await put(api, web())
    scaled = (await api.post("/deployments/web/scale", json={"replicas": 5})).json()
    assert (scaled["replicas"], scaled["version"], scaled["revision"]) == (5, 2, 1)
    assert (await api.post("/deployments/web/scale", json={"replicas": 5})).json()["version"] == 2

    without = {key: value for key, value in web().items() if key != "replicas"}
    assert (await put(api, without)).json()["replicas"] == 5
    assert (await put(api, web())).json()["replicas"] == 3


async def test_ten_who_declare_at_once_do_so_one_after_another(api: httpx2.AsyncClient, fleet: Fleet) -> None:
    """No version is lost, and no revision made twice."""
    answers = await asyncio.gather(*(put(api, web(template={"memory": f"{64 + one}MiB"})) for one in range(10)))

    assert {one.status_code for one in answers} == {200}
    (state,) = await fleet.rows("SELECT version, revision FROM deployments")
    assert state == (10, 10)


async def test_rollouts_are_undone_paused_promoted_and_restarted(api: httpx2.AsyncClient, fleet: Fleet) -> None:
    """Each only changes what is wanted; what makes no sense is refused."""
    await put(api, web(strategy={"type": "canary"}))
    assert (await act(api, "undo")).status_code == 409
    assert (await act(api, "promote")).status_code == 409
    await fleet.rows("UPDATE deployments SET stable = 1 RETURNING id")
    await put(api, web(strategy={"type": "canary"}, template={"memory": "65MiB"}))
    await put(api, web(strategy={"type": "canary"}, template={"memory": "66MiB"}))

    assert (await act(api, "promote")).json()["rollout"] == {"promoted": 3}
    assert (await act(api, "pause")).json()["paused"] is True
    assert (await act(api, "resume")).json()["paused"] is False
    assert (await act(api, "undo")).json()["revision"] == 1
    assert (await act(api, "undo", revision=2)).json()["revision"] == 2
    assert (await act(api, "undo", revision=9)).status_code == 404
    assert fields(await act(api, "pause", revision=2)) == ["revision"]
    assert (await act(api, "restart")).json()["revision"] == 4
    assert (await act(api, "explode")).status_code == 422
    revisions = (await api.get("/deployments/web/revisions")).json()["items"]
    assert revisions[0]["template"] == {"memory": "65MiB"}


async def test_a_restart_makes_anew_what_is_older_than_it(
    api: httpx2.AsyncClient, fleet: Fleet, process: Process
) -> None:
    """And not what is of it, nor what is gone back from."""
    await put(api, web())
    await act(api, "restart")
    async with process.database.begin() as tx:
        restarted = await deployments.load(tx, fleet.cluster_id, "web")
    assert [restarted.must_rebuild(one) for one in (1, 2)] == [True, False]

    await act(api, "undo", revision=1)
    async with process.database.begin() as tx:
        undone = await deployments.load(tx, fleet.cluster_id, "web")
    assert [undone.must_rebuild(one) for one in (1, 2)] == [False, False]


async def test_old_revisions_are_forgotten_unless_a_replica_is_of_one(api: httpx2.AsyncClient, fleet: Fleet) -> None:
    """So many are kept that nothing that is looked at grows for ever."""
    for number in range(deployments.KEPT_REVISIONS + 5):
        await put(api, web(template={"memory": f"{64 + number}MiB"}))
    kept = [row[0] for row in await fleet.rows("SELECT revision FROM revisions ORDER BY revision")]
    assert kept == list(range(6, 26))

    (replica,) = await fleet.ask("web-01")
    of_it = "UPDATE containers SET deployment_id = (SELECT id FROM deployments), revision = 6 RETURNING id"
    assert await fleet.rows(of_it) == [(replica,)]
    await put(api, web(template={"memory": "1GiB"}))
    assert (await fleet.rows("SELECT min(revision) FROM revisions")) == [(6,)]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": "a" * 61}, "name"),
        ({"name": "a" * 60, "replicas": 100}, "name"),
        ({"min_available_replicas": 4}, "replicas"),
        ({"replicas": -1}, "replicas"),
        ({"autoscaling": {"min": 5, "max": 2, "metrics": [{"type": "load", "target": 1}]}}, "autoscaling"),
        ({"template": {"config": {"user.x": "\0"}}}, "template"),
        ({"template": {"priority": 1 << 64}}, "template"),
        ({"template": {"files": functools.reduce(lambda inner, _: [inner], range(99), [])}}, "template"),
        ({"template": {"memory": "1"}}, "template.memory"),
        ({"template": {"hostname": "x"}}, "template.hostname"),
        ({"template": {"labels": {"deployment": "db"}}}, "template.labels.deployment"),
        ({"template": {"policy": "nobody-wrote-it"}}, "template.policy"),
        ({"template": {"memory": "1TiB"}}, "template.memory"),
        ({"template": {"cpu": "$pf-meta:cores"}}, "template.cpu"),
        ({"template": {"config": {"user.x": "$pf-meta:container_id?x=1"}}}, "template.config.user.x"),
        ({"template": {"files": [{"path": "/x", "content": "$pf-meta:passthrough"}]}}, "template.files[0].content"),
        ({"template": {"image": "$pf-meta:container_id"}}, "template.image"),
        (
            {"template": {"environment": {"DB": "$pf-meta:deployment_ip_addresses?deployment_name=db"}}},
            "template.environment.DB",
        ),
        (
            {"template": {"environment": {"ME": "$pf-meta:deployment_ip_addresses?deployment_name=web"}}},
            "template.environment.ME",
        ),
        (
            {"template": {"bootstrappers": [{"type": "script", "script": "x", "timeout_seconds": 0}]}},
            "template.bootstrappers[0].timeout_seconds",
        ),
    ],
)
async def test_a_deployment_that_cannot_be_is_refused_with_its_field(
    api: httpx2.AsyncClient, fleet: Fleet, changes: dict[str, Any], field: str
) -> None:
    """And nothing is written."""
    await fleet.node("node-1")

    assert fields(await put(api, web(**changes))) == [field]
    assert await fleet.rows("SELECT name FROM deployments") == []
    assert await fleet.rows("SELECT 1 FROM touches") == []


async def test_replicas_beyond_the_quota_are_refused(api: httpx2.AsyncClient, fleet: Fleet) -> None:
    """However few there are yet; fewer of them may always be asked for."""
    await api.patch("/clusters/default", json={"quota": {"memory": "256MiB"}})
    await fleet.ask("other", memory="64MiB")

    assert (await put(api, web(replicas=4))).status_code == 409
    assert (await put(api, web())).status_code == 200
    assert (await api.post("/deployments/web/scale", json={"replicas": 4})).json()["type"].endswith("quota-exceeded")
    assert (await put(api, web(template={"memory": "100MiB"}))).status_code == 409
    await api.patch("/clusters/default", json={"quota": {"memory": "64MiB"}})
    assert (await api.post("/deployments/web/scale", json={"replicas": 2})).status_code == 200
    assert (await fleet.rows("SELECT replicas, revision FROM deployments")) == [(2, 1)]


async def test_deployments_that_together_are_beyond_the_quota_are_refused_whole(
    api: httpx2.AsyncClient, fleet: Fleet
) -> None:
    """Though each of them alone would not be; what only one of several asks for anew is counted once."""
    await api.patch("/clusters/default", json={"quota": {"containers": 4}})

    refused = await batch(api, web(replicas=3), web(name="db", replicas=3))
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/quota-exceeded")
    assert await fleet.rows("SELECT name FROM deployments") == []
    assert (await batch(api, web(replicas=3), web(name="db", replicas=1))).is_success
    assert (await batch(api, web(replicas=2), web(name="db", replicas=2))).is_success


async def test_names_that_others_have_are_not_taken(api: httpx2.AsyncClient, fleet: Fleet) -> None:
    """A container that was there before stays what it is."""
    await fleet.ask("web-02")

    refused = await put(api, web())
    assert (refused.status_code, "web-02" in refused.json()["detail"]) == (409, True)
    assert (await put(api, web(replicas=1))).status_code == 200
    assert (await api.post("/deployments/web/scale", json={"replicas": 2})).status_code == 409


def reading(other: str) -> dict[str, Any]:
    """A template that reads the addresses of another deployment."""
    return {"environment": {"OTHERS": f"$pf-meta:deployment_ip_addresses?deployment_name={other}"}}


async def test_deployments_do_not_read_each_other_in_a_circle(api: httpx2.AsyncClient, fleet: Fleet) -> None:
    """However long it is; and nobody goes who is read."""
    await put(api, web(name="a"))
    await put(api, web(name="b", template=reading("a")))
    await put(api, web(name="c", template=reading("b")))

    refused = await put(api, web(name="a", template=reading("c")))
    assert fields(refused) == ["template.environment.OTHERS"]
    assert "a reads c reads b reads a" in refused.json()["errors"][0]["message"]
    assert "of b reads" in (await api.delete("/deployments/a")).json()["detail"]
    assert (await api.delete("/deployments/c")).status_code == 202
    assert (await put(api, web(name="b"))).status_code == 200
    assert (await api.delete("/deployments/a")).status_code == 202


async def test_a_replica_is_made_of_what_its_functions_read(
    api: httpx2.AsyncClient, fleet: Fleet, process: Process
) -> None:
    """The addresses of the wanted replicas of another, in the order of their numbers; its readers are looked at."""
    await put(api, web(name="db", replicas=2))
    await put(api, web(template=reading("db")))
    await fleet.ask("db-01", "db-02", "db-03", "db-10")
    await fleet.rows(
        "UPDATE containers SET deployment_id = (SELECT id FROM deployments WHERE name = 'db'),"
        " ipaddress = '10.0.0.' || right(hostname, 1), status = 'PROVISIONED' RETURNING id"
    )
    await touched(fleet)

    async with process.database.begin() as tx:
        reader = await deployments.lock_named(tx, fleet.cluster_id, "web")
        assert reader is not None
        facts = await deployments.facts(tx, reader)
        await deployments.touch_readers(tx, await deployments.load(tx, fleet.cluster_id, "db"))
    spec = replica_spec(reader, reader.revision, 7, facts)
    assert (spec.hostname, spec.labels) == ("web-07", {"deployment": "web"})
    assert spec.environment == {"OTHERS": "10.0.0.1,10.0.0.2"}
    assert await touched(fleet) == ["web"]


async def test_how_far_a_rollout_is_is_kept_beside_what_is_wanted(
    api: httpx2.AsyncClient, fleet: Fleet, process: Process
) -> None:
    """Nothing of what is wanted changes by it; and a deployment is forgotten with its revisions."""
    await put(api, web())
    async with process.database.begin() as tx:
        (found,) = await fleet.rows("SELECT id FROM deployments")
        (locked,) = (await deployments.lock(tx, found)).values()
        await deployments.save(tx, replace(locked, stable=1, rollout={"step": 2}, message="waits"))
    told = (await api.get("/deployments/web")).json()
    assert (told["version"], told["stable"], told["rollout"], told["message"]) == (1, 1, {"step": 2}, "waits")

    async with process.database.begin() as tx:
        await deployments.forget(tx, locked.id)
    assert await fleet.rows("SELECT 1 FROM revisions") == []


async def batch(api: httpx2.AsyncClient, *documents: dict[str, Any], **more: Any) -> httpx2.Response:
    """Declare several deployments at once."""
    return await api.post("/deployments/batch", json={"deployments": documents, **more})


async def test_several_are_declared_whole_or_not_at_all(api: httpx2.AsyncClient, fleet: Fleet) -> None:
    """What is read goes first, in whichever order they are written; answers come in the order of the request."""
    made = await batch(api, web(template=reading("db")), web(name="db"))
    assert [(one["name"], one["change"]) for one in made.json()["applied"]] == [("web", "created"), ("db", "created")]

    refused = await batch(api, web(replicas=9, template=reading("db")), web(name="db", template={"memory": "x"}))
    assert fields(refused) == ["deployments[1].template.memory"]
    assert fields(await batch(api, web(), web())) == ["deployments"]
    circle = await batch(api, web(name="a", template=reading("b")), web(name="b", template=reading("a")))
    assert fields(circle) == ["deployments[0].template.environment.OTHERS"]
    assert await fleet.rows("SELECT name, replicas FROM deployments ORDER BY name") == [("db", 3), ("web", 3)]


async def test_what_is_not_declared_any_more_is_pruned_by_its_labels(api: httpx2.AsyncClient, fleet: Fleet) -> None:
    """Who reads goes before what is read; others are left alone; without labels nothing is pruned."""
    ours = {"labels": {"team": "a"}}
    await batch(api, web(**ours), web(name="db", **ours), web(name="api", template=reading("db"), **ours))
    await put(api, web(name="other"))

    assert (await batch(api, web(**ours), prune={"team": "a"})).json()["pruned"] == ["api", "db"]
    assert await fleet.rows("SELECT name FROM deployments WHERE NOT leaving ORDER BY name") == [("other",), ("web",)]
    assert fields(await batch(api, prune={})) == ["prune"]


async def test_a_plan_tells_what_applying_would_do_and_does_nothing(api: httpx2.AsyncClient, fleet: Fleet) -> None:
    """Field by field, with the replicas it means and where the new ones would go."""
    await fleet.node("node-1")
    await put(api, web(replicas=2))
    await fleet.ask("web-01", "web-02")
    await fleet.rows("UPDATE containers SET deployment_id = (SELECT id FROM deployments), revision = 1 RETURNING id")
    before = await fleet.rows("SELECT version, xmin::text FROM deployments")
    events = await fleet.kinds()

    def plan(*documents: dict[str, Any], **more: Any) -> Any:
        return api.post("/deployments/plan", json={"deployments": documents, **more})

    told = (await plan(web(template={"memory": "128MiB"}), web(name="new", template=reading("web")))).json()
    changed, created = told["deployments"]
    assert changed["differences"] == [
        {"field": "replicas", "before": 2, "after": 3},
        {"field": "template.memory", "before": "64MiB", "after": "128MiB"},
    ]
    assert (changed["created"], changed["changed"], changed["removed"]) == (["web-03"], 2, [])
    assert (created["change"], created["created"]) == ("created", ["new-01", "new-02", "new-03"])
    assert [one["node"] for one in told["placements"]["placed"]] == ["node-1"] * 4
    fewer = (await plan(web(replicas=1))).json()
    assert (fewer["deployments"][0]["removed"], fewer["placements"]) == (["web-02"], None)
    assert (await plan(web(replicas=2))).json()["deployments"][0]["change"] == "unchanged"
    assert fields(await plan(web(template={"memory": "1TiB"}))) == ["deployments[0].template.memory"]
    assert await fleet.rows("SELECT version, xmin::text FROM deployments") == before
    assert await fleet.kinds() == events


async def test_the_client_reads_what_the_api_answers(process: Process, fleet: Fleet, tmp_path: Path) -> None:
    """From a file to replicas that are wanted, and back to a file that changes nothing."""
    await fleet.node("node-1")
    async with process.database.begin() as tx:
        secret = await tokens.create(tx, "tester", "operator")
    file = tmp_path / "fleet.yaml"
    file.write_text(
        "kind: Policy\nname: mine\nscorers: {balance: 1}\n---\nkind: Cluster\nname: default\nquota: {containers: 9}\n"
        "---\nkind: Deployment\nname: web\nreplicas: 3\nlabels: {a: b}\ntemplate: {memory: 64MiB, policy: mine}\n"
    )
    transport = httpx2.ASGITransport(create_app(process, Tail(process)), raise_app_exceptions=False)
    async with Client("http://127.0.0.1:1", secret, transport=transport) as client:
        read = manifests.read([str(file)])
        await applying.apply_files(client, read, None, "because")
        plan = await plan_files.make(client, read, None)
        assert (plan.changes, plan.placements and len(plan.placements.placed)) == (False, 3)
        scaled = await client.deployments.scale("web", 4)
        assert (await client.deployments.apply("web", scaled.document, expected=9)).change == "unchanged"
        assert [one.name async for one in client.deployments.list(labels={"a": "b"}, prefix="w")] == ["web"]
        restarted = await client.deployments.rollout("web", "restart")
        undone = await client.deployments.rollout("web", "undo", revision=1)
        assert (restarted.revision, undone.revision) == (2, 1)
        assert [one.cause for one in await client.deployments.revisions("web")] == ["restart", "because"]
        assert (await client.deployments.delete("web")).leaving
