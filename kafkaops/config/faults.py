"""What is wrong with a config, as data: every fault at once, each with its key and line.

pydantic's own words are turned into an operator's: the key path as written in the file, what
was found, and the nearest key that is valid.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from kafkaops.config.origin import Path, origin_of
from kafkaops.config.schema import Config
from kafkaops.engine.errors import ConfigError
from kafkaops.model.words import counted


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong. `key` is a dotted path, `origin` where its value came from."""

    key: str
    message: str
    origin: str = ""

    def __str__(self) -> str:
        where = f" ({self.origin})" if self.origin else ""
        return f"{self.key}{where}: {self.message}" if self.key else self.message


class InvalidConfig(ConfigError):
    """All the faults of one config."""

    def __init__(self, faults: Sequence[Fault], *, where: str) -> None:
        count = counted(len(faults), "fault")
        super().__init__(
            "KO-CONFIG-INVALID",
            f"{count} in the config",
            where=where,
            hint="correct them; `kafkaops config schema --markdown` explains every key",
        )
        self.faults = tuple(faults)

    @property
    def details(self) -> tuple[str, ...]:
        return tuple(str(f) for f in self.faults)


REASONS: Mapping[str, str] = {
    "cutover.max_write_pause": (
        "clients give up soon after: a Java producer fails a send at max.block.ms = 60 s, a"
        " consumer its commit at 60 s"
    ),
}
"""Why a bound is where it is, added to the fault that names it."""


def of_validation(error: ValidationError, origins: Mapping[Path, str]) -> list[Fault]:
    """One Fault per error that pydantic found."""
    faults: list[Fault] = []
    items = error.errors(include_url=False)
    for item in items:
        path: Path = tuple(str(part) for part in item["loc"] if part != "[key]")
        if item["type"] == "too_short" and any(
            other["loc"][: len(item["loc"])] == item["loc"] and other is not item for other in items
        ):
            continue  # only short because elements of it are wrong, and those are named
        key = ".".join(path)
        kind = item["type"]
        if kind == "extra_forbidden":
            message = f"unknown key{_suggest(path)}"
        elif kind == "missing":
            message = "is required and missing"
        else:
            message = _sentence(str(item["msg"]), item.get("input"))
            if key in REASONS:
                message += f"; {REASONS[key]}"
        faults.append(Fault(key, message, origin_of(path, origins)))
    return faults


def _sentence(message: str, given: Any) -> str:
    words = message.removeprefix("Value error, ")
    words = words[:1].lower() + words[1:]
    if isinstance(given, str | int | float | bool) or given is None:
        return f"{words}, and is {given!r}"
    return words


def _suggest(path: Path) -> str:
    *parent, wrong = path
    here = _fields(tuple(parent))
    close = difflib.get_close_matches(wrong, here, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {'.'.join([*parent, close[0]])}?"
    everywhere = [p for p in key_paths(Config) if p[-1] == wrong]
    if everywhere:
        return f"; it belongs at {' or '.join('.'.join(p) for p in everywhere[:3])}"
    if here:
        nearest = max(here, key=lambda k: difflib.SequenceMatcher(None, wrong, k).ratio())
        return f"; the nearest valid key is {'.'.join([*parent, nearest])}"
    return ""


def _fields(path: Path) -> list[str]:
    """The valid keys of the mapping at this path."""
    model: type[BaseModel] | None = Config
    keyed = False
    for part in path:
        if model is None:
            return []
        if keyed or part.isdecimal():
            keyed = False
            continue  # a key or an index: the model stays the element's
        info = model.model_fields.get(part)
        model = model_of(info) if info else None
        keyed = info is not None and get_origin(info.annotation) is dict
    return list(model.model_fields) if model else []


def model_of(info: FieldInfo) -> type[BaseModel] | None:
    """The model that a field holds, directly, optionally or as an element of a list or mapping."""

    def find(annotation: Any) -> type[BaseModel] | None:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            return annotation
        if get_origin(annotation) in (Union, UnionType, tuple, list, dict):
            for inner in get_args(annotation):
                found = find(inner)
                if found:
                    return found
        return None

    return find(info.annotation)


def key_paths(model: type[BaseModel], prefix: Path = ()) -> list[Path]:
    """Every key path of the schema, elements without their index or key."""
    paths: list[Path] = []
    for name, info in model.model_fields.items():
        paths.append((*prefix, name))
        inner = model_of(info)
        if inner:
            paths.extend(key_paths(inner, (*prefix, name)))
    return paths
