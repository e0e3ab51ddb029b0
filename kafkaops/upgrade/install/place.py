"""Where versions lie on a host: beside each other, with one link to the current one. Pure.

Invariant: a version's directory is whole or absent, and is never changed once it is there; going
from one to the other and back is the same rename of one link.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

MARK = ".kafkaops-sha512"


@dataclass(frozen=True)
class Place:
    """`directory` holds `versions/<release>/` and the link `current`."""

    directory: str

    @property
    def link(self) -> str:
        return f"{self.directory}/current"

    def target(self, release: str) -> str:
        """What the link says for this release."""
        return f"versions/{release}"

    def home(self, release: str) -> str:
        return f"{self.directory}/versions/{release}"

    def mark(self, release: str) -> str:
        """The file that says of which tarball the version was unpacked: its SHA-512."""
        return f"{self.home(release)}/{MARK}"

    def tarball(self, release: str) -> str:
        """Where the tarball is while it is being unpacked."""
        return f"{self.directory}/versions/.{release}.tgz"

    def jar(self, release: str) -> str:
        """A file that every Kafka of this release has."""
        return f"{self.home(release)}/libs/kafka-clients-{release}.jar"

    def said(self, link: str) -> str:
        """A link's text as it is written here, `versions/4.3.1`, where somebody wrote the same
        place another way: from the root, or with a slash at its end."""
        path, below = self.pointed(link), posixpath.normpath(self.directory) + "/"
        return path.removeprefix(below) if path.startswith(below) else link

    def pointed(self, link: str) -> str:
        """The absolute directory that a link text means here."""
        return posixpath.normpath(posixpath.join(self.directory, link))
