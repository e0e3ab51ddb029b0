"""The fence over fake hosts: what is asked of which host, and what happens when one fails.
What the kernel makes of the rules is tested in tests/integration/fence_in_network.py."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Mapping, Sequence

import pytest

from kafkaops.cutover import fence, forward, ruleset
from kafkaops.cutover.ruleset import FenceState
from kafkaops.engine.clock import FakeClock
from kafkaops.engine.errors import ConfigError, StepFailed, Unreachable
from kafkaops.ports.host import Ran, ServiceState

PORT = 9092
SIDE_BY_SIDE = threading.Lock()


class FakeHost:
    """Remembers scripts and files; `fire_code` is what the command of the fence answers. Its clock
    was `ahead` seconds of ours when the test began; setting ours does not set it. `then` is called
    when it has done what it was told."""

    def __init__(self, name: str, clock: FakeClock, *, ahead: float = 0.0) -> None:
        self.name = name
        self.address = "10.0.0.1"
        self.clock = clock
        self.ahead = ahead
        self.scripts: list[str] = []
        self.commands: list[tuple[str, ...]] = []
        self.files: dict[str, bytes] = {}
        self.listing: str | None = None
        self.refuses = 0
        self.fire_code = 0
        self.gone = False
        self.then: Callable[[str], None] = lambda what: None

    def now(self) -> float:
        return self.clock.monotonic() + self.ahead

    def read(self, path: str) -> bytes | None:
        return self.files.get(path)

    def run(self, argv: Sequence[str], *, stdin: str = "", timeout: float = 30.0) -> Ran:
        self._reach()
        self.commands.append(tuple(argv))
        ran = self._run(argv, stdin)
        self.then(next((a for a in argv if a.startswith("kafkaops-")), argv[0]))
        return ran

    def _run(self, argv: Sequence[str], stdin: str) -> Ran:
        if argv[0] == "date":
            return Ran(0, f"{round(self.now() * 1e9)}\n", "")
        if "kafkaops-fire" in argv:
            moment, moments = int(argv[4]), []
            for after in argv[5::2]:
                moment += int(after)
                moments.append(str(moment))
            with SIDE_BY_SIDE:
                self.clock.sleep(moment / 1e9 - self.now())
            return Ran(self.fire_code, " ".join(moments), "no such set")
        if "kafkaops-shut" in argv:
            return self.firewall(stdin)
        return Ran(0, "", "")

    def put(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        self.files[path] = data

    def firewall(self, ruleset: str, *, timeout: float = 10.0) -> Ran:
        self._reach()
        self.scripts.append(ruleset)
        return Ran(self.refuses, "", "refused" if self.refuses else "")

    def firewall_show(self, table: str) -> str | None:
        self._reach()
        return self.listing

    def service(self, name: str) -> ServiceState:
        return ServiceState(name, False)

    def service_start(
        self, name: str, argv: Sequence[str], *, env: Mapping[str, str], log: str
    ) -> None: ...

    def service_stop(self, name: str, *, timeout: float = 330.0, kill: bool = False) -> None: ...

    def service_restart(self, name: str, *, timeout: float = 330.0) -> None: ...

    def _reach(self) -> None:
        if self.gone:
            raise Unreachable("KO-HOST-UNREACHABLE", f"{self.name} is gone")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def hosts(clock: FakeClock) -> list[FakeHost]:
    return [FakeHost("blue-1", clock), FakeHost("blue-2", clock, ahead=7.5)]


def listing(*elements: object, hold: Sequence[object] = (), rules: bool = True) -> str:
    items: list[dict[str, object]] = [
        {"set": {"name": "fence", "elem": list(elements)}},
        {"set": {"name": "hold", "elem": list(hold)}},
    ]
    if rules:
        items.append({"rule": {"chain": "input", "expr": [{"reject": {"type": "tcp reset"}}]}})
    return json.dumps({"nftables": items})


def test_all_hosts_are_told_the_same_moment_in_their_own_time(
    hosts: list[FakeHost], clock: FakeClock
) -> None:
    begun = clock.wall()
    report = fence.fire(hosts, port=PORT, budget=20, drain=1.5, clock=clock)
    moments = [int(next(c for c in h.commands if c[0] == "sh")[4]) / 1e9 for h in hosts]
    assert moments[1] - moments[0] == pytest.approx(7.5)
    assert moments[0] > begun
    assert report.skew == pytest.approx(0, abs=1e-3)
    assert 1.5 <= report.fired["blue-1"] - report.held["blue-1"] < 1.5 + fence.ASK
    [hold] = next(c for c in hosts[0].commands if c[0] == "sh")[6::2]
    assert f"hold {{ {PORT} timeout 6500ms }}" in hold
    assert re.search(rf"fence {{ {PORT} timeout 18[2-5]\d\dms }}", hosts[0].scripts[-1])


def test_the_hold_never_outlives_the_budget(hosts: list[FakeHost], clock: FakeClock) -> None:
    fence.fire(hosts, port=PORT, budget=2, drain=1.5, clock=clock)
    [hold] = next(c for c in hosts[0].commands if c[0] == "sh")[6::2]
    assert "timeout 2000ms" in hold
    [left] = re.findall(r"timeout (\d+)ms", hosts[0].scripts[-1])
    assert 200 < int(left) <= 500


def test_producers_are_held_first_within_the_same_drain(
    hosts: list[FakeHost], clock: FakeClock
) -> None:
    report = fence.fire(hosts, port=PORT, budget=20, drain=1.5, quiet=0.5, clock=clock)
    said = next(c for c in hosts[0].commands if c[0] == "sh")
    assert [int(after) / 1e9 for after in said[5::2]] == [0, 0.5]
    quiet, hold = said[6::2]
    assert f"quiet {{ {PORT} timeout 5500ms }}" in quiet
    assert f"hold {{ {PORT} timeout 6500ms }}" in hold
    drained = report.fired["blue-1"] - report.held["blue-1"]
    assert drained == pytest.approx(1.5, abs=0.02), "every writer waits for it"
    assert hosts[0].commands[-1][-3:] == ("kafkaops-shut", "10.0.0.1", f":{PORT}")


def test_nobody_is_reset_while_a_producer_waits_for_its_answer(
    hosts: list[FakeHost], clock: FakeClock
) -> None:
    asked: list[float] = []

    def doubts() -> list[str]:
        asked.append(clock.wall())
        assert not any("add element" in script for h in hosts for script in h.scripts)
        if len(asked) == 3:
            raise Unreachable("KO-CLUSTER-UNREACHABLE", "its leader changes")
        return ["orders-0"] if clock.wall() < asked[0] + 3.0 else []

    report = fence.fire(
        hosts, port=PORT, budget=20, drain=1.5, doubts=doubts, patience=5, clock=clock
    )
    waited = report.fired["blue-1"] - report.held["blue-1"]
    assert 3.0 + fence.ANSWERS <= waited < 3.0 + fence.ANSWERS + 3 * fence.ASK
    hold = next(c for c in hosts[0].commands if c[0] == "sh")[6]
    assert "timeout 11500ms" in hold, "the hold lasts as long as the patience"


def test_past_the_patience_all_are_lifted_and_what_lags_is_named(
    hosts: list[FakeHost], clock: FakeClock
) -> None:
    with pytest.raises(StepFailed, match="orders-0 lag") as failed:
        fence.fire(
            hosts,
            port=PORT,
            budget=20,
            drain=1.5,
            doubts=lambda: ["orders-0"],
            patience=2,
            clock=clock,
        )
    assert failed.value.code == "KO-FENCE-IN-DOUBT"
    assert all("flush set" in h.scripts[-1] for h in hosts)
    assert not any("add element" in script for h in hosts for script in h.scripts)


def test_when_one_host_cannot_fire_all_are_lifted_and_it_is_named(
    hosts: list[FakeHost], clock: FakeClock
) -> None:
    hosts[1].fire_code = 11
    with pytest.raises(StepFailed) as failed:
        fence.fire(hosts, port=PORT, budget=20, drain=1.5, clock=clock)
    assert failed.value.where == "blue-2"
    assert all("flush set" in h.scripts[-1] for h in hosts)


def test_lifting_tries_every_host_even_if_one_is_gone(hosts: list[FakeHost]) -> None:
    hosts[0].gone = True
    with pytest.raises(Unreachable):
        fence.lift(hosts, PORT)
    assert len(hosts[1].scripts) == 1


def test_a_host_that_does_not_confirm_is_false_not_an_error(hosts: list[FakeHost]) -> None:
    hosts[0].gone = True
    assert fence.disarm(hosts, PORT) == {"blue-1": False, "blue-2": True}
    hosts[1].refuses = 1
    assert fence.disarm(hosts, PORT) == {"blue-1": False, "blue-2": False}


@pytest.mark.parametrize(
    ("shown", "wanted"),
    [
        (None, FenceState("absent")),
        (listing(rules=False), FenceState("absent")),
        (listing(), FenceState("open")),
        (listing(hold=[{"elem": {"val": 9092, "expires": 2}}]), FenceState("holding")),
        (listing({"elem": {"val": 9092, "timeout": 18, "expires": 12}}), FenceState("timed", 12.0)),
        (listing(9092), FenceState("permanent")),
    ],
)
def test_the_state_is_read_from_the_rules_in_force(
    hosts: list[FakeHost], shown: str | None, wanted: FenceState
) -> None:
    hosts[0].listing = shown
    assert fence.states(hosts[:1]) == {"blue-1": wanted}
    assert fence.remaining(hosts[0]) == wanted.expires


def test_nft_refusing_is_an_error_with_its_words(hosts: list[FakeHost]) -> None:
    hosts[0].refuses = 1
    with pytest.raises(StepFailed, match="refused"):
        fence.prepare(hosts, PORT)


def test_the_fence_is_kept_over_reboots_until_forgotten(hosts: list[FakeHost]) -> None:
    assert fence.persistent(hosts) == {"blue-1": False, "blue-2": False}
    fence.persist(hosts, PORT)
    assert fence.persistent(hosts) == {"blue-1": True, "blue-2": True}
    (kept,) = hosts[0].files.values()
    assert kept.decode() == ruleset.close("blue-1", "10.0.0.1", PORT)
    assert b"timeout" not in kept.split(b"add element")[1]
    fence.forget(hosts)
    fence.forget(hosts)
    assert fence.persistent(hosts) == {"blue-1": False, "blue-2": False}


def test_only_recent_knocks_are_named(hosts: list[FakeHost]) -> None:
    elements = [
        {"elem": {"val": "10.0.9.1", "expires": 3590}},
        {"elem": {"val": "10.0.9.2", "expires": 3000}},
    ]
    hosts[0].listing = json.dumps({"nftables": [{"set": {"name": "knocks", "elem": elements}}]})
    assert fence.knocks(hosts) == {"blue-1": ["10.0.9.1"]}
    assert fence.knocks(hosts, within=3600) == {"blue-1": ["10.0.9.1", "10.0.9.2"]}


def test_between_machines_the_kernel_is_allowed_to_route(hosts: list[FakeHost]) -> None:
    forward.on(hosts[0], "10.0.1.1", PORT)
    assert hosts[0].commands == [("sysctl", "-w", "net.ipv4.ip_forward=1")]
    forward.on(hosts[1], "127.0.1.1", PORT)
    assert hosts[1].commands == []


def test_an_address_must_be_an_address() -> None:
    with pytest.raises(ConfigError, match="not an IPv4 address"):
        ruleset.prepare("blue-1", "b1.example.net")
    with pytest.raises(ConfigError):
        ruleset.forward_on("blue-1", "10.0.0.1", PORT, "::1")


def test_the_pause_begins_once_clocks_are_read_and_before_any_host_is_told(
    hosts: list[FakeHost], clock: FakeClock
) -> None:
    seen: list[tuple[float, list[str]]] = []

    def begun(at: float) -> None:
        seen.append((at, [command[0] for host in hosts for command in host.commands]))

    fence.fire(hosts, port=PORT, budget=20, drain=1.5, begun=begun, clock=clock)
    [(at, commands)] = seen
    assert commands == ["date"] * 2 * len(hosts)
    told = int(next(c for c in hosts[0].commands if c[0] == "sh")[4]) / 1e9
    assert at == pytest.approx(told), "not before: nobody is held until then"


def test_writing_down_a_beginning_does_not_eat_the_lead(
    hosts: list[FakeHost], clock: FakeClock
) -> None:
    written: list[float] = []

    def begun(at: float) -> None:
        written.append(at)
        clock.sleep(fence.LEAD if len(written) == 1 else 0.0)

    fence.fire(hosts, port=PORT, budget=20, drain=1.5, begun=begun, clock=clock)
    told = int(next(c for c in hosts[0].commands if c[0] == "sh")[4]) / 1e9
    assert len(written) == 2
    assert written[1] == pytest.approx(told)
    assert written[1] - written[0] == pytest.approx(fence.LEAD)
