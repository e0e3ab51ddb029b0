"""fio, where the host has it. Source: fio(1) 3.33, and its JSON output."""

from __future__ import annotations

import json

from kafkaops.adapters.disk_tools import ABSENT, Tools
from kafkaops.engine.errors import ConfigError, StepFailed
from kafkaops.model.disk_speed import Load

ENGINE = "libaio"
GRACE = 60.0
"""Seconds that fio may need beyond its run."""


def there(tools: Tools) -> str:
    """fio's version, where it is installed with the I/O engine that keeps several requests under
    way; empty where not."""
    try:
        found = tools.run(("fio", "--version"))
        engines = tools.run(("fio", "--enghelp"))
    except ConfigError:
        return ""
    if found.code in {ABSENT, 1} or ENGINE not in engines.out.decode(errors="replace").split():
        return ""
    return found.out.decode(errors="replace").strip()


def run(
    tools: Tools, path: str, load: Load, start: int, size: int, seconds: float
) -> tuple[float, float, int]:
    """As `speed_loop.run`."""
    argv = command(path, load, start, size, seconds)
    done = tools.run(argv, timeout=seconds + GRACE)
    if done.code != 0:
        said = done.err.strip().splitlines()
        raise StepFailed("KO-VOLUME-BENCH", f"fio: {said[-1] if said else done.said}", where=path)
    return read(done.out.decode(errors="replace"), load, path)


def command(path: str, load: Load, start: int, size: int, seconds: float) -> tuple[str, ...]:
    """`--readonly` has fio itself refuse a write that nobody asked for."""
    mode = ("rand" if load.random else "") + ("write" if load.writes else "read")
    return (
        *("fio", "--name=bench", f"--filename={path}", f"--ioengine={ENGINE}", "--direct=1"),
        *(f"--rw={mode}", f"--bs={load.block}", f"--iodepth={load.depth}"),
        *(f"--offset={start}", f"--size={size - size % load.block}"),
        *("--time_based", f"--runtime={seconds:g}", "--randrepeat=0", "--refill_buffers"),
        *("--output-format=json", *(() if load.writes else ("--readonly",))),
    )


def read(text: str, load: Load, path: str) -> tuple[float, float, int]:
    """Of fio's JSON, which its warnings may come before."""
    try:
        job = json.loads(text[text.index("{") :])["jobs"][0]
        part = job["write" if load.writes else "read"]
        wait = float(part["clat_ns"]["percentile"]["99.000000"]) / 1e9
        return float(part["bw_bytes"]), wait, int(part["io_bytes"])
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise StepFailed(
            "KO-VOLUME-BENCH", f"fio's report cannot be read: {error}", where=path
        ) from None
