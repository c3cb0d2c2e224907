"""Telling how far a provision is, without slowing down those that are quick."""

import asyncio

from pathfinder.broker.publish import Unroutable
from pathfinder.domain.instances import Stage
from pathfinder.domain.messages import Envelope, Report
from workers.agent.reporting import Reporter

#: A stage is told once it has lasted this long, and again this often while it goes on.
FIRST_SECONDS = 0.5
AGAIN_SECONDS = 1.0


class Progress:
    """Call it with each stage; while the context is open it reports the latest one, if that lasts."""

    def __init__(self, reporter: Reporter, command: Envelope) -> None:
        self._reporter = reporter
        self._command = command
        self._latest: tuple[Stage, int | None] | None = None
        self._telling: asyncio.Task[None] | None = None

    def __call__(self, stage: Stage, percent: int | None) -> None:
        """The provision is in `stage`, `percent` done if that is known."""
        self._latest = (stage, percent)

    async def __aenter__(self) -> "Progress":
        self._telling = asyncio.create_task(self._tell())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.gather(self._telling, return_exceptions=True)

    async def _tell(self) -> None:
        told = None
        await asyncio.sleep(FIRST_SECONDS)
        while True:
            if self._latest not in (None, told):
                told = self._latest
                stage, percent = told
                try:
                    await self._reporter.about(self._command, Report.PROGRESS, stage=stage, percent=percent)
                except Unroutable:
                    return
            await asyncio.sleep(AGAIN_SECONDS)
