"""What a role does beside its queue does not end unnoticed: the role ends with it, and its process is started again."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import workers.relay
import workers.scheduler
from pathfinder.bootstrap import Process
from pathfinder.embedded.ports import free_port
from pathfinder.settings import Settings
from workers.alarm import Alarm
from workers.runner import Role


@pytest.mark.parametrize(
    ("role", "place", "name"),
    [
        (workers.scheduler.run, workers.scheduler, "_sweep"),
        (workers.scheduler.run, Alarm, "run"),
        (workers.relay.run, workers.relay, "_listen"),
    ],
    ids=["sweep", "alarm", "listening"],
)
async def test_a_role_ends_with_what_it_does_beside_its_queue(
    role: Role, place: object, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """By an error that nobody foresaw; while it has no broker, too."""

    async def breaks(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(place, name, breaks)
    nowhere = f"127.0.0.1:{free_port(23920)}"
    settings = Settings(
        broker_url=f"amqp://nobody:nothing@{nowhere}/",
        database_url=f"postgresql+asyncpg://nobody@{nowhere}/none",
        state_dir=tmp_path,
    )

    with pytest.raises(ExceptionGroup) as broken:
        async with asyncio.timeout(30):
            await role(Process(settings))

    assert broken.group_contains(ZeroDivisionError)


def test_what_runs_on_nodes_loads_nothing_of_postgresql_nor_of_placement() -> None:
    """It is started the sooner, and takes the less of a node's memory."""
    loaded = "import sys, workers.runner, workers.agent, workers.agent.warden; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)

    assert not {"sqlalchemy", "asyncpg", "numpy", "pathfinder.store", "pathfinder.scheduling"} & set(
        done.stdout.split()
    )
