"""The tables, as SQLModel classes: definitions only. Queries are written in the module of each noun.

SQLModel's table classes check nothing on construction, so no row is ever built from them; `columns` are used by
queries and `metadata` by Alembic.
"""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field, SQLModel

SQLModel.metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
metadata = SQLModel.metadata


def _now() -> Any:
    return Field(sa_type=DateTime(timezone=True), sa_column_kwargs={"server_default": text("now()")})


def _moment() -> Any:
    return Field(default=None, sa_type=DateTime(timezone=True))


def _json(default: str = "{}") -> Any:
    return Field(sa_type=JSONB, sa_column_kwargs={"server_default": text(f"'{default}'::jsonb")})


def _count() -> Any:
    return Field(sa_type=BigInteger, sa_column_kwargs={"server_default": text("0")})


def _words(default: str | None = None) -> Any:
    return Field(sa_type=Text, sa_column_kwargs={"server_default": default} if default is not None else {})


def _cluster() -> Any:
    return Field(foreign_key="clusters.id")


class Cluster(SQLModel, table=True):
    """A named fleet, the unit of tenancy."""

    __tablename__ = "clusters"

    id: UUID = Field(primary_key=True)
    name: str = Field(sa_type=Text, unique=True)
    policy: str = _words()
    default_image: str = _words()
    #: Seconds; None where the processes' settings apply.
    heartbeat_seconds: float | None = Field(default=None, sa_type=Double)
    lease_seconds: float | None = Field(default=None, sa_type=Double)
    #: The most its containers may ask for together: cpu_millicores, memory_bytes, disk_bytes, containers; any may lack.
    quota: dict[str, int] | None = Field(default=None, sa_type=JSONB)
    #: How often cpu, memory and disk of its nodes may be promised; what is missing is as the policy says.
    overcommit: dict[str, float] = _json()
    #: New containers count generations from here at least: the greatest of those whose rows were pruned.
    generation_floor: int = _count()
    created_at: datetime = _now()


class Node(SQLModel, table=True):
    """A machine with its capacity and what its placements claim.

    `generation` grows with every change of the claims and guards them; `supply` grows when room appears or
    other rules hold, so that a scheduler that is about to let a container wait can see that it looked too early.

    `epoch` grows each time it goes DOWN: what it was told before that is void. `down_at` is set while it is DOWN,
    but for one that never was READY; `fenced_at` once somebody else has made sure that nothing runs there. Until
    `reboot_until` its silence is expected.
    `failures` counts provisions in a row, of different containers, that failed by the node's fault; until `aside_until`
    it gets no placement for `aside_reason`, and after it one at a time. `held_back` says why one that is heard is DOWN.

    `labels` are what its agent says, `own_labels` what an operator set: they win. `stateful` is how many of its
    `containers` are stateful; None for `max_containers` or `max_stateful` is no limit. `overcommit` is as of clusters,
    and goes before it. `capabilities` and `images` are what its agent found there.
    """

    __tablename__ = "nodes"

    id: UUID = Field(primary_key=True)
    cluster_id: UUID = _cluster()
    hostname: str = Field(sa_type=Text, unique=True)
    ipaddress: str = _words()
    machine_id: str = _words()
    status: str = _words("DOWN")
    schedulable: bool = Field(sa_column_kwargs={"server_default": text("true")})
    runtime: str = _words()
    runtime_version: str = _words()
    architecture: str = _words()
    pool_driver: str = _words()
    agent_version: str = _words()
    labels: dict[str, str] = _json()
    own_labels: dict[str, str] = _json()
    pool: str = _words("default")
    taints: list[str] = _json("[]")
    overcommit: dict[str, float] = _json()
    max_containers: int | None = Field(default=None, sa_type=BigInteger)
    max_stateful: int | None = Field(default=None, sa_type=BigInteger)
    capabilities: list[str] = _json("[]")
    images: list[str] = _json("[]")
    cpu_millicores: int = _count()
    memory_bytes: int = _count()
    disk_bytes: int = _count()
    cpu_claimed: int = _count()
    memory_claimed: int = _count()
    disk_claimed: int = _count()
    containers: int = _count()
    stateful: int = _count()
    generation: int = _count()
    supply: int = _count()
    epoch: int = _count()
    down_at: datetime | None = _moment()
    fenced_at: datetime | None = _moment()
    reboot_until: datetime | None = _moment()
    failures: int = _count()
    aside_until: datetime | None = _moment()
    aside_reason: str | None = Field(default=None, sa_type=Text)
    held_back: str | None = Field(default=None, sa_type=Text)
    created_at: datetime = _now()

    __table_args__: ClassVar[tuple[Any, ...]] = (
        Index("ix_nodes_aside", "id", postgresql_where=text("aside_until IS NOT NULL")),
        # Every placement changes a row. Half of a page is for that: no index is written then, and no page is added.
        {"postgresql_with": {"fillfactor": 50}},
    )


