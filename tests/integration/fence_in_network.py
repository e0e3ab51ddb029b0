"""The fence and the forward on a real kernel: real nftables, real sockets, no Kafka.

Not collected by itself: `test_fence_network.py` runs this file inside a private network.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from kafkaops.adapters.host_local import LocalHost
from kafkaops.cutover import fence, forward, ruleset
from kafkaops.engine.clock import SystemClock

PORT = 9092
BLUE, GREEN = "127.0.1.1", "127.0.2.1"
SHORT, LONG = b"x" * 20, b"x" * 300


class Broker:
    """Answers every message with its own name and what it got, and remembers all of it."""

    def __init__(self, address: str, name: bytes) -> None:
        self.name = name
        self.got = b""
        self._listener = socket.create_server((address, PORT), backlog=16)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(65536):
                    self.got += data
                    connection.sendall(self.name + b":" + data[:5])
            except OSError:
                return

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def connect(address: str) -> socket.socket:
    return socket.create_connection((address, PORT), timeout=3)


def ask(connection: socket.socket, data: bytes = SHORT, timeout: float = 3.0) -> bytes:
    connection.settimeout(timeout)
    connection.sendall(data)
    return connection.recv(100)


@pytest.fixture
def blue() -> Iterator[Broker]:
    broker = Broker(BLUE, b"blue")
    yield broker
    broker.close()


@pytest.fixture
def green() -> Iterator[Broker]:
    broker = Broker(GREEN, b"green")
    yield broker
    broker.close()


@pytest.fixture
def hosts() -> Iterator[list[LocalHost]]:
    made = [LocalHost("blue-1", BLUE), LocalHost("green-1", GREEN)]
    yield made
    fence.remove(made)


def test_prepare_fences_nothing_and_keeps_what_is_fenced(
    hosts: list[LocalHost], blue: Broker
) -> None:
    assert {s.kind for s in fence.states(hosts).values()} == {"absent"}
    fence.prepare(hosts, PORT)
    assert {s.kind for s in fence.states(hosts).values()} == {"open"}
    assert ask(connect(BLUE)).startswith(b"blue")
    fence.close(hosts[:1], PORT)
    fence.prepare(hosts, PORT)
    assert [s.kind for s in fence.states(hosts).values()] == ["permanent", "open"]


def test_a_closed_port_resets_open_connections_and_new_ones_and_only_there(
    hosts: list[LocalHost], blue: Broker, green: Broker
) -> None:
    fence.prepare(hosts, PORT)
    old = connect(BLUE)
    assert ask(old).startswith(b"blue")
    fence.close(hosts[:1], PORT)
    with pytest.raises(ConnectionError):
        ask(old)
    with pytest.raises(ConnectionRefusedError):
        connect(BLUE)
    assert ask(connect(GREEN)).startswith(b"green")
    assert fence.knocks(hosts) == {"blue-1": ["127.0.0.1"]}
    fence.forget_knocks(hosts)
    assert fence.knocks(hosts) == {}
    fence.lift(hosts, PORT)
    assert ask(connect(BLUE)).startswith(b"blue")


def test_fire_holds_data_lets_answers_out_then_resets_and_the_kernel_lifts_it(
    hosts: list[LocalHost], blue: Broker
) -> None:
    fence.prepare(hosts, PORT)
    old, slow, idle = connect(BLUE), connect(BLUE), connect(BLUE)
    assert ask(old).startswith(b"blue")
    idle.settimeout(0.5)
    report: list[fence.FireReport] = []
    begun = time.monotonic()

    def fire() -> None:
        report.append(fence.fire(hosts, port=PORT, budget=3.0, drain=1.0, clock=SystemClock()))

    firing = threading.Thread(target=fire)
    firing.start()
    while fence.states(hosts[:1])["blue-1"].kind != "holding":
        assert time.monotonic() - begun < 2
    before = blue.got
    with pytest.raises(TimeoutError):
        ask(old, LONG, timeout=0.4)  # data is dropped, the connection lives
    assert blue.got == before
    assert ask(slow, b"y", timeout=0.4).startswith(b"blue")  # short packets and answers flow
    firing.join()
    with pytest.raises(ConnectionResetError):
        idle.recv(1)  # it sends nothing, and hears at once that this is over
    assert fence.states(hosts)["blue-1"].kind == "timed"
    with pytest.raises(ConnectionError):
        ask(slow)
    with pytest.raises(ConnectionRefusedError):
        connect(BLUE)
    assert LONG not in blue.got  # never appended: no produce is in doubt
    fired = report[0]
    assert set(fired.fired) == {"blue-1", "green-1"}
    assert fired.skew < 0.5
    assert 0.9 < fired.fired["blue-1"] - fired.held["blue-1"] < 1.6
    while fence.states(hosts[:1])["blue-1"].kind != "open":
        assert time.monotonic() - begun < 6, "the kernel did not lift the fence"
    assert 2.8 < time.time() - fired.held["blue-1"] < 4.0
    assert ask(connect(BLUE)).startswith(b"blue")


def request(api_key: int, size: int = 200) -> bytes:
    """The beginning of a Kafka request: its length, then which request it is."""
    return size.to_bytes(4, "big") + api_key.to_bytes(2, "big") + b"x" * (size - 2)


def test_producers_are_held_while_consumers_read_on(hosts: list[LocalHost], blue: Broker) -> None:
    produce, fetch, commit = 0, 1, 8
    fence.prepare(hosts, PORT)
    producer, consumer = connect(BLUE), connect(BLUE)
    assert ask(producer, request(produce)).startswith(b"blue")
    hosts[0].firewall(ruleset.quiet("blue-1", PORT, seconds=5))
    assert fence.states(hosts[:1])["blue-1"].kind == "holding"
    for kind in (fetch, commit):
        assert ask(consumer, request(kind)).startswith(b"blue")
    for size in (20, 40_000):  # short ones too, and those of several packets
        before = blue.got
        with pytest.raises(TimeoutError):
            ask(connect(BLUE), request(produce, size), timeout=0.4)
        assert request(produce, size) not in blue.got[len(before) :]
    with pytest.raises(TimeoutError):
        ask(producer, request(produce), timeout=0.4)
    hosts[0].firewall(ruleset.hold("blue-1", PORT, seconds=5))
    with pytest.raises(TimeoutError):
        ask(consumer, request(fetch), timeout=0.4)


def test_consumers_rejoin_before_they_may_fetch(hosts: list[LocalHost], green: Broker) -> None:
    fetch, heartbeat, produce, epoch = 1, 12, 0, 23
    fence.close(hosts[1:], PORT)
    fence.open_(hosts[1:], PORT, rejoin=0.8)
    assert fence.states(hosts[1:])["green-1"].kind == "open"
    consumer, other = connect(GREEN), connect(GREEN)
    begun = time.monotonic()
    assert ask(other, request(heartbeat)).startswith(b"green")
    assert ask(other, request(produce)).startswith(b"green")
    assert time.monotonic() - begun < 0.5
    assert fence.rejoining(hosts[1:])
    for kind in (fetch, epoch):
        with pytest.raises(ConnectionResetError):
            ask(consumer if kind == fetch else connect(GREEN), request(kind))
    while fence.rejoining(hosts[1:]) and time.monotonic() - begun < 5:
        time.sleep(0.05)
    assert 0.5 < time.monotonic() - begun < 2.5  # the kernel lifted it
    assert ask(connect(GREEN), request(fetch)).startswith(b"green")
    fence.open_(hosts[1:], PORT, rejoin=30)
    with pytest.raises(ConnectionResetError):
        ask(connect(GREEN), request(fetch))
    fence.fetch(hosts[1:])  # and when the groups are back
    assert not fence.rejoining(hosts[1:])
    assert ask(connect(GREEN), request(fetch)).startswith(b"green")


def test_disarm_keeps_a_standing_fence_and_refuses_one_that_was_lifted(
    hosts: list[LocalHost], blue: Broker
) -> None:
    fence.prepare(hosts, PORT)
    fence.fire(hosts, port=PORT, budget=1.2, drain=0.2, clock=SystemClock())
    assert fence.disarm(hosts[:1], PORT) == {"blue-1": True}
    assert fence.disarm(hosts[:1], PORT) == {"blue-1": True}
    time.sleep(1.2)
    assert fence.disarm(hosts[1:], PORT) == {"green-1": False}
    kinds = {name: s.kind for name, s in fence.states(hosts).items()}
    assert kinds == {"blue-1": "permanent", "green-1": "open"}
    with pytest.raises(ConnectionRefusedError):
        connect(BLUE)


def test_disarming_leaves_no_gap_to_slip_through(hosts: list[LocalHost], blue: Broker) -> None:
    fence.prepare(hosts, PORT)
    fence.fire(hosts[:1], port=PORT, budget=20, drain=0.0, clock=SystemClock())
    slipped: list[int] = []
    stop = threading.Event()

    def knock() -> None:
        while not stop.is_set():
            try:
                connect(BLUE).close()
                slipped.append(1)
            except ConnectionRefusedError:
                pass

    knocking = [threading.Thread(target=knock) for _ in range(2)]
    for thread in knocking:
        thread.start()
    for _ in range(50):
        assert fence.disarm(hosts[:1], PORT) == {"blue-1": True}
    stop.set()
    for thread in knocking:
        thread.join()
    assert slipped == []


def test_a_shell_that_dies_while_holding_leaves_nothing_behind(
    hosts: list[LocalHost], blue: Broker
) -> None:
    fence.prepare(hosts, PORT)
    hosts[0].firewall(ruleset.hold("blue-1", PORT, seconds=0.5))
    time.sleep(0.7)
    assert fence.states(hosts)["blue-1"].kind == "open"
    late = hosts[0].firewall(ruleset.shut("blue-1", PORT, seconds=5))
    assert late.code != 0  # data got through meanwhile: too late to fence cleanly
    assert fence.states(hosts)["blue-1"].kind == "open"


def test_a_host_that_cannot_fire_leaves_no_host_fenced(
    hosts: list[LocalHost], blue: Broker
) -> None:
    fence.prepare(hosts[:1], PORT)  # the other has no table
    with pytest.raises(Exception, match="did not close"):
        fence.fire(hosts, port=PORT, budget=10, drain=0.1, clock=SystemClock())
    assert fence.states(hosts)["blue-1"].kind == "open"


def test_a_closed_host_forwards_to_the_other_until_it_is_opened(
    hosts: list[LocalHost], blue: Broker, green: Broker
) -> None:
    fence.prepare(hosts, PORT)
    on_green = hosts[1]
    fence.close([on_green], PORT)
    forward.on(on_green, BLUE, PORT)
    forward.on(on_green, BLUE, PORT)
    assert forward.target_of(on_green) == BLUE
    passed = connect(GREEN)
    idle = connect(GREEN)
    assert ask(passed).startswith(b"blue")  # through green's fence, to blue
    assert ask(idle).startswith(b"blue")

    fence.fire(hosts[:1], port=PORT, budget=20, drain=0.2, clock=SystemClock())
    with pytest.raises(ConnectionError):
        ask(passed)  # blue's reset finds its way back through the forward
    with pytest.raises(ConnectionRefusedError):
        connect(GREEN)
    assert fence.disarm(hosts[:1], PORT) == {"blue-1": True}
    before = blue.got
    fence.open_([on_green], PORT)
    assert fence.states([on_green])["green-1"] == ruleset.FenceState("open")
    assert ask(connect(GREEN)).startswith(b"green")  # new ones stay
    with pytest.raises(ConnectionError):
        ask(idle)  # one that slept through it all cannot write on blue any more
    assert blue.got == before
    assert green.got == SHORT


def test_a_name_moved_back_serves_again_when_the_forward_is_dropped(
    hosts: list[LocalHost], blue: Broker, green: Broker
) -> None:
    fence.close(hosts[1:], PORT)
    forward.on(hosts[1], BLUE, PORT)
    forward.off(hosts[1])
    assert forward.target_of(hosts[1]) is None
    with pytest.raises(ConnectionRefusedError):
        connect(GREEN)
    fence.close_and_forward([(hosts[1], BLUE)], PORT)
    assert ask(connect(GREEN)).startswith(b"blue")
    assert fence.states(hosts[1:])["green-1"] == ruleset.FenceState("permanent", forward=BLUE)
