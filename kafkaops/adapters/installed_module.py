"""The host module of what is installed here: the parts as this Python has them."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import kafkaops
from kafkaops.engine.errors import ConfigError
from kafkaops.volumes.module import DISTRIBUTIONS, Module, belongs, pack


def packed() -> Module:
    """ConfigError KO-MODULE-PART where a part is not installed here."""
    return pack(
        {path: data for name in DISTRIBUTIONS for path, data in _part(name).items()},
        metadata.version("kafkaops"),
    )


def _part(name: str) -> dict[str, bytes]:
    try:
        distribution = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        raise ConfigError(
            "KO-MODULE-PART",
            f"{name} is not installed here, and the module for hosts needs it",
            hint="install kafkaops anew, with its dependencies: make install",
        ) from None
    paths = [str(path) for path in distribution.files or ()]
    found = {
        path: Path(str(distribution.locate_file(path))).read_bytes()
        for path in paths
        if belongs(path)
    }
    return found | _own() if name == "kafkaops" else found


def _own() -> dict[str, bytes]:
    """The package as it runs now: an editable installation lists none of its files."""
    top = Path(kafkaops.__file__).parent
    files = {f"kafkaops/{file.relative_to(top).as_posix()}": file for file in top.rglob("*.*")}
    return {path: file.read_bytes() for path, file in files.items() if belongs(path)}
