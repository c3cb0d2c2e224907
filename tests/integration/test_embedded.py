"""supervisord, PostgreSQL and RabbitMQ of one's own: up, used, down, and nothing left behind."""

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from pathfinder.embedded import orphans
from pathfinder.embedded.account import remove_data_elsewhere
from pathfinder.embedded.errors import NotReady
from pathfinder.embedded.home import Home
from pathfinder.embedded.program import Program
from pathfinder.embedded.progress import Silent
from pathfinder.embedded.services import Services
from pathfinder.embedded.supervisor import Supervisor, wait_until

SLEEPER = Program("sleeper", ("sleep", "1000"), priority=1)


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    """A supervisord of a home that only its owner may enter, as a checkout under /root."""
    with tempfile.TemporaryDirectory(prefix="pf-") as directory:
        made = Supervisor(Home(Path(directory) / "home"))
        made.home.create()
        made.ensure()
        yield made
        made.shutdown()
        orphans.end(made, {})
        remove_data_elsewhere(made.home)


def pid_of(supervisor: Supervisor, name: str) -> int:
    """The process once it is the program: until then it is a copy of supervisord, which swallows signals."""
    wait_until(name, lambda: b"sleep" in Path(f"/proc/{supervisor.pid(name)}/cmdline").read_bytes(), 10)
    return supervisor.pid(name)


def test_defining_a_program_again_leaves_it_running(supervisor: Supervisor) -> None:
    """So `up` may be called at any time."""
    supervisor.define([SLEEPER])
    supervisor.start("sleeper")
    before = pid_of(supervisor, "sleeper")

    supervisor.ensure()
    supervisor.define([SLEEPER])
    supervisor.start("sleeper")

    assert pid_of(supervisor, "sleeper") == before


def test_a_program_whose_settings_changed_is_replaced(supervisor: Supervisor) -> None:
    """New settings take effect with the next `up`."""
    supervisor.define([SLEEPER])
    supervisor.start("sleeper")
    before = pid_of(supervisor, "sleeper")

    supervisor.define([replace(SLEEPER, environment={"NEW": "1"})])
    supervisor.start("sleeper")

    assert pid_of(supervisor, "sleeper") != before
    assert b"NEW=1" in Path(f"/proc/{pid_of(supervisor, 'sleeper')}/environ").read_bytes()


def test_a_program_that_was_killed_comes_back(supervisor: Supervisor) -> None:
    """That is what it is supervised for."""
    supervisor.define([SLEEPER])
    supervisor.start("sleeper")
    wait_until("a settled program", lambda: supervisor.status()[0].state == "RUNNING", 10)
    before = pid_of(supervisor, "sleeper")

    os.kill(before, signal.SIGKILL)

    wait_until("another process", lambda: supervisor.pid("sleeper") not in (0, before), 10)
    pid_of(supervisor, "sleeper")


def test_a_program_that_cannot_start_shows_the_end_of_its_log(supervisor: Supervisor) -> None:
    """Nobody should have to look for the log to see why."""
    supervisor.define([Program("broken", ("sh", "-c", "echo the disk is on fire; exit 3"), priority=1)])
    supervisor.start("broken")

    with pytest.raises(NotReady, match="the disk is on fire"):
        supervisor.wait("broken", lambda: False, 30)


def test_what_a_killed_supervisord_left_is_found_and_ended(supervisor: Supervisor) -> None:
    """Even grandchildren, and nobody else's processes."""
    supervisor.define([Program("family", ("sh", "-c", "sleep 1000 & sleep 1000"), priority=1)])
    supervisor.start("family")
    wait_until("the family", lambda: len(orphans.find(supervisor.url)) == 3, 10)
    with subprocess.Popen(["sleep", "1000"]) as stranger:
        os.kill(int((supervisor.directory / "supervisord.pid").read_text()), signal.SIGKILL)
        wait_until("the end of supervisord", lambda: not supervisor.answers(), 10)

        assert orphans.end(supervisor, {"family": orphans.Ending(signal.SIGTERM, 5)}) == {"family"}
        assert orphans.find(supervisor.url) == []
        assert stranger.poll() is None
        stranger.kill()


async def test_postgres_and_rabbitmq_come_up_twice_and_leave_nothing(supervisor: Supervisor) -> None:
    """The second time finds the data of the first, and after `shutdown` no process of theirs is left, epmd included."""
    services = Services(supervisor, {})
    url = services.database(Silent())
    services.broker(Silent())
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    await connection.execute("CREATE TABLE kept (id int)")
    await connection.close()

    supervisor.shutdown()
    assert orphans.find(supervisor.url) == []

    supervisor.ensure()
    again = services.database(Silent())
    connection = await asyncpg.connect(again.replace("+asyncpg", ""))
    assert await connection.fetchval("SELECT count(*) FROM kept") == 0
    assert await connection.fetchval("SHOW fsync") == "on"
    await connection.close()


def test_urls_from_the_environment_win(supervisor: Supervisor) -> None:
    """Then nothing is started."""
    services = Services(supervisor, {"PATHFINDER_DATABASE_URL": "d", "PATHFINDER_BROKER_URL": "b"})

    assert (services.database(Silent()), services.broker(Silent())) == ("d", "b")
    assert supervisor.status() == []
