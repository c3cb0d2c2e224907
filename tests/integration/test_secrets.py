"""Secrets for containers: kept encrypted, given to containers, shown to nobody."""

from pathlib import Path

import httpx2
import pytest
from cryptography.fernet import Fernet
from sqlalchemy import text
from workbench import Fleet

from api.app import create_app
from api.tail import Tail
from pathfinder.bootstrap import Process
from pathfinder.domain.errors import Conflict, NotFound
from pathfinder.embedded.home import Home
from pathfinder.store import clusters, tokens
from pathfinder.store.clusters import Cluster
from pathfinder.store.secrets import Vault

VALUE = "swordfish and eels"
OLD, NEW = Fernet.generate_key(), Fernet.generate_key()


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A file with a key."""
    path = tmp_path / "keys"
    write(path, OLD)
    return path


def write(path: Path, *keys: bytes) -> None:
    """What an operator does with the file."""
    path.write_bytes(b"\n".join(keys))


@pytest.fixture
async def keeping(api: httpx2.AsyncClient, process: Process, keys: Path) -> httpx2.AsyncClient:
    """A client of an API with that key."""
    process.settings.secret_keys = keys
    api._transport = httpx2.ASGITransport(create_app(process, Tail(process)), raise_app_exceptions=False)
    return api


async def test_a_value_goes_in_and_does_not_come_out(
    keeping: httpx2.AsyncClient, process: Process, cluster: Cluster
) -> None:
    """But for containers of its cluster: no list, no event and no row has it."""
    assert (await keeping.put("/secrets/db-password", json={"value": VALUE})).status_code == 204
    assert (await keeping.put("/secrets/db-password", json={"value": VALUE + "!"})).status_code == 204
    listed = await keeping.get("/secrets")
    events = await keeping.get("/events", params={"kind": "secret."})

    assert [(one["name"], one["actor"]) for one in listed.json()["items"]] == [("db-password", "token:tester")]
    assert [one["subject"]["name"] for one in events.json()["items"]] == ["db-password"] * 2
    async with process.database.begin() as tx:
        (sealed,) = (await tx.execute(text("SELECT value FROM secrets"))).scalars()
        assert await process.vault.reveal(tx, cluster.id, ["db-password"]) == {"db-password": VALUE + "!"}
        assert await process.vault.reveal(tx, cluster.id, []) == {}
        with pytest.raises(NotFound, match="other"):
            await process.vault.reveal(tx, cluster.id, ["db-password", "other"])
    assert VALUE not in listed.text + events.text
    assert VALUE.encode() not in sealed
    assert (await keeping.delete("/secrets/db-password")).status_code == 204
    assert (await keeping.delete("/secrets/db-password")).status_code == 404


@pytest.mark.parametrize("name", ["-x", "a b", "x" * 64])
async def test_a_name_that_is_none_is_refused(keeping: httpx2.AsyncClient, name: str) -> None:
    """422, without the value."""
    refused = await keeping.put(f"/secrets/{name}", json={"value": VALUE})

    assert refused.status_code == 422
    assert VALUE not in refused.text


async def test_without_a_key_nothing_is_kept(api: httpx2.AsyncClient, process: Process) -> None:
    """Rather than in plain text; the answer says what to do."""
    refused = await api.put("/secrets/db-password", json={"value": VALUE})

    assert refused.status_code == 409
    assert "pathfinder secret key" in refused.text
    assert (await api.get("/secrets")).json()["items"] == []


async def test_a_value_is_good_in_its_own_row_only(process: Process, cluster: Cluster, keys: Path) -> None:
    """Whoever can write the database cannot give it to another cluster, or under another name."""
    vault = Vault(keys)
    async with process.database.begin() as tx:
        await vault.put(tx, cluster, "mine", VALUE, "test", "")
        await tx.execute(text("UPDATE secrets SET name = 'other'"))
        with pytest.raises(Conflict, match="opens the secret 'other'"):
            await vault.reveal(tx, cluster.id, ["other"])


async def test_keys_are_changed_without_losing_a_secret(process: Process, cluster: Cluster, keys: Path) -> None:
    """A new one before the old one; everything anew with the first; then the old one opens nothing, and can go."""
    vault = Vault(keys)
    async with process.database.begin() as tx:
        await vault.put(tx, cluster, "a", VALUE, "test", "")
        await vault.put(tx, cluster, "b", VALUE * 2, "test", "")
        write(keys, NEW, OLD)
        assert await vault.rotate(tx) == 2
        write(keys, NEW)
        assert await vault.reveal(tx, cluster.id, ["a", "b"]) == {"a": VALUE, "b": VALUE * 2}
        write(keys, OLD)
        with pytest.raises(Conflict):
            await vault.reveal(tx, cluster.id, ["a"])


@pytest.mark.parametrize("written", [b"", b"no key\n", b"\xff"])
async def test_a_file_that_is_none_of_keys_says_so(
    process: Process, cluster: Cluster, keys: Path, written: bytes
) -> None:
    """And not what stands in it."""
    write(keys, written)
    async with process.database.begin() as tx:
        found = await clusters.find(tx, cluster.name)
        with pytest.raises(Conflict, match="cannot be read") as refused:
            await Vault(keys).put(tx, found, "a", VALUE, "test", "")
    assert "no key" not in str(refused.value)


def test_a_pathfinder_on_this_machine_has_a_key_of_its_own(tmp_path: Path) -> None:
    """Made once, for its owner alone, and removed with the rest."""
    home = Home(tmp_path / "home")
    home.create()
    path = home.secret_keys()
    made = path.read_text()

    assert Fernet(made.strip())
    assert path.stat().st_mode & 0o077 == 0
    assert Home(home.root).secret_keys().read_text() == made
    home.remove()
    assert not home.root.exists()


async def test_only_the_node_that_has_a_container_is_told_its_secrets(
    keeping: httpx2.AsyncClient, process: Process, fleet: Fleet
) -> None:
    """And only those its files name; another node, and people, are refused."""
    await keeping.put("/secrets/db-password", json={"value": VALUE})
    await keeping.put("/secrets/other", json={"value": "other"})
    here, there = await fleet.node("node-01"), await fleet.node("node-02")
    files = [{"path": "/etc/password", "secret": "db-password"}]
    (web,) = await fleet.ask("web", bootstrappers=[{"type": "files", "files": files}])
    async with process.database.begin() as tx:
        await tx.execute(
            text("UPDATE containers SET node_id = :node, status = 'PROVISIONED' WHERE id = :id"),
            {"node": here, "id": web},
        )
        bearers = {
            node: {"Authorization": f"Bearer {await tokens.create(tx, 'node', 'node', fleet.cluster_id, node)}"}
            for node in (here, there)
        }

    told = await keeping.get(f"/nodes/secrets/{web}", headers=bearers[here])
    assert (told.status_code, told.json()) == (200, {"values": {"db-password": VALUE}})
    assert (await keeping.get(f"/nodes/secrets/{web}", headers=bearers[there])).status_code == 404
    assert (await keeping.get(f"/nodes/secrets/{web}")).status_code == 403
