"""What is not safe: what the API refuses to start with in production mode, and what its status tells."""

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta

from pathfinder import plain_text
from pathfinder.bootstrap import Process
from pathfinder.domain.access import DEVELOPMENT_PASSWORD, DEVELOPMENT_USER
from pathfinder.domain.errors import Invalid, Unavailable
from pathfinder.domain.status import Finding
from pathfinder.passwords import matches
from pathfinder.settings import Settings
from pathfinder.store import users

#: A certificate that ends so soon was not renewed when it should have been.
LATE = timedelta(days=14)


async def check(process: Process) -> None:
    """Raise Invalid for what others could abuse. Without PostgreSQL its users are not known: then logins are judged."""
    if process.settings.mode != "production":
        return
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


def findings(settings: Settings, roles: Collection[str], now: datetime) -> list[Finding]:
    """What others could listen to, and a certificate that is not renewed in time, for the status of the whole."""
    return [*_plain(settings, roles), *_ending(settings, now)]


def _plain(settings: Settings, roles: Collection[str]) -> Iterator[Finding]:
    for one in plain_text.found(settings, roles):
        yield Finding(
            kind="transport.plain",
            severity="info",
            subject=f"{one.setting} ({one.host})",
            summary=f"{one}: others in that network can read passwords and tokens.",
            advice=f"{one.advice[0].upper()}{one.advice[1:]}. {plain_text.ALLOW}",
        )


def _ending(settings: Settings, now: datetime) -> Iterator[Finding]:
    if settings.tls_certificate is None:
        return
    from pathfinder import certificates  # only with TLS

    try:
        ends = certificates.facts(settings.tls_certificate.read_bytes()).ends
    except (OSError, Invalid):
        return  # the log of the API tells that it cannot be read, which goes on with the former one
    if ends - now < LATE:
        yield Finding(
            kind="certificate.ending",
            severity="warning",
            subject="api",
            summary=f"The certificate of the API {'ended' if ends <= now else 'ends'} on {ends:%Y-%m-%d %H:%M} UTC.",
            advice="Renew it: `pathfinder certs renew` where its authority is. The API reads it by itself.",
        )
