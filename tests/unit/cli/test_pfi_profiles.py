"""Configuration: which value wins, and how the file is kept."""

import io
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fake_api import FakeApi, Pfi, page

from pathfinder.certificates import make_authority
from pathfinder.cli.pfi.profiles import ConfigError, Profiles, Target, resolve

FILE = """
current_profile = "home"

[profiles.home]
server = "http://home:8080"
cluster = "garden"
token = "home-token"

[profiles.lab]
server = "http://lab:8090"
token = "lab-token"
"""


@pytest.fixture
def environ(surroundings: Path) -> dict[str, str]:
    """An environment with a configuration file and nothing else."""
    surroundings.write_text(FILE)
    return {"PFI_CONFIG": str(surroundings)}


def test_without_a_file_the_defaults_hold(tmp_path: Path) -> None:
    """`pfi` works before it is configured."""
    assert resolve({}, {"PFI_CONFIG": str(tmp_path / "none")}) == Target("http://127.0.0.1:8080", "default", "")


def test_the_current_profile_is_used(environ: dict[str, str]) -> None:
    """What the file says, the file decides."""
    assert resolve({}, environ) == Target("http://home:8080", "garden", "home-token")


def test_the_environment_wins_over_the_profile_and_flags_over_both(environ: dict[str, str]) -> None:
    """From the most lasting to the most immediate."""
    environ |= {"PFI_SERVER": "http://env:1", "PFI_CLUSTER": "env", "PFI_TOKEN": " env-token\n"}

    assert resolve({}, environ) == Target("http://env:1", "env", "env-token")
    assert resolve({"server": "http://flag:1"}, environ) == Target("http://flag:1", "env", "env-token")


def test_a_profile_can_be_chosen_for_once(environ: dict[str, str]) -> None:
    """By flag or environment; what it does not set is the default, not the current profile's."""
    lab = Target("http://lab:8090", "default", "lab-token")

    assert resolve({"profile": "lab"}, environ) == lab
    assert resolve({}, environ | {"PFI_PROFILE": "lab"}) == lab


def test_a_profile_that_is_not_there_is_named(environ: dict[str, str]) -> None:
    """With those that are."""
    with pytest.raises(ConfigError, match=r"no profile 'nobody'.*\(there: home, lab\)"):
        resolve({"profile": "nobody"}, environ)


@pytest.mark.parametrize("text", ["current_profile = ", "profiles = 3", "[profiles.home]\nserver = 3", "\xff"])
def test_a_file_that_cannot_be_read_says_which_and_why(surroundings: Path, text: str) -> None:
    """No traceback of a parser."""
    surroundings.write_bytes(text.encode("latin-1"))

    with pytest.raises(ConfigError, match=str(surroundings)):
        Profiles.read({"PFI_CONFIG": str(surroundings)})


def test_the_token_is_in_no_representation() -> None:
    """Tracebacks and logs show it to nobody."""
    assert "secret" not in repr(Target("http://here", "default", "secret"))


def test_setting_values_keeps_the_rest_and_the_file_to_its_owner(pfi: Pfi, environ: dict[str, str]) -> None:
    """It holds tokens."""
    path = Path(environ["PFI_CONFIG"])
    path.chmod(0o644)

    assert pfi("config", "set", "cluster", "shed").code == 0
    assert pfi("--profile", "new", "config", "set", "server", "http://new:1").code == 0

    file = Profiles.read(environ)
    assert file.profiles["home"] == {"server": "http://home:8080", "cluster": "shed", "token": "home-token"}
    assert file.profiles["new"] == {"server": "http://new:1"}
    assert file.current == "home"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [it.name for it in path.parent.iterdir()] == [path.name]


def test_the_view_hides_tokens_unless_asked(pfi: Pfi, environ: dict[str, str]) -> None:
    """A screen may be shared."""
    assert "home-token" not in pfi("config", "view").out
    assert "home-token" in pfi("config", "view", "--show-token").out


def test_another_profile_can_be_made_current(pfi: Pfi, api: FakeApi, environ: dict[str, str]) -> None:
    """And the next command uses it."""
    api.on("GET", "/nodes", page())

    pfi("config", "use-profile", "lab")
    pfi("get", "nodes")

    assert api.requests[0].url.host == "lab"
    assert api.requests[0].headers["Authorization"] == "Bearer lab-token"


def test_a_token_can_be_read_from_standard_input(pfi: Pfi, surroundings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that it is in no shell's history."""
    monkeypatch.setattr("sys.stdin", io.StringIO("hidden\n"))

    pfi("config", "set", "token", "-")

    assert Profiles.read({"PFI_CONFIG": str(surroundings)}).profiles["default"] == {"token": "hidden"}


def test_an_authority_is_kept_by_its_whole_path_and_only_if_it_is_one(
    pfi: Pfi, surroundings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pfi is used from elsewhere later; PFI_CA wins for once."""
    made = make_authority(datetime.now(UTC))
    (tmp_path / "ca.crt").write_bytes(made.certificate)
    (tmp_path / "ca.key").write_bytes(made.key)
    monkeypatch.chdir(tmp_path)
    environ = {"PFI_CONFIG": str(surroundings)}

    for wrong in ("nowhere.crt", "ca.key"):
        refused = pfi("config", "set", "ca", wrong)
        assert refused.code == 2
        assert f"cannot be read from {tmp_path / wrong}" in refused.err
    assert resolve({}, environ).ca == ""
    assert pfi("config", "set", "ca", "ca.crt").code == 0
    assert resolve({}, environ).ca == str(tmp_path / "ca.crt")
    assert resolve({}, environ | {"PFI_CA": "other.crt"}).ca == "other.crt"
