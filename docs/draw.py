"""Draws the documents that say what the code says: `python docs/draw.py` writes them, a test compares them.

The part of a page between its two marks is drawn; the rest is written by hand.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from api.deps import PREFIX
from api.permissions import PERMISSIONS
from pathfinder.domain.lifecycle import TRANSITIONS, Status
from pathfinder.settings import Settings

DOCS = Path(__file__).parent
_DRAWN = re.compile(r"(<!-- drawn by docs/draw.py -->\n).*?(<!-- end -->\n)", re.DOTALL)


def lifecycle() -> str:
    """The transitions as a Mermaid state diagram."""
    arrows = [f"    {before} --> {after}" for before in Status for after in Status if after in TRANSITIONS[before]]
    ends = [f"    {status} --> [*]" for status in Status if not TRANSITIONS[status]]
    return "\n".join(["```mermaid", "stateDiagram-v2", f"    [*] --> {Status.PENDING}", *arrows, *ends, "```"])


def settings() -> str:
    """Every setting as a table: its variable, default and description."""
    prefix = Settings.model_config["env_prefix"]
    rows = [
        f"| `{prefix}{name.upper()}` | {_default(field)} | {_described(field)} |"
        for name, field in Settings.model_fields.items()
    ]
    return "\n".join(["| variable | default | meaning |", "| --- | --- | --- |", *rows])


def _default(field: FieldInfo) -> str:
    value: Any = field.get_default(call_default_factory=True, validated_data={})
    return "" if value in (None, PydanticUndefined, {}) else f"`{value}`"


def _described(field: FieldInfo) -> str:
    return (field.description or "").replace("|", "\\|")


def permissions() -> str:
    """The table of permissions: which role each route wants, and for which clusters."""
    rows = [
        f"| `{method} {PREFIX}{path}` | {need.role or 'any'} | {need.reach} |"
        for path, methods in PERMISSIONS.items()
        for method, need in methods.items()
    ]
    return "\n".join(["| route | least role | clusters |", "| --- | --- | --- |", *rows])


PAGES: Mapping[str, Callable[[], str]] = {
    "concepts/lifecycle.md": lifecycle,
    "reference/settings.md": settings,
    "reference/permissions.md": permissions,
}


def drawn(page: str) -> str:
    """The page as it should be. Raises ValueError if its marks are not there."""
    text, found = _DRAWN.subn(lambda marks: f"{marks[1]}{PAGES[page]()}\n{marks[2]}", (DOCS / page).read_text())
    if found != 1:
        raise ValueError(f"{page} needs the two marks once, has them {found} times")
    return text


def main() -> None:
    """Write every page anew."""
    for page in PAGES:
        (DOCS / page).write_text(drawn(page))


if __name__ == "__main__":
    main()
