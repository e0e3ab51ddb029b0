"""`kafkaops volume` as the host module runs it: the same commands, read by argparse.

typer coerces values by pydantic, which is compiled and so not in the module; the commands are
plain functions, whose own declarations say which flags there are. What is for a whole cluster is
left out.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import sys
import typing
from collections.abc import Callable, Sequence
from types import NoneType
from typing import Any

from typer.models import ArgumentInfo, OptionInfo

from kafkaops.cli.operations import Operations

COMMANDS = {
    "status": ("kafkaops.cli.volume_show", "status"),
    "plan": ("kafkaops.cli.volume_show", "plan"),
    "prepare": ("kafkaops.cli.volume_up", "prepare"),
    "open": ("kafkaops.cli.volume_up", "open_"),
    "mount": ("kafkaops.cli.volume_up", "mount"),
    "close": ("kafkaops.cli.volume_up", "close"),
    "bench": ("kafkaops.cli.volume_bench", "bench"),
    "rotate": ("kafkaops.cli.volume_keys", "rotate_"),
    "rewrap": ("kafkaops.cli.volume_keys", "rewrap_"),
    "erase": ("kafkaops.cli.volume_keys", "erase"),
    "header-backup": ("kafkaops.cli.volume_keys", "header_backup"),
}
ELSEWHERE = {"cluster", "reason", "return_timeout"}
"""What a host cannot do: it knows no cluster."""


def main() -> None:
    sys.exit(run(sys.argv[1:]))


def run(argv: Sequence[str], operations: Operations | None = None) -> int:
    """One command line of a host; its exit code."""
    from kafkaops.cli import faults
    from kafkaops.cli.session import begin
    from kafkaops.engine.errors import OpsError

    asked = vars(parser().parse_args(list(argv)))
    if asked.pop("version"):
        from kafkaops.cli.main import version

        print(f"kafkaops {version()}")
        return 0
    session = begin(argv, operations)
    session.output, session.no_color = asked.pop("output"), asked.pop("no_color")
    deed: Callable[..., int] = asked.pop("deed")
    try:
        return int(deed(**asked))
    except OpsError as error:
        return faults.show(error, session)
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        known = faults.of_os(error) if isinstance(error, OSError) else None
        return faults.show(known or faults.unexpected(error, session), session)


def parser() -> argparse.ArgumentParser:
    """Exits with 2 for what it does not know, as `kafkaops` does."""
    top = argparse.ArgumentParser(prog="kafkaops", description="The volumes of this host.")
    top.add_argument("--version", action="store_true", help="show the version")
    top.set_defaults(deed=_nothing, output="table", no_color=False)
    groups = top.add_subparsers(metavar="volume")
    verbs = groups.add_parser("volume", help="encrypted log volumes").add_subparsers(
        metavar="COMMAND", required=True
    )
    for verb, (module, name) in COMMANDS.items():
        deed = getattr(importlib.import_module(module), name)
        lines = (inspect.getdoc(deed) or "").replace("\b", "").splitlines()
        about = "\n".join(line for line in lines if "--cluster" not in line)
        made = verbs.add_parser(
            verb,
            help=about.partition("\n")[0].replace("%", "%%"),
            description=about,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        made.set_defaults(deed=deed)
        made.add_argument("-o", "--output", choices=("table", "json"), default="table")
        made.add_argument("--no-color", action="store_true")
        _declare(made, deed)
    return top


def _declare(made: argparse.ArgumentParser, deed: Callable[..., int]) -> None:
    """The flags and names that the function itself declares."""
    hints = typing.get_type_hints(deed, include_extras=True)
    for name, parameter in inspect.signature(deed).parameters.items():
        if name in ELSEWHERE:
            continue
        annotation, info = typing.get_args(hints[name])[:2]
        if (info.help or "").startswith("With --cluster:"):
            continue
        several = typing.get_origin(_bare(annotation)) is list
        more: dict[str, Any] = {"help": info.help.replace("%", "%%") if info.help else None}
        if isinstance(info, ArgumentInfo):
            if several:
                more |= {"nargs": "*", "default": None}
            made.add_argument(name, metavar=(info.metavar or name).strip("[].").upper(), **more)
        elif isinstance(info, OptionInfo):
            kind = _bare(annotation)
            if kind is bool:
                more |= {"action": "store_true"}
            else:
                more |= {"metavar": info.metavar, "default": parameter.default}
                more |= {"action": "append"} if several else {"type": _bounded(kind, info)}
            flags = info.param_decls or (f"--{name.replace('_', '-')}",)
            made.add_argument(*flags, dest=name, **more)


def _bounded(kind: Callable[[str], Any], info: OptionInfo) -> Callable[[str], Any]:
    """The type, within what the option allows: typer's own check is not on a host."""
    if info.min is None and info.max is None:
        return kind

    def read(text: str) -> Any:
        value = kind(text)
        low = info.min is not None and not value >= info.min
        if low or (info.max is not None and not value <= info.max):
            most = "" if info.max is None else f", at most {info.max:g}"
            raise argparse.ArgumentTypeError(f"{text}: at least {info.min or 0:g}{most}")
        return value

    read.__name__ = getattr(kind, "__name__", "value")  # argparse's words name it
    return read


def _bare(annotation: Any) -> Any:
    """A type without its `| None`."""
    kept = [kind for kind in typing.get_args(annotation) if kind is not NoneType]
    plain = typing.get_origin(annotation) is None or typing.get_origin(annotation) is list
    return annotation if plain or len(kept) != 1 else kept[0]


def _nothing(**_: Any) -> int:
    parser().print_help(sys.stderr)
    return 2
