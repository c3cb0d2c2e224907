"""A simulated machine that keeps a chronicle: when each instance began and ceased to run, by its own clock.

The chronicle is what tells whether a container ever ran twice at once; Pathfinder neither writes nor reads it.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from chaos.evidence import Change, Instance
from pathfinder.domain import instances as domain
from pathfinder.runtime.simulated import Pace, SimulatedRuntime

#: Slow and uneven enough that faults hit provisions at every step.
PACE = Pace(create_seconds=0.15, start_seconds=0.1, address_seconds=0.15, stop_seconds=0.05, jitter=0.9)
INSTANCES, CHRONICLE = "instances.jsonl", "chronicle.jsonl"


class Machine(SimulatedRuntime):
    """One machine. Its instances outlive the agent that drives it, and it can lose its power."""

    def __init__(self, node: str, directory: Path, seed: int) -> None:
        super().__init__(str(directory), pace=PACE, seed=seed, journal=directory / INSTANCES)
        self._node = node
        self._chronicle = (directory / CHRONICLE).open("a", buffering=1)
        for one in self._instances.values():  # a kill between journal and chronicle is put right here
            self._note(one, one.running)

    def power_off(self) -> None:
        """Every instance ceases to run at this moment; whoever still drives this machine gets no answer."""
        for one in [one for one in self._instances.values() if one.running]:
            self._keep(replace(one, running=False, address=None))
        self.unreachable = True

    async def remove(self, hostname: str) -> None:
        """Delete it; absent is success."""
        before = self._instances.get(hostname)
        if before is not None:
            # Noted first: killed in between, it is noted to run again by the next start.
            self._note(before, False)
        await super().remove(hostname)

    def _keep(self, instance: domain.Instance) -> None:
        if not instance.running:
            self._note(instance, False)
        super()._keep(instance)
        if instance.running:
            self._note(instance, True)

    def _note(self, one: domain.Instance, running: bool) -> None:
        line = {"at": time.time(), "id": one.container_id, "generation": one.generation, "running": running}
        self._chronicle.write(json.dumps(line) + "\n")


def read_instances(node: str, directory: Path, journal: str = INSTANCES) -> list[Instance]:
    """What is on a machine's disk."""
    found: dict[str, Instance] = {}
    for line in _lines(directory / journal):
        if gone := line.get("removed"):
            found.pop(gone, None)
        else:
            name = line["hostname"]
            found[name] = Instance(
                *(node, name, line["container_id"] or "", line["generation"], line["running"], line["digest"])
            )
    return list(found.values())


def read_chronicle(node: str, directory: Path) -> list[Change]:
    """What a machine noted."""
    return [
        Change(line["at"], node, line["id"] or "", line["generation"], line["running"])
        for line in _lines(directory / CHRONICLE)
    ]


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            yield json.loads(line)
        except ValueError:
            continue  # cut short by a kill
