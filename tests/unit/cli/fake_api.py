"""A server's answers by route, and the things it answers with."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx2

from pathfinder.domain.views import Container, Event, Node

ID = UUID("00000000-0000-0000-0000-00000000beef")
AT = "2026-11-23T20:30:05Z"
AMOUNTS = {"cpu_millicores": 500, "memory_bytes": 512 << 20, "disk_bytes": 0}

Answer = httpx2.Response | Exception | Callable[[httpx2.Request], httpx2.Response]


def container(hostname: str = "web-01", **changes: Any) -> dict[str, Any]:
    """A container that runs, but for `changes`."""
    plain = {
        "id": str(ID),
        "hostname": hostname,
        "cluster": "default",
        "image": "ubuntu:26.04",
        "type": "STATELESS",
        "status": "PROVISIONED",
        "health": "UNKNOWN",
        "node": "node-01",
        "simulated": False,
        "ipaddress": "10.0.0.5",
        "generation": 1,
        "resources": AMOUNTS,
        "labels": {"tier": "web"},
        "node_labels": {},
        "profiles": ["default"],
        "config": {},
        "devices": {},
        "message": None,
        "created_at": AT,
        "status_at": AT,
    }
    return Container.model_validate(plain | changes).model_dump(mode="json")


def node(hostname: str = "node-01", **changes: Any) -> dict[str, Any]:
    """A node that is ready, but for `changes`."""
    plain = {
        "id": str(ID),
        "hostname": hostname,
        "cluster": "default",
        "ipaddress": "192.168.33.33",
        "status": "READY",
        "schedulable": True,
        "simulated": False,
        "runtime": "lxd",
        "runtime_version": "5.0.2",
        "architecture": "x86_64",
        "pool_driver": "zfs",
        "agent_version": "3.0.0",
        "labels": {},
        "capacity": {"cpu_millicores": 4000, "memory_bytes": 8 << 30, "disk_bytes": 50 << 30},
        "allocated": AMOUNTS | {"containers": 1},
        "usage": {"load_1m": 0.25},
        "lease_until": AT,
        "created_at": AT,
    }
    return Node.model_validate(plain | changes).model_dump(mode="json")


def event(seq: int, kind: str, *, of: str = "web-01", on: str | None = "node-01", **body: Any) -> dict[str, Any]:
    """The `seq`th event, of a container unless its kind says otherwise."""
    plain = {
        "cursor": str(seq),
        "seq": seq,
        "at": AT,
        "kind": kind,
        "cluster": "default",
        "subject": {"type": kind.partition(".")[0], "id": str(ID), "name": of},
        "node": on,
        "actor": "user:admin",
        "generation": 1,
        "trace_id": "",
        "body": body,
    }
    return Event.model_validate(plain).model_dump(mode="json")


@dataclass(frozen=True)
class Ran:
    """What a run of `pfi` left behind."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """Standard output, line by line."""
        return self.out.splitlines()


Pfi = Callable[..., Ran]


class Stream(httpx2.AsyncByteStream):
    """Events, and then silence: the connection stays open."""

    def __init__(self, events: tuple[dict[str, Any], ...], each: asyncio.Semaphore | None = None) -> None:
        self._events = events
        self._each = each or asyncio.Semaphore(len(events))

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for it in self._events:
            await self._each.acquire()
            yield f"id: {it['cursor']}\nevent: {it['kind']}\ndata: {json.dumps(it)}\n\n".encode()
        await asyncio.Event().wait()


def streaming(*events: dict[str, Any], each: asyncio.Semaphore | None = None) -> httpx2.Response:
    """An event stream that stays open after `events`; each comes when `each` lets it."""
    return httpx2.Response(200, headers={"Content-Type": "text/event-stream"}, stream=Stream(events, each))


def ended(*events: dict[str, Any]) -> httpx2.Response:
    """An event stream that ends after `events`."""
    lines = "".join(f"id: {it['cursor']}\ndata: {json.dumps(it)}\n\n" for it in events)
    return httpx2.Response(200, headers={"Content-Type": "text/event-stream"}, text=lines)


def found(item: Any, status: int = 200) -> httpx2.Response:
    """A body."""
    return httpx2.Response(status, json=item)


def page(*items: dict[str, Any]) -> httpx2.Response:
    """A list's only page."""
    return found({"items": items, "next_cursor": None})


def problem(status: int, detail: str, **wrong: str) -> httpx2.Response:
    """A refusal, with wrong fields."""
    errors = [{"field": field, "message": message} for field, message in wrong.items()]
    document = {"type": "/problems/test", "title": "Test", "status": status, "detail": detail, "errors": errors}
    return httpx2.Response(status, json=document)


class FakeApi:
    """Answers each route with what it was told to: the answers in turn, the last one for good."""

    def __init__(self) -> None:
        self._answers: dict[tuple[str, str], list[Answer]] = {}
        self.requests: list[httpx2.Request] = []

    def on(self, method: str, path: str, *answers: Answer) -> None:
        """Answer `method path` (below /api/v3) so."""
        self._answers[method, path] = list(answers)

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        """Answer a request."""
        self.requests.append(request)
        answers = self._answers.get((request.method, request.url.path.removeprefix("/api/v3")))
        if answers is None:
            return problem(404, f"There is no {request.method} {request.url.path}.")
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx2.Response) else answer(request)
