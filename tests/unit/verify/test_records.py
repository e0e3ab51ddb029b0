"""The record walk against an independent decoder, over everything a log can hold."""

from __future__ import annotations

import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kafkaops.verify.codecs import DataFault
from kafkaops.verify.records import visible
from tests.unit.verify.batches import Log, Rec, batch, decoded, hashed, marker

some = st.one_of(st.none(), st.binary(max_size=90))
header = st.tuples(st.text(max_size=6), st.one_of(st.none(), st.binary(max_size=9)))
records = st.builds(
    Rec,
    st.integers(-1, 1 << 42),
    some,
    some,
    st.lists(header, max_size=4).map(tuple),
)
some_records = st.lists(records, min_size=1, max_size=12)
quick = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


def seen(data: bytes, start: int = 0, aborted: object = ()) -> list[tuple[int, int]]:
    found = visible(data, start, aborted)  # type: ignore[arg-type]
    return list(zip(found.offsets.tolist(), found.hashes.tolist(), strict=True))


@quick
@given(some_records, st.sampled_from([0, 1, 3, 4]), st.integers(0, 1 << 40))
def test_every_record_is_hashed_as_an_independent_decoder_reads_it(
    given_records: list[Rec], codec: int, base: int
) -> None:
    data = batch(given_records, base, codec=codec)
    assert seen(data, base) == [(offset, hashed(r)) for offset, r in decoded(data)]
    assert [r for _, r in decoded(data)] == given_records
    assert visible(data, base).next_offset == base + len(given_records)


@quick
@given(some_records, st.booleans())
def test_snappy_raw_and_in_blocks_reads_like_plain(given_records: list[Rec], xerial: bool) -> None:
    assert seen(batch(given_records, 7, codec=2, xerial=xerial), 7) == seen(
        batch(given_records, 7), 7
    )


@quick
@given(st.lists(records, min_size=2, max_size=24), st.data())
def test_batch_boundaries_and_codecs_leave_hashes_alone(
    given_records: list[Rec], data: st.DataObject
) -> None:
    log = Log()
    left = list(given_records)
    while left:
        count = data.draw(st.integers(1, len(left)))
        log.append(left[:count], codec=data.draw(st.sampled_from([0, 1, 2, 3, 4])))
        left = left[count:]
    whole = seen(batch(given_records, 0))
    assert seen(log.bytes_from(0)) == whole
    start = data.draw(st.integers(0, len(given_records)))
    assert seen(log.bytes_from(start), start) == whole[start:]


step = st.one_of(
    st.tuples(st.just("plain"), some_records, st.sampled_from([0, 3])),
    st.tuples(st.just("transactional"), st.integers(1, 3), some_records),
    st.tuples(st.just("end"), st.integers(1, 3), st.booleans()),
)


@quick
@given(st.lists(step, max_size=25), st.data())
def test_control_and_aborted_records_are_not_seen(
    steps: list[tuple[str, object, object]], data: st.DataObject
) -> None:
    log = Log()
    for kind, a, b in steps:
        if kind == "plain":
            log.append(a, codec=b)  # type: ignore[arg-type]
        elif kind == "transactional":
            log.append(b, producer=a)  # type: ignore[arg-type]
        else:
            log.finish(a, commit=bool(b))  # type: ignore[arg-type]
    for producer in (1, 2, 3):
        log.finish(producer, commit=data.draw(st.booleans()))
    start = data.draw(st.integers(0, log.end))
    expected = [(o, hashed(r)) for o, r in log.visible if o >= start]
    assert seen(log.bytes_from(start), start, log.aborted_from(start)) == expected
    assert visible(log.bytes_from(0), 0, log.aborted_from(0)).next_offset == log.end


def test_a_producer_that_aborted_before_is_seen_when_it_commits() -> None:
    log = Log()
    for i in range(6):
        log.append([Rec(i, b"k", b"%d" % i)], producer=1)
        log.append([Rec(i, b"k", b"other")], producer=2)
        log.finish(1, commit=i % 2 == 1)
        log.finish(2, commit=i % 3 == 1)
    assert seen(log.bytes_from(0), 0, log.aborted_from(0)) == [
        (o, hashed(r)) for o, r in log.visible
    ]
    assert len(log.visible) == 5


def test_fetching_batch_by_batch_gives_the_same() -> None:
    log = Log()
    for i in range(30):
        log.append([Rec(i, b"k", b"%d" % i)] * 3, codec=3 if i % 2 else 0)
    at, found = 0, []
    while at < log.end:
        part = visible(log.bytes_from(at, limit=300), at)
        assert part.next_offset > at
        found += part.offsets.tolist()
        at = part.next_offset
    assert found == list(range(90))


