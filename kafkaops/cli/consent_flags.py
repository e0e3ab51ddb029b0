"""Flags of every command that changes something, and nothing else: each `--help` loads them."""

from __future__ import annotations

from typing import Annotated

import typer

Yes = Annotated[bool, typer.Option("--yes", help="Agree to what is disruptive.")]
Confirm = Annotated[
    str | None,
    typer.Option("--confirm", metavar="NAME", help="Agree to what is severe, by the pair's name."),
]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept with the run.")]
Until = Annotated[
    str | None, typer.Option("--until", metavar="PHASE", help="Stop after this phase; resumable.")
]
Detailed = Annotated[
    bool, typer.Option("--detailed-exitcode", help="With --plan: 10 when there is work to do.")
]
