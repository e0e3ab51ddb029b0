"""The plan of raising the protocol: a restart's, with one step more a node and a boundary. Pure.

Invariant: the file is written while its node is down, and every start after that is a boundary: a
broker that ran with the new protocol may have written what the old one cannot read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from kafkaops.config.schema import Config, HostSpec
from kafkaops.engine.plan_json import fingerprint
from kafkaops.engine.step import Plan, Spec
from kafkaops.model.cluster import ClusterState
from kafkaops.upgrade.protocol.phases import Phase
from kafkaops.upgrade.protocol.refusals import Look
from kafkaops.upgrade.protocol.setting import NAME
from kafkaops.upgrade.rolling import planner
from kafkaops.upgrade.rolling.choosing import Options
from kafkaops.upgrade.rolling.phases import Phase as Rolling
from kafkaops.upgrade.rolling.planner import Way

OPERATION = "protocol"
KINDS = {
    "node-started": "protocol-started",
    "node-up": "protocol-spoken",
    "node-rested": "protocol-rested",
}
"""Steps of a restart that know more here."""


def plan(
    config: Config,
    state: ClusterState,
    hosts: Mapping[int, HostSpec],
    looks: Sequence[Look],
    options: Options,
    *,
    id: str,
    created: float,
    left: Sequence[str] = (),
) -> Plan:
    """Raise `hosts` to `options.to`; `looks` are of every broker of the cluster."""
    way = Way(OPERATION, OPERATION)
    rolled = planner.roll(config, state, hosts, options, way, id=id, created=created, left=left)
    snapshot = snapshot_of(state, looks, options)
    specs = tuple(_raised(rolled.specs, str(options.to), _words(looks, options)))
    return replace(rolled, specs=specs, snapshot=snapshot, fingerprint=fingerprint(snapshot))


def snapshot_of(state: ClusterState, looks: Sequence[Look], options: Options) -> dict[str, Any]:
    """What makes a saved plan worthless when it changes: the files too."""
    return planner.snapshot_of(state, options) | {
        "software": {one.host: str(one.release or "") for one in looks},
        "protocols": {one.host: list(one.values) for one in looks},
    }


def _words(looks: Sequence[Look], options: Options) -> str:
    now = min((p for one in looks if (p := one.set or one.spoken) is not None), default=None)
    return f"{NAME} cannot be lowered to {now} again once a broker has run with {options.to}"


def _raised(specs: Sequence[Spec], to: str, boundary: str) -> Iterator[Spec]:
    """The same steps in the same groups; before each start the file is written."""
    for phase, run in groupby(specs, key=lambda s: s.phase):
        group = list(run)
        if phase == Rolling.START.value:
            yield from (_written(spec, to) for spec in group)
        for spec in group:
            yield replace(
                spec,
                kind=KINDS.get(spec.kind, spec.kind),
                args={**spec.args, "protocol": to},
                irreversible=boundary if phase == Rolling.START.value else "",
            )


def _written(start: Spec, to: str) -> Spec:
    lead, name = start.title.partition(":")[0], start.args["host"]
    return replace(
        start,
        id=f"{Phase.PROTOCOL.value}-{name}",
        kind="protocol-written",
        title=f"{lead}: write protocol {to} of {name}",
        args={**start.args, "protocol": to},
        phase=Phase.PROTOCOL.value,
    )
