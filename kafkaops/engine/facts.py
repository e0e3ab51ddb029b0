"""Facts of a run: one small JSON file a name, written atomically.

Invariant: a fact is either the old value or the new one, never a piece of it, whichever threads
read and write it.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from kafkaops.engine.errors import ConfigError
from kafkaops.engine.files import Files, OsFiles
from kafkaops.engine.plan_json import canonical

ENDING = ".json"


class FileFacts:
    """Implements `ports.facts.Facts` in a directory. A value of None is the same as no fact.
    ConfigError KO-FACT-DAMAGED for a file that is not JSON; OpsError KO-DISK-FULL."""

    def __init__(self, directory: Path, files: Files | None = None) -> None:
        self._directory, self._files = directory, files or OsFiles()
        self._writing = threading.Lock()

    def get(self, name: str) -> Any | None:
        path = self._path(name)
        content = self._files.read(path)
        if content is None:
            return None
        try:
            return json.loads(content)
        except ValueError as error:
            raise ConfigError(
                "KO-FACT-DAMAGED", f"the fact {name!r} of the run is not JSON", where=str(path)
            ) from error

    def put(self, name: str, value: Any) -> None:
        path = self._path(name)
        content = (canonical(value) + "\n").encode()
        with self._writing:
            held = self._files.read(path)
            if held != content and not (held is None and value is None):
                self._files.create(path, content)

    def names(self) -> tuple[str, ...]:
        """Names of the facts that have a value."""
        found = (
            unquote(name.removesuffix(ENDING))
            for name in self._files.names(self._directory)
            if name.endswith(ENDING) and not name.startswith(".")
        )
        return tuple(name for name in found if self.get(name) is not None)

    def _path(self, name: str) -> Path:
        safe = quote(name, safe=" ")
        return self._directory / f"{'%2E' + safe[1:] if safe.startswith('.') else safe}{ENDING}"


class MemoryFacts:
    """Facts of a look that leaves nothing behind. Values make the same JSON round trip."""

    def __init__(self) -> None:
        self._held: dict[str, str] = {}

    def get(self, name: str) -> Any | None:
        return json.loads(self._held[name]) if name in self._held else None

    def put(self, name: str, value: Any) -> None:
        self._held[name] = canonical(value)

    def names(self) -> tuple[str, ...]:
        return tuple(sorted(name for name, held in self._held.items() if held != "null"))
