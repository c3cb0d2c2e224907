"""`$pf-meta:` functions: texts of a deployment's template that stand for what each replica is, or what others are.

A text that begins with `$pf-meta:` is replaced whole by what its function gives, of whatever JSON type:
`$pf-meta:deployment_ip_addresses?deployment_name=db` by a list of addresses. Where only text can be, as in
`labels`, `config` and an `environment`, numbers are written out and lists joined with commas.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import Any
from urllib.parse import parse_qsl

from pathfinder.domain.errors import FieldProblem, Invalid
from pathfinder.domain.fields import field_path

PREFIX = "$pf-meta:"

#: Maps that have texts as values.
_TEXTS = frozenset({"labels", "config", "environment", "node_labels"})
#: The only part of a template that a running container can be given anew whatever it says.
_IN_PLACE = "bootstrappers"

Path = tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """What functions read: how many replicas the deployment shall have, and the addresses of the replicas of others
    (or its own), by the deployments' names and in the order of the replicas' numbers.
    """

    replicas: int
    addresses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Call:
    """A function as it stands in a template. `path` is where."""

    path: Path
    name: str
    arguments: Mapping[str, str]

    def give(self, number: int, facts: Facts) -> Any:
        """What stands in its place for the replica of that number."""
        return FUNCTIONS[self.name].give(self.arguments, number, facts)


@dataclass(frozen=True, slots=True)
class Function:
    """One of the functions there are: the arguments it must have, those it may have, and what it gives."""

    required: frozenset[str]
    optional: frozenset[str]
    give: Callable[[Mapping[str, str], int, Facts], Any]


def _hosts(arguments: Mapping[str, str], number: int, facts: Facts) -> list[str]:
    own = arguments.get("self_host")
    return [
        own if own is not None and one == number else f"{one}.{arguments['host']}"
        for one in range(1, facts.replicas + 1)
    ]


FUNCTIONS: Mapping[str, Function] = {
    "passthrough": Function(frozenset({"value"}), frozenset(), lambda arguments, number, facts: arguments["value"]),
    "container_id": Function(frozenset(), frozenset(), lambda arguments, number, facts: number),
    "deployment_ip_addresses": Function(
        frozenset({"deployment_name"}),
        frozenset(),
        lambda arguments, number, facts: list(facts.addresses.get(arguments["deployment_name"], ())),
    ),
    "deployment_host_sequences": Function(frozenset({"host"}), frozenset({"self_host"}), _hosts),
}


def render(template: Mapping[str, Any], number: int, facts: Facts) -> dict[str, Any]:
    """The template as the replica of that `number` has it. Raises Invalid for a function that is not right."""
    rendered: dict[str, Any] = _rendered(template, number, facts, ())
    return rendered


def calls(template: Mapping[str, Any]) -> list[Call]:
    """Every function in a template. Raises Invalid, with each that is not right."""
    found: list[Call] = []
    wrong: list[FieldProblem] = []
    for path, text in _texts(template, ()):
        if text.startswith(PREFIX):
            try:
                found.append(_call(path, text))
            except ValueError as error:
                wrong.append(FieldProblem(field_path(path), str(error)))
    if wrong:
        raise Invalid("Some $pf-meta: functions are not right.", wrong)
    return found


def reads(template: Mapping[str, Any]) -> dict[str, list[Call]]:
    """The deployments whose addresses a template reads, and where. Raises Invalid."""
    found: dict[str, list[Call]] = {}
    for call in calls(template):
        if call.name == "deployment_ip_addresses":
            found.setdefault(call.arguments["deployment_name"], []).append(call)
    return found


def counts(template: Mapping[str, Any]) -> bool:
    """Whether a template counts the replicas from 1 on, so that no number may be missing among them."""
    return any(text.startswith(f"{PREFIX}deployment_host_sequences") for _, text in _texts(template, ()))


def check_own(name: str, found: Mapping[str, list[Call]]) -> None:
    """Raise Invalid where the deployment `name` reads its own addresses outside of its bootstrappers: whatever else
    changes takes a new container, which has another address, so that there would be no end.
    """
    wrong = [
        FieldProblem(field_path(call.path), "a deployment may read its own addresses in its bootstrappers only")
        for call in found.get(name, ())
        if call.path[0] != _IN_PLACE
    ]
    if wrong:
        raise Invalid(f"The template of {name!r} depends on itself.", wrong)


def cycle(start: str, edges: Mapping[str, frozenset[str]]) -> list[str]:
    """The way from `start` back to it along `edges`, from deployments to those they read; empty if there is none. One
    that reads itself is none.
    """
    ways, seen = [[start]], {start}
    while ways:
        way = ways.pop()
        for following in sorted(edges.get(way[-1], frozenset()) - {way[-1]}):
            if following == start:
                return [*way, start]
            if following not in seen:
                seen.add(following)
                ways.append([*way, following])
    return []


def in_order(reads: Mapping[str, Collection[str]]) -> list[str]:
    """The names, what is read before who reads it. There is no circle, but for one that reads itself."""
    known = {name: (set(found) & reads.keys()) - {name} for name, found in reads.items()}
    return list(TopologicalSorter(known).static_order())


def _rendered(value: Any, number: int, facts: Facts, path: Path) -> Any:
    if isinstance(value, Mapping):
        return {key: _rendered(one, number, facts, (*path, key)) for key, one in value.items()}
    if isinstance(value, list):
        return [_rendered(one, number, facts, (*path, index)) for index, one in enumerate(value)]
    if not isinstance(value, str) or not value.startswith(PREFIX):
        return value
    try:
        given = _call(path, value).give(number, facts)
    except ValueError as error:
        raise Invalid("A $pf-meta: function is not right.", [FieldProblem(field_path(path), str(error))]) from error
    if not _wants_text(path):
        return given
    return ",".join(given) if isinstance(given, list) else str(given)


def _wants_text(path: Path) -> bool:
    match path:
        case (str(part), _):
            return part in _TEXTS
        case ("devices", _, _) | ("bootstrappers", _, "environment", _):
            return True
    return False


def _texts(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from _texts(one, (*path, key))
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from _texts(one, (*path, index))
    elif isinstance(value, str):
        yield path, value


def _call(path: Path, text: str) -> Call:
    name, _, query = text.removeprefix(PREFIX).partition("?")
    function = FUNCTIONS.get(name)
    if function is None:
        raise ValueError(f"there is no $pf-meta: function {name[:80]!r}; there are {', '.join(FUNCTIONS)}")
    given = parse_qsl(query, keep_blank_values=True, max_num_fields=8)
    arguments = dict(given)
    if len(arguments) < len(given):
        raise ValueError(f"{name} is given an argument twice")
    missing = sorted(function.required - arguments.keys())
    if missing:
        raise ValueError(f"{name} needs {missing[0]}: {PREFIX}{name}?{missing[0]}=…")
    unknown = sorted(arguments.keys() - function.required - function.optional)
    if unknown:
        takes = ", ".join(sorted(function.required | function.optional)) or "none"
        raise ValueError(f"{name} has no argument {unknown[0][:80]!r}; it takes: {takes}")
    return Call(path, name, arguments)
