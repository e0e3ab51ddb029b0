"""Making the list of jars: resolve a version's dependencies, hash what is served now."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from kafkaops.lab.jar_fetch import context_in, download, sha256
from kafkaops.lab.jar_list import Jar, keep

# An address that only points elsewhere; the binding we add is what it points to.
MOVED = {("org.slf4j", "slf4j-log4j12")}


def record(version: str, say: Callable[[str], None]) -> tuple[Jar, ...]:
    """Resolve one version's jars, hash what is served now, and put them into `jars.json`."""
    with tempfile.TemporaryDirectory(prefix="kafkaops-kit-") as scratch:
        coordinates = _resolve(version, Path(scratch))
        say(f"{version}: {len(coordinates)} jars")
        lock = threading.Lock()
        done = 0

        def one(coordinate: str) -> Jar:
            nonlocal done
            where = Path(tempfile.mkdtemp(dir=scratch))
            jar = Jar(coordinate, sha256(download(coordinate, where)))
            with lock:
                done += 1
                say(f"{done} of {len(coordinates)} {coordinate}")
            return jar

        with ThreadPoolExecutor(8) as pool:
            jars = tuple(pool.map(one, coordinates))
    keep(version, jars)
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
        context = context_in(scratch)
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
