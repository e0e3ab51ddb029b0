"""Where the log of libraries goes: a file below the state directory, never the terminal.

Invariant: no file is made before there is something to log, and no secret gets into it.
"""

from __future__ import annotations

import os
from pathlib import Path


def keep_log(directory: Path) -> None:
    """Send warnings and errors of every library to `kafkaops.log` there; with KAFKAOPS_DEBUG=1
    everything, and to stderr too. A second call in one process changes nothing."""
    import logging

    from kafkaops.config.secrets import RedactingFilter

    root = logging.getLogger()
    if any(isinstance(handler.name, str) and handler.name == NAME for handler in root.handlers):
        return
    debug = os.environ.get("KAFKAOPS_DEBUG") == "1"

    class Late(logging.Handler):
        """Makes directory and file with the first record."""

        file: logging.FileHandler | None = None

        def emit(self, record: logging.LogRecord) -> None:
            try:
                if self.file is None:
                    directory.mkdir(parents=True, exist_ok=True)
                    self.file = logging.FileHandler(directory / "kafkaops.log", encoding="utf-8")
                    self.file.setFormatter(self.formatter)
                self.file.emit(record)
            except OSError:
                """A log that cannot be written must not end what is being done."""

    handlers: list[logging.Handler] = [Late()]
    if debug:
        handlers.append(logging.StreamHandler())
    for handler in handlers:
        handler.name = NAME
        handler.setLevel(logging.DEBUG if debug else logging.WARNING)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
        handler.addFilter(RedactingFilter())
        root.addHandler(handler)
    if debug:
        root.setLevel(logging.DEBUG)


NAME = "kafkaops"
