"""A kit in a cache of its own: the listed jars by name, each with a line that says which it is."""

from __future__ import annotations

from pathlib import Path

from kafkaops.lab import kit
from kafkaops.lab.jar_list import listed

VERSIONS = ("3.9.2", "4.3.1")


def lay_out() -> Path:
    """Put it where `kit.cache()` says; no jar is fetched after that."""
    for version in VERSIONS:
        directory = kit.cache() / version
        directory.mkdir(parents=True)
        for jar in listed(version):
            (directory / jar.filename).write_text(f"{jar.filename} of {version}")
        kit.settle(directory, listed(version))
    return kit.cache()
