"""The fields that request bodies are made of: how each is written, and what it is read as."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from pathfinder.domain import names
from pathfinder.domain.resources import MIN_DISK_BYTES, MIN_MEMORY_BYTES, parse_bytes, parse_cpu

Hostname = Annotated[str, AfterValidator(names.hostname)]
Image = Annotated[str, AfterValidator(names.image)]
LabelKey = Annotated[str, AfterValidator(names.label_key)]
LabelValue = Annotated[str, AfterValidator(names.label_value)]
Labels = Annotated[dict[LabelKey, LabelValue], Field(max_length=64)]


def _size(least: int) -> BeforeValidator:
    def parse(value: Any) -> int | None:
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise ValueError("write a size like 512MiB, or a whole number of bytes")
        return parse_bytes(value, least=least)

    return BeforeValidator(parse, json_schema_input_type=str | int | None)


def _cpu(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("write cores like 2 or 0.5, or millicores like 500m")
    return parse_cpu(value)


Cpu = Annotated[int | None, BeforeValidator(_cpu, json_schema_input_type=str | int | float | None)]
Memory = Annotated[int | None, _size(MIN_MEMORY_BYTES)]
Disk = Annotated[int | None, _size(MIN_DISK_BYTES)]


#: Whatever JSON is nested deeper, or counts further, is not kept.
MOST_DEPTH, MOST_NUMBER = 64, 2**63 - 1


def _plain(document: dict[str, Any]) -> dict[str, Any]:
    """`document` if it can be stored and sent on as it is; ValueError with the place otherwise."""
    left: list[tuple[Any, tuple[int | str, ...]]] = [(document, ())]
    while left:
        value, path = left.pop()
        if wrong := _unkept(value, len(path)):
            where = field_path(path[:8]).encode(errors="backslashreplace").decode()
            raise ValueError(f"{where}: {wrong}" if path else wrong)
        if isinstance(value, dict):
            left += [(part, (*path, key)) for key, one in value.items() for part in (key, one)]
        elif isinstance(value, list):
            left += [(one, (*path, index)) for index, one in enumerate(value)]
    return document


def _unkept(value: Any, depth: int) -> str | None:
    """Why this cannot be kept; None where it can."""
    if depth > MOST_DEPTH:
        return f"is nested more than {MOST_DEPTH} deep"
    if isinstance(value, str) and ("\0" in value or any("\ud800" <= char <= "\udfff" for char in value)):
        return "holds a character that no text has"
    if isinstance(value, int) and abs(value) > MOST_NUMBER:
        return "is too great a number"
    return "is not a finite number" if isinstance(value, float) and not isfinite(value) else None


#: Any JSON object that is kept as it was written.
JsonObject = Annotated[dict[str, Any], AfterValidator(_plain)]


class Body(BaseModel):
    """A request body: unknown fields are refused, so that a typing mistake is never silently ignored."""

    model_config = ConfigDict(extra="forbid", str_max_length=65_536)


#: Lists whose items are of several types: pydantic puts the type behind the index, where nobody wrote it.
_OF_SEVERAL_TYPES = frozenset({"bootstrappers", "metrics"})


def field_path(location: Sequence[int | str]) -> str:
    """Where in a body something is wrong: `("containers", 3, "memory")` as `containers[3].memory`."""
    path = ""
    for at, part in enumerate(location):
        if at >= 2 and location[at - 2] in _OF_SEVERAL_TYPES and isinstance(location[at - 1], int):
            continue
        path += f"[{part}]" if isinstance(part, int) else f"{'.' if path else ''}{part}"
    return path


def words(error: Mapping[str, Any]) -> str:
    """What pydantic found wrong, as people are told."""
    if error["type"] == "extra_forbidden":
        return "is not a field here; check the spelling"
    return str(error["msg"]).removeprefix("Value error, ")
