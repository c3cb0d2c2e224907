"""What can be wrong with a request, as one tree. `api/errors.py` maps it to HTTP, `pathfinder/cli` to exit codes.

PathfinderError
├── Invalid            the request cannot be carried out as written            422
│   └── NeverFits      no node of the cluster could hold it, however empty     422
├── NotFound           what it names is not there                              404
├── Conflict           it clashes with the present state                       409
│   ├── AlreadyExists
│   ├── IllegalTransition
│   ├── QuotaExceeded
│   └── IdempotencyMismatch
├── Unauthenticated    no token, or one that is not known                      401
├── Forbidden          the token may not do this                               403
├── RateLimited        too many of these came from there                       429
└── Unavailable        a part Pathfinder needs does not answer                 503
    ├── DatabaseAway   no PostgreSQL of all there are takes writes             503
    ├── Contended      others held or changed the same things meanwhile        503
    ├── Overloaded     too much work is waiting to take on more                503
    └── TooSlow        PostgreSQL took it, and did not finish it in time       503

Each message says what is wrong and what to do about it.
"""

from dataclasses import dataclass, field


@dataclass
class FieldProblem:
    """One wrong field: where it is (`containers[3].memory`) and what is wrong with it."""

    field: str
    message: str


class PathfinderError(Exception):
    """Root of everything Pathfinder refuses."""

    #: A stable, URL-safe name of the kind of problem, used in problem documents.
    slug = "error"


@dataclass
class Invalid(PathfinderError):
    """The request cannot be carried out as it is written."""

    message: str
    problems: list[FieldProblem] = field(default_factory=list)
    slug = "invalid"

    def __str__(self) -> str:
        return self.message


class NeverFits(Invalid):
    """No node of the cluster could hold this container, however empty it was."""

    slug = "never-fits"


class NotFound(PathfinderError):
    """What the request names does not exist."""

    slug = "not-found"

    def __init__(self, noun: str, name: str, hint: str) -> None:
        self.noun, self.name = noun, name
        super().__init__(f"There is no {noun} named {name!r}. {hint}")


class Conflict(PathfinderError):
    """The request clashes with the present state."""

    slug = "conflict"


class AlreadyExists(Conflict):
    """The name is taken by something that lives."""

    slug = "already-exists"


class IllegalTransition(Conflict):
    """The container cannot go there from where it is."""

    slug = "illegal-transition"

    def __init__(self, hostname: str, current: str, target: str) -> None:
        self.hostname, self.current, self.target = hostname, current, target
        super().__init__(f"Container {hostname!r} is {current}; it cannot become {target} from there.")


class NotPlaced(Conflict):
    """The container has no placement yet that another could follow."""

    slug = "illegal-transition"

    def __init__(self, hostname: str) -> None:
        super().__init__(
            f"Container {hostname!r} is PENDING: it is not placed yet, and is as soon as a node can take it; "
            f"`pfi explain container {hostname}` tells what it waits for."
        )


class QuotaExceeded(Conflict):
    """The cluster's containers would ask for more than they may."""

    slug = "quota-exceeded"


class IdempotencyMismatch(Conflict):
    """The Idempotency-Key was used before with another request."""

    slug = "idempotency-mismatch"


class Unauthenticated(PathfinderError):
    """No bearer token, or one that is not known."""

    slug = "unauthenticated"


class Forbidden(PathfinderError):
    """The token is good, but not for this."""

    slug = "forbidden"


class RateLimited(PathfinderError):
    """Whoever asks did so too often; the same request may be answered later."""

    slug = "rate-limited"

    def __init__(self, words: str, retry_after_seconds: int) -> None:
        self.retry_after_seconds = retry_after_seconds
        super().__init__(words)


class Unavailable(PathfinderError):
    """A part Pathfinder needs does not answer just now; the same request may work soon."""

    slug = "unavailable"
    #: When to try again.
    retry_after_seconds = 2


class TooSlow(Unavailable):
    """A statement was not finished in time, by a PostgreSQL that had taken it: that may be the statement's doing."""


class Contended(Unavailable):
    """Others held or changed the same things, and a change gave way to theirs. PostgreSQL itself is well."""


class DatabaseAway(Unavailable):
    """No PostgreSQL that is known takes writes. Nodes go by the slug: then nobody can be declared dead."""

    slug = "database-away"


class Overloaded(Unavailable):
    """Everything answers, but too much work is waiting to take on more."""

    slug = "overloaded"
    retry_after_seconds = 5


class MalformedMessage(PathfinderError):
    """A message is not one of ours, or of a version we do not read; it is set aside, not retried."""

    slug = "malformed-message"
