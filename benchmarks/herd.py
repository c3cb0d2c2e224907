"""`python -m benchmarks.herd FIRST LAST`: many simulated nodes in one process, over one connection to RabbitMQ.

Each node has its own queue, as in a real fleet, and sends its own heartbeats; its commands are carried out at once, and
answered with one message of reports for each message of commands. What a real agent does besides, as taking turns and
talking to LXD, happens on other machines in a real fleet and is left out.
"""

import asyncio
import os
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import aio_pika
import uvloop
from aiormq.abc import AbstractChannel, DeliveredMessage

from benchmarks import store
from benchmarks.naming import node_name
from pathfinder.broker import topology
from pathfinder.broker.connection import BrokerLost
from pathfinder.broker.publish import Publisher
from pathfinder.domain.instances import NodeUsage
from pathfinder.domain.messages import Command, Envelope, Exchange, Report, decode, encode, report_key
from pathfinder.settings import Settings

#: Consumers are declared one after the other on each channel, and on so many channels at once.
CHANNELS = 16

#: What a real agent says of a machine's load.
USAGE = asdict(NodeUsage(0.5, 0.5, 0.5, 1 << 34, 1 << 36))

#: Set: no heartbeats.
SILENT = "PATHFINDER_BENCH_SILENT"

_ANSWER = {Command.PROVISION: Report.PROVISIONED, Command.DELETE: Report.DELETED}


def main() -> None:
    """Play the nodes FIRST to LAST until killed."""
    first, last = int(sys.argv[1]), int(sys.argv[2])
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_play([node_name(number) for number in range(first, last + 1)]))


async def _play(hostnames: list[str]) -> None:
    settings = Settings()
    database = await store.connect(settings.database_url)
    rows = await database.fetch("SELECT hostname, id, cluster_id, epoch FROM nodes WHERE hostname = ANY($1)", hostnames)
    await database.close()
    async with await aio_pika.connect(settings.broker_url.split(",")[0], heartbeat=60) as connection:
        publisher = await Publisher.open(connection)
        nodes = [_Node(publisher, row) for row in rows]
        async with asyncio.TaskGroup() as group:
            for number in range(CHANNELS):
                group.create_task(_consume(connection, nodes[number::CHANNELS]))
        print("consuming", flush=True)
        if SILENT in os.environ:
            await asyncio.Event().wait()
        await _beat(nodes, settings.heartbeat_seconds)


async def _consume(connection: Any, nodes: "list[_Node]") -> None:
    channel = await connection.channel()
    # Of each consumer: a node works on one message, and the next is at hand. All of a million would be a gigabyte.
    await channel.set_qos(prefetch_count=2)
    under = await channel.get_underlay_channel()
    for node in nodes:
        await under.basic_consume(topology.node_queue(node.hostname).name, node.carry_out)


async def _beat(nodes: "list[_Node]", seconds: float) -> None:
    """Each node beats every `seconds`, one after the other, evenly."""
    begin, beats = time.monotonic(), 0
    async with asyncio.TaskGroup() as beating:  # none waits until RabbitMQ has that of another
        while True:
            due = int((time.monotonic() - begin) / seconds * len(nodes))
            for beat in range(beats, due):
                beating.create_task(nodes[beat % len(nodes)].beat())
            beats = due
            await asyncio.sleep(0.01)


class _Node:
    """One machine: everything it is told succeeds at once."""

    def __init__(self, publisher: Publisher, row: Mapping[str, Any]) -> None:
        self.hostname, self._publisher = str(row["hostname"]), publisher
        self._id, self._cluster, self._epoch = str(row["id"]), str(row["cluster_id"]), row["epoch"]

    async def carry_out(self, message: DeliveredMessage) -> None:
        """Carry out the commands of a message and say so."""
        reports: dict[Report, list[Envelope]] = {}
        for command in decode(message.body):
            if (kind := _ANSWER.get(Command(command.kind))) is not None:
                reports.setdefault(kind, []).append(self._report(kind, command))
        for kind, envelopes in reports.items():
            await self._report_all(kind, encode(envelopes))
        channel: AbstractChannel = message.channel
        await channel.basic_ack(message.delivery_tag or 0)

    async def _report_all(self, kind: Report, body: bytes) -> None:
        """Again until it is confirmed: of very many at once some take RabbitMQ longer than a publisher waits."""
        while not self._publisher.channel.is_closed:
            with suppress(BrokerLost):
                await self._publisher.publish(Exchange.REPORTS, report_key(kind, self._id), body)
                return
            await asyncio.sleep(1)

    def _report(self, kind: Report, command: Envelope) -> Envelope:
        body = {"node_id": self._id, "hostname": command.body["hostname"]}
        if kind == Report.PROVISIONED:
            body["ipaddress"] = f"10.{hash(command.subject) % 200}.0.1"
        return Envelope(kind, command.cluster, command.subject, command.generation, command.trace_id, body)

    async def beat(self) -> None:
        """Say that the node lives. RabbitMQ may be too busy for it; the next one says it, too."""
        body = {"usage": USAGE, "epoch": self._epoch}
        envelope = Envelope(Report.HEARTBEAT, self._cluster, self._id, body=body)
        key = report_key(Report.HEARTBEAT, self._id)
        try:
            await self._publisher.publish(Exchange.REPORTS, key, encode([envelope]), persistent=False)
        except BrokerLost:
            if self._publisher.channel.is_closed:
                raise


if __name__ == "__main__":
    main()
