"""Plans of the blue/green upgrade, its way back, and its end. Pure: config in, `Plan` out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kafkaops.config.schema import Config
from kafkaops.engine.step import Critical, Plan, Spec
from kafkaops.upgrade.blue_green.phases import Phase

CUT = "cutover"
DECIDED = "open"


def _spec(
    id: str, kind: str, title: str, phase: Phase, args: Mapping[str, Any], **more: Any
) -> Spec:
    return Spec(id=id, kind=kind, title=title, phase=phase.value, args=dict(args), **more)


def cut_specs(config: Config, args: Mapping[str, Any]) -> list[Spec]:
    """The critical section, the same for both directions."""
    budget = config.cutover.max_write_pause
    src, dst = args["src"], args["dst"]
    inside: dict[str, Any] = {"critical": CUT, "poll": 0.02, "deadline": budget}

    def step(id: str, kind: str, title: str, **more: Any) -> Spec:
        return _spec(id, kind, title, Phase.CUTOVER, args, **(inside | more))

    slow = {"deadline": budget + hooks_time(config)}
    return [
        # here, so that an attempt after going back looks again; the section's time has not begun
        step(
            "warm",
            "mirror-warm",
            "the mirror and the comparison are close",
            poll=0.5,
            deadline=config.gates.timeout,
        ),
        step("leaders", "leaders-preferred", "lead every partition from its preferred replica"),
        # before the hooks: who is stopped by one must be seen again as well
        step("observe", "observed", f"note who consumes and what grows on {src}", **slow),
        step("hooks-stop", "hooks-stopped", "stop the groups that move by hooks", **slow),
        step("fence", "fenced", f"fence the clients of {src}, timers armed"),
        step("still", "stands-still", f"end offsets of {src} stand still"),
        step("prove", "proven", f"every record of {src} is on {dst}, equal and in order"),
        step("mirror-stop", "mirror-stopped", "stop the mirror and fence its ids", batch="commit"),
        step("groups", "groups-moved", f"commit every group's position on {dst}", batch="commit"),
        step("ids-again", "producer-ids", f"raise producer ids on {dst}", batch="commit"),
        step("deferred", "deferred-configs", f"set timestamps on {dst}", batch="commit"),
        step("disarm", "timers-disarmed", f"make the fence of {src} permanent"),
        step("open", "opened", f"open {dst} to clients"),
    ]


def settle_specs(args: Mapping[str, Any], *, patience: float) -> list[Spec]:
    """After the cut in either direction: the fence kept, hooks started, clients seen within
    `patience` seconds."""
    src, dst = args["src"], args["dst"]
    return [
        _spec(
            "rejoined",
            "rejoined",
            f"let every group rejoin on {dst} before it fetches",
            Phase.SETTLE,
            args,
            batch="arrive",
        ),
        _spec(
            "hooks-start",
            "hooks-started",
            "start the groups that move by hooks",
            Phase.SETTLE,
            args,
            batch="arrive",
        ),
        _spec(
            "fence-kept", "fence-persistent", f"keep {src} fenced over reboots", Phase.SETTLE, args
        ),
        _spec("mirror-gone", "mirror-gone", "no task of the mirror is left", Phase.SETTLE, args),
        _spec(
            "clients",
            "clients-seen",
            f"see every client on {dst}",
            Phase.SETTLE,
            args,
            deadline=patience,
        ),
    ]


def users_specs(config: Config, args: Mapping[str, Any]) -> list[Spec]:
    """The clients' SCRAM users, where the config says where their passwords are."""
    if not config.users:
        return []
    title = f"make the users of {args['src']} on {args['dst']}, each proven by a login"
    return [_spec("users", "users-made", title, Phase.PARITY, args)]


def hooks_time(config: Config) -> float:
    return sum(c.timeout for c in config.clients if c.moves == "hooks")


def patience(config: Config) -> float:
    """How long (seconds) clients may take to come. One that rebootstraps does so at once when no
    broker that it knows answers, else after its metadata.recovery.rebootstrap.trigger.ms: 300 s
    by default (KIP-1102)."""
    return 420.0 if any(c.moves == "rebootstrap" for c in config.clients) else 180.0


def critical(config: Config) -> tuple[Critical, ...]:
    """The budget of the section counts from its first step; the pause's own budget is held by
    the timers in the hosts' kernels."""
    slack = 5.0 + hooks_time(config)
    return (Critical(CUT, config.cutover.max_write_pause + slack, DECIDED),)


def forward(config: Config, *, id: str, created: float, **more: Any) -> Plan:
    """Blue to green. `more` carries fingerprint, snapshot and notes of the planning."""
    args = {"src": "blue", "dst": "green"}
    back = {"src": "green", "dst": "blue"}
    wait = config.gates.timeout
    p = Phase
    specs = [
        _spec("ttl", "ttl-lowered", f"lower the TTL to {config.cutover.cut_ttl} s", p.TTL, args),
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
        _spec("ttl-wait", "ttl-waited", "wait one old TTL", p.NAMES, args, deadline=90_000.0),
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
        *cut_specs(config, args),
        *settle_specs(args, patience=patience(config)),
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
    if config.cutover.forward == "refuse":
        specs = [s for s in specs if s.id != "forward"]
    return Plan(
        id=id,
        operation="blue-green",
        cluster=config.name,
        created=created,
        specs=tuple(specs),
        criticals=critical(config),
        config=config.model_dump(mode="json"),
        **more,
    )


def way_back(config: Config, *, id: str, created: float, **more: Any) -> Plan:
    """Green to blue, after green has been opened: the same machine reversed."""
    args = {"src": "green", "dst": "blue"}
    there = {"src": "blue", "dst": "green"}
    p = Phase
    specs = [
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
        *settle_specs(args, patience=patience(config)),
        _spec("settings", "settings-restored", "put blue's settings back", p.FINALIZE, there),
        _spec("retire", "mirror-retired", "stop both mirrors' workers", p.FINALIZE, args),
        _spec("restore", "ttl-restored", "put the TTL back", p.FINALIZE, args),
    ]
    if config.cutover.forward == "refuse":
        specs = [s for s in specs if s.id != "forward"]
    return Plan(
        id=id,
        operation="blue-green-back",
        cluster=config.name,
        created=created,
        specs=tuple(specs),
        criticals=critical(config),
        config=config.model_dump(mode="json"),
        **more,
    )


def finalize(config: Config, *, id: str, created: float, **more: Any) -> Plan:
    """Give up the way back: after this, rolling back means restoring."""
    args = {"src": "blue", "dst": "green"}
    p = Phase.FINALIZE
    specs = [
        _spec("quiet", "blue-quiet", "no client knocks at blue", p, args),
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
        specs=tuple(specs),
        config=config.model_dump(mode="json"),
        **more,
    )
