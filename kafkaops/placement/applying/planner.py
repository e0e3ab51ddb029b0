"""The plan that carries moves out: throttle, waves, throttles given back, leaders. Pure.

Invariant: the state before every change is in the plan, assignments and throttles, so a process
that knows nothing but the plan and the cluster can take each of them back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kafkaops.engine.plan_json import fingerprint
from kafkaops.engine.step import Plan, Spec
from kafkaops.placement.applying import link, rates, spec_args, throttle, waves
from kafkaops.placement.applying.phases import Phase
from kafkaops.placement.applying.throttle import Throttles
from kafkaops.placement.applying.waves import Kind, Limits, Setting, Wave
from kafkaops.placement.moves import DirMove, Move

OPERATION, BACK = "placement", "placement-back"
RESERVE = 1 << 30
"""Bytes that stay free on each receiving broker."""
SLOWEST = 2 << 20
"""Bytes/s that a copy without a throttle is given at the least, for its deadline alone."""
PATIENCE = 900.0
"""Seconds that any wave has, however small: its gate may have to wait."""


@dataclass(frozen=True)
class Options:
    """What was asked for. `throttle` is bytes/s for each broker and direction, None for none; or
    `link` is what a broker's network carries in bytes/s, and the rate is measured (`tuning`);
    `concurrency` replicas that a broker receives or sends at once; `goals` are the planner's, as
    JSON, and only told."""

    cluster: str = "blue"
    throttle: int | None = None
    link: int | None = None
    concurrency: int = 10
    partitions: int = 1_000
    reserve: int = RESERVE
    goals: Mapping[str, Any] = field(default_factory=dict)

    def limits(self, rate: int | None) -> Limits:
        return Limits(self.concurrency, self.concurrency, self.partitions, rate)

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "goals": dict(self.goals)}

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> Options:
        return cls(**kept)


@dataclass(frozen=True)
class Ground:
    """What the plan stands on. `before` are the throttles of the brokers and topics it touches,
    `racks` of every broker that is up, `down` those that hold replicas and are not, `rate` is what
    copies are held to."""

    cluster_id: str
    racks: Mapping[int, str | None]
    before: Throttles
    setting: Setting
    down: Sequence[int] = ()
    rate: int | None = None


def plan(
    moves: Sequence[Move],
    dirs: Sequence[DirMove],
    options: Options,
    ground: Ground,
    *,
    name: str,
    config: Mapping[str, Any],
    id: str,
    created: float,
    operation: str = OPERATION,
    notes: Sequence[str] = (),
) -> Plan:
    """GuardRefused where no schedule does it (see `waves.schedule`)."""
    made = waves.schedule(moves, dirs, options.limits(ground.rate), ground.setting)
    ours = None
    if ground.rate is not None and (dirs or any(m.adding for m in moves)):
        ours = throttle.wanted(moves, dirs, ground.rate, ground.before)
        ours = throttle.of_those(ours, ground.before)
    snapshot = snapshot_of(moves, options, ground)
    return Plan(
        id=id,
        operation=operation,
        cluster=name,
        created=created,
        specs=tuple(_specs(made, ours, options, ground, operation)),
        fingerprint=fingerprint(snapshot),
        snapshot=snapshot,
        notes=(*notes, *_notes(made, options, ground)),
        config=config,
    )


def snapshot_of(moves: Sequence[Move], options: Options, ground: Ground) -> dict[str, Any]:
    """What makes a plan worthless when it changes."""
    return {
        "cluster_id": ground.cluster_id,
        "brokers": {str(b): rack for b, rack in sorted(ground.racks.items())},
        "assignment": {str(m.tp): list(m.before) for m in sorted(moves, key=lambda m: m.tp)},
        "throttles": ground.before.to_json(),
        "options": options.to_json(),
    }


def moves_of(plan: Plan) -> tuple[Move, ...]:
    """Every move of a plan, in the order of its waves."""
    return tuple(
        move
        for spec in plan.specs
        if spec.kind == "partitions-moved"
        for move in spec_args.moves_of(spec.args["moves"])
    )


def dirs_of(plan: Plan) -> tuple[DirMove, ...]:
    return tuple(
        move
        for spec in plan.specs
        if spec.kind == "dirs-moved"
        for move in spec_args.dirs_of(spec.args["dirs"])
    )


def throttles_of(plan: Plan) -> tuple[Throttles, Throttles] | None:
    """What the plan sets, and what was set before; None where it has no throttle."""
    for spec in plan.specs:
        if spec.kind == "throttled":
            return Throttles.of(spec.args["ours"]), Throttles.of(spec.args["before"])
    return None


def rates_fact(operation: str) -> str:
    """The fact that holds the rates to which the copies of an operation were tuned, last one last;
    its way back has its own."""
    return f"{operation}.rates"


def _specs(
    made: Sequence[Wave],
    ours: Throttles | None,
    options: Options,
    ground: Ground,
    operation: str,
) -> Iterator[Spec]:
    where = {"cluster": options.cluster}
    sets = None
    if ours is not None:
        before = _of(ground.before, ours)
        sets = {**where, "ours": ours.to_json(), "before": before.to_json()}
        sets |= {"over": f"{operation}.unthrottled", "rates": rates_fact(operation)}
        yield Spec(
            id="throttle",
            kind="throttled",
            title=f"hold {len(ours.brokers)} brokers to {_rate(ground.rate)} each way",
            phase=Phase.THROTTLE.value,
            args=sets,
            deadline=120.0,
        )
    for number, wave in enumerate(made, 1):
        args = {**where, "reserve": options.reserve}
        if wave.kind is Kind.DIRS:
            args["dirs"] = spec_args.of_dirs(wave.dirs)
        else:
            args |= {"moves": spec_args.of_moves(wave.moves), "down": sorted(ground.down)}
            args["link"] = options.link
        yield Spec(
            id=f"wave-{number}",
            kind="dirs-moved" if wave.kind is Kind.DIRS else "partitions-moved",
            title=f"wave {number} of {len(made)}: {words(wave)}",
            phase=Phase.WAVES.value,
            args=args,
            deadline=_deadline(wave, options, ground),
            poll=1.0,
        )
    if sets is not None:
        yield Spec(
            id="unthrottle",
            kind="unthrottled",
            title="give back every throttle as it was",
            phase=Phase.UNTHROTTLE.value,
            args=sets,
            deadline=120.0,
        )
    leaders: dict[str, list[list[int]]] = {}
    for wave in made:
        for move in wave.moves:
            if move.leads_anew:
                leaders.setdefault(move.tp.topic, []).append([move.tp.partition, move.after[0]])
    if leaders:
        count = sum(map(len, leaders.values()))
        yield Spec(
            id="leaders",
            kind="leaders-elected",
            title=f"elect {count} preferred leaders",
            phase=Phase.LEAD.value,
            args={**where, "leaders": dict(sorted(leaders.items()))},
        )


def _of(before: Throttles, ours: Throttles) -> Throttles:
    """Of what was set before, what we change."""
    brokers = {
        b: {n: v for n, v in before.brokers.get(b, {}).items() if n in own}
        for b, own in ours.brokers.items()
    }
    return Throttles(brokers, {t: before.topics.get(t, {}) for t in ours.topics})


def words(wave: Wave) -> str:
    """A wave for people."""
    count = len(wave.moves) or len(wave.dirs)
    if wave.kind is Kind.ORDER:
        return f"another order for {count} partitions, nothing is copied"
    if wave.kind is Kind.DROP:
        return f"fewer replicas for {count} partitions, nothing is copied"
    what = "replicas between directories" if wave.kind is Kind.DIRS else "partitions"
    lasts = "" if wave.seconds is None else f", {rates.lasting(wave.seconds)} at the least"
    return f"{count} {what}, {rates.words(wave.copied)}{lasts}"


def _deadline(wave: Wave, options: Options, ground: Ground) -> float:
    """Past it the run ends, and can be gone on with. A rate that is tuned may become the least."""
    lasts = wave.copied / SLOWEST if wave.seconds is None else wave.seconds
    if options.link is not None:
        lasts = max(lasts, link.longest(wave, ground.setting))
    return PATIENCE + 5 * lasts


def _notes(made: Sequence[Wave], options: Options, ground: Ground) -> Iterator[str]:
    copied = sum(w.copied for w in made)
    total = waves.seconds(made)
    if copied:
        held = "no throttle holds them: --throttle 80MiB/s would"
        if ground.rate is not None:
            held = f"{rates.lasting(total or 0.0)} at the least, at {_rate(ground.rate)}"
        if options.link is not None:
            held += f", measured and tuned anew while they run, of a link of {_rate(options.link)}"
        yield f"{len(made)} waves copy {rates.words(copied)}; {held}"
    if ground.setting.incoming:
        most = max(ground.setting.incoming.values())
        yield f"clients write up to {rates.words(most, per_second=True)} to one of the partitions"
    if ground.down:
        names = ", ".join(map(str, ground.down))
        yield f"broker {names} holds replicas and is not up; nothing waits for it"


def _rate(rate: int | None) -> str:
    return rates.words(rate or 0, per_second=True)
