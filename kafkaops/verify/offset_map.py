"""The sparse exact map between two logs that hold the same records at other offsets.

Records are paired in order; a run is a stretch in which both offsets advance by one. Without
transactions one run covers a partition; under an exactly-once mirror there is one run a
transaction, so full blocks of runs are kept compressed (neighbouring runs differ little).

Invariant: pairs are appended in ascending order of both offsets, and none is ever changed.
"""

from __future__ import annotations

import bisect
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Offsets = NDArray[np.int64]

SOURCE, TARGET, LENGTH = 0, 1, 2
FULL = 4096  # runs in a compressed block


class OffsetMap:
    """Pairs of (source offset, target offset) of equal records of one partition."""

    def __init__(self) -> None:
        self._packed: list[bytes] = []
        self._firsts: tuple[list[int], list[int]] = ([], [])  # of each packed block
        self._open: list[tuple[int, int, int]] = []
        self._unpacked: tuple[int, Any] = (-1, None)
        self.pairs = 0

    @property
    def runs(self) -> int:
        return len(self._packed) * FULL + len(self._open)

    def append(self, source: Offsets, target: Offsets) -> None:
        """Pair two arrays of offsets of one length, ascending and after all before."""
        count = len(source)
        if not count:
            return
        self.pairs += count
        breaks = (np.diff(source) != 1) | (np.diff(target) != 1)
        starts = np.concatenate(([0], np.flatnonzero(breaks) + 1, [count])).tolist()
        firsts = zip(source[starts[:-1]].tolist(), target[starts[:-1]].tolist(), strict=True)
        for index, (from_, to) in enumerate(firsts):
            length = starts[index + 1] - starts[index]
            if self._open:
                last = self._open[-1]
                if last[SOURCE] + last[LENGTH] == from_ and last[TARGET] + last[LENGTH] == to:
                    self._open[-1] = (last[SOURCE], last[TARGET], last[LENGTH] + length)
                    continue
            self._open.append((from_, to, length))
        while len(self._open) > FULL:  # the last run may still grow: it stays open
            self._pack(self._open[:FULL])
            del self._open[:FULL]

    def translate(self, offset: int, *, back: bool = False) -> int | None:
        """The other side's offset of the first record at or after `offset`; None for none.
        `back` takes a target offset and answers with a source offset."""
        here, there = (TARGET, SOURCE) if back else (SOURCE, TARGET)
        block = bisect.bisect_right(self._firsts[here], offset) - 1
        for index in range(max(block, 0), min(block + 2, len(self._packed))):
            found = _find(self._runs(index), offset, here, there)
            if found is not None:
                return found
        if not self._open:
            return None
        return _find(np.array(self._open, np.int64), offset, here, there)

    def _runs(self, index: int) -> Any:
        if self._unpacked[0] != index:
            self._unpacked = (index, _unpack(self._packed[index]))
        return self._unpacked[1]

    def _pack(self, runs: list[tuple[int, int, int]]) -> None:
        self._firsts[SOURCE].append(runs[0][SOURCE])
        self._firsts[TARGET].append(runs[0][TARGET])
        table = np.array(runs, np.int64)
        steps = np.diff(table, axis=0, prepend=np.zeros((1, 3), np.int64))
        self._packed.append(zlib.compress(np.ascontiguousarray(steps.T).tobytes(), 1))

    # -- checkpoint ----------------------------------------------------------

    def arrays(self) -> dict[str, Any]:
        """All of it as arrays, for a checkpoint."""
        sizes = [len(p) for p in self._packed]
        return {
            "open": np.array(self._open, np.int64).reshape(-1, 3),
            "packed": np.frombuffer(b"".join(self._packed), np.uint8),
            "blocks": np.array([*self._firsts, sizes], np.int64).reshape(3, -1),
            "pairs": np.array([self.pairs], np.int64),
        }

    @classmethod
    def of(cls, arrays: dict[str, Any]) -> OffsetMap:
        made = cls()
        made._open = [(r[0], r[1], r[2]) for r in arrays["open"].tolist()]
        made._firsts = (arrays["blocks"][0].tolist(), arrays["blocks"][1].tolist())
        data = arrays["packed"].tobytes()
        ends = np.cumsum(arrays["blocks"][2]).tolist()
        starts = [0, *ends[:-1]]
        made._packed = [data[a:b] for a, b in zip(starts, ends, strict=False)]
        made.pairs = int(arrays["pairs"][0])
        return made


def _unpack(packed: bytes) -> Any:
    steps = np.frombuffer(zlib.decompress(packed), np.int64).reshape(3, -1).T
    return np.cumsum(steps, axis=0)


def _find(runs: Any, offset: int, here: int, there: int) -> int | None:
    """In one table of runs: inside a run, else at the start of the next one."""
    index = int(np.searchsorted(runs[:, here], offset, side="right")) - 1
    if index >= 0 and offset < runs[index, here] + runs[index, LENGTH]:
        return int(runs[index, there] + offset - runs[index, here])
    if index + 1 < len(runs):
        return int(runs[index + 1, there])
    return None
