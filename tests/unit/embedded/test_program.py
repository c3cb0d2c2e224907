"""supervisord's configuration."""

from pathlib import Path

import pytest

from pathfinder.embedded.program import Program, render, render_daemon

LOGS = Path("/home/logs")


def test_a_program_becomes_a_section_with_its_log_and_its_way_to_stop() -> None:
    """What a program says about itself is what supervisord is told."""
    program = Program("rabbitmq", ("/usr/bin/server", "a b"), priority=120, user="rabbitmq", stop_seconds=30)

    section = render(program, LOGS).splitlines()

    assert section[0] == "[program:rabbitmq]"
    assert "command=/usr/bin/server 'a b'" in section
    assert "user=rabbitmq" in section
    assert "priority=120" in section
    assert "stopsignal=TERM" in section
    assert "stopwaitsecs=30" in section
    assert "stdout_logfile=/home/logs/rabbitmq.log" in section


def test_a_program_of_our_own_account_names_no_user() -> None:
    """supervisord may only change accounts as root, so without need it is not asked to."""
    assert "user=" not in render(Program("api", ("true",), priority=1), LOGS)


def test_percent_signs_reach_the_program() -> None:
    """supervisord expands `%(name)s`; a percent sign in a value is none of that."""
    program = Program("api", ("true",), priority=1, environment={"URL": "amqp://a/%2F"})

    assert 'environment=URL="amqp://a/%%2F"' in render(program, LOGS)


def test_json_in_the_environment_keeps_its_quotes() -> None:
    """Node labels are JSON."""
    program = Program("agent", ("true",), priority=1, environment={"LABELS": '{"zone":"a"}'})

    assert """environment=LABELS='{"zone":"a"}'""" in render(program, LOGS)


@pytest.mark.parametrize("value", ["""both ' and " quotes""", "two\nlines", "a ;comment", "a #comment"])
def test_what_the_configuration_cannot_hold_is_refused_instead_of_cut(value: str) -> None:
    """supervisord would silently drop everything after a comment sign."""
    with pytest.raises(ValueError, match="cannot hold"):
        render(Program("api", ("true",), priority=1, environment={"KEY": value}), LOGS)


def test_the_daemons_socket_is_its_owners_alone() -> None:
    """Who may write to it may run anything as supervisord's account."""
    text = render_daemon(Path("/home/supervisor"), Path("/home/supervisor.sock"), LOGS, "root", 1024)

    assert "file=/home/supervisor.sock\nchmod=0600" in text
    assert "minfds=1024" in text
