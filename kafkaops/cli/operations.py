"""The seam between the command line and the operations: everything is imported when called.

Invariant: no command imports a room, an adapter or the wiring by itself; what a command can
do stands here, once, and `--help` costs none of it. Tests hand in their own `Operations`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kafkaops.cli.conducted import conducted
from kafkaops.cli.terminal import Terminal
from kafkaops.engine.clock import Clock, SystemClock
from kafkaops.engine.errors import ConfigError, GuardRefused

if TYPE_CHECKING:
    from kafkaops.config.schema import ClusterSpec, Config
    from kafkaops.engine.lease import Lease
    from kafkaops.engine.run import RunResult
    from kafkaops.engine.step import Plan
    from kafkaops.features.asking import Asked
    from kafkaops.placement.applying.planner import Options as Placing
    from kafkaops.ports.cluster import Cluster
    from kafkaops.ports.conduct import Conduct
    from kafkaops.ports.facts import Facts
    from kafkaops.ports.speeds import Speeds
    from kafkaops.ports.verification import Verification
    from kafkaops.ports.world import World
    from kafkaops.upgrade.rolling.choosing import Options
    from kafkaops.upgrade.rolling.roster import Entry
    from kafkaops.volumes.cluster.asking import Asked as VolumesAsked
    from kafkaops.volumes.ground import Ground
    from kafkaops.volumes.host_file import HostFile

Say = Callable[[str], None]
COLOURS = ("blue", "green")


def enter_lab(directory: Path) -> None:
    """Move this process into the lab's private network. ConfigError when none is up."""
    try:
        from kafkaops.lab.enter import enter
    except ModuleNotFoundError as error:
        raise ConfigError(
            "KO-EXTRA-MISSING",
            f"the config has a `lab:` section, and the package {error.name!r} is missing",
            hint="pip install 'kafkaops[lab]'",
        ) from error
    enter(directory)


