"""Operations on a toy world: the real engine, journals and stores, no cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from kafkaops.cli.operations import Say, dumped
from kafkaops.config.schema import ClusterSpec, Config
from kafkaops.engine.clock import Clock, FakeClock
from kafkaops.engine.errors import LeaseHeld, StepFailed, Unreachable
from kafkaops.engine.facts import MemoryFacts
from kafkaops.engine.lease import Lease
from kafkaops.engine.run import Runner, RunResult
from kafkaops.engine.step import Blocked, Critical, Plan, Spec, State
from kafkaops.engine.store import FileFacts
from kafkaops.model.cluster import ClusterState, Group
from kafkaops.model.partition import Ends, TopicPartition
from kafkaops.ports.cluster import Cluster
from kafkaops.ports.conduct import Conduct
from kafkaops.ports.verification import Verification
from kafkaops.ports.world import World
from kafkaops.upgrade.blue_green.operation import BACK, FINALIZE, FORWARD
from kafkaops.upgrade.rolling.choosing import Options
from kafkaops.upgrade.rolling.planner import OPERATION as RESTART
from kafkaops.upgrade.rolling.roster import Entry
from tests.unit.cli.fake_terminal import Seated
from tests.unit.cli.fake_verification import FakeVerification


@dataclass(frozen=True)
class ToyStep:
    """Done when its id is in the world's `done`; fails while its id is in `broken`."""

    spec: Spec

    def check(self, world: Any) -> State:
        return State.DONE if self.spec.id in world.done else State.TODO

    def safe(self, world: Any) -> Blocked | None:
        return None

    def act(self, world: Any) -> None:
        if self.spec.id in world.broken:
            raise StepFailed("KO-TOY", f"{self.spec.id} does not work today")
        for hook in world.on_act:
            hook(self.spec.id)
        world.done.append(self.spec.id)

    def undo(self, world: Any) -> None:
        if self.spec.id in world.done:
            world.done.remove(self.spec.id)


class ToyLease:
    """Ours, unless it is `lost`."""

    released = False

    def __init__(self, lost: LeaseHeld | None = None) -> None:
        self.lost = lost

    def verify(self) -> None:
        if self.lost is not None:
            raise self.lost

    def release(self) -> None:
        self.released = True


@dataclass
class ToyWorld:
    config: Config
    clock: Clock
    facts: Any
    done: list[str]
    broken: set[str]
    on_act: list[Callable[[str], None]]


