"""`kafkaops upgrade batches`: the batches of a roll, from a cluster or a snapshot. Only reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kafkaops.cli.commands import OpsCommand, make_app
from kafkaops.cli.output import Table, Text, emit
from kafkaops.cli.roll_flags import Canary
from kafkaops.engine.errors import Exit, UsageFault
from kafkaops.model.words import counted

if TYPE_CHECKING:
    from kafkaops.model.cluster import ClusterState
    from kafkaops.upgrade.batches import Batches
    from kafkaops.upgrade.batches_bound import Bound

app = make_app()

_SHOWN = 3


@app.command(cls=OpsCommand)
def batches(
    cluster: Annotated[
        str | None,
        typer.Option("--cluster", metavar="blue|green", help="A cluster of the config; HOST:PORT."),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="SNAPSHOT", help="A file of `cluster snapshot --out`; no config."
        ),
    ] = None,
    max_batch: Annotated[
        int | None,
        typer.Option("--max-batch", metavar="N", help="Brokers in a batch at most; default 3."),
    ] = None,
    whole_racks: Annotated[
        bool,
        typer.Option("--whole-racks", help="Batches as large as the largest rack: no margin left."),
    ] = False,
    canary: Canary = True,
    accept: Annotated[
        list[str] | None,
        typer.Option(
            "--accept-unavailable",
            metavar="GLOB",
            help="Topics or partitions that no order can keep writable; may be repeated.",
        ),
    ] = None,
) -> int:
    """Which brokers may go down together, in the fewest batches, and how few there could be.

    Of a cluster (--cluster) or of a saved snapshot (--from): one of them has to be given. Computed
    from the real assignment and each topic's min ISR, never from rack names. Exit 5 when partitions
    with no replica to spare are not accepted by name.

    \b
    Examples:
      kafkaops upgrade batches --cluster blue
      kafkaops cluster snapshot blue --out blue.json
      kafkaops upgrade batches --from blue.json --max-batch 5
      kafkaops upgrade batches --from blue.json --whole-racks --accept-unavailable 'scratch-*'
    """
    if max_batch is not None and whole_racks:
        raise UsageFault(
            "KO-USAGE", "--max-batch and --whole-racks contradict each other", hint="give one"
        )
    state = _state(cluster, source)
    from kafkaops.upgrade.batches import MAX_BATCH, Limits, plan

    most = MAX_BATCH if max_batch is None else max_batch
    found = plan(state, Limits(most, whole_racks, canary, tuple(accept or ())))
    emit(_data(found), *_parts(found))
    return Exit.GUARD if found.unaccepted else Exit.OK


def _state(cluster: str | None, source: str | None) -> ClusterState:
    from kafkaops.cli import targets

    if (cluster is None) == (source is None):
        raise UsageFault(
            "KO-USAGE",
            "one of --cluster and --from is needed" if cluster is None else "two clusters given",
            where="kafkaops upgrade batches",
            hint="--cluster blue, or --from FILE of `kafkaops cluster snapshot`",
        )
    if source is not None:
        return targets.saved(source)
    with targets.one(str(cluster)).open() as opened:
        return opened.snapshot()


def _data(found: Batches) -> dict[str, Any]:
    advice = found.advice
    return {
        "cluster_id": found.cluster_id,
        "max_batch": found.cap,
        "count": len(found.batches),
        "bound": found.bound,
        "proven": found.proven,
        "bounds": found.bounds,
        "batches": found.batches,
        "advice": None
        if advice is None
        else {
            "count": found.advised,
            "moves": [
                {"partition": str(m.tp), "source": m.source, "target": m.target}
                for m in advice.moves
            ],
        },
        "never": [
            {"partition": str(n.tp), "rf": n.rf, "min_isr": n.min_isr, "accepted": n.accepted}
            for n in found.never
        ],
        "short": [str(tp) for tp in found.short],
        "absent": found.absent,
    }


def _parts(found: Batches) -> Iterator[Table | Text]:
    yield Table(
        ("batch", "role", "nodes", "racks", "leaders", "at min ISR"),
        [
            (i, b.role, b.nodes, b.racks, b.leaders, b.at_minimum)
            for i, b in enumerate(found.batches, 1)
        ],
    )
    count = counted(len(found.batches), "batch", "batches")
    most = "fewer are impossible" if found.proven else f"at least {found.bound} are needed"
    yield Text(f"{count}; {most}: {_why(found)}")
    if found.advice is not None:
        moves = found.advice.moves
        places = len({m.tp for m in moves})
        yield Table(
            ("partition", "from", "to"), [(str(m.tp), m.source, m.target) for m in moves], "moves"
        )
        yield Text(
            f"{counted(places, 'badly placed partition')} cost{'s' * (places == 1)} batches: with"
            f" {counted(len(moves), 'replica')} moved there would be {found.advised} instead of"
            f" {count}"
        )
    if found.never:
        yield Table(
            ("partition", "rf", "min ISR", "accepted"),
            [(str(n.tp), n.rf, n.min_isr, n.accepted) for n in found.never],
            "no replica to spare",
        )
    if found.unaccepted:
        yield Text(
            f"{len(found.unaccepted)} partitions cannot be written while a broker of theirs is"
            " down, in any order; accept them by name: --accept-unavailable"
            f" {found.unaccepted[0].tp.topic}"
        )
    if found.short:
        yield Text(f"not enough replicas in sync now, so a roll waits for: {_some(found.short)}")
    if found.absent:
        yield Text(f"hold replicas and are not up, so in no batch: {_some(found.absent)}")


def _why(found: Batches) -> str:
    """The bounds of the islands in words, alike ones once."""
    words = list(dict.fromkeys(_reason(b, found.cap) for b in found.bounds))
    alone = sum(b.role.value != "brokers" for b in found.batches)
    if alone:
        words.append(f"{alone} of one node each")
    more = [f"and {len(words) - _SHOWN - 1} reasons more"] if len(words) > _SHOWN + 1 else []
    return "; ".join([*words[: _SHOWN + 1], *more]) or "there are no brokers"


def _reason(bound: Bound, cap: int) -> str:
    if bound.why == "cap":
        return f"at most {cap} brokers go at once"
    if bound.why == "clique":
        return f"brokers {_some(bound.brokers)} share partitions, each with each"
    if bound.why == "partition":
        return f"one partition has its replicas on {_some(bound.brokers)}"
    if bound.why == "search":
        return "every other way was tried"
    return "each broker shares partitions with too many others"


def _some(things: tuple[object, ...]) -> str:
    shown = ", ".join(str(t) for t in things[:_SHOWN])
    return shown + (f" and {len(things) - _SHOWN} more" if len(things) > _SHOWN else "")