class Operations:
    """What the commands call."""

    # -- the world -----------------------------------------------------------

    def clock(self) -> Clock:
        """What the commands themselves wait by."""
        return SystemClock()

    def terminal(self) -> Terminal:
        """Who is asked."""
        return Terminal()

    def enter_lab(self, directory: Path) -> None:
        enter_lab(directory)

    def cluster(self, config: Config, colour: str) -> Cluster:
        """One cluster of the config, over its REPL listener; connects at the first call."""
        from kafkaops import wiring

        return wiring.cluster(config, colour)

    def cluster_at(self, spec: ClusterSpec) -> Cluster:
        """A cluster known by address alone (PLAINTEXT)."""
        return self.cluster(pair(spec, spec), "blue")

    def world(self, config: Config, *, run_dir: Path | None, say: Say) -> World:
        """Everything steps need; `run_dir` None is a look that leaves no facts behind."""
        from kafkaops import wiring

        return wiring.build(config, run_dir=run_dir, say=say)

    def verification(
        self, config: Config, direction: str, facts: Facts, work: Path
    ) -> Verification:
        """A comparison that keeps its checkpoints under `work`; `forward` is blue to green."""
        from kafkaops import wiring

        return wiring.verification(config, direction, facts, work)

    def lease(self, config: Config, run: str) -> Lease:
        """The lease of the pair, taken. LeaseHeld names the holder."""
        from kafkaops import wiring

        return wiring.lease(config, run)

    # -- the blue/green upgrade ------------------------------------------------

    def plan(self, world: World, run: str, to: str | None) -> Plan:
        """The plan, or GuardRefused with every reason at once. `to` is the release that green
        must run. Nothing is changed: the ports refuse it."""
        from kafkaops.upgrade.blue_green import survey

        seen = survey.look(only_reading(world))
        if to is not None:
            wrong = [
                f"broker {b.id} runs {b.version or 'an unknown release'}"
                for b in seen.evidence.green.brokers
                if b.version != ".".join(to.split(".")[:2])
            ]
            if wrong:
                raise GuardRefused(
                    "KO-GREEN-VERSION", f"green is not on {to}: {', '.join(wrong)}", where="green"
                )
        return survey.plan(world, seen, run)

    def plan_roll(
        self, world: World, run: str, options: Options, strategy: str = "rolling"
    ) -> Plan:
        """The plan of a rolling restart, or of an upgrade where `options.to` says to what, rolling
        or with an outage; or GuardRefused. Nothing is changed: the ports refuse."""
        from kafkaops.upgrade.downtime import operation as downtime
        from kafkaops.upgrade.rolling import survey, upgrading

        if strategy == "renew":
            from kafkaops.upgrade.rolling import renewal

            return renewal.plan(only_reading(world), options, run)
        if strategy == "downtime":
            return downtime.plan(only_reading(world), options, run)
        if options.to is None:
            return survey.plan(only_reading(world), options, run)
        return upgrading.plan(only_reading(world), options, run)

    def roster(self, world: World, spec: ClusterSpec) -> list[Entry]:
        """What runs on each host of a cluster. Nothing is changed: the ports refuse."""
        from kafkaops.upgrade.rolling.roster import roster

        return roster(only_reading(world), spec)

    def plan_features(self, world: World, run: str, asked: Asked) -> Plan:
        """The plan of a change of feature levels, tried by the controller, or GuardRefused. Nothing
        is changed: the ports refuse."""
        from kafkaops.features import survey

        return survey.plan(only_reading(world), asked, run)

    def plan_protocol(self, world: World, run: str, options: Options) -> Plan:
        """The plan of raising the protocol of a cluster in ZooKeeper mode to `options.to`, or
        GuardRefused. Nothing is changed: the ports refuse."""
        from kafkaops.upgrade.protocol import survey

        return survey.plan(only_reading(world), options, run)

    def plan_placement(
        self, world: World, run: str, options: Placing, document: Any = None
    ) -> Plan:
        """The plan that carries out the moves of a document, or those that reach the goals of
        `options`; or GuardRefused. Nothing is changed: the ports refuse."""
        from kafkaops.placement.applying import survey

        looking = only_reading(world)
        state = looking.clusters[options.cluster].snapshot()
        if document is not None:
            from kafkaops.placement.applying import moves_file

            moves, dirs = moves_file.read(document, state)
            return survey.plan(looking, moves, dirs, options, run)
        from kafkaops.placement.planning.goals import Goals
        from kafkaops.placement.planning.planner import plan

        made = plan(state, Goals.of_json(options.goals))
        return survey.plan(looking, made.moves, made.dir_moves, options, run, made.notes)

    def plan_volumes(self, world: World, run: str, asked: VolumesAsked) -> Plan:
        """The plan of work on the volumes of a cluster; for an install the host module is packed
        and kept beside the runs. Nothing is changed on hosts: the ports refuse."""
        from kafkaops import wiring
        from kafkaops.volumes.cluster import survey
        from kafkaops.volumes.cluster.asking import INSTALL

        packed = wiring.packed_module(world.config) if asked.verb == INSTALL else None
        return survey.plan(only_reading(world), asked, packed, run)

    def cancel_placement(self, conduct: Conduct) -> RunResult:
        """Call off what is on its way of a placement."""
        from kafkaops.placement.applying import operation

        return operation.cancel(conduct)

    # -- the volumes of this host --------------------------------------------

    def volumes(self, path: str, say: Say) -> tuple[HostFile, Ground]:
        """The host's file, and what its volumes stand on. ConfigError KO-VOLUME-FILE."""
        from kafkaops import wiring

        return wiring.volumes(path, say)

    def speeds(self, tool: str) -> Speeds:
        """What measures this host's disks, by `fio`, `loop`, or `auto`."""
        from kafkaops import wiring

        return wiring.speeds(tool)

    # -- runs of any operation -------------------------------------------------

    def begin(self, conduct: Conduct, plan: Plan) -> RunResult:
        result: RunResult = conducted(plan.operation).begin(conduct, plan)
        return result

    def resume(self, conduct: Conduct) -> RunResult:
        return self._taken_up(conduct, "resume")

    def rollback(self, conduct: Conduct) -> RunResult:
        return self._taken_up(conduct, "rollback")

    def finalize(self, conduct: Conduct) -> RunResult:
        return self._taken_up(conduct, "finalize")

    def _taken_up(self, conduct: Conduct, what: str) -> RunResult:
        operation = conduct.run.look().plan.operation
        result: RunResult = getattr(conducted(operation), what)(conduct)
        return result

    def run_alone(self, conduct: Conduct, plan: Plan) -> RunResult:
        """A plan of a single piece (the names alone, a cluster emptied), as a run of its own."""
        from kafkaops.engine.run import Runner
        from kafkaops.upgrade.blue_green.registry import REGISTRY

        runner = Runner(
            plan,
            REGISTRY,
            conduct.world,
            conduct.run.begin(plan),
            conduct.lease,
            conduct.world.clock,
            conduct.events,
            confirm=conduct.confirm,
        )
        conduct.watch(runner)
        return runner.run()

    def plan_clear(self, world: World, run: str) -> Plan:
        """The plan that empties green, for a move that begins anew."""
        from kafkaops.upgrade.blue_green import clearing

        return clearing.plan(world.config, id=run, created=world.clock.wall())

    def carried(self, world: World, colour: str) -> Mapping[str, int]:
        """Partitions of each topic that a move carries, on this cluster."""
        from kafkaops.upgrade.blue_green.move import moved

        topics = moved(world.clusters[colour].topics(), world.config.mirror.exclude)
        return {name: len(topic.partitions) for name, topic in sorted(topics.items())}

    def titles(self) -> Mapping[str, str]:
        """What each phase of any operation does, in words."""
        from kafkaops.features import phases as features
        from kafkaops.placement.applying import phases as placement
        from kafkaops.upgrade.blue_green import phases as blue_green
        from kafkaops.upgrade.downtime import phases as downtime
        from kafkaops.upgrade.protocol import phases as protocol
        from kafkaops.upgrade.rolling import phases as rolling
        from kafkaops.volumes.cluster import phases as volumes

        every = (blue_green, downtime, rolling, features, protocol, placement, volumes)
        return {phase.value: words for room in every for phase, words in room.TITLES.items()}


def dumped(config: Config) -> dict[str, Any]:
    """A config as plans carry it."""
    return config.model_dump(mode="json")


def pair(source: ClusterSpec, target: ClusterSpec, exclude: Sequence[str] = ()) -> Config:
    """A config that holds two clusters and nothing else: enough to read and compare both.
    `exclude` are globs of topics to leave out."""
    from kafkaops.config.schema import Config, Mirror

    known: dict[str, Any] = {
        "name": "pair",
        "blue": source,
        "green": target,
        "mirror": Mirror(
            host=target.hosts[0].name, back_host=source.hosts[0].name, exclude=tuple(exclude)
        ),
    }
    return Config.model_construct(**known)


def only_reading(world: World) -> World:
    """The same world with every port that could change something refusing to."""
    from kafkaops.engine.readonly import readonly_world
    from kafkaops.ports.cluster import Cluster
    from kafkaops.ports.connect import Connect
    from kafkaops.ports.host import Host
    from kafkaops.ports.keys import Copies
    from kafkaops.ports.names import Names
    from kafkaops.ports.scaling import Scaling

    ports = {"clusters": Cluster, "hosts": Host, "local": Host, "names": Names, "connect": Connect}
    return readonly_world(world, ports | {"scaling": Scaling, "copies": Copies})
