"""What can go wrong between a client and the API, as one tree. `pathfinder/cli/pfi/failures.py` maps it to exit codes.

ClientError
├── BadArgument        the caller gave something no request can be made of; nothing was sent
├── ApiError           the server refused; carries its problem document
├── Unreachable        no answer: connection refused, reset, timed out, or a proxy with nothing behind it
│   └── Untrusted      no TLS with what answers there, like one whose certificate is not good
└── UnexpectedAnswer   an answer, but not one of Pathfinder's API
"""

from pathfinder.domain.views import Problem


class ClientError(Exception):
    """Root of everything a request to the API can end in besides its result."""


class BadArgument(ClientError, ValueError):
    """A server's address, a token or a name that no request can be made of. The message says what to write."""


class ApiError(ClientError):
    """The server refused the request; `problem` says why and what to do, `retry_after` when to ask again (seconds)."""

    def __init__(self, problem: Problem, retry_after: float = 0.0) -> None:
        self.problem, self.retry_after = problem, retry_after
        super().__init__(problem.detail)

    @property
    def status(self) -> int:
        """The HTTP status of the refusal."""
        return self.problem.status

    @property
    def unavailable(self) -> bool:
        """Whether the same request may work soon."""
        return self.status == 503

    @property
    def overloaded(self) -> bool:
        """Whether everything answers, but too much work is waiting to take on more."""
        return self.unavailable and self.problem.type == "/problems/overloaded"


class Unreachable(ClientError):
    """The server gave no answer. `sent` is False when it surely never saw the request."""

    def __init__(self, server: str, reason: str, *, sent: bool) -> None:
        self.server, self.reason, self.sent = server, reason, sent
        super().__init__(f"Cannot reach {server}: {reason}.")


class Untrusted(Unreachable):
    """There is no TLS with what answers there; nothing was sent to it. `advice` says what to do."""

    def __init__(self, server: str, reason: str, advice: str) -> None:
        self.advice = advice
        super().__init__(server, reason, sent=False)


class UnexpectedAnswer(ClientError):
    """What answers there is not Pathfinder's API, or a version of it this client cannot read."""

    def __init__(self, server: str, reason: str) -> None:
        self.server, self.reason = server, reason
        super().__init__(f"{server} does not answer like Pathfinder's API: {reason}.")
