"""Files that things are declared in: which kinds there are, and what is wrong with any before anything is sent."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from pydantic import BaseModel, ValidationError

from pathfinder.cli.pfi import parsing, written
from pathfinder.cli.pfi.failures import Failed, Usage
from pathfinder.client import ApiError
from pathfinder.domain import manifests
from pathfinder.domain.errors import Invalid
from pathfinder.domain.fields import field_path, words

FilesOption = Annotated[
    list[str] | None,
    typer.Option("--file", "-f", metavar="FILE|DIR", help="YAML or JSON; '-': standard input; may be repeated."),
]
PruneOption = Annotated[
    bool, typer.Option("--prune", help="Delete deployments with these --labels that are not in the files any more.")
]
PruneLabels = Annotated[
    list[str] | None, typer.Option("--label", "-l", metavar="KEY=VALUE", help="What --prune is about; may be repeated.")
]


@dataclass(frozen=True)
class Manifest:
    """One document of a kind that can be declared."""

    kind: str
    name: str
    model: BaseModel
    source: written.Document

    @property
    def body(self) -> dict[str, Any]:
        """What is sent: no more than was written, so that the server's defaults count."""
        return self.model.model_dump(mode="json", exclude_unset=True)


def read(paths: Sequence[str] | None) -> list[Manifest]:
    """What these files declare, in the order it is written. Raises Failed with everything that is wrong in them."""
    if not paths:
        raise Usage("say which files to read: --file FILE, a directory, or '-' for standard input")
    found: list[Manifest] = []
    wrong: list[str] = []
    for file in written.files(paths):
        for document in written.documents(file):
            try:
                found.append(_manifest(document))
            except _Wrong as error:
                wrong += document.details(error.problems)
    wrong += _doubles(found)
    if wrong:
        raise Failed("nothing is sent, because some documents cannot be used", details=tuple(wrong))
    if not found:
        raise Failed(f"{', '.join(paths)}: there is no document in it")
    return found


def of_kind(found: Iterable[Manifest], kind: str) -> list[Manifest]:
    """Those of a kind, in the order they are written."""
    return [one for one in found if one.kind == kind]


def pruned(prune: bool, label: list[str] | None) -> Mapping[str, str] | None:
    """The labels of what is pruned; None where nothing is."""
    if prune != bool(label):
        raise Usage("--prune and --label go together: what has these labels and is not in the files is deleted")
    return parsing.pairs(label or []) if prune else None


def refused(refusal: ApiError, sent: Sequence[Manifest]) -> Exception:
    """The server's refusal of what was sent, with the lines it is about; itself where it names no field of it."""
    details = []
    for one in refusal.problem.errors:
        field, message = str(one.get("field", "")), str(one.get("message", ""))
        index, at, rest = field.removeprefix("deployments[").partition("].")
        if field.startswith("deployments[") and at and index.isdecimal() and int(index) < len(sent):
            manifest, field = sent[int(index)], rest
        elif len(sent) == 1:
            manifest = sent[0]
        else:
            return refusal
        details += manifest.source.details([(field, message)])
    if not details:
        return refusal
    return Failed((refusal.problem.detail or refusal.problem.title).rstrip("."), details=tuple(details))


class _Wrong(Exception):
    """What is wrong with a document, field by field."""

    def __init__(self, *problems: written.Problem) -> None:
        self.problems = problems
        super().__init__(*problems)


def _manifest(document: written.Document) -> Manifest:
    content = document.content
    kinds = ", ".join(manifests.KINDS)
    if not isinstance(content, dict):
        raise _Wrong(("", f"a document has fields, and a kind: one of {kinds}"))
    kind = content.get("kind")
    if kind is None:
        raise _Wrong(("", f"it has no kind; write kind: and one of {kinds}"))
    if kind in manifests.INSTEAD:
        raise _Wrong(("kind", f"a {kind} cannot be declared: {manifests.INSTEAD[kind]}"))
    if not isinstance(kind, str) or kind not in manifests.KINDS:
        raise _Wrong(("kind", f"there is no kind {str(kind)[:80]!r}; there are {kinds}"))
    try:
        model = manifests.KINDS[kind].model_validate({key: one for key, one in content.items() if key != "kind"})
        manifests.check(kind, model)
    except ValidationError as error:
        raise _Wrong(*((field_path(one["loc"]), words(dict(one))) for one in error.errors()[:50])) from error
    except Invalid as error:
        raise _Wrong(*((one.field, one.message) for one in error.problems)) from error
    return Manifest(kind, content["name"], model, document)


def _doubles(found: Sequence[Manifest]) -> Iterator[str]:
    first: dict[tuple[str, str], Manifest] = {}
    for one in found:
        other = first.setdefault((one.kind, one.name), one)
        if other is not one:
            where = f"{other.source.file}:{other.source.line()}"
            yield from one.source.details([("name", f"{one.kind} {one.name!r} is declared in {where} already")])
