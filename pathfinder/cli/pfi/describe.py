"""`pfi describe`: everything about one thing, and what happened to it lately."""

import json
from collections import deque
from collections.abc import Iterable, Mapping
from datetime import datetime
from uuid import UUID

import typer
from pydantic import BaseModel

from pathfinder.cli.pfi import columns, words
from pathfinder.cli.pfi.options import ContainerName, DeploymentName, NodeName, ResultOption, ResultOutput
from pathfinder.cli.pfi.output import documents
from pathfinder.cli.pfi.session import run
from pathfinder.cli.pfi.table import MISSING, Table
from pathfinder.cli.pfi.terminal import harmless, say
from pathfinder.cli.pfi.verbs import group
from pathfinder.client import Client, EventSelection, Selection
from pathfinder.domain.checks import Check
from pathfinder.domain.deployed import LABEL
from pathfinder.domain.deployment_views import Deployment, Revision
from pathfinder.domain.messages import RUNTIME_DOWN
from pathfinder.domain.rules import DEFAULT_POOL
from pathfinder.domain.views import Attempt, Container, Event, Node

#: How many of the newest events are shown.
LATEST = 10

app = group("Show everything about a container, a deployment or a node.")

Fields = Iterable[tuple[str, str | None]]


class DescribedContainer(BaseModel):
    """A container with its failed attempts and its newest events."""

    container: Container
    attempts: list[Attempt]
    events: list[Event]


class DescribedDeployment(BaseModel):
    """A deployment with its replicas, its revisions and its newest events."""

    deployment: Deployment
    replicas: list[Container]
    revisions: list[Revision]
    events: list[Event]


class DescribedNode(BaseModel):
    """A node with its newest events."""

    node: Node
    events: list[Event]


@app.command()
def container(ctx: typer.Context, name: ContainerName, output: ResultOption = ResultOutput.TEXT) -> None:
    """Show everything about a container, with its failed attempts and what happened to it lately."""
    found = run(ctx, lambda client: _container(client, name))
    if output is ResultOutput.TEXT:
        lines = [*_lines(_of_container(found.container)), *_attempts(found.attempts), *_events(found.events)]
        say("\n".join(lines))
    else:
        _tell(found, found.container.hostname, output)


@app.command()
def deployment(
    ctx: typer.Context,
    name: DeploymentName,
    output: ResultOption = ResultOutput.TEXT,
) -> None:
    """Show everything about a deployment: its template, its replicas, and what happened to it lately."""
    found = run(ctx, lambda client: _deployment(client, name))
    if output is ResultOutput.TEXT:
        replicas = [f"  {line}" for line in Table(columns.CONTAINERS).render(found.replicas)]
        revisions = [f"  {line}" for line in Table(columns.REVISIONS).render(found.revisions)]
        lines = [*_lines(_of_deployment(found.deployment)), *_template(found.deployment)]
        lines += ["", "Replicas:", *replicas] if found.replicas else []
        say("\n".join([*lines, "", "Revisions:", *revisions, *_events(found.events)]))
    else:
        _tell(found, found.deployment.name, output)


@app.command()
def node(ctx: typer.Context, name: NodeName, output: ResultOption = ResultOutput.TEXT) -> None:
    """Show everything about a node, with what happened to it lately."""
    found = run(ctx, lambda client: _node(client, name))
    if output is ResultOutput.TEXT:
        say("\n".join([*_lines(_of_node(found.node)), *_events(found.events)]))
    else:
        _tell(found, found.node.hostname, output)


def _tell(described: BaseModel, name: str, output: ResultOutput) -> None:
    if output is ResultOutput.NAME:
        say(name)
    else:
        documents([described], output, single=True)


async def _container(client: Client, name: str) -> DescribedContainer:
    found = await client.containers.get(name)
    return DescribedContainer(
        container=found,
        attempts=list(await client.containers.attempts(name)),
        events=await _latest(client, found.id),
    )


async def _deployment(client: Client, name: str) -> DescribedDeployment:
    found = await client.deployments.get(name)
    replicas = client.containers.list(Selection(labels={LABEL: name}))
    return DescribedDeployment(
        deployment=found,
        replicas=[one async for one in replicas],
        revisions=list(await client.deployments.revisions(name)),
        events=await _latest(client, found.id),
    )


async def _node(client: Client, name: str) -> DescribedNode:
    found = await client.nodes.get(name)
    return DescribedNode(node=found, events=await _latest(client, found.id))


def _of_container(it: Container) -> Fields:
    limits = it.limits or it.resources
    return (
        ("Hostname", it.hostname),
        ("Cluster", it.cluster),
        ("Status", f"{it.status}, for {words.age(it.status_at)}"),
        ("Message", it.message),
        ("Attempts", f"{it.failed_attempts} of {it.max_attempts} failed"),
        *((("Tried again", words.moment(it.retry_at)),) if it.retry_at else ()),
        ("Health", _health(it)),
        *((("Restarts", str(it.restarts)),) if it.restarts else ()),
        *((f"Check {one.name}", words.check(one)) for one in map(Check.model_validate, it.checks)),
        ("Node", words.node_name(it.node, it.simulated)),
        ("Ipaddress", it.ipaddress),
        ("Image", it.image),
        ("Type", it.type.value),
        ("Asks for", words.amounts(it.resources)),
        ("CPU limit", words.cpu(limits.cpu_millicores)),
        ("Memory limit", words.size(limits.memory_bytes)),
        ("Disk limit", words.size(limits.disk_bytes)),
        ("Labels", words.pairs(it.labels)),
        ("Node labels", words.pairs(it.node_labels)),
        *asked(it),
        ("Profiles", ", ".join(it.profiles)),
        ("Config", words.pairs(it.config)),
        *((f"Device {name}", words.pairs(device)) for name, device in it.devices.items()),
        ("Generation", str(it.generation)),
        ("Created at", f"{words.moment(it.created_at)}, {words.age(it.created_at)} ago"),
        ("Id", str(it.id)),
    )


