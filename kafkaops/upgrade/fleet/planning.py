"""Weaves into the plan of a roll or an outage what is held meanwhile. Pure.

Invariant: without a fleet in the config a plan stays as it is, to the byte.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from kafkaops.config.schema import ClusterSpec, HostSpec
from kafkaops.engine.step import Spec
from kafkaops.upgrade.rolling.phases import Phase

HOLD, BACK = Phase.HOLD.value, Phase.RELEASE.value
DEADLINE = 1800.0
"""Seconds for what is under way in a group to come to its end."""
POLL = 2.0
SIDE_BY_SIDE = 8
FOLLOWED = {
    *("node-stopped", "node-up", "node-in-sync", "leaders-back", "node-soaked", "node-rested"),
    *("outage-down", "outage-runs"),
}
"""Kinds of steps that are looked at for long, or that stop a node."""


def woven(specs: Sequence[Spec], cluster: ClusterSpec, hosts: Mapping[int, HostSpec]) -> list[Spec]:
    """In a roll each batch is held between its gate and its first stop, and given back at its end:
    held before the gate, a group could not replace the very broker that the gate waits for. In an
    outage all hosts are held before it begins, for what is under way in a group is waited for, and
    given back once clients are in again."""
    fleet = cluster.fleet
    if not fleet.auto_scaling and not fleet.agents:
        return list(specs)
    instances = {host.name: host.ec2 if fleet.auto_scaling else "" for host in hosts.values()}
    known: dict[str, Any] = {"agents": list(fleet.agents), "seconds": fleet.agents_return}
    followed = [
        replace(s, args={**s.args, "fleet": known | {"instance": instances[s.args["host"]]}})
        if s.kind in FOLLOWED
        else s
        for s in specs
    ]
    found: list[Spec] = []
    for part in _parts(followed):
        stops = [s for s in part if s.kind in ("node-stopped", "outage-down")]
        if not stops:
            found += part
            continue
        begins = [s for s in part if s.kind == "clients-stopped"] or stops
        first = part.index(begins[0])
        # an outage is not to last for what AWS or an agent takes
        outage = begins[0].kind == "clients-stopped"
        last = len(part) if outage else 1 + max(i for i, s in enumerate(part) if s.kind in FOLLOWED)
        held, back = _both(stops, instances if fleet.auto_scaling else {}, bool(fleet.agents))
        found += [*part[:first], *held, *part[first:last], *back, *part[last:]]
    return found


def _parts(specs: Sequence[Spec]) -> Iterator[list[Spec]]:
    """Batch by batch; an outage is a single one."""
    part: list[Spec] = []
    for spec in specs:
        if part and spec.args.get("batch") != part[-1].args.get("batch"):
            yield part
            part = []
        part.append(spec)
    if part:
        yield part


def _both(
    stops: Sequence[Spec], instances: Mapping[str, str], agents: bool
) -> tuple[list[Spec], list[Spec]]:
    """What is held before these stops, and what is given back after."""
    names = [str(s.args["host"]) for s in stops]
    number = stops[0].args.get("batch")
    lead, _, _ = stops[0].title.partition(": ")
    lead, tail = (f"{lead}: ", f"-{number}") if number is not None else ("", "")
    until = {str(s.args["host"]): "in-sync" if s.args["broker"] else "up" for s in stops}
    own: dict[str, Any] = {
        "until": until,
        "mates": {str(s.args["host"]): s.args["node"] for s in stops},
    }
    held: list[Spec] = []
    back: list[Spec] = []
    if agents:
        for each, kind, phase, words in (
            (held, "agents-held", HOLD, "stop the agents of {}"),
            (back, "agents-back", BACK, "start the agents of {} again"),
        ):
            each += [
                Spec(
                    id=f"{phase}-agents-{name}",
                    kind=kind,
                    title=lead + words.format(name),
                    phase=phase,
                    args={**stop.args, **own},
                    batch=f"{phase}-agents{tail}-{place // SIDE_BY_SIDE}" if len(names) > 1 else "",
                    deadline=DEADLINE,
                    poll=POLL,
                )
                for place, (name, stop) in enumerate(zip(names, stops, strict=True))
            ]
    if instances:
        mine = {name: instances[name] for name in names}
        nobody = {"host": "", "node": -1, "broker": False, "voter": False}
        args = {k: v for k, v in stops[0].args.items() if k != "fleet"}
        args |= own | nobody | {"instances": mine}
        one = Spec(
            id=f"{HOLD}{tail}",
            kind="scaling-held",
            title=f"{lead}suspend the Auto Scaling groups of {_few(names)}",
            phase=HOLD,
            args=args,
            deadline=DEADLINE,
            poll=POLL,
        )
        held.insert(0, one)
        back.append(
            replace(
                one,
                id=f"{BACK}{tail}",
                kind="scaling-back",
                title=f"{lead}resume the Auto Scaling groups of {_few(names)}",
                phase=BACK,
            )
        )
    return held, back


def _few(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 4 else f"{len(names)} hosts"