class Lease(SQLModel, table=True):
    """A node's right to run its containers; apart from `nodes`, because heartbeats write it all the time.

    `seconds` is for how long the agent said that it counts on a heartbeat: what it was told last, which others may have
    changed since. None until it said so.
    """

    __tablename__ = "leases"

    node_id: UUID = Field(sa_column=Column(ForeignKey("nodes.id", ondelete="CASCADE"), primary_key=True))
    until: datetime = Field(sa_type=DateTime(timezone=True))
    seconds: float | None = Field(default=None, sa_type=Double)
    usage: dict[str, Any] = _json()

    __table_args__: ClassVar[tuple[Any, ...]] = ({"postgresql_with": {"fillfactor": 50}},)


class Container(SQLModel, table=True):
    """One wanted container and its present placement.

    `waiting` marks a PENDING container that a scheduler could not place: it is looked at again after an event of one of
    the kinds that `wakes` names.
    `spec` holds what else was asked for: profiles, config and devices, and what its placement must heed. `attempts`
    counts the provisions in a row that failed; a PENDING container is not placed before `retry_at`. `takeover` marks a
    LOST container that an operator wants elsewhere although its disk is on the lost node. `averse` says that its spec
    has a rule to be apart from others. `policy` is None where its cluster's applies; `decision_id` is what put it where
    it is, or left it waiting. `gang` is the same for containers that are placed at once or not at all, until they are.
    A replica has a `deployment_id`, of a deployment that may be gone by now, and the `revision` whose template it is
    of. `bootstrapped` is the SHA-256 of the bootstrappers that were carried out last. `restarts` counts those by its
    node since it last stayed well.
    """

    __tablename__ = "containers"

    id: UUID = Field(primary_key=True)
    cluster_id: UUID = _cluster()
    hostname: str = _words()
    image: str = _words()
    type: str = _words()
    status: str = _words("PENDING")
    health: str = _words("UNKNOWN")
    generation: int = _count()
    node_id: UUID | None = Field(default=None, foreign_key="nodes.id")
    ipaddress: str | None = Field(default=None, sa_type=Text)
    cpu_millicores: int = _count()
    memory_bytes: int = _count()
    disk_bytes: int = _count()
    labels: dict[str, str] = _json()
    spec: dict[str, Any] = _json()
    waiting: bool = Field(sa_column_kwargs={"server_default": text("false")})
    wakes: list[str] = Field(sa_type=ARRAY(Text), sa_column_kwargs={"server_default": text("'{}'")})
    message: str | None = Field(default=None, sa_type=Text)
    #: What `decisions` keep now; only rows that were decided on before they did have one.
    explanation: dict[str, Any] | None = Field(default=None, sa_type=JSONB)
    decided_at: datetime | None = _moment()
    attempts: int = _count()
    retry_at: datetime | None = _moment()
    takeover: bool = Field(sa_column_kwargs={"server_default": text("false")})
    priority: int = _count()
    policy: str | None = Field(default=None, sa_type=Text)
    averse: bool = Field(sa_column_kwargs={"server_default": text("false")})
    decision_id: UUID | None = None
    gang: UUID | None = None
    deployment_id: UUID | None = None
    revision: int = _count()
    bootstrapped: str | None = Field(default=None, sa_type=Text)
    health_message: str | None = Field(default=None, sa_type=Text)
    health_at: datetime | None = _moment()
    restarts: int = _count()
    trace_id: str = _words("")
    created_at: datetime = _now()
    status_at: datetime = _now()

    __table_args__: ClassVar[tuple[Any, ...]] = (
        Index(
            "uq_containers_living", "cluster_id", "hostname", unique=True, postgresql_where=text("status <> 'DELETED'")
        ),
        # Without the living, and the one of labels without those that have none: a change writes every index of a row.
        Index(
            "ix_containers_former", "cluster_id", "hostname", "generation", postgresql_where=text("status = 'DELETED'")
        ),
        Index("ix_containers_node", "node_id", postgresql_where=text("node_id IS NOT NULL")),
        Index(
            "ix_containers_pending",
            "cluster_id",
            text("(- priority)"),
            "id",
            postgresql_where=text("status = 'PENDING'"),
        ),
        Index(
            "ix_containers_fresh",
            "cluster_id",
            text("(- priority)"),
            "id",
            postgresql_where=text("status = 'PENDING' AND NOT waiting"),
        ),
        Index(
            "ix_containers_woken",
            "wakes",
            postgresql_using="gin",
            postgresql_where=text("status = 'PENDING' AND waiting"),
        ),
        Index("ix_containers_gang", "gang", "id", postgresql_where=text("gang IS NOT NULL")),
        Index("ix_containers_deployment", "deployment_id", postgresql_where=text("deployment_id IS NOT NULL")),
        Index("ix_containers_averse", "cluster_id", postgresql_where=text("averse AND node_id IS NOT NULL")),
        Index("ix_containers_policy", "policy", postgresql_where=text("policy IS NOT NULL AND status <> 'DELETED'")),
        Index("ix_containers_deleted", "status_at", postgresql_where=text("status = 'DELETED'")),
        Index("ix_containers_retry", "retry_at", postgresql_where=text("retry_at IS NOT NULL")),
        Index("ix_containers_troubled", "cluster_id", postgresql_where=text("status = 'LOST' OR attempts > 0")),
        Index(
            "ix_containers_restarted",
            "cluster_id",
            postgresql_where=text("restarts > 0 AND status <> 'DELETED'"),
        ),
        Index(
            "ix_containers_labelled",
            "labels",
            postgresql_using="gin",
            postgresql_ops={"labels": "jsonb_path_ops"},
            postgresql_where=text("labels <> '{}'"),
        ),
    )


