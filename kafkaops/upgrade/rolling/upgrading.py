"""What a rolling upgrade is planned from, and the plan of its way back. Nothing is changed here."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from kafkaops.config.schema import ClusterSpec, HostSpec
from kafkaops.engine.errors import ConfigError, GuardRefused
from kafkaops.engine.step import Plan
from kafkaops.features import ghosts
from kafkaops.model.cluster import ClusterState
from kafkaops.ports.versions import Tarball
from kafkaops.ports.world import World
from kafkaops.upgrade import gate, refusals
from kafkaops.upgrade.fleet import survey as fleet
from kafkaops.upgrade.install import mixed
from kafkaops.upgrade.install import refusals as install_refusals
from kafkaops.upgrade.install.looks import Look, look
from kafkaops.upgrade.install.place import Place
from kafkaops.upgrade.install.release import Release
from kafkaops.upgrade.protocol.setting import NAME, Protocol, spoken, told
from kafkaops.upgrade.refusals_codes import Finding, accept
from kafkaops.upgrade.refusals_early import Faults
from kafkaops.upgrade.rolling import inventory, planner
from kafkaops.upgrade.rolling.choosing import Chosen, Options, choose
from kafkaops.upgrade.rolling.node import named
from kafkaops.upgrade.rolling.phases import ACCEPTED, WITHOUT
from kafkaops.upgrade.rolling.planner import Change
from kafkaops.upgrade.rolling.survey import cluster_spec

UPGRADE = "rolling"
BACK = "rolling-back"
NOTES = {UPGRADE: "rolling", BACK: "rolling-back"}
"""How the facts of a way begin."""


@dataclass(frozen=True)
class Ready:
    """What an upgrade is about once nothing speaks against it: `changes` of the nodes that do not
    run the release yet, `hosts` theirs, `every` those of all that were looked at. `left` says in
    words who is left alone, and what to know; `older`: it goes to an older release."""

    state: ClusterState
    hosts: Mapping[int, HostSpec]
    every: Mapping[int, HostSpec]
    changes: Mapping[int, Change]
    left: tuple[str, ...]
    older: bool


def ready(world: World, options: Options) -> Ready:
    """Look at the cluster and its hosts. GuardRefused with every reason against it."""
    to = Release.of(str(options.to))
    spec = cluster_spec(world, options)
    state = world.clusters[options.cluster].snapshot()
    refusals.refuse(list(install_refusals.zookeeper(state, to)))
    place = place_of(spec)
    faults = Faults()
    tarball = faults.tried(lambda: world.versions.tarball(str(to)))
    chosen = faults.tried(lambda: choose(spec, state, options)) or Chosen()
    if tarball is not None:
        faults.tried(lambda: _sendable(tarball, chosen.hosts.values()))
    looks = look_at(world, spec, chosen.hosts, str(to), faults)
    older = any(one.running and one.running.release > to for one in looks)
    found = [
        *_hosts(spec, state, options),
        *_mixed(world, spec, state, chosen.hosts, looks, options, faults),
        *install_refusals.find(state, looks, place, to, tarball, options.flag),
    ]
    features = faults.tried(world.clusters[options.cluster].features) if state.quorum else None
    if features is not None and state.quorum:
        found += install_refusals.ghosts(features, state.quorum.voters, to, older=older)
    found = list(accept(dict.fromkeys(found), world.config.accept))
    refusals.refuse(found, faults.found)
    left = [*chosen.left, *map(str, found)]
    left += [ghosts.unlisted(features)] if features and features.unseen else []
    left += [f"{one.host} runs {to} already" for one in looks if one.runs(str(to), place)]
    changes = {
        one.node: Change(str(to), place.target(str(to)), _runs(one))
        for one in looks
        if not one.runs(str(to), place)
    }
    hosts = {node: chosen.hosts[node] for node in changes}
    left += fleet.look(world, spec, hosts.values())
    return Ready(state, hosts, chosen.hosts, changes, tuple(left), older)


def plan(world: World, options: Options, run: str) -> Plan:
    """The plan of a roll; one without steps where every node runs it."""
    found = ready(world, options)
    return planner.roll(
        world.config,
        found.state,
        found.hosts,
        options,
        planner.Way(UPGRADE, NOTES[UPGRADE], found.changes, bring=True, brokers_first=found.older),
        id=run,
        created=world.clock.wall(),
        left=found.left,
    )


def way_back(world: World, there: Plan) -> Plan:
    """Back to what each node ran before the run, for those that were told to stop in it and do not
    run that now. GuardRefused where features were raised since: the old version could not read
    what the new one wrote."""
    options = Options.of(there.snapshot["options"])
    meanwhile = world.facts.get(ACCEPTED) or ()
    options = replace(options, accept=tuple(dict.fromkeys((*options.accept, *meanwhile))))
    spec = cluster_spec(world, options)
    place = place_of(spec)
    state = world.clusters[options.cluster].snapshot()
    features_as_before(there, state)
    ran = {str(s.args["host"]): str(s.args["before"]) for s in there.specs if "before" in s.args}
    noted = f"{NOTES[UPGRADE]}.{{}}.{{}}".format
    without = world.facts.get(WITHOUT) or ()
    touched = {
        host.node_id: host
        for host in spec.hosts
        if host.node_id is not None
        and world.facts.get(noted(host.name, "mark")) is not None
        and host.name not in without
    }
    faults = Faults()
    looks = look_at(world, spec, touched, str(options.to), faults)
    if faults.found:
        raise faults.found[0]  # as it came: there is a run to go on with
    changes: dict[int, Change] = {}
    for one in looks:
        # as an older kafkaops kept it, it may be from the root
        link = place.said(str(world.facts.get(noted(one.host, "link-before")) or one.link))
        change = Change(ran.get(one.host) or link.rpartition("/")[2], link, str(options.to))
        if _runs(one) != change.version or one.link != change.link:
            changes[one.node] = change
    now = [*spoken(state).values(), *(told(one.known) for one in looks)]
    protocol_as_before(there, now, [change.version for change in changes.values()])
    hosts = {node: host for node, host in touched.items() if node in changes}
    lost = [one for one in looks if one.node in hosts and _lost(world, state, one)]
    return planner.roll(
        world.config,
        state,
        hosts,
        options,
        planner.Way(
            BACK,
            NOTES[BACK],
            changes,
            brokers_first=True,
            back=True,
            there=NOTES[UPGRADE],
            down=tuple(one.node for one in lost if not one.unit.pid),
            stuck=tuple(one.node for one in lost if one.unit.pid),
        ),
        id=there.id,
        created=world.clock.wall(),
    )


def _lost(world: World, state: ClusterState, one: Look) -> bool:
    """Whether the cluster goes without this node: no process of it runs, or one that is not up. A
    controller that lags now, and was up once, may only be slow."""
    if not one.unit.pid:
        return True
    up = world.facts.get(f"{NOTES[UPGRADE]}.{one.host}.up") is not None
    return not gate.serves(state, one.node) and not (up and gate.only_controller(state, one.node))


def _sendable(tarball: Tarball, hosts: Iterable[HostSpec]) -> None:
    by_ssm = [host.name for host in hosts if host.via == "ssm"]
    if tarball.file is not None and by_ssm:
        raise ConfigError(
            "KO-VERSION-NOT-SENDABLE",
            f"a file of this machine cannot be sent through SSM to {named(by_ssm)}",
            where=str(tarball.file),
            hint="give an s3:// or https:// address as `source`: such hosts fetch for themselves",
        )


def _runs(one: Look) -> str:
    return str(one.running.release) if one.running else ""


def look_at(
    world: World, spec: ClusterSpec, hosts: Mapping[int, HostSpec], release: str, faults: Faults
) -> list[Look]:
    """Of each host that can be looked at."""
    place = place_of(spec)

    def one(node: int) -> Look:
        return look(world.hosts[hosts[node].name], node, spec, place, release)

    return list(faults.asked(hosts, one).values())


def place_of(spec: ClusterSpec) -> Place:
    if spec.install is None:
        raise ConfigError(
            "KO-INSTALL-NONE",
            f"the config does not say where versions of Kafka lie on the hosts of {spec.name}",
            where="install",
            hint="add `install: {directory: /opt/kafka}` to the cluster; see docs/rolling.md",
        )
    return Place(spec.install.directory)


def _hosts(spec: ClusterSpec, state: ClusterState, options: Options) -> Iterator[Finding]:
    """A version is for all nodes: nobody may be forgotten, unless only some were asked for."""
    yield from inventory.find(spec, state, options)
    if options.only or options.rack:
        return
    voters = set(state.quorum.voters) if state.quorum else set()
    for node in sorted(voters - {host.node_id for host in spec.hosts}):
        yield Finding(
            "KO-CONTROLLER-NO-HOST",
            str(node),
            "this controller has no host in the config, and must run the version first",
            "add it to the cluster's `hosts`, with its node_id",
        )


def _mixed(
    world: World,
    spec: ClusterSpec,
    state: ClusterState,
    chosen: Collection[int],
    looks: Sequence[Look],
    options: Options,
    faults: Faults,
) -> list[Finding]:
    """Those that were not chosen are asked too, where brokers could come to be newer than their
    controllers."""
    to = Release.of(str(options.to))
    rolled = mixed.some(state, looks, place_of(spec), to)
    left = rolled.left(state, chosen)
    hosts = {h.node_id: h for h in spec.hosts if h.node_id is not None and h.node_id in left}
    others = look_at(world, spec, hosts, str(to), faults)
    return list(mixed.find(state, rolled, others, left - set(hosts), to, options.flag))


def protocol_as_before(
    there: Plan, said: Iterable[Protocol | None], releases: Iterable[str]
) -> None:
    """In ZooKeeper mode the level is each broker's protocol. `said` is what brokers or their files
    say of it now, `releases` what the way back goes to."""
    known, oldest = min(((p, r) for r in releases if (p := Protocol.of(r))), default=(None, ""))
    newest = max((p for p in said if p is not None), default=None)
    if there.snapshot.get("voters") or known is None or newest is None:
        return
    if newest > known:
        raise GuardRefused(
            "KO-PROTOCOL-RAISED",
            f"since the upgrade {NAME} was raised to {newest}: {oldest} does not know that, and may"
            " not read what was written with it",
            hint="there is no way back from a protocol; go on with what runs now",
        )


def features_as_before(there: Plan, state: ClusterState) -> None:
    before = there.snapshot.get("features") or {}
    raised = [
        f"{name} from {before.get(name, 0)} to {level}"
        for name, level in sorted(state.features.items())
        if level > int(before.get(name, 0))
    ]
    if raised:
        raise GuardRefused(
            "KO-FEATURES-RAISED",
            f"since the upgrade {named(raised)}: the version before may not read that",
            hint=f"kafkaops features downgrade{Options.of(there.snapshot['options']).flag} first,"
            " where that is possible",
        )
