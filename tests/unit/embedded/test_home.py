"""The directory of one embedded Pathfinder."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pathfinder.embedded.home import SOCKET_PATH_LIMIT, Home
from pathfinder.embedded.ports import free_port, holder, is_free


@contextmanager
def listening() -> Iterator[int]:
    """Somebody who has a port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_what_is_remembered_is_there_for_the_next_process(tmp_path: Path) -> None:
    """`up` runs again and again, each time as a new process."""
    home = Home(tmp_path / "home")
    home.create()
    home.remember("answer", 42)

    assert Home(tmp_path / "home").recall("answer") == 42


def test_secrets_are_made_once_and_readable_by_their_owner_alone(tmp_path: Path) -> None:
    """A second `up` must know the first one's passwords, and nobody else."""
    home = Home(tmp_path)

    assert home.secret("postgres") == home.secret("postgres")
    assert (tmp_path / "state.json").stat().st_mode & 0o777 == 0o600


def test_what_is_set_to_none_is_forgotten(tmp_path: Path) -> None:
    """So that it is made anew."""
    home = Home(tmp_path)
    home.remember("token", "old")
    home.remember("token", None)

    assert home.once("token", lambda: "new") == "new"


def test_a_socket_whose_path_is_too_long_for_the_kernel_lives_elsewhere(tmp_path: Path) -> None:
    """Checkouts lie deep; the kernel takes 108 bytes."""
    deep = Home(tmp_path / ("d" * 100))

    assert len(str(deep.socket("supervisor.sock"))) <= SOCKET_PATH_LIMIT
    assert deep.socket("supervisor.sock") != Home(tmp_path / ("e" * 100)).socket("supervisor.sock")


def test_a_port_somebody_has_is_stepped_over_and_its_holder_named() -> None:
    """So that a message can say whom to stop."""
    with listening() as port:
        assert not is_free(port)
        assert free_port(port) > port
        assert "pid" in holder(port)


def test_a_port_that_was_given_out_is_nobody_elses_though_nobody_listens_yet() -> None:
    """Services take seconds to start; another process that looks for a port meanwhile finds another one."""
    elsewhere = "from pathfinder.embedded.ports import free_port; print(free_port({}))"

    mine = free_port(23950, "mine")

    assert free_port(mine, "mine") == mine
    assert free_port(mine) > mine
    found = subprocess.run([sys.executable, "-c", elsewhere.format(mine)], capture_output=True, text=True, check=True)
    assert int(found.stdout) > mine
    assert is_free(mine)


def test_a_running_service_keeps_its_port(tmp_path: Path) -> None:
    """Its own listening must not look like somebody else's."""
    home = Home(tmp_path)
    with listening() as port:
        home.remember("port.postgres", port)

        assert home.port("postgres", 1, in_use=True) == port
        assert home.port("postgres", 1, in_use=False) != port
