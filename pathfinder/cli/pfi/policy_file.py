"""Files that policies are written in, and where in them something is wrong."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from pathfinder.cli.pfi import written
from pathfinder.cli.pfi.failures import Failed
from pathfinder.client import ApiError
from pathfinder.domain.fields import field_path, words
from pathfinder.domain.policies import PolicyDocument


@dataclass(frozen=True)
class Written:
    """A policy as somebody wrote it."""

    source: written.Document
    document: PolicyDocument

    @property
    def file(self) -> str:
        """Where it is written."""
        return self.source.file

    def body(self) -> dict[str, Any]:
        """What is sent: no more than was written, so that the server's defaults count."""
        return self.document.model_dump(mode="json", exclude_unset=True)

    def refused(self, refusal: ApiError) -> Exception:
        """The server's refusal, with the lines it is about; itself where it names no field."""
        problems = [
            (str(one.get("field", "")).removeprefix("document."), str(one.get("message", "")))
            for one in refusal.problem.errors
        ]
        return _wrong(self.source, problems) if problems else refusal


def read(file: str) -> Written:
    """The policy in a file, or on standard input; its kind may be told. Raises Failed with what is wrong, and where."""
    found = written.documents(file)
    if len(found) != 1 or not isinstance(found[0].content, dict):
        name = found[0].file if found else file
        what = "several documents" if len(found) > 1 else "no policy"
        raise Failed(f"{name} holds {what}; `pfi policy show spread` shows what a policy looks like")
    source = found[0]
    content = {key: value for key, value in source.content.items() if (key, value) != ("kind", "Policy")}
    try:
        return Written(source, PolicyDocument.model_validate(content))
    except ValidationError as error:
        raise _wrong(source, [(field_path(one["loc"]), words(dict(one))) for one in error.errors()]) from error


def _wrong(source: written.Document, problems: Iterable[written.Problem]) -> Failed:
    return Failed(f"the policy in {source.file} cannot be used", details=tuple(source.details(problems)))
