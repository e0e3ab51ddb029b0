"""Decompression of record batches by Kafka's codec number, into one buffer that is kept.

Invariant: the whole payload is decompressed, or DataFault is raised; never a shorter answer.
Frames of lz4 and zstd may be several in a row (an incremental writer), and declare no size.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]

NAMES = {1: "gzip", 2: "snappy", 3: "lz4", 4: "zstd"}
FIRST = 1 << 20  # bytes of a new buffer
KEEP = 64 << 20  # a buffer that grew beyond this is not kept
MOST = 1 << 30  # bytes of one buffer; a batch that wants more is refused
_XERIAL = b"\x82SNAPPY\x00"


class DataFault(Exception):
    """Bytes of a log that do not follow the format: which, and what is wrong."""


class Inflater:
    """Payloads decompressed one after the other. `take` gives all of them at once; what it gives
    is valid until the next `begin`. For one thread."""

    def __init__(self) -> None:
        self._buffer: Bytes = np.empty(0, np.uint8)
        self.size = 0

    def begin(self) -> None:
        if not 0 < len(self._buffer) <= KEEP:
            self._buffer = np.empty(FIRST, np.uint8)
        self.size = 0

    def add(self, codec: int, payload: memoryview) -> int:
        """Decompress one batch's records; the size of everything so far. DataFault when the codec
        is unknown or the payload broken."""
        if codec not in NAMES:
            raise DataFault(f"unknown compression codec {codec}")
        parts = [payload]
        inflate = _INTO[codec]
        if codec == 2 and bytes(payload[:8]) == _XERIAL:
            parts = _blocks(payload)
        for part in parts:
            self._add(codec, inflate, part)
        return self.size

    def take(self) -> Bytes:
        return self._buffer[: self.size]

    def _add(self, codec: int, inflate: Callable[[Any, Any], int], part: memoryview) -> None:
        while True:
            try:
                self.size += int(inflate(part, self._buffer[self.size :]))
                return
            except Exception as error:
                if not _too_small(error) or len(self._buffer) >= MOST:
                    raise DataFault(
                        f"a {NAMES[codec]} batch does not decompress: {error}"
                    ) from error
            larger = np.empty(min(MOST, 2 * len(self._buffer)), np.uint8)
            larger[: self.size] = self.take()
            self._buffer = larger


def _too_small(error: Exception) -> bool:
    return "buffer" in str(error)


def _blocks(payload: memoryview) -> list[memoryview]:
    """The raw blocks of xerial's framing, which Java producers write."""
    parts: list[memoryview] = []
    at = 16
    while at < len(payload):
        size = int.from_bytes(payload[at : at + 4], "big")
        at += 4
        if at + size > len(payload):
            raise DataFault("a snappy block ends after its batch")
        parts.append(payload[at : at + size])
        at += size
    return parts


class _Into:
    """cramjam's functions that write into a given buffer, looked up at the first use."""

    def __getitem__(self, codec: int) -> Callable[[Any, Any], int]:
        import cramjam

        found: Callable[[Any, Any], int] = {
            1: cramjam.gzip.decompress_into,
            2: cramjam.snappy.decompress_raw_into,
            3: cramjam.lz4.decompress_into,
            4: cramjam.zstd.decompress_into,
        }[codec]
        return found


_INTO = _Into()
_threads = threading.local()


def inflater() -> Inflater:
    """This thread's own."""
    found = getattr(_threads, "inflater", None)
    if not isinstance(found, Inflater):
        found = _threads.inflater = Inflater()
    return found
