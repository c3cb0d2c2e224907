"""`make audit`: what is said of locked packages, and that nothing is said for want of knowledge."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).parents[2] / "packaging" / "audit.py"
FOUND = {"id": "CVE-1", "fix_versions": ["2"]}
#: pip-audit, which knows of jinja2 and says of all else what OTHERS has.
PIP_AUDIT = """#!{python}
import json, sys
if OTHERS is None:
    sys.exit("no network")
known = "jinja2" in open(sys.argv[2]).read() and "known.txt" in sys.argv[2]
found = [{{"name": "jinja2", "version": "2.4.1", "vulns": [{found}]}}] if known and KNOWS else OTHERS
print(json.dumps({{"dependencies": found}}))
"""
NPM = """#!{python}
print({answer!r})
"""


def audited(directory: Path, others: Any, npm: Any, *, knows: bool = True) -> tuple[int, str]:
    """Exit status and words, with tools that answer so."""
    found = repr(FOUND)
    program = PIP_AUDIT.format(python=sys.executable, found=found)
    program = program.replace("OTHERS", repr(others)).replace("KNOWS", repr(knows))
    for name, text in (("pip-audit", program), ("npm", NPM.format(python=sys.executable, answer=json.dumps(npm)))):
        (directory / name).write_text(text)
        (directory / name).chmod(0o755)
    command = (sys.executable, str(PROGRAM), str(directory / "pip-audit"), str(directory / "npm"))
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


GOOD = [{"name": "one", "version": "1", "vulns": []}]
BAD = [{"name": "one", "version": "1", "vulns": [FOUND]}]
SKIPPED = [{"name": "one", "skip_reason": "not found"}]
NONE: dict[str, Any] = {"vulnerabilities": {}}


@pytest.mark.parametrize(
    ("others", "npm", "status", "words"),
    [
        (GOOD, NONE, 0, "requirements.lock: nothing is known"),
        (BAD, NONE, 1, "one 1: CVE-1, fixed in 2"),
        (GOOD, {"vulnerabilities": {"preact": {"severity": "high", "range": "<1"}}}, 1, "preact: high, <1"),
        (BAD + SKIPPED, {"message": "405"}, 1, "one 1: CVE-1"),
        (SKIPPED, NONE, 3, "Python: NOT AUDITED, nothing is told of 1 packages"),
        (None, NONE, 3, "NOT AUDITED, pip-audit failed: no network"),
        (GOOD, {"message": "405"}, 3, "The console: NOT AUDITED, npm says: 405"),
    ],
)
def test_what_is_known_is_told_and_what_cannot_be_told_is_no_success(
    tmp_path: Path, others: Any, npm: Any, status: int, words: str
) -> None:
    """0 says that the data was had and has nothing; 3 says that some of it could not be had."""
    code, said = audited(tmp_path, others, npm)

    assert code == status, said
    assert words in said


def test_data_that_does_not_know_what_everybody_knows_is_none(tmp_path: Path) -> None:
    """A mirror may have every package, and leave out what is told of it."""
    code, said = audited(tmp_path, GOOD, NONE, knows=False)

    assert code == 3
    assert "does not even tell of jinja2==2.4.1" in said
