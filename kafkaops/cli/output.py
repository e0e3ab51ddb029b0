"""Results on stdout: rich tables on a terminal, TSV elsewhere, one JSON document on request.

Invariant: off a terminal nothing is truncated or coloured, and nothing but the result is on
stdout.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from pathlib import PurePath
from typing import Any

from kafkaops.cli.session import current

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Table:
    """Rows under columns. `title` shows on a terminal only. Numbers are set to the right."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    title: str = ""


@dataclass(frozen=True)
class Text:
    """A sentence beside a table: on stdout at a terminal, on stderr elsewhere."""

    text: str


def emit(data: Mapping[str, Any], *parts: Table | Text) -> None:
    """Show one result: `data` as the JSON document, or `parts` for people."""
    session = current()
    if session.json:
        print(json.dumps({"schema_version": SCHEMA_VERSION, **plain(data)}, indent=2))
    elif sys.stdout.isatty():
        _pretty(parts)
    else:
        tables = [p for p in parts if isinstance(p, Table)]
        for index, table in enumerate(tables):
            if index:
                print()
            print(tsv(table), end="")
        for part in parts:
            if isinstance(part, Text):
                print(part.text, file=sys.stderr if tables else sys.stdout)


def news(line: str) -> None:
    """One line of progress or advice, on stderr."""
    print(line, file=sys.stderr, flush=True)


def tsv(table: Table) -> str:
    """The table as tab-separated values with a header line; nothing cut."""
    lines = ["\t".join(_flat(c) for c in table.columns)]
    lines.extend("\t".join(_flat(cell) for cell in row) for row in table.rows)
    return "\n".join(lines) + "\n"


def cell(value: Any) -> str:
    """A value as people read it: lists by commas, None as a dash."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".")
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, list | tuple | set | frozenset):
        return ",".join(cell(v) for v in value) or "-"
    return str(value)


def _flat(value: Any) -> str:
    text = cell(value)
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\r", "\\r").replace("\n", "\\n")


def _pretty(parts: Iterable[Table | Text]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text as RichText

    session = current()
    colour = session.colours()
    console = Console(
        color_system="auto" if colour else None, highlight=False, emoji=False, markup=False
    )
    for part in parts:
        if isinstance(part, Text):
            console.print(RichText(part.text))
            continue
        shown = RichTable(
            title=part.title or None,
            title_justify="left",
            box=box.SIMPLE_HEAD if colour else box.ASCII2,
            header_style="bold" if colour else "",
        )
        for index, column in enumerate(part.columns):
            numbers = all(
                isinstance(row[index], int | float) and not isinstance(row[index], bool)
                for row in part.rows
            )
            shown.add_column(
                column, justify="right" if numbers and part.rows else "left", overflow="fold"
            )
        for row in part.rows:
            shown.add_row(*(RichText(cell(value)) for value in row))
        console.print(shown)


def plain(value: Any) -> Any:
    """A value as JSON can hold it: dataclasses and named tuples by field, keys as strings."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int | bool):
        return value
    if isinstance(value, PurePath):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(k.value if isinstance(k, Enum) else k): plain(v) for k, v in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {k: plain(v) for k, v in value._asdict().items()}
    if isinstance(value, set | frozenset):
        return sorted(plain(v) for v in value)
    if isinstance(value, Iterable):
        return [plain(v) for v in value]
    return str(value)
