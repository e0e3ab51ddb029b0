"""An error as an operator sees it: code, what, where, why, the next command; text or JSON.

Invariant: a traceback never reaches the terminal unless KAFKAOPS_DEBUG=1 asks for it, and
with `-o json` stdout holds one document whatever happened.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

from kafkaops.cli.session import Session
from kafkaops.engine.errors import Exit, OpsError

DEBUG = "KAFKAOPS_DEBUG"


def show(error: OpsError, session: Session) -> int:
    """Render the error and return the exit code."""
    if os.environ.get(DEBUG) == "1":
        traceback.print_exception(error)
    details = [str(d) for d in getattr(error, "details", ())]
    resume = str(getattr(error, "resume", ""))
    if session.json:
        body: dict[str, Any] = {
            "code": error.code,
            "message": error.message,
            "where": error.where,
            "hint": error.hint,
        }
        if details:
            body["details"] = details
        if resume:
            body["resume"] = resume
        document = {"schema_version": 1, "error": body, "exit": int(error.exit)}
        print(_clean(json.dumps(document, indent=2)))
    else:
        red, off = ("\x1b[1;31m", "\x1b[0m") if session.colours(stderr=True) else ("", "")
        print(f"{red}error {error.code}{off}: {_clean(error.message)}", file=sys.stderr)
        for line in details:
            print(f"  - {line}", file=sys.stderr)
        if error.where:
            print(f"  where: {error.where}", file=sys.stderr)
        cause = error.__cause__
        # other causes are in the message already
        if isinstance(cause, OpsError) and cause.message not in error.message:
            print(f"  why:   {cause.message}", file=sys.stderr)
        if error.hint:
            print(f"  next:  {error.hint}", file=sys.stderr)
            if (
                session.config is not None
                and "kafkaops " in error.hint
                and " -c " not in error.hint
            ):
                print(f"         (with -c {session.config}, as here)", file=sys.stderr)
        if resume and resume not in error.hint:
            print(f"  go on: {resume}", file=sys.stderr)
    return int(error.exit)


def unexpected(error: BaseException, session: Session) -> OpsError:
    """The error to show for an exception nobody expected; its traceback goes to a log file."""
    what = _one_line(error)
    try:
        log = _log(error, session)
        hint = f"this is a bug; details in {log}"
    except OSError as full:
        hint = f"this is a bug; repeat with {DEBUG}=1 for details (no log: {_one_line(full)})"
    bug = OpsError("KO-UNEXPECTED", what, hint=hint, exit=Exit.UNEXPECTED)
    if os.environ.get(DEBUG) == "1":
        bug.__cause__ = error
    return bug


def of_os(error: OSError) -> OpsError | None:
    """A full or read-only state directory and the like, as the operator's error it is."""
    import errno

    name = str(error.filename or "")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OpsError(
            "KO-DISK-FULL",
            f"no space left{f' for {name}' if name else ''}",
            where=name,
            hint="free some space, then repeat the command; a run goes on with"
            " `kafkaops run resume ID`",
            exit=Exit.STEP_FAILED,
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS) and name:
        return OpsError(
            "KO-PERMISSION",
            f"{error.strerror}: {name}",
            where=name,
            hint="check who owns it; state.dir of the config says where runs are kept",
            exit=Exit.CONFIG,
        )
    return None


def _log(error: BaseException, session: Session) -> Path:
    from kafkaops.engine.clock import SystemClock

    directory = session.log_dir()
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"crash-{int(SystemClock().wall() * 1000)}-{os.getpid()}.txt"
    # Options that carry values (--reason, --set) are left out: they may hold what is private.
    words = [w for w in session.argv if w.startswith("-") or w.isidentifier()]
    text = "".join(traceback.format_exception(error))
    path.write_text(_clean(f"kafkaops {' '.join(words)}\n\n{text}"), encoding="utf-8")
    return path


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    name = type(error).__name__
    return f"{name}: {text}" if text else name


def _clean(text: str) -> str:
    """The text without any secret that this process resolved."""
    secrets = sys.modules.get("kafkaops.config.secrets")
    return str(secrets.redact(text)) if secrets is not None else text