class Departure(SQLModel, table=True):
    """A former placement that still holds its claim, until its node reports the instance gone.

    While it is `guarded`, and its node READY, its container is not placed anew: the instance may run.
    """

    __tablename__ = "departures"

    container_id: UUID = Field(primary_key=True, foreign_key="containers.id")
    generation: int = Field(primary_key=True, sa_type=BigInteger)
    node_id: UUID = Field(sa_column=Column(ForeignKey("nodes.id", ondelete="CASCADE"), nullable=False, index=True))
    cpu_millicores: int = _count()
    memory_bytes: int = _count()
    disk_bytes: int = _count()
    stateful: bool = Field(sa_column_kwargs={"server_default": text("false")})
    guarded: bool = Field(sa_column_kwargs={"server_default": text("false")})
    created_at: datetime = _now()

    __table_args__: ClassVar[tuple[Any, ...]] = (
        Index("ix_departures_guarded", "container_id", postgresql_where=text("guarded")),
    )


class Attempt(SQLModel, table=True):
    """A provision that failed: which placement, where, why, and whose fault it was."""

    __tablename__ = "attempts"

    container_id: UUID = Field(
        sa_column=Column(ForeignKey("containers.id", ondelete="CASCADE"), primary_key=True, nullable=False)
    )
    generation: int = Field(primary_key=True, sa_type=BigInteger)
    node: str = _words()
    fault: str = _words()
    reason: str = _words()
    at: datetime = _now()

    __table_args__: ClassVar[tuple[Any, ...]] = (Index("ix_attempts_at", "at"),)


