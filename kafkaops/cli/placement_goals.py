"""The flags that say what a placement is to reach; one vocabulary for every command that plans."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kafkaops.engine.errors import UsageFault

if TYPE_CHECKING:
    from kafkaops.placement.planning.goals import Goals

Add = Annotated[
    list[str] | None,
    typer.Option(
        "--add", metavar="ID", help="A broker that is to take its share; repeatable, or by commas."
    ),
]
Drain = Annotated[
    list[str] | None,
    typer.Option("--drain", metavar="ID", help="A broker to empty; repeatable, or by commas."),
]
DrainRack = Annotated[
    list[str] | None,
    typer.Option("--drain-rack", metavar="RACK", help="Empty every broker of a rack."),
]
DrainAbsent = Annotated[
    bool,
    typer.Option("--drain-absent", help="Replace replicas on brokers that the cluster lacks."),
]
Replace = Annotated[
    list[str] | None,
    typer.Option("--replace", metavar="OLD=NEW", help="NEW takes what OLD holds."),
]
Rf = Annotated[
    list[str] | None,
    typer.Option("--rf", metavar="GLOB=N", help="Replicas of these topics; the last match holds."),
]
Repair = Annotated[
    bool, typer.Option("--repair", help="Spread every partition over the racks evenly.")
]
Even = Annotated[
    list[str] | None,
    typer.Option(
        "--balance",
        metavar="WHAT",
        help="replicas, topics (within each), leaders, bytes, disks; repeatable or by commas.",
    ),
]
Pin = Annotated[
    list[str] | None,
    typer.Option(
        "--pin", metavar="GLOB=ID[,ID]", help="Topics, or TOPIC-PARTITION, that must lie there."
    ),
]
Exclude = Annotated[
    list[str] | None, typer.Option("--exclude", metavar="GLOB", help="Topics that are not touched.")
]
NoReceive = Annotated[
    list[str] | None,
    typer.Option("--no-receive", metavar="ID", help="A broker that keeps, and gets nothing."),
]
Capacity = Annotated[
    list[str] | None,
    typer.Option("--capacity", metavar="ID=WEIGHT", help="A broker's weight; 1 where not given."),
]
Tolerance = Annotated[
    str | None,
    typer.Option(
        "--tolerance", metavar="PART", help="Widen each share: 0.05; default 0, for bytes 0.05."
    ),
]
Least = Annotated[
    str, typer.Option("--objective", metavar="replicas|bytes", help="What is moved least.")
]
NoRack = Annotated[
    list[str] | None,
    typer.Option("--allow-no-rack", metavar="ID|all", help="Use a broker that names no rack."),
]
SharedRacks = Annotated[
    bool,
    typer.Option("--allow-shared-racks", help="Though fewer racks than replicas are left."),
]


def goals(
    add: Add = None,
    drain: Drain = None,
    drain_rack: DrainRack = None,
    drain_absent: DrainAbsent = False,
    replace: Replace = None,
    rf: Rf = None,
    repair: Repair = False,
    balance: Even = None,
    pin: Pin = None,
    exclude: Exclude = None,
    no_receive: NoReceive = None,
    capacity: Capacity = None,
    tolerance: Tolerance = None,
    objective: Least = "replicas",
    allow_no_rack: NoRack = None,
    allow_shared_racks: SharedRacks = False,
) -> Goals:
    """What the flags ask for. UsageFault names the flag that cannot be read."""
    from kafkaops.placement.planning.goals import Goals

    return Goals(
        add=_ids("--add", add),
        drain=_ids("--drain", drain),
        drain_racks=_unique(drain_rack),
        drain_absent=drain_absent,
        replace=tuple(
            (_id("--replace", a), _id("--replace", b)) for a, b in _pairs("--replace", replace)
        ),
        rf=tuple((glob, _id("--rf", n)) for glob, n in _pairs("--rf", rf)),
        repair=repair,
        balance=_balance(balance),
        pins=tuple(
            (glob, tuple(_id("--pin", b) for b in to.split(",")))
            for glob, to in _pairs("--pin", pin)
        ),
        exclude=_unique(exclude),
        no_receive=_ids("--no-receive", no_receive),
        capacity=tuple(
            (_id("--capacity", b), _number("--capacity", w))
            for b, w in _pairs("--capacity", capacity)
        ),
        tolerance=None if tolerance is None else _number("--tolerance", tolerance),
        objective=_objective(objective),
        no_rack=_unique(allow_no_rack),
        shared_racks=allow_shared_racks,
    )


def joined(command: Callable[..., int]) -> Callable[..., int]:
    """The command with the flags of goals besides its own, called with the goals first."""
    wanted = _parameters(goals)
    own = {name: p for name, p in _parameters(command).items() if name != "asked"}

    def run(**given: Any) -> int:
        asked = goals(**{name: given.pop(name) for name in wanted})
        return command(asked, **given)

    every = [*own.values(), *wanted.values()]
    run.__signature__ = inspect.Signature(every)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in every}
    run.__name__, run.__doc__ = command.__name__, command.__doc__
    return run


def _parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    found = inspect.signature(function, eval_str=False).parameters
    scope = function.__globals__
    return {
        name: p.replace(
            kind=inspect.Parameter.KEYWORD_ONLY,
            annotation=scope.get(str(p.annotation), Any) if name != "asked" else Any,
        )
        for name, p in found.items()
    }


def _unique(values: Sequence[Any] | None) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(values or ()))


def _ids(flag: str, values: Sequence[str] | None) -> tuple[int, ...]:
    """Ids as flags give them: one a flag, or some with commas between."""
    return _unique([_id(flag, word) for value in values or () for word in value.split(",")])


def _pairs(flag: str, values: Sequence[str] | None) -> list[tuple[str, str]]:
    found = []
    for value in values or ():
        left, sign, right = value.rpartition("=")
        if not (left and sign and right):
            raise _unread(flag, value)
        found.append((left, right))
    return found


def _id(flag: str, text: str) -> int:
    if not text.isdecimal():
        raise _unread(flag, text)
    return int(text)


def _number(flag: str, text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise _unread(flag, text) from None


def _balance(values: Sequence[str] | None) -> tuple[Any, ...]:
    from kafkaops.placement.planning.goals import Balance

    words = [word for value in values or () for word in value.split(",")]
    known = {b.value: b for b in Balance}
    for word in words:
        if word not in known:
            raise _unread("--balance", word, f"one of {', '.join(known)}")
    return tuple(b for b in Balance if b.value in words)


def _objective(value: str) -> Any:
    from kafkaops.placement.planning.goals import Objective

    known = {o.value: o for o in Objective}
    if value not in known:
        raise _unread("--objective", value, f"one of {', '.join(known)}")
    return known[value]


def _unread(flag: str, value: str, hint: str = "kafkaops placement plan --help") -> UsageFault:
    return UsageFault("KO-USAGE", f"{flag} {value!r} cannot be read", hint=hint)
