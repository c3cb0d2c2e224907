"""What the URL of a PostgreSQL asks of TLS, and what asyncpg is given for it."""

import ssl
from pathlib import Path

from sqlalchemy import URL

from pathfinder import tls

#: The option of a URL: as SQLAlchemy calls it, and as PostgreSQL's own programs do.
OPTIONS = ("ssl", "sslmode")
_VERIFYING = ("verify-ca", "verify-full")
#: In these nothing is ever said in plain text.
ENCRYPTING = ("require", *_VERIFYING)
_MODES = ("disable", "allow", "prefer", *ENCRYPTING)


def mode(url: URL) -> str | None:
    """Which of PostgreSQL's modes a URL asks for, if any. Raises ValueError for what is none."""
    given = [str(url.query[option]) for option in OPTIONS if option in url.query]
    if given and given[0] not in _MODES:
        raise ValueError(f"ssl={given[0]} is none of {', '.join(_MODES)}")
    return given[0] if given else None


def context(wanted: str | None, ca_file: Path | None) -> ssl.SSLContext | str | None:
    """What asyncpg is given for a mode; those that trust everybody it knows by itself. Raises Invalid for `ca_file`."""
    if wanted not in _VERIFYING:
        return wanted
    trusting = tls.trusting(ca_file)
    trusting.check_hostname = wanted == "verify-full"
    return trusting
