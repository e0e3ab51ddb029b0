"""Tarballs of Kafka releases, as small as they can be; the same bytes each time."""

from __future__ import annotations

import gzip
import hashlib
import io
import lzma
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

RELEASE = "4.3.1"
TOP = f"kafka_2.13-{RELEASE}"
CLIENTS = f"libs/kafka-clients-{RELEASE}.jar"
FILES = {CLIENTS: b"clients", f"libs/kafka_2.13-{RELEASE}.jar": bytes(range(256)) * 400}


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gz": lambda data: gzip.compress(data, mtime=0),  # the same bytes in another second too
    "xz": lzma.compress,
    "": lambda data: data,
}


def packed(files: Mapping[str, bytes] = FILES, top: str = f"{TOP}/", pack: str = "gz") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(f"{top}{name}")
            entry.size, entry.mode = len(data), 0o644
            tar.addfile(entry, io.BytesIO(data))
    return PACKERS[pack](out.getvalue())


def digest(data: bytes) -> str:
    return hashlib.sha512(data).hexdigest()


def kept(directory: Path, data: bytes) -> Path:
    path = directory / "kafka.tgz"
    path.write_bytes(data)
    return path
