"""Kafka's log directory in a mounted volume: whether it is as Kafka needs it, and made so."""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path

from kafkaops.engine.errors import StepFailed
from kafkaops.model.volume import VolumeSpec

META = "meta.properties"
NOBODYS = {"lost+found"}
SHOWN = 5


def held(spec: VolumeSpec) -> tuple[str, ...]:
    """Some of what lies in it; what a file system makes itself does not count."""
    try:
        names = sorted(set(os.listdir(spec.home)) - NOBODYS)
    except OSError:
        return ()
    return tuple(names[:SHOWN])


def founded(spec: VolumeSpec) -> bool:
    """Whether it is there, its owner's, and has a meta.properties where this is to write one."""
    try:
        found = os.stat(spec.home)
    except OSError:
        return False
    if spec.owner and (found.st_uid, found.st_gid) != owner(spec):
        return False
    return not spec.meta or os.path.exists(os.path.join(spec.home, META))


def make(spec: VolumeSpec) -> None:
    """What is there already is left as it is. StepFailed KO-VOLUME-OWNER, KO-VOLUME-LOG-DIR."""
    ids = owner(spec) if spec.owner else None
    home = Path(spec.home)
    try:
        home.mkdir(parents=True, exist_ok=True)
        home.chmod(0o750)
        if spec.meta and not (home / META).exists():
            new = home / f".{META}.new"
            new.write_text(spec.meta)
            if ids is not None:
                os.chown(new, *ids)
            _synced(new)
            new.rename(home / META)
        if ids is not None:
            os.chown(home, *ids)
        _synced(home)
    except OSError as error:
        raise StepFailed(
            "KO-VOLUME-LOG-DIR", f"{spec.home}: {error.strerror}", where=spec.name
        ) from None


def owner(spec: VolumeSpec) -> tuple[int, int]:
    """The ids of `user:group`."""
    user, _, group = spec.owner.partition(":")
    try:
        return pwd.getpwnam(user).pw_uid, grp.getgrnam(group).gr_gid
    except KeyError as error:
        raise StepFailed(
            "KO-VOLUME-OWNER",
            f"this host has no {error.args[0]}",
            where=spec.name,
            hint=f"create {spec.owner}, or correct `owner` in the config",
        ) from None


def _synced(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
