"""Has the process that holds keys run cryptsetup: this side of it sees no key byte.

The process is a fresh interpreter in isolated mode (no PYTHON variables, no working directory on
its path), which loads kafkaops from where this process has it.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import kafkaops
from kafkaops.adapters.key_request import Account, Keyed, Ran, Request, Use, answer_from
from kafkaops.engine.errors import StepFailed, TimedOut

if TYPE_CHECKING:
    from kafkaops.config.schema import Aws

START = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from kafkaops.adapters.key_process import main; main()"
)
SECONDS = 600.0  # KMS with all its retries, then each command


def program() -> tuple[str, ...]:
    """What starts the process."""
    return (sys.executable, "-I", "-c", START, str(Path(kafkaops.__file__).parent.parent))


class KeyCaller:
    """`warn` is told what an operator should hear though all went well."""

    def __init__(
        self,
        aws: Aws | Account,
        *,
        argv: Sequence[str] = (),
        warn: Callable[[str], None] = logging.getLogger(__name__).warning,
    ) -> None:
        self._account = Account(aws.region, aws.profile, aws.endpoint_url)
        self._argv = tuple(argv) or program()
        self._warn = warn

    def run(
        self, uses: Mapping[str, Use], runs: Sequence[Keyed], env: Mapping[str, str]
    ) -> tuple[Ran, ...]:
        """The commands as they ended, the last of them perhaps in failure. Raises what
        `ports.keys` names, KO-VOLUME-KEY-*, TimedOut."""
        request = Request(uses, tuple(runs), self._account, env)
        answer = answer_from(self._asked(json.dumps(asdict(request)).encode()))
        for warning in answer.warnings:
            self._warn(warning)
        return answer.runs

    def _asked(self, request: bytes) -> Mapping[str, object]:
        with subprocess.Popen(
            self._argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            start_new_session=True,  # Ctrl-C is for us: a key half handed over is no place to stop
        ) as process:
            try:
                out, err = process.communicate(request, timeout=SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)  # cryptsetup with it
                raise TimedOut(
                    "KO-VOLUME-KEY-PROCESS", f"the key's process did not end within {SECONDS:g} s"
                ) from None
        try:
            answer: Mapping[str, object] = json.loads(out)
        except ValueError:
            words = err.decode(errors="replace").strip().splitlines()
            said = words[-1] if words else f"exit code {process.returncode}"
            raise StepFailed(
                "KO-VOLUME-KEY-PROCESS", f"the key's process did not answer: {said}"
            ) from None
        return answer
