"""Files that commands write and read: whole or not at all, and errors that name them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from kafkaops.engine.errors import ConfigError, UsageFault


def write(name: str, text: str) -> None:
    """Write the file whole: beside it first, then renamed over it."""
    path = Path(name)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise ConfigError(
            "KO-FILE-WRITE",
            f"cannot write {path}: {error.strerror or error}",
            where=str(path),
            hint="name another file with --out FILE",
        ) from error


def read_json(name: str) -> Any:
    """The JSON document in a file; UsageFault when there is none."""
    path = Path(name)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageFault(
            "KO-FILE-READ", f"cannot read {path}: {error.strerror or error}", where=str(path)
        ) from error
    except ValueError as error:
        raise UsageFault("KO-FILE-JSON", f"{path} is not JSON: {error}", where=str(path)) from error
