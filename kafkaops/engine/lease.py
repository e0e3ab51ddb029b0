"""Leases: the right to change a cluster, held by one run at a time.

Invariant: several leases are always taken in the order of their names, so that two runs that
want the same ones cannot wait for each other.
"""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from kafkaops.engine.errors import LeaseHeld


@dataclass(frozen=True)
class Holder:
    """Who holds a lease, for the error another operator sees. `since` is epoch seconds."""

    user: str
    host: str
    pid: int
    run: str
    since: float

    @classmethod
    def here(cls, run: str, since: float) -> Holder:
        """This process, for the run."""
        return cls(user_name(), socket.gethostname(), os.getpid(), run, since)

    @classmethod
    def read(cls, body: Any) -> Holder | None:
        """From what `to_json` made; None for anything else."""
        try:
            return cls(
                str(body["user"]),
                str(body["host"]),
                int(body["pid"]),
                str(body["run"]),
                float(body["since"]),
            )
        except (KeyError, TypeError, ValueError):
            return None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def words(self) -> str:
        return f"{self.user}@{self.host} (pid {self.pid}, run {self.run})"


def user_name() -> str:
    """Who runs this process, as far as the system knows a name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


class Lease(Protocol):
    """A lease that is held. `verify` is cheap enough for every act and every poll."""

    def verify(self) -> None:
        """Raise LeaseHeld KO-LEASE-LOST unless the lease is certainly still ours."""

    def release(self) -> None:
        """Give it back; a lease that was lost meanwhile is left alone."""


class Leases:
    """Several leases as one."""

    def __init__(self, held: Iterable[Lease]) -> None:
        self._held = tuple(held)

    def verify(self) -> None:
        for lease in self._held:
            lease.verify()

    def release(self) -> None:
        for lease in reversed(self._held):
            lease.release()


def take(acquire: Callable[[str], Lease], names: Iterable[str]) -> Leases:
    """Take the leases of these names in one fixed order. If one is held by somebody else,
    those already taken are given back and its LeaseHeld is raised."""
    held: list[Lease] = []
    try:
        for name in sorted(set(names)):
            held.append(acquire(name))
    except BaseException:
        Leases(held).release()
        raise
    return Leases(held)


def held_by(name: str, holder: Holder | None, *, where: str = "") -> LeaseHeld:
    """The error for a lease that somebody else holds."""
    who = holder.words() if holder else "a run that left no name"
    return LeaseHeld(
        "KO-LEASE-HELD",
        f"{name} is being changed by {who}",
        where=where,
        hint=f"kafkaops run watch {holder.run}" if holder and holder.run else "try again later",
    )


def lost(name: str, why: str, *, where: str = "") -> LeaseHeld:
    return LeaseHeld(
        "KO-LEASE-LOST",
        f"the lease of {name} is no longer ours: {why}",
        where=where,
        hint="see who runs what with `kafkaops run list`, then resume",
    )
