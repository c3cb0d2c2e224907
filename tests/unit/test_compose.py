"""The compose files, as far as they can be checked without an engine."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from pathfinder.cli.operator import app
from pathfinder.cli.operator.run import ROLES
from pathfinder.settings import Settings

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "compose"
DOCUMENT: dict[str, Any] = yaml.safe_load((COMPOSE / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = DOCUMENT["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
VARIABLES = {f"PATHFINDER_{name.upper()}" for name in Settings.model_fields}
PINNED = re.compile(r"[a-z0-9/.-]+:\d+\.\d+(\.\d+)?(-[a-z0-9.-]+)?")


def dockerfile(instruction: str) -> list[list[str]]:
    """The words behind each `instruction` of the Dockerfile."""
    text = (COMPOSE / "Dockerfile").read_text().replace("\\\n", " ")
    return [line.split()[1:] for line in text.splitlines() if line.startswith(f"{instruction} ")]


@pytest.mark.parametrize("name", SERVICES)
def test_every_image_is_built_here_or_pinned(name: str) -> None:
    """What runs tomorrow is what runs today: an image from elsewhere names its exact version."""
    service = SERVICES[name]

    assert "build" in service or PINNED.fullmatch(service["image"])


def test_base_images_are_pinned() -> None:
    """The Dockerfile begins from exact versions, too."""
    assert all(PINNED.fullmatch(words[0]) for words in dockerfile("FROM"))


@pytest.mark.parametrize("name", OURS)
def test_every_command_is_one_the_image_has(name: str) -> None:
    """`run` is given real roles; anything else is a real command of `pathfinder`."""
    command, *arguments = OURS[name]["command"]
    commands = {each.name or each.callback.__name__ for each in app.registered_commands if each.callback}

    assert command in commands
    assert command != "run" or (arguments and set(arguments) <= ROLES.keys())


def test_every_role_runs_somewhere_and_alone() -> None:
    """The services are the roles, each in a container of its own, and the one-shot migration."""
    roles = [role for service in OURS.values() for role in service["command"] if role not in ("run", "migrate")]

    assert sorted(roles) == sorted(ROLES)


@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_a_setting(name: str) -> None:
    """A misspelt variable would silently be ignored."""
    assert SERVICES[name]["environment"].keys() <= VARIABLES


def test_the_agent_does_not_learn_where_the_database_is() -> None:
    """Agents never talk to PostgreSQL."""
    assert "PATHFINDER_DATABASE_URL" not in SERVICES["agent"]["environment"]
    assert all("postgres" not in str(value) for value in SERVICES["agent"]["environment"].values())


def test_the_agent_reaches_the_socket_of_the_hosts_lxd() -> None:
    """The directory with the socket is mounted where the agent looks for it."""
    mounts = [volume for volume in SERVICES["agent"]["volumes"] if isinstance(volume, dict)]
    socket = Path(SERVICES["agent"]["environment"]["PATHFINDER_LXD_SOCKET"])

    assert [Path(mount["target"]) for mount in mounts] == [socket.parent]


@pytest.mark.parametrize("name", OURS.keys() - {"agent", "warden"})
def test_the_control_plane_does_not_run_as_root(name: str) -> None:
    """The image's last user is an ordinary one, and only what drives LXD asks for another."""
    assert dockerfile("USER")[-1] == ["pathfinder"]
    assert "user" not in SERVICES[name]


@pytest.mark.parametrize("name", SERVICES)
def test_services_wait_for_what_they_need(name: str) -> None:
    """Whatever is waited for exists, and can be healthy where that is the condition."""
    for needed, how in SERVICES[name].get("depends_on", {}).items():
        assert how["condition"] in ("service_healthy", "service_completed_successfully")
        assert how["condition"] != "service_healthy" or "healthcheck" in SERVICES[needed]


def test_every_variable_to_fill_in_has_its_line_in_the_example() -> None:
    """Copying .env.example and filling it in is all there is to configure."""
    wanted = set(re.findall(r"\$\{([A-Z_]+)", (COMPOSE / "compose.yaml").read_text()))
    offered = set(re.findall(r"^([A-Z_]+)=", (COMPOSE / ".env.example").read_text(), flags=re.MULTILINE))

    assert wanted == offered


def test_the_example_holds_no_password() -> None:
    """A password in a repository is one that everybody knows."""
    lines = (COMPOSE / ".env.example").read_text().splitlines()

    assert all(line.endswith("=") for line in lines if "PASSWORD=" in line or "TOKEN=" in line)


def test_what_the_dockerfile_copies_is_there_and_sent() -> None:
    """Each source exists in the repository, and the ignore file lets it through."""
    sent = [line[1:] for line in (COMPOSE / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] == "!"]
    copied = [name for words in dockerfile("COPY") if "--from=build" not in words for name in words[:-1]]

    assert all((ROOT / name).exists() for name in copied)
    assert sorted(copied) == sorted(sent)


def test_dependencies_are_installed_with_their_hashes() -> None:
    """The image holds what requirements.lock says, byte by byte."""
    installs = [" ".join(words) for words in dockerfile("RUN") if "install" in words and "pip" in " ".join(words)]

    assert any("--require-hashes --requirement requirements.lock" in line for line in installs)
    assert all("--require-hashes" in line or "--no-deps" in line for line in installs)