class Deployment(SQLModel, table=True):
    """A template and how many replicas of it are wanted.

    `document` is what was applied, but for `replicas`, which autoscaling changes too, and the template, which is that
    of `revision`. `version` grows with every change of what is wanted. `stable` is the last revision that was rolled
    out whole; None before the first. `rollout` is how far the present one is. It is looked at again at `wake_at`, if
    not before. While `leaving` its replicas are deleted, and then it is.
    """

    __tablename__ = "deployments"

    id: UUID = Field(primary_key=True)
    cluster_id: UUID = _cluster()
    name: str = _words()
    labels: dict[str, str] = _json()
    document: dict[str, Any] = _json()
    replicas: int = _count()
    version: int = _count()
    revision: int = _count()
    stable: int | None = Field(default=None, sa_type=BigInteger)
    paused: bool = Field(sa_column_kwargs={"server_default": text("false")})
    leaving: bool = Field(sa_column_kwargs={"server_default": text("false")})
    rollout: dict[str, Any] = _json()
    message: str | None = Field(default=None, sa_type=Text)
    wake_at: datetime | None = _moment()
    created_at: datetime = _now()
    changed_at: datetime = _now()

    __table_args__: ClassVar[tuple[Any, ...]] = (
        Index("uq_deployments_name", "cluster_id", "name", unique=True),
        Index("ix_deployments_wake_at", "wake_at", postgresql_where=text("wake_at IS NOT NULL")),
    )


class Revision(SQLModel, table=True):
    """One template of a deployment; numbers only grow, and none is ever changed."""

    __tablename__ = "revisions"

    deployment_id: UUID = Field(
        sa_column=Column(ForeignKey("deployments.id", ondelete="CASCADE"), primary_key=True, nullable=False)
    )
    revision: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    template: dict[str, Any] = _json()
    cause: str = _words("")
    actor: str = _words()
    created_at: datetime = _now()


class Touch(SQLModel, table=True):
    """A deployment that must be looked at: a replica of it changed. Written with the change, deleted with the look."""

    __tablename__ = "touches"

    id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=True))
    deployment_id: UUID


class Bootstrap(SQLModel, table=True):
    """One bootstrapper of one run on a container, and what came of it. `run` grows with each run."""

    __tablename__ = "bootstraps"

    container_id: UUID = Field(
        sa_column=Column(ForeignKey("containers.id", ondelete="CASCADE"), primary_key=True, nullable=False)
    )
    run: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    step: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    name: str = _words()
    type: str = _words()
    status: str = _words()
    attempts: int = _count()
    exit_code: int | None = Field(default=None, sa_type=BigInteger)
    output: str = _words("")
    started_at: datetime = _now()
    ended_at: datetime | None = _moment()

    __table_args__: ClassVar[tuple[Any, ...]] = (Index("ix_bootstraps_started_at", "started_at"),)


class Scaling(SQLModel, table=True):
    """What autoscaling decided for a deployment, with its numbers; kept where it changed something, or could not."""

    __tablename__ = "scalings"

    id: UUID = Field(primary_key=True)
    deployment_id: UUID = Field(sa_column=Column(ForeignKey("deployments.id", ondelete="CASCADE"), nullable=False))
    at: datetime = _now()
    before: int = _count()
    after: int = _count()
    document: dict[str, Any] = _json()

    __table_args__: ClassVar[tuple[Any, ...]] = (
        Index("ix_scalings_at", "at"),
        Index("ix_scalings_deployment", "deployment_id", "at"),
    )


