"""The record walk: raw record batches (format v2) in, one 64-bit hash a visible record out.

Compiled by numba at the first call and cached on disk; import this module only where records
are read, it costs a second. Nothing here is decoded that need not be: a record's absolute
timestamp and the encoded bytes of its key, value and headers are hashed as they lie. Two
clusters differ in batches, base offsets and compression, never in these bytes.

Invariant: no byte outside the given range is read; what does not parse is reported, never
skipped. Sources: Kafka's documentation, "Record Batch" and "Record"; KIP-98 for aborted
transactions; KIP-534 for the delete horizon (the base timestamp moves, deltas follow it).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

# Columns of the batch table, one row a batch.
POS, END, BASE, LAST, COUNT, STAMP, LOG_APPEND, CODEC, SKIP = range(9)
COLUMNS = 9
HEADER = 61  # bytes of a batch before its records
# What `scan` and `walk` answer when the bytes are not what they should be.
OK, LEGACY, TORN, FULL, CORRUPT = 0, -1, -2, -3, -4
BLOCK = 4096  # records a block digest covers

S0 = np.uint64(0xA0761D6478BD642F)
S1 = np.uint64(0xE7037ED1A0B428DB)
S2 = np.uint64(0x8EBC6AF09C88C6E3)
S3 = np.uint64(0x589965CC75374CC3)
KEY_SEED = np.uint64(0x1D8E4E27C47D124F)
RECORD_SEED = np.uint64(0xEB44ACCAB455D165)


compiled: Any = njit(nogil=True, cache=True)
inlined: Any = njit(nogil=True, cache=True, inline="always")
with_literals: Any = intrinsic(prefer_literal=True)
as_is: Any = intrinsic


@with_literals
def _load(typingctx: Any, array: Any, index: Any, width: Any) -> Any:
    """An unaligned little-endian load of `width` bytes (a literal) from a byte array."""
    bits = width.literal_value * 8
    signature = types.uint64(array, types.int64, width)

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        from numba.core import cgutils

        view = cgutils.create_struct_proxy(sig.args[0])(context, builder, args[0])
        byte = builder.gep(view.data, [args[1]])
        pointer = builder.bitcast(byte, ir.IntType(bits).as_pointer())
        value = builder.load(pointer, align=1)
        return value if bits == 64 else builder.zext(value, ir.IntType(64))

    return signature, build


@as_is
def _mix(typingctx: Any, a: Any, b: Any) -> Any:
    """Fold the 128-bit product of a and b, keeping a and b in: a zero factor loses nothing."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        wide = ir.IntType(128)
        product = builder.mul(builder.zext(args[0], wide), builder.zext(args[1], wide))
        low = builder.trunc(product, ir.IntType(64))
        high = builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), ir.IntType(64))
        left = builder.xor(args[0], low)
        return builder.xor(left, builder.xor(args[1], high))

    return types.uint64(types.uint64, types.uint64), build


@inlined
def _hash(buf: Any, start: int, end: int, seed: Any) -> Any:
    """64 bits of buf[start:end] and its length under a seed."""
    a = seed
    at = start
    left = end - start
    if left >= 48:
        b = seed ^ S1
        c = seed ^ S2
        while left >= 48:
            a = _mix(_load(buf, at, 8) ^ S1, _load(buf, at + 8, 8) ^ a)
            b = _mix(_load(buf, at + 16, 8) ^ S2, _load(buf, at + 24, 8) ^ b)
            c = _mix(_load(buf, at + 32, 8) ^ S3, _load(buf, at + 40, 8) ^ c)
            at += 48
            left -= 48
        a = _mix(a ^ S1, b) ^ _mix(c, b ^ S2)
    while left >= 16:
        a = _mix(_load(buf, at, 8) ^ S1, _load(buf, at + 8, 8) ^ a)
        at += 16
        left -= 16
    x = np.uint64(0)
    y = np.uint64(0)
    if left >= 8:
        x = _load(buf, at, 8)
        y = _load(buf, end - 8, 8)
    elif left >= 4:
        x = _load(buf, at, 4)
        y = _load(buf, end - 4, 4)
    elif left > 0:
        x = _load(buf, at, 1) | (_load(buf, at + (left >> 1), 1) << np.uint64(8))
        y = _load(buf, end - 1, 1)
    a = _mix(x ^ S1, y ^ a)
    return _mix(a ^ S0, np.uint64(end - start) ^ S3)