def _health(it: Container) -> str:
    since = f", for {words.age(it.health_at)}" if it.health_at else ""
    return f"{it.health}{since}{f': {it.health_message}' if it.health_message else ''}"


def asked(it: Container) -> tuple[tuple[str, str], ...]:
    """What was asked of its placement; nothing of what was not."""
    wishes = (
        ("Architecture", it.architecture),
        ("Constraints", ", ".join(it.constraints)),
        ("Pool", it.pool if it.pool != DEFAULT_POOL else None),
        ("Tolerates", ", ".join(it.tolerations)),
        *((words.company(one), words.topology(one, "to")) for one in it.affinity),
        *(("Spread" if one["required"] else "Rather spread", words.share(one)) for one in it.spread),
        ("Budget", f"at most {it.budget['max_unavailable']} of {it.budget['of']} away" if it.budget else None),
        ("Priority", str(it.priority) if it.priority else None),
        ("Policy", it.policy),
        ("Gang", f"{it.gang['size']} containers placed at once" if it.gang else None),
    )
    return tuple((name, value) for name, value in wishes if value)


def _of_deployment(it: Deployment) -> Fields:
    strategy, autoscaling = it.document["strategy"], it.document.get("autoscaling")
    least = it.document.get("min_available_replicas")
    return (
        ("Name", it.name),
        ("Cluster", it.cluster),
        ("Status", columns.deployment_status(it)),
        ("Message", it.message),
        ("Replicas", f"{it.replicas} wanted, {it.counts.existing} there, {it.counts.available} available"),
        *((("Never fewer than", f"{least} available by our own action"),) if least else ()),
        ("Revision", f"{it.revision}, of which {it.counts.updated} are"),
        ("Rolled out whole", str(it.stable) if it.stable is not None else None),
        ("Strategy", ", ".join(f"{key} {value}" for key, value in strategy.items() if value is not None)),
        *((("Autoscaling", json.dumps(autoscaling)),) if autoscaling else ()),
        ("Labels", words.pairs(it.labels)),
        ("Version", f"{it.version}, of {words.moment(it.changed_at)}"),
        ("Created at", f"{words.moment(it.created_at)}, {words.age(it.created_at)} ago"),
        ("Id", str(it.id)),
    )


def _template(it: Deployment) -> list[str]:
    import yaml

    text = str(yaml.safe_dump(it.document["template"], sort_keys=False, allow_unicode=True)).rstrip()
    return ["", "Template:", *(f"  {harmless(line)}" for line in text.splitlines())]


def _of_node(it: Node) -> Fields:
    return (
        ("Hostname", words.node_name(it.hostname, it.simulated)),
        ("Cluster", it.cluster),
        ("Status", columns.node_status(it)),
        *((("Set aside", _aside(it)),) if it.aside_until else ()),
        ("Ipaddress", it.ipaddress),
        ("Lease until", _when(it.lease_until)),
        ("Down since", _when(it.down_at)),
        ("Fenced at", _when(it.fenced_at)),
        ("May reboot until", _when(it.reboot_until)),
        ("Capacity", words.amounts(it.capacity)),
        ("Claimed", f"{words.amounts(it.allocated)}, by {_count(it)}"),
        *((("Overcommit", words.ratios(it.overcommit)),) if it.overcommit else ()),
        ("Pool", it.pool),
        ("Taints", ", ".join(it.taints)),
        ("In use", _usage(it.usage)),
        ("Runtime", f"{it.runtime} {it.runtime_version}"),
        ("Architecture", it.architecture),
        ("Storage pool", it.pool_driver),
        ("Agent", it.agent_version),
        *((("Can do", ", ".join(it.capabilities)),) if it.capabilities else ()),
        *((("Images", ", ".join(it.images)),) if it.images else ()),
        ("Labels", words.pairs(it.labels)),
        *((("Own labels", words.pairs(it.own_labels)),) if it.own_labels else ()),
        ("Created at", f"{words.moment(it.created_at)}, {words.age(it.created_at)} ago"),
        ("Id", str(it.id)),
    )


def _count(it: Node) -> str:
    """How many containers there are, and how many there may be."""
    most = f" of {it.max_containers}" if it.max_containers is not None else ""
    most_stateful = f" of {it.max_stateful}" if it.max_stateful is not None else ""
    stateful = f", {it.allocated.stateful}{most_stateful} stateful" if it.allocated.stateful or most_stateful else ""
    return f"{it.allocated.containers}{most} containers{stateful}"


def _when(at: datetime | None) -> str | None:
    return words.moment(at) if at else None


def _aside(it: Node) -> str:
    until = words.moment(it.aside_until) if it.aside_until else "it is opened"
    return f"until {until}, then probed; {it.failures} provisions in a row failed, the last: {it.aside_reason}"


def _usage(usage: Mapping[str, float]) -> str | None:
    if RUNTIME_DOWN in usage:
        return "not known: its agent says that LXD does not answer"
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
    width = max(15, *(len(name) + 2 for name, _ in fields))
    return [f"{name + ':':<{width}}{harmless(value or MISSING)}" for name, value in fields]


def _attempts(attempts: list[Attempt]) -> list[str]:
    if not attempts:
        return []
    return ["", "Failed attempts:", *(f"  {line}" for line in Table(columns.ATTEMPTS).render(attempts))]


def _events(events: list[Event]) -> list[str]:
    if not events:
        return []
    return ["", f"Events (the newest {LATEST}):", *(f"  {line}" for line in Table(columns.EVENTS).render(events))]
