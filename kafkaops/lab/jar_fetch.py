"""Downloading one jar by its coordinate, from jgo's repositories or the operator's mirrors."""

from __future__ import annotations

import hashlib
import shutil
import time
from pathlib import Path
from typing import Any

from kafkaops.engine.errors import ConfigError

TRIES = 3


def download(coordinate: str, scratch: Path) -> Path:
    """The jar of `group:artifact:version`, somewhere below `scratch`, an empty directory.
    ConfigError when several tries did not bring it."""
    import requests

    context = context_in(scratch)
    group, artifact, version = coordinate.split(":")
    last: Exception | None = None
    for attempt in range(TRIES):
        if attempt:
            shutil.rmtree(scratch)  # a torn file of the last try would be taken as whole
            scratch.mkdir()
            time.sleep(attempt)
        try:
            return Path(context.project(group, artifact).at_version(version).artifact().resolve())
        except (requests.RequestException, RuntimeError, OSError) as error:
            last = error
    raise ConfigError(
        "KO-LAB-FETCH",
        f"could not fetch {coordinate} in {TRIES} tries: {last}",
        hint="check the network, or name a mirror in jgo's settings file ([repositories])",
    )


def context_in(scratch: Path) -> Any:
    """jgo's Maven context with the operator's mirrors first, caching only into `scratch`:
    jgo does not write its cache atomically, so a shared one could hold torn files."""
    try:
        from jgo.config import GlobalSettings
        from jgo.constants import MAVEN_CENTRAL_URL
        from jgo.maven import MavenContext
    except ImportError:
        raise no_extra("jgo") from None
    remotes = {**GlobalSettings.load().repositories, "central": MAVEN_CENTRAL_URL}
    return MavenContext(repo_cache=scratch, remote_repos=remotes, timeout=30)


def sha256(path: Path) -> str:
    """In hex, of a whole file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def no_extra(module: str) -> ConfigError:
    """What to say where a package of the extra `lab` is missing."""
    return ConfigError(
        "KO-LAB-EXTRA",
        f"the Python package {module} is not installed",
        hint="pip install 'kafkaops[lab]'",
    )