@inlined
def _big(buf: Any, at: Any, width: int) -> Any:
    value: Any = np.int64(0)
    for i in range(width):
        value = (value << 8) | np.int64(buf[at + i])
    return value


@inlined
def _varint(buf: Any, at: Any, end: Any) -> Any:
    """A zigzag varint; the position after it, or -1 when it does not end in the range."""
    raw = np.uint64(0)
    shift = np.uint64(0)
    while at < end:
        byte = np.uint64(buf[at])
        at += 1
        raw |= (byte & np.uint64(0x7F)) << shift
        if byte < np.uint64(0x80):
            return np.int64(raw >> np.uint64(1)) ^ -np.int64(raw & np.uint64(1)), at
        shift += np.uint64(7)
        if shift > np.uint64(63):
            break
    return np.int64(0), np.int64(-1)


@compiled
def scan(buf: Any, table: Any, aborted: Any) -> Any:
    """Find the whole batches of a fetched range, and which of them consumers must not see.

    `table` (rows, COLUMNS) int64 is filled; `aborted` (n, 2) int64 holds producer id and first
    offset, sorted by offset; its ids are set to -2 as their markers are passed. Returns rows,
    the offset after the last whole batch (-1 for none), and OK, LEGACY or FULL.
    """
    at: Any = np.int64(0)
    size: Any = np.int64(len(buf))
    rows = 0
    after: Any = np.int64(-1)
    while at + HEADER <= size:
        length = _big(buf, at + 8, 4)
        if buf[at + 16] != 2:
            return rows, after, LEGACY
        if length > 0x7FFFFFFF or length < HEADER - 12:
            return rows, after, CORRUPT
        end = at + 12 + length
        if end > size:
            break
        if rows == len(table):
            return rows, after, FULL
        base = _big(buf, at, 8)
        attributes = _big(buf, at + 21, 2)
        last = base + _big(buf, at + 23, 4)
        producer = _big(buf, at + 43, 8)
        log_append = (attributes & 8) != 0
        transactional = (attributes & 16) != 0
        control = (attributes & 32) != 0
        skip = control
        if transactional and len(aborted):
            if control:
                if not _is_commit(buf, at + HEADER, end):
                    for i in range(len(aborted)):
                        if aborted[i, 0] == producer and aborted[i, 1] <= last:
                            aborted[i, 0] = -2
            else:
                for i in range(len(aborted)):
                    if aborted[i, 1] > last:
                        break
                    if aborted[i, 0] == producer:
                        skip = True
                        break
        row = table[rows]
        row[POS] = at + HEADER
        row[END] = end
        row[BASE] = base
        row[LAST] = last
        row[COUNT] = _big(buf, at + 57, 4)
        row[STAMP] = _big(buf, at + 35, 8) if log_append else _big(buf, at + 27, 8)
        row[LOG_APPEND] = 1 if log_append else 0
        row[CODEC] = attributes & 7
        row[SKIP] = 1 if skip else 0
        rows += 1
        at = end
        after = last + 1
    return rows, after, OK


@compiled
def _is_commit(buf: Any, at: int, end: int) -> bool:
    """Whether a control batch's marker is a commit: the second int16 of its key is 1."""
    _, at = _varint(buf, at, end)
    if at < 0 or at >= end:
        return False
    at += 1  # attributes
    for _ in range(3):  # timestamp delta, offset delta, key length
        _, at = _varint(buf, at, end)
        if at < 0:
            return False
    return at + 4 <= end and buf[at + 3] == 1


