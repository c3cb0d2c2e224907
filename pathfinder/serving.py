"""Serving HTTP from inside a process that has other work: sockets with clear errors, and a server without signals."""

import contextlib
import re
import socket
import ssl
from collections.abc import Iterator
from ipaddress import ip_address

import uvicorn
from starlette.types import ASGIApp

_ADDRESS = re.compile(r"(?P<host>[\w.-]+|\[[\w.:%]+\]):(?P<port>\d{1,5})")


class Server(uvicorn.Server):
    """uvicorn without its signal handlers: the process has its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


def server(app: ASGIApp, graceful_seconds: int, proxies: str = "", context: ssl.SSLContext | None = None) -> Server:
    """A server of `app`; `should_exit` ends it, and open requests have `graceful_seconds` to finish.

    `proxies` are addresses or networks, separated by commas, that are believed in what they say of a request. With a
    `context` it speaks TLS.
    """
    return Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=graceful_seconds,
            server_header=False,
            proxy_headers=bool(proxies),
            forwarded_allow_ips=proxies,
            ssl_context_factory=(lambda *_: context) if context else None,
        )
    )


def split(address: str) -> tuple[str, int]:
    """`HOST:PORT`, `[::1]:PORT` as its two parts. Raises ValueError for anything else."""
    parts = _ADDRESS.fullmatch(address.strip())
    if not parts or int(parts["port"]) > 65_535:
        raise ValueError(f"{address!r} is not an address; write HOST:PORT")
    return parts["host"].strip("[]"), int(parts["port"])


def is_loopback(host: str) -> bool:
    """Whether only this machine itself can reach `host`."""
    try:
        return host == "localhost" or ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens on this machine's `host`:`port`. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=2048)
