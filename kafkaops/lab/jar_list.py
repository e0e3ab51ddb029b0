"""Which jars the lab's kit has: `jars.json`, by version each jar's coordinate and SHA-256."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from kafkaops.engine.errors import ConfigError

LIST = Path(__file__).with_name("jars.json")


@dataclass(frozen=True)
class Jar:
    """One file of the kit: `group:artifact:version` and its SHA-256 in hex."""

    coordinate: str
    sha256: str

    @property
    def filename(self) -> str:
        _, artifact, version = self.coordinate.split(":")
        return f"{artifact}-{version}.jar"


def versions(listing: Path = LIST) -> tuple[str, ...]:
    """The Kafka versions whose jars are listed."""
    return tuple(sorted(v for v in _lists(listing) if not v.startswith("ecj-")))


def listed(version: str, listing: Path = LIST) -> tuple[Jar, ...]:
    """The jars of one version. ConfigError for one that is not in the list."""
    lists = _lists(listing)
    if version not in lists:
        known = ", ".join(versions(listing)) or "none"
        raise ConfigError(
            "KO-LAB-VERSION",
            f"no list of jars for Kafka {version} (there are {known})",
            where=str(listing),
            hint=f"python -m kafkaops.lab.kit record {version}",
        )
    return tuple(Jar(**entry) for entry in lists[version])


def keep(version: str, jars: Iterable[Jar]) -> None:
    """Put the jars of one version into the list, at once or not at all."""
    lists = _lists(LIST)
    lists[version] = [vars(jar) for jar in jars]
    write(LIST, (json.dumps(lists, indent=1, sort_keys=True) + "\n").encode())


def write(path: Path, data: bytes) -> None:
    """The file as a whole, or as it was."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.write_bytes(data)
    os.replace(scratch, path)


def _lists(listing: Path) -> dict[str, list[dict[str, str]]]:
    return dict(json.loads(listing.read_text()))
