"""Deployments whose replicas are checked, restarted where they end, and told of one another, on real nodes."""

from pathlib import Path
from typing import Any

import pytest
from harness import Harness

from pathfinder.domain.lifecycle import Health, Status
from pathfinder.domain.messages import Kind
from pathfinder.domain.views import Container
from pathfinder.runtime.lxd import LxdRuntime

pytestmark = pytest.mark.lab

#: What is in /dev lasts as long as the init that it was mounted for.
CHECKED = {
    "checks": [
        {
            "name": "sick",
            "exec": {"command": ["test", "!", "-e", "/dev/sick"]},
            "interval_seconds": 0.5,
            "unhealthy_after": 1,
        }
    ],
    "restart": {"delay_seconds": 0.5, "most_delay_seconds": 1},
}

#: Stands in for chef-solo: keeps how it was called, and the attributes it was given.
CHEF = '#!/bin/sh\necho "$@" > /arguments\ncat "$4" > /attributes\n'
TOLD = {
    "bootstrappers": [
        {"type": "files", "files": [{"path": "/usr/bin/chef-solo", "content": CHEF, "mode": "0755"}]},
        {
            "type": "chef-solo",
            "cookbooks_url": "https://example.org/cookbooks.tar.gz",
            "attributes": {"databases": "$pf-meta:deployment_ip_addresses?deployment_name=db"},
            "options": ["--environment", "shop"],
        },
    ]
}


async def run_in(harness: Harness, one: Container, *command: str) -> str:
    """What a command in a container writes."""
    runtime = LxdRuntime(harness.lab.socket(one.node or ""))
    try:
        return (await runtime.execute(one.hostname, command, timeout_seconds=30)).output
    finally:
        await runtime.close()


async def replicas(harness: Harness, name: str, count: int, **state: Any) -> list[Container]:
    """The replicas of a deployment, once there are so many and each is like this."""

    async def check() -> list[Container]:
        found = [one for one in await harness.containers() if one.hostname.startswith(f"{name}-")]
        alike = all(getattr(one, key) == value for one in found for key, value in state.items())
        return found if len(found) == count and alike else []

    return await harness.until(f"{count} replicas of {name} with {state}", check)


async def test_a_replica_that_ends_or_fails_its_check_is_restarted_where_it_is_and_that_is_seen(
    harness: Harness, tmp_path: Path
) -> None:
    """By its node, and as the same instance; `pfi` tells how it is, what asks it, and what happened."""
    await harness.client.deployments.apply("site", {"name": "site", "replicas": 2, "template": CHECKED})
    before = await replicas(harness, "site", 2, health=Health.HEALTHY)
    crashing, sickening = before

    await run_in(harness, crashing, "kill", "-TERM", "1")
    await run_in(harness, sickening, "touch", "/dev/sick")
    for one in before:
        await harness.event(Kind.CONTAINER_RESTARTED, one.id)
    after = await replicas(harness, "site", 2, health=Health.HEALTHY)
    environment = harness.pfi_environment(tmp_path)
    wide = await harness.pfi(environment, "get", "containers", "-o", "wide")
    described = [await harness.pfi(environment, "describe", "container", one.hostname) for one in before]

    assert [(one.id, one.generation, one.node) for one in after] == [
        (one.id, one.generation, one.node) for one in before
    ]
    assert wide.out.count(Health.HEALTHY) == 2
    for one in described:
        for words in ("HEALTHY, for", "test ! -e /dev/sick, every 0.5 s", "container.restarted", "times in a row: 1"):
            assert words in one.out
    assert "sick: test ended with 1" in described[1].out
    await harness.exactly(*(one.hostname for one in before))


async def test_replicas_are_bootstrapped_again_when_those_they_were_told_of_change(harness: Harness) -> None:
    """chef-solo is called as it should be, with the addresses of another deployment; once that grows, again."""
    await harness.client.deployments.apply("db", {"name": "db", "replicas": 1, "template": {}})
    (database,) = await replicas(harness, "db", 1, status=Status.PROVISIONED)
    await harness.client.deployments.apply("web", {"name": "web", "replicas": 1, "template": TOLD})
    (before,) = await replicas(harness, "web", 1, status=Status.BOOTSTRAPPED)
    arguments = (await run_in(harness, before, "cat", "/arguments")).split()
    assert arguments[:3] == ["--recipe-url", "https://example.org/cookbooks.tar.gz", "--json-attributes"]
    assert arguments[4:] == ["--environment", "shop"]
    assert await run_in(harness, before, "cat", "/attributes") == f'{{"databases":["{database.ipaddress}"]}}'

    await harness.client.deployments.scale("db", 2)
    first, second = await replicas(harness, "db", 2, status=Status.PROVISIONED)

    async def told() -> bool:
        both = f'{{"databases":["{first.ipaddress}","{second.ipaddress}"]}}'
        return await run_in(harness, before, "cat", "/attributes") == both

    await harness.until("web to be told of both databases", told)
    (after,) = await replicas(harness, "web", 1, status=Status.BOOTSTRAPPED)
    assert (after.id, after.generation) == (before.id, before.generation)
    # Whoever is read cannot go before its readers.
    await harness.client.deployments.delete("web")
    await harness.gone(after.hostname)
