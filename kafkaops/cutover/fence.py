"""The fence on a cluster's CLIENT listener: closed on all its hosts at one moment.

Figures behind the phases: a reset at once left 4 to 22 duplicates a topic; dropping packets that
carry data for 1.5 s first, then resetting, left none in 11 moves. Consumers that may still read
and commit for the first part of it have nothing to see again.

Invariant: until `disarm` has confirmed, the kernel of every host opens again by itself after
the budget. A fence is never assumed to hold: `standstill` proves it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from kafkaops.cutover import forward, ruleset
from kafkaops.cutover.ruleset import FenceState
from kafkaops.engine.clock import Clock
from kafkaops.engine.errors import OpsError, StepFailed, Unreachable
from kafkaops.ports.host import Host, Ran

T = TypeVar("T")

DIRECTORY = "/etc/nftables.d"
NOTHING = b"# kafkaops fences nothing on this host\n"
ANSWERS = 0.3
"""Seconds between the last replica's fetch and the answer at the producer, at the most."""
ASK = 0.2
"""Seconds between two looks at what is not replicated yet."""
LEAD = 0.3
"""Seconds from the order to the moment: hosts under load take that long to start what waits for it,
and what has started by then acts to the millisecond. Nobody is held meanwhile."""
GRACE = 5.0
"""How long (seconds) past its drain a hold may last before its timer lifts it."""

# Waits until a moment of the host's own clock, then loads one ruleset after another, each so long
# (ns) after the one before, and says when each was in force (ns). One command, so that no round
# trip lies between what all hosts must do at one moment; the reset afterwards may differ. Each nft
# is started before its moment and waits for its script: on a busy host a start takes 0.1 s and
# more, which every writer would wait for. No wait is longer than it can be by the plan (`most` for
# the moment itself), so a clock of the host that is set back meanwhile does not fire much later.
FIRE = """\
PATH=$PATH:/usr/sbin:/sbin
wait_ns() { n=$(($1 < $2 ? $1 : $2))
[ $n -gt 0 ] && sleep "$(printf '%d.%09d' $((n / 1000000000)) $((n % 1000000000)))"
true; }
last=$1; phase=10; said=; shift
while [ $# -gt 0 ]; do
  phase=$((phase + 1))
  { wait_ns $((last + $1 - $(date +%s%N))) $(($1 + most)); printf %s "$2"; } | nft -f - ||
    exit $phase
  last=$(date +%s%N); said="$said $last"; most=0; shift 2
done
echo $said
"""


# Loads a ruleset, and ends the connections to the port at once: one round trip for both, as writers
# wait for it. A client whose request was dropped sends nothing for seconds, so a reset by the
# firewall would reach it after the other cluster has opened: seen, a later batch went there to
# another leader first, and the earlier one was out of order for good. Where the kernel cannot
# (CONFIG_INET_DIAG_DESTROY), the firewall's resets have to do.
SHUT = """\
PATH=$PATH:/usr/sbin:/sbin
nft -f - || exit
command -v ss >/dev/null || exit 0
ss -KHtn src "$1" sport = "$2" >/dev/null 2>&1
true
"""


@dataclass(frozen=True)
class FireReport:
    """When each host began to hold and was shut, in epoch seconds of this machine's clock as it was
    before the fence; `skew` is the greatest difference between hosts in either, in seconds."""

    held: Mapping[str, float] = field(default_factory=dict)
    fired: Mapping[str, float] = field(default_factory=dict)
    skew: float = 0.0


def _each(hosts: Sequence[Host], work: Callable[[Host], T]) -> dict[str, T]:
    """Run on all hosts at once; every one is tried before the first error is raised."""
    if not hosts:
        return {}
    with ThreadPoolExecutor(len(hosts)) as pool:
        futures = {host.name: pool.submit(work, host) for host in hosts}
    errors = [error for f in futures.values() if (error := f.exception()) is not None]
    if errors:
        raise errors[0]
    return {name: f.result() for name, f in futures.items()}


