"""The steps that hold what else acts on hosts, and give it back.

A hold is done when it is in force now, whatever the journal says of it, as long as a node of the
batch is still to be stopped or not back: going on after an exit that gave it back takes it anew.
"""

from __future__ import annotations

from collections.abc import Mapping

from kafkaops.engine.step import Blocked, Progress, State
from kafkaops.ports.scaling import Member
from kafkaops.ports.world import World
from kafkaops.upgrade.fleet import agents, groups
from kafkaops.upgrade.rolling.node import NodeStep, named

SERVING = {"InService", "Standby"}
"""Lifecycle states in which nothing happens to an instance. In Standby it is not looked after."""


def trouble(world: World, found: Mapping[str, list[Member]]) -> Blocked | None:
    """Why no node of these groups may be stopped now: suspending does not end what is under way."""
    for name, members in found.items():
        busy = world.scaling.busy(name)
        if busy:
            return Blocked(
                "KO-FLEET-ACTIVITY",
                f"Auto Scaling group {name} is at work: {named(busy)}",
                f"aws autoscaling describe-scaling-activities --auto-scaling-group-name '{name}'",
            )
        for member in members:
            if member.lifecycle not in SERVING or member.health != "HEALTHY":
                return Blocked(
                    "KO-FLEET-INSTANCE",
                    f"{member.instance} is {member.lifecycle} and {member.health} in Auto Scaling"
                    f" group {name}, which may end it",
                    "see why; aws autoscaling set-instance-health marks it healthy again",
                )
    return None


class FleetStep(NodeStep):
    """`spec.args` besides a node's: `until`, for each host the fact that says that its node is
    back."""

    def waiting(self, world: World) -> list[str]:
        """Hosts whose node is still to be stopped, or not back; without those that the run goes on
        without."""
        until = self.spec.args["until"]
        mates = [self.of(h) for h in self.mates]
        return [
            m.name for m in mates if m.get(world, until[m.name]) is None and not m.left_out(world)
        ]

    def down(self, world: World) -> bool:
        """Whether a node of the batch is down: told to stop and not back, or, on a way back, from
        before."""
        waiting = [self.of(h) for h in self.waiting(world)]
        return any(m.get(world, "mark") is not None or not m.unit(world).pid for m in waiting)


class ScalingHeld(FleetStep):
    """The groups of the instances of a batch are suspended, and nothing of theirs is under way."""

    def check(self, world: World) -> State:
        waiting = self.waiting(world)
        found = self._groups(world, waiting)
        if any([groups.lacking(world, name) for name in found]):  # every one, for the notes
            return State.TODO
        if self.down(world) or trouble(world, found) is None:
            return State.DONE
        return State.PENDING

    def safe(self, world: World) -> Blocked | None:
        """What is under way is waited for before anything is suspended; never while a node is down:
        then it is to be held as it is."""
        if self.down(world):
            return None
        return trouble(world, self._groups(world, self.waiting(world)))

    def act(self, world: World) -> None:
        instances = self.spec.args["instances"]
        hosts = {instances[host]: host for host in self.mates}
        for name, members in self._groups(world, self.waiting(world)).items():
            mine = {hosts[m.instance]: (m.instance, self.service(world)) for m in members}
            groups.suspend(world, name, mine)

    def undo(self, world: World) -> None:
        groups.give_all(world, self._held(world))

    def progress(self, world: World) -> Progress | None:
        found = self._groups(world, self.waiting(world))
        missing = [f"{name}: {p}" for name in found for p in groups.lacking(world, name)]
        if missing:
            return Progress(0, None, "", f"AWS does not show suspended yet: {named(missing)}")
        blocked = trouble(world, found)
        return None if blocked is None else Progress(0, None, "", blocked.reason)

    def _groups(self, world: World, hosts: list[str]) -> dict[str, list[Member]]:
        instances = self.spec.args["instances"]
        return groups.of(world, [instances[host] for host in hosts]) if hosts else {}

    def _held(self, world: World) -> list[str]:
        """Groups that are suspended for hosts of this batch."""
        kept = groups.held(world.facts)
        return [name for name, one in kept.items() if set(one.hosts) & set(self.mates)]


class ScalingBack(ScalingHeld):
    """What was suspended for the batch acts again, and what was suspended before still does not."""

    def check(self, world: World) -> State:
        names = self._held(world)
        giving = [name for name in names if groups.held(world.facts)[name].giving]
        left = [name for name in giving if not groups.given(world, name)]
        if len(giving) < len(names):
            return State.TODO
        return State.TODO if left else State.DONE

    def safe(self, world: World) -> Blocked | None:
        return None

    def act(self, world: World) -> None:
        groups.give_all(world, self._held(world))

    def undo(self, world: World) -> None:
        """What was given back stays so: who goes back takes it anew."""

    def progress(self, world: World) -> Progress | None:
        return None


class AgentsHeld(FleetStep):
    """The agents of one host do not run, and its timer is armed."""

    def check(self, world: World) -> State:
        if self.name not in self.waiting(world):
            return State.DONE
        found = self.host(world).agents(self._units)
        if found.running or not found.armed or self.name not in agents.held(world.facts):
            return State.TODO
        return State.DONE

    def act(self, world: World) -> None:
        agents.hold(world, self.name, self._units, float(self.spec.args["fleet"]["seconds"]))

    def undo(self, world: World) -> None:
        agents.give(world, self.name)

    @property
    def _units(self) -> list[str]:
        return [str(unit) for unit in self.spec.args["fleet"]["agents"]]


class AgentsBack(AgentsHeld):
    """The agents that ran before run again."""

    def check(self, world: World) -> State:
        return State.TODO if self.name in agents.held(world.facts) else State.DONE

    def act(self, world: World) -> None:
        agents.give(world, self.name, forget=self.left_out(world))

    def undo(self, world: World) -> None:
        """What was given back stays so: who goes back takes it anew."""
