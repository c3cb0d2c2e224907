"""A program under supervision, and its section in supervisord's configuration. Pure."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Program:
    """What supervisord needs to know of one program."""

    name: str
    command: tuple[str, ...]
    #: Low ones are started first and stopped last.
    priority: int
    environment: Mapping[str, str] = field(default_factory=dict)
    #: The account to run as; None is supervisord's own.
    user: str | None = None
    #: What asks it to finish, how long that may take until it is killed, and whether its children hear it too.
    stop_signal: str = "TERM"
    stop_seconds: int = 10
    stop_children: bool = False
    #: Started again when it ends by itself. A lab's node is not: a machine that died stays dead.
    restart: bool = True


def render(program: Program, logs: Path) -> str:
    """The `[program:…]` section."""
    flag = {True: "true", False: "false"}
    lines = {
        "command": _escape(shlex.join(program.command)),
        "environment": ",".join(f"{key}={_quote(value)}" for key, value in sorted(program.environment.items())),
        "user": program.user or "",
        "priority": str(program.priority),
        # `up` starts programs one by one, each when what it needs is ready.
        "autostart": "false",
        "autorestart": flag[program.restart],
        # One that dies while it is starting would be started again whatever `restart` says.
        "startsecs": "1" if program.restart else "0",
        # With a second more between each: enough to sit out a service that is away for some minutes.
        "startretries": "20" if program.restart else "0",
        "stopsignal": program.stop_signal,
        "stopwaitsecs": str(program.stop_seconds),
        "stopasgroup": flag[program.stop_children],
        "killasgroup": "true",
        "redirect_stderr": "true",
        "stdout_logfile": _escape(str(logs / f"{program.name}.log")),
        "stdout_logfile_maxbytes": "10MB",
        "stdout_logfile_backups": "3",
    }
    body = "\n".join(f"{key}={value}" for key, value in lines.items() if value)
    return f"[program:{program.name}]\n{body}\n"


def render_daemon(directory: Path, socket: Path, logs: Path, user: str | None, files: int) -> str:
    """supervisord's own configuration; programs are read from `directory/programs`. `files`: how many may be open."""
    account = f"user={user}\n" if user else ""
    return f"""\
[unix_http_server]
file={_escape(str(socket))}
chmod=0600

[supervisord]
{account}logfile={_escape(str(logs / "supervisord.log"))}
logfile_maxbytes=5MB
logfile_backups=1
pidfile={_escape(str(directory / "supervisord.pid"))}
childlogdir={_escape(str(logs))}
minfds={files}

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[include]
files={_escape(str(directory / "programs"))}/*.conf
"""


def _escape(value: str) -> str:
    # supervisord cuts values at a comment sign after a space, even inside quotes, and knows no escape for it.
    if "\n" in value or " ;" in value or " #" in value:
        raise ValueError(f"supervisord's configuration cannot hold {value!r}")
    return value.replace("%", "%%")


def _quote(value: str) -> str:
    if '"' in value and "'" in value:
        raise ValueError(f"supervisord's configuration cannot hold both kinds of quotes in {value!r}")
    mark = "'" if '"' in value else '"'
    return f"{mark}{_escape(value)}{mark}"
