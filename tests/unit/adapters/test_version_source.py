"""Tarballs of Kafka releases: real ones, from a file, a server of this machine, and moto's S3."""

from __future__ import annotations

import gzip
import lzma
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kafkaops.adapters.host_local import LocalHost
from kafkaops.adapters.version_source import SIGNED_FOR, VersionSources
from kafkaops.config.schema import Aws, Version
from kafkaops.engine.errors import ConfigError, StepFailed
from kafkaops.ports.versions import Tarball
from tests.unit.adapters.aws_lab import REGION, AwsLab, moto_port
from tests.unit.adapters.tarballs import CLIENTS, RELEASE, TOP, digest, kept, packed
from tests.unit.adapters.volume_parts import needs

needs_curl = needs("curl", "curl")


def source(where: str | Path, sha512: str, aws: Aws | None = None) -> VersionSources:
    spec = Version(source=str(where), sha512=sha512)
    return VersionSources({RELEASE: spec}, aws or Aws())


def refused(sources: VersionSources, release: str = RELEASE) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        sources.tarball(release)
    assert caught.value.hint
    assert caught.value.exit == 4
    return caught.value


# files


def test_a_file_is_read_once_for_all_who_ask_at_the_same_time(tmp_path: Path) -> None:
    data = packed()
    meeting, looks = threading.Barrier(2), []

    class Counting(VersionSources):
        def _look(self, release: str) -> Tarball:
            looks.append(release)
            with suppress(threading.BrokenBarrierError):
                meeting.wait(0.2)  # a second one would come meanwhile
            return super()._look(release)

    spec = Version(source=str(kept(tmp_path, data)), sha512=digest(data))
    sources = Counting({RELEASE: spec}, Aws())
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(sources.tarball, [RELEASE] * 4))
    assert looks == [RELEASE]
    assert {tarball.sha512 for tarball in found} == {digest(data)}


@pytest.mark.parametrize("pack", ["gz", "", "xz"])
def test_a_file_with_the_checksum_and_the_release_that_were_said(tmp_path: Path, pack: str) -> None:
    data = packed(pack=pack)
    path = kept(tmp_path, data)
    sources = source(path, digest(data).upper())
    assert sources.tarball(RELEASE) == Tarball(RELEASE, digest(data), path, size=len(data))
    path.unlink()  # read once a process
    assert sources.tarball(RELEASE).file == path


def test_a_release_that_the_config_does_not_name(tmp_path: Path) -> None:
    error = refused(source(tmp_path / "x", "0" * 128), "4.2.0")
    assert error.code == "KO-VERSION-UNKNOWN"
    assert RELEASE in error.message
    assert '"4.2.0"' in error.hint


def test_another_checksum_names_both_and_is_looked_at_anew_once_cured(tmp_path: Path) -> None:
    data = packed()
    path = kept(tmp_path, data[:-1])
    sources = source(path, digest(data))
    error = refused(sources)
    assert (error.code, error.where) == ("KO-VERSION-CHECKSUM", str(path))
    assert digest(data) in error.message
    assert digest(data[:-1]) in error.message
    path.write_bytes(data)
    assert sources.tarball(RELEASE).size == len(data)


OLDER, SIGNATURE = "libs/kafka-clients-4.2.0.jar", f"{CLIENTS}.asc"


@pytest.mark.parametrize(
    ("name", "top", "held"),
    [
        (OLDER, f"{TOP}/", OLDER),
        ("core/src/Kafka.scala", f"{TOP}/", "no Kafka"),
        (SIGNATURE, f"{TOP}/", SIGNATURE),
        # a host takes away the one directory on top
        (CLIENTS, "", "no Kafka"),
        (CLIENTS, f"./{TOP}/", "no Kafka"),
        (CLIENTS, f"../{TOP}/", "no Kafka"),
    ],
)
def test_what_is_another_release_or_none(tmp_path: Path, name: str, top: str, held: str) -> None:
    data = packed({name: b"x"}, top)
    error = refused(source(kept(tmp_path, data), digest(data)))
    assert error.code == "KO-VERSION-OTHER"
    assert held in error.message
    assert CLIENTS in error.message


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