def _load(host: Host, script: str) -> None:
    _loaded(host, host.firewall(script))


def _loaded(host: Host, ran: Ran) -> None:
    if ran.code != 0:
        raise StepFailed(
            "KO-NFT",
            f"nft refused a ruleset ({ran.code}): {ran.err.strip() or ran.out.strip()}",
            where=host.name,
            hint="nftables and the right to change it are needed on every broker host",
        )


def states(hosts: Sequence[Host]) -> dict[str, FenceState]:
    """What each host's rules say now, by host name."""
    return _each(hosts, lambda h: ruleset.state(h.firewall_show(ruleset.table(h.name))))


def prepare(hosts: Sequence[Host], port: int) -> None:
    """Put our table on every host, nothing fenced; what is fenced stays so."""
    _each(hosts, lambda h: _load(h, ruleset.prepare(h.name, h.address)))


def close(hosts: Sequence[Host], port: int) -> None:
    """Fence the port for good on every host."""
    _each(hosts, lambda h: _load(h, ruleset.close(h.name, h.address, port)))


def lift(hosts: Sequence[Host], port: int) -> None:
    """No fence on any host; every host is tried even if one cannot be reached."""
    _each(hosts, lambda h: _load(h, ruleset.lift(h.name)))


def open_(hosts: Sequence[Host], port: int, *, rejoin: float = 0.0) -> None:
    """Forward off and fence lifted in one transaction a host: clients reach its own broker. For
    `rejoin` s nobody may fetch yet: seen, librdkafka and kafka-python consumers read on for some
    10 ms from the other cluster's offsets, up to thousands of records that they had seen."""

    def one(host: Host) -> None:
        script = ruleset.forward_off(host.name) + ruleset.lift(host.name)
        if rejoin:
            # the table may be of an earlier version, or gone
            script = ruleset.prepare(host.name, host.address) + script
            script += ruleset.rejoin(host.name, port, seconds=rejoin)
        _load(host, script)

    _each(hosts, one)


def rejoining(hosts: Sequence[Host]) -> bool:
    """Whether any host still holds consumers from fetching."""
    found = _each(hosts, lambda h: ruleset.rejoining(h.firewall_show(ruleset.table(h.name))))
    return any(found.values())


def fetch(hosts: Sequence[Host]) -> None:
    """Consumers may fetch on every host."""
    _each(hosts, lambda h: _load(h, ruleset.fetch(h.name)))


def close_and_forward(pairs: Sequence[tuple[Host, str]], port: int) -> None:
    """The reverse of `open_`: closed for good, new clients passed on to the paired address."""
    target = {host.name: address for host, address in pairs}

    def shut(host: Host) -> None:
        forward.allow(host, target[host.name])
        _load(
            host,
            ruleset.close(host.name, host.address, port)
            + ruleset.forward_on(host.name, host.address, port, target[host.name]),
        )

    _each([host for host, _ in pairs], shut)


def remove(hosts: Sequence[Host]) -> None:
    """Take our table off every host, the forward with it."""
    _each(hosts, lambda h: _load(h, ruleset.remove(h.name)))


