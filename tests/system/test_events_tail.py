"""`pfi events tail` goes on where it was, whatever is restarted under it."""

import asyncio
import json
from collections import defaultdict
from pathlib import Path

import pytest
from harness import Harness, start_pfi

from pathfinder.domain.views import Event

pytestmark = pytest.mark.lab


async def test_events_tail_survives_restarts_and_prints_every_event_once_and_in_order(
    harness: Harness, tmp_path: Path
) -> None:
    """Containers are created before, between and during restarts of the API and of RabbitMQ."""
    first = len(await harness.events())
    tail = await start_pfi(harness.pfi_environment(tmp_path), "events", "tail", "--since", "all", "-o", "json")
    printed: list[Event] = []

    async def read() -> None:
        assert tail.stdout is not None
        async for line in tail.stdout:
            printed.append(Event.model_validate(json.loads(line)))

    reading = asyncio.create_task(read())
    try:

        async def begun() -> bool:
            return len(printed) >= first

        await harness.until("the tail's beginning", begun)
        await harness.create("told-1")
        for number, program in ((2, "api"), (3, "rabbitmq")):
            restart = asyncio.create_task(asyncio.to_thread(harness.lab.restart_role, program))
            await harness.ask_stubbornly(f"told-{number}")
            await restart
        made = await harness.settled("told-1", "told-2", "told-3")
        await harness.client.containers.delete("told-1")
        await harness.gone("told-1")
        kept = {one.seq: one for one in await harness.events()}

        async def caught_up() -> object:
            return len(printed) >= len(kept) and kept.keys() <= {one.seq for one in printed}

        try:
            await harness.until("the tail to catch up", caught_up)
        except AssertionError as failure:
            missed = [one for seq, one in kept.items() if seq not in {each.seq for each in printed}]
            raise AssertionError(
                f"{failure}; {len(printed)} printed, the last {printed[-1:]}, missed {missed}"
            ) from None
    finally:
        tail.terminate()
        await reading
        err = await _rest(tail)

    seqs = [one.seq for one in printed]
    assert len(seqs) == len(set(seqs)), "an event was printed twice"
    assert kept.keys() <= set(seqs)
    of_each: dict[object, list[int]] = defaultdict(list)
    for one in printed:
        of_each[one.subject.id].append(one.seq)
    assert all(order == sorted(order) for order in of_each.values())
    assert {one.id for one in made.values()} <= of_each.keys()
    assert b"lost the connection" in err, "the restart went unnoticed, so nothing was tested"
    assert b"Traceback" not in err


async def _rest(process: asyncio.subprocess.Process) -> bytes:
    assert process.stderr is not None
    err = await process.stderr.read()
    await process.wait()
    return err
