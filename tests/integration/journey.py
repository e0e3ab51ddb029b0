"""A command typed at a lab, its lines of progress watched and kept as a story."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.integration.pair import Pair

LONGEST = 600.0
"""Seconds after which a command is killed: a test must end."""

Process = subprocess.Popen[str]


@dataclass
class Journey:
    """Types commands at one lab, and remembers what it saw."""

    pair: Pair
    story: Path
    told: list[str] = field(default_factory=list)

    def type(self, see: Callable[[str, Process], None], *argv: str) -> int:
        """Its exit code. `see` is handed each line of progress as it comes."""
        self.tell(f"$ kafkaops {' '.join(argv)}")
        with subprocess.Popen(
            self.pair.line(*argv), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        ) as process:
            guard = threading.Timer(LONGEST, process.kill)
            guard.start()
            try:
                assert process.stderr is not None
                for line in process.stderr:
                    self.tell(line.rstrip())
                    see(line, process)
            finally:
                guard.cancel()
        self.tell(f"(exit {process.returncode})")
        return process.returncode

    def tell(self, words: str) -> None:
        line = f"{time.strftime('%H:%M:%S')} {words}"
        self.told.append(line)
        with self.story.open("a") as file:
            print(line, file=file)

    def words(self) -> str:
        return "\n".join(self.told[-400:])
