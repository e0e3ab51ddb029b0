"""cryptsetup itself killed before each of its writes, in the middle of a rotation or a rewrap: some
key opens the volume at every one of them, and the next run finishes what was begun.

The kernel kills it where strace says so, on a real LUKS2 header in a file. Some moments are drawn
by a seed; all of them in `make soak`.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kafkaops.adapters.disk_tools import SYSTEM_PATH, Tools
from kafkaops.engine.errors import StepFailed
from kafkaops.volumes.rotating import rewrap, rotate
from tests.unit.adapters.volume_parts import needs, needs_cryptsetup
from tests.unit.volumes.on_cryptsetup import Made

pytestmark = [needs_cryptsetup, needs("strace", "strace")]

HEADER = 6
"""Writes of one update of the header: two copies, each its binary part, its JSON, its checksum."""
ROTATION = (
    ("token import", HEADER),
    ("luksAddKey", 2 + HEADER),  # the keyslot in two parts first
    ("token import", HEADER),
    ("token remove", HEADER),
    ("luksKillSlot", 1 + HEADER),  # the keyslot's bytes first
    ("token import", HEADER),
)
REWRAP = (("token import", HEADER),)
SOAK = bool(os.environ.get("KAFKAOPS_SOAK"))
SEED, DRAWN = 7, 5
CHANGES = "token|luksAddKey|luksKillSlot"
WRAPPER = """\
#!/bin/sh
# Counts what changes the header; kills the CALL-th of it before its WRITE-th write.
case "$1" in {changes}) ;; *) exec {real} "$@" ;; esac
echo "$1 $2" >> {calls}
if [ "$(wc -l < {calls})" -ne {call} ]; then exec {real} "$@"; fi
exec strace -qq -o {trace} -e trace=write -e inject=write:signal=SIGKILL:when={write} {real} "$@"
"""

Work = Callable[[Made], object]
WORKS: dict[str, tuple[Work, tuple[tuple[str, int], ...]]] = {
    "rotate": (lambda made: rotate(made.ground, made.spec), ROTATION),
    "rewrap": (lambda made: rewrap(made.ground, made.spec, "arn:2"), REWRAP),
}


def moments() -> list[tuple[str, int, int]]:
    every = [
        (name, call, write)
        for name, (_, calls) in WORKS.items()
        for call, (_, writes) in enumerate(calls, 1)
        for write in range(1, writes + 1)
    ]
    return every if SOAK else random.Random(SEED).sample(every, DRAWN)


def killed_at(made: Made, directory: Path, call: int, write: int) -> Path:
    """Have the volume's cryptsetup be killed there; what it was asked to change until then."""
    real = next(str(p) for d in SYSTEM_PATH.split(":") if (p := Path(d, "cryptsetup")).exists())
    calls, home = directory / "calls", directory / "bin"
    calls.touch()
    home.mkdir()
    wrapper = home / "cryptsetup"
    wrapper.write_text(
        WRAPPER.format(
            changes=CHANGES,
            real=real,
            calls=calls,
            call=call,
            write=write,
            trace=directory / "trace",
        )
    )
    wrapper.chmod(0o755)
    tools = Tools(path=f"{home}:{SYSTEM_PATH}", uid=lambda: 0)
    made.ground = replace(made.ground, disks=made.bench.with_parts(tools=tools))
    return calls


@pytest.mark.parametrize(("name", "call", "write"), moments())
def test_some_key_opens_it_at_every_write_and_the_next_run_finishes(
    tmp_path: Path, name: str, call: int, write: int
) -> None:
    made = Made(tmp_path)
    work, expected = WORKS[name]
    calls = killed_at(made, tmp_path, call, write)
    with pytest.raises(StepFailed):
        work(made)
    asked = calls.read_text().splitlines()
    assert len(asked) == call
    assert asked[-1].startswith(expected[call - 1][0])

    made.ground = replace(made.ground, disks=made.bench.disks)  # the next run, undisturbed
    verdict = made.ground.judged(made.spec)[1]
    assert verdict.token is not None, verdict
    assert made.bench.disks.key_opens(made.spec, verdict.token.key)
    work(made)
    assert made.slots() == (made.now.slot,)
    assert made.bench.disks.key_opens(made.spec, made.now.key, made.now.slot)


def test_the_moments_are_all_there_are(tmp_path: Path) -> None:
    """One write further than the last of each call, nothing is killed."""
    made = Made(tmp_path)
    call = len(ROTATION)
    killed_at(made, tmp_path, call, ROTATION[-1][1] + 1)
    rotate(made.ground, made.spec)
    written = (tmp_path / "trace").read_text().count("write(")
    assert written == ROTATION[-1][1]
    assert (tmp_path / "calls").read_text().splitlines() == [
        f"{first} {second}".strip()
        for first, second in (
            ("token", "import"),
            ("luksAddKey", "--batch-mode"),
            ("token", "import"),
            ("token", "remove"),
            ("luksKillSlot", "--batch-mode"),
            ("token", "import"),
        )
    ]
