"""The certificate that a server shows, read anew when it was renewed."""

import ssl
from pathlib import Path

import structlog

from pathfinder.domain.errors import Invalid

log = structlog.get_logger()


class ServerCertificate:
    """A certificate with its key, which new connections of `context` are shown; open ones go on with theirs.

    Raises Invalid for files that cannot be used.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self._files = certificate, key
        self._seen = self._stamp()
        self.context = self._loaded()

    def refresh(self) -> None:
        """Read the files anew if they changed; what cannot be used is told, and the former certificate stays."""
        if (now := self._stamp()) == self._seen:
            return
        try:
            self._loaded()  # apart, for a failure would leave half of it
            self.context.load_cert_chain(*self._files)
        except (Invalid, OSError) as error:
            log.error("certificate not renewed; the former one is still shown", error=str(error))
        else:
            log.info("certificate read anew", file=str(self._files[0]))
        self._seen = now

    def _loaded(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.set_alpn_protocols(["http/1.1"])
        certificate, key = self._files
        try:
            context.load_cert_chain(certificate, key, password=_no_password)
        except ssl.SSLError as error:
            raise Invalid(f"{certificate} and {key} are no certificate and its key as PEM: {error.reason}.") from error
        except OSError as error:
            raise Invalid(
                f"The certificate {certificate} or its key {key} cannot be read: {error.strerror}. Both must belong to "
                "the account that this runs as."
            ) from error
        return context

    def _stamp(self) -> tuple[object, ...]:
        return tuple(_stamp(path) for path in self._files)


def _no_password() -> str:
    """A key that wants one is refused; OpenSSL would ask on the terminal."""
    return ""


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns
