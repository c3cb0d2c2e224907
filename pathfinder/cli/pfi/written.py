"""Files that people write: YAML or JSON, read with care, and where in them something is wrong."""

import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import yaml

from pathfinder.cli.pfi.failures import Failed
from pathfinder.domain.fields import field_path

#: What is written for standard input.
STDIN = "-"

#: More than people write. An alias counts as what it stands for: a few hundred bytes of them could stand for gigabytes.
MOST_BYTES = 1 << 20
MOST_DEPTH = 64
MOST_PARTS = 100_000

SUFFIXES = (".yaml", ".yml", ".json")

#: A field, and what is wrong with it.
Problem = tuple[str, str]


@dataclass(frozen=True)
class Document:
    """A document as somebody wrote it, and its tree, by which lines are found."""

    file: str
    content: Any
    tree: yaml.Node | None

    def line(self, field: str = "") -> int | None:
        """The line of a field, or of what it would be in; of the document itself where none is named."""
        if self.tree is None:
            return None
        return _line(self.tree, re.findall(r"[^.\[\]]+", field)) or self.tree.start_mark.line + 1

    def details(self, problems: Iterable[Problem]) -> list[str]:
        """Each problem with its place: `web.yaml:7: template.memory: …`."""
        return [
            f"{self.file}{f':{line}' if (line := self.line(field)) else ''}: {f'{field}: ' if field else ''}{message}"
            for field, message in problems
        ]


class _TooMuch(yaml.MarkedYAMLError):
    """Well-formed, and more than anybody means."""


class _Loader(yaml.SafeLoader):
    """Composes no more than the limits above, and reads moments as text, which is what they are in JSON."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth, self._parts = 0, 0
        self._sizes: dict[int, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]  # the stubs forgot it
        alias = self.check_event(yaml.AliasEvent)
        before, self._depth = self._parts, self._depth + 1
        if self._depth > MOST_DEPTH:
            raise _TooMuch(problem=f"it is nested more than {MOST_DEPTH} deep", problem_mark=mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        if alias:
            if id(node) not in self._sizes:
                raise _TooMuch(problem="an alias stands within what it stands for", problem_mark=mark)
            self._parts += self._sizes[id(node)]
        else:
            self._parts += 1
            self._sizes[id(node)] = self._parts - before
        if self._parts > MOST_PARTS:
            raise _TooMuch(problem=f"it has more than {MOST_PARTS} parts, with its aliases", problem_mark=mark)
        return node


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def files(paths: Sequence[str]) -> list[str]:
    """These files, and those in the directories among them by name. Raises Failed for a directory without any."""
    found = []
    for path in paths:
        if path != STDIN and Path(path).is_dir():
            within = sorted(str(one) for one in Path(path).iterdir() if one.suffix in SUFFIXES and one.is_file())
            if not within:
                raise Failed(f"{path} holds no file that ends in {', '.join(SUFFIXES)}")
            found += within
        else:
            found.append(path)
    return found


def documents(file: str) -> list[Document]:
    """The documents in a file or on standard input, but for empty ones. Raises Failed with what is wrong and where."""
    name = "standard input" if file == STDIN else file
    found = [Document(name, content, tree) for content, tree in _parsed(name, _text(file, name)) if content is not None]
    wrong = [detail for one in found for detail in one.details([*_twice(one.tree, ()), *_unplain(one.content, ())])]
    if wrong:
        raise Failed(f"{name} cannot be used", details=tuple(wrong))
    return found


def _text(file: str, name: str) -> str:
    try:
        if file == STDIN:
            text = sys.stdin.read(MOST_BYTES + 1)
        else:
            with Path(file).open(encoding="utf-8") as stream:
                text = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise Failed(f"cannot read {name}: {(error.strerror or str(error)).lower()}") from error
    except UnicodeDecodeError as error:
        raise Failed(f"cannot read {name}: it is not text in UTF-8") from error
    if len(text) > MOST_BYTES:
        raise Failed(f"{name} is too large: no more than {MOST_BYTES >> 20} MiB are read; write several files")
    return text


def _parsed(name: str, text: str) -> list[tuple[Any, yaml.Node | None]]:
    try:
        return _from_json(name, text) if text.lstrip().startswith(("{", "[")) else list(_from_yaml(text))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{name}:{mark.line + 1}" if mark else name
        words = error.problem or error.context
        raise Failed(f"{where}: {words if isinstance(error, _TooMuch) else f'it is not YAML: {words}'}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Failed(f"{name} is not YAML: {error}") from error


def _from_yaml(text: str) -> Iterator[tuple[Any, yaml.Node | None]]:
    loader = _Loader(text)
    try:
        while loader.check_node():
            tree = loader.get_node()
            yield loader.construct_document(tree), tree
    finally:
        loader.dispose()


def _from_json(name: str, text: str) -> list[tuple[Any, yaml.Node | None]]:
    """YAML reads most of JSON, but numbers like 1e3 otherwise; and it may begin with a brace, too."""
    try:
        read = list(_from_yaml(text))
    except _TooMuch:
        raise
    except (yaml.YAMLError, ValueError):
        read = []
    try:
        return [(json.loads(text), read[0][1] if len(read) == 1 else None)]
    except json.JSONDecodeError as error:
        if not read:
            raise Failed(f"{name}:{error.lineno}: it is not JSON: {error.msg}") from error
    return read


def _line(tree: yaml.Node | None, parts: Sequence[str]) -> int | None:
    """The line of a field, or of what it would be in; lines count from 1."""
    line = None
    while parts:
        if isinstance(tree, yaml.MappingNode):
            # Keys may hold dots, so that a field's name is in several parts.
            for taken in range(len(parts), 0, -1):
                name = ".".join(parts[:taken])
                found = next(((key, value) for key, value in tree.value if key.value == name), None)
                if found is not None:
                    break
            else:
                return line
            line, tree, parts = found[0].start_mark.line + 1, found[1], parts[taken:]
        elif isinstance(tree, yaml.SequenceNode) and parts[0].isdecimal() and int(parts[0]) < len(tree.value):
            tree, parts = tree.value[int(parts[0])], parts[1:]
            line = tree.start_mark.line + 1
        else:
            return line
    return line


def _twice(tree: yaml.Node | None, path: tuple[int | str, ...]) -> Iterator[Problem]:
    """Fields that are written twice: of these the last would count, and nobody would be told."""
    if isinstance(tree, yaml.MappingNode):
        for name, times in Counter(str(key.value) for key, _ in tree.value).items():
            if times > 1 and name != "<<":
                yield field_path((*path, name)), "is written twice"
        for key, value in tree.value:
            yield from _twice(value, (*path, str(key.value)))
    elif isinstance(tree, yaml.SequenceNode):
        for index, value in enumerate(tree.value):
            yield from _twice(value, (*path, index))


def _unplain(value: Any, path: tuple[int | str, ...]) -> Iterator[Problem]:
    """What YAML knows and JSON does not: it could not be sent."""
    if isinstance(value, dict):
        for key, one in value.items():
            if isinstance(key, str):
                yield from _unplain(one, (*path, key))
            else:
                yield field_path(path), f"the key {key!r} is no text; write it in quotes"
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from _unplain(one, (*path, index))
    elif isinstance(value, float) and not isfinite(value):
        yield field_path(path), "is not a finite number"
    elif not isinstance(value, str | int | float | None):
        yield field_path(path), f"a {type(value).__name__} cannot be written here"
