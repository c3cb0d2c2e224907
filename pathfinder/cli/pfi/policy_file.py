"""Files that policies are written in: YAML or JSON, and where in them something is wrong."""

import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from pathfinder.cli.pfi.failures import Failed
from pathfinder.client import ApiError
from pathfinder.domain.fields import field_path, words
from pathfinder.domain.policies import PolicyDocument

#: What is written for standard input.
STDIN = "-"


@dataclass(frozen=True)
class Written:
    """A policy as somebody wrote it, and the file's tree, by which lines are found."""

    file: str
    document: PolicyDocument
    tree: yaml.Node | None

    def body(self) -> dict[str, Any]:
        """What is sent: no more than was written, so that the server's defaults count."""
        return self.document.model_dump(mode="json", exclude_unset=True)

    def refused(self, refusal: ApiError) -> Exception:
        """The server's refusal, with the lines it is about; itself where it names no field."""
        problems = [
            (str(one.get("field", "")).removeprefix("document."), str(one.get("message", "")))
            for one in refusal.problem.errors
        ]
        return _wrong(self.file, self.tree, problems) if problems else refusal


def read(file: str) -> Written:
    """The policy in a file, or on standard input. Raises Failed with the lines and fields that are wrong."""
    name = "standard input" if file == STDIN else file
    try:
        text = sys.stdin.read() if file == STDIN else Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise Failed(f"cannot read {name}: {(error.strerror or str(error)).lower()}") from error
    except UnicodeDecodeError as error:
        raise Failed(f"cannot read {name}: it is not text in UTF-8") from error
    content, tree = _parsed(name, text)
    if not isinstance(content, dict):
        raise Failed(f"{name} holds no policy; `pfi policy show spread` shows what one looks like")
    if twice := list(_twice(tree)):
        raise _wrong(name, tree, twice)
    try:
        return Written(name, PolicyDocument.model_validate(content), tree)
    except ValidationError as error:
        raise _wrong(name, tree, [(field_path(one["loc"]), words(one)) for one in error.errors()]) from error


def _parsed(name: str, text: str) -> tuple[Any, yaml.Node | None]:
    try:
        tree = yaml.compose(text, yaml.SafeLoader)
    except yaml.YAMLError:
        tree = None
    try:
        if text.lstrip().startswith("{"):
            # YAML reads most of JSON, but numbers like 1e3 otherwise; and it may begin with a brace, too.
            try:
                return json.loads(text), tree
            except json.JSONDecodeError as error:
                if tree is None:
                    raise Failed(f"{name}:{error.lineno}: it is not JSON: {error.msg}") from error
        return yaml.safe_load(text), tree
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{name}:{mark.line + 1}" if mark else name
        raise Failed(f"{where}: it is not YAML: {error.problem or error.context}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise Failed(f"{name} is not YAML: {error}") from error


def _wrong(name: str, tree: yaml.Node | None, problems: Iterable[tuple[str, str]]) -> Failed:
    details = []
    for field, message in problems:
        line = _line(tree, re.findall(r"[^.\[\]]+", field))
        details.append(f"{f'line {line}: ' if line else ''}{field}: {message}" if field else message)
    return Failed(f"the policy in {name} cannot be used", details=tuple(details))


def _line(tree: yaml.Node | None, parts: Sequence[str]) -> int | None:
    """The line of a field, or of what it would be in; lines count from 1."""
    line = None
    for part in parts:
        if isinstance(tree, yaml.MappingNode):
            found = next(((key, value) for key, value in tree.value if key.value == part), None)
            if found is None:
                return line
            line, tree = found[0].start_mark.line + 1, found[1]
        elif isinstance(tree, yaml.SequenceNode) and part.isdecimal() and int(part) < len(tree.value):
            tree = tree.value[int(part)]
            line = tree.start_mark.line + 1
        else:
            return line
    return line


def _twice(tree: yaml.Node | None) -> Iterator[tuple[str, str]]:
    """Fields that are written twice: of these the last would count, and nobody would be told."""
    if not isinstance(tree, yaml.MappingNode):
        return
    within = [(f"{key.value}.", value) for key, value in tree.value if isinstance(value, yaml.MappingNode)]
    for before, node in [("", tree), *within]:
        for name, times in Counter(str(key.value) for key, _ in node.value).items():
            if times > 1:
                yield f"{before}{name}", "is written twice"
