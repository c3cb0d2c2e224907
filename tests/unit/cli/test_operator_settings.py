"""Settings that cannot be: told by the variable's name, before anything is started."""

import sys

import pytest

from pathfinder.cli.operator import main


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("PATHFINDER_RUNTIME", "bogus", "Input should be 'auto', 'lxd' or 'simulated'"),
        ("PATHFINDER_LEASE_SECONDS", "soon", "valid number"),
        ("PATHFINDER_NODE_LABELS", "zone=a", "not JSON"),
        ("PATHFINDER_API_LISTEN", "8080", "'8080' is not HOST:PORT"),
        ("PATHFINDER_API_LISTEN", "127.0.0.1:99999", "is not HOST:PORT"),
    ],
)
@pytest.mark.parametrize("command", ["run api", "migrate", "token create", "up", "demo", "lab up"])
def test_a_setting_that_cannot_be_is_named_and_is_wrong_usage(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    variable: str,
    value: str,
    told: str,
) -> None:
    """Never a traceback."""
    monkeypatch.setenv(variable, value)
    monkeypatch.setattr(sys, "argv", ["pathfinder", *command.split()])

    with pytest.raises(SystemExit) as ended:
        main()

    said = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert ended.value.code == 2
    assert f"{variable}: " in said
    assert told in said
    assert "Traceback" not in said
