"""The commands a node is given."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pathfinder.domain.containers import Container
from pathfinder.domain.messages import Command, Envelope


def provision(container: Container, epoch: int) -> Envelope:
    """Make the container's instance, or say that it is there. The body is an `InstanceOrder`, and the node's `epoch`.

    A node that was DOWN since refuses it: the container may be elsewhere by now.
    """
    return Envelope(
        kind=Command.PROVISION,
        cluster=str(container.cluster_id),
        subject=str(container.id),
        generation=container.generation,
        trace_id=container.trace_id,
        body={**container.order, "epoch": epoch},
    )


def delete(cluster_id: str, container_id: str, hostname: str, generation: int, trace_id: str = "") -> Envelope:
    """Remove the instance of this placement, or an older one of the same hostname, or say that it is gone."""
    return Envelope(
        kind=Command.DELETE,
        cluster=cluster_id,
        subject=container_id,
        generation=generation,
        trace_id=trace_id,
        body={"hostname": hostname},
    )


def update(container: Container, epoch: int) -> Envelope:
    """Make the running instance what its container says now, as far as that needs no new one; an order as the body."""
    return replace(provision(container, epoch), kind=Command.UPDATE)


def bootstrap(
    container: Container, run: int, done: int, bootstrappers: Sequence[Mapping[str, Any]], epoch: int
) -> Envelope:
    """Carry out these bootstrappers in order, but for the first that are `done`. A later run takes this one's place."""
    return Envelope(
        kind=Command.BOOTSTRAP,
        cluster=str(container.cluster_id),
        subject=str(container.id),
        generation=container.generation,
        trace_id=container.trace_id,
        body={
            "hostname": container.hostname,
            "epoch": epoch,
            "run": run,
            "done": done,
            "bootstrappers": list(bootstrappers),
        },
    )


def rejoin(cluster_id: str, node_id: str) -> Envelope:
    """Finish the deletes in hand, register again and send the full list."""
    return Envelope(kind=Command.REJOIN, cluster=cluster_id, subject=node_id)


def watch(cluster_id: str, id_: str, *, history: bool) -> Envelope:
    """Tell for a while, every few seconds, what the container or the node itself uses; with `history`, what it used."""
    return Envelope(kind=Command.WATCH, cluster=cluster_id, subject=id_, body={"history": history})


def delete_placement(container: Container) -> Envelope:
    """Remove the instance of the container's present placement."""
    return delete(
        str(container.cluster_id), str(container.id), container.hostname, container.generation, container.trace_id
    )
