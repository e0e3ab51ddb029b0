"""Rounds of measurements, on a disk whose speed is known."""

from __future__ import annotations

from collections import Counter

from kafkaops.model.disk_speed import LOADS, WAYS
from kafkaops.volumes.bench.measuring import Order, measure
from tests.unit.volumes.bench.fake_speeds import FakeSpeeds
from tests.unit.volumes.fake_disks import spec_of


def measured(speeds: FakeSpeeds, order: Order, said: list[str]) -> dict[str, int]:
    facts = None
    with speeds.bench(spec_of(), facts, writes=order.writes, size=1 << 30) as bench:  # type: ignore[arg-type]
        found = measure(bench, order, lambda number, every, what: said.append(what))
    assert set(found.refused) == set(speeds.lacks)
    return {f"{load.name}: {way.name}": len(taken) for (load, way), taken in found.samples.items()}


def test_each_way_of_each_load_once_a_round_after_the_region_is_filled() -> None:
    speeds, said = FakeSpeeds(), list[str]()
    counts = measured(speeds, Order(1.0, 3, writes=True), said)
    assert speeds.asked[0] == "fill"
    assert set(counts.values()) == {3}
    assert len(counts) == len(LOADS) * len(WAYS)
    assert Counter(speeds.asked[1:]) == counts
    assert len(said) == Order(1.0, 3, writes=True).takes
    assert speeds.asked[1:6] == [f"write, in order: {way.name}" for way in WAYS]
    second = speeds.asked[1 + len(WAYS) * len(LOADS) :]
    assert second[:5] == [f"write, in order: {way.name}" for way in reversed(WAYS)]


def test_a_disk_that_is_not_to_be_written_is_read_alone() -> None:
    speeds = FakeSpeeds()
    counts = measured(speeds, Order(1.0, 1, writes=False), [])
    assert "fill" not in speeds.asked
    assert not [key for key in counts if key.startswith("write")]
    assert len(counts) == 2 * len(WAYS)


def test_a_way_that_this_kernel_lacks_is_told_once_and_left_out() -> None:
    speeds = FakeSpeeds(lacks=("no queues",))
    counts = measured(speeds, Order(1.0, 2, writes=False), [])
    assert not [key for key in counts if key.endswith("no queues")]
    assert len(counts) == 2 * (len(WAYS) - 1)
