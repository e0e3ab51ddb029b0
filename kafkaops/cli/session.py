"""What the common flags of one invocation say: output form, colour, which config.

Invariant: importing this costs nothing; the config is read when a command asks for it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from kafkaops.cli.logs import keep_log
from kafkaops.cli.operations import Operations

if TYPE_CHECKING:
    from kafkaops.config.loader import Loaded

ENV_OUTPUT = "KAFKAOPS_OUTPUT"


@dataclass
class Session:
    """`state_dir` is known once a config is loaded; until then logs go to the user's own
    state directory."""

    argv: tuple[str, ...] = ()
    output: str = "table"
    no_color: bool = False
    config: Path | None = None
    context: str | None = None
    sets: list[str] = field(default_factory=list)
    state_dir: Path | None = None
    operations: Operations = field(default_factory=Operations)

    @property
    def json(self) -> bool:
        return self.output == "json"

    def load(self, *, enter_lab: bool = True) -> Loaded:
        """Load the config; one with a `lab:` section then moves this process into the lab."""
        from kafkaops.config.loader import load

        loaded = load(self.config, sets=self.sets, context=self.context)
        self.state_dir = Path(loaded.config.state.dir)
        keep_log(self.log_dir())
        if enter_lab and loaded.config.lab is not None:
            self.operations.enter_lab(Path(loaded.config.lab.dir))
        return loaded

    def log_dir(self) -> Path:
        if self.state_dir is not None:
            return self.state_dir / "log"
        base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
        return Path(base) / "kafkaops" / "log"

    def colours(self, *, stderr: bool = False) -> bool:
        """Whether to colour: a terminal that can, and nobody said no (NO_COLOR, TERM=dumb)."""
        if self.no_color or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
            return False
        return (sys.stderr if stderr else sys.stdout).isatty()


_current = Session()


def current() -> Session:
    return _current


def begin(argv: Sequence[str], operations: Operations | None = None) -> Session:
    """A fresh session for this command line. The output form is looked up before parsing, so
    that a usage error too is JSON where JSON was asked for."""
    global _current
    _current = Session(argv=tuple(argv), output=_asked_output(argv))
    _current.no_color = "--no-color" in argv
    _current.operations = operations or Operations()
    return _current


def _asked_output(argv: Sequence[str]) -> str:
    asked = os.environ.get(ENV_OUTPUT, "table")
    for index, word in enumerate(argv):
        if word == "--":
            break
        if word in ("-o", "--output") and index + 1 < len(argv):
            asked = argv[index + 1]
        elif word.startswith("--output="):
            asked = word.partition("=")[2]
        elif word.startswith("-o") and not word.startswith("--") and len(word) > 2:
            asked = word[2:].removeprefix("=")
    return "json" if asked == "json" else "table"
