"""Collecting the evidence: SQL of its own on the tables, queue lengths from RabbitMQ."""

import json
from collections.abc import Sequence
from typing import Any

import aio_pika
import asyncpg
from aio_pika.exceptions import AMQPError

from chaos.evidence import Amount, Container, Departure, Deployment, Event, Evidence, Node, Revision

_CONTAINERS = """
    SELECT c.id::text, c.hostname, c.status, c.generation, n.hostname AS node, c.type, c.waiting, c.message,
           c.cpu_millicores, c.memory_bytes, c.disk_bytes, c.labels ->> 'apart' AS apart,
           c.deployment_id::text, c.revision
    FROM containers AS c LEFT JOIN nodes AS n ON n.id = c.node_id
"""
_NODES = """
    SELECT id::text, hostname, status, schedulable, cpu_millicores, memory_bytes, disk_bytes, cpu_claimed,
           memory_claimed, disk_claimed, containers, stateful
    FROM nodes
"""
_DEPARTURES = """
    SELECT d.container_id::text, d.generation, n.hostname AS node, d.cpu_millicores, d.memory_bytes, d.disk_bytes,
           d.stateful
    FROM departures AS d JOIN nodes AS n ON n.id = d.node_id
"""
_EVENTS = """
    SELECT seq, kind, subject_type, subject_id::text, subject_name, generation, node, body::text
    FROM events ORDER BY seq
"""
_DEPLOYMENTS = """
    SELECT id::text, name, version, revision, replicas, paused, leaving,
           COALESCE((rollout ->> 'revision')::bigint, 0) AS rolls, COALESCE(rollout ->> 'phase', '') AS phase,
           rollout ->> 'why' AS why, message
    FROM deployments
"""
_REVISIONS = "SELECT deployment_id::text, revision, template::text FROM revisions ORDER BY deployment_id, revision"


async def tables(database_url: str) -> Evidence:
    """What PostgreSQL holds, all at one moment."""
    connection = await asyncpg.connect(database_url.replace("postgresql+asyncpg", "postgresql"), timeout=5)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            return Evidence(
                containers=[_container(row) for row in await connection.fetch(_CONTAINERS)],
                nodes=[_node(row) for row in await connection.fetch(_NODES)],
                departures=[
                    Departure(
                        *(row["container_id"], row["generation"], row["node"]),
                        _size(row)._replace(stateful=int(row["stateful"])),
                    )
                    for row in await connection.fetch(_DEPARTURES)
                ],
                events=[_event(row) for row in await connection.fetch(_EVENTS)],
                outbox=await connection.fetchval("SELECT count(*) FROM outbox"),
                deployments=[Deployment(**row) for row in await connection.fetch(_DEPLOYMENTS)],
                revisions=[
                    Revision(row["deployment_id"], row["revision"], json.loads(row["template"]))
                    for row in await connection.fetch(_REVISIONS)
                ],
            )
    finally:
        await connection.close()


async def queues(broker_url: str, nodes: Sequence[str]) -> dict[str, int]:
    """How many messages wait in each queue that should be empty. Heartbeats never end, so theirs is left out."""
    names = ["pathfinder.scheduler", "pathfinder.recorder", "pathfinder.deployments", "pathfinder.dead"]
    names += [f"pathfinder.node.{node}" for node in nodes]
    lengths = {}
    async with await aio_pika.connect(broker_url, timeout=5) as connection:
        channel = await connection.channel()
        for name in names:
            try:
                queue = await channel.declare_queue(name, passive=True)
                lengths[name] = queue.declaration_result.message_count or 0
            except AMQPError:  # a queue that is not there holds nothing; the channel is gone with the question
                channel = await connection.channel()
    return lengths


def _size(row: Any) -> Amount:
    return Amount(row["cpu_millicores"], row["memory_bytes"], row["disk_bytes"])


def _container(row: Any) -> Container:
    return Container(
        id=row["id"],
        hostname=row["hostname"],
        status=row["status"],
        generation=row["generation"],
        node=row["node"],
        size=_size(row),
        type=row["type"],
        waiting=row["waiting"],
        message=row["message"],
        apart=row["apart"],
        deployment=row["deployment_id"],
        revision=row["revision"],
    )


def _node(row: Any) -> Node:
    return Node(
        id=row["id"],
        hostname=row["hostname"],
        status=row["status"],
        capacity=_size(row),
        claimed=Amount(
            *(row["cpu_claimed"], row["memory_claimed"], row["disk_claimed"], row["containers"], row["stateful"])
        ),
        schedulable=row["schedulable"],
    )


def _event(row: Any) -> Event:
    return Event(
        seq=row["seq"],
        kind=row["kind"],
        subject_type=row["subject_type"],
        subject_id=row["subject_id"],
        subject_name=row["subject_name"],
        generation=row["generation"],
        node=row["node"],
        body=json.loads(row["body"]),
    )
