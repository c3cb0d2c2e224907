"""`pfi describe`: everything about one thing, and what happened to it lately."""

from collections import deque
from collections.abc import Iterable, Mapping
from uuid import UUID

import typer

from pathfinder.cli.pfi import columns, words
from pathfinder.cli.pfi.options import ContainerName, NodeName
from pathfinder.cli.pfi.session import run
from pathfinder.cli.pfi.table import MISSING, Table
from pathfinder.cli.pfi.terminal import harmless, say
from pathfinder.cli.pfi.verbs import group
from pathfinder.client import Client, EventSelection
from pathfinder.domain.views import Container, Event, Node

#: How many of the newest events are shown.
LATEST = 10

app = group("Show everything about a container or a node.")

Fields = Iterable[tuple[str, str | None]]


@app.command()
def container(ctx: typer.Context, name: ContainerName) -> None:
    """Show everything about a container, with what happened to it lately."""
    run(ctx, lambda client: _container(client, name))


@app.command()
def node(ctx: typer.Context, name: NodeName) -> None:
    """Show everything about a node, with what happened to it lately."""
    run(ctx, lambda client: _node(client, name))


async def _container(client: Client, name: str) -> None:
    found = await client.containers.get(name)
    say("\n".join([*_lines(_of_container(found)), *_events(await _latest(client, found.id))]))


async def _node(client: Client, name: str) -> None:
    found = await client.nodes.get(name)
    say("\n".join([*_lines(_of_node(found)), *_events(await _latest(client, found.id))]))


def _of_container(it: Container) -> Fields:
    limits = it.resources
    return (
        ("Hostname", it.hostname),
        ("Cluster", it.cluster),
        ("Status", f"{it.status}, for {words.age(it.status_at)}"),
        ("Message", it.message),
        ("Health", it.health.value),
        ("Node", words.node_name(it.node, it.simulated)),
        ("Ipaddress", it.ipaddress),
        ("Image", it.image),
        ("Type", it.type.value),
        ("CPU limit", words.cpu(limits.cpu_millicores)),
        ("Memory limit", words.size(limits.memory_bytes)),
        ("Disk limit", words.size(limits.disk_bytes)),
        ("Labels", words.pairs(it.labels)),
        ("Node labels", words.pairs(it.node_labels)),
        ("Profiles", ", ".join(it.profiles)),
        ("Config", words.pairs(it.config)),
        *((f"Device {name}", words.pairs(device)) for name, device in it.devices.items()),
        ("Generation", str(it.generation)),
        ("Created at", f"{words.moment(it.created_at)}, {words.age(it.created_at)} ago"),
        ("Id", str(it.id)),
    )


def _of_node(it: Node) -> Fields:
    return (
        ("Hostname", words.node_name(it.hostname, it.simulated)),
        ("Cluster", it.cluster),
        ("Status", columns.node_status(it)),
        ("Ipaddress", it.ipaddress),
        ("Lease until", words.moment(it.lease_until) if it.lease_until else None),
        ("Capacity", words.amounts(it.capacity)),
        ("Claimed", f"{words.amounts(it.allocated)}, by {it.allocated.containers} containers"),
        ("In use", _usage(it.usage)),
        ("Runtime", f"{it.runtime} {it.runtime_version}"),
        ("Architecture", it.architecture),
        ("Storage pool", it.pool_driver),
        ("Agent", it.agent_version),
        ("Labels", words.pairs(it.labels)),
        ("Created at", f"{words.moment(it.created_at)}, {words.age(it.created_at)} ago"),
        ("Id", str(it.id)),
    )


def _usage(usage: Mapping[str, float]) -> str | None:
    loads = [f"{usage[key]:.2f}" for key in ("load_1m", "load_5m", "load_15m") if key in usage]
    sizes = [
        f"{name} {words.size(int(usage[key])) or '0B'}"
        for name, key in (("memory", "memory_used_bytes"), ("disk", "disk_used_bytes"))
        if key in usage
    ]
    return ", ".join([*([f"load {' '.join(loads)}"] if loads else []), *sizes]) or None


async def _latest(client: Client, subject: UUID) -> list[Event]:
    events = client.events.list(EventSelection(subject=subject))
    latest = deque([event async for event in events if event.kind != "container.progress"], maxlen=LATEST)
    return list(latest)


def _lines(fields: Fields) -> list[str]:
    return [f"{name + ':':<15}{harmless(value or MISSING)}" for name, value in fields]


def _events(events: list[Event]) -> list[str]:
    if not events:
        return []
    return ["", f"Events (the newest {LATEST}):", *(f"  {line}" for line in Table(columns.EVENTS).render(events))]
