"""How long one container takes, from the request to its address, beside `lxc launch` on the same node."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from statistics import median

from benchmarks.bare import Bare
from benchmarks.figures import Result, Row, milliseconds, quantile
from benchmarks.observe import Observer
from pathfinder.client import Client
from pathfinder.domain.messages import Kind

#: How often the bare ways ask for the address: as often as a patient script would, and far below LXD's limit.
CLI_POLL_SECONDS, API_POLL_SECONDS = 0.02, 0.02
SCHEDULED_TARGET, PROVISIONED_TARGET = 0.015, 1.15
WARM_UP = 3

ACCEPTED = "Pathfinder: request answered"
SCHEDULED = "Pathfinder: SCHEDULED committed"
TOLD = "Pathfinder: SCHEDULED in the event stream"
PROVISIONED = "Pathfinder: PROVISIONED with address"
LAUNCH_QUERY = "lxc launch, address by lxc query"
LAUNCH_ASK = "lxc launch, address by API"
DIRECT = "no lxc: create, start, address by API"

Samples = dict[str, list[float]]


async def measure(client: Client, observer: Observer, bare: Bare, containers: int) -> Result:
    """Rounds of one container each way, turning the order in each round so that no way always goes first."""
    samples: Samples = defaultdict(list)

    def way(name: str, function: Callable[[str, float], float], poll: float) -> Callable[[str], Awaitable[None]]:
        async def run(hostname: str) -> None:
            samples[name].append(await asyncio.to_thread(function, hostname, poll))
            await asyncio.to_thread(bare.remove, hostname)

        return run

    ways: list[Callable[[str], Awaitable[None]]] = [
        lambda hostname: _pathfinder(client, observer, hostname, samples),
        way(LAUNCH_QUERY, bare.launch_and_query, CLI_POLL_SECONDS),
        way(LAUNCH_ASK, bare.launch_and_ask, API_POLL_SECONDS),
        way(DIRECT, bare.create_and_ask, API_POLL_SECONDS),
    ]
    for turn in range(WARM_UP + containers):
        if turn == WARM_UP:
            samples.clear()
        for position in range(len(ways)):
            await ways[(turn + position) % len(ways)](f"bench-{turn:03d}-{position}")
    return _result(samples, containers)


async def _pathfinder(client: Client, observer: Observer, hostname: str, samples: Samples) -> None:
    begin = time.time()
    await client.containers.create(hostname)
    accepted = time.time()
    provisioned = await observer.delivered(hostname, Kind.CONTAINER_PROVISIONED)
    samples[ACCEPTED].append(accepted - begin)
    samples[TOLD].append(await observer.delivered(hostname, Kind.CONTAINER_SCHEDULED) - begin)
    samples[PROVISIONED].append(provisioned - begin)
    await client.containers.delete(hostname)
    await observer.delivered(hostname, Kind.CONTAINER_DELETED)
    samples[SCHEDULED].append(observer.committed(hostname, Kind.CONTAINER_SCHEDULED) - begin)


def _result(samples: Samples, containers: int) -> Result:
    rows = [_row(samples, name) for name in (ACCEPTED, SCHEDULED, TOLD, PROVISIONED, LAUNCH_QUERY, LAUNCH_ASK, DIRECT)]
    rows += [_ratio(samples, LAUNCH_QUERY, judged=True), _ratio(samples, LAUNCH_ASK, judged=True)]
    rows.append(_ratio(samples, DIRECT, judged=False))
    return Result(
        title=f"Latency: {containers} containers, one after the other, on one node (ms from the request)",
        columns=("p50", "p99", "mean"),
        rows=tuple(rows),
        notes=(
            "Committed: when PostgreSQL announces the commit. PROVISIONED: when the event stream delivers the event.",
            f"Bare ways ask for the address every {CLI_POLL_SECONDS * 1000:.0f} ms, after the answer before; the "
            "container's removal is not timed.",
            "Ratios: quotient of the medians, and median of the rounds' own quotients.",
        ),
        samples=dict(samples),
    )


def _row(samples: Samples, name: str) -> Row:
    values = samples[name]
    p50 = quantile(values, 0.5)
    figures = tuple(milliseconds(each) for each in (p50, quantile(values, 0.99), sum(values) / len(values)))
    if name != SCHEDULED:
        return Row(name, figures, p50)
    return Row(name, figures, p50, f"≤ {milliseconds(SCHEDULED_TARGET)}", p50 <= SCHEDULED_TARGET)


def _ratio(samples: Samples, base: str, *, judged: bool) -> Row:
    ours, theirs = samples[PROVISIONED], samples[base]
    ratio = quantile(ours, 0.5) / quantile(theirs, 0.5)
    pairs = median(_quotients(ours, theirs))
    name, figures = f"PROVISIONED ÷ {base}", (f"{ratio:.2f} ×", "", f"{pairs:.2f} ×")
    return Row(name, figures, ratio, *((f"≤ {PROVISIONED_TARGET} ×", ratio <= PROVISIONED_TARGET) if judged else ()))


def _quotients(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    return [one / other for one, other in zip(ours, theirs, strict=True)]
