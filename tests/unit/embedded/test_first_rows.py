"""The first rows of a home's database, as far as that needs no database."""

from pathlib import Path

import pytest

from pathfinder.embedded import first_rows
from pathfinder.embedded.errors import EmbeddedError
from pathfinder.embedded.home import Home
from pathfinder.embedded.roles import DATABASE_URL

NOBODY = {DATABASE_URL: "postgresql+asyncpg://pathfinder@127.0.0.1:1/pathfinder"}


def test_a_database_that_does_not_answer_is_told_of() -> None:
    """With what was to be done there."""
    with pytest.raises(EmbeddedError, match="did not take its schema: PostgreSQL does not answer"):
        first_rows.migrate(NOBODY)


def test_a_token_is_made_once(tmp_path: Path) -> None:
    """What is remembered needs no database; a fresh one does, and then nothing is remembered any more."""
    home = Home(tmp_path)
    home.remember("token.admin", "secret")

    assert first_rows.token(home, NOBODY, "admin") == "secret"
    with pytest.raises(EmbeddedError, match="a token, admin"):
        first_rows.token(home, NOBODY, "admin", fresh=True)
    assert home.recall("token.admin") is None
