"""A broker that goes away in the middle of a handshake is a broken connection like any other."""

import asyncio

import aio_pika
import pytest
from aio_pika.abc import AbstractConnection

from pathfinder.broker.connection import Broker


async def test_a_broker_that_closes_during_the_handshake_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The role does not end. aiormq tells that with StopAsyncIteration, where the end comes before its first frame."""
    tries: list[str] = []
    stopping = asyncio.Event()

    async def connect(url: str, **_: object) -> AbstractConnection:
        tries.append(url)
        if len(tries) == 3:
            stopping.set()
        raise StopAsyncIteration

    async def never(_: AbstractConnection) -> None:
        raise AssertionError("there is no broker")

    monkeypatch.setattr(aio_pika, "connect", connect)
    async with asyncio.timeout(20):
        await Broker("amqp://one/", "test").run(never, stopping)

    assert tries == ["amqp://one/"] * 3
