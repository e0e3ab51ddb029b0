"""Where tarballs of Kafka releases come from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Tarball:
    """One release's tarball: `file` of this machine, or an `url` (signed where needed) that a
    host asks itself. `size` in bytes, 0 where nobody told."""

    release: str
    sha512: str
    file: Path | None = None
    url: str = ""
    size: int = 0


class Versions(Protocol):
    """The releases of the config's `versions`."""

    def sha512(self, release: str) -> str:
        """What the config says of its tarball, which is not looked at. ConfigError
        KO-VERSION-UNKNOWN."""

    def tarball(self, release: str) -> Tarball:
        """ConfigError: a release that the config does not name (KO-VERSION-UNKNOWN), a source that
        is not there (KO-VERSION-SOURCE), a file with another checksum (KO-VERSION-CHECKSUM) or
        of another release (KO-VERSION-OTHER). A file is read whole, once a process."""
