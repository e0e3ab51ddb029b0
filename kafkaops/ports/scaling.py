"""Auto Scaling groups: which of them may replace an instance, and what of theirs is suspended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from kafkaops.engine.errors import ConfigError
from kafkaops.ports.marks import mutates


@dataclass(frozen=True, order=True)
class Member:
    """An instance of a group. `lifecycle` and `health` are AWS's words (`InService`, `HEALTHY`)."""

    instance: str
    group: str
    lifecycle: str
    health: str


class Scaling(Protocol):
    """Errors: ConfigError KO-AWS-DENIED names the missing action, StepFailed KO-SCALING-GROUP a
    group that is not there, Unreachable what may pass by itself."""

    def members(self, instances: Sequence[str]) -> tuple[Member, ...]:
        """Of these instances those that are in a group; the others are left out."""

    def suspended(self, group: str) -> Mapping[str, str]:
        """The group's suspended processes, each with AWS's reason, which has the moment in it. It
        may lag behind what was asked for."""

    def busy(self, group: str) -> tuple[str, ...]:
        """Scaling activities and instance refreshes that are under way, in words."""

    @mutates
    def suspend(self, group: str, processes: Sequence[str]) -> None:
        """Suspend these (at least one) besides what is suspended; what is under way goes on."""

    @mutates
    def resume(self, group: str, processes: Sequence[str]) -> None:
        """Let these (at least one) act again; one that was not suspended is no error."""


class NoScaling:
    """Stands where no Auto Scaling was built: to ask it is the error."""

    def members(self, instances: Sequence[str]) -> tuple[Member, ...]:
        raise self._none()

    def suspended(self, group: str) -> Mapping[str, str]:
        raise self._none()

    def busy(self, group: str) -> tuple[str, ...]:
        raise self._none()

    def suspend(self, group: str, processes: Sequence[str]) -> None:
        raise self._none()

    def resume(self, group: str, processes: Sequence[str]) -> None:
        raise self._none()

    def _none(self) -> ConfigError:
        return ConfigError("KO-SCALING-NONE", "nothing here speaks to Auto Scaling")
