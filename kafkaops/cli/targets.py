"""Which clusters a command means: a colour, a name in the config, an address, a snapshot file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from kafkaops.cli.operations import COLOURS
from kafkaops.cli.session import current
from kafkaops.engine.errors import OpsError, UsageFault

if TYPE_CHECKING:
    from kafkaops.config.schema import ClusterSpec, Config
    from kafkaops.model.cluster import ClusterState
    from kafkaops.model.health import Health
    from kafkaops.ports.cluster import Cluster

ADDRESS = re.compile(r"^[^\s:,]+:\d{1,5}(,[^\s:,]+:\d{1,5})*$")


@dataclass(frozen=True)
class Target:
    """One cluster to look at: `name` is a colour of `config`, or what was given as address
    together with the `spec` made of it. `expected` are the node ids that the config names."""

    name: str
    config: Config | None = None
    spec: ClusterSpec | None = None
    expected: tuple[int, ...] = ()

    def of(self) -> ClusterSpec:
        """The cluster's own part of the config."""
        if self.config is not None:
            spec: ClusterSpec = getattr(self.config, self.name)
            return spec
        assert self.spec is not None
        return self.spec

    @contextmanager
    def open(self) -> Iterator[Cluster]:
        if self.config is not None:
            cluster = current().operations.cluster(self.config, self.name)
        else:
            cluster = current().operations.cluster_at(self.of())
        try:
            yield cluster
        finally:
            cluster.close()

    def health(self, *, deep: bool) -> Health:
        """Judge the cluster. Topic configs are read when asked for, or when some partition is
        not fully in sync: only then can it be under its min ISR."""
        from kafkaops.model.health import judge, under_replicated

        with self.open() as cluster:
            state = cluster.snapshot(full=False)
            if deep or any(
                under_replicated(p) for t in state.topics.values() for p in t.partitions
            ):
                state = replace(state, topics=cluster.topics(configs=True))
        return judge(state, self.expected)


def clusters(names: Sequence[str] | None) -> list[Target]:
    """The clusters named, or all of the config."""
    if not names:
        config = current().load().config
        return [_of_config(config, colour) for colour in config.clusters]
    return [one(name) for name in names]


def one(name: str) -> Target:
    """One cluster by colour, name or address. UsageFault names what there is."""
    if ADDRESS.match(name):
        return Target(name, spec=_spec_of(name))
    config = current().load().config
    if name in COLOURS:
        return _of_config(config, name)
    for colour, spec in config.clusters.items():
        if name == spec.name:
            return _of_config(config, colour)
    known = ", ".join(f"{colour} ({spec.name})" for colour, spec in config.clusters.items())
    raise UsageFault(
        "KO-CLUSTER-UNKNOWN",
        f"{name!r} is no cluster of the config",
        hint=f"{known}, or HOST:PORT",
    )


def state(name: str) -> ClusterState:
    """The whole state of a cluster, or of a snapshot file."""
    if Path(name).is_file():
        return saved(name)
    with one(name).open() as cluster:
        return cluster.snapshot()


def saved(file: str) -> ClusterState:
    """The state in a file that `cluster snapshot --out` wrote. UsageFault says what is wrong."""
    from kafkaops.cli.files import read_json
    from kafkaops.model.cluster_json import from_json

    try:
        return from_json(read_json(file))
    except ValueError as error:
        raise UsageFault(
            "KO-SNAPSHOT-BROKEN", f"{file} cannot be used: {error}", where=file
        ) from error


def excluded() -> Sequence[str]:
    """Topics that the config leaves out of the mirror; none where there is no config."""
    try:
        config = current().load(enter_lab=False).config
        return config.mirror.exclude if config.has("mirror") else ()
    except OpsError as error:
        if error.code == "KO-CONFIG-NONE":
            return ()
        raise


def _of_config(config: Config, colour: str) -> Target:
    spec: ClusterSpec = getattr(config, colour)
    nodes = tuple(h.node_id for h in spec.hosts if h.node_id is not None)
    return Target(colour, config, expected=nodes)


def _spec_of(addresses: str) -> ClusterSpec:
    """A cluster known by address alone: no security, nothing but its REPL listener."""
    from kafkaops.config.schema import ClusterSpec, HostSpec

    return ClusterSpec(
        name="cluster",
        bootstrap=tuple(addresses.split(",")),
        hosts=(HostSpec(name="unknown", address=addresses.partition(":")[0]),),
    )
