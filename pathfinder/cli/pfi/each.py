"""Doing the same for several names: one that fails does not keep the others from it."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from pathfinder.cli.pfi.failures import ExitCode, report
from pathfinder.client import ApiError

Name = TypeVar("Name")
Result = TypeVar("Result")


async def each(names: Sequence[Name], act: Callable[[Name], Awaitable[Result]]) -> tuple[list[Result], ExitCode]:
    """The results of those that worked, and FAILED if any was refused (which is reported); DONE otherwise.

    An unreachable server ends it at once: the next name would fare no better.
    """
    results, code = [], ExitCode.DONE
    for name in names:
        try:
            results.append(await act(name))
        except ApiError as refusal:
            code = report(refusal)
            if refusal.status in (401, 403):
                break
    return results, code
