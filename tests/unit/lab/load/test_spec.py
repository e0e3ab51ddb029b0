"""Mixes and what is typed for them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kafkaops.engine.errors import UsageFault
from kafkaops.lab.load import spec
from kafkaops.lab.load.java import properties
from kafkaops.lab.load.spec import ClientSpec


def test_the_default_mix_is_the_promised_one() -> None:
    made = spec.clients(spec.mix("default"), ["orders"], rate=50.0)
    producers = {c.kind for c in made if c.role == "producer"}
    assert producers == {"librdkafka", "java-4.3.1", "java-3.9.2", "kafka-python"}
    assert len({c.group for c in made if c.role == "consumer"}) == 3
    assert {c.rate for c in made} == {50.0}
    assert {c.bootstrap for c in made} == {"bootstrap.kafka.lab:9092"}


def test_topics_groups_and_producers_as_typed() -> None:
    assert spec.topics("orders:6, payments") == {"orders": 6, "payments": 3}
    assert spec.producers("p1:librdkafka,p2:java-3.9.2") == (
        ("p1", "librdkafka"),
        ("p2", "java-3.9.2"),
    )
    assert spec.groups("g:kafka-python,h:librdkafka:4") == (
        ("g", "kafka-python", 1),
        ("h", "librdkafka", 4),
    )


@pytest.mark.parametrize(
    ("parse", "text", "named"),
    [
        (spec.topics, "orders:0", "orders:0"),
        (spec.topics, "", ""),
        (spec.topics, "or ders:1", "or ders"),
        (spec.producers, "p1", "p1"),
        (spec.producers, "p1:kafka", "java-4.3.1"),
        (spec.producers, "P 1:librdkafka", "P 1"),
        (spec.groups, "g:librdkafka:0", "0"),
        (spec.groups, "g:librdkafka:1:2", "g:librdkafka:1:2"),
        (spec.mix, "defualt", "default"),
    ],
)
def test_what_is_mistyped_is_named(parse: Callable[[str], object], text: str, named: str) -> None:
    with pytest.raises(UsageFault) as caught:
        parse(text)
    assert named in caught.value.message


def test_two_clients_of_one_name_are_refused() -> None:
    twice = spec.Mix((("x", "librdkafka"), ("x", "kafka-python")), ())
    with pytest.raises(UsageFault):
        spec.clients(twice, ["t"])


def test_a_spec_survives_its_file() -> None:
    (one,) = spec.clients(spec.Mix((("p", "java-3.9.2"),), ()), ["a", "b"], config={"x": "1"})
    assert ClientSpec.from_json(one.to_json()) == one


def test_java_clients_run_on_their_own_defaults() -> None:
    """Nothing that decides how they move is set; what is asked for overrides."""
    text = properties(ClientSpec("producer", "p", "java-3.9.2", ("a", "b")), 4000)
    assert "load.first=4000\n" in text
    assert "load.dns_cache=\n" in text
    for key in ("metadata.recovery.strategy", "retries", "delivery.timeout.ms", "idempotence"):
        assert key not in text
    made = ClientSpec("consumer", "c", "java-4.3.1", ("a",), group="g", config={"x.y": "z"})
    assert "client.group.id=g\n" in properties(made, 0)
    assert "client.x.y=z\n" in properties(made, 0)


def test_kafka_python_takes_kafkas_property_names() -> None:
    from kafkaops.lab.load.pykafka import translated

    known = {"session_timeout_ms": 1, "enable_auto_commit": True, "client_rack": ""}
    config = {
        "session.timeout.ms": "6000",
        "enable.auto.commit": "false",
        "client.rack": "a",
        "metadata.recovery.strategy": "none",
    }
    assert translated(config, known) == {
        "session_timeout_ms": 6000,
        "enable_auto_commit": False,
        "client_rack": "a",
    }
