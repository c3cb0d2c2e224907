"""Policies that people wrote, beside the built-in ones. No version of one is ever changed: a change is a new version.

One that was deleted has an empty document as its last version: its numbers go on from there, and what was decided by
former versions can still be told.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

import orjson
from pydantic import ValidationError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.domain.errors import Conflict, Invalid, NotFound
from pathfinder.domain.messages import Kind
from pathfinder.domain.policies import USUAL, Change, PolicyDocument
from pathfinder.scheduling.policy import BUILT_IN, POLICIES, Policy, Rules, compiled, unknown
from pathfinder.store import nodes
from pathfinder.store.journal import Fact, record


@dataclass(frozen=True, slots=True)
class Stored:
    """One version of a policy. Nobody (None) wrote the built-in ones."""

    name: str
    version: int
    document: dict[str, Any]
    actor: str | None = None
    created_at: datetime | None = None

    @property
    def built_in(self) -> bool:
        """Whether it is always there."""
        return self.name in POLICIES

    def policy(self, rules: Rules = BUILT_IN) -> Policy:
        """It as a policy. Raises Invalid where that cannot be: a rule it names is not there any more."""
        try:
            document = PolicyDocument.model_validate(self.document)
        except ValidationError as error:
            raise Invalid(f"The policy {self.name!r} cannot be used: {error.errors()[0]['msg']}.") from error
        return compiled(document, self.version, rules)


@dataclass(frozen=True, slots=True)
class Use:
    """Who is placed by a policy: the names of clusters, and how many living containers by their own wish."""

    clusters: tuple[str, ...] = ()
    containers: int = 0


_LATEST = """
    SELECT DISTINCT ON (name) name, version, document, actor, created_at FROM policies
