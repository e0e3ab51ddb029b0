"""Plan mode, enforced at the port: a proxy that lets reads through and refuses changes.

Invariant: what a Protocol does not declare cannot be reached through the proxy, so an adapter's
own extra methods are no way around it. The mark is `ports.marks.mutates`'s, known by name.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar, cast

from kafkaops.engine.errors import GuardRefused

T = TypeVar("T")

MARK = "__kafkaops_mutates__"


def readonly(port: T, protocol: type) -> T:
    """The port, or a mapping of ports, with every mutating method refused
    (GuardRefused KO-PLAN-MODE). A mapping stays lazy: a port is made when it is asked for."""
    if isinstance(port, Mapping):
        return cast(T, _Ports(port, protocol))
    return cast(T, _Port(port, protocol))


def readonly_world(world: T, protocols: Mapping[str, type]) -> T:
    """A dataclass of ports with the named fields made read-only."""
    guarded = {name: readonly(getattr(world, name), kind) for name, kind in protocols.items()}
    return cast(T, dataclasses.replace(cast(Any, world), **guarded))


@functools.cache
def mutating(protocol: type) -> frozenset[str]:
    """Names of the protocol's methods that carry the mark."""
    return frozenset(
        name for name in dir(protocol) if getattr(getattr(protocol, name, None), MARK, False)
    )


@functools.cache
def declared(protocol: type) -> frozenset[str]:
    """Names of everything the protocol offers: methods and attributes."""
    names: set[str] = set()
    for base in protocol.__mro__:
        if base is not object and base.__module__ != "typing":
            names |= {*vars(base), *vars(base).get("__annotations__", {})}
    return frozenset(n for n in names if not n.startswith("_"))


class _Port:
    def __init__(self, port: Any, protocol: type) -> None:
        self.__port, self.__protocol = port, protocol
        self.__declared, self.__mutating = declared(protocol), mutating(protocol)

    def __getattr__(self, name: str) -> Any:
        if name not in self.__declared:
            raise AttributeError(f"{self.__protocol.__name__} has no {name!r}")
        found = getattr(self.__port, name)
        if name in self.__mutating or getattr(found, MARK, False):
            return _refuse(self.__protocol.__name__, name)
        return found

    def __repr__(self) -> str:
        return f"readonly({self.__port!r})"


class _Ports(Mapping[Any, Any]):
    def __init__(self, ports: Mapping[Any, Any], protocol: type) -> None:
        self._ports, self._protocol = ports, protocol

    def __getitem__(self, key: Any) -> Any:
        return readonly(self._ports[key], self._protocol)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._ports)

    def __len__(self) -> int:
        return len(self._ports)


def _refuse(port: str, method: str) -> Callable[..., Any]:
    def refused(*args: Any, **more: Any) -> Any:
        raise GuardRefused(
            "KO-PLAN-MODE",
            f"{port.lower()}.{method} would change something, and this only plans",
            hint="apply the plan",
        )

    return refused
