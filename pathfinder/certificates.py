"""Certificates of a private authority: made, renewed and read. Pure but for randomness; the moment is passed in."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pathfinder.domain.errors import Invalid

AUTHORITY_LIFE = timedelta(days=3650)
LEAF_LIFE = timedelta(days=365)
#: What ends within this time is renewed.
SOON = timedelta(days=30)
#: Certificates begin this much before they are made: clocks of machines differ.
EARLIER = timedelta(hours=1)
#: How every server is reached from its own machine.
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class Facts:
    """What a certificate says of itself. `fingerprint` is its SHA-256, in hexadecimal."""

    name: str
    hosts: tuple[str, ...]
    ends: datetime
    fingerprint: str

    def soon(self, now: datetime) -> bool:
        """Whether it is time to renew it."""
        return self.ends - now <= SOON


def make_authority(now: datetime) -> Pair:
    """A new authority, which signs nothing but leaves."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _named(f"Pathfinder authority {now:%Y-%m-%d}")
    builder = _begun(subject, subject, key.public_key(), now, now + AUTHORITY_LIFE)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(signs=True), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    return Pair(_pem(builder.sign(key, hashes.SHA256())), _key_pem(key))


def make_leaf(authority: Pair, name: str, hosts: Sequence[str], now: datetime) -> Pair:
    """A new key, and a certificate for it with which a server of `hosts` (names or addresses) shows that it is one.

    It is good for clients, too: servers that are one another's clients, as of LXD or RabbitMQ, have one certificate.
    Raises Invalid for what is no host.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    return Pair(_signed(authority, key.public_key(), name, hosts, now), _key_pem(key))


def renewed(authority: Pair, certificate: bytes, now: datetime) -> bytes:
    """A certificate that says the same, for the same key, and lasts anew.

    Raises Invalid for one of another authority: whoever may write the file of a certificate must not have names signed.
    """
    old = _parsed(certificate)
    try:
        old.verify_directly_issued_by(_parsed(authority.certificate))
    except (ValueError, TypeError, InvalidSignature) as error:
        raise Invalid("It is not of this authority, which renews its own only.") from error
    public = old.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)  # noqa: S101 - `make_leaf` makes no others
    return _signed(authority, public, _name(old), _hosts(old), now)


def facts(certificate: bytes) -> Facts:
    """What it says. Raises Invalid for what is no certificate."""
    read = _parsed(certificate)
    return Facts(_name(read), _hosts(read), read.not_valid_after_utc, read.fingerprint(hashes.SHA256()).hex())


def _signed(
    authority: Pair, public: ec.EllipticCurvePublicKey, name: str, hosts: Sequence[str], now: datetime
) -> bytes:
    issuer, key = _parsed(authority.certificate), _private(authority.key)
    if issuer.not_valid_after_utc <= now:
        raise Invalid(
            f"The authority ended on {issuer.not_valid_after_utc:%Y-%m-%d}. Make a new one in another directory, and "
            "give its ca.crt to everybody before its certificates."
        )
    ends = min(now + LEAF_LIFE, issuer.not_valid_after_utc)
    builder = _begun(_named(name), issuer.subject, public, now, ends)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(signs=False), critical=True)
    both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = builder.add_extension(x509.ExtendedKeyUsage(both), critical=False)
    builder = builder.add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    known = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    by = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(known)
    return _pem(builder.add_extension(by, critical=False).sign(key, hashes.SHA256()))


def _begun(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, now: datetime, ends: datetime
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder(issuer, subject, public, x509.random_serial_number())
    return builder.not_valid_before(now - EARLIER).not_valid_after(ends)


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        pass
    labels = host.removeprefix("*.").split(".")
    if not all(label and label.replace("-", "").isalnum() and label.isascii() for label in labels):
        raise Invalid(f"{host!r} is no host; write a name or an address, without port.")
    return x509.DNSName(host)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _name(certificate: x509.Certificate) -> str:
    found = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else certificate.subject.rfc4514_string()


def _hosts(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return (*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress)))


def _parsed(certificate: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(certificate)
    except ValueError as error:
        raise Invalid("It holds no certificate as PEM.") from error


def _private(key: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        loaded = serialization.load_pem_private_key(key, None)
    except (TypeError, ValueError) as error:
        raise Invalid("The authority's key is no private key as PEM.") from error
    if not isinstance(loaded, ec.EllipticCurvePrivateKey):
        raise Invalid("The authority's key is none that `pathfinder certs init` made.")
    return loaded


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
