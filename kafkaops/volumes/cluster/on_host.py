"""A command of the host module, typed on its host; its JSON document, or its error as ours."""

from __future__ import annotations

import json
from typing import Any

from kafkaops.engine.errors import Exit, StepFailed
from kafkaops.ports.host import Host, Ran
from kafkaops.volumes.module import COMMAND

TIMEOUT = 300.0
"""Seconds for one volume: a format, a file system and what KMS makes one wait for."""
NOT_FOUND = (126, 127)
ENDED = 124
"""What a host's adapter says of a command whose time was over."""


def typed(host: Host, *argv: str, timeout: float = TIMEOUT) -> dict[str, Any]:
    """The document of `kafkaops volume ARGV -o json` on this host. StepFailed with the host's own
    code, words and hint; KO-VOLUME-NO-MODULE where the module is not there, KO-VOLUME-SLOW where it
    was not done in time and was ended."""
    return _document(host, argv, host.run(_line(host, argv), timeout=timeout), timeout)


def status(host: Host, *argv: str) -> list[dict[str, Any]]:
    """The rows of `volume status`, which a plan may ask for; errors as of `typed`."""
    argv = ("status", *argv)
    ran = host.query(_line(host, argv), timeout=TIMEOUT)
    rows: list[dict[str, Any]] = _document(host, argv, ran, TIMEOUT)["volumes"]
    return rows


def _line(host: Host, argv: tuple[str, ...]) -> list[str]:
    return [host.where(COMMAND), "volume", *argv, "-o", "json"]


def _document(host: Host, argv: tuple[str, ...], ran: Ran, timeout: float) -> dict[str, Any]:
    if ran.code in NOT_FOUND:
        raise StepFailed(
            "KO-VOLUME-NO-MODULE",
            f"the host module is not on {host.name}",
            where=host.name,
            hint=f"kafkaops volume install --only {host.name} --cluster blue|green",
        )
    try:
        document: dict[str, Any] = json.loads(ran.out)
    except ValueError:
        said = (ran.err or ran.out).strip().splitlines()
        if ran.code == ENDED:
            raise StepFailed(
                "KO-VOLUME-SLOW",
                f"`kafkaops volume {' '.join(argv)}` on {host.name} was ended after {timeout:g} s,"
                " not done" + (f"; it was at: {said[-1]}" if said else ""),
                where=host.name,
                hint="see what makes the host slow (disk, KMS), then resume: it goes on from there",
            ) from None
        raise StepFailed(
            "KO-VOLUME-HOST",
            f"`kafkaops volume {' '.join(argv)}` on {host.name} ended with {ran.code}"
            + (f": {said[-1]}" if said else ""),
            where=host.name,
            hint="type it on that host to read all it says; `journalctl -n 50` there",
        ) from None
    if ran.code != int(Exit.OK):
        raise _failed(host, document, ran.code)
    return document


def _failed(host: Host, document: dict[str, Any], code: int) -> StepFailed:
    error = document.get("error") or next(
        (
            {"code": row["ended"], "message": row["what"], "hint": row.get("hint", "")}
            for row in document.get("volumes", ())
            if row.get("ended", "done") != "done"
        ),
        {"code": "KO-VOLUME-HOST", "message": f"it ended with {code}", "hint": ""},
    )
    return StepFailed(
        str(error["code"]),
        str(error["message"]),
        where=host.name,
        hint=f"on {host.name}: {error['hint']}" if error.get("hint") else "",
    )
