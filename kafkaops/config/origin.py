"""Where each value of a config came from: defaults, a file, a context, the environment, flags.

Invariant: later layers win, and the origin that is reported is of the layer that won.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Path = tuple[str, ...]
"""A key path, list indexes as decimal strings: `("blue", "hosts", "0", "address")`."""


@dataclass(frozen=True)
class Layer:
    """Values of one source, nested as in the file, and what to call the origin of a path."""

    name: str
    values: Mapping[str, Any]
    lines: Mapping[Path, int]

    def origin(self, path: Path) -> str:
        """`file:kafkaops.yaml:12`; the line of the nearest ancestor that has one."""
        for size in range(len(path), 0, -1):
            if path[:size] in self.lines:
                return f"{self.name}:{self.lines[path[:size]]}"
        return self.name


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every scalar with its path; an empty list or mapping counts as a scalar."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from leaves(inner, (*path, str(key)))
    elif isinstance(value, list | tuple) and value:
        for index, inner in enumerate(value):
            yield from leaves(inner, (*path, str(index)))
    else:
        yield path, value


def merge(layers: Sequence[Layer]) -> tuple[dict[str, Any], dict[Path, str]]:
    """One nested dict, and the origin of every path that some layer set.

    Mappings merge key by key; a list in a later layer replaces the whole list, while a path
    with an index (`blue.hosts.0.address`) changes that element alone.
    """
    merged: dict[str, Any] = {}
    origins: dict[Path, str] = {}
    for layer in layers:
        _overlay(merged, layer.values, (), layer, origins)
    return merged, origins


def origin_of(path: Path, origins: Mapping[Path, str]) -> str:
    """Where a path comes from: its own origin, that of something below it, or (for a key that is
    missing) of something beside it; "" when nothing there was set."""
    if path in origins:
        return origins[path]
    for prefix in (path, path[:-1]):
        for known, origin in origins.items():
            if prefix and known[: len(prefix)] == prefix:
                return origin
    return ""


def _overlay(
    into: dict[Any, Any],
    values: Mapping[Any, Any],
    path: Path,
    layer: Layer,
    origins: dict[Path, str],
) -> None:
    for key, value in values.items():
        here = (*path, str(key))
        # A file may key a mapping by integers (node ids) where a flag can only spell strings.
        known = next((k for k in into if str(k) == str(key)), key)
        old = into.get(known)
        if isinstance(value, Mapping) and isinstance(old, dict):
            _overlay(old, value, here, layer, origins)
        elif isinstance(value, Mapping) and isinstance(old, list):
            _overlay_list(old, value, here, layer, origins)
        else:
            for stale in [p for p in origins if p[: len(here)] == here]:
                del origins[stale]
            into[known] = _copy(value)
            for leaf, _ in leaves(value, here):
                origins[leaf] = layer.origin(leaf)


def _overlay_list(
    into: list[Any],
    values: Mapping[Any, Any],
    path: Path,
    layer: Layer,
    origins: dict[Path, str],
) -> None:
    as_dict: dict[Any, Any] = {str(i): v for i, v in enumerate(into)}
    _overlay(as_dict, values, path, layer, origins)
    into[:] = [as_dict[k] for k in sorted(as_dict, key=lambda k: (not k.isdecimal(), k.zfill(9)))]


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _copy(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_copy(v) for v in value]
    return value


def nest(path: Path, value: Any) -> dict[str, Any]:
    """`nest(("a", "b"), 1)` is `{"a": {"b": 1}}`."""
    for key in reversed(path):
        value = {key: value}
    return dict(value)
