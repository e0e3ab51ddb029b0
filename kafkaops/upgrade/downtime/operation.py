"""An upgrade with a short outage as an operator drives it.

Going back before a node was stopped opens the listener again; afterwards it is the same outage to
what each node ran before, planned from the run itself: the cluster may be down and cannot be asked.
"""

from __future__ import annotations

from kafkaops.engine.errors import Unreachable
from kafkaops.engine.run import RunResult
from kafkaops.engine.step import Plan
from kafkaops.ports.conduct import Conduct
from kafkaops.ports.world import World
from kafkaops.upgrade.downtime import planner
from kafkaops.upgrade.downtime.planner import BACK, OPERATION
from kafkaops.upgrade.downtime.registry import REGISTRY
from kafkaops.upgrade.install.properties import settings
from kafkaops.upgrade.protocol.setting import told as told_protocol
from kafkaops.upgrade.rolling import survey, upgrading
from kafkaops.upgrade.rolling.choosing import Options
from kafkaops.upgrade.rolling.phases import WITHOUT
from kafkaops.upgrade.rolling.upgrade import OnHosts


def plan(world: World, options: Options, run: str) -> Plan:
    """The plan; one without steps where every node runs it. GuardRefused with every reason."""
    ready = upgrading.ready(world, options)
    if not ready.changes:
        return Plan(run, OPERATION, world.config.name, world.clock.wall(), (), notes=ready.left)
    return planner.downtime(
        world.config,
        survey.cluster_spec(world, options),
        ready.state,
        ready.hosts,
        ready.every,
        ready.changes,
        options,
        id=run,
        created=world.clock.wall(),
        notes=ready.left,
    )


class Outage(OnHosts):
    registry = REGISTRY
    strategy = OPERATION

    def rollback(self, conduct: Conduct) -> RunResult:
        """Back to what each node ran before, by an outage of its own where nodes were stopped."""
        journal = conduct.run.current()
        if journal.plan.operation == BACK:
            return self.resume(conduct)
        world, there = conduct.world, journal.plan
        told = f"{OPERATION}.{{}}.{{}}".format
        hosts = dict.fromkeys(str(s.args["host"]) for s in there.specs if s.args.get("host"))
        touched = [host for host in hosts if world.facts.get(told(host, "mark")) is not None]
        if not touched:
            return super().rollback(conduct)
        without = world.facts.get(WITHOUT) or ()
        touched = [host for host in touched if host not in without]
        _features_as_before(world, there)
        ran = {
            str(s.args["host"]): str(s.args["before"]) for s in there.specs if "before" in s.args
        }
        spec = survey.cluster_spec(world, Options.of(there.snapshot["options"]))
        if not there.snapshot.get("voters"):  # only ZooKeeper mode has a protocol in its files
            files = [settings(world.hosts[host].read(spec.properties) or b"") for host in touched]
            before_it = [ran[host] for host in touched]
            upgrading.protocol_as_before(there, map(told_protocol, files), before_it)
        place = upgrading.place_of(spec)

        def before(host: str) -> tuple[str, str]:
            kept = str(world.facts.get(told(host, "link-before")) or place.target(ran[host]))
            link = place.said(kept)  # as an older kafkaops kept it, it may be from the root
            return ran[host] or link.rpartition("/")[2], link

        over = world.facts.get(f"{OPERATION}.outage-over") is not None
        back = planner.way_back(there, before, touched, world.clock.wall(), over=over)
        return self.go_back(conduct, back)


def _features_as_before(world: World, there: Plan) -> None:
    cluster = world.clusters[str(there.snapshot["options"]["cluster"])]
    try:
        state = cluster.snapshot(full=False)
    except Unreachable:
        return  # nobody can have raised them while it is down
    upgrading.features_as_before(there, state)
