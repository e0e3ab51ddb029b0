"""Marks the mutating methods of ports, so that plan mode can be enforced at the port."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

MUTATES = "__kafkaops_mutates__"


def mutates(method: F) -> F:
    """Mark a port method that changes the world; `engine.readonly` refuses it in plan mode.

    The mark is looked up on the Protocol, so adapters need not repeat it.
    """
    setattr(method, MUTATES, True)
    return method
