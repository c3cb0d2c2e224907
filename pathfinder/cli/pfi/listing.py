"""How each noun is listed: where its items come from, how they look, and which events change them."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import BaseModel

from pathfinder.cli.pfi import columns
from pathfinder.cli.pfi.table import Columns
from pathfinder.client import Client, Selection
from pathfinder.domain.deployment_views import Deployment
from pathfinder.domain.lifecycle import Status
from pathfinder.domain.views import Cluster, Container, DeadLetter, Event, KnownProblem, Node, Webhook

View = TypeVar("View", bound=BaseModel)


@dataclass(frozen=True, kw_only=True)
class Shape(Generic[View]):
    """How items look: their columns, and the name that `-o name` prints."""

    narrow: Columns[View]
    wide: Columns[View]
    name: Callable[[View], str]


@dataclass(frozen=True, kw_only=True)
class Listing(Shape[View]):
    """One noun, as `pfi get` shows and watches it."""

    noun: str
    every: Callable[[], AsyncIterator[View]]
    one: Callable[[str], Awaitable[View]]
    #: Whether an item that changed belongs in the list.
    admits: Callable[[View], bool]
    #: The kinds of events that can change an item, and the name of the item an event changes.
    kinds: tuple[str, ...]
    changed: Callable[[Event], str | None]
    #: What is shown of an item that went away.
    gone: Callable[[View], View]


EVENTS = Shape[Event](narrow=columns.EVENTS, wide=columns.EVENTS_WIDE, name=lambda it: str(it.seq))
DEAD_LETTERS = Shape[DeadLetter](
    narrow=columns.DEAD_LETTERS, wide=columns.DEAD_LETTERS_WIDE, name=lambda it: str(it.id)
)
PROBLEMS = Shape[KnownProblem](
    narrow=columns.PROBLEMS, wide=columns.PROBLEMS_WIDE, name=lambda it: f"{it.kind}:{it.subject}"
)


def containers(client: Client, selection: Selection, names: Sequence[str]) -> Listing[Container]:
    """Containers of the selection, or those named."""

    def admits(it: Container) -> bool:
        return (
            it.status is not Status.DELETED
            and (not names or it.hostname in names)
            and selection.admits(hostname=it.hostname, status=it.status, node=it.node, labels=it.labels)
        )

    return Listing(
        noun="container",
        narrow=columns.CONTAINERS,
        wide=columns.CONTAINERS_WIDE,
        name=lambda it: it.hostname,
        every=lambda: client.containers.list(selection),
        one=client.containers.get,
        admits=admits,
        kinds=("container.",),
        # Progress moves no column.
        changed=lambda event: None if event.kind == "container.progress" else event.subject.name,
        gone=lambda it: it.model_copy(update={"status": Status.DELETED}),
    )


def nodes(client: Client, selection: Selection, names: Sequence[str]) -> Listing[Node]:
    """Nodes of the selection, or those named."""

    def admits(it: Node) -> bool:
        return (not names or it.hostname in names) and selection.admits(
            hostname=it.hostname, status=it.status, node=None, labels=it.labels
        )

    return Listing(
        noun="node",
        narrow=columns.NODES,
        wide=columns.NODES_WIDE,
        name=lambda it: it.hostname,
        every=lambda: client.nodes.list(selection),
        one=client.nodes.get,
        admits=admits,
        # What is claimed on a node moves with its containers.
        kinds=("node.", "container.scheduled", "container.provision_failed", "container.deleted"),
        changed=lambda event: event.subject.name if event.subject.type == "node" else event.node,
        gone=lambda it: it.model_copy(update={"status": "DELETED"}),
    )


def deployments(
    client: Client, labels: Mapping[str, str], prefix: str | None, names: Sequence[str]
) -> Listing[Deployment]:
    """Deployments with these labels whose names begin so, or those named."""

    def admits(it: Deployment) -> bool:
        return (not names or it.name in names) and (
            labels.items() <= it.labels.items() and it.name.startswith(prefix or "")
        )

    return Listing(
        noun="deployment",
        narrow=columns.DEPLOYMENTS,
        wide=columns.DEPLOYMENTS_WIDE,
        name=lambda it: it.name,
        every=lambda: client.deployments.list(labels=labels, prefix=prefix),
        one=client.deployments.get,
        admits=admits,
        # How many are available moves with the replicas.
        kinds=("deployment.", "container."),
        changed=_deployment_of,
        gone=lambda it: it.model_copy(update={"leaving": True, "replicas": 0}),
    )


def _deployment_of(event: Event) -> str | None:
    """The deployment that an event is about, or is a replica of, by its name."""
    if event.subject.type == "deployment":
        return event.subject.name
    if event.kind == "container.progress":
        return None
    name, _, number = event.subject.name.rpartition("-")
    return name if len(number) > 1 and number.isdecimal() else None


def clusters(client: Client, names: Sequence[str]) -> Listing[Cluster]:
    """All clusters, or those named."""
    return Listing(
        noun="cluster",
        narrow=columns.CLUSTERS,
        wide=columns.CLUSTERS_WIDE,
        name=lambda it: it.name,
        every=client.clusters.list,
        one=client.clusters.get,
        admits=lambda it: not names or it.name in names,
        kinds=("cluster.",),
        changed=lambda event: event.subject.name,
        gone=lambda it: it,
    )


def webhooks(client: Client, names: Sequence[str]) -> Listing[Webhook]:
    """All webhooks, or those named."""
    return Listing(
        noun="webhook",
        narrow=columns.WEBHOOKS,
        wide=columns.WEBHOOKS_WIDE,
        name=lambda it: it.name,
        every=client.webhooks.list,
        one=client.webhooks.get,
        admits=lambda it: not names or it.name in names,
        kinds=("webhook.",),
        changed=lambda event: event.subject.name,
        gone=lambda it: it,
    )
