"""The one place where what pylxd, requests and LXD say becomes one of the port's errors.

LXD answers nearly everything with status 400 or 500 and a sentence, so the sentence decides. The sentences are those
of LXD 5.0 (each was provoked on a real daemon) and, where they differ, of LXD 5.21 and Incus.
"""

import re

import requests
from pylxd.exceptions import ClientConnectionFailed, LXDAPIException, NotFound

from pathfinder.runtime.port import (
    ImageNotFound,
    ImageServerUnreachable,
    InstanceExists,
    OperationFailed,
    Refused,
    RuntimeFailure,
    RuntimeUnreachable,
)


class Busy(OperationFailed):
    """LXD is doing something else with that instance; the same call works once that is over."""


class Absent(OperationFailed):
    """LXD does not know what the call names."""


#: The first pattern found in LXD's sentence decides. What no pattern knows is OperationFailed: the node's fault,
#: so that another node is tried, rather than refusing a request that may be fine.
_SENTENCES: tuple[tuple[re.Pattern[str], type[RuntimeFailure]], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), failure)
    for pattern, failure in (
        (r"busy running a|is already being|is busy", Busy),
        (r'"instances" entry already exists|instance "[^"]*" already exists', InstanceExists),
        (r"no space left|quota exceeded|missing source path|storage pool .*not found", OperationFailed),
        (
            r"image alias not found|image not provided|requested image couldn't be found|image not found",
            ImageNotFound,
        ),
        (
            r"failed parsing stream|failed to connect to simple ?streams|unable to connect|no such host|dial tcp"
            r"|tls handshake|x509:|failed getting image: get ",
            ImageServerUnreachable,
        ),
        (
            r"requested profile|unknown configuration key|invalid (value|device|devices|config|option|instance name)"
            r"|failed (add|device) validation|no root device|not supported|unsupported"
            r"|cannot be (set|used)|required|project limit|not allowed",
            Refused,
        ),
    )
)


def from_sentence(sentence: str) -> RuntimeFailure:
    """The port's error for a sentence of LXD's, which stays its message."""
    for pattern, failure in _SENTENCES:
        if pattern.search(sentence):
            return failure(sentence)
    return OperationFailed(sentence)


def translate(error: Exception) -> RuntimeFailure:
    """The port's error for anything a call through pylxd raises."""
    match error:
        case RuntimeFailure():
            return error
        case requests.Timeout():
            return RuntimeUnreachable("LXD did not answer in time; it may still be carrying the call out.")
        case ClientConnectionFailed() | requests.RequestException():
            return RuntimeUnreachable(f"LXD does not answer on its socket: {error}")
        case LXDAPIException():
            return _from_answer(error)
        case _:
            return OperationFailed(f"The call to LXD failed: {error!r}")


def _from_answer(error: LXDAPIException) -> RuntimeFailure:
    failure = from_sentence(str(error))
    # A missing image alias is also a 404: the sentence knows more than the status.
    if isinstance(error, NotFound) and type(failure) is OperationFailed:
        return Absent(str(error))
    return failure
