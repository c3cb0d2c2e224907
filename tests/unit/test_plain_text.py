"""Where plain text is allowed, and what is done about it elsewhere."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from api import safety
from pathfinder import certificates, plain_text
from pathfinder.cli.operator.run import ROLES
from pathfinder.domain.errors import Invalid
from pathfinder.embedded.lab_network import LabNetwork
from pathfinder.settings import Settings
from workers import runner

DATABASE = "postgresql+asyncpg://pathfinder:secret@"
ANY = "0.0.0.0"  # noqa: S104 - names it, does not bind it
LISTEN, URL, BROKER, POSTGRES = (
    f"PATHFINDER_{name}" for name in ("API_LISTEN", "API_URL", "BROKER_URL", "DATABASE_URL")
)


@pytest.mark.parametrize(
    ("role", "given", "found"),
    [
        ("api", {"api_listen": "127.0.0.1:8080,[::1]:8080,localhost:80"}, []),
        ("api", {"api_listen": "127.0.0.1:8080, 10.0.0.1:8080"}, [(LISTEN, "10.0.0.1")]),
        ("api", {"api_listen": "0.0.0.0:8080,[::]:8080"}, [(LISTEN, ANY), (LISTEN, "::")]),
        ("api", {"api_listen": "0.0.0.0:8080", "tls_proxies": "10.0.0.5"}, []),
        ("api", {"api_listen": "0.0.0.0:8080", "tls_certificate": "crt", "tls_key": "key"}, []),
        ("api", {"api_listen": "10.7.1.2:80,web:80", "plain_text_hosts": "10.7.0.0/16, web"}, []),
        ("relay", {"health_listen": ANY}, []),
        ("relay", {"api_listen": "0.0.0.0:8080", "api_url": "http://elsewhere"}, []),
        (
            "agent",
            {"api_url": "http://127.0.0.1,http://api-1,HTTP://[fd00::1]:80"},
            [(URL, "api-1"), (URL, "fd00::1")],
        ),
        ("agent", {"api_url": "https://api-1, https://api-2"}, []),
        ("agent", {"broker_url": "amqp://a:b@mq-1/x,amqps://a:b@mq-2/x"}, [(BROKER, "mq-1")]),
        ("agent", {"database_url": f"{DATABASE}db-1/x"}, []),
        ("warden", {"api_url": "http://api-1", "broker_url": "amqp://mq-1", "database_url": f"{DATABASE}db-1/x"}, []),
        ("relay", {"database_url": f"{DATABASE}db-1:5432/x"}, [(POSTGRES, "db-1")]),
        ("relay", {"database_url": f"{DATABASE}/x?host=db-1:5432&host=127.0.0.1:5432"}, [(POSTGRES, "db-1")]),
        ("relay", {"database_url": f"{DATABASE}/x?host=/var/run/postgresql"}, []),
        ("relay", {"database_url": f"{DATABASE}db-1/x?ssl=prefer"}, [(POSTGRES, "db-1")]),
        ("relay", {"database_url": f"{DATABASE}db-1/x?ssl=require"}, []),
        ("relay", {"database_url": f"{DATABASE}db-1/x?sslmode=verify-full"}, []),
    ],
)
def test_plain_text_is_for_loopback_alone(role: str, given: dict[str, Any], found: list[tuple[str, str]]) -> None:
    """Each role is judged by what it uses, and told by the setting that is to be changed; no password is shown."""
    there = plain_text.found(Settings(**given), (role,))

    assert [(one.setting, one.host) for one in there] == found
    assert "secret" not in str(there)


@pytest.mark.parametrize("role", ROLES)
def test_nothing_is_in_plain_text_by_default(role: str) -> None:
    """All is on this machine's loopback."""
    assert plain_text.check(Settings(mode="production"), (role,)) == []


def test_a_lab_is_within_one_machine() -> None:
    """Its bridge leads nowhere else, and the lab says so to all of its roles."""
    network = LabNetwork(3)
    host = {"api_listen": f"127.0.0.1:80,{network.host}:80", "api_url": f"http://{network.host}"}
    settings = Settings(**host, broker_url=f"amqp://{network.host}", plain_text_hosts=network.subnet)  # type: ignore[arg-type]

    assert plain_text.found(settings, ("api", "agent")) == []
    assert plain_text.is_within(network.node_address(1).split("/")[0], [network.subnet])


def test_production_refuses_and_development_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is started; the refusal names every setting, and what to do."""
    ran = []

    async def role(process: object) -> None:
        ran.append(process)

    monkeypatch.setattr(runner, "configure_logging", lambda _: None)
    given: dict[str, Any] = {"api_url": "http://api-1", "broker_url": "amqp://mq-1"}
    with pytest.raises(Invalid, match=r"API_URL has api-1.*https://.*BROKER_URL has mq-1.*amqps://.*PLAIN_TEXT_HOSTS"):
        runner.run({"agent": role}, Settings(mode="production", **given))
    assert not ran
    with capture_logs() as lines:
        runner.check_transport(Settings(**given), ["agent"])
    assert [line["what"] for line in lines] == [
        "PATHFINDER_API_URL has api-1 in plain text",
        "PATHFINDER_BROKER_URL has mq-1 in plain text",
    ]


def test_an_authority_that_cannot_be_read_is_told_at_the_start(tmp_path: Path) -> None:
    """Not when something is reached over TLS for the first time."""
    with pytest.raises(Invalid, match="cannot be read"):
        runner.check_transport(Settings(ca_file=tmp_path / "none"), [])


@pytest.mark.parametrize(("days", "words"), [(15, []), (13, ["ends on"]), (-1, ["ended on"])])
def test_the_status_tells_a_certificate_that_was_not_renewed(tmp_path: Path, days: int, words: list[str]) -> None:
    """In time to do something about it; one that is renewed when it should be is never told."""
    now = datetime.now(UTC)
    leaf = certificates.make_leaf(certificates.make_authority(now), "api", ["api"], now)
    (tmp_path / "tls.crt").write_bytes(leaf.certificate)
    settings = Settings(tls_certificate=tmp_path / "tls.crt", tls_key=tmp_path / "tls.key", api_listen="0.0.0.0:80")

    told = safety.findings(settings, ("api",), now + certificates.LEAF_LIFE - timedelta(days=days))

    assert [one.kind for one in told] == ["certificate.ending"] * len(words)
    assert all(word in one.summary for one, word in zip(told, words, strict=True))


def test_the_status_tells_what_is_in_plain_text(tmp_path: Path) -> None:
    """That is no fault of what runs, so nothing is degraded by it."""
    (told,) = safety.findings(Settings(api_listen="0.0.0.0:80"), ("api",), datetime.now(UTC))

    assert told.severity == "info"
    assert "Set PATHFINDER_TLS_CERTIFICATE" in told.advice


@pytest.mark.parametrize("given", [{"tls_certificate": "crt"}, {"tls_key": "key"}])
def test_a_certificate_and_its_key_are_set_together(given: dict[str, Any]) -> None:
    """One without the other is half of something."""
    with pytest.raises(ValueError, match="set together, or neither"):
        Settings(**given)