class Measurement(SQLModel, table=True):
    """A metric of a deployment at a time, as autoscaling saw it: the history forecasts and advice are made from."""

    __tablename__ = "measurements"

    deployment_id: UUID = Field(
        sa_column=Column(ForeignKey("deployments.id", ondelete="CASCADE"), primary_key=True, nullable=False)
    )
    metric: str = Field(primary_key=True, sa_type=Text)
    at: datetime = Field(sa_column=Column(DateTime(timezone=True), primary_key=True, nullable=False))
    value: float = Field(sa_type=Double)

    __table_args__: ClassVar[tuple[Any, ...]] = (Index("ix_measurements_at", "at"),)


class Policy(SQLModel, table=True):
    """One version of a policy that somebody wrote; versions of a name only grow, and none is ever changed."""

    __tablename__ = "policies"

    name: str = Field(primary_key=True, sa_type=Text)
    version: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    document: dict[str, Any] = _json()
    actor: str = _words()
    created_at: datetime = _now()


class Decision(SQLModel, table=True):
    """Why a group of equal containers of one batch went where they went, or nowhere."""

    __tablename__ = "decisions"

    id: UUID = Field(primary_key=True)
    cluster_id: UUID = _cluster()
    at: datetime = _now()
    policy: str = _words()
    policy_version: int = _count()
    seed: int = _count()
    document: dict[str, Any] = _json()

    __table_args__: ClassVar[tuple[Any, ...]] = (
        Index("ix_decisions_at", "cluster_id", "at"),
        Index("ix_decisions_skipped", "at", postgresql_where=text("document -> 'skipped' <> '[]'::jsonb")),
    )


class Event(SQLModel, table=True):
    """A fact. Append-only: the audit log, the source of streams, and enough to replay the state.

    `xid` is the transaction that wrote the row: `seq` grows in the order of writing, but rows become visible in the
    order of commits, and readers need `xid` to never skip one (see `store/events.py`).
    """

    __tablename__ = "events"

    seq: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=True))
    xid: int = Field(
        sa_type=BigInteger, sa_column_kwargs={"server_default": text("(pg_current_xact_id()::text::bigint)")}
    )
    at: datetime = Field(
        sa_type=DateTime(timezone=True), sa_column_kwargs={"server_default": text("clock_timestamp()")}
    )
    cluster_id: UUID
    kind: str = _words()
    subject_type: str = _words()
    subject_id: UUID
    subject_name: str = _words()
    node: str | None = Field(default=None, sa_type=Text)
    actor: str = _words()
    generation: int = _count()
    trace_id: str = _words()
    body: dict[str, Any] = _json()

    __table_args__: ClassVar[tuple[Any, ...]] = (
        Index("ix_events_xid", "xid", "seq"),
        Index("ix_events_subject", "subject_id", "seq"),
        Index("ix_events_missing", "at", postgresql_where=text("kind = 'container.missing'")),
    )


class Outbox(SQLModel, table=True):
    """A message that must be published: written with the change it tells of, deleted once the broker has it.

    `held`: its queue was full. It waits for that one's consumer, not for a relay.
    """

    __tablename__ = "outbox"

    id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=True))
    exchange: str = _words()
    routing_key: str = _words()
    body: bytes = Field(sa_type=LargeBinary)
    held: bool = Field(sa_column_kwargs={"server_default": text("false")})
    created_at: datetime = _now()


class User(SQLModel, table=True):
    """A person. `clusters` are those the role is for, None: all.

    `password` is an argon2id hash; or, of somebody whom an identity provider vouches for, what is the hash of nothing:
    `issuer` is that provider, and `subject` what it knows them by, whatever their name.
    """

    __tablename__ = "users"

    id: UUID = Field(primary_key=True)
    name: str = Field(sa_type=Text, unique=True)
    password: str = _words()
    role: str = _words()
    clusters: list[UUID] | None = Field(default=None, sa_type=ARRAY(Uuid))
    issuer: str | None = Field(default=None, sa_type=Text)
    subject: str | None = Field(default=None, sa_type=Text)
    created_at: datetime = _now()

    __table_args__: ClassVar[tuple[Any, ...]] = (UniqueConstraint("issuer", "subject"),)


