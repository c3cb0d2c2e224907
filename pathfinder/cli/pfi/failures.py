"""Exit codes, and the mapping from everything that can go wrong to one of them and to words on stderr."""

import os
import sys
import traceback
from dataclasses import dataclass
from enum import IntEnum

from pathfinder.cli.pfi.profiles import ConfigError
from pathfinder.cli.pfi.terminal import harmless, note


class ExitCode(IntEnum):
    """What a script learns from `pfi`."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    #: Of `pfi plan -f`, as of other tools that plan: there is something to do.
    CHANGES = 2
    UNREACHABLE = 3
    TIMED_OUT = 4
    UNAVAILABLE = 5
    DEGRADED = 6
    DOWN = 7
    WOULD_WAIT = 8
    DIFFERS = 9
    INTERRUPTED = 130
    BROKEN_PIPE = 141


class Failed(Exception):
    """What was asked for did not happen, though every request was answered."""

    code = ExitCode.FAILED

    def __init__(self, message: str, *hints: str, details: tuple[str, ...] = ()) -> None:
        self.hints, self.details = hints, details
        super().__init__(message)


class TimedOut(Failed):
    """It may still happen, but not within the time given."""

    code = ExitCode.TIMED_OUT


class Usage(Failed):
    """The command line is not one `pfi` can carry out."""

    code = ExitCode.USAGE


@dataclass(frozen=True, slots=True)
class Report:
    """A failure as the user sees it."""

    code: ExitCode
    message: str
    details: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()


def report(failure: BaseException) -> ExitCode:
    """Tell the user about a failure, and return its exit code."""
    told = describe(failure)
    note(f"error: {harmless(told.message)}")
    for detail in told.details:
        note(f"  {harmless(detail)}")
    for hint in told.hints:
        note(f"hint: {harmless(hint)}")
    if debugging():
        traceback.print_exception(failure)
    return told.code


def debugging() -> bool:
    """Whether tracebacks are wanted: --debug sets the variable for this process."""
    return os.environ.get("PFI_DEBUG", "") not in ("", "0")


def describe(failure: BaseException) -> Report:
    """The report of a failure."""
    if isinstance(failure, Failed):
        return Report(failure.code, str(failure), failure.details, failure.hints)
    if isinstance(failure, ConfigError):
        return Report(ExitCode.USAGE, str(failure))
    return _of_client(failure) or Report(
        ExitCode.FAILED,
        f"unexpected: {type(failure).__name__}: {failure}",
        hints=("this is a bug in pfi; run the command again with --debug and report what it prints",),
    )


def _of_client(failure: BaseException) -> Report | None:
    if "pathfinder.client" not in sys.modules:
        return None  # nothing the client raises can have happened, and importing it takes a while
    from pathfinder.client import ApiError, BadArgument, UnexpectedAnswer, Unreachable, Untrusted

    if isinstance(failure, BadArgument):
        return Report(ExitCode.USAGE, str(failure))
    if isinstance(failure, Untrusted):
        words = f"cannot reach {failure.server}: {failure.reason}"
        return Report(ExitCode.UNREACHABLE, words, hints=(failure.advice,))
    if isinstance(failure, Unreachable):
        hints: tuple[str, ...] = (
            "start it with: pathfinder up",
            "choose another: pfi --server URL …, or pfi config set server URL",
        )
        if failure.sent and failure.server.startswith("http:"):
            hints = ("if it speaks TLS there, write https://", *hints)
        return Report(ExitCode.UNREACHABLE, f"cannot reach {failure.server}: {failure.reason}", hints=hints)
    if isinstance(failure, UnexpectedAnswer):
        return Report(ExitCode.FAILED, str(failure), hints=("check the server's address with: pfi config view",))
    if isinstance(failure, ApiError):
        problem = failure.problem
        details = tuple(f"{wrong.get('field', '?')}: {wrong.get('message', '')}" for wrong in problem.errors)
        code = ExitCode.UNAVAILABLE if failure.unavailable else ExitCode.FAILED
        return Report(code, problem.detail or problem.title, details, _HINTS.get(problem.status, ()))
    return None


_HINTS: dict[int, tuple[str, ...]] = {
    401: (
        "log in with: pfi login USER",
        "on this machine, `pathfinder up` makes a token and saves it in your profile",
        "elsewhere, set the one you were given: pfi config set token -, or PFI_TOKEN",
    ),
}
