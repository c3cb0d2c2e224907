"""Joining the cluster: the agent tells the API what its node is, and gets an identity and a credential."""

import asyncio
import socket
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import httpx2
import structlog

from pathfinder import __version__, tls
from pathfinder.broker.connection import backoff, pause
from pathfinder.broker.login import Login, node_user
from pathfinder.domain.errors import Invalid
from pathfinder.domain.specs import NodeRegistration
from pathfinder.runtime.port import Runtime, RuntimeUnreachable
from pathfinder.settings import Settings
from workers.agent import credential
from workers.agent.credential import Kept

log = structlog.get_logger()

#: Answers that will not get better by asking again with the same words.
FINAL = frozenset({400, 401, 403, 404, 409, 422})


@dataclass(frozen=True, slots=True)
class Admission:
    """The node's identity. `token` is its credential for the API and for RabbitMQ."""

    node_id: str
    hostname: str
    cluster_id: str
    token: str = field(repr=False)
    epoch: int
    heartbeat_seconds: float
    lease_seconds: float


class Membership:
    """What the node is in its cluster, as of its last registration."""

    def __init__(self, settings: Settings, runtime: Runtime) -> None:
        self._settings = settings
        self._runtime = runtime
        self._admission: Admission | None = None
        self._kept = Kept(settings.state_dir / "agent.json")
        self._tries = 0
        #: One registration at a time: of two answers, the one that is kept last could be the older credential.
        self._registering = asyncio.Lock()

    @property
    def now(self) -> Admission:
        """The present admission; there is one once `join` returned True."""
        assert self._admission is not None  # noqa: S101 - nothing else runs before the first join
        return self._admission

    def login(self) -> Login:
        """Who the node is to RabbitMQ."""
        return Login(node_user(self.now.hostname, self.now.node_id), self.now.token)

    async def join(self, stopping: asyncio.Event) -> bool:
        """Register, however long that takes; False when told to stop before it succeeded.

        A refusal is logged with what to do about it and tried again slowly: an operator may put it right meanwhile.
        """
        attempt = 0
        while not stopping.is_set():
            if await self.rejoin():
                return True
            await pause(stopping, backoff(attempt))
            attempt += 1
        return False

    async def rejoin(self) -> bool:
        """Register again, now; whether that succeeded."""
        try:
            async with self._registering:
                self._admission = await _register(
                    self._settings, self._runtime, self._kept, self._api_url(), self._admission
                )
        except (httpx2.HTTPError, RuntimeUnreachable, Invalid) as error:
            log.warning("not admitted yet", error=tls.words(error))
            return False
        return True

    async def renew(self) -> None:
        """Change the credential. Raises what `credential.begin` raises; to be called again then."""
        async with self._registering:
            following = await credential.begin(self._kept, asdict(self.now), *self._way())
            # Both are good now: from here on it does not matter whether the answer that ends the former one comes.
            self._admission = replace(self.now, token=following)
            await credential.finish(self._kept, asdict(self.now), *self._way())
        log.info("credential changed", node=self.now.hostname)

    def _api_url(self) -> str:
        """Another of the APIs each time."""
        urls = self._api_urls()
        self._tries += 1
        return urls[self._tries % len(urls)]

    def _way(self) -> tuple[list[str], Path | None]:
        return self._api_urls(), self._settings.ca_file

    def _api_urls(self) -> list[str]:
        return [url.strip() for url in self._settings.api_url.split(",")]


async def _register(
    settings: Settings, runtime: Runtime, kept: Kept, api_url: str, present: Admission | None
) -> Admission:
    announcement = await _announcement(settings, runtime, api_url)
    verify = tls.verifying(api_url, settings.ca_file)
    async with httpx2.AsyncClient(base_url=api_url, timeout=10, verify=verify) as client:
        join_token = settings.join_token and settings.join_token.get_secret_value()
        # The disk may not have taken the present one.
        for token in filter(None, dict.fromkeys((present and present.token, *kept.tokens(), join_token))):
            answer = await client.post(
                "/api/v3/nodes/register",
                params={"cluster": settings.cluster},
                json=announcement.model_dump(),
                headers={"Authorization": f"Bearer {token}"},
            )
            if answer.status_code == 200:
                return _admitted(kept, announcement.hostname, answer.json())
            if answer.status_code not in (401, 403):
                break
        else:
            if not settings.join_token:
                raise Invalid("Set PATHFINDER_JOIN_TOKEN; `pathfinder token create --role join` makes one.")
    if answer.status_code in FINAL:
        await asyncio.sleep(1)
        raise Invalid(answer.json().get("detail", answer.text))
    answer.raise_for_status()
    raise Invalid(f"the API answered {answer.status_code}")


def _admitted(kept: Kept, hostname: str, body: dict[str, object]) -> Admission:
    admission = Admission(
        node_id=str(body["node_id"]),
        hostname=hostname,
        cluster_id=str(body["cluster_id"]),
        token=str(body["token"]),
        epoch=int(str(body["epoch"])),
        heartbeat_seconds=float(str(body["heartbeat_seconds"])),
        lease_seconds=float(str(body["lease_seconds"])),
    )
    try:
        kept.keep(asdict(admission))
    except OSError as error:
        log.error("credential not kept; a restart of this agent may need a join token", error=str(error))
    log.info("admitted", node=hostname, node_id=admission.node_id, epoch=admission.epoch)
    return admission


async def _announcement(settings: Settings, runtime: Runtime, api_url: str) -> NodeRegistration:
    facts = await runtime.facts()
    return NodeRegistration(
        hostname=settings.node_name or socket.gethostname().split(".")[0].lower(),
        ipaddress=settings.node_address or _own_address(api_url),
        machine_id=facts.machine_id,
        runtime=facts.runtime,
        runtime_version=facts.runtime_version,
        architecture=facts.architecture,
        pool_driver=facts.pool_driver,
        agent_version=__version__,
        labels=settings.node_labels,
        cpu_millicores=facts.capacity.cpu_millicores,
        memory_bytes=facts.capacity.memory_bytes,
        disk_bytes=facts.capacity.disk_bytes,
        capabilities=list(facts.capabilities),
    )


def _own_address(api_url: str) -> str:
    """The address this machine uses towards the API, or towards the world where the API is on this machine itself.

    Nothing is sent: connecting a datagram socket only chooses the route. 192.0.2.1 is an address for documentation.
    """
    url = httpx2.URL(api_url)
    found = [_address_towards(host, url.port or 80) for host in (url.host, "192.0.2.1")]
    return next((one for one in found if one and not one.startswith("127.")), "127.0.0.1")


def _address_towards(host: str, port: int) -> str | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((host, port))
            return str(probe.getsockname()[0])
        except OSError:
            return None
