"""cryptsetup's command lines, and what its failures mean.

Source: cryptsetup(8) 2.6; its exit codes: 1 wrong parameters, 2 no permission (the key opens
nothing), 4 wrong device, 5 the device is there already or is in use.
"""

from __future__ import annotations

from kafkaops.adapters.key_request import Ran
from kafkaops.engine.errors import ConfigError, OpsError, StepFailed
from kafkaops.model.volume import VolumeSpec
from kafkaops.ports.disks import Key

REFUSED, BUSY, NOT_FOUND = 2, 5, 127
RANDOM_KDF = ("--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000")
"""512 random bits need no stretching, and argon2 would cost a GiB of memory at each boot."""
PASSWORD_KDF = ("--pbkdf", "pbkdf2", "--iter-time", "2000")
HEADER = 16 * 1024 * 1024
"""Bytes of a LUKS2 header as cryptsetup lays it out: both copies and the keyslots."""
QUIET = "--batch-mode"


def kdf(key: Key) -> tuple[str, ...]:
    return PASSWORD_KDF if key.mode == "s3" else RANDOM_KDF


def format_(spec: VolumeSpec, device: str, uuid: str, key: Key, header: str) -> tuple[str, ...]:
    """Into the file `header`: the device itself is only looked at. `--offset` counts in 512 bytes:
    the data begins where it does behind a header on the device."""
    return (
        *("cryptsetup", "luksFormat", QUIET, "--type", "luks2"),
        *("--cipher", "aes-xts-plain64", "--key-size", "512", "--sector-size", "4096"),
        *("--label", spec.label, "--uuid", uuid, "--key-slot", "0", *kdf(key)),
        *("--header", header, "--offset", str(HEADER // 512), device),
    )


def open_(spec: VolumeSpec, device: str, *, store: bool, header: str = "") -> tuple[str, ...]:
    """`store`: write the flags into the header too, so that they hold for whoever opens it.
    Discards are never allowed: they would show which blocks are in use."""
    perf = tuple(f"--perf-{flag}" for flag in spec.perf)
    persistent = ("--persistent",) if store else ()
    apart = ("--header", header) if header else ()
    return ("cryptsetup", "open", "--type", "luks", *apart, *perf, *persistent, device, spec.mapper)


def test(spec: VolumeSpec, slot: int | None) -> tuple[str, ...]:
    """Without locks, cryptsetup does not mend a damaged header copy on the way: this is a look."""
    one = () if slot is None else ("--key-slot", str(slot))
    return (
        *("cryptsetup", "open", "--type", "luks", "--test-passphrase", "--disable-locks"),
        *one,
        spec.device,
    )


def slot_add(spec: VolumeSpec, new: Key, slot: int) -> tuple[str, ...]:
    return (
        *("cryptsetup", "luksAddKey", QUIET, "--key-slot", str(slot), *kdf(new)),
        spec.device,
    )


def slot_kill(spec: VolumeSpec, slot: int) -> tuple[str, ...]:
    return ("cryptsetup", "luksKillSlot", QUIET, spec.device, str(slot))


def fault(action: str, ran: Ran, spec: VolumeSpec) -> OpsError:
    """A command's failure as an error."""
    said = ran.err.strip() or f"exit code {ran.code}"
    if ran.code == REFUSED:
        return StepFailed(
            "KO-VOLUME-KEY-REFUSED",
            f"no keyslot of {spec.device} takes this key: {said}",
            where=spec.device,
            hint="kafkaops volume status shows the header, its tokens and their copies",
        )
    if ran.code == BUSY:
        return StepFailed("KO-VOLUME-BUSY", f"{spec.device} is in use: {said}", where=spec.device)
    if ran.code == NOT_FOUND:
        return ConfigError("KO-VOLUME-CRYPTSETUP", said, hint="install cryptsetup")
    return StepFailed("KO-VOLUME-TOOL", f"{action}: {said}", where=spec.device)
