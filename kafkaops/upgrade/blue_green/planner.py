"""Plans of the blue/green upgrade, its way back, and its end. Pure: config in, `Plan` out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kafkaops.config.schema import Config
from kafkaops.engine.step import Plan, Spec
from kafkaops.upgrade.blue_green import outage
from kafkaops.upgrade.blue_green.phases import Phase
from kafkaops.upgrade.blue_green.planner_cut import (
    CUT,
    DECIDED,
    agreed_specs,
    critical,
    cut_specs,
    fitted,
    running_specs,
    settle_specs,
)
from kafkaops.upgrade.blue_green.planner_cut import step_spec as _spec

__all__ = ["CUT", "DECIDED", "finalize", "forward", "way_back"]


def users_specs(config: Config, args: Mapping[str, Any]) -> list[Spec]:
    """The clients' SCRAM users, where the config says where their passwords are."""
    if not config.users:
        return []
    title = f"make the users of {args['src']} on {args['dst']}, each proven by a login"
    return [_spec("users", "users-made", title, Phase.PARITY, args)]


def forward(
    config: Config, *, id: str, created: float, notes: tuple[str, ...] = (), **more: Any
) -> Plan:
    """Blue to green. `more` carries fingerprint and snapshot of the planning."""
    args = {"src": "blue", "dst": "green"}
    back = {"src": "green", "dst": "blue"}
    wait = config.gates.timeout
    p = Phase
    waits = p.GATES if outage.planned(config) else p.NAMES
    specs = [
        _spec(
            "ttl",
            "ttl-lowered",
            f"lower the TTL to {config.cutover.cut_ttl} s",
            p.TTL,
            args,
            deadline=900.0,
        ),
        _spec("green", "green-there", "green is there", p.GREEN, args),
        _spec("closed", "closed-to-clients", "close green's CLIENT listener", p.GREEN, args),
        _spec("fence-ready", "fence-ready", "prepare blue's hosts for the fence", p.GREEN, args),
        _spec("parity", "parity", "make green equal to blue", p.PARITY, args),
        *users_specs(config, args),
        _spec(
            "ids",
            "producer-ids",
            "raise producer ids on green above blue's",
            p.PRODUCER_IDS,
            args | {"margin": 1000},
        ),
        _spec("worker", "worker-up", "start the mirror's worker", p.MIRROR, args, batch="workers"),
        _spec(
            "worker-back",
            "worker-up",
            "start the worker of the way back",
            p.MIRROR,
            back,
            batch="workers",
        ),
        _spec("serves", "serves", "write and read through every green broker", p.SANITY, args),
        _spec(
            "restart",
            "restarts-under-read",
            "restart one green broker while it is used",
            p.SANITY,
            args,
        ),
        _spec(
            "leaders-back",
            "leaders-preferred",
            "lead every partition from its preferred replica",
            p.SANITY,
            args,
        ),
        _spec(
            "epochs",
            "epochs-ahead",
            "raise green's leader epochs above blue's",
            p.SANITY,
            args,
            deadline=3600.0,
        ),
        _spec("mirror", "mirroring", "mirror every topic", p.MIRROR, args),
        _spec("verify", "verified", "compare every record", p.VERIFY, args, deadline=86_400.0),
        _spec("gates", "gates-held", "hold the gates", p.GATES, args, deadline=wait),
        _spec("ttl-wait", "ttl-waited", "wait one old TTL", waits, args, deadline=90_000.0),
        _spec("forward", "forwarding", "green forwards its clients to blue", p.NAMES, args),
        _spec(
            "names",
            "names-moved",
            "move the names to green",
            p.NAMES,
            args,
            deadline=300.0,
            ask="Move the names to green, and then cut over?",
        ),
        *agreed_specs(config, args),
        *cut_specs(config, args),
        *settle_specs(config, args),
        _spec(
            "return-ready",
            "ready-for-return",
            "make blue ready for its producers",
            p.BACK,
            args,
            deadline=1800.0,
        ),
        _spec("mirror-back", "delta-mirror", "mirror back what is new", p.BACK, back),
        _spec(
            "strangers", "no-strangers", "watch blue for strangers", p.BACK, back, deadline=600.0
        ),
        _spec(
            "bake",
            "baked",
            f"bake {config.gates.bake:g} s",
            p.BAKE,
            args,
            deadline=config.gates.bake + 60,
        ),
    ]
    return Plan(
        id=id,
        operation="blue-green",
        cluster=config.name,
        created=created,
        specs=fitted(config, specs),
        criticals=critical(config),
        notes=(*outage.notes(config), *notes),
        config=config.model_dump(mode="json"),
        **more,
    )


