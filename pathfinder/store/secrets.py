"""Secrets for containers: written once, encrypted with keys that are in no database, and given to containers alone.

The keys are in a file, one a line: the first encrypts, all of them decrypt. The file is read each time, so that a key
may be added or taken away while Pathfinder runs.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from uuid import UUID

import structlog
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.domain import identity
from pathfinder.domain.errors import Conflict, NotFound
from pathfinder.domain.messages import Kind
from pathfinder.store.clusters import Cluster
from pathfinder.store.journal import Fact, record

log = structlog.get_logger()

_PUT = text("""
    INSERT INTO secrets (cluster_id, name, value, actor) VALUES (:cluster_id, :name, :value, :actor)
    ON CONFLICT (cluster_id, name) DO UPDATE SET value = EXCLUDED.value, actor = EXCLUDED.actor, updated_at = now()
""")
_PAGE = text("""
    SELECT name, actor, created_at, updated_at FROM secrets
    WHERE cluster_id = :cluster_id AND name > :after ORDER BY name LIMIT :limit
""")


class Vault:
    """Encrypts and decrypts with the keys of a file."""

    def __init__(self, keys: Path | None) -> None:
        self._keys = keys

    async def put(
        self, tx: AsyncConnection, cluster: Cluster, name: str, value: str, actor: str, trace_id: str
    ) -> None:
        """Keep a value, in place of a former one. Raises Conflict without a key."""
        sealed = self._box().encrypt(_bound(cluster.id, name) + value.encode())
        await tx.execute(_PUT, {"cluster_id": cluster.id, "name": name, "value": sealed, "actor": actor})
        await record(tx, [_fact(Kind.SECRET_SET, cluster, name, actor, trace_id)])

    async def reveal(self, tx: AsyncConnection, cluster_id: UUID, names: Collection[str]) -> Mapping[str, str]:
        """The values of these secrets of a cluster, by name: for containers, and for nothing that is shown or logged.

        Raises NotFound for one that is not there, Conflict where no key opens it.
        """
        if not names:
            return {}
        rows = await tx.execute(
            text("SELECT name, value FROM secrets WHERE cluster_id = :cluster_id AND name = ANY(:names)"),
            {"cluster_id": cluster_id, "names": list(names)},
        )
        found = {row.name: row.value for row in rows}
        if missing := sorted(set(names) - found.keys()):
            raise NotFound("secret", missing[0], "`pfi secret list` lists those of the cluster.")
        box = self._box()
        return {name: _opened(box, value, _bound(cluster_id, name), name) for name, value in found.items()}

    async def tokens(self, tx: AsyncConnection, wanted: Collection[tuple[UUID, str]]) -> dict[tuple[UUID, str], str]:
        """The values of these secrets, each by its cluster and name, but for those that are not there or not opened."""
        found = {}
        for cluster_id, name in set(wanted):
            try:
                found[cluster_id, name] = (await self.reveal(tx, cluster_id, [name]))[name]
            except (NotFound, Conflict) as error:
                log.warning("a secret cannot be used", name=name, reason=str(error))
        return found

    async def rotate(self, tx: AsyncConnection) -> int:
        """Encrypt every secret with the first key; how many there are. Raises Conflict where no key opens one."""
        box = self._box()
        rows = (await tx.execute(text("SELECT cluster_id, name, value FROM secrets FOR UPDATE"))).all()
        for row in rows:
            opened = _opened(box, row.value, b"", row.name)
            await tx.execute(
                text("UPDATE secrets SET value = :value WHERE cluster_id = :cluster_id AND name = :name"),
                {"value": box.encrypt(opened.encode()), "cluster_id": row.cluster_id, "name": row.name},
            )
        return len(rows)

    def _box(self) -> MultiFernet:
        if self._keys is None:
            raise Conflict(
                "No secrets are kept here: there is no key. Have `pathfinder secret key` make one, put it into a file, "
                "and set PATHFINDER_SECRET_KEYS to its path."
            )
        try:
            lines = self._keys.read_text(encoding="ascii").split()
            return MultiFernet([Fernet(line) for line in lines])
        except (OSError, ValueError):  # not its words: they may hold a key
            words = (
                f"The keys of secrets in {self._keys} cannot be read; the file holds one key or several, one a line."
            )
            raise Conflict(words) from None


_NAMED = text("""
    SELECT cluster_id, ARRAY(
        SELECT jsonb_path_query(spec, '$.files[*].secret') #>> '{}'
        UNION SELECT jsonb_path_query(spec, '$.bootstrappers[*].files[*].secret') #>> '{}'
    ) AS names
    FROM containers WHERE id = :id AND node_id = :node_id AND status <> 'DELETED'
""")


async def named(tx: AsyncConnection, container_id: UUID, node_id: UUID) -> tuple[UUID, list[str]] | None:
    """The cluster of a container and the secrets that its files name; None where it is not on that node."""
    row = (await tx.execute(_NAMED, {"id": container_id, "node_id": node_id})).one_or_none()
    return None if row is None else (row.cluster_id, [name for name in row.names if name])


async def missing(tx: AsyncConnection, cluster_id: UUID, names: Collection[str]) -> set[str]:
    """Those of these names that no secret of the cluster has."""
    rows = await tx.execute(
        text("SELECT name FROM secrets WHERE cluster_id = :cluster_id AND name = ANY(:names)"),
        {"cluster_id": cluster_id, "names": list(names)},
    )
    return set(names) - set(rows.scalars())


async def page(tx: AsyncConnection, cluster: Cluster, after: str, limit: int) -> list[identity.Secret]:
    """The secrets of a cluster by name, those after `after`; without their values."""
    rows = await tx.execute(_PAGE, {"cluster_id": cluster.id, "after": after, "limit": limit})
    return [identity.Secret.model_validate(dict(row)) for row in rows.mappings()]


async def delete(tx: AsyncConnection, cluster: Cluster, name: str, actor: str, trace_id: str) -> None:
    """Forget a secret. What containers were given of it stays with them. Raises NotFound."""
    result = await tx.execute(
        text("DELETE FROM secrets WHERE cluster_id = :cluster_id AND name = :name"),
        {"cluster_id": cluster.id, "name": name},
    )
    if not result.rowcount:
        raise NotFound("secret", name, "`pfi secret list` lists those of the cluster.")
    await record(tx, [_fact(Kind.SECRET_DELETED, cluster, name, actor, trace_id)])


def _bound(cluster_id: UUID, name: str) -> bytes:
    """What is encrypted with a value, so that it is good in its own row only."""
    return f"{cluster_id}/{name}\n".encode()


def _opened(box: MultiFernet, sealed: bytes, bound: bytes, name: str) -> str:
    try:
        opened = box.decrypt(sealed)
    except InvalidToken:
        opened = b""
    if not opened.startswith(bound or b"") or not opened:
        raise Conflict(f"No key of PATHFINDER_SECRET_KEYS opens the secret {name!r}: add the one it was kept with.")
    return opened.removeprefix(bound).decode()


def _fact(kind: Kind, cluster: Cluster, name: str, actor: str, trace_id: str) -> Fact:
    return Fact(kind, cluster.id, "secret", cluster.id, name, actor, trace_id=trace_id)