"""
_EMPTY = "'{}'::jsonb"


async def every(tx: AsyncConnection, names: Collection[str] | None = None) -> dict[str, Stored]:
    """The latest version of each policy that is there, or of those of these names that are: built-in ones first."""
    found = {
        name: Stored(name, policy.version, policy.document().model_dump(mode="json"))
        for name, policy in POLICIES.items()
        if names is None or name in names
    }
    if names is None or set(names) - found.keys():
        rows = await tx.execute(
            text(f"""
                SELECT name, version, document, actor, created_at
                FROM ({_LATEST} WHERE CAST(:names AS text[]) IS NULL OR name = ANY(:names)
                      ORDER BY name, version DESC) AS latest
                WHERE document <> {_EMPTY} ORDER BY name
            """),  # noqa: S608 - only constants are put into the text
            {"names": None if names is None else list(names)},
        )
        found |= {row.name: Stored(*row) for row in rows}
    return found


async def find(tx: AsyncConnection, name: str, version: int | None = None) -> Stored:
    """A version of a policy, the latest if none is given. Raises NotFound."""
    if version is None or name in POLICIES:
        found = (await every(tx, [name])).get(name)
        if found is not None and version in (None, found.version):
            return found
    else:
        row = (
            await tx.execute(
                text(f"""
                    SELECT name, version, document, actor, created_at FROM policies
                    WHERE name = :name AND version = :version AND document <> {_EMPTY}
                """),  # noqa: S608 - only a constant is put into the text
                {"name": name, "version": version},
            )
        ).one_or_none()
        if row is not None:
            return Stored(*row)
    what = name if version is None else f"{name}@{version}"
    raise NotFound("policy", what, "`pfi policy list` lists those there are.")


async def named(tx: AsyncConnection, name: str, version: int | None = None, rules: Rules = BUILT_IN) -> Policy:
    """The policy of that name and version, the latest if none is given. Raises NotFound, Invalid."""
    return (await find(tx, name, version)).policy(rules)


async def usable(
    tx: AsyncConnection, names: Collection[str], usual: str, rules: Rules = BUILT_IN
) -> dict[str, tuple[Policy, str | None]]:
    """The latest policy of each name; where it is gone or cannot be used any more, the `usual` one, or at worst the
    built-in one that clusters have who name none, and why. Nothing ever waits for a policy.
    """
    stored = await every(tx, {*names, usual, USUAL})
    found: dict[str, tuple[Policy, str | None]] = {}
    for name in names:
        failed: list[str] = []
        for option in (name, usual, USUAL):
            try:
                if option not in stored:
                    raise unknown(option, ())
                found[name] = stored[option].policy(rules), "; ".join(failed) or None
                break
            except Invalid as error:
                failed.append(f"policy {option} is not used: {error}")
    return found


async def require(tx: AsyncConnection, name: str, field: str = "policy") -> None:
    """Raise Invalid, with the names there are, unless there is such a policy. It stays until the transaction ends."""
    if name in POLICIES:
        return
    await tx.execute(text("SELECT FROM policies WHERE name = :name FOR KEY SHARE"), {"name": name})
    if not await every(tx, [name]):
        raise unknown(name, [one for one in await every(tx) if one not in POLICIES], field)


async def uses(tx: AsyncConnection, within: Collection[str] | None = None) -> dict[str, Use]:
    """Who is placed by which policy, by its name; of the clusters of these names only, if some are given."""
    given = {"within": None if within is None else list(within)}
    clusters = await tx.execute(
        text("""
            SELECT policy, array_agg(name ORDER BY name) AS names FROM clusters
            WHERE CAST(:within AS text[]) IS NULL OR name = ANY(:within) GROUP BY policy
        """),
        given,
    )
    named = {row.policy: tuple(row.names) for row in clusters}
    containers = await tx.execute(
        text("""
            SELECT policy, count(*) AS many FROM containers
            WHERE policy IS NOT NULL AND status <> 'DELETED' AND (
                CAST(:within AS text[]) IS NULL OR cluster_id IN (SELECT id FROM clusters WHERE name = ANY(:within))
            ) GROUP BY policy
        """),
        given,
    )
    counts = {row.policy: int(row.many) for row in containers}
    return {name: Use(named.get(name, ()), counts.get(name, 0)) for name in named.keys() | counts.keys()}


async def history(tx: AsyncConnection, name: str) -> list[Stored]:
    """Every version of a policy, the latest first; an empty document is that it was deleted. Raises NotFound."""
    if name in POLICIES:
        return [await find(tx, name)]
    rows = await tx.execute(
        text("SELECT name, version, document, actor, created_at FROM policies WHERE name = :name ORDER BY -version"),
        {"name": name},
    )
    return [Stored(*row) for row in rows] or [await find(tx, name)]


async def apply(
    tx: AsyncConnection,
    document: PolicyDocument,
    actor: str,
    trace_id: str,
    *,
    rules: Rules = BUILT_IN,
    expected: int | None = None,
) -> Change:
    """Make this document the latest version of its policy; what that did. It may name the filters and scorers of
    `rules`. `expected` is the version it was made from, 0 where there was none.

    Raises Invalid, and Conflict where that is not the latest one; not where nothing would change.
    """
    await _alone(tx, document.name)
    compiled(document, rules=rules)
    wanted = document.model_dump(mode="json")
    latest = (await every(tx, [document.name])).get(document.name)
    if latest is not None and latest.document == wanted:
        return Change.UNCHANGED
    now = 0 if latest is None else latest.version
    if expected is not None and expected != now:
        there = f"is version {now} by now" if now else "is not there"
        raise Conflict(
            f"The policy {document.name!r} {there}, not version {expected}. See what changed "
            f"(`pfi policy versions {document.name}`), and write yours anew."
        )
    version = await _append(tx, document.name, wanted, actor)
    body = {"version": version, "description": document.description}
    await _tell(tx, Kind.POLICY_APPLIED, document.name, actor, trace_id, body)
    await nodes.touch(tx, await _concerned(tx, document.name))
    return Change.CREATED if latest is None else Change.CHANGED


async def delete(tx: AsyncConnection, name: str, actor: str, trace_id: str) -> None:
    """Forget a policy; its versions stay, for what was decided. Raises NotFound, and Conflict while it is used."""
    await _alone(tx, name)
    await tx.execute(text("SELECT FROM policies WHERE name = :name FOR UPDATE"), {"name": name})
    await find(tx, name)
    use = (await uses(tx)).get(name)
    if use is not None:
        who = [f"cluster {one}" for one in use.clusters] + [f"{use.containers} container(s)"] * bool(use.containers)
        raise Conflict(
            f"The policy {name!r} is used by {', '.join(who)}. Give clusters another one first "
            "(`pfi update cluster NAME --policy OTHER`), and delete the containers that ask for it."
        )
    version = await _append(tx, name, {}, actor)
    await _tell(tx, Kind.POLICY_DELETED, name, actor, trace_id, {"version": version})


async def _alone(tx: AsyncConnection, name: str) -> None:
    """Nobody else changes this policy until the transaction ends. Raises Conflict for a built-in one."""
    if name in POLICIES:
        raise Conflict(
            f"The policy {name!r} is built in: it cannot be changed or deleted. Copy it under another name: "
            f"`pfi policy show {name} > mine.yaml`, change its name, `pfi policy apply -f mine.yaml`."
        )
    await tx.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended('pathfinder.policy.' || :name, 0))"), {"name": name}
    )


async def _append(tx: AsyncConnection, name: str, document: dict[str, Any], actor: str) -> int:
    result = await tx.execute(
        text("""
            INSERT INTO policies (name, version, document, actor)
            SELECT :name, COALESCE(max(version), 0) + 1, CAST(:document AS jsonb), :actor
            FROM policies WHERE name = :name RETURNING version
        """),
        {"name": name, "document": orjson.dumps(document).decode(), "actor": actor},
    )
    return int(result.scalar_one())


async def _tell(tx: AsyncConnection, kind: Kind, name: str, actor: str, trace_id: str, body: dict[str, Any]) -> None:
    """In each cluster that uses it, so that what waits there is tried again; in the oldest one if none does."""
    facts = [
        Fact(kind, id_, "policy", uuid5(NAMESPACE_OID, name), name, actor, trace_id=trace_id, body=body)
        for id_ in await _concerned(tx, name)
    ]
    await record(tx, facts)


async def _concerned(tx: AsyncConnection, name: str) -> Sequence[UUID]:
    using = await tx.execute(
        text("""
            SELECT id FROM clusters WHERE policy = :name
            UNION SELECT cluster_id FROM containers WHERE policy = :name AND status <> 'DELETED' ORDER BY id
        """),
        {"name": name},
    )
    return list(using.scalars()) or list(
        (await tx.execute(text("SELECT id FROM clusters ORDER BY id LIMIT 1"))).scalars()
    )
