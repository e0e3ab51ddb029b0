"""A systemd unit file, as much of it as a lab host's broker needs: strict, and never a guess.

Invariant: what systemd would act on and this does not understand is refused, so that a unit
which works in the lab means the same on a real host.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

SYSTEM = "/etc/systemd/system"
STOP_TIMEOUT = 90.0
"""systemd's own default (DefaultTimeoutStopSec), in seconds."""

# Without effect in the lab, where nothing else is to be waited for.
TEXTS = {
    "Unit": {"Description", "Documentation", "After", "Wants"},
    "Install": {"WantedBy"},
}
ONLY = {"Type": ("simple", "exec"), "Restart": ("no",)}
"""Keys of [Service] that may have these values alone."""
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)\s*")
SECONDS = {
    **dict.fromkeys(("", "s", "sec", "second", "seconds"), 1.0),
    **dict.fromkeys(("min", "minute", "minutes", "m"), 60.0),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 3600.0),
    **dict.fromkeys(("ms", "msec"), 0.001),
}


class UnitFault(ValueError):
    """Something in a unit file that is wrong or not understood; names file and line."""


@dataclass(frozen=True)
class UnitFile:
    """How a service is started: its command line, the environment that is set for it, and how
    long it may take to stop, in seconds."""

    exec_start: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_timeout: float = STOP_TIMEOUT


def path(service: str) -> str:
    """Where a service's unit file is on its host."""
    return f"{SYSTEM}/{service}.service"


def drop_ins(root: Path, service: str) -> tuple[str, ...]:
    """Where the drop-ins of a unit are on the host whose `/` is `root`, in systemd's order."""
    found = (root / f"{path(service)}.d".lstrip("/")).glob("*.conf")
    return tuple(f"/{file.relative_to(root)}" for file in sorted(found))


def read(root: Path, service: str) -> UnitFile:
    """The unit of a host whose `/` is `root`, and its drop-ins in systemd's order. UnitFault if it
    is missing or not understood."""
    names = (path(service), *drop_ins(root, service))
    try:
        texts = [(name, (root / name.lstrip("/")).read_text()) for name in names]
    except (OSError, UnicodeDecodeError) as error:
        raise UnitFault(f"{path(service)} cannot be read: {error}") from None
    return parse(*texts)


def parse(*texts: tuple[str, str]) -> UnitFile:
    """A unit from the (name, text) of its file and of its drop-ins: what comes later wins."""
    command: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    stop = STOP_TIMEOUT
    for where, key, value in (line for name, text in texts for line in _service(name, text)):
        match key:
            case "ExecStart" if not value:
                command = ()
            case "ExecStart" if command:
                raise UnitFault(f"{where}: ExecStart is given twice; an empty one clears the first")
            case "ExecStart":
                command = _command(value, where)
            case "Environment" if not value:
                environment = {}
            case "Environment":
                environment |= _environment(value, where)
            case "TimeoutStopSec":
                stop = _seconds(value, where)
            case _ if value not in ONLY[key]:
                raise UnitFault(f"{where}: {key} may be {' or '.join(ONLY[key])}, not {value!r}")
    if not command:
        raise UnitFault(f"{texts[0][0]}: no ExecStart")
    return UnitFile(command, environment, stop)


def _service(name: str, text: str) -> list[tuple[str, str, str]]:
    """(file:line, key, value) of [Service]. Other sections hold nothing but known texts."""
    found: list[tuple[str, str, str]] = []
    section = ""
    known = {**TEXTS, "Service": {"ExecStart", "Environment", "TimeoutStopSec", *ONLY}}
    for number, raw in enumerate(text.splitlines(), 1):
        line, where = raw.strip(), f"{name}:{number}"
        if not line or line[0] in "#;":
            continue
        if line.endswith("\\"):
            raise UnitFault(f"{where}: continued lines are not understood")
        if line[0] == "[" and line[-1] == "]":
            section = line[1:-1]
            if section not in known:
                raise UnitFault(f"{where}: section {line} is not understood")
            continue
        key, equals, value = (part.strip() for part in line.partition("="))
        if not equals or not section:
            raise UnitFault(f"{where}: {line!r} is no KEY=VALUE of a section")
        if key not in known[section]:
            raise UnitFault(f"{where}: {key} is not understood in [{section}]")
        if section == "Service":
            found.append((where, key, value))
    return found


def _words(value: str, where: str) -> list[str]:
    """Split as systemd does, where that needs no knowledge: no escapes, no %specifiers."""
    if "\\" in value or "%" in value:
        raise UnitFault(f"{where}: backslashes and % are not understood")
    try:
        return shlex.split(value)
    except ValueError as error:
        raise UnitFault(f"{where}: {error}") from None


def _command(value: str, where: str) -> tuple[str, ...]:
    words = tuple(_words(value, where))
    if not words[0].startswith("/"):
        raise UnitFault(f"{where}: ExecStart must begin with an absolute path, not {words[0]!r}")
    if any("$" in word or word == ";" for word in words):
        raise UnitFault(f"{where}: variables and several commands are not understood")
    return words


def _environment(value: str, where: str) -> dict[str, str]:
    pairs = [word.partition("=") for word in _words(value, where)]
    for name, equals, _ in pairs:
        if not equals or not NAME.fullmatch(name):
            raise UnitFault(f"{where}: {name!r} is no NAME=VALUE")
    return {name: text for name, _, text in pairs}


def _seconds(value: str, where: str) -> float:
    """systemd.time(7): `90`, `5min 20s`; `infinity`, and 0 means the same."""
    if value == "infinity":
        return math.inf
    spans = SPAN.findall(value)
    whole = "".join(SPAN.sub("", value))
    if not spans or whole or any(unit not in SECONDS for _, unit in spans):
        raise UnitFault(f"{where}: {value!r} is no time span")
    total = sum(float(number) * SECONDS[unit] for number, unit in spans)
    return total or math.inf
