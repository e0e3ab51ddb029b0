"""What was asked for of the volumes of a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

INSTALL, PREPARE, OPEN, MOUNT, CLOSE = "install", "prepare", "open", "mount", "close"
ROTATE, REWRAP, BACKUP, ERASE = "rotate", "rewrap", "header-backup", "erase"


@dataclass(frozen=True)
class Asked:
    """`hosts` and `volumes` by name, empty for all; `key` the KMS key of a rewrap."""

    verb: str
    cluster: str
    hosts: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    key: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "verb": self.verb,
            "cluster": self.cluster,
            "hosts": list(self.hosts),
            "volumes": list(self.volumes),
            "key": self.key,
        }

    @staticmethod
    def of(options: Mapping[str, Any]) -> Asked:
        return Asked(
            str(options["verb"]),
            str(options["cluster"]),
            tuple(map(str, options["hosts"])),
            tuple(map(str, options["volumes"])),
            str(options["key"]),
        )
