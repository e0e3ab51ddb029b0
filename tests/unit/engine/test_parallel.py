"""Batches: everything has ended, and no error is lost."""

from __future__ import annotations

import threading

import pytest

from kafkaops.engine.parallel import Parallel, in_threads, in_turn


@pytest.mark.parametrize("parallel", [in_threads, in_turn])
def test_what_each_raised_in_order(parallel: Parallel) -> None:
    def fail() -> None:
        raise ValueError("odd")

    class Died(BaseException): ...

    def die() -> None:
        raise Died

    found = parallel([fail, lambda: None, die])
    assert isinstance(found[0], ValueError)
    assert found[1] is None
    assert isinstance(found[2], Died)


def test_all_have_ended_when_it_returns() -> None:
    gate, ended = threading.Event(), threading.Event()
    opener = threading.Timer(0.05, gate.set)
    opener.start()

    def slow() -> None:
        assert gate.wait(timeout=10)
        ended.set()

    in_threads([slow, lambda: None])
    assert ended.is_set()
