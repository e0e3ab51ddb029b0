"""A Kafka release as an operator installs it: bin/, config/ and libs/, from the kit's jars.

Invariant: what is laid out on a lab host and what is packed as a tarball is the same, file for
file; the same release packs to the same bytes each time.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from kafkaops.engine.errors import ConfigError
from kafkaops.lab import kit
from kafkaops.lab.kit import Say

LEVEL = 1
"""gzip's: jars are compressed already."""

START = """\
#!/bin/sh
# Runs a node in the foreground: kafka-server-start.sh SERVER.PROPERTIES
# Taken from the environment: JAVA_HOME, KAFKA_HEAP_OPTS, KAFKA_JVM_PERFORMANCE_OPTS,
# KAFKA_LOG4J_OPTS, KAFKA_OPTS, and KAFKA_CLASS_ARCHIVES, a directory with VERSION.jsa for the
# class-data archives of those versions that have one.
if [ $# -lt 1 ]; then
  echo "usage: $0 SERVER.PROPERTIES" >&2
  exit 2
fi
# As it was called, links and all: it runs what the link names.
home=$(dirname "$0")/..
CLASSPATH= version=
for jar in "$home"/libs/*.jar; do
  CLASSPATH=${CLASSPATH:+$CLASSPATH:}$jar
  case $jar in */kafka_2.13-*) version=${jar##*/kafka_2.13-} version=${version%.jar} ;; esac
done
export CLASSPATH
set -f # options are words, not patterns
set -- kafka.Kafka "$@"
if [ -z "${KAFKA_LOG4J_OPTS:-}" ]; then
  if [ -e "$home/config/log4j2.properties" ]; then
    set -- "-Dlog4j2.configurationFile=$home/config/log4j2.properties" "$@"
  else
    set -- "-Dlog4j.configuration=file:$home/config/log4j.properties" "$@"
  fi
fi
archive=${KAFKA_CLASS_ARCHIVES:-}/$version.jsa
if [ -e "$archive" ]; then set -- "-XX:SharedArchiveFile=$archive" "$@"; fi
# Each of these holds several arguments.
exec "${JAVA_HOME:+$JAVA_HOME/bin/}java" ${KAFKA_HEAP_OPTS:--Xms1g -Xmx1g} \\
  ${KAFKA_JVM_PERFORMANCE_OPTS:--server -XX:+UseG1GC} ${KAFKA_LOG4J_OPTS:-} ${KAFKA_OPTS:-} "$@"
"""

LOG4J = """\
log4j.rootLogger=INFO, out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=%d{ISO8601} %p %m (%c{1})%n
log4j.logger.org.reflections=ERROR
log4j.logger.org.apache.zookeeper=WARN
log4j.logger.state.change.logger=WARN
"""

LOG4J2 = """\
status=error
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{ISO8601} %p %m (%c{1})%n
rootLogger.level=info
rootLogger.appenderRef.out.ref=out
logger.state.name=state.change.logger
logger.state.level=warn
"""


@dataclass(frozen=True)
class Packed:
    """A tarball: where it is, its SHA-512 in hex, its size in bytes."""

    path: Path
    sha512: str
    size: int


@dataclass(frozen=True)
class _File:
    """One file of a release: its text, or the jar that it is a copy of."""

    name: str
    content: str | Path
    mode: int = 0o644


def directory_name(version: str) -> str:
    """The one directory at the top of Kafka's own tarballs."""
    return f"kafka_2.13-{version}"


def install(version: str, target: Path, say: Say = kit.quiet) -> None:
    """Lay the release out as `target`, which must not exist. Jars are hard links to the kit's
    where the file system allows it, so that many hosts cost no more than one."""
    for file in _files(version, say):
        path = target / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(file.content, Path):
            _link(file.content, path)
        else:
            path.write_text(file.content)
            path.chmod(file.mode)


def pack(version: str, out: Path, say: Say = kit.quiet) -> Packed:
    """Write `out`/kafka_2.13-VERSION.tgz and its `.sha512`, as `sha512sum -c` reads it, each at
    once or not at all. ConfigError for a version that the kit does not have, or where `out`
    cannot be written."""
    path = out / f"{directory_name(version)}.tgz"
    files = list(_files(version, say))
    try:
        out.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".part{os.getpid()}")
        try:
            with part.open("wb") as raw:
                _write(version, files, raw)
            with part.open("rb") as made:
                digest = hashlib.file_digest(made, "sha512").hexdigest()
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
        path.with_name(f"{path.name}.sha512").write_text(f"{digest}  {path.name}\n")
    except OSError as error:
        raise ConfigError(
            "KO-LAB-PACK", f"cannot write {path}: {error.strerror or error}", where=str(out)
        ) from error
    return Packed(path, digest, path.stat().st_size)


def _files(version: str, say: Say) -> Iterator[_File]:
    """In order of name. Only the logging configuration that the version understands."""
    yield _File("bin/kafka-server-start.sh", START, 0o755)
    if int(version.partition(".")[0]) >= 4:
        yield _File("config/log4j2.properties", LOG4J2)
    else:
        yield _File("config/log4j.properties", LOG4J)
    for jar in sorted(kit.fetch(version, say).glob("*.jar")):
        yield _File(f"libs/{jar.name}", jar)


def _write(version: str, files: list[_File], raw: IO[bytes]) -> None:
    """Nothing of this machine or this moment goes in: no times, owners, or file name."""
    zipped = gzip.GzipFile(filename="", mode="wb", compresslevel=LEVEL, fileobj=raw, mtime=0)
    with zipped, tarfile.open(fileobj=zipped, mode="w|", format=tarfile.USTAR_FORMAT) as tar:
        top = directory_name(version)
        for name in (top, *(f"{top}/{d}" for d in ("bin", "config", "libs"))):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        for file in files:
            entry = tarfile.TarInfo(f"{top}/{file.name}")
            entry.mode = file.mode
            if isinstance(file.content, Path):
                entry.size = file.content.stat().st_size
                with file.content.open("rb") as jar:
                    tar.addfile(entry, jar)
            else:
                data = file.content.encode()
                entry.size = len(data)
                tar.addfile(entry, cast(IO[bytes], io.BytesIO(data)))


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one that has no hard links
        shutil.copy2(source, target)
