"""`kafkaops`: the root command, and the one place where errors become exit codes."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import typer

from kafkaops.cli.commands import Lazy, OpsGroup, common_params
from kafkaops.cli.operations import Operations
from kafkaops.cli.session import Session, begin

HELP = """Operate Apache Kafka clusters: plan, prove, act, and go back when asked.

stdout is the result, stderr is progress. Every command takes -o json.
"""


class Root(OpsGroup):
    lazy: ClassVar[Mapping[str, Lazy]] = {
        "upgrade": Lazy("kafkaops.cli.upgrade", "Upgrade a cluster: plan, show, ask, run."),
        "restart": Lazy("kafkaops.cli.restart", "Restart a cluster's nodes, safely, in batches."),
        "apply": Lazy("kafkaops.cli.apply", "Run a plan that was saved with --plan --out."),
        "run": Lazy("kafkaops.cli.run", "Runs: list, show, watch, resume, rollback, finalize."),
        "health": Lazy("kafkaops.cli.health", "Every cluster and host of the config at one look."),
        "cluster": Lazy("kafkaops.cli.cluster", "One cluster: show, health, diff, snapshot."),
        "features": Lazy(
            "kafkaops.cli.features", "Feature levels: show, plan, finalize, downgrade."
        ),
        "placement": Lazy(
            "kafkaops.cli.placement", "Place partitions; new topics; size a cluster."
        ),
        "volume": Lazy("kafkaops.cli.volume", "Encrypted log volumes of this host."),
        "verify": Lazy("kafkaops.cli.verify", "Prove that two clusters hold the same records."),
        "offsets": Lazy("kafkaops.cli.offsets", "Exact offsets of one cluster on the other."),
        "cutover": Lazy("kafkaops.cli.cutover", "The names that clients follow: show, flip, back."),
        "config": Lazy("kafkaops.cli.config", "The config: show, validate, schema."),
        "lab": Lazy("kafkaops.cli.lab", "Real clusters on this machine, to try everything."),
        "version": Lazy("kafkaops.cli.version", "Versions of kafkaops and of what it uses."),
    }

    def __init__(self, **attrs: Any) -> None:
        attrs["params"] = [*(attrs.get("params") or ()), *common_params()]
        super().__init__(**attrs)


root = typer.Typer(
    cls=Root, help=HELP, rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=True
)


def version() -> str:
    from importlib import metadata

    return metadata.version("kafkaops")


def _version(value: bool) -> bool:
    if value:
        print(f"kafkaops {version()}")
        raise typer.Exit
    return value


@root.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Show the version.")
    ] = False,
) -> None: ...


def main() -> None:
    """Entry point: run the command line of this process and exit with its code."""
    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def run(argv: Sequence[str], operations: Operations | None = None) -> int:
    """Run one command line and return its exit code; never raises. `operations` is what the
    commands call, if not the real thing."""
    session = begin(argv, operations)
    try:
        result = typer.main.get_command(root).main(
            args=list(argv), prog_name="kafkaops", standalone_mode=False
        )
    except Exception as error:
        return _fail(error, session)
    except KeyboardInterrupt:
        return 130
    return int(result) if isinstance(result, int) else 0


def _fail(error: Exception, session: Session) -> int:
    from kafkaops.cli import faults
    from kafkaops.engine.errors import Exit, OpsError, UsageFault

    if isinstance(error, OpsError):
        return faults.show(error, session)
    if isinstance(error, typer.TyperException):  # what typer finds wrong with a command line
        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else "kafkaops"
        message = error.format_message()
        usage = UsageFault("KO-USAGE", message, where=path, hint=f"{path} --help")
        return faults.show(usage, session)
    if isinstance(error, typer.Abort):
        return int(Exit.INTERRUPTED)
    if isinstance(error, BrokenPipeError) or getattr(error, "errno", None) == errno.EPIPE:
        return int(Exit.OK)  # the reader has what it wanted (`| head`)
    known = faults.of_os(error) if isinstance(error, OSError) else None
    return faults.show(known or faults.unexpected(error, session), session)
