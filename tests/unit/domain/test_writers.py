"""Nobody writes a container's status past the lifecycle's table."""

import re
from pathlib import Path

import pathfinder

ROOT = Path(pathfinder.__file__).parent.parent
SOURCES = [path for name in ("pathfinder", "workers", "api") for path in (ROOT / name).rglob("*.py")]


def test_one_statement_updates_containers_status() -> None:
    """`store/containers.py` writes it, from containers that were changed with `Container.to`."""
    writers = [
        path.relative_to(ROOT).as_posix()
        for path in SOURCES
        if re.search(r"UPDATE containers\b(?:(?!UPDATE).)*?SET\s[^;]*?\bstatus\s*=", path.read_text(), re.S)
    ]

    assert writers == ["pathfinder/store/containers.py"]


def test_only_the_lifecycle_replaces_a_status() -> None:
    """`replace(container, status=…)` stands in `Container.to` and nowhere else."""
    writers = [
        path.relative_to(ROOT).as_posix()
        for path in SOURCES
        if re.search(r"\breplace\([^)]*\bstatus=", path.read_text(), re.S)
    ]

    assert writers == ["pathfinder/domain/containers.py"]
