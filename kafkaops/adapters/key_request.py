"""What the process that holds keys is asked, and what it answers: JSON, without key bytes.

Standard library only, but for the engine's errors: it runs on brokers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kafkaops.engine import errors
from kafkaops.engine.errors import OpsError, StepFailed
from kafkaops.ports.disks import Key

KEY_BYTES = 64
PASSWORD_MOST = 4096
"""What KMS encrypts at most; it fits a pipe, so that no writer waits for a reader."""


@dataclass(frozen=True)
class Account:
    """How AWS is reached: what `kafkaops.config.schema.Aws` says, without its library."""

    region: str = ""
    profile: str = ""
    endpoint_url: str = ""


@dataclass(frozen=True)
class Use:
    """A key and what for. `fresh`: it opens nothing yet, so there is nothing to be compatible
    with, and what would be ambiguous is refused."""

    key: Key
    fresh: bool = False


@dataclass(frozen=True)
class Keyed:
    """A cryptsetup command: `key` is handed to it on its standard input, `new` as a new key file
    on a pipe of its own. The options that say so are added to `argv`, and nothing else."""

    argv: tuple[str, ...]
    key: str
    new: str = ""


@dataclass(frozen=True)
class Request:
    """`uses` by the names that `runs` give; `env` is what the commands see of the environment.
    Commands run in order, up to the first that fails."""

    uses: Mapping[str, Use]
    runs: tuple[Keyed, ...]
    account: Account = field(default_factory=Account)
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ran:
    """A command that ended, with what it wrote to standard error."""

    code: int
    err: str = ""


@dataclass(frozen=True)
class Answer:
    runs: tuple[Ran, ...] = ()
    warnings: tuple[str, ...] = ()


def request_from(raw: Mapping[str, Any]) -> Request:
    uses = {n: Use(Key(**u["key"]), bool(u["fresh"])) for n, u in raw["uses"].items()}
    runs = tuple(Keyed(tuple(r["argv"]), r["key"], r["new"]) for r in raw["runs"])
    return Request(uses, runs, Account(**raw["account"]), dict(raw["env"]))


def answer_from(raw: Mapping[str, Any]) -> Answer:
    """Raises the error that the other process had."""
    if raw.get("error"):
        raise error_from(raw["error"])
    return Answer(tuple(Ran(**r) for r in raw["runs"]), tuple(raw["warnings"]))


def error_to(error: OpsError) -> dict[str, Any]:
    return {
        "kind": type(error).__name__,
        "code": error.code,
        "message": error.message,
        "where": error.where,
        "hint": error.hint,
        "exit": int(error.exit),
    }


def error_from(raw: Mapping[str, Any]) -> OpsError:
    kind = getattr(errors, raw["kind"], StepFailed)
    if not (isinstance(kind, type) and issubclass(kind, OpsError)):
        kind = StepFailed
    said = {"where": raw["where"], "hint": raw["hint"], "exit": errors.Exit(raw["exit"])}
    made: OpsError = kind(raw["code"], raw["message"], **said)
    return made
