"""Batches: everything has ended, and no error is lost."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from kafkaops.engine.parallel import Parallel, in_threads, in_turn


@pytest.mark.parametrize("parallel", [in_threads, in_turn])
def test_what_each_raised_in_order(parallel: Parallel) -> None:
    def fail() -> None:
        raise ValueError("odd")

    class Died(BaseException): ...

    def die() -> None:
        raise Died

    found = parallel([[fail, die], [lambda: None], [die]])
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

    in_threads([[slow], [lambda: None]])
    assert ended.is_set()


@pytest.mark.parametrize("parallel", [in_threads, in_turn])
def test_a_lane_goes_on_whatever_the_others_come_to(parallel: Parallel) -> None:
    def fail() -> None:
        raise ValueError("odd")

    did: list[str] = []
    lanes = [
        [fail, lambda: did.append("after the error")],
        [lambda: did.append("one"), lambda: did.append("two")],
    ]
    assert [type(e) for e in parallel(lanes)[:2]] == [ValueError, type(None)]
    assert did == ["one", "two"]


def test_in_turn_every_lane_takes_a_piece_before_the_next() -> None:
    did: list[str] = []
    in_turn([[partial(did.append, word) for word in lane] for lane in (("a1", "a2"), ("b1",))])
    assert did == ["a1", "b1", "a2"]