@dataclass
class FakeOperations(Seated):
    """`done` is the world: ids of the steps that are in force, over processes."""

    done: list[str] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)
    on_act: list[Callable[[str], None]] = field(default_factory=list)
    held: LeaseHeld | None = None
    lost: LeaseHeld | None = None
    asked_to: list[str | None] = field(default_factory=list)
    snapshots: dict[str, ClusterState] = field(default_factory=dict)
    silent: dict[str, Unreachable] = field(default_factory=dict)
    """Colours of clusters that do not answer, with what that is."""
    comparison: FakeVerification = field(default_factory=FakeVerification)
    ways: list[str] = field(default_factory=list)
    compared: list[tuple[str, ...]] = field(default_factory=list)
    topics: dict[str, int] = field(default_factory=dict)
    entries: dict[str, list[Entry]] = field(default_factory=dict)
    voters: list[int] = field(default_factory=list)

    def clock(self) -> Clock:
        return FakeClock()

    def enter_lab(self, directory: Path) -> None:
        raise AssertionError("there is no lab here")

    def world(self, config: Config, *, run_dir: Path | None, say: Say) -> World:
        facts = MemoryFacts() if run_dir is None else FileFacts(run_dir / "facts")
        toy = ToyWorld(config, FakeClock(1e9), facts, self.done, self.broken, self.on_act)
        return cast(World, toy)

    def cluster(self, config: Config, colour: str) -> Cluster:
        if colour in self.silent:
            raise self.silent[colour]
        spec = config.blue if colour == "blue" else config.green
        key = colour if colour in self.snapshots else spec.bootstrap[0]
        return cast(Cluster, ToyCluster(self.snapshots[key]))

    def roster(self, world: World, spec: ClusterSpec) -> list[Entry]:
        return self.entries.get(spec.name, [])

    def verification(self, config: Config, direction: str, facts: Any, work: Path) -> Verification:
        self.ways.append(direction)
        self.compared.append((config.blue.bootstrap[0], config.green.bootstrap[0]))
        return self.comparison

    def lease(self, config: Config, run: str) -> Lease:
        if self.held is not None:
            raise self.held
        return ToyLease(self.lost)

    def plan(self, world: World, run: str, to: str | None) -> Plan:
        self.asked_to.append(to)
        return toy_plan(world.config, run, FORWARD, ("ttl", "names", "fence", "open", "bake"))

    def plan_roll(
        self, world: World, run: str, options: Options, strategy: str = "rolling"
    ) -> Plan:
        ids = () if options.only == ("none",) else ("stop", "start")
        made = toy_plan(world.config, run, strategy if options.to else RESTART, ids)
        return replace(made, snapshot={"options": options.to_json(), "voters": self.voters})

    def begin(self, conduct: Conduct, plan: Plan) -> RunResult:
        return self._runner(conduct, plan, fresh=True).run()

    def resume(self, conduct: Conduct) -> RunResult:
        return self._runner(conduct, conduct.run.current().plan).run()

    def rollback(self, conduct: Conduct) -> RunResult:
        if "open" not in self.done:
            return self._runner(conduct, conduct.run.current().plan).rollback()
        plan = toy_plan(conduct.world.config, conduct.run.id, BACK, ("fence-back", "open-back"))
        return self._runner(conduct, plan, fresh=True).run()

    def finalize(self, conduct: Conduct) -> RunResult:
        plan = toy_plan(conduct.world.config, conduct.run.id, FINALIZE, ("retire",))
        return self._runner(conduct, plan, fresh=True).run()

    def carried(self, world: World, colour: str) -> Mapping[str, int]:
        return self.topics

    def plan_clear(self, world: World, run: str) -> Plan:
        return toy_plan(world.config, run, "clear", ("clear",))

    def run_alone(self, conduct: Conduct, plan: Plan) -> RunResult:
        self.topics = {}
        return self._runner(conduct, plan, fresh=True).run()

    def titles(self) -> Mapping[str, str]:
        return {"names": "move the names"}

    def _runner(self, conduct: Conduct, plan: Plan, *, fresh: bool = False) -> Runner[World]:
        journal = conduct.run.begin(plan) if fresh else conduct.run.current()
        runner: Runner[World] = Runner(
            plan,
            {"toy": ToyStep, "node-stopped": ToyStep},
            conduct.world,
            journal,
            conduct.lease,
            conduct.world.clock,
            conduct.events,
            confirm=conduct.confirm,
            until=conduct.until,
        )
        conduct.watch(runner)
        return runner


@dataclass
class ToyCluster:
    state: ClusterState

    def snapshot(self, *, full: bool = True) -> ClusterState:
        bare = {n: replace(t, config=type(t.config)({}, {})) for n, t in self.state.topics.items()}
        return self.state if full else replace(self.state, topics=bare)

    def topics(self, *, configs: bool = False) -> Mapping[str, Any]:
        return self.state.topics

    def groups(self, *, offsets: bool = True) -> tuple[Group, ...]:
        return self.state.groups

    def ends(self, partitions: Any) -> Mapping[TopicPartition, Ends]:
        return {tp: Ends(0, 9, 8) for tp in partitions}

    def close(self) -> None:
        """Nothing is open."""


def toy_plan(config: Config, run: str, operation: str, ids: tuple[str, ...]) -> Plan:
    sectioned = operation == FORWARD
    specs = tuple(
        Spec(
            id=i,
            kind="toy",
            title=f"do {i}",
            phase={"fence": "cutover", "open": "cutover"}.get(i, i),
            critical="cutover" if sectioned and i in ("fence", "open") else "",
            ask="Move the names?" if i == "names" else "",
            irreversible="the mirror ends" if i == "retire" else "",
        )
        for i in ids
    )
    return Plan(
        id=run,
        operation=operation,
        cluster=config.name,
        created=1e9,
        specs=specs,
        criticals=(Critical("cutover", 20.0, "open"),) if sectioned else (),
        snapshot={"topics": 1},
        fingerprint="f" * 64,
        notes=("KO-NOTE: something to know",),
        config=dumped(config),
    )
