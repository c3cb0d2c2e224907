"""Whether a container is well, as its node asks: what counts as an answer, and what is said where it does not."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from pathfinder.domain.checks import Check, ExecProbe, HttpProbe, TcpProbe
from pathfinder.domain.instances import InstanceOrder
from pathfinder.runtime import probes
from pathfinder.runtime.simulated import Pace, SimulatedRuntime


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """Of a server: /well, /moved, /broken, /long, whose "end" comes too late to be seen, and /slow, with no answer."""
    answers = {
        "/well": "200 OK\r\ncontent-length: 4\r\n\r\nfine",
        "/moved": "302 Found\r\nlocation: /broken\r\ncontent-length: 0\r\n\r\n",
        "/broken": "500 No\r\ncontent-length: 0\r\n\r\n",
        "/long": "200 OK\r\nconnection: close\r\n\r\n" + "a" * probes.MOST_BODY + "end",
    }

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = (await reader.readline()).split()
        if asked and (path := asked[1].decode()) in answers:
            writer.write(f"HTTP/1.1 {answers[path]}".encode())
        else:
            await reader.read()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


@pytest.mark.parametrize(
    ("probe", "failure"),
    [
        ({"path": "/well"}, None),
        ({"path": "/well", "body": "fine", "statuses": [200]}, None),
        ({"path": "/moved"}, None),
        ({"path": "/moved", "statuses": [200]}, "/moved answered 302"),
        ({"path": "/broken"}, "/broken answered 500"),
        ({"path": "/broken", "statuses": [500]}, None),
        ({"path": "/well", "body": "ready"}, "/well answered without 'ready'"),
        ({"path": "/long", "body": "end"}, "/long answered without 'end'"),
        ({"path": "/slow"}, "/slow did not answer within 0.3 s"),
    ],
)
async def test_an_http_answer_is_well_by_its_status_and_text(
    port: int, probe: dict[str, object], failure: str | None
) -> None:
    said = await probes.http("127.0.0.1", HttpProbe.model_validate({"port": port, **probe}), 0.3 if failure else 10)

    assert said == failure or (probe["path"] == "/slow" and said is not None and said.startswith("/slow"))


async def test_a_port_is_well_if_it_takes_a_connection(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of the node's own is not asked."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")

    assert await probes.tcp("127.0.0.1", TcpProbe(port=port), 10) is None
    assert await probes.http("127.0.0.1", HttpProbe(port=port, path="/well"), 10) is None
    refused = await probes.tcp("127.0.0.1", TcpProbe(port=9), 10)
    assert refused is not None
    assert "Connection refused" in refused


async def test_a_command_is_well_if_it_ends_with_0_in_time() -> None:
    runtime = SimulatedRuntime(pace=Pace(0, 0, 0, 0))
    await runtime.create(InstanceOrder("web", "c", 1, "k", "local:tiny"), lambda *_: None)
    await runtime.start("web")

    async def ask(*command: str) -> str | None:
        check = Check(exec=ExecProbe(command=list(command)), timeout_seconds=0.05)
        return await runtime.probe("web", "", check)

    assert await ask("true") is None
    assert (await ask("ill", "simulated:exit=3") or "").startswith("ill ended with 3")
    assert await ask("slow", "simulated:seconds=5") == "'slow' did not end within 0.05 s."
