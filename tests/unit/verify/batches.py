"""Logs made of real record batches, and an independent reading of them.

Batches come from kafka-python's builder, patched where it cannot (offsets, control, snappy).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

import cramjam
from kafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder

Header = tuple[str, bytes | None]
MASK = (1 << 64) - 1
S0, S1 = 0xA0761D6478BD642F, 0xE7037ED1A0B428DB
S2, S3 = 0x8EBC6AF09C88C6E3, 0x589965CC75374CC3
RECORD_SEED = 0xEB44ACCAB455D165


@dataclass(frozen=True)
class Rec:
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...] = ()


def batch(
    records: Sequence[Rec],
    base: int,
    *,
    codec: int = 0,
    producer: int = -1,
    transactional: bool = False,
    log_append: int | None = None,
    xerial: bool = False,
) -> bytes:
    """One v2 batch at the offset `base`; codec 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd."""
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=0 if codec == 2 else codec,
        is_transactional=int(transactional),
        producer_id=producer,
        producer_epoch=0 if producer >= 0 else -1,
        base_sequence=0 if producer >= 0 else -1,
        batch_size=1 << 30,
    )
    for index, r in enumerate(records):
        builder.append(
            index, timestamp=r.timestamp, key=r.key, value=r.value, headers=list(r.headers)
        )
    made = bytearray(builder.build())
    if codec == 2:
        body = bytes(made[61:])
        packed = bytes(cramjam.snappy.compress_raw(body))
        if xerial:
            packed = b"\x82SNAPPY\x00" + struct.pack(">ii", 1, 1) + _blocks(body)
        made = made[:61] + packed
        attributes = struct.unpack_from(">h", made, 21)[0]
        struct.pack_into(">h", made, 21, attributes | 2)
        struct.pack_into(">i", made, 8, len(made) - 12)
    struct.pack_into(">q", made, 0, base)
    if log_append is not None:
        attributes = struct.unpack_from(">h", made, 21)[0]
        struct.pack_into(">h", made, 21, attributes | 8)
        struct.pack_into(">q", made, 35, log_append)
    return bytes(made)


def _blocks(body: bytes) -> bytes:
    half = max(1, len(body) // 2)
    parts = [bytes(cramjam.snappy.compress_raw(p)) for p in (body[:half], body[half:])]
    return b"".join(struct.pack(">i", len(p)) + p for p in parts)


def marker(base: int, producer: int, *, commit: bool) -> bytes:
    """A control batch that ends a transaction."""
    key = struct.pack(">hh", 0, int(commit))
    made = bytearray(
        batch([Rec(0, key, struct.pack(">hi", 0, 0))], base, producer=producer, transactional=True)
    )
    attributes = struct.unpack_from(">h", made, 21)[0]
    struct.pack_into(">h", made, 21, attributes | 32)
    return bytes(made)


@dataclass
class Log:
    """A partition's log: bytes by base offset, what is visible, and which are aborted."""

    batches: list[tuple[int, bytes]] = field(default_factory=list)
    visible: list[tuple[int, Rec]] = field(default_factory=list)
    aborted: list[tuple[int, int, int]] = field(default_factory=list)  # id, first, marker
    end: int = 0
    _open: dict[int, tuple[int, list[tuple[int, Rec]]]] = field(default_factory=dict)

    def append(self, records: Sequence[Rec], *, producer: int = -1, codec: int = 0) -> None:
        """A batch; of a transaction when `producer` is given."""
        transactional = producer >= 0
        made = batch(records, self.end, codec=codec, producer=producer, transactional=transactional)
        self.batches.append((self.end, made))
        placed = [(self.end + i, r) for i, r in enumerate(records)]
        if transactional:
            self._open.setdefault(producer, (self.end, []))[1].extend(placed)
        else:
            self.visible.extend(placed)
        self.end += len(records)

    def finish(self, producer: int, *, commit: bool) -> None:
        """The marker of the producer's open transaction, if there is one."""
        if producer not in self._open:
            return
        first, records = self._open.pop(producer)
        if commit:
            self.visible.extend(records)
            self.visible.sort(key=lambda p: p[0])
        else:
            self.aborted.append((producer, first, self.end))
        self.batches.append((self.end, marker(self.end, producer, commit=commit)))
        self.end += 1

    def skip(self, count: int = 1) -> None:
        """Leave a hole in the offsets."""
        self.end += count

    def aborted_from(self, offset: int) -> tuple[tuple[int, int], ...]:
        """What a leader lists: transactions whose marker is not before the asked offset."""
        return tuple((p, first) for p, first, marker in self.aborted if marker >= offset)

    def bytes_from(self, offset: int, limit: int = 1 << 30) -> bytes:
        """What a leader answers: from the batch that contains the offset, at most `limit` bytes
        but at least one batch."""
        out = bytearray()
        for base, data in self.batches:
            last = base + struct.unpack_from(">i", data, 23)[0]
            if last < offset:
                continue
            if out and len(out) + len(data) > limit:
                out += data[: limit - len(out)]
                break
            out += data
        return bytes(out)


def decoded(data: bytes) -> list[tuple[int, Rec]]:
    """A batch as kafka-python decodes it."""
    return [
        (r.offset, Rec(r.timestamp, r.key, r.value, tuple(r.headers)))
        for r in DefaultRecordBatch(data)
    ]


def varint(value: int) -> bytes:
    raw = (value << 1) ^ (value >> 63)
    out = bytearray()
    while raw > 0x7F:
        out.append(raw & 0x7F | 0x80)
        raw >>= 7
    out.append(raw)
    return bytes(out)


def tail(record: Rec) -> bytes:
    """Key, value and headers as the format encodes them."""

    def lengthed(value: bytes | None) -> bytes:
        return varint(-1) if value is None else varint(len(value)) + value

    headers = b"".join(
        varint(len(name.encode())) + name.encode() + lengthed(value)
        for name, value in record.headers
    )
    return lengthed(record.key) + lengthed(record.value) + varint(len(record.headers)) + headers


def mix(a: int, b: int) -> int:
    product = a * b
    return (a ^ (product & MASK)) ^ (b ^ (product >> 64))


def hashed(record: Rec) -> int:
    """The record hash, written down a second time in plain Python."""
    data = tail(record)

    def word(at: int, width: int = 8) -> int:
        return int.from_bytes(data[at : at + width], "little")

    a = mix((record.timestamp & MASK) ^ S0, RECORD_SEED)
    at, left = 0, len(data)
    if left >= 48:
        b, c = a ^ S1, a ^ S2
        while left >= 48:
            a = mix(word(at) ^ S1, word(at + 8) ^ a)
            b = mix(word(at + 16) ^ S2, word(at + 24) ^ b)
            c = mix(word(at + 32) ^ S3, word(at + 40) ^ c)
            at, left = at + 48, left - 48
        a = mix(a ^ S1, b) ^ mix(c, b ^ S2)
    while left >= 16:
        a = mix(word(at) ^ S1, word(at + 8) ^ a)
        at, left = at + 16, left - 16
    x = y = 0
    end = len(data)
    if left >= 8:
        x, y = word(at), word(end - 8)
    elif left >= 4:
        x, y = word(at, 4), word(end - 4, 4)
    elif left > 0:
        x = data[at] | (data[at + (left >> 1)] << 8)
        y = data[end - 1]
    a = mix(x ^ S1, y ^ a)
    return mix(a ^ S0, end ^ S3)
