"""A `ClusterState` as JSON and back, so that planners can be tried on a saved snapshot.

The codec follows the dataclasses' own type hints, so a field added to the model travels too.
Invariant: `from_json(to_json(state)) == state`; what cannot be read is a ValueError that names
the place.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from kafkaops.model.cluster import ClusterState
from kafkaops.model.partition import TopicPartition

SCHEMA_VERSION = 1
KIND = "cluster-state"


def to_json(state: ClusterState) -> dict[str, Any]:
    """A document of JSON values; partitions are `topic-0`, mapping keys are strings."""
    return {"schema_version": SCHEMA_VERSION, "kind": KIND, "state": _out(state)}


def from_json(document: Any) -> ClusterState:
    """The state of such a document. ValueError: another kind or version, or a broken place."""
    if not isinstance(document, Mapping) or document.get("kind") != KIND:
        raise ValueError("not a cluster snapshot (no kind: cluster-state)")
    if document.get("schema_version") != SCHEMA_VERSION:
        raise ValueError(f"schema_version is {document.get('schema_version')}, not 1")
    state = _in(ClusterState, document.get("state"), "state")
    assert isinstance(state, ClusterState)
    return state


def _out(value: Any) -> Any:
    if isinstance(value, TopicPartition):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _out(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _out(inner) for key, inner in value.items()}
    if isinstance(value, tuple | list):
        return [_out(inner) for inner in value]
    return value


@cache
def _hints(model: type) -> dict[str, Any]:
    return get_type_hints(model)


def _in(kind: Any, value: Any, where: str) -> Any:
    origin, args = get_origin(kind), get_args(kind)
    if kind is TopicPartition:
        return _partition(value, where)
    if isinstance(kind, type) and is_dataclass(kind):
        return _dataclass(kind, value, where)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in args:
            return None
        (inner,) = [a for a in args if a is not type(None)]
        return _in(inner, value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise ValueError(f"{where}: a list is wanted")
        if len(args) == 2 and args[1] is Ellipsis:
            return tuple(_in(args[0], inner, f"{where}[{i}]") for i, inner in enumerate(value))
        if len(value) != len(args):
            raise ValueError(f"{where}: {len(args)} values are wanted, and there are {len(value)}")
        return tuple(
            _in(a, inner, f"{where}[{i}]")
            for i, (a, inner) in enumerate(zip(args, value, strict=True))
        )
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise ValueError(f"{where}: a mapping is wanted")
        return {
            _key(args[0], key, where): _in(args[1], inner, f"{where}.{key}")
            for key, inner in value.items()
        }
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(kind, type) and (
        not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)
    ):
        raise ValueError(f"{where}: {kind.__name__} is wanted, and it is {value!r}")
    return value


def _dataclass(model: type, value: Any, where: str) -> Any:
    if not isinstance(value, Mapping):
        raise ValueError(f"{where}: a mapping is wanted")
    known = {f.name: f for f in fields(model)}
    unknown = sorted(set(value) - set(known))
    if unknown:
        raise ValueError(f"{where}: unknown field {unknown[0]!r}")
    for name, field in known.items():
        required = field.default is MISSING and field.default_factory is MISSING
        if required and name not in value:
            raise ValueError(f"{where}: field {name!r} is missing")
    hints = _hints(model)
    return model(**{name: _in(hints[name], v, f"{where}.{name}") for name, v in value.items()})


def _key(kind: Any, key: str, where: str) -> Any:
    if kind is int:
        try:
            return int(key)
        except ValueError as error:
            raise ValueError(f"{where}: key {key!r} is not a number") from error
    return _partition(key, where) if kind is TopicPartition else key


def _partition(text: Any, where: str) -> TopicPartition:
    topic, dash, number = str(text).rpartition("-")
    if not dash or not number.isdecimal():
        raise ValueError(f"{where}: {text!r} is not TOPIC-PARTITION")
    return TopicPartition(topic, int(number))
