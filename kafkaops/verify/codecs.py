"""Decompression of record batches by Kafka's codec number.

Invariant: the whole payload is decompressed, or DataFault is raised. Frames of lz4 and zstd may
be several in a row (an incremental writer), and declare no size.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

NAMES = {0: "none", 1: "gzip", 2: "snappy", 3: "lz4", 4: "zstd"}
_XERIAL = b"\x82SNAPPY\x00"


class DataFault(Exception):
    """Bytes of a log that do not follow the format: which, and what is wrong."""


def decompress(codec: int, payload: memoryview) -> bytes:
    """The records of one batch. DataFault when the codec is unknown or the payload broken."""
    inflate = _CODECS.get(codec)
    if inflate is None:
        raise DataFault(f"unknown compression codec {codec}")
    try:
        return inflate(payload)
    except Exception as error:
        raise DataFault(f"a {NAMES[codec]} batch does not decompress: {error}") from error


def _gzip(payload: memoryview) -> bytes:
    return zlib.decompress(payload, wbits=31)


def _snappy(payload: memoryview) -> bytes:
    """Raw snappy (librdkafka) or xerial's blocks (Java), told apart by the magic."""
    from cramjam import snappy

    if bytes(payload[:8]) != _XERIAL:
        return bytes(snappy.decompress_raw(payload))
    parts: list[bytes] = []
    at = 16
    while at < len(payload):
        size = int.from_bytes(payload[at : at + 4], "big")
        at += 4
        if at + size > len(payload):
            raise ValueError("a block ends after the batch")
        parts.append(bytes(snappy.decompress_raw(payload[at : at + size])))
        at += size
    return b"".join(parts)


def _lz4(payload: memoryview) -> bytes:
    import lz4.frame

    return bytes(lz4.frame.decompress(payload))


_zstd: Any = None


def _zstandard(payload: memoryview) -> bytes:
    global _zstd
    if _zstd is None:
        import zstandard

        _zstd = zstandard
    reader = _zstd.ZstdDecompressor().stream_reader(payload, read_across_frames=True)
    return bytes(reader.read())


_CODECS: dict[int, Callable[[memoryview], bytes]] = {
    1: _gzip,
    2: _snappy,
    3: _lz4,
    4: _zstandard,
}
