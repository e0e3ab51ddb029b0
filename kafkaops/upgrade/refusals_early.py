"""Errors met while a plan is made: of every host, and of what else it needs, gathered.

Invariant: one host's error hides no other's. Where no run exists yet, none of them says that there
is one to resume.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from kafkaops.config.schema import HostSpec
from kafkaops.engine.errors import Exit, GuardRefused, OpsError, UsageFault

K = TypeVar("K")
T = TypeVar("T")
AT_ONCE = 32
"""Hosts that are asked at the same time."""
OF_A_RUN = frozenset((Exit.TIMEOUT, Exit.STEP_FAILED))
"""Exit codes that promise a run which can be resumed."""


@dataclass
class Faults:
    """`found` are errors as they came, with the host where they did not say one."""

    found: list[OpsError] = field(default_factory=list)

    def tried(self, question: Callable[[], T]) -> T | None:
        """Its answer, None where there is none. UsageFault is raised: another command is meant."""
        try:
            return question()
        except UsageFault:
            raise
        except OpsError as error:
            self.found.append(error)
            return None

    def asked(self, hosts: Mapping[K, HostSpec], question: Callable[[K], T]) -> dict[K, T]:
        """The answers of these hosts, asked side by side; without those that gave none."""

        def one(key: K) -> tuple[T | None, OpsError | None]:
            try:
                return question(key), None
            except OpsError as error:
                error.where = error.where or hosts[key].name
                return None, error

        if not hosts:
            return {}
        with ThreadPoolExecutor(min(AT_ONCE, len(hosts))) as pool:
            said = dict(zip(hosts, pool.map(one, hosts), strict=True))
        self.found += [error for _, error in said.values() if error is not None]
        return {key: answer for key, (answer, error) in said.items() if error is None}  # type: ignore[misc]


def before(error: OpsError) -> OpsError:
    """The same error of a time when nothing had begun."""
    if error.exit not in OF_A_RUN:
        return error
    return GuardRefused(error.code, error.message, where=error.where, hint=error.hint)
