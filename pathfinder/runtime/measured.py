"""Measures a runtime: how long each operation takes, and which fail by whose fault."""

import functools
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from pathfinder import telemetry
from pathfinder.runtime.port import Runtime, RuntimeFailure

#: The operations that ask something of the machine, by their names in the port.
OPERATIONS = (
    "facts",
    "usage",
    "usages",
    "images",
    "instance",
    "instances",
    "create",
    "start",
    "address",
    "stop",
    "remove",
    "push",
    "execute",
    "update",
    "probe",
)

Measurable = TypeVar("Measurable", bound=Runtime)


def measured(runtime: Measurable) -> Measurable:
    """The same runtime, each of its operations measured."""
    for name in OPERATIONS:
        setattr(runtime, name, _measured(name, getattr(runtime, name)))
    return runtime


def _measured(name: str, operation: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    seconds = telemetry.OPERATION_SECONDS.labels(name)

    @functools.wraps(operation)
    async def run(*given: Any, **named: Any) -> Any:
        with telemetry.timed(seconds):
            try:
                return await operation(*given, **named)
            except RuntimeFailure as failure:
                telemetry.OPERATION_FAILED.labels(name, failure.fault).inc()
                raise

    return run
