"""Passwords: hashed with argon2id, in threads, a few at a time: each takes a core for a while, and 64 MiB."""

from anyio import CapacityLimiter, to_thread
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

#: So many at once.
AT_ONCE = 2

_HASHER = PasswordHasher()
_LIMITER = CapacityLimiter(AT_ONCE)
#: What is compared where there is no user, so that it takes as long as where there is one.
NOBODYS = "$argon2id$v=19$m=65536,t=3,p=4$Hm2uzmzArzCZ4Gki15r9yA$48zPU4/4snD/E8HdmRYVQpK9tL21IncqUnnbalXEl9U"


async def hashed(password: str) -> str:
    """The hash of a password, salt and parameters in it."""
    return await to_thread.run_sync(_HASHER.hash, password, limiter=_LIMITER)


async def matches(known: str | None, password: str) -> bool:
    """Whether `known` is the hash of this password; None, which nothing matches, takes as long."""
    return await to_thread.run_sync(_matches, known or NOBODYS, password, limiter=_LIMITER) and known is not None


def _matches(known: str, password: str) -> bool:
    try:
        return _HASHER.verify(known, password)
    except (VerificationError, InvalidHashError):
        return False
