"""`ports.versions.Versions`: files of this machine, https addresses, objects in S3.

A file is looked at whole before anything begins. What a host fetches by itself is checked there,
before it is unpacked; an object in S3 is handed over as an address signed for an hour, so hosts
need no rights of their own. Sources: Amazon S3 user guide, presigned URLs; and its "Signature
Version 2": buckets made since June 2020, and objects under KMS keys, take version 4 only, while
boto3 signs addresses by version 2 in the older regions unless told otherwise.
"""

from __future__ import annotations

import hashlib
import lzma
import tarfile
import threading
import zlib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import requests
from botocore.exceptions import BotoCoreError, ClientError

from kafkaops.adapters.aws_errors import client, translated
from kafkaops.config.schema import Aws, Version
from kafkaops.engine.errors import ConfigError
from kafkaops.ports.versions import Tarball

SIGNED_FOR = 3600
CHUNK = 1 << 20
NO_TARBALL = (tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError)
GONE = (404, 410)


class VersionSources:
    def __init__(self, versions: Mapping[str, Version], aws: Aws) -> None:
        self._versions = versions
        self._aws = aws
        self._known: dict[str, Tarball] = {}
        self._looking = threading.Lock()  # the lanes of a batch ask at once, and a look reads all

    def sha512(self, release: str) -> str:
        return self._spec(release).sha512

    def tarball(self, release: str) -> Tarball:
        with self._looking:
            if release not in self._known:
                self._known[release] = self._look(release)
        found = self._known[release]
        if self._versions[release].source.startswith("s3://"):
            return self._signed(release)  # anew: a signature does not outlive a long roll
        return found

    def _spec(self, release: str) -> Version:
        if release not in self._versions:
            known = ", ".join(sorted(self._versions)) or "none"
            raise ConfigError(
                "KO-VERSION-UNKNOWN",
                f"the config names no tarball of Kafka {release} (it names: {known})",
                where="versions",
                hint=f'under `versions:` add "{release}": with `source` and `sha512`',
            )
        return self._versions[release]

    def _look(self, release: str) -> Tarball:
        spec = self._spec(release)
        if spec.source.startswith("s3://"):
            return self._signed(release)
        if spec.source.startswith("https://"):
            return Tarball(release, spec.sha512, url=spec.source, size=_size(spec.source))
        return _file(release, Path(spec.source), spec.sha512)

    def _signed(self, release: str) -> Tarball:
        spec = self._versions[release]
        bucket, _, key = spec.source.removeprefix("s3://").partition("/")
        try:
            size = int(self._s3.head_object(Bucket=bucket, Key=key)["ContentLength"])
            url = self.signed(bucket, key)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in {"404", "NoSuchKey", "NoSuchBucket"}:
                raise _absent(spec.source, "there is no such object") from None
            if code == "403":  # the answer to a HEAD has no body that could say AccessDenied
                raise _denied(spec.source) from None
            raise translated(error, "s3:GetObject") from None
        except BotoCoreError as error:
            raise translated(error, "s3:GetObject") from None
        return Tarball(release, spec.sha512, url=url, size=size)

    def signed(self, bucket: str, key: str) -> str:
        """The address of an object, good for `SIGNED_FOR` seconds. Nobody is asked."""
        params = {"Bucket": bucket, "Key": key}
        url = self._s3.generate_presigned_url("get_object", Params=params, ExpiresIn=SIGNED_FOR)
        return str(url)

    @cached_property
    def _s3(self) -> Any:
        # by its region's own name, for a signed address cannot follow a redirect to another one
        style = {} if self._aws.endpoint_url else {"s3": {"addressing_style": "virtual"}}
        return client("s3", self._aws, signature_version="s3v4", **style)


def _file(release: str, path: Path, sha512: str) -> Tarball:
    digest, size = hashlib.sha512(), 0
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
                size += len(chunk)
    except OSError as error:
        raise _absent(str(path), error.strerror or str(error)) from None
    if digest.hexdigest() != sha512:
        raise ConfigError(
            "KO-VERSION-CHECKSUM",
            f"its SHA-512 is {digest.hexdigest()}, and the config says {sha512}",
            where=str(path),
            hint="fetch it again, or correct `sha512` from where you trust it",
        )
    wanted = f"libs/kafka-clients-{release}.jar"
    try:
        with tarfile.open(path) as archive:
            names = [name.partition("/")[2] for name in archive.getnames()]
            # beyond the last name too: what packed it keeps its own checksum at the very end
            while archive.fileobj is not None and archive.fileobj.read(CHUNK):
                pass
    except NO_TARBALL as error:
        raise _absent(str(path), f"it is no tarball: {error}") from None
    if wanted not in names:
        held = sorted(n for n in names if n.startswith("libs/kafka-clients-"))
        raise ConfigError(
            "KO-VERSION-OTHER",
            f"it holds {', '.join(held) or 'no Kafka'}, not {wanted}",
            where=str(path),
            hint=f"give the tarball of Kafka {release}",
        )
    return Tarball(release, sha512, file=path, size=size)


def _size(url: str) -> int:
    """What the server says; 0 when it does not, or is not to be reached from here: the hosts will
    say what is wrong. ConfigError where it knows no such file."""
    try:
        answer = requests.head(url, timeout=10, allow_redirects=True)
        size = int(answer.headers.get("Content-Length", 0)) if answer.ok else 0
    except (requests.RequestException, ValueError):
        return 0
    if answer.status_code in GONE:
        raise _absent(url, f"the server has no such file ({answer.status_code})")
    return size


def _absent(source: str, why: str) -> ConfigError:
    return ConfigError(
        "KO-VERSION-SOURCE", why, where=source, hint="correct `source` of this version"
    )


def _denied(source: str) -> ConfigError:
    return ConfigError(
        "KO-AWS-DENIED",
        f"AWS denies s3:GetObject of {source}, or has none and denies s3:ListBucket",
        where=source,
        hint="allow s3:GetObject of it, and s3:ListBucket of its bucket, to this role",
    )
