"""Whether anything that is locked has a vulnerability that somebody told of: audit.py PIP_AUDIT NPM

Exit status 0: nothing of it has; 1: something has, and it is said what; 3: nothing has, but of some locks it cannot be
told, because the data cannot be had here. So 0 is never said for want of knowledge.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
CONSOLE = ROOT / "api" / "console"
#: A release that has some: where the data says otherwise, it is none. A mirror may have packages and leave this out.
KNOWN = "jinja2==2.4.1"
CLEAN, VULNERABLE, UNTOLD = 0, 1, 3


class Untold(Exception):
    """The data cannot be had; the message says why."""


def python(pip_audit: str, requirements: Path) -> list[str]:
    """A line for each vulnerability of what is pinned in a file. Raises Untold."""
    said = _json([pip_audit, "--requirement", str(requirements), "--disable-pip", "--no-deps", "--format", "json"])
    lines, skipped = [], []
    for one in said.get("dependencies", []):
        if "skip_reason" in one:
            skipped.append(one["name"])
        for found in one.get("vulns", []):
            fixed = ", ".join(found["fix_versions"]) or "no release"
            lines.append(f"{one['name']} {one['version']}: {found['id']}, fixed in {fixed}")
    if skipped and not lines:
        raise Untold(f"nothing is told of {len(skipped)} packages, of which {skipped[0]} is one")
    return lines


def console(npm: str) -> list[str]:
    """The same of what the console is made of. Raises Untold."""
    said = _json([npm, "audit", "--omit=dev", "--json"], CONSOLE)
    if "vulnerabilities" not in said:
        raise Untold(f"npm says: {said.get('message') or 'nothing'}")
    return [f"{name}: {one['severity']}, {one['range']}" for name, one in said["vulnerabilities"].items()]


def _json(command: Sequence[str], directory: Path = ROOT) -> dict[str, Any]:
    try:
        done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=300, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Untold(f"{command[0]} does not run here: {error}") from error
    try:
        return json.loads(done.stdout)
    except ValueError as error:
        words = done.stderr.strip().splitlines() or ["it said nothing"]
        raise Untold(f"{Path(command[0]).name} failed: {words[-1][:200]}") from error


def _known(pip_audit: str) -> None:
    """Raise Untold unless the data has what everybody knows."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "known.txt"
        file.write_text(f"{KNOWN}\n")
        if not python(pip_audit, file):
            raise Untold(f"the data that is had here does not even tell of {KNOWN}")


def main(pip_audit: str, npm: str) -> int:
    """Audit every lock, and say what came of it."""
    locks = [ROOT / "requirements.lock", *sorted((ROOT / "packaging").glob("*.lock"))]
    status = CLEAN
    try:
        _known(pip_audit)
        found = {lock.relative_to(ROOT): python(pip_audit, lock) for lock in locks}
    except Untold as why:
        print(f"Python: NOT AUDITED, {why}.")  # noqa: T201 - what this is for
        found, status = {}, UNTOLD
    try:
        found[(CONSOLE / "package-lock.json").relative_to(ROOT)] = console(npm)
    except Untold as why:
        print(f"The console: NOT AUDITED, {why}.")  # noqa: T201
        status = UNTOLD
    for lock, lines in found.items():
        print(f"{lock}: " + ("nothing is known" if not lines else "\n  ".join(["", *lines])))  # noqa: T201
    return VULNERABLE if any(found.values()) else status


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
