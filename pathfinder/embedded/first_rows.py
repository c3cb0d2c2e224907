"""What a home's database needs before anything starts: the schema, tokens, and a user to try it with."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pathfinder.domain.access import DEVELOPMENT_PASSWORD, DEVELOPMENT_USER, Role
from pathfinder.domain.errors import AlreadyExists, Unavailable
from pathfinder.embedded.control_plane import CLUSTER
from pathfinder.embedded.errors import EmbeddedError
from pathfinder.embedded.home import Home
from pathfinder.embedded.roles import DATABASE_URL
from pathfinder.settings import Settings

if TYPE_CHECKING:  # most commands need none of it
    from pathfinder.store.database import Database

#: For each of these.
SECONDS = 60
Made = TypeVar("Made")


def migrate(settings: Mapping[str, str]) -> None:
    """Bring the database to the newest schema and make this home's cluster."""
    from pathfinder.store import preparing

    given = os.environ | settings
    image = given.get("PATHFINDER_DEFAULT_IMAGE", Settings.model_fields["default_image"].default)
    _in_database(given, "its schema", lambda database: preparing.schema(database, _cluster(given), image))


def create_tokens(home: Home, settings: Mapping[str, str], *, fresh: bool = False) -> None:
    """Make the tokens this home needs and has not yet; `fresh` makes new ones of those it has."""
    for role in (Role.ADMIN, Role.JOIN):
        token(home, settings, role, fresh=fresh)


def token(home: Home, settings: Mapping[str, str], role: str, *, fresh: bool = False) -> str:
    """The bearer token of a role (`admin`, `join`), created once and remembered."""
    if fresh:
        home.remember(f"token.{role}", None)
    return str(home.once(f"token.{role}", lambda: _made(os.environ | settings, Role(role))))


def create_development_user(settings: Mapping[str, str]) -> None:
    """Make the user that everybody knows the password of, unless there is one of that name."""
    from pathfinder.store import preparing

    async def make(database: "Database") -> None:
        with suppress(AlreadyExists):
            await preparing.user(database, DEVELOPMENT_USER, DEVELOPMENT_PASSWORD, Role.ADMIN)

    _in_database(os.environ | settings, f"the user {DEVELOPMENT_USER}", make)


def _made(given: Mapping[str, str], role: Role) -> str:
    from pathfinder.store import preparing

    name = "pfi" if role == Role.ADMIN else "embedded"
    return _in_database(given, f"a token, {role}", lambda at: preparing.token(at, name, role, _cluster(given)))


def _cluster(given: Mapping[str, str]) -> str:
    return given.get("PATHFINDER_CLUSTER", CLUSTER)


def _in_database(given: Mapping[str, str], what: str, work: "Callable[[Database], Awaitable[Made]]") -> Made:
    from sqlalchemy.exc import SQLAlchemyError

    from pathfinder.store.database import Database

    async def run() -> Made:
        ca_file = given.get("PATHFINDER_CA_FILE")
        database = Database(given[DATABASE_URL], 1, Path(ca_file) if ca_file else None)
        try:
            return await asyncio.wait_for(work(database), SECONDS)
        finally:
            await database.close()

    try:
        return asyncio.run(run())
    except TimeoutError:
        raise EmbeddedError(f"The database did not take {what} within {SECONDS} s.") from None
    except (OSError, SQLAlchemyError, Unavailable) as failure:
        raise EmbeddedError(f"The database did not take {what}: {failure}") from failure
