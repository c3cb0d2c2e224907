"""Many rows in one statement: PostgreSQL's `unnest` over one array parameter for each column."""

from collections.abc import Mapping, Sequence
from typing import Any

Columns = Mapping[str, str]


def rows(columns: Columns, alias: str) -> str:
    """`unnest(...) AS alias(a, b)`: with `{"id": "uuid"}`, the parameter `:id` holds a `uuid[]`."""
    arrays = ", ".join(f"CAST(:{name} AS {kind}[])" for name, kind in columns.items())
    return f"unnest({arrays}) AS {alias}({', '.join(columns)})"


def parameters(columns: Columns, items: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """The parameters for `rows(columns)`: one list for each column."""
    return {name: [item[name] for item in items] for name in columns}
