"""Which Unix account a service runs as, and where that account can keep data.

PostgreSQL refuses to run as root, and RabbitMQ should not. As root each runs as the account its package made; as anyone
else, as oneself.
"""

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from pathfinder.embedded.errors import NotInstalled
from pathfinder.embedded.home import Home

#: Where data goes that its account could not reach under the home. One subdirectory for each home.
ELSEWHERE = Path("/var/lib/pathfinder-embedded")


@dataclass(frozen=True)
class Account:
    """A Unix account; `name` is None for the one we run as."""

    name: str | None
    uid: int
    gid: int

    @classmethod
    def of(cls, service: str) -> "Account":
        """The account of a service's package as root, else our own."""
        if os.geteuid() != 0:
            return cls(None, os.geteuid(), os.getegid())
        try:
            entry = pwd.getpwnam(service)
        except KeyError:
            raise NotInstalled(service) from None
        return cls(service, entry.pw_uid, entry.pw_gid)

    def run(self, *command: str, **options: object) -> "subprocess.CompletedProcess[str]":
        """Run a command as this account and wait. Never raises for its exit status."""
        identity = {"user": self.uid, "group": self.gid, "extra_groups": []} if self.name else {}
        # The working directory may be one this account cannot enter, which some programs complain about.
        return subprocess.run(  # type: ignore[call-overload,no-any-return]
            command, text=True, capture_output=True, cwd="/", check=False, **identity, **options
        )

    def can_reach(self, directory: Path) -> bool:
        """Whether the account may pass through `directory`. Asked of the kernel, which knows about ACLs and mounts."""
        return self.run("test", "-x", str(directory)).returncode == 0

    def own(self, path: Path) -> Path:
        """Make a private directory of this account and return it."""
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.chown(path, self.uid, self.gid)
        return path


def data_directory(home: Home, name: str, account: Account) -> Path:
    """The account's directory in the home; under `ELSEWHERE`, linked from the home, where it cannot get in there.

    A checkout under /root is the usual case: only root passes through /root.
    """
    home.create()
    wanted = home.root / name
    if account.can_reach(home.root):
        return account.own(wanted)
    actual = ELSEWHERE / home.digest / name
    actual.parent.mkdir(parents=True, exist_ok=True)
    account.own(actual)
    if not wanted.is_symlink():
        wanted.symlink_to(actual)
    return actual


def remove_data_elsewhere(home: Home) -> None:
    """Delete what `data_directory` had to put outside the home."""
    shutil.rmtree(ELSEWHERE / home.digest, ignore_errors=True)
    if ELSEWHERE.is_dir() and not any(ELSEWHERE.iterdir()):
        ELSEWHERE.rmdir()
