"""The zone is at least as strict as Route 53, and DNS follows only what is in sync."""

from __future__ import annotations

import pytest

from kafkaops.engine.clock import FakeClock
from kafkaops.lab.dns import answer
from kafkaops.lab.route53 import Change, RecordSet, Refused, Zone

BLUE = RecordSet("b1.z.", "A", 60, ("127.0.1.1",))
GREEN = RecordSet("b1.z.", "A", 5, ("127.0.2.1",))


def weighted(identifier: str, weight: str, address: str = "127.0.1.1") -> RecordSet:
    return RecordSet("w.z.", "A", 60, (address,), identifier, (("Weight", weight),))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def zone(clock: FakeClock) -> Zone:
    zone = Zone("z.", "Z1", delay=2.0, clock=clock.monotonic)
    zone.seed([BLUE, RecordSet("c.z.", "CNAME", 60, ("b1.z.",))])
    return zone


def refused(zone: Zone, *changes: Change) -> str:
    before = zone.record_sets()
    with pytest.raises(Refused) as caught:
        zone.submit(changes)
    assert zone.record_sets() == before, "a refused batch left something behind"
    assert caught.value.code == "InvalidChangeBatch"
    return caught.value.message


def test_a_batch_of_delete_and_create_swaps_the_record(zone: Zone) -> None:
    zone.submit([Change("DELETE", BLUE), Change("CREATE", GREEN)])
    assert GREEN in zone.record_sets()
    assert BLUE not in zone.record_sets()


def test_a_later_fault_undoes_the_whole_batch(zone: Zone) -> None:
    other = RecordSet("b9.z.", "A", 60, ("127.0.1.9",))
    message = refused(zone, Change("CREATE", other), Change("CREATE", BLUE))
    assert "[name='b1.z.', type='A'] but it already exists" in message


@pytest.mark.parametrize(
    "stale",
    [
        RecordSet("b1.z.", "A", 61, ("127.0.1.1",)),
        RecordSet("b1.z.", "A", 60, ("127.0.1.2",)),
        RecordSet("b1.z.", "A", 60, ("127.0.1.1", "127.0.1.2")),
    ],
)
def test_delete_wants_the_exact_values(zone: Zone, stale: RecordSet) -> None:
    assert "do not match the current values" in refused(zone, Change("DELETE", stale))


def test_delete_does_not_mind_the_order_of_values(zone: Zone) -> None:
    two = RecordSet("m.z.", "A", 60, ("127.0.1.1", "127.0.1.2"))
    zone.submit([Change("CREATE", two)])
    zone.submit([Change("DELETE", RecordSet("m.z.", "A", 60, ("127.0.1.2", "127.0.1.1")))])
    assert all(record.name != "m.z." for record in zone.record_sets())


def test_delete_of_what_is_not_there(zone: Zone) -> None:
    gone = RecordSet("x.z.", "A", 60, ("127.0.1.1",))
    assert "it was not found" in refused(zone, Change("DELETE", gone))


def test_delete_of_an_unknown_set_identifier(zone: Zone) -> None:
    zone.submit([Change("CREATE", weighted("blue", "10"))])
    assert "it was not found" in refused(zone, Change("DELETE", weighted("green", "10")))
    assert "do not match" in refused(zone, Change("DELETE", weighted("blue", "11")))


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (RecordSet("z.", "CNAME", 60, ("b1.z.",)), "not permitted at apex"),
        (RecordSet("c.z.", "A", 60, ("127.0.1.1",)), "conflicting RRSet of type CNAME"),
        (RecordSet("b1.z.", "CNAME", 60, ("c.z.",)), "conflicting RRSet of type A"),
        (RecordSet("b1.other.", "A", 60, ("127.0.1.1",)), "not permitted in zone z."),
        (RecordSet("b2.z.", "A", 60, ("nonsense",)), "not a valid address"),
        (RecordSet("b2.z.", "A", 60, ("127.0.0.1", "127.0.0.1")), "Duplicate Resource Record"),
        (RecordSet("b2.z.", "A", None, ("127.0.0.1",)), "Missing field 'TTL'"),
        (RecordSet("b1.z.", "A", 60, ("127.0.1.1",), "x", (("Weight", "1"),)), "another routing"),
    ],
)
def test_records_that_cannot_be(zone: Zone, record: RecordSet, words: str) -> None:
    assert words in refused(zone, Change("CREATE", record))


def test_the_zone_keeps_its_soa(zone: Zone) -> None:
    soa = next(r for r in zone.record_sets() if r.type == "SOA")
    assert "at least one SOA" in refused(zone, Change("DELETE", soa))


def test_a_change_is_pending_then_in_sync_and_only_then_served(
    zone: Zone, clock: FakeClock
) -> None:
    change = zone.submit([Change("UPSERT", GREEN)])
    clock.sleep(1.9)
    assert not zone.change(change.id).in_sync
    assert answer(zone.served(), "b1.z.", "A") == ([BLUE], True)
    clock.sleep(0.1)
    assert zone.change(change.id).in_sync
    assert answer(zone.served(), "b1.z.", "A") == ([GREEN], True)


def test_a_longer_delay_holds_back_what_is_pending_and_nothing_else(
    zone: Zone, clock: FakeClock
) -> None:
    first = zone.submit([Change("UPSERT", GREEN)])
    clock.sleep(2)
    second = zone.submit([Change("UPSERT", BLUE)])
    zone.set_delay(60)
    clock.sleep(59)
    assert zone.change(first.id).in_sync
    assert not zone.change(second.id).in_sync
    zone.set_delay(0)
    assert zone.change(second.id).in_sync


def test_an_unknown_change_id_is_an_error(zone: Zone) -> None:
    with pytest.raises(Refused) as caught:
        zone.change("C404")
    assert (caught.value.code, caught.value.status) == ("NoSuchChange", 404)


def test_dns_follows_a_cname_and_knows_what_exists(zone: Zone) -> None:
    cname = RecordSet("c.z.", "CNAME", 60, ("b1.z.",))
    assert answer(zone.served(), "c.z.", "A") == ([cname, BLUE], True)
    assert answer(zone.served(), "b1.z.", "AAAA") == ([], True)
    assert answer(zone.served(), "nope.z.", "A") == ([], False)


def test_dns_prefers_by_weight_and_treats_all_zero_as_equal(zone: Zone, clock: FakeClock) -> None:
    zone.submit([Change("CREATE", weighted("blue", "0")), Change("CREATE", weighted("green", "5"))])
    clock.sleep(2)
    seen = {answer(zone.served(), "w.z.", "A")[0][0].set_identifier for _ in range(50)}
    assert seen == {"green"}
    zone.submit([Change("UPSERT", weighted("green", "0"))])
    clock.sleep(2)
    seen = {answer(zone.served(), "w.z.", "A")[0][0].set_identifier for _ in range(50)}
    assert seen == {"blue", "green"}
