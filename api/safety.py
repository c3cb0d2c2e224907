"""What the API refuses to start with in production mode."""

from pathfinder import serving
from pathfinder.bootstrap import Process
from pathfinder.domain.access import DEVELOPMENT_PASSWORD, DEVELOPMENT_USER
from pathfinder.domain.errors import Invalid, Unavailable
from pathfinder.passwords import matches
from pathfinder.settings import Settings
from pathfinder.store import users


async def check(process: Process) -> None:
    """Raise Invalid for what others could abuse. Without PostgreSQL its users are not known: then logins are judged."""
    if process.settings.mode != "production":
        return
    if open_addresses := exposed(process.settings):
        raise Invalid(
            f"In production mode the API does not listen on {', '.join(open_addresses)} in plain text. Set "
            "PATHFINDER_TLS_PROXIES to the address of the proxy that ends TLS in front of it, or listen on loopback."
        )
    try:
        async with process.database.read() as connection:
            user = await users.find(connection, DEVELOPMENT_USER)
    except Unavailable:
        return
    if user is not None and await matches(user.password, DEVELOPMENT_PASSWORD):
        raise Invalid(
            f"In production mode the user {DEVELOPMENT_USER!r} may not have the password that everybody knows. "
            f"Change it with `pathfinder user passwd {DEVELOPMENT_USER}`."
        )


def exposed(settings: Settings) -> list[str]:
    """The addresses of the API that others can reach in plain text."""
    addresses = [address.strip() for address in settings.api_listen.split(",")]
    if settings.tls_proxies:
        return []
    return [address for address in addresses if not serving.is_loopback(address.rpartition(":")[0].strip("[]"))]
