"""Groups and commands that load late, and the flags that every command has.

Invariant: showing help imports nothing but typer: the one-line help of each command stands
in the table of its group, and its module is imported when it is called.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup

from kafkaops.cli.session import current
from kafkaops.engine.errors import ConfigError, Exit, UsageFault

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@dataclass(frozen=True)
class Lazy:
    """A command that is imported when called: module, attribute (a typer app), one line."""

    module: str
    help: str
    attribute: str = "app"


def _output(value: str | None) -> str | None:
    if value is not None:
        if value not in ("table", "json"):
            raise typer.BadParameter(f"{value!r} is neither table nor json")
        current().output = value
    return value


def _config(value: str | None) -> str | None:
    if value is not None:
        current().config = Path(value)
    return value


def _context(value: str | None) -> str | None:
    if value is not None:
        current().context = value
    return value


def _set(value: list[str] | None) -> list[str] | None:
    current().sets.extend(value or ())
    return value


def _no_color(value: bool) -> bool:
    if value:
        current().no_color = True
    return value


def _common(
    config: Annotated[
        str | None,
        typer.Option(
            "-c",
            "--config",
            metavar="FILE",
            callback=_config,
            expose_value=False,
            help="The config; default KAFKAOPS_CONFIG, then ./kafkaops.yaml.",
        ),
    ] = None,
    context: Annotated[
        str | None,
        typer.Option(
            "--context",
            metavar="NAME",
            callback=_context,
            expose_value=False,
            help="A named context; default KAFKAOPS_CONTEXT.",
        ),
    ] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            callback=_set,
            expose_value=False,
            help="Override a config key, as cutover.ttl=30; may be repeated.",
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="table|json",
            callback=_output,
            expose_value=False,
            help="Form of the result on stdout; default KAFKAOPS_OUTPUT, then table.",
        ),
    ] = None,
    no_color: Annotated[
        bool,
        typer.Option(
            "--no-color",
            callback=_no_color,
            expose_value=False,
            help="No colours; also NO_COLOR, TERM=dumb.",
        ),
    ] = False,
) -> None:
    """The flags of every command."""


_params: list[Any] = []


def common_params() -> list[Any]:
    """The common flags as parameters; built once."""
    if not _params:
        app = typer.Typer(add_completion=False, rich_markup_mode=None)
        app.command()(_common)
        _params.extend(typer.main.get_command(app).params)
    return list(_params)


class OpsCommand(TyperCommand):
    """A command with the common flags."""

    def __init__(self, name: str | None, **attrs: Any) -> None:
        attrs["params"] = [*(attrs.get("params") or ()), *common_params()]
        attrs["context_settings"] = {**SETTINGS, **(attrs.get("context_settings") or {})}
        super().__init__(name, **attrs)


class OpsGroup(TyperGroup):
    """A group whose commands may be `Lazy`, listed in `lazy` by name."""

    lazy: ClassVar[Mapping[str, Lazy]] = {}

    def __init__(self, **attrs: Any) -> None:
        attrs["context_settings"] = {**SETTINGS, **(attrs.get("context_settings") or {})}
        super().__init__(**attrs)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args and not ctx.resilient_parsing:
            if current().json:
                raise UsageFault("KO-USAGE", "no command given", hint=f"{ctx.command_path} --help")
            print(ctx.get_help(), file=sys.stderr)
            raise typer.Exit(int(Exit.USAGE))
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: Any) -> list[str]:
        return list(dict.fromkeys([*self.lazy, *super().list_commands(ctx)]))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        found = super().get_command(ctx, cmd_name)
        if found is None and cmd_name in self.lazy:
            entry = self.lazy[cmd_name]
            try:
                module = importlib.import_module(entry.module)
            except ModuleNotFoundError as error:
                if (error.name or "").startswith("kafkaops"):
                    raise  # ours: a bug, not a missing extra
                raise _missing(error, cmd_name) from error
            app = getattr(module, entry.attribute)
            found = typer.main.get_command(app)
            found.name = cmd_name
            self.commands[cmd_name] = found
        return found

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        rows = []
        for name in self.list_commands(ctx):
            if name in self.lazy:
                rows.append((name, self.lazy[name].help))
            else:
                command = self.commands[name]
                if not command.hidden:
                    rows.append((name, command.get_short_help_str(80)))
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _missing(error: ModuleNotFoundError, command: str) -> Exception:
    return ConfigError(
        "KO-EXTRA-MISSING",
        f"`kafkaops {command}` needs the Python package {error.name!r}, which is not installed",
        hint="pip install 'kafkaops[lab]'" if command == "lab" else "pip install kafkaops",
    )


def make_app(help: str = "", **attrs: Any) -> typer.Typer:
    """A typer app as every module of this room makes it; with one command it is that command."""
    return typer.Typer(
        help=help,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        **{"cls": OpsGroup, **attrs},
    )
