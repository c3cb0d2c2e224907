"""`pathfinder status` where nothing of `pathfinder up` runs."""

from pathlib import Path

import pytest
import typer

from pathfinder.cli.operator import status
from pathfinder.embedded.machine import UNIT, has_units

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("units", "told", "untold"),
    [
        (False, "pathfinder up", "systemctl"),
        (True, "systemctl status 'pathfinder@*'", "Start it with"),
    ],
)
def test_a_second_pathfinder_is_not_suggested_where_systemd_runs_one(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    units: bool,
    told: str,
    untold: str,
) -> None:
    """It says instead whom to ask."""
    monkeypatch.setenv("PATHFINDER_HOME", str(tmp_path))
    monkeypatch.setattr(status, "has_units", lambda: units)

    with pytest.raises(typer.Exit):
        status.status()

    said = capsys.readouterr().out
    assert told in said
    assert untold not in said


def test_units_are_found_where_they_are_installed(tmp_path: Path) -> None:
    """By the name that the package gives them."""
    assert (ROOT / "packaging" / "systemd" / UNIT).exists()
    assert not has_units(tmp_path)
    (tmp_path / "etc/systemd/system").mkdir(parents=True)

    (tmp_path / "etc/systemd/system" / UNIT).touch()

    assert has_units(tmp_path)
