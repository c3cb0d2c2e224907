"""Query parameters that several lists share."""

from typing import Annotated

from fastapi import Query

from pathfinder.domain.errors import FieldProblem, Invalid

LabelFilter = Annotated[
    list[str], Query(alias="label", description="Only rows with this label: KEY=VALUE; repeat for more.", max_length=64)
]
Prefix = Annotated[str, Query(max_length=63, description="Only hostnames that begin so.")]
PageCursor = Annotated[
    str | None, Query(alias="cursor", max_length=512, description="The next_cursor of the page before.")
]


def labels(written: list[str]) -> dict[str, str]:
    """`["a=1", "b=2"]` as a mapping. Raises Invalid."""
    pairs = {}
    for one in written:
        key, equals, value = one.partition("=")
        if not equals or not key:
            raise Invalid("A label filter is not right.", [FieldProblem("label", "write KEY=VALUE")])
        pairs[key] = value
    return pairs
