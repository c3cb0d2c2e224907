"""Idempotency-Key: a create that is repeated is accepted once."""

import asyncio

import httpx2
import pytest
from workbench import Fleet

KEY = {"Idempotency-Key": "k-1"}


async def test_the_same_key_and_body_get_the_same_container(api: httpx2.AsyncClient, fleet: Fleet) -> None:
    """One row, one event."""
    first = await api.post("/containers", json={"hostname": "web"}, headers=KEY)
    again = await api.post("/containers", json={"hostname": "web"}, headers=KEY)

    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json()["id"] == again.json()["id"]
    assert (await fleet.kinds()).count("container.requested") == 1


async def test_the_same_request_written_otherwise_is_the_same(api: httpx2.AsyncClient, fleet: Fleet) -> None:
    """The key is about what is asked, not about bytes."""
    first = await api.post("/containers", json={"hostname": "web", "memory": "1GiB"}, headers=KEY)
    again = await api.post("/containers", json={"memory": 1 << 30, "hostname": "web"}, headers=KEY)

    assert first.json()["id"] == again.json()["id"]


async def test_another_body_with_the_same_key_is_refused(api: httpx2.AsyncClient, fleet: Fleet) -> None:
    """409: a client mixed up its keys."""
    await api.post("/containers", json={"hostname": "web"}, headers=KEY)

    answer = await api.post("/containers", json={"hostname": "other"}, headers=KEY)

    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/idempotency-mismatch")
    assert await fleet.statuses() == {"web": "PENDING"}


async def test_a_refused_request_does_not_use_up_its_key(api: httpx2.AsyncClient, fleet: Fleet) -> None:
    """The same key works once the reason is gone."""
    await fleet.ask("web")
    refused = await api.post("/containers", json={"hostname": "web"}, headers=KEY)
    await api.delete("/containers/web")

    accepted = await api.post("/containers", json={"hostname": "web"}, headers=KEY)

    assert (refused.status_code, accepted.status_code) == (409, 201)


@pytest.mark.parametrize("batch", [False, True])
async def test_concurrent_twins_make_one_container(api: httpx2.AsyncClient, fleet: Fleet, batch: bool) -> None:
    """A client that timed out and asks again while its first request is still under way."""

    async def ask() -> httpx2.Response:
        if batch:
            body = {"containers": [{"hostname": "a"}, {"hostname": "b"}]}
            return await api.post("/containers/batch", json=body, headers=KEY)
        return await api.post("/containers", json={"hostname": "a"}, headers=KEY)

    answers = await asyncio.gather(*(ask() for _ in range(6)))

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert (await fleet.kinds()).count("container.requested") == (2 if batch else 1)


async def test_concurrent_requests_for_one_name_without_a_key_make_one_container(
    api: httpx2.AsyncClient, fleet: Fleet
) -> None:
    """One wins, the others hear 409."""
    answers = await asyncio.gather(*(api.post("/containers", json={"hostname": "web"}) for _ in range(6)))

    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409, 409]
    assert (await fleet.kinds()).count("container.requested") == 1


async def test_crossing_batches_do_not_wait_for_each_other(api: httpx2.AsyncClient, fleet: Fleet) -> None:
    """The same names in opposite order: one batch wins, the other is refused; neither hangs."""
    names = [f"c-{number}" for number in range(30)]

    async def ask(order: list[str]) -> int:
        answer = await api.post("/containers/batch", json={"containers": [{"hostname": name} for name in order]})
        return answer.status_code

    answers = await asyncio.gather(ask(names), ask(names[::-1]), ask(names[15:] + names[:15]))

    assert sorted(answers) == [201, 409, 409]
    assert set(await fleet.statuses()) == set(names)


async def test_a_repeated_create_of_a_cluster_makes_one(api: httpx2.AsyncClient, fleet: Fleet) -> None:
    """Its answer may be lost, too; another request for that name is refused, whatever its key."""
    first = await api.post("/clusters", json={"name": "two"}, headers=KEY)
    twins = await asyncio.gather(*(api.post("/clusters", json={"name": "two"}, headers=KEY) for _ in range(3)))
    otherwise = await api.post("/clusters", json={"name": "two", "policy": "binpack"}, headers=KEY)
    other = await api.post("/clusters", json={"name": "two"}, headers={"Idempotency-Key": "k-2"})

    assert [one.status_code for one in (first, *twins)] == [201] * 4
    assert {one.json()["id"] for one in (first, *twins)} == {first.json()["id"]}
    assert (otherwise.status_code, other.status_code) == (409, 409)
    assert await fleet.rows("SELECT count(*) FROM events WHERE kind = 'cluster.created' AND subject_name = 'two'") == [
        (1,)
    ]


@pytest.mark.parametrize("cluster", ["default", "two"])
async def test_what_was_made_is_where_its_location_says(api: httpx2.AsyncClient, cluster: str) -> None:
    """Outside the cluster `default`, too."""
    await api.post("/clusters", json={"name": "two"})

    made = await api.post("/containers", params={"cluster": cluster}, json={"hostname": "web"})
    found = await api.get(f"http://api{made.headers['location']}")

    assert found.json() == made.json()


async def test_limits_that_pathfinder_does_not_set_are_for_the_config(api: httpx2.AsyncClient) -> None:
    """Only the keys that cpu and memory become are taken."""
    config = {"limits.memory.swap": "false", "limits.cpu.priority": "5", "limits.memory.enforce": "soft"}

    made = await api.post("/containers", json={"hostname": "web", "config": config})

    assert (made.status_code, made.json()["config"]) == (201, config)
