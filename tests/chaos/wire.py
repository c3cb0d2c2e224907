"""`python -m chaos.wire`: the network of the simulated stage, as a TCP proxy with one link for each node and role.

Each role has another one, to PostgreSQL.

A file in `faults/cut/` named like a link holds up everything on that link, both ways, without closing anything: bytes
wait, new connections get no answer. Short, that is a delay of messages; long, a partition. When the file is gone what
waited goes on, in its order. A file in `faults/torn/` closes the connections of the link at once.
"""

import asyncio
import os
import sys
from contextlib import suppress
from pathlib import Path

import uvloop

from chaos.wiring import Plan

POLL_SECONDS = 0.05
CHUNK_BYTES = 1 << 16


class Link:
    """What goes through one address."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.writers: set[asyncio.StreamWriter] = set()

    def tear(self) -> None:
        """Close every connection, in the middle of whatever it carries."""
        for writer in self.writers:
            writer.transport.abort()


class Wire:
    """Every link of a stage."""

    def __init__(self, root: Path, plan: Plan) -> None:
        self._faults = root / "faults"
        self._plan = plan
        self._links = {address: Link() for address in plan.links.values()}
        self._names = {name: self._links[address] for name, address in plan.links.items()}

    async def run(self) -> None:
        """Listen, and do what the files in `faults` say."""
        addresses = list(self._links)
        await asyncio.start_server(self._broker, addresses, self._plan.broker_port, backlog=64)
        await asyncio.start_server(self._api, addresses, self._plan.api_port, backlog=64)
        await asyncio.start_server(self._database, addresses, self._plan.database_port, backlog=64)
        (self._faults.parent / "wire.ready").touch()
        while True:
            cut = set(os.listdir(self._faults / "cut"))
            for name, link in self._names.items():
                if name in cut:
                    link.open.clear()
                else:
                    link.open.set()
            for name in os.listdir(self._faults / "torn"):
                self._names[name].tear()
                (self._faults / "torn" / name).unlink(missing_ok=True)
            await asyncio.sleep(POLL_SECONDS)

    async def _broker(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._carry(reader, writer, [self._plan.broker_upstream])

    async def _api(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._carry(reader, writer, self._plan.api_upstreams)

    async def _database(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._carry(reader, writer, [self._plan.database_upstream])

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ports: list[int]) -> None:
        link = self._links[writer.get_extra_info("sockname")[0]]
        link.writers.add(writer)
        try:
            await link.open.wait()
            for port in ports:
                with suppress(OSError):
                    up_reader, up_writer = await asyncio.open_connection("127.0.0.1", port)
                    break
            else:
                return
            link.writers.add(up_writer)
            pumps = [
                asyncio.create_task(_pump(link, reader, up_writer)),
                asyncio.create_task(_pump(link, up_reader, writer)),
            ]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                link.writers.discard(up_writer)
                up_writer.close()
        finally:
            link.writers.discard(writer)
            writer.close()


async def _pump(link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(CHUNK_BYTES):
            await link.open.wait()
            writer.write(data)
            await writer.drain()
    await link.open.wait()  # an end is news too


def main() -> None:
    """Run until killed."""
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path.cwd()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(Wire(root, Plan.read(root)).run())


if __name__ == "__main__":
    main()
