"""Every setting of a Pathfinder process, read once from the environment (`PATHFINDER_…`)."""

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from pathfinder.domain.external import grant

_LAST_PORT = 65535
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


class Settings(BaseSettings):
    """Settings of the roles. `docs/reference/settings.md` is drawn from this class."""

    model_config = SettingsConfigDict(env_prefix="PATHFINDER_", extra="ignore")

    mode: Literal["development", "production"] = Field(
        "development",
        description="production: the API refuses to start with development credentials (`admin` / `pathfinder`), and "
        "every role where it would listen or connect in plain text, but on loopback. In development it says so.",
    )

    database_url: str = Field(
        "postgresql+asyncpg://pathfinder@127.0.0.1:5432/pathfinder",
        description=(
            "PostgreSQL, as an SQLAlchemy URL for asyncpg. Of several servers "
            "(`…@/pathfinder?host=db-1:5432&host=db-2:5432`) the one that takes writes is used. With `ssl=verify-full` "
            "all is said over TLS."
        ),
    )
    broker_url: str = Field(
        "amqp://guest:guest@127.0.0.1:5672/",
        description="RabbitMQ URL, amqps:// for TLS; several, separated by commas, are tried in turn, from any one on. "
        "Where it names no user, each role and each node logs in as itself; else all log in as that user.",
    )
    broker_passwords: dict[str, SecretStr] = Field(
        default_factory=dict,
        description='Passwords of the users of roles at RabbitMQ, as JSON: {"relay":"…"}; a role is `pathfinder-ROLE`.',
    )
    broker_secret: SecretStr | None = Field(
        None, description="What RabbitMQ shows when it asks the API about a node; unset, the API answers nothing."
    )
    database_pool_size: int = Field(10, ge=1, description="Connections each process keeps to PostgreSQL.")

    api_listen: str = Field(
        "127.0.0.1:8080", description="Addresses the api role listens on: HOST:PORT, separated by commas."
    )
    tls_proxies: str = Field(
        "",
        description="Addresses or networks, separated by commas, of the proxies that end TLS in front of the API. What "
        "they say of a request (X-Forwarded-For, X-Forwarded-Proto) is believed; of others it is not.",
    )
    tls_certificate: Path | None = Field(
        None,
        description="The certificate that the API shows, as PEM, with those that lead to its authority: then it speaks "
        "TLS. Read anew when it is renewed.",
    )
    tls_key: Path | None = Field(None, validate_default=True, description="The key of that certificate, as PEM.")
    ca_file: Path | None = Field(
        None,
        description="The authorities, as PEM, that the API, RabbitMQ and PostgreSQL are trusted by where they are "
        "reached over TLS; this system's if unset.",
    )
    plain_text_hosts: str = Field(
        "",
        description="Hosts and networks, separated by commas, for which plain text is as good as on loopback: where "
        "nobody else can listen, as between the containers of one machine.",
    )
    secret_keys: Path | None = Field(
        None,
        description="A file with the keys of secrets, one a line (`pathfinder secret key` makes one): the first "
        "encrypts, all decrypt. Every api process needs the same, and controllers where metrics name secrets; without "
        "one no secret can be set.",
    )
    requests_per_second: float = Field(
        1000, ge=0, description="How often one token or session may ask each api process, in the long run; 0: any."
    )
    session_hours: float = Field(12, gt=0, le=24 * 90, description="How long a login to the console lasts.")
    oidc_issuer: str = Field(
        "",
        description="The issuer of an OpenID Connect provider, just as it calls itself: people may then sign in there. "
        "Its client's redirect URI is `/api/v3/sso/callback` of each address that browsers use. Empty: passwords only.",
    )
    oidc_title: str = Field("single sign-on", max_length=63, description="What the login page calls that provider.")
    oidc_client_id: str = Field("pathfinder", description="What that provider calls Pathfinder.")
    oidc_client_secret: Path | None = Field(
        None, description="A file with the secret it gave Pathfinder; unset for a public client, which PKCE protects."
    )
    oidc_ca_file: Path | None = Field(
        None, description="The authorities, as PEM, that it is trusted by; this system's if unset."
    )
    oidc_scopes: str = Field("openid profile", description="What is asked of it, with spaces between.")
    oidc_name_claim: str = Field("preferred_username", description="The claim that a new user is named by.")
    oidc_roles_claim: str = Field("groups", description="The claim that roles come from: a list, or one value.")
    oidc_roles: dict[str, str] = Field(
        default_factory=dict,
        description='What a value of that claim gives, as JSON: `{"admins": "admin", "web": "operator:blue,green"}`, a '
        "role and the only clusters it is for. The first that somebody has counts; who has none is refused.",
    )
    health_listen: str = Field(
        "127.0.0.1",
        description="Where a role answers /healthz, /readyz and /metrics: HOST, with the role's own port or one near "
        "it; HOST:PORT; or empty for nowhere. The api role answers on its own address, and here only if this is set.",
    )
    api_url: str = Field(
        "http://127.0.0.1:8080",
        description="Where agents reach the API; several, separated by commas, are tried in turn.",
    )
    max_body_bytes: int = Field(8 << 20, ge=1024, description="Largest request body the API reads.")
    default_image: str = Field("ubuntu:26.04", description="Image of new clusters: Ubuntu's current LTS.")

    cluster: str = Field("default", description="The cluster an agent joins.")
    node_name: str | None = Field(None, description="The agent's node name; the machine's hostname if unset.")
    node_address: str | None = Field(None, description="The node's IP address; found by itself if unset.")
    node_labels: dict[str, str] = Field(default_factory=dict, description='Labels of the node, as JSON: {"zone":"a"}.')
    join_token: SecretStr | None = Field(None, description="The token a new agent joins with.")
    state_dir: Path = Field(Path("/var/lib/pathfinder"), description="Where an agent keeps its credential.")
    credential_hours: float = Field(
        24, gt=0, description="How old an agent's credential gets before the agent changes it by itself."
    )
    lease_dir: Path | None = Field(
        None,
        description="Where an agent writes its lease for its warden; both need the same. Best in memory, like "
        "/run/pathfinder, where a full disk does not matter; PATHFINDER_STATE_DIR if unset.",
    )
    runtime: Literal["auto", "lxd", "simulated"] = Field(
        "auto", description="What agents drive; auto: LXD where it can run, else a simulation that says so."
    )
    lxd_socket: Path | None = Field(None, description="LXD's or Incus's socket; searched for if unset.")
    agent_parallel: int = Field(0, ge=0, description="Containers an agent works on at once; 0: twice the cores.")
    address_timeout_seconds: float = Field(60, gt=0, description="How long a new container may take to get an IPv4.")
    heartbeat_seconds: float = Field(5, gt=0, description="Time between heartbeats.")
    lease_seconds: float = Field(15, gt=0, description="How long a node counts as ready after a heartbeat.")
    usage_seconds: float = Field(
        15, ge=1, le=30, description="Time between an agent's looks at what its containers use."
    )
    fence_command: str | None = Field(
        None,
        description="Run by the controller, with the node's name and address as arguments, before stateful containers "
        "of a silent node are taken over; exit status 0 says that nothing runs there any more.",
    )
    fence_url: str | None = Field(
        None, description="Posted to instead of a fence_command: JSON with node and ipaddress; any 2xx is success."
    )
    fence_timeout_seconds: float = Field(60, gt=0, description="How long the fencing hook may take.")
    inventory_seconds: float = Field(60, gt=0, description="Time between an agent's full lists.")
    grace_seconds: float = Field(30, ge=0, description="How old a difference must be before it is repaired.")

    autoscale_seconds: float = Field(15, ge=1, description="Time between looks at deployments that scale themselves.")
    metric_hosts: str = Field(
        "",
        description="Hosts that prometheus and http metrics of deployments may be read from, separated by commas; "
        "empty: any that the controller reaches.",
    )
    zone_label: str = Field(
        "zone", max_length=63, description="The label of nodes whose values are zones, for `pfi resilience`."
    )
    scheduler_batch: int = Field(10_000, ge=1, description="Most containers a scheduler places in one transaction.")
    sweep_seconds: float = Field(30, gt=0, description="How often lost wake-ups are looked for.")
    stop_seconds: float = Field(8, gt=0, description="How long work in hand may take after SIGTERM.")

    backlog_outbox: int = Field(
        50_000, ge=0, description="Unpublished messages at which creates are refused until half are gone; 0: never."
    )
    backlog_queue: int = Field(
        50_000, ge=0, description="The same, for messages in the scheduler's queue and in the recorder's."
    )
    keep_events_days: float = Field(0, ge=0, description="How long events are kept; 0: for ever.")
    keep_deleted_days: float = Field(30, gt=0, description="How long a DELETED container is kept.")
    keep_history_days: float = Field(
        30, gt=0, description="How long failed attempts, closed problems and what autoscaling decided are kept."
    )
    keep_decisions_days: float = Field(
        30, gt=0, description="How long it can be explained why containers went where they went."
    )
    keep_measurements_days: float = Field(
        35, gt=0, description="How long it is kept what deployments used, for forecasts and recommendations."
    )
    keep_keys_days: float = Field(
        1, gt=0, description="How long a create may be repeated with the same Idempotency-Key and is done once."
    )
    keep_dead_days: float = Field(30, gt=0, description="How long dead letters are kept.")
    keep_dead_rows: int = Field(10_000, ge=1, description="Most dead letters that are kept; the oldest go first.")

    log_format: Literal["auto", "json", "console"] = Field("auto", description="auto: console on a terminal.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level logged.")

    @field_validator("tls_key")
    @classmethod
    def _has_its_other_half(cls, key: Path | None, info: ValidationInfo) -> Path | None:
        if (key is None) != (info.data.get("tls_certificate") is None):
            raise ValueError("PATHFINDER_TLS_CERTIFICATE and PATHFINDER_TLS_KEY are set together, or neither is")
        return key

    @field_validator("oidc_issuer")
    @classmethod
    def _is_secure(cls, issuer: str) -> str:
        url = urlsplit(issuer)
        if issuer and url.scheme != "https" and not (url.scheme == "http" and url.hostname in _THIS_MACHINE):
            raise ValueError("is not an https:// address")
        return issuer

    @field_validator("oidc_roles")
    @classmethod
    def _are_grants(cls, rules: dict[str, str]) -> dict[str, str]:
        for words in rules.values():
            grant(words)
        return rules

    @field_validator("api_listen")
    @classmethod
    def _is_addresses(cls, listen: str) -> str:
        for address in listen.split(","):
            host, _, port = address.strip().rpartition(":")
            if not (host and port.isdecimal() and int(port) <= _LAST_PORT):
                raise ValueError(f"{address.strip()!r} is not HOST:PORT")
        return listen
