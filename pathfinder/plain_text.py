"""What a process says or is told in plain text where others could listen. Pure.

Plain text is for loopback, for Unix sockets, and for the hosts that PATHFINDER_PLAIN_TEXT_HOSTS names. What a role
tells of its health holds no secrets, and does not count.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from pathfinder.bootstrap import ON_NODES
from pathfinder.domain.errors import Invalid
from pathfinder.serving import is_loopback
from pathfinder.settings import Settings

ALLOW = "Where nobody else can listen, name the hosts in PATHFINDER_PLAIN_TEXT_HOSTS."


@dataclass(frozen=True, slots=True)
class Open:
    """A host that a setting names, and what is to be done so that nobody listens."""

    setting: str
    host: str
    advice: str

    def __str__(self) -> str:
        return f"{self.setting} has {self.host} in plain text"


def found(settings: Settings, roles: Collection[str]) -> list[Open]:
    """All there is for a process with these roles."""
    each = [*_api(settings, roles), *_broker(settings, roles), *_database(settings, roles)]
    allowed = [host.strip() for host in settings.plain_text_hosts.split(",") if host.strip()]
    return [one for one in each if not (is_loopback(one.host) or is_within(one.host, allowed))]


def check(settings: Settings, roles: Collection[str]) -> list[Open]:
    """The same. Raises Invalid for any of it in production mode."""
    there = found(settings, roles)
    if there and settings.mode == "production":
        wrong = "; ".join(f"{one}: {one.advice}" for one in there)
        raise Invalid(f"In production mode plain text is for loopback alone. {wrong}. {ALLOW}")
    return there


def is_within(host: str, allowed: Iterable[str]) -> bool:
    """Whether a host is one of those, or its address in one of the networks."""
    return any(host == one or _is_in(host, one) for one in allowed)


def _is_in(host: str, network: str) -> bool:
    try:
        return ip_address(host.partition("%")[0]) in ip_network(network, strict=False)
    except ValueError:
        return False


def _api(settings: Settings, roles: Collection[str]) -> Iterator[Open]:
    if "api" in roles and settings.tls_certificate is None and not settings.tls_proxies:
        advice = (
            "set PATHFINDER_TLS_CERTIFICATE and PATHFINDER_TLS_KEY (`pathfinder certs init` makes some), or "
            "PATHFINDER_TLS_PROXIES to the address of the proxy that ends TLS in front of it, or listen on loopback"
        )
        for address in settings.api_listen.split(","):
            yield Open("PATHFINDER_API_LISTEN", address.strip().rpartition(":")[0].strip("[]"), advice)
    if "agent" in roles:
        for url in _urls(settings.api_url, "http"):
            yield Open("PATHFINDER_API_URL", url, "write https://")


def _broker(settings: Settings, roles: Collection[str]) -> Iterator[Open]:
    if set(roles) - {"warden"}:
        for host in _urls(settings.broker_url, "amqp"):
            yield Open("PATHFINDER_BROKER_URL", host, "write amqps://")


def _database(settings: Settings, roles: Collection[str]) -> Iterator[Open]:
    if not set(roles) - ON_NODES:
        return
    from sqlalchemy import make_url  # nodes load nothing of PostgreSQL

    from pathfinder.store import database_tls

    url = make_url(settings.database_url)
    if database_tls.mode(url) in database_tls.ENCRYPTING:
        return
    several = url.query.get("host", ())
    for host in (url.host or "", *([several] if isinstance(several, str) else several)):
        name = host.rpartition(":")[0] if host.count(":") == 1 else host.strip("[]")
        if name and not name.startswith("/"):
            yield Open("PATHFINDER_DATABASE_URL", name, "add ?ssl=verify-full to it, or &ssl=verify-full after others")


def _urls(urls: str, scheme: str) -> Iterator[str]:
    """The hosts of those with that scheme."""
    for url in filter(None, map(str.strip, urls.split(","))):
        parts = urlsplit(url)
        if parts.scheme.lower() == scheme:
            yield parts.hostname or ""