class Session(SQLModel, table=True):
    """A user who logged in: only the SHA-256 of the cookie is kept. `source` and `agent` say where it began.

    One that a browser began for a program is kept by what that has to show first, and is no cookie's.
    """

    __tablename__ = "sessions"

    id: UUID = Field(primary_key=True)
    user_id: UUID = Field(sa_column=Column(ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True))
    sha256: str = Field(sa_type=Text, unique=True)
    source: str = _words("")
    agent: str = _words("")
    created_at: datetime = _now()
    used_at: datetime | None = _moment()
    expires_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False, index=True))


class Device(SQLModel, table=True):
    """A browser from which a user logged in before: others' wrong passwords do not keep it out."""

    __tablename__ = "devices"

    sha256: str = Field(primary_key=True, sa_type=Text)
    user_id: UUID = Field(sa_column=Column(ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True))
    used_at: datetime = _now()

    __table_args__: ClassVar[tuple[Any, ...]] = (Index("ix_devices_used", "used_at"),)


class Token(SQLModel, table=True):
    """A bearer token: only the SHA-256 of it is kept. `role` is one of `domain.access.Role`.

    A node's or a join token is for `cluster_id`, others are for `clusters`; None: all. One that belongs to a user goes
    with it, and never may more than it. `actor` is who made it through the API. `uses` is how many machines a join
    token may admit; None: any number.
    """

    __tablename__ = "tokens"

    id: UUID = Field(primary_key=True)
    name: str = _words()
    sha256: str = Field(sa_type=Text, unique=True)
    role: str = _words()
    cluster_id: UUID | None = Field(default=None, foreign_key="clusters.id")
    node_id: UUID | None = Field(
        default=None, sa_column=Column(ForeignKey("nodes.id", ondelete="CASCADE"), nullable=True)
    )
    user_id: UUID | None = Field(
        default=None, sa_column=Column(ForeignKey("users.id", ondelete="CASCADE"), nullable=True, index=True)
    )
    clusters: list[UUID] | None = Field(default=None, sa_type=ARRAY(Uuid))
    actor: str | None = Field(default=None, sa_type=Text)
    uses: int | None = Field(default=None, sa_type=BigInteger)
    created_at: datetime = _now()
    used_at: datetime | None = _moment()
    expires_at: datetime | None = _moment()

    __table_args__: ClassVar[tuple[Any, ...]] = (
        Index("uq_tokens_name", "name", unique=True, postgresql_where=text("actor IS NOT NULL")),
        Index("ix_tokens_expires", "expires_at", postgresql_where=text("expires_at IS NOT NULL")),
    )


class Join(SQLModel, table=True):
    """A machine that a join token admitted: the same one may come again, and counts once."""

    __tablename__ = "joins"

    token_id: UUID = Field(sa_column=Column(ForeignKey("tokens.id", ondelete="CASCADE"), primary_key=True))
    machine_id: str = Field(primary_key=True, sa_type=Text)


class Secret(SQLModel, table=True):
    """A value for containers, encrypted with a key that is not in the database."""

    __tablename__ = "secrets"

    cluster_id: UUID = Field(primary_key=True, foreign_key="clusters.id")
    name: str = Field(primary_key=True, sa_type=Text)
    value: bytes = Field(sa_type=LargeBinary)
    actor: str = _words()
    created_at: datetime = _now()
    updated_at: datetime = _now()


class IdempotencyKey(SQLModel, table=True):
    """A create that was answered: the same key and request get the same containers again."""

    __tablename__ = "idempotency_keys"

    cluster_id: UUID = Field(primary_key=True, foreign_key="clusters.id")
    key: str = Field(primary_key=True, sa_type=Text)
    request_sha256: str = _words()
    containers: list[str] = _json("[]")
    created_at: datetime = _now()

    __table_args__: ClassVar[tuple[Any, ...]] = (Index("ix_idempotency_keys_created", "created_at"),)


