"""Auto Scaling groups in memory, as strict as AWS: unknown names are refused, a suspension has its
moment as reason, and what is described lags behind. `may_end` sees what really is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kafkaops.engine.clock import FakeClock
from kafkaops.engine.errors import StepFailed
from kafkaops.ports.scaling import Member

KNOWN = {
    *("Launch", "Terminate", "AddToLoadBalancer", "AlarmNotification", "AZRebalance"),
    *("HealthCheck", "InstanceRefresh", "ReplaceUnhealthy", "ScheduledActions"),
}


@dataclass
class FakeGroup:
    instances: dict[str, str]
    suspended: dict[str, str] = field(default_factory=dict)
    busy: list[str] = field(default_factory=list)
    shown: list[tuple[float, dict[str, str]]] = field(default_factory=list)


class FakeScaling:
    """Implements `ports.scaling.Scaling`. `lag` is how many seconds a change takes to be shown."""

    def __init__(self, clock: FakeClock, groups: Mapping[str, Sequence[str]], lag: float = 3.0):
        self.clock, self.lag = clock, lag
        self.groups = {n: FakeGroup(dict.fromkeys(i, "HEALTHY")) for n, i in groups.items()}
        self.moments = 0
        self.denied: set[str] = set()

    # what others do

    def by_hand(self, group: str, *processes: str, resume: bool = False) -> None:
        one = self.groups[group]
        for process in processes:
            assert process in KNOWN
            if resume:
                one.suspended.pop(process, None)
            elif process not in one.suspended:
                one.suspended[process] = self._reason()
        one.shown.append((self.clock.monotonic() + self.lag, dict(one.suspended)))

    def may_end(self, instance: str) -> list[str]:
        """The processes that could end this instance now."""
        ending = KNOWN - {"Launch", "AddToLoadBalancer"}
        return sorted(
            p
            for one in self.groups.values()
            if instance in one.instances
            for p in ending - set(one.suspended)
        )

    # the port

    def members(self, instances: Sequence[str]) -> tuple[Member, ...]:
        self._allowed("DescribeAutoScalingInstances")
        assert instances, "AWS would describe all instances of the account"
        return tuple(
            sorted(
                Member(i, name, "InService", health)
                for name, one in self.groups.items()
                for i, health in one.instances.items()
                if i in instances
            )
        )

    def suspended(self, group: str) -> Mapping[str, str]:
        self._allowed("DescribeAutoScalingGroups")
        one = self._group(group)
        now = self.clock.monotonic()
        seen = [state for at, state in one.shown if at <= now]
        return dict(seen[-1]) if seen else {}

    def busy(self, group: str) -> tuple[str, ...]:
        return tuple(self._group(group).busy)

    def suspend(self, group: str, processes: Sequence[str]) -> None:
        self._allowed("SuspendProcesses")
        self._known(processes)
        self._group(group)
        self.by_hand(group, *processes)

    def resume(self, group: str, processes: Sequence[str]) -> None:
        self._allowed("ResumeProcesses")
        self._known(processes)
        self._group(group)
        self.by_hand(group, *processes, resume=True)

    def _group(self, name: str) -> FakeGroup:
        if name not in self.groups:
            raise StepFailed("KO-SCALING-GROUP", f"there is no Auto Scaling group {name}")
        return self.groups[name]

    def _known(self, processes: Sequence[str]) -> None:
        assert processes, "AWS would take it for all of them"
        assert set(processes) <= KNOWN, processes

    def _allowed(self, action: str) -> None:
        if action in self.denied:
            raise StepFailed("KO-AWS-DENIED", f"AWS denies autoscaling:{action}")

    def _reason(self) -> str:
        self.moments += 1
        return f"User suspended at {self.clock.wall():.0f} ({self.moments})"
