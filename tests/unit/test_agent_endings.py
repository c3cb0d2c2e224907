"""An agent hears which containers end, whatever becomes of the daemon that tells it."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import cast

import pytest
from websockets.asyncio.server import ServerConnection, unix_serve

from pathfinder.runtime import lxd_events
from pathfinder.runtime.port import Runtime, RuntimeUnreachable
from workers.agent import endings

Act = Callable[[], AsyncGenerator[str]]


class Daemon:
    """Each that comes to listen is treated to the next of `acts`; after the last nothing happens any more."""

    def __init__(self, *acts: Act) -> None:
        self._acts = list(acts)

    async def endings(self) -> AsyncGenerator[str]:
        """The next act."""
        if self._acts:
            async for hostname in self._acts.pop(0)():
                yield hostname
        await asyncio.Event().wait()


async def dies() -> AsyncGenerator[str]:
    """Tells of one, and is gone."""
    yield "first"
    raise RuntimeUnreachable("gone")


async def babbles() -> AsyncGenerator[str]:
    """Fails in a way that nobody thought of."""
    raise ZeroDivisionError
    yield ""


async def lives() -> AsyncGenerator[str]:
    """Tells of another one."""
    yield "second"


async def test_it_listens_again_after_whatever_happened(monkeypatch: pytest.MonkeyPatch) -> None:
    """With pauses that grow while nothing is heard."""
    waits: list[int] = []
    monkeypatch.setattr(endings, "backoff", lambda attempt: waits.append(attempt) or 0.0)
    heard: list[str] = []
    done = asyncio.Event()

    async def look(hostname: str) -> None:
        heard.append(hostname)
        if hostname == "second":
            done.set()

    runtime = cast(Runtime, Daemon(dies, babbles, lives))
    hearing = asyncio.create_task(endings.hear(runtime, look, asyncio.Event()))
    async with asyncio.timeout(10):
        await done.wait()
    hearing.cancel()
    await asyncio.wait([hearing])

    assert heard == ["first", "second"]
    assert waits == [0, 1]


@pytest.mark.parametrize(
    ("message", "hostname"),
    [
        ('{"metadata": {"action": "instance-shutdown", "source": "/1.0/instances/web-01"}}', "web-01"),
        ('{"metadata": {"action": "instance-stopped", "source": "/1.0/instances/a?project=b"}}', "a"),
        ('{"metadata": {"action": "instance-started", "source": "/1.0/instances/web-01"}}', None),
        ('{"metadata": {"action": "instance-stopped", "source": null}}', None),
        ('{"metadata": null}', None),
        ("[]", None),
        ("no", None),
    ],
)
def test_only_the_end_of_an_instance_is_told_of(message: str, hostname: str | None) -> None:
    """What cannot be read is passed over: LXD and Incus tell of more with each version."""
    assert lxd_events.ended(message) == hostname


async def test_a_daemon_that_goes_away_or_is_not_there_says_so(tmp_path: Path) -> None:
    """Else nobody would ask again."""

    async def tell(connection: ServerConnection) -> None:
        await connection.send('{"metadata": {"action": "instance-shutdown", "source": "/1.0/instances/web"}}')

    socket = tmp_path / "s"
    async with unix_serve(tell, str(socket)):
        told = lxd_events.endings(socket)
        assert await anext(told) == "web"
        with pytest.raises(RuntimeUnreachable):
            await anext(told)
    socket.unlink(missing_ok=True)
    with pytest.raises(RuntimeUnreachable):
        await anext(lxd_events.endings(socket))
