"""Conditions on labels, as people write them: `zone in (a, b)`, `gpu`, `!legacy`, `cores > 8`, joined by commas."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from typing import Generic, TypeVar

from pathfinder.domain import names


class Operator(StrEnum):
    """How a requirement looks at a label."""

    IS = "="
    IS_NOT = "!="
    IN = "in"
    NOT_IN = "not in"
    EXISTS = "exists"
    MISSING = "!"
    LESS = "<"
    AT_MOST = "<="
    MORE = ">"
    AT_LEAST = ">="


_NEGATIVE = frozenset({Operator.IS_NOT, Operator.NOT_IN, Operator.MISSING})
_ORDERED = frozenset({Operator.LESS, Operator.AT_MOST, Operator.MORE, Operator.AT_LEAST})
_LOWER = frozenset({Operator.MORE, Operator.AT_LEAST})
_STRICT = frozenset({Operator.LESS, Operator.MORE})
_FORMS = "write KEY, !KEY, KEY=VALUE, KEY!=VALUE, KEY in (A, B), KEY not in (A, B), KEY<NUMBER or KEY>NUMBER"
_KEY = r"(?P<key>[^\s!=<>(),]+)"
_PATTERNS = (
    re.compile(rf"{_KEY}\s+(?P<op>not\s+in|notin|in)\s*\((?P<values>[^()]*)\)"),
    re.compile(rf"{_KEY}\s*(?P<op>==|=|!=|<=|<|>=|>)\s*(?P<values>[^\s!=<>(),]*)"),
    re.compile(rf"(?P<op>!?)\s*{_KEY}(?P<values>)"),
)
_NUMBER = re.compile(r"\d+(\.\d+)*")
#: A comma between requirements, not one within parentheses.
_COMMA = re.compile(r",(?![^()]*\))")


@dataclass(frozen=True, slots=True, order=True)
class Requirement:
    """One condition on one label. Where the label is missing, only `!=`, `not in` and `!` hold.

    `<` and `>` compare numbers and versions (`5.0.2`), part by part; what is neither never holds.
    """

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Requirement":
        """The requirement that is written; ValueError with the forms there are."""
        match = next((found for one in _PATTERNS if (found := one.fullmatch(text.strip()))), None)
        if match is None:
            raise ValueError(f"{text[:80]!r} is not a condition on a label; {_FORMS}")
        key = names.label_key(match["key"])
        written = {"": "exists", "==": "=", "notin": "not in"}.get(match["op"], " ".join(match["op"].split()))
        operator = Operator(written)
        if operator in (Operator.EXISTS, Operator.MISSING):
            return cls(key, operator)
        values = tuple(sorted({names.label_value(value.strip()) for value in match["values"].split(",")}))
        if operator in _ORDERED and not _NUMBER.fullmatch(values[0]):
            raise ValueError(f"{text[:80]!r} compares with something that is no number; write one like 8 or 5.0.2")
        return cls(key, operator, values)

    def holds(self, value: str | None) -> bool:
        """Whether a label with this value (None: no such label) satisfies it."""
        match self.operator:
            case Operator.EXISTS:
                return value is not None
            case Operator.MISSING:
                return value is None
            case Operator.IS | Operator.IN:
                return value in self.values
            case Operator.IS_NOT | Operator.NOT_IN:
                return value not in self.values
            case _:
                return value is not None and self._compares(value)

    def _compares(self, value: str) -> bool:
        if not _NUMBER.fullmatch(value):
            return False
        ours, theirs = _parts(self.values[0]), _parts(value)
        match self.operator:
            case Operator.LESS:
                return theirs < ours
            case Operator.AT_MOST:
                return theirs <= ours
            case Operator.MORE:
                return theirs > ours
            case _:
                return theirs >= ours

    def __str__(self) -> str:
        match self.operator:
            case Operator.EXISTS:
                return self.key
            case Operator.MISSING:
                return f"!{self.key}"
            case Operator.IN | Operator.NOT_IN:
                return f"{self.key} {self.operator} ({', '.join(self.values)})"
            case _:
                return f"{self.key}{self.operator}{self.values[0]}"


@dataclass(frozen=True, slots=True, order=True)
class Selector:
    """Labels that satisfy every requirement; none: all do."""

    requirements: tuple[Requirement, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Selector":
        """`app=web,tier in (a, b)`; ValueError with the forms there are, or with what contradicts itself."""
        return cls.of(text for text in _COMMA.split(text) if text.strip())

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Selector":
        """All of these requirements; ValueError as of `parse`."""
        selector = cls(tuple(sorted({Requirement.parse(text) for text in texts})))
        if words := contradiction(selector.requirements):
            raise ValueError(words)
        return selector

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether these labels satisfy it."""
        return all(one.holds(labels.get(one.key)) for one in self.requirements)

    @property
    def listed(self) -> tuple[tuple[str, str], ...] | None:
        """Labels with their values, one of which everything that matches has; None where it may have none of a list."""
        one = next((one for one in self.requirements if one.operator in (Operator.IS, Operator.IN)), None)
        return None if one is None else tuple((one.key, value) for value in one.values)

    def __str__(self) -> str:
        return ",".join(str(one) for one in self.requirements)


T = TypeVar("T")


class Index(Generic[T]):
    """Things that were chosen a selector for, to be found by labels: without asking each selector."""

    def __init__(self, chosen: Iterable[tuple[Selector, T]]) -> None:
        self._listed: dict[tuple[str, str], list[tuple[Selector, T]]] = defaultdict(list)
        self._others: list[tuple[Selector, T]] = []
        for selector, thing in chosen:
            for listed in (
                (self._others,) if selector.listed is None else map(self._listed.__getitem__, selector.listed)
            ):
                listed.append((selector, thing))

    def matching(self, labels: Mapping[str, str]) -> Iterator[T]:
        """Those whose selector matches these labels, each once."""
        found = (one for pair in labels.items() for one in self._listed.get(pair, ()))
        return (thing for selector, thing in chain(self._others, found) if selector.matches(labels))


def contradiction(requirements: Iterable[Requirement]) -> str | None:
    """Why no label whatever could satisfy all of these at once, or None where some could, as far as can be told."""
    of_key: dict[str, list[Requirement]] = {}
    for one in requirements:
        of_key.setdefault(one.key, []).append(one)
    for key, ones in of_key.items():
        positive = [one for one in ones if one.operator not in _NEGATIVE]
        listed = [set(one.values) for one in ones if one.operator in (Operator.IS, Operator.IN)]
        words = " and ".join(f"`{one}`" for one in ones)
        if positive and any(one.operator is Operator.MISSING for one in ones):
            return f"{words} contradict each other: {key} would have to be there and not be there"
        if listed and not any(all(one.holds(value) for one in ones) for value in set.union(*listed)):
            return f"{words} contradict each other: no value of {key} satisfies all of them"
        bounds = [(_parts(one.values[0]), one.operator) for one in ones if one.operator in _ORDERED]
        least = max((bound for bound, operator in bounds if operator in _LOWER), default=None)
        most = min((bound for bound, operator in bounds if operator not in _LOWER), default=None)
        if least is not None and most is not None:
            excluded = any(bound == least and operator in _STRICT for bound, operator in bounds)
            if least > most or (least == most and excluded):
                return f"{words} contradict each other: no value of {key} satisfies all of them"
    return None


def _parts(number: str) -> tuple[int, ...]:
    """`5.0` and `5` are the same."""
    parts = [int(part) for part in number.split(".")]
    while parts and parts[-1] == 0:
        parts.pop()
    return tuple(parts)
