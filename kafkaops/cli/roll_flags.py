"""Flags that `restart` and a rolling upgrade share, and nothing else: each `--help` loads them."""

from __future__ import annotations

from typing import Annotated

import typer

Cluster = Annotated[str, typer.Option("--cluster", metavar="blue|green", help="Which cluster.")]
Only = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="NODE|HOST", help="Only this one; may be repeated."),
]
MaxBatch = Annotated[
    int | None,
    typer.Option("--max-batch", metavar="N", help="Brokers in a batch at most; default 3."),
]
WholeRacks = Annotated[
    bool,
    typer.Option("--whole-racks", help="Batches as large as the largest rack: no margin left."),
]
Soak = Annotated[
    float, typer.Option("--soak", metavar="S", min=0, help="Seconds to watch each batch after.")
]
Canary = Annotated[
    bool, typer.Option("--canary/--no-canary", help="One broker alone, before the others.")
]
Accept = Annotated[
    list[str] | None,
    typer.Option(
        "--accept-unavailable",
        metavar="GLOB",
        help="Topics or partitions that no order can keep writable; may be repeated.",
    ),
]
GateTimeout = Annotated[
    float,
    typer.Option("--gate-timeout", metavar="S", min=1, help="Seconds to wait for a closed gate."),
]
GateLooks = Annotated[
    int,
    typer.Option(
        "--gate-looks",
        metavar="N",
        min=1,
        max=100,
        help="Looks in a row, 2 s apart, that must find the gate open.",
    ),
]
ReturnTimeout = Annotated[
    float,
    typer.Option(
        "--return-timeout",
        metavar="S",
        min=1,
        help="Seconds for a node to come up, and again to be in sync (twice that in a batch).",
    ),
]
Without = Annotated[
    list[str] | None,
    typer.Option("--without", metavar="HOST", help="Go on without this host; may be repeated."),
]
Unclean = Annotated[
    list[str] | None,
    typer.Option(
        "--elect-unclean",
        metavar="GLOB",
        help="Downtime: topics or partitions whose last replica is not waited for; Kafka's own"
        ' topics only by a glob like "__*".',
    ),
]
Lost = Annotated[
    list[str] | None,
    typer.Option(
        "--accept-lost",
        metavar="GLOB",
        help="Downtime: topics or partitions whose lost records are given up, so that clients are"
        " let in; may be repeated.",
    ),
]