SPOILT: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "text": lambda: b"<html>404 Not Found</html>" * 100,
    "one file, packed": lambda: gzip.compress(b"no archive in it" * 1000),
    "a download that ended early": lambda: packed()[: len(packed()) // 2],
    "all but the last byte": lambda: packed()[:-1],
    "a bit in the packed data": lambda: flipped(packed(), len(packed()) // 2),
    "a bit in the checksum at the end": lambda: flipped(packed(), len(packed()) - 6),
    "xz that ended early": lambda: packed(pack="xz")[:-20],
    "xz with a bit flipped": lambda: flipped(packed(pack="xz"), 300),
    "no tar in xz": lambda: lzma.compress(b"no archive in it" * 1000),
    "a tar that ends in a file": lambda: packed(pack="")[:20_000],
}


@pytest.mark.parametrize("what", SPOILT)
def test_no_tarball_though_the_checksum_is_its_own(tmp_path: Path, what: str) -> None:
    """Somebody counted the sum of what had come, and wrote that into the config."""
    data = SPOILT[what]()
    error = refused(source(kept(tmp_path, data), digest(data)))
    assert (error.code, error.where) == ("KO-VERSION-SOURCE", str(tmp_path / "kafka.tgz"))
    assert "no tarball" in error.message


def test_a_file_that_is_not_there_or_is_a_directory(tmp_path: Path) -> None:
    error = refused(source(tmp_path / "none.tgz", "0" * 128))
    assert (error.code, error.message) == ("KO-VERSION-SOURCE", "No such file or directory")
    error = refused(source(tmp_path, "0" * 128))
    assert (error.code, error.message) == ("KO-VERSION-SOURCE", "Is a directory")


# https


class Server:
    """An https server of this machine: `pages` by path, each a status and a body."""

    def __init__(self, certificate: Path) -> None:
        self.pages: dict[str, tuple[int, bytes]] = {}
        self.asked: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                server.asked.append(f"{self.command} {self.path}")
                status, body = server.pages.get(self.path, (404, b""))
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", body.decode())
                elif status != 206:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None: ...

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self.http.socket = context.wrap_socket(self.http.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and its own certificate, of this machine's address."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tarballs")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def server(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    made = Server(certificate)
    yield made
    made.close()


def test_an_address_is_for_the_hosts_and_only_its_size_is_asked_for(server: Server) -> None:
    server.pages["/kafka.tgz"] = (200, b"x" * 1234)
    url = f"{server.url}/kafka.tgz"
    sources = source(url, "a" * 128)
    assert sources.tarball(RELEASE) == Tarball(RELEASE, "a" * 128, url=url, size=1234)
    sources.tarball(RELEASE)
    assert server.asked == ["HEAD /kafka.tgz"]


def test_an_address_that_leads_on_to_another(server: Server) -> None:
    server.pages["/latest"] = (302, f"{server.url}/kafka.tgz".encode())
    server.pages["/kafka.tgz"] = (200, b"x" * 77)
    found = source(f"{server.url}/latest", "a" * 128).tarball(RELEASE)
    assert (found.size, found.url) == (77, f"{server.url}/latest")


@pytest.mark.parametrize("status", [404, 410])
def test_an_address_without_a_file_is_said_before_any_host_asks(
    server: Server, status: int
) -> None:
    server.pages["/kafka.tgz"] = (status, b"nothing here")
    error = refused(source(f"{server.url}/kafka.tgz", "a" * 128))
    assert (error.code, error.where) == ("KO-VERSION-SOURCE", f"{server.url}/kafka.tgz")
    assert str(status) in error.message


@pytest.mark.parametrize("status", [403, 405, 500, 206])
def test_a_server_that_does_not_say_is_left_to_the_hosts(server: Server, status: int) -> None:
    """Some serve files, and answer no HEAD; some serve the hosts alone."""
    server.pages["/kafka.tgz"] = (status, b"not for you")
    assert source(f"{server.url}/kafka.tgz", "a" * 128).tarball(RELEASE).size == 0


def test_a_server_that_is_not_reached_or_not_trusted_from_here(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    assert source(f"{server.url}/kafka.tgz", "a" * 128).tarball(RELEASE).size == 0
    assert server.asked == []
    server.close()
    assert source(f"{server.url}/kafka.tgz", "a" * 128).tarball(RELEASE).size == 0


# S3


@pytest.fixture(scope="module")
def moto() -> Iterator[int]:
    with moto_port() as port:
        yield port


@pytest.fixture
def lab(moto: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsLab]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "operator")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    made = AwsLab(moto)
    s3 = made.client("s3")
    where = {"LocationConstraint": REGION}
    s3.create_bucket(Bucket="releases", CreateBucketConfiguration=where)
    s3.put_object(Bucket="releases", Key="kafka/a b.tgz", Body=packed())
    yield made
    s3.delete_object(Bucket="releases", Key="kafka/a b.tgz")
    s3.delete_bucket(Bucket="releases")
    made.close()


OBJECT = "s3://releases/kafka/a b.tgz"


@needs_curl
def test_an_object_comes_to_the_host_by_a_signed_address(lab: AwsLab, tmp_path: Path) -> None:
    data = packed()
    found = source(OBJECT, digest(data), lab.aws).tarball(RELEASE)
    assert (found.file, found.size, found.sha512) == (None, len(data), digest(data))
    host = LocalHost("h", "127.0.0.1", as_self=True)
    there = str(tmp_path / "versions" / ".4.3.1.tgz")
    host.fetch(there, found.url, sha512=found.sha512)
    assert host.read(there) == data


def test_an_address_is_signed_by_version_4_and_for_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    """By version 2, boto3's own choice in such a region, newer buckets and KMS keys refuse it."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "operator")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    for aws, place in (
        (Aws(region=REGION), f"https://releases.s3.{REGION}.amazonaws.com/kafka.tgz?"),
        (Aws(region=REGION, endpoint_url="https://s3.lab"), "https://s3.lab/releases/kafka.tgz?"),
    ):
        url = source("s3://releases/kafka.tgz", "a" * 128, aws).signed("releases", "kafka.tgz")
        assert url.startswith(place)
        assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in url
        assert f"X-Amz-Expires={SIGNED_FOR}" in url


def test_an_object_or_a_bucket_that_is_not_there(lab: AwsLab) -> None:
    for where in ("s3://releases/none.tgz", "s3://no-such-bucket/kafka.tgz"):
        error = refused(source(where, "a" * 128, lab.aws))
        assert (error.code, error.where) == ("KO-VERSION-SOURCE", where)


def test_an_object_that_this_role_may_not_read(lab: AwsLab) -> None:
    lab.caller("operator", "arn:aws:sts::123456789012:assumed-role/operator/x")
    error = refused(source(OBJECT, "a" * 128, lab.aws))
    assert (error.code, error.where) == ("KO-AWS-DENIED", OBJECT)
    assert "s3:GetObject" in error.hint


def test_nobody_to_sign(lab: AwsLab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert refused(source(OBJECT, "a" * 128, lab.aws)).code == "KO-AWS-CREDENTIALS"


@needs_curl
def test_a_host_is_told_another_checksum_or_nothing_and_keeps_nothing(
    lab: AwsLab, tmp_path: Path
) -> None:
    host = LocalHost("h", "127.0.0.1", as_self=True)
    there = tmp_path / "versions" / ".4.3.1.tgz"
    url = source(OBJECT, "a" * 128, lab.aws).tarball(RELEASE).url
    with pytest.raises(StepFailed) as caught:
        host.fetch(str(there), url, sha512="a" * 128)
    assert caught.value.code == "KO-HOST-CHECKSUM"
    with pytest.raises(StepFailed) as caught:
        host.fetch(str(there), url.replace("kafka", "none"), sha512="a" * 128)
    assert caught.value.code == "KO-HOST-PUT"
    assert "404" in caught.value.message
    assert "Signature" not in caught.value.message  # whoever reads it could fetch
    assert list(there.parent.iterdir()) == []
