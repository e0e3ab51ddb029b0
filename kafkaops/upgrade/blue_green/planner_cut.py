"""The cut as data: its critical section, the arrival after it, and their times. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kafkaops.config.schema import Config
from kafkaops.engine.step import Critical, Spec
from kafkaops.upgrade.blue_green import outage
from kafkaops.upgrade.blue_green.phases import Phase

CUT = "cutover"
DECIDED = "open"


def step_spec(
    id: str, kind: str, title: str, phase: Phase, args: Mapping[str, Any], **more: Any
) -> Spec:
    """A step of this operation; `args` are copied."""
    return Spec(id=id, kind=kind, title=title, phase=phase.value, args=dict(args), **more)


def cut_specs(config: Config, args: Mapping[str, Any]) -> list[Spec]:
    """The critical section, the same for both directions."""
    if outage.planned(config):
        return _outage_specs(config, args)
    budget = config.cutover.max_write_pause
    src, dst = args["src"], args["dst"]
    inside: dict[str, Any] = {"critical": CUT, "poll": 0.02, "deadline": budget}

    def step(id: str, kind: str, title: str, **more: Any) -> Spec:
        return step_spec(id, kind, title, Phase.CUTOVER, args, **(inside | more))

    slow = {"deadline": budget + outage.hooks_time(config)}
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


def _outage_specs(config: Config, args: Mapping[str, Any]) -> list[Spec]:
    """The section without a firewall. The names move last, when everything is proven and committed:
    until then going back needs no change of DNS, and nobody finds the target by a name."""
    src, dst = args["src"], args["dst"]
    inside: dict[str, Any] = {"critical": CUT, "deadline": outage.limit(config)}

    def step(id: str, kind: str, title: str, **more: Any) -> Spec:
        return step_spec(id, kind, title, Phase.CUTOVER, args, **(inside | more))

    commit = {"batch": "commit", "poll": 0.02}
    return [
        step(
            "warm",
            "mirror-warm",
            "the mirror and the comparison are close",
            deadline=config.gates.timeout,
        ),
        step("leaders", "leaders-preferred", "lead every partition from its preferred replica"),
        step("observe", "observed", f"note who consumes and what grows on {src}"),
        step("hooks-stop", "hooks-stopped", "stop every client by its hook: the outage begins"),
        step("still", "stopped-still", f"nobody writes to {src}, and no group has a member"),
        step("prove", "proven", f"every record of {src} is on {dst}, equal and in order"),
        step("mirror-stop", "mirror-stopped", "stop the mirror and fence its ids", **commit),
        step("groups", "groups-moved", f"commit every group's position on {dst}", **commit),
        step("ids-again", "producer-ids", f"raise producer ids on {dst}", **commit),
        step("deferred", "deferred-configs", f"set timestamps on {dst}", **commit),
        step(
            DECIDED,
            "handed-over",
            f"move the names to {dst}, and start the clients there",
            deadline=outage.NAMES,
        ),
    ]


def settle_specs(config: Config, args: Mapping[str, Any]) -> list[Spec]:
    """After the cut in either direction: the fence kept, hooks started, clients seen in time."""
    src, dst = args["src"], args["dst"]
    gone = step_spec(
        "mirror-gone", "mirror-gone", "no task of the mirror is left", Phase.SETTLE, args
    )
    seen = step_spec(
        "clients",
        "clients-seen",
        f"see every client on {dst}",
        Phase.SETTLE,
        args,
        deadline=patience(config),
    )
    if outage.planned(config):
        started = f"every client was started on {dst}"
        hooks = step_spec("hooks-start", "clients-running", started, Phase.SETTLE, args)
        return [hooks, gone, seen]
    return [
        step_spec(
            "rejoined",
            "rejoined",
            f"let every group rejoin on {dst} before it fetches",
            Phase.SETTLE,
            args,
            batch="arrive",
        ),
        step_spec(
            "hooks-start",
            "hooks-started",
            "start the groups that move by hooks",
            Phase.SETTLE,
            args,
            batch="arrive",
        ),
        step_spec(
            "fence-kept", "fence-persistent", f"keep {src} fenced over reboots", Phase.SETTLE, args
        ),
        gone,
        seen,
    ]


def patience(config: Config) -> float:
    """How long (seconds) clients may take to come. One that rebootstraps does so at once when no
    broker that it knows answers, else after its metadata.recovery.rebootstrap.trigger.ms: 300 s
    by default (KIP-1102)."""
    return 420.0 if any(c.moves == "rebootstrap" for c in config.clients) else 180.0


def critical(config: Config) -> tuple[Critical, ...]:
    """The budget of the section counts from its first step; the pause's own budget is held by
    the timers in the hosts' kernels, that of a planned outage by nobody else."""
    if outage.planned(config):
        return (Critical(CUT, outage.limit(config), DECIDED),)
    slack = 5.0 + outage.hooks_time(config)
    return (Critical(CUT, config.cutover.max_write_pause + slack, DECIDED),)


LEFT_OUT = frozenset(
    ("closed", "fence-ready", "forward", "names", "return-ready", "settings"),
)
"""Steps that a planned outage does without: those of the firewall, the names (they move in the
section), and the restarts that make a cluster forget producers, for every producer is a new one."""


def fitted(config: Config, specs: list[Spec]) -> tuple[Spec, ...]:
    """The steps that this config's fence and forwarding call for."""
    gone = LEFT_OUT if outage.planned(config) else frozenset[str]()
    if config.cutover.forward == "refuse":
        gone |= {"forward"}
    return tuple(s for s in specs if s.id not in gone)


def agreed_specs(config: Config, args: Mapping[str, Any]) -> list[Spec]:
    """The question before a planned outage, put outside of the section, where waiting is free."""
    if not outage.planned(config):
        return []
    about = outage.expected(config)
    return [
        step_spec(
            "agreed",
            "outage-agreed",
            "agree to the outage",
            Phase.CUTOVER,
            args,
            ask=f"Stop all clients (about {about:.0f} s and their hooks), and cut over?",
        )
    ]


def running_specs(config: Config, args: Mapping[str, Any]) -> list[Spec]:
    """What a way back begins with where the way there ended before its clients were started:
    they are started where they belong by now, and moved back as any others."""
    if not outage.planned(config):
        return []
    title = f"every client runs on {args['dst']}"
    return [step_spec("running", "clients-running", title, Phase.PARITY, args)]
