"""Auto Scaling groups: suspended for us, proven, and given back as they were.

Invariant: what is ours is on disk before AWS is asked, so that whoever comes after a crash gives it
back. What was suspended before is not ours. A suspension that was seen is known by AWS's reason,
which has its moment: one with another reason is somebody else's, and stays. (Killed between the
note and the call, what somebody suspends just then cannot be told from ours.)
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kafkaops.engine.errors import StepFailed, TimedOut
from kafkaops.ports.facts import Facts
from kafkaops.ports.scaling import Member
from kafkaops.ports.world import World

PROCESSES = (
    "Terminate",
    "ReplaceUnhealthy",
    "HealthCheck",
    "AZRebalance",
    "InstanceRefresh",
    "AlarmNotification",
    "ScheduledActions",
)
"""All that could end an instance, now or once resumed: without HealthCheck suspended one would be
marked unhealthy and replaced later, and an alarm or schedule would lower the capacity meanwhile.
Launch goes on: what died elsewhere may be replaced. Source: EC2 Auto Scaling user guide, "Suspend
and resume processes"."""
FACT = "fleet.groups"
SETTLE = 60.0
"""Seconds in which AWS shows what it was asked for."""


@dataclass(frozen=True)
class Held:
    """A group that is suspended for us: `ours` are the processes, each with the reason by which AWS
    shows it, empty until that was seen; `hosts` maps a host to its instance and its node's service.
    `giving`: it is being given back."""

    ours: Mapping[str, str]
    hosts: Mapping[str, tuple[str, str]]
    giving: bool = False

    def mine(self, shown: Mapping[str, str]) -> list[str]:
        """Processes that AWS shows suspended, and by us."""
        return [p for p, why in self.ours.items() if p in shown and why in ("", shown[p])]


def held(facts: Facts) -> dict[str, Held]:
    """The groups that are suspended for us, by name."""
    kept: Mapping[str, Any] = facts.get(FACT) or {}
    return {
        name: Held(
            dict(one["ours"]),
            {host: (str(i), str(s)) for host, (i, s) in one["hosts"].items()},
            bool(one["giving"]),
        )
        for name, one in kept.items()
    }


def _put(facts: Facts, name: str, one: Held | None) -> None:
    every = held(facts)
    every.pop(name, None)
    if one is not None:
        every[name] = one
    kept = {
        n: {
            "ours": dict(h.ours),
            "hosts": {host: list(what) for host, what in h.hosts.items()},
            "giving": h.giving,
        }
        for n, h in every.items()
    }
    facts.put(FACT, kept)


def of(world: World, instances: Iterable[str]) -> dict[str, list[Member]]:
    """The groups that these instances are in."""
    found: dict[str, list[Member]] = {}
    for member in world.scaling.members(sorted(set(instances))):
        found.setdefault(member.group, []).append(member)
    return found


def lacking(world: World, name: str) -> list[str]:
    """Processes of the group that would still act. What is seen suspended is written down with its
    reason; what is being given back counts as acting, for AWS may show it suspended for a while."""
    shown = world.scaling.suspended(name)
    one = held(world.facts).get(name)
    giving = one.ours if one is not None and one.giving else {}
    if one is not None and not one.giving:
        seen = {p: why or shown.get(p, "") for p, why in one.ours.items()}
        if seen != one.ours:
            _put(world.facts, name, Held(seen, one.hosts))
    return [p for p in PROCESSES if p not in shown or p in giving]


def suspend(world: World, name: str, hosts: Mapping[str, tuple[str, str]]) -> None:
    """Suspend what is not, and write down first that it is ours. What was being given back comes to
    its end first: half given, its reasons would not tell whose it is."""
    one = held(world.facts).get(name, Held({}, {}))
    if one.giving:
        give_all(world, [name])
        one = Held({}, {})
    shown = world.scaling.suspended(name)
    missing = [p for p in PROCESSES if p not in shown]
    ours = {p: one.ours[p] for p in one.mine(shown)} | dict.fromkeys(missing, "")
    if ours:
        _put(world.facts, name, Held(ours, {**one.hosts, **hosts}))
    if missing:
        world.scaling.suspend(name, missing)


def give(world: World, name: str) -> None:
    """Let what is ours act again. What was never seen suspended may only not be shown yet."""
    one = held(world.facts).get(name)
    if one is None:
        return
    shown = world.scaling.suspended(name)
    mine = [p for p, why in one.ours.items() if not why or p in one.mine(shown)]
    if not one.giving:
        _foreign(world, name, one, shown)
        _put(world.facts, name, Held({p: one.ours[p] for p in mine}, one.hosts, giving=True))
    if mine:
        world.scaling.resume(name, mine)


def given(world: World, name: str) -> bool:
    """Whether AWS shows nothing of ours suspended any more; then it is forgotten."""
    one = held(world.facts).get(name)
    if one is None:
        return True
    if not one.giving or one.mine(world.scaling.suspended(name)):
        return False
    _put(world.facts, name, None)
    return True


def give_all(world: World, names: Collection[str]) -> None:
    """`give`, and wait until it is so. TimedOut KO-FLEET-SUSPENDED past a minute. A group that is
    gone is forgotten."""
    for name in names:
        try:
            give(world, name)
            deadline = world.clock.monotonic() + SETTLE
            while not given(world, name):
                if world.clock.monotonic() >= deadline:
                    raise TimedOut(
                        "KO-FLEET-SUSPENDED",
                        f"Auto Scaling group {name} is still suspended after {SETTLE:g} s",
                        where=name,
                        hint=by_hand(name, held(world.facts)[name]),
                    )
                world.clock.sleep(1.0)
        except StepFailed as error:
            if error.code != "KO-SCALING-GROUP":
                raise
            _put(world.facts, name, None)
            world.say(f"Auto Scaling group {name} is gone: there is nothing to resume")


def by_hand(name: str, one: Held) -> str:
    """The command that does the same without kafkaops."""
    return (
        f"aws autoscaling resume-processes --auto-scaling-group-name '{name}'"
        f" --scaling-processes {' '.join(one.ours)}"
    )


def _foreign(world: World, name: str, one: Held, shown: Mapping[str, str]) -> None:
    """Say what somebody else changed meanwhile; it stays as they want it."""
    resumed = [p for p, why in one.ours.items() if why and p not in shown]
    again = [p for p, why in one.ours.items() if why and shown.get(p, why) != why]
    if resumed:
        world.say(f"Auto Scaling group {name}: somebody resumed {', '.join(resumed)} meanwhile")
    if again:
        world.say(
            f"Auto Scaling group {name}: somebody suspended {', '.join(again)} meanwhile;"
            " that is left as it is"
        )
