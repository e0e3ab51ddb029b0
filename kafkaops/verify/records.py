"""Raw fetched bytes to what consumers see of them: offsets and hashes of visible records.

Invariant: control batches and aborted transactions are left out, everything else is in, in
order; bytes that do not follow the format are a DataFault, never a shorter answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kafkaops.verify.codecs import DataFault, inflater

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Offsets = NDArray[np.int64]
    Hashes = NDArray[np.uint64]


SMALLEST = 7  # bytes of a record without key, value and headers


@dataclass(frozen=True)
class Visible:
    """Visible records of one fetched range, ascending: `offsets` int64 and `hashes` uint64 of
    one length; `next_offset` is where to fetch next (control records passed). `keys` (uint64)
    and `tombstones` (bool) only where asked for."""

    offsets: Offsets
    hashes: Hashes
    next_offset: int
    keys: Hashes | None = None
    tombstones: NDArray[np.bool_] | None = None


def visible(
    data: memoryview | bytes,
    start: int,
    aborted: Sequence[tuple[int, int]] = (),
    *,
    keys: bool = False,
) -> Visible:
    """Walk the whole batches in `data`, which was fetched from the offset `start`.

    `aborted` is the Fetch answer's list of (producer id, first offset). A trailing batch that is
    not whole is left for the next fetch. DataFault: format v0 or v1, or broken bytes.
    """
    from kafkaops.verify import kernel

    buf = _frozen(data)
    table, after = _scan(kernel, buf, aborted)
    if not len(table):
        none = np.empty(0, np.int64)
        empty = none.astype(np.uint64)
        more = (empty, none.astype(np.bool_)) if keys else (None, None)
        return Visible(none, empty, max(after, start), *more)
    seen = table[table[:, kernel.SKIP] == 0]
    total = int(seen[:, kernel.COUNT].sum())
    bodies = ((0, buf), (1, _inflated(kernel, data, seen)))
    if total * SMALLEST > int((seen[:, kernel.END] - seen[:, kernel.POS]).sum()):
        raise DataFault(f"a record batch at or after offset {start} claims too many records")
    offsets = np.empty(total, np.int64)
    hashes = np.empty(total, np.uint64)
    key_hashes = np.empty(total if keys else 0, np.uint64)
    tombstones = np.empty(total if keys else 0, np.bool_)
    for codec, body in bodies:
        if body is None:
            continue
        status = kernel.walk(body, seen, codec, start, offsets, hashes)
        if keys and status == kernel.OK:
            status = kernel.walk_keys(body, seen, codec, key_hashes, tombstones)
        if status != kernel.OK:
            raise DataFault(f"a record batch at or after offset {start} does not parse")
    if total and offsets[0] < 0:  # the first batch may begin before the asked offset
        keep = offsets >= 0
        offsets, hashes = offsets[keep], hashes[keep]
        if keys:
            key_hashes, tombstones = key_hashes[keep], tombstones[keep]
    return Visible(
        offsets,
        hashes,
        max(after, start),
        key_hashes if keys else None,
        tombstones if keys else None,
    )


def _scan(kernel: Any, buf: Any, aborted: Sequence[tuple[int, int]]) -> tuple[Any, int]:
    """The batch table of `buf` and the offset after it (-1 for none)."""
    rows = max(64, len(buf) // 4096)
    while True:
        open_ones = np.array(sorted(aborted, key=lambda a: a[1]), np.int64).reshape(-1, 2)
        table = np.empty((rows, kernel.COLUMNS), np.int64)
        found, after, status = kernel.scan(buf, table, open_ones)
        if status == kernel.FULL:
            rows *= 4
            continue
        if status == kernel.LEGACY:
            raise DataFault(
                "records in message format v0 or v1, from before Kafka 0.11: not comparable"
            )
        if status == kernel.CORRUPT:
            raise DataFault("a record batch's length is not possible")
        return table[:found], int(after)


def _inflated(kernel: Any, data: memoryview | bytes, table: Any) -> Any:
    """The compressed batches of the table, decompressed one after the other; their rows' POS and
    END are rewritten to lie in it. None when there is none."""
    packed = np.flatnonzero(table[:, kernel.CODEC])
    if not len(packed):
        return None
    view = memoryview(data)
    out = inflater()
    out.begin()
    ends: list[int] = []
    for pos, end, codec in table[packed][:, [kernel.POS, kernel.END, kernel.CODEC]].tolist():
        ends.append(out.add(codec, view[pos:end]))
    table[packed, kernel.POS] = [0, *ends[:-1]]
    table[packed, kernel.END] = ends
    return _frozen(out.take())


def _frozen(data: Any) -> Any:
    """Read-only always, so that the kernels are compiled for one type."""
    array = np.frombuffer(data, np.uint8)
    array.flags.writeable = False
    return array