def fire(
    hosts: Sequence[Host],
    *,
    port: int,
    budget: float,
    drain: float,
    quiet: float = 0.0,
    doubts: Callable[[], Collection[object]] = tuple,
    patience: float = 0.0,
    begun: Callable[[float], None] = lambda at: None,
    clock: Clock,
) -> FireReport:
    """Close the port on all hosts at one moment: data held back for `drain` s, then reset until
    `budget` s have passed since the start. In the first `quiet` s of the drain only Produce
    requests are held back, so that consumers read to the end and commit. Returns when all are
    shut, which takes `drain` and two or three round trips. If a host fails, all are lifted and
    StepFailed names it.

    `doubts` tells what producers still wait an answer for; while there is any, and `ANSWERS` s
    after, nobody is reset, for up to `patience` s past the drain. Seen on overloaded hosts: an
    answer took longer than the drain, the reset cut it off, and the producer wrote to the other
    cluster out of order, where it stood until its delivery timeout. Past the patience: StepFailed
    KO-FENCE-IN-DOUBT, and all are lifted.

    `begun` is called once every clock was read, before any host is told, with the moment (epoch
    seconds) from which on clients may be held.
    """
    readings = _each(hosts, lambda h: _read_clock(h, clock))
    lead = LEAD + 1.5 * max((r.trip for r in readings.values()), default=0.0)
    # All moments here are of the monotonic clock: this machine's wall clock may be set meanwhile,
    # and writers would be held for as long. `epoch` makes of them what people read.
    at = epoch = 0.0
    for _ in range(3):  # writing it down may take as long as the lead, on a busy disk
        if clock.monotonic() > at - LEAD / 2:
            at, epoch = clock.monotonic() + lead, clock.wall() - clock.monotonic()
            begun(at + epoch)
    late = at - clock.monotonic() + drain + patience + GRACE

    def ahead(host: Host) -> float:
        return readings[host.name].ahead

    def one(host: Host) -> tuple[float, float]:
        name = host.name
        longest = min(budget, drain + patience + GRACE)
        phases = [(quiet, ruleset.hold(name, port, seconds=longest))]
        if quiet:
            first = ruleset.quiet(name, port, seconds=min(budget, quiet + GRACE))
            phases.insert(0, (0.0, first))
        fire_at = str(round((at + ahead(host)) * 1e9))
        argv = ["sh", "-c", f"most={round(lead * 1e9)}\n{FIRE}", "kafkaops-fire", fire_at]
        for after, script in phases:
            argv += [str(round(after * 1e9)), script]
        ran = host.run(tuple(argv), timeout=late)
        if ran.code != 0:
            raise StepFailed(
                "KO-FENCE-NOT-FIRED",
                f"the fence did not close ({ran.code}): {ran.err.strip() or 'no reason given'}",
                where=host.name,
                hint="nothing is fenced now; the run can be repeated",
            )
        moments = ran.out.split()[-len(phases) :]
        now = clock.monotonic()

        def ours(told: str, earliest: float) -> float:
            # a host whose clock was set meanwhile tells a moment that cannot have been
            return max(earliest, min(int(told) / 1e9 - ahead(host), now))

        return ours(moments[0], at), ours(moments[-1], at + quiet)

    def shut(host: Host) -> float:
        left = budget - (clock.monotonic() - at)
        script = ruleset.shut(host.name, port, seconds=max(0.1, left))
        argv = ("sh", "-c", SHUT, "kafkaops-shut", host.address, f":{port}")
        _loaded(host, host.run(argv, stdin=script))
        return clock.monotonic()

    try:
        times = _each(hosts, one)
        began = max(last for _, last in times.values()) if times else at
        _answered(doubts, began + drain - quiet, patience, clock)
        fired = _each(hosts, shut)
    except BaseException:
        # The kernels' own timers lift what cannot be reached now; the first error tells more.
        with suppress(OpsError):
            lift(hosts, port)
        raise
    held = {name: first + epoch for name, (first, _) in times.items()}
    fired = {name: moment + epoch for name, moment in fired.items()}
    skew = max((max(p.values()) - min(p.values()) for p in (held, fired) if p), default=0.0)
    return FireReport(held, fired, skew)


