"""Sizing: AWS's formula and its worked example, what binds, the loss of a rack, rebuilding."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from kafkaops.engine.errors import UsageFault
from kafkaops.placement.sizing.advice import advice
from kafkaops.placement.sizing.brokers import Sizing, least, size
from kafkaops.placement.sizing.instance_types import GB, GBIT, GIB, MB, MIB, TIB, catalogue
from kafkaops.placement.sizing.limits import (
    DISK,
    EBS,
    NETWORK,
    PARTITIONS,
    REPLICAS,
    STORAGE,
    Cluster,
    Limit,
    Volumes,
    Workload,
    limits,
)

KNOWN = catalogue()
GP3, ST1, IO2 = (KNOWN.volumes[name] for name in ("gp3", "st1", "io2"))
HOUR, DAY = 3600, 86_400


def cluster(
    kind: str = "r6i.xlarge", racks: int = 3, volumes: Volumes | None = None, brokers: int = 0
) -> Cluster:
    return Cluster(KNOWN.types[kind], brokers, racks, volumes or Volumes(GP3))


def work(write: float = 30 * MB, **other: Any) -> Workload:
    return Workload(write, **{"groups": 1, "retention": DAY, "rf": 3, **other})


def judge(workload: Workload, of: Cluster, brokers: int | None = None) -> Sizing:
    return size(workload, of, brokers, KNOWN.single_flow)


def by_name(found: Sizing) -> dict[str, Limit]:
    return {x.name: x for x in found.limits}


# -- the worked example: 12 r3.xlarge, ST1, 12 partitions ------------------------------------


@pytest.mark.parametrize(("rf", "most"), [(1, 750 * MB), (2, 375 * MB), (3, 250 * MB)])
def test_the_st1_example_is_bound_by_ebs(rf: int, most: float) -> None:
    st1_example = cluster("r3.xlarge", volumes=Volumes(ST1, size=2 * TIB))
    found = judge(work(100 * MB, rf=rf, partitions=12, retention=HOUR), st1_example, 12)
    assert found.throughput == pytest.approx(most)
    assert found.binding is not None
    assert found.binding.name == EBS
    assert by_name(found)[STORAGE].capacity == pytest.approx(12 * 80 * MIB / rf)
    assert by_name(found)[NETWORK].capacity == pytest.approx(12 * 0.7 * GBIT / (1 + rf - 1))


def test_what_fits_the_st1_example_at_rf_2_does_not_at_3() -> None:
    st1_example = cluster("r3.xlarge", volumes=Volumes(ST1, size=2 * TIB))
    written = 346.9 * MB
    two = judge(work(written, rf=2, partitions=12, retention=HOUR), st1_example, 12)
    assert two.fits is True
    assert by_name(two)[EBS].headroom == pytest.approx(1 - 346.9 / 375)
    three = judge(work(written, rf=3, partitions=12, retention=HOUR), st1_example, 12)
    assert three.fits is False
    assert by_name(three)[EBS].brokers == 17  # 346.9 * 3 / 62.5 = 16.65


def test_smaller_st1_volumes_bind_before_ebs_does() -> None:
    st1_example = cluster("r3.xlarge", volumes=Volumes(ST1, size=TIB))
    found = judge(work(100 * MB, partitions=12, retention=HOUR), st1_example, 12)
    assert found.binding is not None
    assert (found.binding.name, round(found.throughput or 0)) == (STORAGE, 12 * 40 * MIB // 3)


# -- the formula ----------------------------------------------------------------------------


def test_every_term_of_the_formula() -> None:
    """t_storage * N / r, t_EBS * N / r, t_EC2 * N / (groups + r - 1), by hand."""
    found = by_name(judge(work(groups=4), cluster(volumes=Volumes(GP3, size=TIB)), 6))
    assert found[STORAGE].capacity == pytest.approx(125 * MIB * 6 / 3)
    assert found[EBS].capacity == pytest.approx(156.25 * MB * 6 / 3)
    assert found[NETWORK].capacity == pytest.approx(1.562e9 / 8 * 6 / (4 + 3 - 1))


def test_several_volumes_add_up_and_a_given_rate_stands_for_the_published_one() -> None:
    two = Volumes(GP3, count=2, size=TIB, rate=300 * MIB)
    found = by_name(judge(work(), cluster(volumes=two), 3))
    assert found[STORAGE].capacity == pytest.approx(600 * MIB)
    assert found[DISK].capacity == pytest.approx(6 * TIB)


def test_nobody_reads_and_nothing_is_replicated_so_nothing_is_sent() -> None:
    found = by_name(judge(work(groups=0, rf=1), cluster(), 3))
    assert found[NETWORK].capacity == math.inf
    assert found[NETWORK].holds is True


def test_disk_is_write_rate_times_retention_times_rf_at_seventy_per_cent() -> None:
    found = judge(
        work(100 * MB, retention=7 * DAY), cluster(volumes=Volumes(GP3, size=16 * TIB)), 30
    )
    needed = 100 * MB * 7 * DAY * 3 / 0.7
    assert found.workload.disk == pytest.approx(needed)
    assert by_name(found)[DISK].load == pytest.approx(needed)
    assert found.disk_a_broker == pytest.approx(needed / 30)
    assert by_name(found)[DISK].brokers == math.ceil(needed / (16 * TIB))


def test_a_volume_without_a_size_is_what_retention_needs() -> None:
    found = judge(work(), cluster(), 6)
    assert found.volume_size == math.ceil(30 * MB * DAY * 3 / 0.7 / 6 / GIB) * GIB


def test_an_st1_volume_without_a_size_is_large_enough_for_the_throughput_too() -> None:
    found = judge(work(60 * MB, retention=HOUR), cluster("r6i.4xlarge", volumes=Volumes(ST1)), 3)
    assert found.volume_size == math.ceil(60 * MB / 0.8 / (40 * MIB / TIB) / GIB) * GIB
    storage = by_name(found)[STORAGE]
    assert storage.headroom == pytest.approx(0.2, abs=0.001)
    assert storage.brokers == 1  # the fastest volumes there are would do


@pytest.mark.parametrize(
    ("partitions", "brokers", "holds", "needed"),
    [(8000, 6, True, 6), (8001, 6, False, 7), (40_000, 30, True, 30)],
)
def test_at_most_4000_replicas_a_broker(
    partitions: int, brokers: int, holds: bool, needed: int
) -> None:
    found = by_name(judge(work(partitions=partitions), cluster(), brokers))[REPLICAS]
    assert (found.holds, found.brokers) == (holds, needed)


def test_at_most_200_000_partitions_a_cluster() -> None:
    assert by_name(judge(work(partitions=200_000), cluster(), 150))[PARTITIONS].holds is True
    over = by_name(judge(work(partitions=200_001), cluster(), 300))[PARTITIONS]
    assert (over.holds, over.brokers) == (False, None)
    with pytest.raises(UsageFault) as refused:
        judge(work(partitions=200_001), cluster())
    assert refused.value.code == "KO-SIZE-IMPOSSIBLE"
    assert "200,000" in refused.value.message


# -- what is not known ----------------------------------------------------------------------


def test_the_speed_of_instance_store_is_not_known_and_not_guessed() -> None:
    found = judge(work(), cluster("i3en.2xlarge", volumes=Volumes(None)), 3)
    storage = by_name(found)[STORAGE]
    assert (storage.capacity, storage.headroom, storage.holds) == (None, None, None)
    assert "i3en.2xlarge" in storage.why
    assert EBS not in by_name(found)
    assert found.fits is None
    assert found.throughput == pytest.approx(8.4 * GBIT * 3 / 3)
    assert by_name(found)[DISK].capacity == 3 * 5000 * GB


def test_a_written_speed_makes_it_known() -> None:
    disks = Volumes(None, rate=500 * MB)  # of one of two disks
    found = judge(work(), cluster("i3en.2xlarge", volumes=disks), 3)
    assert by_name(found)[STORAGE].capacity == pytest.approx(2 * 500 * MB)
    assert found.fits is True


def test_something_unknown_does_not_hide_what_does_not_suffice() -> None:
    found = judge(work(5 * GB), cluster("i3en.2xlarge", volumes=Volumes(None)), 3)
    assert found.fits is False


def test_io2_and_types_without_a_figure_to_ebs_are_unknown() -> None:
    found = by_name(judge(work(), cluster("r3.8xlarge", volumes=Volumes(IO2)), 3))
    assert (found[STORAGE].capacity, found[EBS].capacity) == (None, None)
    assert "shares the network" in found[EBS].why


# -- the least number of brokers ------------------------------------------------------------


@pytest.mark.parametrize("write", [1 * MB, 40 * MB, 155 * MB, 700 * MB, 3 * GB])
@pytest.mark.parametrize("kind", ["r6i.xlarge", "m7g.large", "r7g.4xlarge"])
@pytest.mark.parametrize("racks", [1, 2, 3])
def test_the_proposal_is_the_least_in_even_racks(write: float, kind: str, racks: int) -> None:
    of, asked = cluster(kind, racks), work(write, retention=6 * HOUR, partitions=3000)
    number = judge(asked, of).cluster.brokers
    assert number % racks == 0
    assert number >= 3
    for fewer in range(racks, number, racks):
        if fewer >= 3:
            assert False in {x.holds for x in limits(asked, replace(of, brokers=fewer))}
    assert False not in {x.holds for x in limits(asked, replace(of, brokers=number))}


def test_the_least_by_hand() -> None:
    """125 MiB/s * N / 3 >= 500 MB/s: N >= 11.4, in 3 racks 12."""
    assert least(work(500 * MB, retention=HOUR), cluster("r6i.4xlarge")) == 12


def test_the_advised_number_leaves_a_fifth() -> None:
    found = judge(work(500 * MB, retention=HOUR), cluster("r6i.4xlarge"), 12)
    assert found.advised == 15  # 500 / 0.8 * 3 / 131.07 = 14.3
    assert any("15 brokers" in line for line in advice(found, KNOWN))


# -- the loss of a rack ---------------------------------------------------------------------


def test_without_a_rack_the_rest_holds_two_of_three_replicas() -> None:
    found = judge(work(100 * MB, partitions=600), cluster(volumes=Volumes(GP3, size=4 * TIB)), 6)
    loss = found.loss
    assert loss is not None
    assert (loss.left, loss.racks, loss.replicas, loss.share) == (4, 2, 2, 2)
    now = {x.name: x for x in loss.as_is}
    assert now[STORAGE].capacity == pytest.approx(125 * MIB * 4 / 2)  # as before: 6 / 3
    assert now[NETWORK].capacity == pytest.approx(1.562e9 / 8 * 4 / (1 + 2 - 1))
    assert now[DISK].load == pytest.approx(found.workload.disk * 2 / 3)
    assert now[REPLICAS].load == 300
    then = {x.name: x for x in loss.rebuilt}
    assert then[STORAGE].capacity == pytest.approx(125 * MIB * 4 / 3)
    assert then[DISK].load == pytest.approx(found.workload.disk)
    assert then[REPLICAS].load == 450


def test_the_rest_may_carry_it_as_it_is_and_not_rebuilt() -> None:
    found = judge(work(240 * MB, retention=HOUR), cluster("r6i.4xlarge"), 6)
    assert found.fits is True
    assert found.loss is not None
    assert (found.loss.carries, found.loss.carries_rebuilt) == (True, False)
    assert found.loss.brokers == 9  # 6 left: 131.07 * 6 / 3 = 262 >= 240


def test_volumes_do_not_grow_when_a_rack_is_lost() -> None:
    found = judge(work(60 * MB), cluster("r6i.2xlarge"), 6)
    assert found.loss is not None
    disk = {x.name: x for x in found.loss.rebuilt}[DISK]
    assert disk.capacity == pytest.approx(4 * found.volume_size)
    assert disk.holds is False


@pytest.mark.parametrize(
    ("rf", "racks", "replicas", "words"),
    [
        (1, 3, 0, "partitions of a lost rack are gone"),
        (2, 2, 1, "min.insync.replicas=2 stops acks=all"),
        (3, 2, 1, "2 replicas of some into one rack"),
        (3, 3, 2, ""),
    ],
)
def test_replicas_that_are_left(rf: int, racks: int, replicas: int, words: str) -> None:
    found = judge(work(rf=rf), cluster("r6i.4xlarge", racks), 12)
    assert found.loss is not None
    assert found.loss.replicas == replicas
    assert found.loss.carries is (replicas > 0)
    assert words in " ".join(advice(found, KNOWN))


def test_one_rack_is_everything() -> None:
    found = judge(work(), cluster(racks=1), 6)
    assert found.loss is None
    assert "with one rack its loss is the loss of everything" in advice(found, KNOWN)


# -- rebuilding -----------------------------------------------------------------------------


def test_a_broker_is_rebuilt_from_the_baseline_and_never_from_the_burst() -> None:
    fast = Volumes(None, rate=2 * GB)
    found = judge(work(60 * MB, retention=DAY), cluster("i3en.2xlarge", volumes=fast), 6)
    stored = 60 * MB * DAY * 3 / 6
    assert found.broker.bytes == pytest.approx(stored)
    assert found.broker.idle == pytest.approx(stored / (8.4 * GBIT))
    assert found.broker.loaded == pytest.approx(stored / (8.4 * GBIT - 60 * MB * 3 / 6))
    assert found.broker.bound == "network"


def test_slow_disks_hold_a_rebuild_up() -> None:
    found = judge(work(30 * MB), cluster("r6i.4xlarge"), 3)
    assert found.broker.idle == pytest.approx(30 * MB * DAY / (125 * MIB))
    assert found.broker.bound == "disks"
    assert found.broker.loaded == pytest.approx(30 * MB * DAY / (125 * MIB - 30 * MB))


def test_one_replica_comes_over_one_connection() -> None:
    fast = Volumes(None, rate=4 * GB)
    found = judge(work(60 * MB, partitions=60), cluster("i3en.12xlarge", volumes=fast), 6)
    assert found.replica is not None
    assert found.replica.bytes == pytest.approx(60 * MB * DAY / 60)
    assert found.replica.idle == pytest.approx(60 * MB * DAY / 60 / (5 * GBIT))
    assert found.replica.bound == "one connection"
    assert judge(work(), cluster(), 6).replica is None


def test_a_cluster_that_is_full_never_rebuilds() -> None:
    found = judge(work(260 * MB, retention=HOUR), cluster("r6i.4xlarge"), 6)
    assert found.broker.loaded == pytest.approx(found.broker.bytes / (125 * MIB - 130 * MB))
    over = judge(work(270 * MB, retention=HOUR), cluster("r6i.4xlarge"), 6)
    assert (over.broker.loaded, over.broker.bound) == (None, "disks")


# -- what to change, and what makes no sense ------------------------------------------------


def test_what_to_change_is_named_with_figures() -> None:
    found = judge(work(500 * MB, retention=HOUR), cluster("r6i.xlarge"), 6)
    said = " | ".join(advice(found, KNOWN))
    assert "storage does not suffice: 12 brokers, or volumes of 239MiB/s (--volume-rate)" in said
    assert "ebs-network does not suffice: 12 brokers, or r6i.2xlarge" in said
    assert "ec2-network does not suffice: 9 brokers, or r6i.2xlarge" in said


def test_disk_that_does_not_suffice_names_the_size() -> None:
    found = judge(work(60 * MB), cluster("r6i.4xlarge", volumes=Volumes(GP3, size=TIB)), 6)
    needed = math.ceil(60 * MB * DAY * 3 / 0.7 / 6 / GIB)
    said = " | ".join(advice(found, KNOWN))
    assert f"disk does not suffice: 21 brokers, or volumes of {needed}GiB (--volume-size)" in said


def test_few_partitions_leave_brokers_without_clients() -> None:
    found = judge(work(partitions=4), cluster("r6i.4xlarge"), 6)
    assert any("4 partitions lead on 4 of 6 brokers" in line for line in advice(found, KNOWN))


def test_disks_that_the_hardware_does_not_encrypt_are_named() -> None:
    d2 = judge(work(), cluster("d2.xlarge", volumes=Volumes(None)), 3)
    assert "the disks of d2.xlarge are not encrypted by hardware" in advice(d2, KNOWN)
    i3en = judge(work(), cluster("i3en.xlarge", volumes=Volumes(None)), 3)
    assert not any("not encrypted" in line for line in advice(i3en, KNOWN))


@pytest.mark.parametrize(
    ("code", "of", "brokers", "rf"),
    [
        ("KO-SIZE-RF", cluster(), 2, 3),
        ("KO-SIZE-RACKS", cluster(), 2, 2),
        ("KO-SIZE-VOLUME", cluster(volumes=Volumes(None)), 3, 3),
    ],
)
def test_what_makes_no_sense_is_refused(code: str, of: Cluster, brokers: int, rf: int) -> None:
    with pytest.raises(UsageFault) as refused:
        judge(work(rf=rf), of, brokers)
    assert refused.value.code == code
