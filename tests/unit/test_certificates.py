"""The private authority: what it makes, renews, keeps and refuses."""

import os
import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pathfinder import certificates, tls
from pathfinder.certificate_files import CertificateFiles
from pathfinder.certificates import LOOPBACK
from pathfinder.cli.operator import app
from pathfinder.domain.errors import AlreadyExists, Invalid
from pathfinder.server_certificate import ServerCertificate

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
HOSTS = ("pathfinder.example.org", "10.0.0.5", "::1")


@pytest.fixture
def files(tmp_path: Path) -> CertificateFiles:
    """An authority with its first certificates."""
    made = CertificateFiles(tmp_path / "certs")
    made.create(HOSTS, NOW)
    return made


def everything(directory: Path) -> dict[str, bytes]:
    """Each file and what is in it."""
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_an_authority_lasts_ten_years_and_its_certificates_one(files: CertificateFiles) -> None:
    """Each names the hosts it is for; the authority names none."""
    authority, *leaves = files.all()

    assert (authority.facts.ends - NOW).days == 3650
    assert [leaf.name for leaf in leaves] == ["api", "broker"]
    assert all((leaf.facts.ends - NOW).days == 365 and set(leaf.facts.hosts) == set(HOSTS) for leaf in leaves)


def test_nobody_but_its_owner_reads_a_key(files: CertificateFiles) -> None:
    """Certificates are for everybody."""
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in files.directory.rglob("*") if path.is_file()}

    assert modes == {"ca.crt": 0o644, "ca.key": 0o600, "tls.crt": 0o644, "tls.key": 0o600}


def test_an_authority_is_never_overwritten(files: CertificateFiles) -> None:
    """Everybody who trusts it would trust nobody any more."""
    before = everything(files.directory)

    with pytest.raises(AlreadyExists, match="certs renew"):
        files.create(HOSTS, NOW)
    with pytest.raises(AlreadyExists, match="remove it first"):
        files.add("api", HOSTS, NOW)
    assert everything(files.directory) == before


@pytest.mark.parametrize("host", ["10.0.0.5:8080", "https://here", "", "two words", "ümlaut.example.org", "a..b"])
def test_what_is_no_host_leaves_nothing_behind(tmp_path: Path, host: str) -> None:
    """Nothing is half-made: neither a directory nor a draft of one."""
    with pytest.raises(Invalid, match="is no host"):
        CertificateFiles(tmp_path / "certs").create([host], NOW)
    assert list(tmp_path.iterdir()) == []


def test_what_ends_soon_is_renewed_and_nothing_else(files: CertificateFiles) -> None:
    """With the same key and hosts; the authority stays what everybody trusts."""
    files.add("node-01", ["node-01"], NOW + timedelta(days=100))
    before, later = everything(files.directory), NOW + timedelta(days=336)
    hosts = {kept.name: kept.facts.hosts for kept in files.all()}

    assert [kept.name for kept in files.renew(later)] == ["api", "broker"]
    after = everything(files.directory)
    assert {name for name in after if after[name] != before[name]} == {"api/tls.crt", "broker/tls.crt"}
    assert {kept.name: kept.facts.hosts for kept in files.all()} == hosts
    assert files.renew(later) == []
    assert [kept.name for kept in files.renew(later, every=True)] == ["api", "broker", "node-01"]
    for leaf in files.all()[1:]:
        assert (leaf.facts.ends - later).days == 365
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(leaf.path, leaf.path.with_name("tls.key"))


def test_no_certificate_outlives_its_authority(files: CertificateFiles) -> None:
    """And one that has ended signs nothing."""
    renewed = files.renew(NOW + timedelta(days=3600), every=True)
    assert {kept.facts.ends for kept in renewed} == {files.all()[0].facts.ends}

    with pytest.raises(Invalid, match="The authority ended on 2036-11-28"):
        files.renew(NOW + timedelta(days=3651))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_renewed_certificate_belongs_to_whom_the_old_one_did(files: CertificateFiles) -> None:
    """The service that reads it is another user than the one who renews."""
    old = files.directory / "api" / "tls.crt"
    os.chown(old, 12345, 12345)

    files.renew(NOW, every=True)

    assert (old.stat().st_uid, old.stat().st_gid) == (12345, 12345)


def test_only_what_the_authority_signed_is_renewed(files: CertificateFiles) -> None:
    """A service that may write its own certificate cannot have another name signed that way."""
    stranger = certificates.make_leaf(certificates.make_authority(NOW), "api", ["broker.example.org"], NOW)
    (files.directory / "api" / "tls.crt").write_bytes(stranger.certificate)

    with pytest.raises(Invalid, match=r"api/tls\.crt: It is not of this authority"):
        files.renew(NOW, every=True)