@pytest.mark.parametrize("codec", [1, 2, 3, 4])
def test_batches_larger_than_the_first_buffer(codec: int) -> None:
    packed, plain = Log(), Log()
    for i in range(4):
        for log, used in ((packed, codec), (plain, 0)):
            log.append([Rec(i, b"k", b"%d" % i * 700_000)], codec=used)
    assert seen(packed.bytes_from(0)) == seen(plain.bytes_from(0))
    assert len(seen(plain.bytes_from(0))) == 4


def test_log_append_time_takes_the_time_of_the_batch() -> None:
    data = batch([Rec(5, b"k", b"v"), Rec(6, b"k", b"v")], 0, log_append=99)
    assert [h for _, h in seen(data)] == [hashed(Rec(99, b"k", b"v"))] * 2


def test_each_part_of_a_record_changes_its_hash() -> None:
    base = Rec(1, b"k", b"v", (("h", b"x"),))
    others = [
        Rec(2, b"k", b"v", (("h", b"x"),)),
        Rec(1, b"K", b"v", (("h", b"x"),)),
        Rec(1, b"k", b"V", (("h", b"x"),)),
        Rec(1, b"k", b"v", (("h", None),)),
        Rec(1, b"k", b"v", ()),
        Rec(1, None, b"v", (("h", b"x"),)),
        Rec(1, b"", b"v", (("h", b"x"),)),
        Rec(1, b"kv", b"", (("h", b"x"),)),
    ]
    hashes = {h for r in (base, *others) for _, h in seen(batch([r], 0))}
    assert len(hashes) == 1 + len(others)


def test_hashes_of_many_similar_records_do_not_collide() -> None:
    found = visible(batch([Rec(0, None, b"%07d" % i) for i in range(200_000)], 0), 0)
    assert len(set(found.hashes.tolist())) == 200_000
    # The low bits, which tables use, are spread too.
    low = len({h & 0xFFFFF for h in found.hashes.tolist()})
    assert 175_000 < low < 187_000  # 2^20 slots: 181,800 expected of a random function


def test_keys_and_tombstones_where_asked_for() -> None:
    data = batch([Rec(1, b"a", b"1"), Rec(2, b"b", None), Rec(3, b"a", b"")], 0, codec=3)
    found = visible(data, 0, keys=True)
    assert found.keys is not None
    assert found.tombstones is not None
    assert found.keys[0] == found.keys[2] != found.keys[1]
    assert found.tombstones.tolist() == [False, True, False]


def test_nothing_and_an_unfinished_batch() -> None:
    assert visible(b"", 17).next_offset == 17
    data = batch([Rec(1, b"a", b"1")], 17)
    assert visible(data[:-1], 17).next_offset == 17
    assert seen(data + data[:40], 17) == seen(data, 17)


def test_an_empty_batch_that_compaction_left_is_passed() -> None:
    data = bytearray(batch([Rec(1, b"a", b"1")], 10)[:61])
    struct.pack_into(">i", data, 8, 61 - 12)
    struct.pack_into(">i", data, 23, 4)
    struct.pack_into(">i", data, 57, 0)
    found = visible(bytes(data), 10)
    assert (len(found.offsets), found.next_offset) == (0, 15)


def test_old_message_formats_are_refused_by_name() -> None:
    message = struct.pack(">qiIbbq", 0, 30, 0, 1, 0, 5) + bytes(40)
    with pytest.raises(DataFault, match="v0 or v1"):
        visible(message, 0)


# Byte 62 is the first record's attributes, which nothing uses.
@pytest.mark.parametrize("at", [61, *range(63, 75)])
def test_broken_bytes_are_refused_or_change_the_hash(at: int) -> None:
    good = batch([Rec(1, b"key", b"value"), Rec(2, b"key", b"value")], 0)
    bad = bytearray(good)
    bad[at] ^= 0x15
    try:
        found = seen(bytes(bad))
    except DataFault:
        return
    assert found != seen(good)


def test_too_many_records_claimed_is_refused() -> None:
    bad = bytearray(batch([Rec(1, b"k", b"v")], 0))
    struct.pack_into(">i", bad, 57, 1 << 30)
    with pytest.raises(DataFault, match="too many"):
        visible(bytes(bad), 0)


def test_a_payload_that_does_not_decompress_is_refused() -> None:
    for codec in (1, 2, 3, 4):
        bad = bytearray(batch([Rec(1, b"k", b"value" * 20)], 0, codec=codec))
        bad[61:] = bytes(len(bad) - 61)
        with pytest.raises(DataFault):
            visible(bytes(bad), 0)


def test_a_marker_alone_moves_the_position() -> None:
    assert visible(marker(5, 1, commit=True), 5).next_offset == 6
