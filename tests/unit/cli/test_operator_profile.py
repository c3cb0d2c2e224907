"""The profile that `pathfinder up` writes for `pfi`, and those of others that it leaves alone."""

from pathlib import Path

import pytest

from pathfinder.cli.operator.profile import command, forget_profile, save_profile
from pathfinder.cli.pfi.profiles import Profiles, Target, resolve
from pathfinder.embedded.home import Home

OURS = {"server": "http://127.0.0.1:8080", "cluster": "default", "token": "ours"}
THEIRS = """\
current_profile = "default"

[profiles.default]
server = "https://company:8080"
token = "theirs"
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A Pathfinder that was started here."""
    return Home(tmp_path / "home")


def target(path: Path, **flags: str) -> Target:
    """Where pfi goes."""
    return resolve(flags, {"PFI_CONFIG": str(path)})


def test_on_a_fresh_machine_pfi_finds_it_without_options(surroundings: Path, home: Home) -> None:
    """As the README promises."""
    name = save_profile(home, "local", OURS, use=True)

    assert target(surroundings) == Target(**OURS)
    assert command(name) == "pfi"


def test_a_profile_of_somebody_else_stays_and_stays_current(surroundings: Path, home: Home) -> None:
    """It may be the company's. The command that uses ours is told instead."""
    surroundings.write_text(THEIRS)

    name = save_profile(home, "local", OURS, use=True)

    assert target(surroundings) == Target("https://company:8080", "default", "theirs")
    assert command(name) == "pfi --profile local"
    assert target(surroundings, profile="local") == Target(**OURS)


def test_a_name_that_somebody_else_uses_is_left_to_them(surroundings: Path, home: Home) -> None:
    """Ours gets another one then, and the same the next time."""
    surroundings.write_text(THEIRS.replace("default", "local"))

    names = {save_profile(home, "local", OURS, use=True) for _ in range(2)}

    assert target(surroundings, profile="local").token == "theirs"
    assert names == {f"local-{home.digest}"}


def test_our_profile_follows_a_server_that_moves_and_a_token_that_changes(surroundings: Path, home: Home) -> None:
    """Another address to listen on, another database."""
    save_profile(home, "local", OURS, use=True)

    save_profile(home, "local", OURS | {"server": "http://127.0.0.1:8181", "token": "new"}, use=True)

    assert target(surroundings) == Target("http://127.0.0.1:8181", "default", "new")


def test_the_labs_profile_is_never_the_current_one(surroundings: Path, home: Home) -> None:
    """Labs come and go."""
    assert command(save_profile(home, "lab", OURS, use=False)) == "pfi --profile lab"


def test_what_was_written_is_forgotten_and_nothing_else(surroundings: Path, home: Home) -> None:
    """pfi works as it did before."""
    surroundings.write_text(THEIRS)
    before = Profiles.read()
    save_profile(home, "local", OURS, use=True)

    forget_profile(Home(home.root / "another"))
    assert "local" in Profiles.read().profiles
    forget_profile(home)

    assert Profiles.read() == before


def test_pfi_works_after_its_current_profile_is_forgotten(surroundings: Path, home: Home) -> None:
    """It goes back to its defaults, where it would otherwise miss a profile."""
    save_profile(home, "local", OURS, use=True)

    forget_profile(home)

    assert target(surroundings) == Target("http://127.0.0.1:8080", "default", "")
