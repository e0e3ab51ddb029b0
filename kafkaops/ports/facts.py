"""Facts that one step of a run leaves for later ones, durable and small."""

from __future__ import annotations

from typing import Any, Protocol


class Facts(Protocol):
    """A JSON value per name, in the run's directory, written atomically (fsync, rename).
    Not a mutation of the world: allowed in plan mode too."""

    def get(self, name: str) -> Any | None: ...

    def put(self, name: str, value: Any) -> None: ...

    def names(self) -> tuple[str, ...]: ...
