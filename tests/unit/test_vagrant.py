"""The Vagrantfile and what it runs, as far as they can be checked without Vagrant."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from pathfinder.cli.operator import app
from pathfinder.cli.operator.run import ROLES
from pathfinder.settings import Settings

ROOT = Path(__file__).parents[2]
VAGRANTFILE = (ROOT / "Vagrantfile").read_text()
PROVISION = ROOT / "packaging" / "vagrant" / "provision"
ADDRESS = "192.168.33.33"
#: Ruby's words that need an `end`, where they begin a line or, like `do`, end one.
OPENS = re.compile(r"^\s*(?:if|unless|while|case|begin|def|class|module)\b|\bdo(?: \|[^|]*\|)?\s*$", re.MULTILINE)


def code(ruby: str) -> str:
    """Ruby without its comments."""
    return re.sub(r"^\s*#.*$", "", ruby, flags=re.MULTILINE)


def test_the_vagrantfile_is_ruby() -> None:
    """Ruby says so where it is; elsewhere each block that is opened is closed, and so is each quote and bracket."""
    if ruby := shutil.which("ruby"):
        subprocess.run([ruby, "-c", ROOT / "Vagrantfile"], check=True, capture_output=True)
    text = code(VAGRANTFILE)

    assert len(OPENS.findall(text)) == len(re.findall(r"^\s*end\s*$", text, re.MULTILINE)) > 0
    assert all(text.count(opening) == text.count(closing) for opening, closing in ("()", "[]", "{}"))
    assert all(line.count('"') % 2 == 0 for line in text.splitlines())


def test_the_machine_is_debian_12_at_its_address() -> None:
    """The box and the private address are those that the documents promise."""
    assert 'config.vm.box = "debian/bookworm64"' in VAGRANTFILE
    assert f'ADDRESS = "{ADDRESS}"' in VAGRANTFILE
    assert 'config.vm.network "private_network", ip: ADDRESS' in VAGRANTFILE


def test_the_vagrantfile_runs_the_provisioner_as_it_wants_to_be_run() -> None:
    """It exists, may be executed, and is given the checkout and the address it asks for."""
    assert 'path: "packaging/vagrant/provision", args: [CHECKOUT, ADDRESS]' in VAGRANTFILE
    assert "checkout=$1 address=$2" in PROVISION.read_text()
    assert PROVISION.stat().st_mode & 0o111


def test_the_provisioner_is_a_shell_script() -> None:
    """The shell can read it to its end."""
    subprocess.run(["sh", "-n", PROVISION], check=True)


def test_make_targets_it_calls_exist() -> None:
    """The machine is provisioned by the same Makefile as every other one."""
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    called = re.findall(r"^\s*make ([a-z-]+)", PROVISION.read_text(), flags=re.MULTILINE)

    assert called
    assert set(called) <= set(targets)


def test_settings_it_writes_are_settings() -> None:
    """A misspelt variable would silently be ignored."""
    written = set(re.findall(r"^PATHFINDER_([A-Z_]+)=", PROVISION.read_text(), flags=re.MULTILINE))

    assert written <= {name.upper() for name in Settings.model_fields}
    assert {"DATABASE_URL", "BROKER_URL", "API_LISTEN", "JOIN_TOKEN", "NODE_ADDRESS"} <= written


def test_the_api_listens_on_loopback_and_on_the_private_address() -> None:
    """`pfi` works inside the machine, HTTP from the host."""
    assert "PATHFINDER_API_LISTEN=127.0.0.1:8080,$address:8080" in PROVISION.read_text()


def test_every_role_is_a_unit_that_is_enabled() -> None:
    """After a reboot each role runs again."""
    (roles,) = re.findall(r'^roles="([^"]+)"$', PROVISION.read_text(), flags=re.MULTILINE)

    assert set(roles.split()) == ROLES.keys()
    assert (ROOT / "packaging/systemd/pathfinder@.service").exists()
    assert (ROOT / "packaging/systemd/pathfinder.target").exists()


@pytest.mark.parametrize("command", ["migrate", "token create", "broker config", "broker definitions"])
def test_operator_commands_it_uses_exist(command: str) -> None:
    """What it asks of `pathfinder` is what `pathfinder` has."""
    *group, name = command.split()
    groups = {each.name: each.typer_instance for each in app.registered_groups}
    within = groups[group[0]] if group else app
    assert within is not None
    commands = {each.name or (each.callback and each.callback.__name__) for each in within.registered_commands}

    assert f"pathfinder_with_settings {command}" in PROVISION.read_text()
    assert name in commands


def test_the_user_of_the_machine_gets_a_profile() -> None:
    """`vagrant ssh` and `pfi get nodes` work: server and token are set in that user's own configuration."""
    text = PROVISION.read_text()

    assert "user=vagrant" in text
    assert "as_user pfi config set server http://127.0.0.1:8080" in text
    assert "as_user pfi config set token -" in text