@compiled
def walk(buf: Any, table: Any, codec: int, start: int, offsets: Any, hashes: Any) -> int:
    """Hash the records of every batch that is not skipped and has this codec's place in `buf`.

    `codec` 0 walks uncompressed batches, 1 those decompressed (their POS and END then lie in
    `buf`). Outputs stand at the running sum of COUNT over all rows; records before the offset
    `start` get offset -1. Returns OK or CORRUPT.
    """
    slot = 0
    for r in range(len(table)):
        row = table[r]
        count = row[COUNT]
        if row[SKIP] == 1 or min(row[CODEC], 1) != codec:
            slot += 0 if row[SKIP] == 1 else count
            continue
        at = row[POS]
        end = row[END]
        for _ in range(count):
            length, body = _varint(buf, at, end)
            if body < 0 or length < 0 or body + length > end:
                return CORRUPT
            stop = body + length
            delta, at = _varint(buf, body + 1, stop)
            if at < 0:
                return CORRUPT
            step, at = _varint(buf, at, stop)
            if at < 0:
                return CORRUPT
            stamp = row[STAMP] if row[LOG_APPEND] == 1 else row[STAMP] + delta
            offset = row[BASE] + step
            hashes[slot] = _hash(buf, at, stop, _mix(np.uint64(stamp) ^ S0, RECORD_SEED))
            offsets[slot] = offset if offset >= start else -1
            slot += 1
            at = stop
        if at != end:
            return CORRUPT
    return OK


@compiled
def walk_keys(buf: Any, table: Any, codec: int, keys: Any, tombstones: Any) -> int:
    """As `walk`, but the hash of each record's key and whether its value is null."""
    slot = 0
    for r in range(len(table)):
        row = table[r]
        count = row[COUNT]
        if row[SKIP] == 1 or min(row[CODEC], 1) != codec:
            slot += 0 if row[SKIP] == 1 else count
            continue
        at = row[POS]
        end = row[END]
        for _ in range(count):
            length, body = _varint(buf, at, end)
            if body < 0 or length < 0 or body + length > end:
                return CORRUPT
            stop = body + length
            at = body + 1
            for _field in range(2):
                _, at = _varint(buf, at, stop)
                if at < 0:
                    return CORRUPT
            size, at = _varint(buf, at, stop)
            if at < 0 or size > stop - at:
                return CORRUPT
            key_end = at + max(size, 0)
            keys[slot] = _hash(buf, at, key_end, KEY_SEED if size >= 0 else S2)
            value, at = _varint(buf, key_end, stop)
            if at < 0:
                return CORRUPT
            tombstones[slot] = value < 0
            slot += 1
            at = stop
    return OK


@compiled
def first_difference(a: Any, b: Any) -> int:
    """The first index where two arrays of one length differ, or their length."""
    for i in range(len(a)):
        if a[i] != b[i]:
            return i
    return len(a)


@compiled
def chain(digest: Any, count: int, hashes: Any, blocks: Any) -> Any:
    """Fold record hashes, in order, into a rolling digest; the digest at every BLOCK records
    (counted from the partition's first) is put into `blocks` in turn. Returns the digest."""
    filled = 0
    for i in range(len(hashes)):
        digest = _mix(digest ^ S0, hashes[i] ^ S3)
        if (count + i + 1) % BLOCK == 0:
            blocks[filled] = digest
            filled += 1
    return digest


@compiled
def resync(a: Any, b: Any, reach: int, need: int, a_ends: bool, b_ends: bool) -> tuple[int, int]:
    """The least (i, j), by i + j < reach, from which a[i:] and b[j:] agree for `need` records.

    A shorter agreement counts when it runs to the end of an array that is known to be whole
    (`a_ends`, `b_ends`). (-1, -1) when there is none.
    """
    for total in range(1, reach):
        for i in range(max(0, total - len(b) + 1), min(total, len(a) - 1) + 1):
            j = total - i
            if a[i] != b[j]:
                continue
            run = 1
            while run < need and i + run < len(a) and j + run < len(b) and a[i + run] == b[j + run]:
                run += 1
            whole = (a_ends and i + run == len(a)) or (b_ends and j + run == len(b))
            if run >= need or whole:
                return i, j
    return -1, -1


@compiled
def put_latest(keys: Any, values: Any, places: Any, new: Any, records: Any, offsets: Any) -> int:
    """Put each key's newest record into an open-addressing table (length a power of two; place
    -1 is free). `new` are key hashes, `records` record hashes (0 for a tombstone). The caller
    keeps the table at most half full. Returns how many keys were new."""
    mask = np.uint64(len(keys) - 1)
    added = 0
    for i in range(len(new)):
        at = new[i] & mask
        while places[at] != -1 and keys[at] != new[i]:
            at = (at + np.uint64(1)) & mask
        if places[at] == -1:
            keys[at] = new[i]
            added += 1
        if offsets[i] >= places[at]:
            values[at] = records[i]
            places[at] = offsets[i]
    return added
