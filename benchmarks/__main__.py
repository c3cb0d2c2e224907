"""`python -m benchmarks`: build a lab, measure, print the tables, keep the figures as JSON, remove the lab."""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from benchmarks import latency, machine, throughput
from benchmarks.bare import Bare
from benchmarks.figures import Result, keep
from benchmarks.observe import observing
from pathfinder.cli.operator.progress import Screen
from pathfinder.client import Client
from pathfinder.embedded.errors import EmbeddedError
from pathfinder.embedded.lab import Lab
from pathfinder.embedded.lxd_client import connect

NODE = "node-01"
NODES = 3


def main() -> int:
    """Run what was asked for."""
    arguments = _arguments()
    console = Console(highlight=False)
    # A short path, for the sockets in it.
    with tempfile.TemporaryDirectory(prefix="pf-bench-") as directory:
        lab = Lab(Path(directory) / "lab")
        try:
            lab.up(1, Screen(), together=not arguments.apart)
            with connect(lab.socket(NODE)) as lxd:
                measured = machine.describe() | machine.describe_lxd(lxd)
            measured["control plane"] = "a process for each role" if arguments.apart else "one process, as of `make up`"
            console.print("\n" + machine.in_words(measured), soft_wrap=True)
            results = []
            if arguments.only != "throughput":
                results.append(asyncio.run(_latency(lab, arguments.containers or 50)))
                results[-1].show(console)
            if arguments.only != "latency":
                lab.up(NODES, Screen())
                results.append(asyncio.run(_throughput(lab, arguments.containers or 60, arguments)))
                results[-1].show(console)
        except EmbeddedError as failure:
            print(failure, file=sys.stderr)
            return 1
        finally:
            lab.down()
    console.print(f"\nKept in {keep('latency', measured, results)}", soft_wrap=True)
    return 0


async def _latency(lab: Lab, containers: int) -> Result:
    async with Client(lab.api_url, lab.token) as client, observing(client, lab.database_url) as observer:
        return await latency.measure(client, observer, Bare(lab.socket(NODE)), containers)


async def _throughput(lab: Lab, containers: int, arguments: argparse.Namespace) -> Result:
    async with Client(lab.api_url, lab.token) as client, observing(client, lab.database_url) as observer:
        bare = Bare(lab.socket(NODE))
        return await throughput.measure(client, observer, bare, containers, arguments.at_a_time, arguments.rounds)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--apart", action="store_true", help="each role a process of its own, not one as `make up` has")
    parser.add_argument("--only", choices=("latency", "throughput"), help="measure only this")
    parser.add_argument("--containers", type=int, help="how many; 50 for latency and 60 for throughput if left out")
    parser.add_argument("--at-a-time", type=int, default=8, help="how many at once, for throughput (default: 8)")
    parser.add_argument("--rounds", type=int, default=2, help="how often the load is repeated (default: 2)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
