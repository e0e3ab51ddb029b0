"""A Kafka release as a value that can be compared. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kafkaops.engine.errors import UsageFault

FORM = re.compile(r"(\d+)\.(\d+)\.(\d+)")
# Kafka's own server jar: kafka_<scala>-<release>.jar
JAR = re.compile(r"(?P<root>/.*)/libs/kafka_2\.\d+-(?P<release>\d+\.\d+\.\d+)\.jar$")


@dataclass(frozen=True, order=True)
class Release:
    """Major, minor and patch, as in `4.3.1`."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"

    @classmethod
    def of(cls, text: str) -> Release:
        """UsageFault for what is no release."""
        found = FORM.fullmatch(text)
        if found is None:
            raise UsageFault("KO-RELEASE", f"{text!r} is no Kafka release", hint="--to 4.3.1")
        return cls(*map(int, found.groups()))

    @property
    def line(self) -> str:
        """Major and minor: what features and notes of an upgrade go by."""
        return f"{self.major}.{self.minor}"


@dataclass(frozen=True)
class Running:
    """What a process runs, by the jar that it holds open: the release, and the directory that it
    was unpacked to. `gone` where that jar was removed or replaced since."""

    release: Release
    root: str
    gone: bool = False


def running(open_files: tuple[str, ...]) -> Running | None:
    """What the process with these open files runs; None when no Kafka server jar is among them.
    The link says what will be started next; only the open jars say what runs (proc(5), `fd/`)."""
    for name in open_files:
        gone = name.endswith(" (deleted)")
        found = JAR.fullmatch(name.removesuffix(" (deleted)"))
        if found is not None:
            return Running(Release.of(found["release"]), found["root"], gone)
    return None
