"""A scheduler, as a process, beside an installed package of which one scorer is good and one hangs."""

import signal
from pathlib import Path

import httpx2
import pytest
from aio_pika.abc import AbstractChannel
from workbench import Fleet, eventually, serving

from pathfinder.bootstrap import Process
from pathfinder.store import tokens

MODULE = """
import numpy as np

def high(fleet, ask):
    return np.array([float(name.endswith("2")) for name in fleet.hostnames])

def hangs(fleet, ask):
    while True:
        pass
"""
POINTS = "[pathfinder.scorers]\nhigh = odd_rules:high\nhangs = odd_rules:hangs\nfree-share = odd_rules:high\n"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `pip install` leaves it."""
    (tmp_path / "odd_rules.py").write_text(MODULE)
    info = tmp_path / "odd_rules-1.0.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: odd-rules\nVersion: 1.0.0\n")
    (info / "entry_points.txt").write_text(POINTS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


@pytest.mark.usefixtures("installed")
async def test_what_hangs_stops_neither_the_scheduler_nor_its_end(
    process: Process, fleet: Fleet, broker_url: str, channel: AbstractChannel, tmp_path: Path
) -> None:
    """The rest of the policy decides, operators are told, and SIGTERM ends the process while the call still hangs."""
    for number in range(3):
        await fleet.node(f"node-{number}", cpu_millicores=64_000)
    document = '{"name": "odd", "scorers": {"high": 10.0, "hangs": 100.0, "free-share": 1.0}}'
    await fleet.rows(
        "INSERT INTO policies (name, version, document, actor) VALUES ('odd', 1, CAST(:it AS jsonb), 'test')"
        " RETURNING name",
        it=document,
    )
    async with process.database.begin() as tx:
        headers = {"Authorization": f"Bearer {await tokens.create(tx, 'tester', 'operator')}"}
    log = tmp_path / "log"
    roles = "api", "relay", "scheduler", "controller"
    with serving(process.settings.database_url, broker_url, log, *roles) as (url, running):
        async with httpx2.AsyncClient(base_url=f"{url}/api/v3", headers=headers, trust_env=False) as client:

            async def placed() -> bool:
                found = await fleet.rows("SELECT count(node_id) = count(*) FROM containers")
                return bool(found[0][0])

            for name in ("a", "b"):
                await fleet.ask(name, cpu=1, policy="odd")
                await eventually(placed)

            async def told() -> bool:
                found = (await client.get("/problems")).json()
                return any(one["kind"] == "policy.plugin_failed" for one in found["items"])

            await eventually(told)
        running.send_signal(signal.SIGTERM)
        assert running.wait(15) == 0

    where = await fleet.rows(
        "SELECT n.hostname, CAST(d.document -> 'skipped' AS text) FROM containers AS c "
        "JOIN nodes AS n ON n.id = c.node_id JOIN decisions AS d ON d.id = c.decision_id"
    )
    assert len(where) == 2
    for node, skipped in where:
        assert "scorer hangs: " in str(skipped)
        # On a machine that is very busy the good one may be late, too.
        assert node == "node-2" or "scorer high: " in str(skipped)
    text = log.read_text()
    assert "Traceback" not in text
    assert "plugin left out" in text
    assert "a built-in rule has that name" in text
