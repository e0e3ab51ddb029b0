"""Direct I/O by threads of this process: what measures a disk where there is no fio.

The kernel works while Python waits, so megabyte requests are measured as fio would; of small
ones on a fast disk it does fewer than fio, plain and encrypted alike.
"""

from __future__ import annotations

import itertools
import mmap
import os
import random
import stat
import threading
from collections.abc import Iterator
from time import perf_counter

from kafkaops.engine.errors import StepFailed
from kafkaops.model.disk_speed import Load

NAME = "direct I/O of this process"


def run(path: str, load: Load, start: int, size: int, seconds: float) -> tuple[float, float, int]:
    """Requests for `seconds` in the `size` bytes from `start` on: bytes a second, the 99th
    percentile of the latency in seconds, and all bytes. StepFailed KO-VOLUME-BENCH."""
    blocks = size // load.block
    turns = _random(blocks) if load.random else _in_order(blocks)
    lock = threading.Lock()
    waits: list[list[float]] = [[] for _ in range(load.depth)]
    faults: list[OSError] = []

    def work(taken: list[float]) -> None:
        try:
            with mmap.mmap(-1, load.block) as buffer:
                buffer.write(os.urandom(load.block))
                # One request at least: a disk that is slow beyond the time has a speed, too.
                while not faults and ((now := perf_counter()) < deadline or not taken):
                    with lock:
                        offset = start + next(turns) * load.block
                    _request(descriptor, buffer, offset, writes=load.writes)
                    taken.append(perf_counter() - now)
        except OSError as error:
            faults.append(error)

    try:
        descriptor = opened(path, writes=load.writes)
    except OSError as error:
        raise fault(path, error) from None
    begun = perf_counter()
    deadline = begun + seconds
    threads = [threading.Thread(target=work, args=(taken,), daemon=True) for taken in waits]
    try:
        for thread in threads:
            thread.start()
    finally:
        for thread in threads:
            if thread.ident is not None:
                thread.join()
        os.close(descriptor)
    took = perf_counter() - begun
    if faults:
        raise fault(path, faults[0])
    every = sorted(itertools.chain.from_iterable(waits))
    total = len(every) * load.block
    return total / took, every[min(len(every) - 1, len(every) * 99 // 100)], total


def write_over(path: str, start: int, size: int, *, zeros: bool) -> None:
    """Random bytes, or zeros, on all of it."""
    block = 1024 * 1024
    try:
        descriptor = opened(path, writes=True)
        try:
            with mmap.mmap(-1, block) as buffer:
                for offset in range(start, start + size, block):
                    if not zeros:
                        buffer.seek(0)
                        buffer.write(os.urandom(block))
                    os.pwritev(descriptor, [memoryview(buffer)[: start + size - offset]], offset)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise fault(path, error) from None


def opened(path: str, *, writes: bool) -> int:
    """A block device that is to be written is taken for us alone: the kernel refuses one that is
    mounted or a part of something (open(2), O_EXCL)."""
    flags = (os.O_RDWR if writes else os.O_RDONLY) | os.O_DIRECT | os.O_CLOEXEC
    alone = os.O_EXCL if writes and stat.S_ISBLK(os.stat(path).st_mode) else 0
    return os.open(path, flags | alone)


def fault(path: str, error: OSError) -> StepFailed:
    return StepFailed("KO-VOLUME-BENCH", f"{path} cannot be measured: {error.strerror}", where=path)


def _request(descriptor: int, buffer: mmap.mmap, offset: int, *, writes: bool) -> None:
    done = (os.pwritev if writes else os.preadv)(descriptor, [buffer], offset)
    if done != len(buffer):
        raise OSError(0, f"{done} of {len(buffer)} bytes at {offset}")


def _in_order(blocks: int) -> Iterator[int]:
    first = random.randrange(blocks)
    return (block % blocks for block in itertools.count(first))


def _random(blocks: int) -> Iterator[int]:
    while True:
        yield random.randrange(blocks)
