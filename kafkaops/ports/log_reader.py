"""The raw log of a cluster: record batches as the brokers keep them, read_committed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from kafkaops.model.partition import Ends, TopicPartition


@dataclass(frozen=True)
class Chunk:
    """What a leader answered for one partition. `start` is the offset asked for; `data` holds
    record batches from the one that contains `start`, the last perhaps not whole; it is valid
    until the next `fetch` of this reader. `aborted` lists (producer id, first offset).

    `lost` means that `start` is not in the log any more (or not yet): `data` is empty, and
    `ends` says what the log has.
    """

    tp: TopicPartition
    start: int
    data: memoryview
    ends: Ends
    aborted: tuple[tuple[int, int], ...] = ()
    lost: bool = False


class LogReader(Protocol):
    """Errors: `Unreachable` when no leader answered for long, `ConfigError` (credentials, ACLs).
    A leader that moves or dies is looked up anew, without an error. `fetch` belongs to one
    thread, `bounds` may be called from any."""

    name: str

    def bounds(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, Ends]: ...

    def fetch(
        self, positions: Mapping[TopicPartition, int], *, max_wait: float, max_bytes: int
    ) -> list[Chunk]:
        """Ask every leader that has no request under way, and return what the first to answer
        had; the others' answers come with later calls, `start` saying what was asked then.
        `max_wait` (seconds) bounds how long a leader waits for new data; empty after it.
        `max_bytes` bounds one leader's answer (one whole batch comes always)."""

    def wake(self) -> None:
        """Make a waiting `fetch` return at once, from another thread."""

    def close(self) -> None: ...
