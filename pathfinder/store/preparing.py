"""What a new database needs before anybody can use it: the schema, a cluster, tokens and users."""

from pathfinder.domain.access import Role
from pathfinder.domain.errors import AlreadyExists
from pathfinder.passwords import hashed
from pathfinder.store import clusters, tokens, users
from pathfinder.store.database import Database

#: What the event log calls whoever does this on the machine itself.
ACTOR = "pathfinder"


async def schema(database: Database, cluster: str, image: str) -> None:
    """Run the missing migrations, and make that cluster unless it is there; `image` is what a new one runs."""
    # Here, for Alembic takes as long to load as all the rest.
    from pathfinder.store.migrate import migrate

    await migrate(database)
    try:
        async with database.begin() as tx:
            await clusters.create(tx, cluster, "spread", image, "migrate", "")
    except AlreadyExists:
        pass


async def token(database: Database, name: str, role: Role, cluster: str) -> str:
    """A new token's secret. Join tokens admit nodes to that cluster only. Raises NotFound."""
    async with database.begin() as tx:
        admits_to = (await clusters.find(tx, cluster)).id if role == Role.JOIN else None
        return (await tokens.issue(tx, tokens.Grant(name, role, admits_to), ACTOR, "", named=False))[1]


async def user(database: Database, name: str, password: str, role: Role) -> None:
    """A new user. Raises AlreadyExists."""
    known = await hashed(password)
    async with database.begin() as tx:
        await users.create(tx, name, known, role, actor=ACTOR)
