"""A `ClusterState` as JSON and back, so that planners can be tried on a saved snapshot.

The codec follows the dataclasses' own type hints, so a field added to the model travels too.
Invariant: `from_json(to_json(state)) == state`; what cannot be read is a ValueError that names
the place.
"""

from __future__ import annotations

import types
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from kafkaops.model.cluster import ClusterState
from kafkaops.model.partition import MOST, TopicPartition

SCHEMA_VERSION = 1
KIND = "cluster-state"
_ALL_BYTES = 1 << 60  # sums over replicas are to fit in 64 bits


def to_json(state: ClusterState) -> dict[str, Any]:
    """A document of JSON values; partitions are `topic-0`, mapping keys are strings."""
    return {"schema_version": SCHEMA_VERSION, "kind": KIND, "state": _out(state)}


def from_json(document: Any) -> ClusterState:
    """The state of such a document. ValueError: another kind or version, or a broken place."""
    if not isinstance(document, Mapping) or document.get("kind") != KIND:
        raise ValueError("not a cluster snapshot (no kind: cluster-state)")
    if document.get("schema_version") != SCHEMA_VERSION:
        raise ValueError(f"schema_version is {document.get('schema_version')}, not 1")
    try:
        state = _reader(ClusterState)(document.get("state"))
    except _Broken as error:
        raise error.under("state") from None
    assert isinstance(state, ClusterState)
    _refuse_impossible(state)
    return state


def _refuse_impossible(state: ClusterState) -> None:
    """ValueError: what no cluster can be, though each value has its type."""
    ids = [b.id for b in state.brokers]
    for broker in ids:
        if not 0 <= broker <= MOST:
            raise ValueError(f"state.brokers: {broker} is no broker id")
    if len(set(ids)) != len(ids):
        raise ValueError(
            f"state.brokers: broker {Counter(ids).most_common(1)[0][0]} is twice there"
        )
    for name, topic in state.topics.items():
        for i, p in enumerate(topic.partitions):
            what = ""
            if p.tp.topic != name or p.tp.partition > MOST:
                what = f"{p.tp} is no partition of {name}"
            elif len(set(p.replicas)) != len(p.replicas):
                what = f"{p.tp} names a broker twice in {list(p.replicas)}"
            elif p.replicas and not (min(p.replicas) >= 0 and max(p.replicas) <= MOST):
                what = f"{p.tp} has a replica that is no broker id in {list(p.replicas)}"
            if what:
                raise ValueError(f"state.topics.{name}.partitions[{i}]: {what}")
        if len({p.tp for p in topic.partitions}) != len(topic.partitions):
            raise ValueError(f"state.topics.{name}: a partition is twice there")
    for tp, size in state.replica_bytes.items():
        if size < 0:
            raise ValueError(f"state.replica_bytes.{tp}: {size} are no bytes of a replica")
    if sum(state.replica_bytes.values()) >= _ALL_BYTES:
        raise ValueError("state.replica_bytes: an exbibyte or more in all")


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


class _Broken(ValueError):
    """What is wrong, and the way to it, gathered while the readers unwind: a large state has
    millions of places, and the good ones need no name."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.way: list[str] = []

    def under(self, step: str) -> _Broken:
        self.way.append(step)
        return self

    def __str__(self) -> str:
        return f"{''.join(reversed(self.way))}: {self.args[0]}"


Reader = Callable[[Any], Any]


@cache
def _reader(kind: Any) -> Reader:
    """What reads a JSON value as this type; made once a type."""
    origin, args = get_origin(kind), get_args(kind)
    if kind is TopicPartition:
        return _partition
    if isinstance(kind, type) and is_dataclass(kind):
        return _dataclass(kind)
    if origin in (Union, types.UnionType):
        (some,) = [a for a in args if a is not type(None)]
        inner = _reader(some)
        return lambda value: None if value is None else inner(value)
    if origin is tuple:
        return _row(_reader(args[0])) if args[1:] == (Ellipsis,) else _tuple(args)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping(_key(args[0]), _reader(args[1]))
    return _plain(kind) if isinstance(kind, type) else lambda value: value


def _dataclass(model: type) -> Reader:
    hints = get_type_hints(model)
    needed = {f.name for f in fields(model) if f.default is f.default_factory is MISSING}
    readers = {f.name: _reader(hints[f.name]) for f in fields(model)}

    def read(value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise _Broken("a mapping is wanted")
        if not value.keys() <= readers.keys():
            raise _Broken(f"unknown field {min(value.keys() - readers.keys())!r}")
        if not needed <= value.keys():
            raise _Broken(
                f"field {next(n for n in readers if n in needed - value.keys())!r} is missing"
            )
        found, name = {}, ""
        try:
            for name, inner in value.items():
                found[name] = readers[name](inner)
        except _Broken as error:
            raise error.under(f".{name}") from None
        return model(**found)

    return read


def _row(inner: Reader) -> Reader:
    def read(value: Any) -> Any:
        if not isinstance(value, list):
            raise _Broken("a list is wanted")
        found: list[Any] = []
        try:
            for one in value:
                found.append(inner(one))
        except _Broken as error:
            raise error.under(f"[{len(found)}]") from None
        return tuple(found)

    return read


def _tuple(kinds: tuple[Any, ...]) -> Reader:
    readers = [_reader(kind) for kind in kinds]

    def read(value: Any) -> Any:
        if not isinstance(value, list):
            raise _Broken("a list is wanted")
        if len(value) != len(readers):
            raise _Broken(f"{len(readers)} values are wanted, and there are {len(value)}")
        found: list[Any] = []
        try:
            for reader, one in zip(readers, value, strict=True):
                found.append(reader(one))
        except _Broken as error:
            raise error.under(f"[{len(found)}]") from None
        return tuple(found)

    return read


def _mapping(key: Reader, inner: Reader) -> Reader:
    def read(value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise _Broken("a mapping is wanted")
        found, name = {}, ""
        try:
            for name, one in value.items():
                found[key(name)] = inner(one)
        except _Broken as error:
            raise error.under(f".{name}") from None
        return found

    return read


def _plain(kind: type) -> Reader:
    def read(value: Any) -> Any:
        if type(value) is kind:
            return value
        if kind is float and type(value) is int:
            return float(value)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise _Broken(f"{kind.__name__} is wanted, and it is {value!r}")
        return value

    return read


def _key(kind: Any) -> Reader:
    def number(key: str) -> int:
        try:
            return int(key)
        except ValueError:
            raise _Broken(f"key {key!r} is not a number") from None

    return number if kind is int else _partition if kind is TopicPartition else str


def _partition(text: Any) -> TopicPartition:
    topic, dash, number = str(text).rpartition("-")
    if not dash or not number.isdecimal():
        raise _Broken(f"{text!r} is not TOPIC-PARTITION")
    return TopicPartition(topic, int(number))
