"""TLS as its clients see it: whom they trust, and why there is none with somebody."""

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pathfinder.domain.errors import Invalid

_RENEW = "Renew it where it is: pathfinder certs renew"
_OTHER_NAME = "Use a name that it is for, or have one made for this: pathfinder certs add --host"
_AUTHORITY = "Name its authority's certificate: PATHFINDER_CA_FILE, or for pfi: pfi config set ca FILE (or PFI_CA)"
_UNKNOWN = ("it shows a certificate of an authority that is not trusted here", _AUTHORITY)
#: By OpenSSL's numbers (X509_V_ERR_…): what is wrong with a certificate, and what to do.
_DISTRUSTED = {
    9: ("its certificate is not valid yet", "Set the clocks of both machines right"),
    10: ("its certificate has ended", _RENEW),
    18: _UNKNOWN,
    19: _UNKNOWN,
    20: _UNKNOWN,
    21: _UNKNOWN,
    62: ("its certificate is not for that name", _OTHER_NAME),
    64: ("its certificate is not for that address", _OTHER_NAME),
}
#: OpenSSL's words for an answer that is no TLS.
_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "UNEXPECTED_MESSAGE")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is no TLS with somebody, and what to do."""

    reason: str
    advice: str

    def __str__(self) -> str:
        return f"{self.reason}. {self.advice}"


@cache
def shared(ca_file: Path | None, protocol: str) -> ssl.SSLContext:
    """The one `trusting` of a protocol's clients, for loading authorities takes long.

    Libraries write into it which protocol they speak, and servers of another refuse that.
    """
    return trusting(ca_file)


def trusting(ca_file: Path | None) -> ssl.SSLContext:
    """What trusts the authorities in `ca_file`, or else this system's. Raises Invalid for one without certificates."""
    try:
        return ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError:
        reason = "it holds no certificates as PEM"
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
    raise Invalid(f"The authority's certificates cannot be read from {ca_file}: {reason}.")


def verifying(url: str, ca_file: Path | None) -> ssl.SSLContext | bool:
    """The `verify` of an HTTP client of that URL; plain HTTP needs no authorities."""
    return shared(ca_file, "http") if url.lower().startswith("https:") else False


def refusal(error: BaseException) -> Refusal | None:
    """What TLS has to say about an error, if it is behind it."""
    for cause in causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            words = _DISTRUSTED.get(cause.verify_code, (f"its certificate is not good: {cause.verify_message}", _RENEW))
            return Refusal(*words)
        if isinstance(cause, ssl.SSLError):
            if cause.reason in _NO_TLS:
                return Refusal("it does not speak TLS there", "Look at the port, or have TLS switched on there")
            return Refusal(f"TLS failed: {cause.reason or cause}", "The log of the server may say more")
    return None


def words(error: BaseException) -> str:
    """An error of a connection, for a log; of a group, what it consists of."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(dict.fromkeys(map(words, error.exceptions)))
    return str(refusal(error) or error) or type(error).__name__


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error, and what is behind it, each once: an error that a library raises again may be behind itself."""
    seen = set[int]()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__
