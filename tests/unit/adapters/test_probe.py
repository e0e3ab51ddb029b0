"""Which names a certificate covers; who answers on a plain port. The secured lab tries the rest."""

from __future__ import annotations

import socket
import struct

import pytest

from kafkaops.adapters.probe import ClientProbe, uncovered
from kafkaops.engine.errors import ConfigError
from tests.unit.adapters.test_listener_look import handshake, served

PLAIN = {"blue.client_security": lambda: {"security_protocol": "PLAINTEXT"}}


def test_names_are_covered_by_themselves_or_by_one_whole_label() -> None:
    held = ["b1.kafka.lab", "*.orders.example", "10.0.0.1"]
    assert uncovered(["B1.Kafka.Lab.", "b7.orders.example", "10.0.0.1"], held) == []
    assert uncovered(["b2.kafka.lab", "x.b7.orders.example", "orders.example"], held) == [
        "b2.kafka.lab", "orders.example", "x.b7.orders.example",
    ]  # fmt: skip
    assert uncovered(["a"], []) == ["a"]
    assert uncovered([], []) == []


def metadata(asked: bytes) -> bytes:
    """A Metadata answer, version 7, of one broker without a rack."""
    broker = struct.pack(">i", 1) + text("b1") + struct.pack(">i", 9092) + struct.pack(">h", -1)
    body = struct.pack(">iii", 1, 0, 1) + broker + text("the-id") + struct.pack(">ii", 1, 0)
    return struct.pack(">i", len(body)) + body


def text(value: str) -> bytes:
    return struct.pack(">h", len(value)) + value.encode()


def test_the_cluster_that_answers_is_told() -> None:
    with served(metadata) as port:
        assert ClientProbe(PLAIN).cluster_id("127.0.0.1", port, names=["b1"]) == "the-id"


def test_nobody_and_nonsense_are_no_cluster() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    assert ClientProbe(PLAIN).cluster_id("127.0.0.1", port, timeout=1.0) is None
    with served(lambda asked: b"nonsense") as port:
        assert ClientProbe(PLAIN).cluster_id("127.0.0.1", port, timeout=1.0) is None


def test_a_port_that_wants_a_login_is_told_and_not_taken_for_silence() -> None:
    with served(handshake(33, "SCRAM-SHA-512")) as port, pytest.raises(ConfigError) as refused:
        ClientProbe(PLAIN).cluster_id("127.0.0.1", port, timeout=2.0)
    assert refused.value.code == "KO-CLIENT-LISTENER"
    assert "wants a login (SCRAM-SHA-512)" in refused.value.message


def test_logins_are_made_when_first_needed_and_only_then() -> None:
    def never() -> dict[str, str]:
        raise AssertionError("nothing answered there: no password is needed")

    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    assert ClientProbe({"x": never}).cluster_id("127.0.0.1", port, timeout=1.0) is None
