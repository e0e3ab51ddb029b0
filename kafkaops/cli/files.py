"""Files that commands write and read: whole or not at all, and errors that name them."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path
from typing import Any, TextIO

from kafkaops.engine.errors import ConfigError, UsageFault

STDIN = "-"


def write(name: str, text: str) -> None:
    """Write the file whole: beside it first, then renamed over it. A link is followed; a pipe or a
    device is written to, and stays what it is."""
    path = Path(name)
    if not path.name or name == STDIN:
        raise UsageFault("KO-USAGE", f"{name!r} names no file to write", hint="--out FILE")
    beside: Path | None = None
    try:
        if _whole(path):
            target = Path(os.path.realpath(path))
            beside = target.with_name(f".{target.name}.{os.getpid()}")
        with (beside or path).open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            if beside is not None:
                os.fsync(stream.fileno())
        if beside is not None:
            beside.replace(target)
    except OSError as error:
        if beside is not None:
            beside.unlink(missing_ok=True)
        raise ConfigError(
            "KO-FILE-WRITE",
            f"cannot write {path}: {error.strerror or error}",
            where=str(path),
            hint="name another file with --out FILE",
        ) from error


def _whole(path: Path) -> bool:
    """Whether a new file may take the place of what is there."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return True
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)


def read_json(name: str, stdin: TextIO | None = None) -> Any:
    """The JSON document in a file, `-` being stdin; UsageFault when there is none."""
    where = "stdin" if name == STDIN else str(Path(name))
    try:
        text = (
            (stdin or sys.stdin).read() if name == STDIN else Path(name).read_text(encoding="utf-8")
        )
        return json.loads(text)
    except OSError as error:
        raise unreadable(where, error) from error
    except (ValueError, RecursionError) as error:
        raise UsageFault(
            "KO-FILE-JSON",
            f"{where} is not JSON: {error}",
            where=where,
            hint="have the command that wrote it write it again, or name another file",
        ) from error


def unreadable(where: str, error: OSError) -> UsageFault:
    """What says that a file, or stdin, cannot be read."""
    return UsageFault(
        "KO-FILE-READ",
        f"cannot read {where}: {error.strerror or error}",
        where=where,
        hint="name a file that is there and that you may read, or - for stdin",
    )
