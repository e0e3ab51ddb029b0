"""Records: what is written can be checked, and order is checkable by number."""

from kafkaops.lab.load import record


def test_a_record_says_who_wrote_it_and_that_it_is_whole() -> None:
    value = record.encode("p-one", 17, "k3", 200)
    assert record.decode(b"k3", value) == record.Content("p-one", 17, True)
    assert 190 <= len(value) <= 205


def test_any_changed_byte_or_key_shows() -> None:
    value = record.encode("p-one", 17, "k3", 100)
    for at in range(len(value)):
        changed = value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :]
        content = record.decode(b"k3", changed)
        assert content is None or not content.intact, at
    moved = record.decode(b"k4", value)
    assert moved is not None
    assert not moved.intact


def test_what_the_load_did_not_write_is_not_taken_for_its_own() -> None:
    for value in (None, b"", b"hello", b"a b c d", b"\xff\xfe 1 2 3", b"p one two three"):
        assert record.decode(b"k", value) is None


def test_hash_is_the_documented_one() -> None:
    # The Java client computes it too; this value is from sha256sum(1).
    assert record.encode("p", 5, "k0", 60) == b"p 5 eca3300b3db11661 " + b"5." * 15 + b"5"


def test_numbers_go_round_topics_and_keys_in_runs() -> None:
    places = [record.place(seq, ("a", "b"), 3) for seq in range(0, 8 * record.RUN, record.RUN)]
    assert places == [
        ("a", "k0"),
        ("b", "k0"),
        ("a", "k1"),
        ("b", "k1"),
        ("a", "k2"),
        ("b", "k2"),
        ("a", "k0"),
        ("b", "k0"),
    ]
    assert len({record.place(seq, ("a", "b"), 3) for seq in range(record.RUN)}) == 1
