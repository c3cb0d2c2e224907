"""The directory that holds one embedded Pathfinder: its data, logs, sockets and what it remembers."""

import base64
import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pathfinder
from pathfinder.embedded.ports import free_port

#: The kernel's limit for the path of a Unix socket is 108 bytes; supervisord appends its pid while it binds.
SOCKET_PATH_LIMIT = 95
#: Everything that is ever put into a home.
ENTRIES = (
    *("agent", "leases", "lock", "logs", "nodes", "postgres", "postgres-standby", "rabbitmq"),
    *("secret.keys", "state.json", "state.json.new", "supervisor", "supervisor.sock"),
)


class Home:
    """One embedded Pathfinder's directory. Two of them never share anything."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self._guard = threading.Lock()

    @classmethod
    def default(cls) -> "Home":
        """$PATHFINDER_HOME, else `.pathfinder` in the checkout this code runs from, else in the user's home."""
        if explicit := os.environ.get("PATHFINDER_HOME"):
            return cls(Path(explicit))
        checkout = Path(pathfinder.__file__).parent.parent
        base = checkout if (checkout / "pyproject.toml").exists() else Path.home()
        return cls(base / ".pathfinder")

    def create(self) -> None:
        """Make the directory. Service accounts may pass through it, only its owner may list it."""
        if not self.root.exists():
            self.root.mkdir(parents=True)
            self.root.chmod(0o711)

    def remove(self) -> None:
        """Delete what we put into the directory, and the directory if that was all: $PATHFINDER_HOME may be any."""
        for name in ENTRIES:
            path = self.root / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.root.rmdir()

    @property
    def digest(self) -> str:
        """A short name for this home, the same on each run and different from any other home's."""
        return hashlib.sha256(str(self.root).encode()).hexdigest()[:8]

    @property
    def logs(self) -> Path:
        """Where every program's log is."""
        return self.root / "logs"

    def socket(self, name: str) -> Path:
        """Path of a Unix socket: in this directory, or in the temporary one where that path would be too long."""
        path = self.root / name
        if len(str(path)) <= SOCKET_PATH_LIMIT:
            return path
        return Path(tempfile.gettempdir()) / f"pathfinder-{self.digest}-{name}"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory for oneself: two `pathfinder up` at once take turns."""
        self.create()
        with (self.root / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def recall(self, key: str) -> Any:
        """What was remembered under `key`, or None."""
        return self._read().get(key)

    def remember(self, key: str, value: Any) -> None:
        """Keep `value` (JSON) across runs; None forgets. The file is its owner's alone: it holds passwords."""
        with self._guard:
            state = {name: each for name, each in (self._read() | {key: value}).items() if each is not None}
            draft = self.root / "state.json.new"
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                json.dump(state, file, indent=1, sort_keys=True)
            draft.replace(self.root / "state.json")

    def once(self, key: str, make: Callable[[], Any]) -> Any:
        """What is remembered under `key`, made and remembered the first time."""
        if (value := self.recall(key)) is None:
            value = make()
            self.remember(key, value)
        return value

    def secret(self, name: str) -> str:
        """A password of this home's own."""
        return str(self.once(f"secret.{name}", lambda: secrets.token_hex(16)))

    def secret_keys(self) -> Path:
        """A file with a key for the secrets of containers, its owner's alone; made the first time."""
        path = self.root / "secret.keys"
        if not path.exists():
            draft = path.with_name(f"{path.name}.new")
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write(f"{base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()}\n")
            draft.replace(path)
        return path

    def port(self, name: str, preferred: int, *, in_use: bool) -> int:
        """The port of a service: the one it has (`in_use`), else its last one or `preferred` or the next free above."""
        last = self.recall(f"port.{name}")
        if last is not None and in_use:
            return int(last)
        # Those of other services count as taken, though they may not run yet.
        others = {value for key, value in self._read().items() if key.startswith("port.") and key != f"port.{name}"}
        port = free_port(last or preferred, f"{name} of {self.root}", avoid=others)
        self.remember(f"port.{name}", port)
        return port

    def _read(self) -> dict[str, Any]:
        try:
            state: dict[str, Any] = json.loads((self.root / "state.json").read_text())
        except FileNotFoundError:
            return {}
        return state
