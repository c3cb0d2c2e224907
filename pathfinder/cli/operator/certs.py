"""`pathfinder certs`: a private authority for TLS, and the certificates it signs."""

import socket
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:  # a role that starts with this command need not load what makes certificates
    from pathfinder.certificate_files import CertificateFiles, Kept

#: Where the accounts of services may look, which they may not among the settings of the roles.
DIRECTORY = Path("/etc/ssl/pathfinder")

Directory = Annotated[Path, typer.Option(metavar="DIR", help="Where the authority and its certificates are.")]
Hosts = Annotated[
    list[str] | None,
    typer.Option(
        "--host",
        metavar="NAME",
        help="A name or address that clients use; may be repeated. This machine's own if left out; loopback always.",
    ),
]


def init(directory: Directory = DIRECTORY, host: Hosts = None) -> None:
    """Make a private authority, and certificates for the API and for RabbitMQ. Changes nothing that is there."""
    files = _files(directory)
    files.create(_hosts(host), _now())
    _tell(files.all())
    typer.echo(f"Give {directory}/ca.crt to everybody who connects. Keep {directory}/ca.key to yourself.")


def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is for, like postgres or node-01.")],
    directory: Directory = DIRECTORY,
    host: Hosts = None,
) -> None:
    """Make one more certificate, in a directory of its own."""
    files = _files(directory)
    made = files.add(name, _hosts(host or [name]), _now())
    _tell(kept for kept in files.all() if kept.path.parent == made)


def renew(
    directory: Directory = DIRECTORY,
    force: Annotated[bool, typer.Option("--force", help="All of them, however long they last.")] = False,
) -> None:
    """Renew the certificates that end within 30 days. Their keys and the authority stay."""
    done = _files(directory).renew(_now(), every=force)
    if done:
        _tell(done)
    else:
        typer.echo("No certificate ends soon; --force renews all.")


def show(directory: Directory = DIRECTORY) -> None:
    """Show the authority and its certificates: for which names, when they end, and their SHA-256 fingerprints."""
    _tell(_files(directory).all())


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(help="A private authority for TLS, and its certificates.", no_args_is_help=True)
    for command in (init, add, renew, show):
        group.command()(command)
    app.add_typer(group, name="certs")


def _files(directory: Path) -> "CertificateFiles":
    from pathfinder.certificate_files import CertificateFiles

    return CertificateFiles(directory.absolute())


def _hosts(given: list[str] | None) -> list[str]:
    from pathfinder.certificates import LOOPBACK

    return list(dict.fromkeys([*(given or [socket.gethostname().lower()]), *LOOPBACK]))


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def _tell(kept: "Iterable[Kept]") -> None:
    now = _now()
    for one in kept:
        facts, state = one.facts, ""
        if facts.soon(now):
            state = ", ENDED" if facts.ends <= now else ", soon: pathfinder certs renew"
        typer.echo(f"{one.name}: {one.path}")
        if facts.hosts:
            typer.echo(f"  for    {', '.join(facts.hosts)}")
        typer.echo(f"  ends   {facts.ends:%Y-%m-%d %H:%M} UTC{state}")
        typer.echo(f"  sha256 {facts.fingerprint}")