def _answered(
    doubts: Callable[[], Collection[object]], drained: float, patience: float, clock: Clock
) -> None:
    """Wait until the drain is over (`drained`, by the monotonic clock) and producers have their
    answers."""
    trouble: OpsError | None = None
    since: float | None = 0.0  # when what was in doubt was answered: nothing was yet
    left: Collection[object] = ()
    while True:
        try:
            left, trouble = doubts(), None
        except OpsError as error:  # a leader that changes now is asked again
            trouble = error
        now = clock.monotonic()
        to_wait = ASK
        if left or trouble:
            since = None
            if now >= drained + patience:
                break
        else:
            since = now if since is None else since
            to_wait = max(drained, since + ANSWERS) - now
            if to_wait <= 0:
                return
        clock.sleep(min(ASK, to_wait))  # writers wait: not longer than need be
    some = ", ".join(map(str, sorted(map(str, left))[:5]))
    raise StepFailed(
        "KO-FENCE-IN-DOUBT",
        f"producers had no answer {patience:g} s after the fence fell"
        + (f": {some} lag" if left else f": {trouble}"),
        hint="replication is slow or a broker is gone: cure that, then resume",
    )


@dataclass(frozen=True)
class _Reading:
    """A host's clock (epoch seconds) less our monotonic one, and the round trip it took to ask, in
    seconds."""

    ahead: float
    trip: float


def _read_clock(host: Host, clock: Clock) -> _Reading:
    """Two readings, the quicker one kept: half its round trip bounds the error."""
    best: _Reading | None = None
    for _ in range(2):
        begun = clock.monotonic()
        ran = host.run(("date", "+%s%N"))
        trip = clock.monotonic() - begun
        if ran.code != 0:
            raise StepFailed("KO-HOST-CLOCK", f"date failed: {ran.err.strip()}", where=host.name)
        reading = _Reading(int(ran.out) / 1e9 - (begun + trip / 2), trip)
        if best is None or reading.trip < best.trip:
            best = reading
    assert best is not None
    return best


def disarm(hosts: Sequence[Host], port: int) -> dict[str, bool]:
    """Make a standing fence permanent. False for a host whose timer had lifted it already, or
    which did not answer: then the cutover must go back."""

    def one(host: Host) -> bool:
        try:
            return host.firewall(ruleset.disarm(host.name, port)).code == 0
        except Unreachable:
            return False

    return _each(hosts, one)


def remaining(host: Host) -> float | None:
    """Whole seconds until the host's timer lifts its fence; None when no timer runs."""
    return ruleset.state(host.firewall_show(ruleset.table(host.name))).expires


def knocks(hosts: Sequence[Host], *, within: float = 60.0) -> dict[str, list[str]]:
    """Addresses that tried to connect to a fenced port in the last `within` seconds, by host;
    hosts where nobody did are left out. Behind a forward it is the forwarding host's address."""

    def one(host: Host) -> list[str]:
        found = ruleset.knocks(host.firewall_show(ruleset.table(host.name)))
        return sorted(who for who, ago in found.items() if ago <= within)

    return {name: found for name, found in _each(hosts, one).items() if found}


def forget_knocks(hosts: Sequence[Host]) -> None:
    """Start counting anew, once every client has been seen on the other cluster."""
    _each(hosts, lambda h: _load(h, ruleset.forget_knocks(h.name)))


def _path(host: Host) -> str:
    return f"{DIRECTORY}/{ruleset.table(host.name)}.nft"


def persist(hosts: Sequence[Host], port: int) -> None:
    """Write the permanent fence where `nftables.service` reads it at boot. The distribution's
    own file must include `/etc/nftables.d/*.nft`, and the service must be enabled; a replaced
    host gets the same file from its user data."""
    _each(
        hosts,
        lambda h: h.put(_path(h), ruleset.close(h.name, h.address, port).encode()),
    )


def persistent(hosts: Sequence[Host]) -> dict[str, bool]:
    """Whether the file that keeps the fence over a reboot is there."""

    def one(host: Host) -> bool:
        found = host.read(_path(host))
        return bool(found) and b"add element" in (found or b"")

    return _each(hosts, one)


def forget(hosts: Sequence[Host]) -> None:
    """The fence of these hosts no longer survives a reboot; the rules in force stay."""

    def one(host: Host) -> None:
        if host.read(_path(host)) not in (None, NOTHING):
            host.put(_path(host), NOTHING)

    _each(hosts, one)
