"""What `up` decides before anything of ours runs."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from pathfinder.embedded import stack
from pathfinder.embedded.errors import EmbeddedError, LxdImpossible, NotReady
from pathfinder.embedded.home import Home
from pathfinder.embedded.lxd_cleanup import CLUSTERS_KEY, USED_KEY
from pathfinder.embedded.progress import Silent
from pathfinder.embedded.services import Services
from pathfinder.embedded.stack import CLUSTER_KEY, Stack

SOCKET = Path("/lxd/unix.socket")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home where nothing was started yet."""
    made = Home(tmp_path)
    made.create()
    return made


def broken(failure: EmbeddedError) -> Callable[..., Path]:
    """An LXD that fails so."""

    def fail(*_: object) -> Path:
        raise failure

    return fail


def test_where_lxd_cannot_run_the_node_is_simulated(monkeypatch: pytest.MonkeyPatch, home: Home) -> None:
    """Unless that was forbidden."""
    monkeypatch.setattr(stack, "ensure_lxd", broken(LxdImpossible("LXD needs root")))

    assert Stack(home, {}).runtime(Silent()) is None
    with pytest.raises(LxdImpossible, match=r"^LXD needs root$"):
        Stack(home, {"PATHFINDER_RUNTIME": "lxd"}).runtime(Silent())


def test_an_lxd_that_only_does_not_work_now_is_an_error(monkeypatch: pytest.MonkeyPatch, home: Home) -> None:
    """It may work the next time, and its containers are still there then."""
    monkeypatch.setattr(stack, "ensure_lxd", broken(NotReady("LXD did not answer within 50 s")))

    with pytest.raises(NotReady, match="did not answer"):
        Stack(home, {}).runtime(Silent())


def test_a_node_with_containers_in_lxd_never_becomes_a_simulated_one(
    monkeypatch: pytest.MonkeyPatch, home: Home
) -> None:
    """It would be given containers anew that still are in LXD. The reason is told, and the way out."""
    monkeypatch.setattr(stack, "ensure_lxd", lambda *_: SOCKET)
    assert Stack(home, {}).runtime(Silent()) == SOCKET
    assert home.recall(USED_KEY)
    monkeypatch.setattr(stack, "ensure_lxd", broken(LxdImpossible("LXD needs root")))

    with pytest.raises(LxdImpossible, match=r"LXD needs root.*PATHFINDER_RUNTIME=simulated"):
        Stack(home, {}).runtime(Silent())


def test_a_node_does_not_change_its_cluster(home: Home) -> None:
    """Its credential and its containers belong to the one it joined. A shell that knows no cluster means that one."""
    home.remember(CLUSTER_KEY, "blue")

    assert Stack(home, {}).cluster() == "blue"
    with pytest.raises(EmbeddedError, match=r"belongs to the cluster blue, not to green.*PATHFINDER_CLUSTER"):
        Stack(home, {"PATHFINDER_CLUSTER": "green"}).cluster()


def test_a_fresh_node_joins_the_cluster_of_the_settings(home: Home) -> None:
    """And without any, the usual one."""
    assert Stack(home, {"PATHFINDER_CLUSTER": "green"}).cluster() == "green"
    assert Stack(home, {}).cluster() == "default"


def test_clusters_are_known_though_the_api_is_down(monkeypatch: pytest.MonkeyPatch, home: Home) -> None:
    """`clean` removes the containers of these, and of those of a database that was replaced since."""
    made = Stack(home, {"PATHFINDER_API_LISTEN": "127.0.0.1:9"})
    home.remember(CLUSTERS_KEY, ["replaced"])
    monkeypatch.setattr(made.supervisor, "is_running", lambda name: name == "postgres")
    monkeypatch.setattr(Services, "primary", lambda _: SimpleNamespace(ask=lambda _: "first\nmade-later"))

    made.remember_clusters()

    assert home.recall(CLUSTERS_KEY) == ["first", "made-later", "replaced"]


@pytest.mark.parametrize(
    ("environment", "made"),
    [
        ({}, 1),
        ({"PATHFINDER_API_LISTEN": "127.0.0.1:1,[::1]:1"}, 1),
        ({"PATHFINDER_API_LISTEN": "127.0.0.1:1,0.0.0.0:1"}, 0),
        ({"PATHFINDER_MODE": "production"}, 0),
        ({"PATHFINDER_DATABASE_URL": "postgresql+asyncpg://elsewhere/pathfinder"}, 0),
    ],
)
def test_the_user_that_everybody_knows_is_made_once_and_where_nobody_else_gets_to(
    monkeypatch: pytest.MonkeyPatch, home: Home, environment: dict[str, str], made: int
) -> None:
    """Never in production, on an address others reach, or in somebody else's database; and not again once deleted."""
    calls: list[object] = []
    monkeypatch.setattr(stack.first_rows, "create_development_user", calls.append)
    begun = Stack(home, environment)

    begun._development_user(environment)
    begun._development_user(environment)

    assert len(calls) == made