class Role(SQLModel, table=True):
    """A running process of one role, as it last said of itself. `parts` are what it needs and how they are."""

    __tablename__ = "roles"

    id: UUID = Field(primary_key=True)
    role: str = _words()
    host: str = _words()
    pid: int = Field(sa_type=BigInteger)
    version: str = _words()
    listen: str | None = Field(default=None, sa_type=Text)
    leader: bool = Field(sa_column_kwargs={"server_default": text("false")})
    parts: dict[str, str] = _json()
    started_at: datetime = _now()
    seen_at: datetime = _now()


class Problem(SQLModel, table=True):
    """Something that is wrong, from when it was noticed until it was over. One row at most is open for a `key`."""

    __tablename__ = "problems"

    id: UUID = Field(primary_key=True)
    key: str = _words()
    kind: str = _words()
    severity: str = _words()
    cluster_id: UUID | None = Field(default=None, foreign_key="clusters.id")
    subject: str = _words()
    summary: str = _words()
    advice: str = _words()
    opened_at: datetime = _now()
    closed_at: datetime | None = _moment()

    __table_args__: ClassVar[tuple[Any, ...]] = (
        Index("uq_problems_open", "key", unique=True, postgresql_where=text("closed_at IS NULL")),
        Index("ix_problems_closed", "closed_at", postgresql_where=text("closed_at IS NOT NULL")),
    )


class Webhook(SQLModel, table=True):
    """Somebody who wants to be told of problems. `format` is json, slack or alertmanager."""

    __tablename__ = "webhooks"

    id: UUID = Field(primary_key=True)
    name: str = Field(sa_type=Text, unique=True)
    url: str = _words()
    format: str = _words("json")
    secret: str = _words()
    #: Kinds of problems it wants; empty: all.
    kinds: list[str] = _json("[]")
    created_at: datetime = _now()


class Delivery(SQLModel, table=True):
    """One notice to one webhook: tried until it is taken, or given up."""

    __tablename__ = "deliveries"

    id: UUID = Field(primary_key=True)
    webhook_id: UUID = Field(sa_column=Column(ForeignKey("webhooks.id", ondelete="CASCADE"), nullable=False))
    problem_id: UUID = Field(sa_column=Column(ForeignKey("problems.id", ondelete="CASCADE"), nullable=False))
    #: firing or resolved
    state: str = _words()
    attempts: int = _count()
    next_at: datetime | None = Field(
        sa_type=DateTime(timezone=True), sa_column_kwargs={"server_default": text("now()")}, default=None
    )
    tried_at: datetime | None = _moment()
    delivered_at: datetime | None = _moment()
    error: str | None = Field(default=None, sa_type=Text)

    __table_args__: ClassVar[tuple[Any, ...]] = (
        Index("uq_deliveries_notice", "webhook_id", "problem_id", "state", unique=True),
        Index("ix_deliveries_next_at", "next_at", postgresql_where=text("next_at IS NOT NULL")),
    )


class DeadLetter(SQLModel, table=True):
    """A message nobody could process, for people to look at. `message_key` is the same for its doubles."""

    __tablename__ = "dead_letters"

    id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=True))
    message_key: UUID = Field(unique=True)
    failed_at: datetime = Field(sa_type=DateTime(timezone=True))
    queue: str = _words()
    exchange: str = _words()
    routing_key: str = _words()
    reason: str = _words()
    deliveries: int = _count()
    kinds: list[str] = _json("[]")
    subjects: list[str] = _json("[]")
    body: bytes = Field(sa_type=LargeBinary)
    created_at: datetime = _now()

    __table_args__: ClassVar[tuple[Any, ...]] = (Index("ix_dead_letters_created", "created_at"),)
