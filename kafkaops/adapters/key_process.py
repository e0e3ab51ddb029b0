"""The one short process that holds the bytes of a volume's key.

It reads a `Request` on standard input, has KMS (or the kernel's random numbers) give it the key,
hands it to cryptsetup through pipes, and answers what came of it on standard output.
Invariant: key bytes are in the memory of this process and of cryptsetup, and in the pipe between
them; never in an argument, the environment, a file, a log, an error or a core dump. What it
cannot keep is zeroed before it ends.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast

from kafkaops.adapters.key_request import (
    KEY_BYTES,
    PASSWORD_MOST,
    Account,
    Answer,
    Keyed,
    Ran,
    Request,
    Use,
    error_to,
    request_from,
)
from kafkaops.engine.errors import ConfigError, OpsError, StepFailed
from kafkaops.ports.disks import Key

if TYPE_CHECKING:
    from kafkaops.config.schema import Aws

Fetch = Callable[[Key, Account], bytearray]
Spawn = Callable[[Sequence[str], Sequence[memoryview], Mapping[str, str]], Ran]

NEWLINE = 0x0A
DUMPABLE = 4  # PR_SET_DUMPABLE
CURRENT, FUTURE, ON_FAULT = 1, 2, 4  # mlockall
COMMAND_SECONDS = 240.0
WORDS = 2000


def harden() -> None:
    """No core dump, no debugger, no swap, for this process, and no core dump for its children.

    A core limit of 1, not 0: the kernel then starts no handler of core_pattern's pipe either, to
    which a limit of 0 means nothing (fs/coredump.c)."""
    resource.setrlimit(resource.RLIMIT_CORE, (1, 1))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(DUMPABLE, 0, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    libc.mlockall(CURRENT | FUTURE | ON_FAULT)  # refused without the right to: swap may be off


def main(
    fetch: Fetch | None = None, spawn: Spawn | None = None, harden: Callable[[], None] = harden
) -> None:
    """What runs as a process: `python -I`, with the package's directory in front."""
    sys.excepthook = lambda *_: None
    harden()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # nothing of this process is ever logged
    answer = served(sys.stdin.buffer.read(), fetch or fetched, spawn or handed)
    os.write(1, json.dumps(answer).encode())


def served(raw: bytes, fetch: Fetch, spawn: Spawn) -> dict[str, Any]:
    """The answer to a request. Of an error that is not ours only the type is told: its words and
    its frames may hold a key."""
    try:
        return asdict(carried(request_from(json.loads(raw)), fetch, spawn))
    except OpsError as error:
        return {"error": error_to(error)}
    except BaseException as error:
        kind = type(error).__name__
        told = StepFailed("KO-VOLUME-KEY-PROCESS", f"the key could not be handled: {kind}")
        return {"error": error_to(told)}


def carried(request: Request, fetch: Fetch, spawn: Spawn) -> Answer:
    """Fetch every key, run every command, zero every key."""
    keys: dict[str, bytearray] = {}
    views: dict[str, memoryview] = {}
    warnings: list[str] = []
    ran: list[Ran] = []
    try:
        for name, use in request.uses.items():
            keys[name] = fetch(use.key, request.account)
            views[name] = fitting(keys[name], use, warnings)
        for run in request.runs:
            handing = [views[name] for name in (run.key, run.new) if name]
            ran.append(spawn(command(run, views), handing, request.env))
            if ran[-1].code != 0:
                break
    finally:
        for view in views.values():
            view.release()
        for key in keys.values():
            key[:] = bytes(len(key))
    return Answer(tuple(ran), tuple(warnings))


def fitting(key: bytearray, use: Use, warnings: list[str]) -> memoryview:
    """The bytes that cryptsetup is to have.

    Of a password that ends in a newline that is what stands before the first one, as cryptsetup
    read it in the recipe (`echo "$key" | cryptsetup`); a new volume is not begun with such a one.
    """
    where = use.key.object or use.key.arn
    if use.key.mode != "s3":
        if len(key) != KEY_BYTES:
            raise StepFailed(
                "KO-VOLUME-KEY-LENGTH",
                f"the key has {len(key)} bytes, and a key of this tool {KEY_BYTES}",
                where=where,
            )
        return memoryview(key)
    length = len(key)
    if key.endswith(b"\n"):
        if use.fresh:
            raise ConfigError(
                "KO-VOLUME-KEY-NEWLINE",
                "the password ends in a newline, which some tools take as part of it",
                where=where,
                hint="encrypt it again without one (printf %s instead of echo)",
            )
        length = key.index(NEWLINE)
        warnings.append(
            f"the password in {where} ends in a newline: what stands before it was used; encrypt"
            " that alone anew (printf %s instead of echo) and put it there: it opens the same"
        )
    if not 0 < length <= PASSWORD_MOST:
        raise StepFailed(
            "KO-VOLUME-KEY-LENGTH",
            f"the password has {length} bytes, and may have 1 to {PASSWORD_MOST}",
            where=where,
        )
    return memoryview(key)[:length]


def command(run: Keyed, views: Mapping[str, memoryview]) -> tuple[str, ...]:
    """The command with how it gets its keys; `{pipe}` becomes the pipe of the new one."""
    size = f"--keyfile-size={len(views[run.key])}"
    argv = (*run.argv, "--key-file=-", size)
    return (*argv, f"--new-keyfile-size={len(views[run.new])}", "{pipe}") if run.new else argv


def handed(argv: Sequence[str], keys: Sequence[memoryview], env: Mapping[str, str]) -> Ran:
    """Run it with the first key on its standard input and the next one on a pipe. The bytes fit
    a pipe, so they are in it before the command begins."""
    ends = [filled(key) for key in keys]
    try:
        argv = [a.replace("{pipe}", f"/dev/fd/{ends[-1]}") for a in argv]
        done = subprocess.run(
            argv,
            stdin=ends[0],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=ends[1:],
            env=dict(env),
            cwd="/",
            timeout=COMMAND_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Ran(124, f"not done within {COMMAND_SECONDS:g} s")
    except OSError as error:
        return Ran(127, f"{argv[0]} cannot be run: {error.strerror}")
    finally:
        for end in ends:
            os.close(end)
    return Ran(done.returncode, done.stderr.decode(errors="replace")[-WORDS:])


def filled(key: memoryview) -> int:
    """The reading end of a pipe that holds these bytes."""
    reading, writing = os.pipe()
    try:
        if os.write(writing, key) != len(key):
            raise OSError("a short write into a pipe")
    finally:
        os.close(writing)
    return reading


def fetched(key: Key, account: Account) -> bytearray:
    """The key's bytes from where it says. Errors as `ports.keys` names them."""
    if key.mode == "ephemeral":
        return drawn()
    from kafkaops.adapters.kms import decrypted  # botocore, which not every mode needs

    return decrypted(key, cast("Aws", account))


def drawn() -> bytearray:
    """Random bytes of the kernel, straight into memory that can be zeroed."""
    os.getrandom(1)  # waits, early at boot, until the kernel has gathered enough
    key = bytearray(KEY_BYTES)
    with open("/dev/urandom", "rb", buffering=0) as source:
        if source.readinto(key) != KEY_BYTES:
            raise OSError("a short read of /dev/urandom")
    return key


if __name__ == "__main__":
    main()
