"""The audit log: who ran what on which plan, why, and how it ended. Append-only, fsynced.

Invariant: no secret gets in: what an argument or a reason says of passwords, tokens and the
like is replaced before it is written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from kafkaops.engine.clock import Clock
from kafkaops.engine.errors import ConfigError
from kafkaops.engine.files import Files, OsFiles
from kafkaops.engine.lease import Holder
from kafkaops.engine.plan_json import canonical

HIDDEN = "***"
WORDS = "password|passwd|passphrase|secret|token|credential|api[_-]?key|private[_-]?key"
SECRET = rf"[\w.-]*(?:{WORDS})[\w.-]*"
VALUE = r"(?:\"[^\"]*\"|'[^']*'|[^\s,;&\"']+)"
PATTERNS = (
    (re.compile(rf"(?i)\b({SECRET}\s*[=:]\s*){VALUE}"), rf"\1{HIDDEN}"),
    (re.compile(r"(?i)(\b[a-z][a-z0-9+.-]*://[^/\s:@]*:)[^/\s@]+@"), rf"\1{HIDDEN}@"),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"), HIDDEN),
)
REFERENCE = re.compile(r"(?i)^(env|file|secretsmanager):")


@dataclass(frozen=True)
class Entry:
    """One line. `outcome` is empty when a command began, else how it ended; `exit` its code."""

    at: float
    user: str
    host: str
    pid: int
    argv: tuple[str, ...]
    run: str
    cluster: str
    plan_hash: str
    reason: str
    outcome: str
    exit: int | None


class Audit:
    """`path` is usually `<state>/audit.jsonl`."""

    def __init__(self, path: Path, clock: Clock, files: Files | None = None) -> None:
        self._path, self._clock, self._files = path, clock, files or OsFiles()

    def write(
        self,
        argv: Sequence[str],
        *,
        run: str = "",
        cluster: str = "",
        plan_hash: str = "",
        reason: str = "",
        outcome: str = "",
        exit: int | None = None,
    ) -> Entry:
        """Append one entry; it is on disk when this returns. OpsError KO-DISK-FULL."""
        me = Holder.here(run, self._clock.wall())
        entry = Entry(
            at=me.since,
            user=me.user,
            host=me.host,
            pid=me.pid,
            argv=redacted_argv(argv),
            run=run,
            cluster=cluster,
            plan_hash=plan_hash,
            reason=redacted(reason),
            outcome=redacted(outcome),
            exit=exit,
        )
        held = self._files.read(self._path)
        if held is None:
            self._files.create(self._path, b"")
        elif held and not held.endswith(b"\n"):  # a writer died in the middle of its line
            self._files.truncate(self._path, held.rfind(b"\n") + 1)
        self._files.append(self._path, (canonical(asdict(entry)) + "\n").encode())
        return entry

    def entries(self) -> tuple[Entry, ...]:
        """All entries, oldest first; an unfinished last line is left out.
        ConfigError KO-AUDIT-DAMAGED naming the line."""
        *lines, _ = (self._files.read(self._path) or b"").split(b"\n")
        found = []
        for number, line in enumerate(lines, start=1):
            try:
                body = json.loads(line)
                found.append(Entry(**(body | {"argv": tuple(body["argv"])})))
            except (ValueError, TypeError, KeyError) as error:
                raise ConfigError(
                    "KO-AUDIT-DAMAGED",
                    f"line {number} of the audit log is damaged",
                    where=f"{self._path}:{number}",
                ) from error
        return tuple(found)


def redacted(text: str) -> str:
    """The text without passwords, tokens, keys and credentials in addresses."""
    for pattern, instead in PATTERNS:
        text = pattern.sub(instead, text)
    return text


def redacted_argv(argv: Sequence[str]) -> tuple[str, ...]:
    """The same for a command line, where a secret may also follow its flag. A reference to a
    secret (`env:NAME`) is not one and stays."""
    found: list[str] = []
    hide = False
    for word in argv:
        flag = word.startswith("-") and "=" not in word and re.search(rf"(?i){SECRET}", word)
        _, equals, value = word.rpartition("=")
        if hide and not word.startswith("-"):
            found.append(word if REFERENCE.match(word) else HIDDEN)
        elif equals and REFERENCE.match(value):
            found.append(word)
        else:
            found.append(redacted(word))
        hide = bool(flag)
    return tuple(found)
