"""Secrets by reference: resolved as late as possible, and never shown.

Invariant: a value that was resolved anywhere in this process is replaced by `***` in whatever
passes `redact`.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from kafkaops.engine.errors import ConfigError

SHOWN = "***"
SHORTEST = 4
"""Shorter values are not redacted: they would blank out half of every line."""

_resolved: set[str] = set()


def redact(text: str) -> str:
    """The text with every value resolved so far replaced by `***`."""
    for value in sorted(_resolved, key=len, reverse=True):
        text = text.replace(value, SHOWN)
    return text


class Secrets:
    """Resolves `env:NAME`, `file:PATH` and `secretsmanager:ID[#KEY]`.

    `fetch` reads one secret of AWS Secrets Manager by id (an adapter's); without it such a
    reference is an error. `base` is what relative paths are relative to.
    """

    def __init__(
        self,
        *,
        environ: Mapping[str, str] | None = None,
        base: Path | None = None,
        fetch: Callable[[str], str] | None = None,
    ) -> None:
        self._environ = os.environ if environ is None else environ
        self._base = base or Path()
        self._fetch = fetch

    def resolve(self, reference: str) -> str:
        """The secret's value. Raises ConfigError naming the reference, never the value."""
        scheme, _, rest = reference.partition(":")
        if scheme == "env":
            value = self._environ.get(rest)
            if value is None:
                raise ConfigError(
                    "KO-SECRET-MISSING",
                    f"the environment variable {rest} is not set",
                    where=reference,
                    hint=f"export {rest}=... and repeat the command",
                )
        elif scheme == "file":
            value = self._from_file(reference, rest)
        elif scheme == "secretsmanager":
            value = self._from_manager(reference, rest)
        else:
            raise ConfigError(
                "KO-SECRET-REFERENCE",
                f"{scheme!r} is not a kind of secret reference",
                where=reference,
                hint="use env:NAME, file:PATH or secretsmanager:ID",
            )
        if not value:
            raise ConfigError("KO-SECRET-EMPTY", "the secret is empty", where=reference)
        if len(value) >= SHORTEST:
            _resolved.add(value)
        return value

    def _from_file(self, reference: str, rest: str) -> str:
        path = self._base / Path(rest).expanduser()
        try:
            return path.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8 text"
            raise ConfigError(
                "KO-SECRET-FILE",
                f"cannot read the secret file {path}: {reason}",
                where=reference,
                hint="check the path and that this user may read it",
            ) from error

    def _from_manager(self, reference: str, rest: str) -> str:
        if self._fetch is None:
            raise ConfigError(
                "KO-SECRET-MANAGER",
                "nothing here can read AWS Secrets Manager",
                where=reference,
                hint="use env:NAME or file:PATH",
            )
        name, _, key = rest.partition("#")
        value = self._fetch(name)
        if not key:
            return value
        try:
            found = json.loads(value)[key]
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                "KO-SECRET-KEY",
                f"the secret {name} is not a JSON object with the key {key!r}",
                where=reference,
            ) from error
        return str(found)


class RedactingFilter(logging.Filter):
    """Redacts every log record that passes, its arguments and traceback text included."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = redact(record.getMessage())
        record.args = ()
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = redact(record.exc_text)
            record.exc_info = None
        return True
