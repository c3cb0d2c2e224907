"""LXD without Pathfinder: the same image, the same daemon, the same wish for an address."""

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pathfinder.embedded.image import TINY
from pathfinder.embedded.lxd_client import connect
from pathfinder.runtime.lxd_address import first_ipv4

LIMIT_SECONDS = 60.0


class Bare:
    """One daemon, driven directly. Each way returns the seconds from the request to a known address."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._environment = os.environ | {"LXD_DIR": str(socket.parent)}

    def launch_and_query(self, name: str, poll_seconds: float) -> float:
        """`lxc launch`, then `lxc query …/state` until there is an address: what a shell script can do."""
        begin = time.perf_counter()
        self._lxc("launch", f"local:{TINY}", name)
        self._until_address(lambda: json.loads(self._lxc("query", f"/1.0/instances/{name}/state")), poll_seconds)
        return time.perf_counter() - begin

    def launch_and_ask(self, name: str, poll_seconds: float) -> float:
        """`lxc launch`, then the state over a kept connection: no program is started to ask."""
        with connect(self._socket) as lxd:
            lxd.get("")  # the connection is there before the clock runs
            begin = time.perf_counter()
            self._lxc("launch", f"local:{TINY}", name)
            self._until_address(lambda: lxd.get(f"instances/{name}/state"), poll_seconds)
            return time.perf_counter() - begin

    def create_and_ask(self, name: str, poll_seconds: float) -> float:
        """Create, start and ask over one kept connection: no program is started at all."""
        with connect(self._socket) as lxd:
            lxd.get("")
            begin = time.perf_counter()
            source = {"type": "image", "alias": TINY}
            lxd.call("POST", "instances", {"name": name, "type": "container", "source": source})
            lxd.call("PUT", f"instances/{name}/state", {"action": "start"})
            self._until_address(lambda: lxd.get(f"instances/{name}/state"), poll_seconds)
            return time.perf_counter() - begin

    def remove(self, name: str) -> None:
        """Stop it by force and delete it."""
        with connect(self._socket) as lxd:
            lxd.call("PUT", f"instances/{name}/state", {"action": "stop", "force": True})
            lxd.call("DELETE", f"instances/{name}")

    def _lxc(self, *arguments: str) -> bytes:
        # Without this, lxc reads instructions from what looks like a pipe.
        done = subprocess.run(
            ["lxc", *arguments], env=self._environment, stdin=subprocess.DEVNULL, capture_output=True, check=True
        )
        return done.stdout

    def _until_address(self, state: Callable[[], dict[str, Any]], poll_seconds: float) -> None:
        deadline = time.perf_counter() + LIMIT_SECONDS
        while first_ipv4(state()) is None:
            assert time.perf_counter() < deadline, "no address"
            time.sleep(poll_seconds)
