"""P9: after any number of waves, and while the next one is on its way, the cluster is sound."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kafkaops.engine.errors import GuardRefused
from kafkaops.model.partition import TopicPartition
from kafkaops.placement.applying.waves import Kind, Limits, Setting, Wave, loads, schedule, seconds
from kafkaops.placement.moves import DirMove, Move

MIB = 1 << 20
RACKS = {b: "abc"[b % 3] for b in range(1, 10)}


def move(partition: int, before: list[int], after: list[int], size: int = MIB) -> Move:
    return Move(TopicPartition("t", partition), tuple(before), tuple(after), size)


@st.composite
def moving(draw: st.DrawFn) -> list[Move]:
    """Partitions of one to four replicas, sent anywhere."""
    replicas = st.lists(st.sampled_from(sorted(RACKS)), min_size=1, max_size=4, unique=True)
    sizes = st.integers(0, 50).map(lambda n: n * MIB)
    count = draw(st.integers(0, 25))
    return [move(i, draw(replicas), draw(replicas), draw(sizes)) for i in range(count)]


limits = st.builds(
    Limits,
    inbound=st.integers(1, 4),
    outbound=st.integers(1, 4),
    partitions=st.integers(1, 8),
    rate=st.one_of(st.none(), st.just(10.0 * MIB)),
)


def short(replicas: tuple[int, ...]) -> int:
    return min(len(replicas), 3) - len({RACKS[b] for b in replicas})


@settings(max_examples=60, deadline=None)
@given(moving(), limits, st.integers(60, 3000))
def test_every_prefix_is_sound(moves: list[Move], limits: Limits, room: int) -> None:
    setting = Setting({b: room * MIB for b in RACKS}, dict(RACKS))
    try:
        waves = schedule(moves, (), limits, setting)
    except GuardRefused as refused:
        if refused.code != "KO-PLACEMENT-NO-ROOM":
            raise
        return
    real = {m.tp: m for m in moves if m.before != m.after}
    done = [m.tp for w in waves for m in w.moves]
    assert sorted(done) == sorted(real), "each once, and none left out"
    left = {b: room * MIB for b in RACKS}
    spread = sum(short(m.before) for m in real.values())
    ends_at = sum(short(m.after) for m in real.values())
    worst = max(spread, ends_at)
    for wave in waves:
        assert len(wave.moves) <= (10_000 if wave.kind is Kind.ORDER else limits.partitions)
        given_now, out = Counter[int](), Counter[int]()
        ins = Counter[int]()
        for m in wave.moves:
            for b in m.adding:
                given_now[b] += m.bytes
                ins[b] += 1
            out[m.before[0]] += len(m.adding)
        most = max((len(m.adding) for m in wave.moves), default=0)
        assert all(n <= limits.inbound for n in ins.values())
        assert all(n <= max(limits.outbound, most) for n in out.values())
        assert all(given_now[b] <= left[b] for b in RACKS), "what it loses is not free yet"
        for m in wave.moves:
            for b in m.adding:
                left[b] -= m.bytes
            for b in m.removing:
                left[b] += m.bytes
            spread += short(m.after) - short(m.before)
        assert spread <= worst, "racks are no worse than at the start, or than the goal"


@settings(max_examples=25, deadline=None)
@given(moving(), limits)
def test_the_same_moves_give_the_same_waves(moves: list[Move], limits: Limits) -> None:
    assert schedule(moves, (), limits) == schedule(list(reversed(moves)), (), limits)


def test_a_broker_that_is_full_is_relieved_before_it_is_given_anything() -> None:
    away = move(0, [1, 2, 3], [4, 2, 3], 10 * MIB)
    onto = move(1, [4, 2, 3], [1, 2, 3], 10 * MIB)
    waves = schedule([onto, away], (), Limits(), Setting({1: 0, 4: 10 * MIB}))
    assert [[m.tp.partition for m in w.moves] for w in waves] == [[0], [1]]


def test_where_no_order_has_room_the_broker_is_named() -> None:
    with pytest.raises(GuardRefused) as refused:
        schedule([move(0, [1], [2], 10 * MIB)], (), Limits(), Setting({2: 3 * MIB}))
    assert refused.value.code == "KO-PLACEMENT-NO-ROOM"
    assert "t-0, needs 10 MiB and beyond the reserve broker 2 has 3 MiB" in refused.value.message


def test_no_request_holds_more_than_ten_thousand() -> None:
    orders = [move(i, [1, 2, 3], [2, 1, 3]) for i in range(25_001)]
    waves = schedule(orders, (), Limits(partitions=100))
    assert [len(w.moves) for w in waves] == [10_000, 10_000, 5_001]
    assert seconds(waves) == 0.0
    assert {w.kind for w in waves} == {Kind.ORDER}
    with pytest.raises(ValueError, match="10000 partitions the most"):
        Limits(partitions=10_001)


def test_the_time_is_that_of_the_busiest_broker_in_either_direction() -> None:
    rate = 10.0 * MIB
    out = [move(i, [1, 2], [1, 3 + i], 100 * MIB) for i in range(4)]
    [wave] = schedule(out, (), Limits(rate=rate))
    assert wave.seconds == 40.0, "broker 1 sends 400 MiB, nobody receives more than 100"
    into = [move(i, [i, 8], [i, 9], 100 * MIB) for i in (1, 2, 3)]
    [wave] = schedule(into, (), Limits(rate=rate))
    assert wave.seconds == 30.0, "broker 9 receives 300 MiB"
    waves = schedule(into, (), Limits(inbound=1, rate=rate))
    assert seconds(waves) == 30.0
    assert len(waves) == 3
    assert schedule(into)[0].seconds is None


def test_what_clients_write_meanwhile_takes_its_part_of_the_rate() -> None:
    [m] = [move(0, [1, 2], [1, 3], 100 * MIB)]
    setting = Setting(incoming={m.tp: 5.0 * MIB})
    [wave] = schedule([m], (), Limits(rate=10.0 * MIB), setting)
    assert wave.seconds == 20.0
    assert loads(wave, setting) == {
        (3, "in"): (100 * MIB, 5.0 * MIB),
        (1, "out"): (100 * MIB, 5.0 * MIB),
    }
    with pytest.raises(GuardRefused, match="never end") as refused:
        schedule([m], (), Limits(rate=5.0 * MIB), setting)
    assert refused.value.code == "KO-PLACEMENT-NEVER-ENDS"


def test_a_leader_that_is_not_the_first_replica_is_who_sends() -> None:
    m = move(0, [1, 2], [1, 3], 100 * MIB)
    assert (2, "out") in loads(Wave(Kind.COPY, (m,)), Setting(leads={m.tp: 2}))


def test_what_is_out_of_sync_is_dropped_first() -> None:
    sound = move(0, [1, 2, 3], [1, 2])
    late = move(1, [1, 2, 3], [1, 2])
    waves = schedule([sound, late], (), Limits(), Setting(lagging={late.tp: [3]}))
    assert [[m.tp.partition for m in w.moves] for w in waves] == [[1], [0]]
    assert {w.kind for w in waves} == {Kind.DROP}


def test_replicas_between_directories_go_few_at_a_time_on_each_broker() -> None:
    dirs = [DirMove(TopicPartition("t", i), 1 + i % 2, "/a", "/b", (i + 1) * MIB) for i in range(6)]
    waves = schedule((), dirs, Limits(inbound=2, rate=1.0 * MIB))
    assert [len(w.dirs) for w in waves] == [4, 2]
    assert waves[0].seconds == 10.0, "6 and 4 MiB on broker 2"


def test_what_is_worse_for_racks_waits_for_what_is_better() -> None:
    worse = move(0, [1, 2, 3], [1, 4])  # 1 and 4 are in one rack
    better = move(1, [1, 4, 7], [1, 2, 3])
    assert [w.moves for w in schedule([worse, better], (), Limits(), Setting(racks=RACKS))] == [
        (better,),
        (worse,),
    ]