def way_back(config: Config, *, id: str, created: float, **more: Any) -> Plan:
    """Green to blue, after green has been opened: the same machine reversed."""
    args = {"src": "green", "dst": "blue"}
    there = {"src": "blue", "dst": "green"}
    p = Phase
    specs = [
        *running_specs(config, there),
        _spec("fence-ready", "fence-ready", "prepare green's hosts for the fence", p.GREEN, args),
        _spec("carried", "carried-back", "carry back what was created on green", p.PARITY, args),
        *users_specs(config, args),
        _spec(
            "return-ready",
            "ready-for-return",
            "make blue ready for its producers",
            p.BACK,
            there,
            deadline=1800.0,
        ),
        _spec("worker", "worker-up", "the worker of the way back", p.MIRROR, args),
        _spec("mirror", "delta-mirror", "mirror back what is new", p.MIRROR, args),
        _spec("verify", "verified", "compare every new record", p.VERIFY, args, deadline=86_400.0),
        _spec(
            "gates", "gates-held", "hold the gates", p.GATES, args, deadline=config.gates.timeout
        ),
        _spec(
            "ids",
            "producer-ids",
            "raise producer ids on blue above green's",
            p.GATES,
            args | {"margin": 1000},
        ),
        _spec(
            "epochs",
            "epochs-ahead",
            "raise blue's leader epochs above green's",
            p.GATES,
            args,
            deadline=3600.0,
        ),
        _spec("forward", "forwarding", "blue forwards its clients to green", p.NAMES, args),
        _spec("names", "names-moved", "move the names to blue", p.NAMES, args),
        *cut_specs(config, args),
        *settle_specs(config, args),
        _spec("settings", "settings-restored", "put blue's settings back", p.FINALIZE, there),
        _spec("retire", "mirror-retired", "stop both mirrors' workers", p.FINALIZE, args),
        _spec("restore", "ttl-restored", "put the TTL back", p.FINALIZE, args),
    ]
    return Plan(
        id=id,
        operation="blue-green-back",
        cluster=config.name,
        created=created,
        specs=fitted(config, specs),
        criticals=critical(config),
        config=config.model_dump(mode="json"),
        **more,
    )


def finalize(config: Config, *, id: str, created: float, **more: Any) -> Plan:
    """Give up the way back: after this, rolling back means restoring."""
    args = {"src": "blue", "dst": "green"}
    p = Phase.FINALIZE
    quiet = (
        _spec("quiet", "nobody-left", "no group and no writer is left on blue", p, args)
        if outage.planned(config)
        else _spec("quiet", "blue-quiet", "no client knocks at blue", p, args)
    )
    specs = [
        quiet,
        _spec(
            "retire",
            "mirror-retired",
            "retire the mirror back",
            p,
            args,
            irreversible="the mirror back ends: blue falls behind from here",
        ),
        _spec("settings", "settings-restored", "put blue's settings back", p, args),
        _spec("restore", "ttl-restored", "put the TTL back", p, args),
    ]
    return Plan(
        id=id,
        operation="blue-green-finalize",
        cluster=config.name,
        created=created,
        specs=fitted(config, specs),
        config=config.model_dump(mode="json"),
        **more,
    )
