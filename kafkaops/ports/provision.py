"""Where a cluster comes from: whoever has it says what of it is not there yet."""

from __future__ import annotations

from typing import Protocol


class Provision(Protocol):
    """Green as a thing to have before it is compared with blue, whatever made it."""

    def missing(self) -> tuple[str, ...]:
        """What is not there, a line each: nodes that do not run, or do not serve. Empty when the
        cluster is whole. Unreachable where nobody can be asked."""

    def remedy(self) -> str:
        """The next command of an operator who is told that something is missing."""


class Provided:
    """Stands where nothing is provisioned: all is there."""

    def missing(self) -> tuple[str, ...]:
        return ()

    def remedy(self) -> str:
        return ""
