"""A volume in a virtual machine whose processor is emulated: what preparing and opening one take,
and opening with the key derivation of kafkaops against cryptsetup's default, in turns."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest

from kafkaops.adapters.key_request import Account
from kafkaops.adapters.kms import KmsKeys
from kafkaops.adapters.luks_commands import RANDOM_KDF
from kafkaops.adapters.luks_disks import LuksDisks
from kafkaops.engine.clock import SystemClock
from kafkaops.lab.vm.machine import Disk, machine
from kafkaops.model.volume import VolumeSpec
from kafkaops.volumes import token
from kafkaops.volumes.module import COMMAND
from tests.bench.timing import figure
from tests.integration.real_vm import image_or_skip
from tests.integration.volume_host import Aws, Broker, emulated, wrapped

KEY = bytes(range(64))
FED = ("--key-file=-", "--keyfile-size=64")
FORMAT = ("cryptsetup", "luksFormat", "-q", "--type", "luks2", "--key-size", "512")
ROUNDS = 3


def figures() -> list[dict[str, Any]]:
    one, two = Disk("AWS1"), Disk("AWS2")
    with (
        tempfile.TemporaryDirectory() as directory,
        emulated() as aws,
        machine(image_or_skip(), Path(directory) / "vm", (one, two)) as vm,
    ):
        broker = Broker(vm)
        broker.installed(aws, wrapped(aws))
        start = _took(lambda: broker.must(COMMAND, "--version"))
        prepared = _took(lambda: broker.volume("prepare", "--yes"))
        opened = []
        for _ in range(ROUNDS):
            broker.volume("close")
            opened.append(_took(lambda: broker.volume("open")))
        broker.volume("close")
        ours, theirs = _derivations(broker, two)
        here = _key_and_unlock(Path(directory) / "disk", aws)
    return [
        figure("a wrapped key from KMS, and unlock with it, on this machine", here, "s", None),
        figure("volume prepare against the start of the command", prepared, "s", start),
        figure("volume open against the start of the command", _middle(opened), "s", start),
        figure("unlock with a random key: PBKDF2 against argon2id", ours, "s", theirs),
    ]


def _derivations(broker: Broker, disk: Disk) -> tuple[float, float]:
    """cryptsetup alone, in the machine: the medians of both, of headers on one disk in turns."""
    found: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for times, kdf in zip(found, (RANDOM_KDF, ()), strict=True):
            _fed(broker, *FORMAT, *kdf, *FED, disk.path)
            argv = ("cryptsetup", "open", *FED, disk.path, "bench")
            times.append(_took(lambda argv=argv: _fed(broker, *argv)))  # type: ignore[misc]
            broker.must("cryptsetup", "close", "bench")
    return _middle(found[0]), _middle(found[1])


def _key_and_unlock(file: Path, aws: Aws) -> float:
    """The key process, KMS and cryptsetup as `volume open` has them, on this machine's own
    processor; without the mapping, which needs device-mapper."""
    with file.open("wb") as disk:
        disk.truncate(64 << 20)
    spec = VolumeSpec("demo", 1, "data-1", str(file), "/nowhere", key=aws.key)
    account = Account("eu-west-1", endpoint_url=aws.endpoint)
    with pytest.MonkeyPatch.context() as env:
        env.setenv("AWS_ACCESS_KEY_ID", "lab")
        env.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        key = KmsKeys(cast(Any, account), SystemClock()).new(aws.key, spec.context)
        disks = LuksDisks(account)
        disks.format(spec, str(uuid4()), key, token.first(spec, key, 0.0).to_json())
        return _middle([_took(lambda: disks.key_opens(spec, key, 0)) for _ in range(ROUNDS)])


def _fed(broker: Broker, *argv: str) -> None:
    code, _, err = broker.host.command(argv, KEY, 300)
    if code:
        raise RuntimeError(err.decode())


def _took(deed: Callable[[], object]) -> float:
    begun = time.perf_counter()
    deed()
    return time.perf_counter() - begun


def _middle(values: list[float]) -> float:
    return statistics.median(values)
