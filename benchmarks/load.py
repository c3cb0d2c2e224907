"""`python -m benchmarks.load URL TOKEN MIX CONTAINERS BATCH AT_A_TIME`: containers, through the API's batch endpoint.

A process of its own, so that what it costs is told apart. Prints the moments of the first request and of the last
answer, how often it was told to come back later, and the processor seconds that asking took.
"""

import asyncio
import json
import sys
import time

import orjson
import uvloop

from benchmarks.harder import asked
from benchmarks.wire import Lines

RETRY_SECONDS = 0.2
MINIMAL = {"Prefer": "return=minimal"}


def main() -> None:
    """Ask, and print when."""
    (url, token, mix), (containers, batch, at_a_time) = sys.argv[1:4], map(int, sys.argv[4:7])
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(_ask(url, token, mix, containers, batch, at_a_time))), flush=True)


async def _ask(url: str, token: str, mix: str, containers: int, batch: int, at_a_time: int) -> dict[str, float]:
    starts = iter(range(0, containers, batch))
    refused = 0
    lines = Lines(int(url.rpartition(":")[2]), token, at_a_time)

    async def user() -> None:
        nonlocal refused
        for start in starts:
            some = [asked(mix, number) for number in range(start, min(start + batch, containers))]
            body = orjson.dumps({"containers": some})
            while (answer := await lines.ask("POST", "/containers/batch", body, MINIMAL))[0] != 201:
                if answer[0] != 503:
                    raise SystemExit(f"{answer[0]}: {answer[1][:500]!r}")
                refused += 1
                await asyncio.sleep(RETRY_SECONDS)

    begin = time.time()
    async with asyncio.TaskGroup() as users:
        for _ in range(at_a_time):
            users.create_task(user())
    return {"first": begin, "last": time.time(), "refused": refused, "processor": time.process_time()}


if __name__ == "__main__":
    main()
