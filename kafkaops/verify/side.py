"""One side of a partition's comparison: where it reads, what the log has, what is not compared.

Invariant: `position` is where the next fetch begins; everything visible before it is either
compared or pending, in order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from kafkaops.model.partition import Ends

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Offsets = NDArray[np.int64]
    Hashes = NDArray[np.uint64]

SOURCE, TARGET = 0, 1
SIDES = ("source", "target")


@dataclass
class Side:
    """`stable` and `high_watermark` are the newest seen, -1 before the first answer; `newest` is
    the offset of the newest visible record read, -1 for none. `grown` is the (monotonic) time
    when records last arrived, `confirmed` when an answer last had none at the log's end."""

    start: int
    position: int
    stable: int = -1
    high_watermark: int = -1
    log_start: int = 0
    pending: int = 0
    newest: int = -1
    grown: float = float("-inf")
    confirmed: float = float("-inf")
    _offsets: list[Offsets] = field(default_factory=list)
    _hashes: list[Hashes] = field(default_factory=list)

    def learn(self, ends: Ends) -> None:
        self.stable, self.high_watermark = ends.stable, ends.high_watermark
        self.log_start = ends.start

    @property
    def at_end(self) -> bool:
        """Everything stable has been read, as of the last answer."""
        return self.stable >= 0 and self.position >= self.stable

    @property
    def compared(self) -> int:
        """Everything visible before this offset has been compared."""
        return int(self._offsets[0][0]) if self._offsets else self.position

    def push(self, offsets: Offsets, hashes: Hashes) -> None:
        if len(offsets):
            self._offsets.append(offsets)
            self._hashes.append(hashes)
            self.pending += len(offsets)
            self.newest = int(offsets[-1])

    def head(self) -> tuple[Offsets, Hashes]:
        """The first pending records; only to be called while there are any."""
        return self._offsets[0], self._hashes[0]

    def joined(self) -> tuple[Offsets, Hashes]:
        """All pending records."""
        if not self._offsets:
            return np.empty(0, np.int64), np.empty(0, np.uint64)
        if len(self._offsets) > 1:
            self._offsets = [np.concatenate(self._offsets)]
            self._hashes = [np.concatenate(self._hashes)]
        return self.head()

    def pop(self, count: int) -> None:
        """Drop the first `count` pending records."""
        self.pending -= count
        while count:
            here = len(self._offsets[0])
            if count < here:
                self._offsets[0] = self._offsets[0][count:]
                self._hashes[0] = self._hashes[0][count:]
                return
            count -= here
            del self._offsets[0], self._hashes[0]

    def forget(self) -> None:
        """Drop what is pending: it will be read again from `compared`."""
        self.position = self.compared
        self._offsets, self._hashes, self.pending = [], [], 0

    def restart(self, offset: int) -> None:
        """Begin anew, at a later offset."""
        self.forget()
        self.start = self.position = offset
