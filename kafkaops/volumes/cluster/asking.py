"""What was asked for of the volumes of a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

INSTALL, PREPARE, OPEN, MOUNT, CLOSE = "install", "prepare", "open", "mount", "close"
ROTATE, REWRAP, BACKUP, ERASE = "rotate", "rewrap", "header-backup", "erase"


@dataclass(frozen=True)
class Asked:
    """`hosts` and `volumes` by name, empty for all; `key` the KMS key of a rewrap; `new` where the
    cluster was never started, so that there is nobody to ask."""

    verb: str
    cluster: str
    hosts: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    key: str = ""
    new: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "verb": self.verb,
            "cluster": self.cluster,
            "hosts": list(self.hosts),
            "volumes": list(self.volumes),
            "key": self.key,
            "new": self.new,
        }

    @staticmethod
    def of(options: Mapping[str, Any]) -> Asked:
        return Asked(
            str(options["verb"]),
            str(options["cluster"]),
            tuple(map(str, options["hosts"])),
            tuple(map(str, options["volumes"])),
            str(options["key"]),
            new=bool(options.get("new")),
        )
