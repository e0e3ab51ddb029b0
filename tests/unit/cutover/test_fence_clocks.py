"""The fence while somebody sets a clock: this machine's, or a host's. Nobody is held for longer."""

from __future__ import annotations

import stat
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from kafkaops.cutover import fence
from kafkaops.cutover.fence import FireReport
from kafkaops.engine.clock import FakeClock
from kafkaops.ports.host import Ran
from tests.unit.cutover.test_fence import PORT, FakeHost

DRAIN, QUIET, PATIENCE = 1.5, 0.5, 5.0
STEPS = (-3600.0, -60.0, 60.0, 3600.0)
MOMENTS = ("date", "begun", "kafkaops-fire", "doubts", "kafkaops-shut")
Setting = Callable[[list[FakeHost], FakeClock], None]


def fired(moment: str, setting: Setting) -> tuple[FireReport, list[FakeHost], float]:
    """Fire, and set a clock once at `moment`; what came of it, and how long (seconds) it took."""
    clock = FakeClock()
    hosts = [FakeHost("blue-1", clock), FakeHost("blue-2", clock, ahead=7.5)]
    left = [moment]

    def reached(what: str) -> None:
        if [what] == left:
            left.clear()
            setting(hosts, clock)

    def doubts() -> list[str]:
        reached("doubts")
        return []

    hosts[1].then = reached
    before = clock.monotonic()
    report = fence.fire(
        hosts,
        port=PORT,
        budget=20,
        drain=DRAIN,
        quiet=QUIET,
        doubts=doubts,
        patience=PATIENCE,
        begun=lambda at: reached("begun"),
        clock=clock,
    )
    assert not left, f"{moment} never came"
    return report, hosts, clock.monotonic() - before


def told(host: FakeHost) -> list[str]:
    """What the firewall was given, and the moment and phases of the fence, as text."""
    fire = next(c for c in host.commands if "kafkaops-fire" in c)
    return [*fire[4:], *host.scripts]


@pytest.mark.parametrize("seconds", STEPS)
@pytest.mark.parametrize("moment", MOMENTS)
def test_our_own_clock_set_meanwhile_changes_nothing(moment: str, seconds: float) -> None:
    def ours(hosts: list[FakeHost], clock: FakeClock) -> None:
        clock.offset += seconds

    calm, still, usual = fired(moment, lambda hosts, clock: None)
    report, hosts, took = fired(moment, ours)
    assert took == pytest.approx(usual)
    assert [told(h) for h in hosts] == [told(h) for h in still]
    assert report.skew == pytest.approx(calm.skew)
    drained = {n: report.fired[n] - report.held[n] for n in report.fired}
    assert drained == pytest.approx({n: calm.fired[n] - calm.held[n] for n in calm.fired})


@pytest.mark.parametrize("seconds", STEPS)
def test_a_host_that_tells_a_moment_that_cannot_have_been_is_not_waited_for(seconds: float) -> None:
    """Its clock was set while it fired: what it says of the moment is that much too late or early,
    and the drain that is counted from there would be too."""

    class Set(FakeHost):
        def _run(self, argv: Sequence[str], stdin: str) -> Ran:
            ran = super()._run(argv, stdin)
            if "kafkaops-fire" not in argv:
                return ran
            moments = [int(m) + round(seconds * 1e9) for m in ran.out.split()]
            return Ran(ran.code, " ".join(map(str, moments)), "")

    clock = FakeClock()
    hosts = [Set("blue-1", clock), Set("blue-2", clock)]
    before = clock.monotonic()
    report = fence.fire(hosts, port=PORT, budget=20, drain=DRAIN, quiet=QUIET, clock=clock)
    took = clock.monotonic() - before - fence.LEAD
    assert DRAIN <= took < DRAIN + QUIET + fence.ANSWERS
    assert report.skew < QUIET


@pytest.mark.parametrize(
    ("dates", "waits"),
    [
        ([100.0, 100.25, 100.25, 100.75], [0.25, 0.5]),  # nothing is set
        ([40.0, 40.4, 40.4, 40.9], [0.4, 0.5]),  # set back a minute before the moment
        ([100.0, 100.25, 40.25, 40.75], [0.25, 0.5]),  # and between the phases
        ([160.0, 160.0, 160.0, 160.5], [0.5]),  # set forward: the moment is past
    ],
)
def test_a_host_never_waits_longer_than_the_plan(
    tmp_path: Path, dates: list[float], waits: list[float]
) -> None:
    """The very script, by this machine's shell, on a clock of the test's own."""
    (tmp_path / "dates").write_text("".join(f"{round(d * 1e9)}\n" for d in dates))
    commands = {
        "date": 'head -n 1 "$DIR/dates"; sed -i 1d "$DIR/dates"',
        "sleep": 'echo "$1" >> "$DIR/slept"',
        "nft": 'cat >> "$DIR/loaded"',
    }
    for name, body in commands.items():
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    moment, quiet = round(100.25 * 1e9), round(0.5 * 1e9)
    script = f"most={round(0.4 * 1e9)}\n{fence.FIRE}"
    ran = subprocess.run(
        ["sh", "-c", script, "kafkaops-fire", str(moment), "0", "one\n", str(quiet), "two\n"],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert [float(s) for s in (tmp_path / "slept").read_text().split()] == waits
    assert (tmp_path / "loaded").read_text() == "one\ntwo\n"
    assert [int(m) / 1e9 for m in ran.stdout.split()] == dates[1::2]