def test_a_broken_directory_is_told_by_its_file(files: CertificateFiles) -> None:
    """And an empty one, by what to do."""
    (files.directory / "api" / "tls.crt").write_text("not a certificate")
    with pytest.raises(Invalid, match=r"api/tls\.crt: It holds no certificate"):
        files.all()

    with pytest.raises(Invalid, match="`pathfinder certs init` makes an authority"):
        CertificateFiles(files.directory / "nowhere").renew(NOW)
    (files.directory / "ca.key").write_text("not a key")
    with pytest.raises(Invalid, match="no private key"):
        files.add("node-01", HOSTS, NOW)


def test_certificates_are_strict_enough_for_every_client(tmp_path: Path) -> None:
    """Python 3.13 and others refuse certificates whose extensions are not as RFC 5280 wants them."""
    files = CertificateFiles(tmp_path / "certs")
    files.create(HOSTS, datetime.now(UTC))
    context = ssl.create_default_context(cafile=files.directory / "ca.crt")
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(files.directory / "api" / "tls.crt", files.directory / "api" / "tls.key")

    shake_hands(context, server, "pathfinder.example.org")
    shake_hands(context, server, "10.0.0.5")
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(context, server, "elsewhere.example.org")


def shake_hands(client: ssl.SSLContext, server: ssl.SSLContext, host: str) -> ssl.SSLObject:
    """The client's end of a TLS handshake in memory. Raises SSLError if either side refuses."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(down, up, server_hostname=host)
    answering = server.wrap_bio(up, down, server_side=True)
    waiting = [asking, answering]
    for _ in range(10):
        for side in list(waiting):
            try:
                side.do_handshake()
                waiting.remove(side)
            except ssl.SSLWantReadError:
                continue
    assert not waiting
    return asking


def shown(server: ServerCertificate, ca_file: Path) -> str:
    """The fingerprint of what a new connection is shown."""
    client = ssl.create_default_context(cafile=ca_file)
    found = shake_hands(client, server.context, "localhost").getpeercert(binary_form=True)
    assert found
    return certificates.facts(ssl.DER_cert_to_PEM_cert(found).encode()).fingerprint


def test_a_server_shows_a_renewed_certificate_and_none_that_is_broken(tmp_path: Path) -> None:
    """What cannot be used leaves the former one in place, until there is one that can."""
    files = CertificateFiles(tmp_path / "certs")
    files.create(LOOPBACK, datetime.now(UTC))
    ca, certificate, key = (files.directory / name for name in ("ca.crt", "api/tls.crt", "api/tls.key"))
    server = ServerCertificate(certificate, key)
    first = shown(server, ca)

    certificate.write_bytes((files.directory / "broker" / "tls.crt").read_bytes())  # its key comes later
    server.refresh()
    assert shown(server, ca) == first
    key.write_bytes((files.directory / "broker" / "tls.key").read_bytes())
    server.refresh()
    second = shown(server, ca)
    assert second == certificates.facts(certificate.read_bytes()).fingerprint != first
    certificate.unlink()
    server.refresh()
    assert shown(server, ca) == second


def test_a_certificate_that_cannot_be_used_is_told_when_it_is_asked_for(files: CertificateFiles) -> None:
    """By its files and what is wrong with them."""
    own = files.directory / "api"

    with pytest.raises(Invalid, match="cannot be read: No such file"):
        ServerCertificate(own / "nowhere", own / "tls.key")
    with pytest.raises(Invalid, match="are no certificate and its key"):
        ServerCertificate(own / "tls.crt", files.directory / "ca.key")


def test_clients_of_one_protocol_share_what_they_trust_and_no_others(files: CertificateFiles) -> None:
    """A library writes its protocol into it, and a server of another one refuses that."""
    ca_file = files.directory / "ca.crt"

    assert tls.shared(ca_file, "http") is tls.shared(ca_file, "http") is tls.verifying("https://here", ca_file)
    assert tls.shared(ca_file, "http") is not tls.shared(ca_file, "amqp")
    assert tls.trusting(ca_file) is not tls.trusting(ca_file)
    assert tls.verifying("http://here", ca_file) is False


def test_the_command_makes_shows_and_renews(tmp_path: Path) -> None:
    """Loopback is always among the hosts, so that a machine's own programs reach it."""
    at = ["--directory", str(tmp_path / "certs")]
    run = CliRunner().invoke

    made = run(app, ["certs", "init", *at, "--host", "pathfinder.example.org"])
    assert made.exit_code == 0, made.output
    assert "pathfinder.example.org, localhost, 127.0.0.1, ::1" in made.output
    assert run(app, ["certs", "add", "postgres", *at]).output.startswith("postgres: ")
    assert "--force renews all" in run(app, ["certs", "renew", *at]).output
    assert run(app, ["certs", "renew", "--force", *at]).output.count("sha256") == 3
    shown = run(app, ["certs", "show", *at]).output
    assert [line.split(":")[0] for line in shown.splitlines() if line[0] != " "] == [
        "authority",
        "api",
        "broker",
        "postgres",
    ]
    fingerprint = certificates.facts((tmp_path / "certs/ca.crt").read_bytes()).fingerprint
    assert fingerprint in shown
