"""What a load record carries: who wrote it, its number, and a hash over all of it.

Value, in ASCII: `<producer> <seq> <hash> <payload>`; the hash is the first 16 hex digits of
SHA-256 over `<producer> <seq> <key> <payload>` (in every client's standard library). The Java
client writes and checks the same form.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

HASH_DIGITS = 16
RUN = 4
"""Neighbouring records share a key, so that a tick of the pace makes few batches."""


class Content(NamedTuple):
    """A decoded record; `intact` is false where the hash does not match."""

    producer: str
    seq: int
    intact: bool


def place(seq: int, topics: Sequence[str], keys: int) -> tuple[str, str]:
    """Topic and key of a sequence number: runs of `RUN` records go round topics, then keys.

    A producer's records of one key keep their order, so sequence numbers grow along each
    partition.
    """
    run = seq // RUN
    return topics[run % len(topics)], f"k{run // len(topics) % keys}"


def encode(producer: str, seq: int, key: str, size: int) -> bytes:
    """The value of a record, about `size` bytes long."""
    number = f"{seq:x}."
    payload = (number * (size // len(number) + 1))[: max(8, size - len(producer) - 28)]
    return f"{producer} {seq} {_hash(producer, seq, key, payload)} {payload}".encode()


def decode(key: bytes | None, value: bytes | None) -> Content | None:
    """What a record says; None if it is not a load record."""
    try:
        producer, number, digest, payload = (value or b"").decode("ascii").split(" ", 3)
        seq = int(number)
        name = (key or b"").decode("ascii")
    except ValueError:
        return None
    return Content(producer, seq, _hash(producer, seq, name, payload) == digest)


def _hash(producer: str, seq: int, key: str, payload: str) -> str:
    text = f"{producer} {seq} {key} {payload}"
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_DIGITS]
