"""What is different between two documents, field by field."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pathfinder.domain.fields import field_path

Path = tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """A field that is another: what it was and what it will be; None where it is not there."""

    field: str
    before: Any
    after: Any


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Difference]:
    """The fields that are different, in the order of the new document; null, {} and [] are as good as nothing."""
    return [Difference(field_path(path), old, new) for path, old, new in _compared(before, after, ())]


def _compared(before: Any, after: Any, path: Path) -> Iterator[tuple[Path, Any, Any]]:
    if before == after and isinstance(before, bool) == isinstance(after, bool):
        return
    if isinstance(before, Mapping | None) and isinstance(after, Mapping | None) and (before or after):
        earlier, later = before or {}, after or {}
        for key in [*later, *(key for key in earlier if key not in later)]:
            yield from _compared(earlier.get(key), later.get(key), (*path, key))
    elif isinstance(before, list) and isinstance(after, list):
        for index in range(max(len(before), len(after))):
            old, new = (one[index] if index < len(one) else None for one in (before, after))
            yield from _compared(old, new, (*path, index))
    elif not _nothing(before) or not _nothing(after):
        yield path, before, after


def _nothing(value: Any) -> bool:
    return value is None or value == {} or value == []
