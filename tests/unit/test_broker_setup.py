"""What a RabbitMQ is told: who the roles are and what they may; and who somebody is who logs in to it."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from pathfinder.bootstrap import Process
from pathfinder.broker import setup, topology
from pathfinder.broker.login import Login, logged_in, node_of, node_user, virtual_host
from pathfinder.cli.operator import main
from pathfinder.domain.errors import Invalid
from pathfinder.domain.ids import uuid7
from pathfinder.domain.messages import Exchange
from pathfinder.settings import Settings

ANONYMOUS = "amqp://mq-1:5672/pathfinder,amqp://mq-2:5672/pathfinder"


def may(role: str, permission: str, name: str) -> bool:
    """Whether the user of a role may do that."""
    return re.search(topology.permissions(role)[permission], name) is not None


@pytest.mark.parametrize("queue", [*topology.SHARED, topology.node_queue("a"), topology.hints_queue("a")])
def test_a_queue_is_for_one_role_alone(queue: topology.Queue) -> None:
    """It may declare, bind and consume it, and is the only one. The queue of dead letters is called like the exchange,
    which each may declare and send to; RabbitMQ's patterns know names only.
    """
    families = {"pathfinder.node.a": "relay", "pathfinder.api.a": "api"}
    owner = families.get(queue.name) or next(role for role, part in topology.PARTS.items() if queue in part.queues)
    for permission in ("read",) if queue == topology.DEAD else ("configure", "write", "read"):
        assert [role for role in topology.PARTS if may(role, permission, queue.name)] == [owner]


def test_a_role_sends_where_its_part_says() -> None:
    """Nobody but a relay may send commands or events; everybody may set aside, and nobody into a queue by its name."""
    for exchange in Exchange:
        senders = {role for role in topology.PARTS if may(role, "write", exchange)}
        assert senders == {r for r, p in topology.PARTS.items() if exchange in p.sends or exchange == Exchange.DEAD}
    assert not any(may(role, "write", "amq.default") for role in topology.PARTS)
    assert not any(may(role, "configure", "pathfinder.eventsX") for role in topology.PARTS)


def test_roles_are_looked_for_before_an_api_is_asked() -> None:
    """They get in while there is none; what an API says is kept for a while."""
    lines = setup.configuration("https://api.example.org", "s/cret")

    assert lines[:3] == [
        "auth_backends.1 = internal",
        "auth_backends.2 = cache",
        "auth_cache.cached_backend = http",
    ]
    assert "auth_http.user_path = https://rabbitmq:s%2Fcret@api.example.org/api/v3/broker/user" in lines


def test_an_api_over_tls_has_to_show_a_certificate_for_its_name() -> None:
    """Of the authority that RabbitMQ is told. On loopback, where nobody else is, the name does not matter."""
    told = setup.trusting(Path("/ca.crt"), "https://api.example.org:8080")

    assert '{verify, verify_peer}, {cacertfile, "/ca.crt"}]' in told
    assert "{server_name_indication, disable}" in setup.trusting(Path("/ca.crt"), "https://127.0.0.1:8080")


def test_a_user_that_a_url_names_is_the_one() -> None:
    """Only where it names none is somebody logged in as what they are; whatever is in a password."""
    login = Login("node.web.1", "p@ss/word")

    assert logged_in("amqp://all:one@mq:5672/v", login) == "amqp://all:one@mq:5672/v"
    assert logged_in("amqps://mq:5671/v?cafile=x", login) == "amqps://node.web.1:p%40ss%2Fword@mq:5671/v?cafile=x"


@pytest.mark.parametrize(
    ("urls", "vhost"),
    [(ANONYMOUS, "pathfinder"), ("amqp://mq", "/"), ("amqp://mq/", "/"), ("amqp://a:b@mq/a%2Fb", "a/b")],
)
def test_the_virtual_host_is_that_of_the_url(urls: str, vhost: str) -> None:
    """As the client reads it."""
    assert virtual_host(urls) == vhost


def test_the_user_of_a_node_tells_its_name_and_id() -> None:
    """Anything else is no node's user."""
    id_ = uuid7()

    assert node_of(node_user("web-1", id_)) == ("web-1", id_)
    for other in ("web-1", f"web-1.{id_}", f"node.{id_}", "node.web-1", "node.web-1.1", "pathfinder-relay", ""):
        assert node_of(other) is None


def test_a_role_without_a_password_does_not_start() -> None:
    """It is told what is missing, rather than to be refused again and again as a guest."""
    settings = Settings(broker_url=ANONYMOUS, broker_passwords={"relay": SecretStr("x")})

    Process(settings).broker("relay")
    Process(settings).broker("agent")
    Process(Settings(broker_url="amqp://a:b@mq/")).broker("api")
    with pytest.raises(Invalid, match="PATHFINDER_BROKER_PASSWORDS has no password of the role api"):
        Process(settings).broker("api")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[str], tuple[str, str]]:
    """Runs `pathfinder broker …`: what it said, and what it said of errors."""

    def run(command: str) -> tuple[str, str]:
        monkeypatch.setattr(sys, "argv", ["pathfinder", "broker", command])
        with pytest.raises(SystemExit):
            main()
        said = capsys.readouterr()
        return said.out, said.err

    return run


def test_settings_that_are_made_are_all_that_is_needed(
    run: Callable[[str], tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From them come the users that RabbitMQ imports, and whom it asks; without them it is told how to get some."""
    assert "`pathfinder broker settings` makes some" in run("definitions")[1]
    for line in run("settings")[0].splitlines():
        name, _, value = line.partition("=")
        monkeypatch.setenv(name, value.strip("'"))
    monkeypatch.setenv("PATHFINDER_BROKER_URL", ANONYMOUS)

    made = json.loads(run("definitions")[0])
    assert made["vhosts"] == [{"name": "pathfinder"}]
    assert [each["name"] for each in made["users"]] == [f"pathfinder-{role}" for role in topology.PARTS]
    assert "auth_http.topic_path = http://rabbitmq:" in run("config")[0]


def test_a_password_of_no_role_is_a_mistake(
    run: Callable[[str], tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told, and no users are printed."""
    monkeypatch.setenv("PATHFINDER_BROKER_PASSWORDS", '{"relai":"x"}')
    monkeypatch.setenv("PATHFINDER_BROKER_SECRET", "y")

    out, err = run("definitions")
    assert (out, "relai" in err) == ("", True)
