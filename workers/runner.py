"""Running one or several roles in one process, and stopping them in good order."""

import asyncio
import gc
import os
import signal
import threading
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

import structlog
import uvloop

from pathfinder import plain_text, telemetry, tls
from pathfinder.bootstrap import Process, configure_logging
from pathfinder.settings import Settings
from workers.listener import listening
from workers.presence import Presence

log = structlog.get_logger()

#: How long closing what a process has open may take besides the work in hand, which has `stop_seconds`. Both together
#: are within the ten seconds that a role may take to end.
CLOSE_SECONDS = 1.5

Role = Callable[[Process], Awaitable[None]]


def run(roles: Mapping[str, Role], settings: Settings) -> int:
    """Run `roles` until SIGTERM or SIGINT, let them finish the work in hand, and return the exit status."""
    configure_logging(settings)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(roles, settings))


async def _run(roles: Mapping[str, Role], settings: Settings) -> int:
    shared = Process(settings, tuple(roles))
    check_transport(settings, roles)
    for role in roles:
        telemetry.ROLE.labels(role).set(1)
        if role != "warden":  # the one that needs none; what is not there yet is not ready
            shared.broker(role)
    # A batch makes many objects that live until its end: looking for cycles among them takes a third of its time. What
    # is there already stays.
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    gc.enable()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, shared.stopping.set)
    log.info("running", roles=sorted(roles))
    try:
        async with listening(shared):
            presence = Presence(shared)
            telling = asyncio.create_task(presence.run())
            tasks = [asyncio.create_task(_coroutine(role, shared), name=name) for name, role in roles.items()]
            await asyncio.wait(
                [*tasks, stopped := asyncio.create_task(shared.stopping.wait())], return_when=asyncio.FIRST_COMPLETED
            )
            stopped.cancel()
            _end_in_time(settings.stop_seconds + CLOSE_SECONDS, 0 if shared.stopping.is_set() else 1)
            status = await _stop(shared, tasks)
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
            if status == 0:  # whoever ends otherwise is to be missed
                await presence.leave()
            return status
    finally:
        await shared.close()


def check_transport(settings: Settings, roles: Collection[str]) -> None:
    """Log what is in plain text where others could listen. Raises Invalid for that in production mode."""
    for one in plain_text.check(settings, roles):
        log.warning("plain text", what=str(one), hint=one.advice)
    if settings.ca_file is not None:
        for protocol in ("http", "amqp"):  # one that is of no use is told now, not when it is needed
            tls.shared(settings.ca_file, protocol)


def _end_in_time(seconds: float, status: int) -> None:
    """Have the process ended after that time, whatever still holds it: the one deadline of its whole end.

    Python waits for every thread before it ends, also for one whose call LXD or a disk never answers. Whatever is cut
    short was not acknowledged, and is done again.
    """

    def end() -> None:
        log.warning("ended although something did not stop; it will be done again")
        os._exit(status)

    last_resort = threading.Timer(seconds, end)
    last_resort.daemon = True  # nobody waits for this one
    last_resort.start()


async def _coroutine(role: Role, shared: Process) -> None:
    await role(shared)


async def _stop(shared: Process, tasks: Sequence[asyncio.Task[None]]) -> int:
    """Let the roles end by themselves, for a while; 1 if any of them broke."""
    shared.stopping.set()
    _, late = await asyncio.wait(tasks, timeout=shared.settings.stop_seconds)
    for task in late:
        log.warning("stopped in the middle of its work; it will be done again", role=task.get_name())
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    broken = [
        (task.get_name(), result) for task, result in zip(tasks, results, strict=True) if isinstance(result, Exception)
    ]
    for name, error in broken:
        log.error("role broke", role=name, exc_info=error)
    log.info("stopped")
    return 1 if broken else 0
