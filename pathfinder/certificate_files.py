"""A directory with a private authority and the certificates it signed, each with its key in a directory of its own.

    DIRECTORY/ca.crt            the authority's certificate: for everybody
    DIRECTORY/ca.key            its key: stays here
    DIRECTORY/api/tls.crt       a certificate,
    DIRECTORY/api/tls.key       its key,
    DIRECTORY/api/ca.crt        and the authority's once more: `api/` is all that the API's machine gets

Whatever is made is there as a whole or not at all. A certificate that is renewed keeps its key, so that the two always
fit, and its file is replaced in one step by one with the same owner.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pathfinder.certificates import Facts, Pair, facts, make_authority, make_leaf, renewed
from pathfinder.domain import names
from pathfinder.domain.errors import AlreadyExists, Invalid

CA, CA_KEY = "ca.crt", "ca.key"
CERTIFICATE, KEY = "tls.crt", "tls.key"
#: What every Pathfinder needs.
SERVICES = ("api", "broker")
AUTHORITY = "authority"


@dataclass(frozen=True, slots=True)
class Kept:
    """A certificate of the directory; `name` is that of its own directory, or `AUTHORITY`."""

    name: str
    path: Path
    facts: Facts


class CertificateFiles:
    """The files of one authority. Every method raises Invalid where a file cannot be read or written."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def create(self, hosts: Sequence[str], now: datetime) -> None:
        """Make the authority and the services' certificates. Raises AlreadyExists where anything is."""
        if self.directory.exists() and (not self.directory.is_dir() or any(self.directory.iterdir())):
            raise AlreadyExists(
                f"{self.directory} is there and not empty; nothing was changed. Renew what it holds with "
                "`pathfinder certs renew`, or choose another with --directory."
            )
        authority = make_authority(now)
        with _told("make"), _whole(self.directory) as draft:
            _write(draft, {CA: authority.certificate, CA_KEY: authority.key})
            for name in SERVICES:
                (draft / name).mkdir()
                (draft / name).chmod(0o755)
                _write_leaf(draft / name, make_leaf(authority, name, hosts, now), authority)

    def add(self, name: str, hosts: Sequence[str], now: datetime) -> Path:
        """One more certificate, and the directory it is in. Raises AlreadyExists for a name that has one."""
        try:
            own = self.directory / names.hostname(name)
        except ValueError as error:
            raise Invalid(f"{error}.") from error
        authority = self._authority()
        if own.exists():
            raise AlreadyExists(f"{own} is there already; nothing was changed. To make it anew, remove it first.")
        leaf = make_leaf(authority, name, hosts, now)
        with _told("make"), _whole(own) as draft:
            _write_leaf(draft, leaf, authority)
        return own

    def renew(self, now: datetime, *, every: bool = False) -> list[Kept]:
        """Renew the certificates that end soon, or all, and return them. The authority stays."""
        authority = self._authority()
        due = [kept for kept in self.all()[1:] if every or kept.facts.soon(now)]
        for kept in due:
            with _told("renew"), _named(kept.path):
                _replace(kept.path, renewed(authority, kept.path.read_bytes(), now))
        return [self._kept(kept.name, kept.path) for kept in due]

    def all(self) -> list[Kept]:
        """The authority's certificate, then the others by name."""
        leaves = sorted(self.directory.glob(f"*/{CERTIFICATE}"))
        return [self._kept(AUTHORITY, self.directory / CA), *(self._kept(path.parent.name, path) for path in leaves)]

    def _kept(self, name: str, path: Path) -> Kept:
        text = self._read(path)
        with _named(path):
            return Kept(name, path, facts(text))

    def _authority(self) -> Pair:
        return Pair(self._read(self.directory / CA), self._read(self.directory / CA_KEY))

    def _read(self, path: Path) -> bytes:
        with _told("read"):
            return path.read_bytes()


@contextmanager
def _told(doing: str) -> Iterator[None]:
    """Raise Invalid for what the file system refuses."""
    try:
        yield
    except OSError as error:
        if isinstance(error, FileNotFoundError) and doing == "read":
            advice = "`pathfinder certs init` makes an authority; --directory says where one is."
            raise Invalid(f"There is no {error.filename}. {advice}") from error
        raise Invalid(
            f"Cannot {doing} {error.filename or 'it'}: {error.strerror}. Run this as a user who may, or choose another "
            "directory with --directory."
        ) from error


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Say which file it is that is not right."""
    try:
        yield
    except Invalid as error:
        raise Invalid(f"{path}: {error}") from error


@contextmanager
def _whole(directory: Path) -> Iterator[Path]:
    """A draft that becomes `directory` at the end, at once, or leaves nothing."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    try:
        yield draft
        draft.chmod(0o755)
        draft.rename(directory)  # over an empty directory, too
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def _write_leaf(directory: Path, leaf: Pair, authority: Pair) -> None:
    _write(directory, {CERTIFICATE: leaf.certificate, KEY: leaf.key, CA: authority.certificate})


def _write(directory: Path, files: Mapping[str, bytes], owner: tuple[int, int] = (-1, -1)) -> None:
    for name, text in files.items():
        # Never through a link that somebody put there: others than its maker may own the directory.
        with os.fdopen(os.open(directory / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(text)
            os.fchown(file.fileno(), *owner)
            os.fchmod(file.fileno(), 0o600 if name.endswith(".key") else 0o644)
            os.fsync(file.fileno())


def _replace(path: Path, text: bytes) -> None:
    old, draft = path.stat(), path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    try:
        _write(path.parent, {draft.name: text}, (old.st_uid, old.st_gid))
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
