"""A Kafka Connect worker that runs MirrorMaker 2's connectors, over its REST interface."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from kafkaops.model.partition import TopicPartition
from kafkaops.ports.marks import mutates


@dataclass(frozen=True)
class TaskState:
    id: int
    state: str  # RUNNING, PAUSED, STOPPED, FAILED, UNASSIGNED, RESTARTING
    trace: str = ""


@dataclass(frozen=True)
class ConnectorState:
    name: str
    state: str
    tasks: tuple[TaskState, ...]
    trace: str = ""


@dataclass(frozen=True)
class WorkerFound:
    """Who answers as a Connect worker: its version, the id of the cluster that holds its state, and
    the names of its connectors."""

    version: str
    cluster_id: str
    connectors: tuple[str, ...]


class Connect(Protocol):
    """Errors: Unreachable when the worker does not answer, StepFailed with Connect's own words."""

    where: str
    """Its address, for people."""

    def ready(self) -> bool: ...

    def listens(self) -> bool:
        """Whether anything takes connections there, a worker or not."""

    def who(self) -> WorkerFound | None:
        """Who answers there; None where nobody does as Connect would."""

    def status(self, name: str) -> ConnectorState | None:
        """None where there is no such connector."""

    def config(self, name: str) -> Mapping[str, str] | None: ...

    def validate(self, plugin: str, config: Mapping[str, str]) -> tuple[str, ...]:
        """Errors as `key: message`; empty when valid."""

    @mutates
    def put(self, name: str, config: Mapping[str, str], *, stopped: bool = False) -> None:
        """Create or change; idempotent. `stopped` uses initial_state=STOPPED on creation."""

    @mutates
    def stop(self, name: str) -> None:
        """Tell it to stop; no connector is no error, for then nothing runs."""

    @mutates
    def resume(self, name: str) -> None: ...

    @mutates
    def restart_failed(self, name: str) -> None: ...

    @mutates
    def delete(self, name: str) -> None: ...

    def offsets(self, name: str) -> Mapping[TopicPartition, int]:
        """Source offsets as Connect holds them: the LAST offset mirrored, per partition."""

    @mutates
    def set_offsets(
        self, name: str, source_alias: str, offsets: Mapping[TopicPartition, int]
    ) -> None:
        """PATCH offsets of a STOPPED connector."""

    @mutates
    def reset_offsets(self, name: str) -> None:
        """DELETE the offsets of a STOPPED connector: it begins anew. Connect keeps them beyond
        the deletion of a connector (KIP-875)."""

    def raw(self, path: str) -> Any:
        """GET any path, for diagnostics."""
