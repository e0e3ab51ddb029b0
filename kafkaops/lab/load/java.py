"""The Java load client: compiled once for each client version, started on the lab's JRE."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from kafkaops.engine.errors import ConfigError
from kafkaops.lab import access, kit
from kafkaops.lab.layout import Layout
from kafkaops.lab.load.spec import ClientSpec

SOURCE = Path(__file__).with_name("LoadClient.java")
MAIN = "LoadClient"
JVM = (
    "-Xmx64m",
    "-Xss512k",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-XX:+ExitOnOutOfMemoryError",
    "-Xshare:auto",
)
# Clients are loud while brokers are away: seen, millions of lines in two minutes.
LOG4J = """\
log4j.rootLogger=ERROR, out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=%d{ISO8601} %p %m (%c{1})%n
"""
LOG4J2 = """\
status=error
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{ISO8601} %p %m (%c{1})%n
rootLogger.level=error
rootLogger.appenderRef.out.ref=out
"""
STRING = "org.apache.kafka.common.serialization.String"


def compiled(version: str, say: kit.Say = kit.quiet) -> Path:
    """The directory of classes for one client version, kept beside the jars.

    ConfigError with the compiler's words if the source does not fit that version.
    """
    source = SOURCE.read_bytes()
    kept = kit.cache() / version / f"load-{hashlib.sha256(source).hexdigest()[:12]}"
    if (kept / f"{MAIN}.class").exists():
        return kept
    classpath = kit.classpath(version, say)
    say(f"compiling the Java load client for {version}")
    scratch = Path(tempfile.mkdtemp(dir=kit.cache() / version, prefix=".load-"))
    try:
        argv = [str(kit.java()), *JVM[2:4], "-jar", str(kit.ecj(say)), "-21", "-nowarn"]
        done = subprocess.run(
            [*argv, "-cp", classpath, "-d", str(scratch), str(SOURCE)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode != 0:
            raise ConfigError(
                "KO-LOAD-COMPILE",
                f"the Java load client does not compile for {version}: {done.stderr[-800:]}",
                where=str(SOURCE),
            )
        (scratch / "log4j.properties").write_text(LOG4J)
        (scratch / "log4j2.properties").write_text(LOG4J2)
        try:
            os.rename(scratch, kept)
        except OSError:
            if not (kept / f"{MAIN}.class").exists():  # another process was first: its copy serves
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return kept


def command(spec: ClientSpec, spec_file: Path, ledger: Path) -> tuple[list[str], dict[str, str]]:
    """Command line and environment of a Java client; its class path goes by environment."""
    version = spec.java
    classes = compiled(version)
    if int(version.split(".")[0]) >= 4:
        logging = f"-Dlog4j2.configurationFile={classes / 'log4j2.properties'}"
    else:
        logging = f"-Dlog4j.configuration=file:{classes / 'log4j.properties'}"
    argv = [str(kit.java()), *JVM, logging, MAIN, str(spec_file), str(ledger)]
    return argv, {"CLASSPATH": f"{classes}:{kit.classpath(version)}"}


def properties(spec: ClientSpec, first: int) -> str:
    """The client's properties file; `first` is the number a producer goes on with.

    Recovery strategy and name cache are left to each version's own defaults.
    """
    client = {"bootstrap.servers": spec.bootstrap, "client.id": spec.name}
    if spec.role == "producer":
        client |= {
            "key.serializer": f"{STRING}Serializer",
            "value.serializer": f"{STRING}Serializer",
            "acks": "all",
        }
    else:
        client |= {
            "key.deserializer": f"{STRING}Deserializer",
            "value.deserializer": f"{STRING}Deserializer",
            "group.id": spec.group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": str(spec.auto_commit).lower(),
            # Six brokers share two cores with this: fewer, fuller fetches.
            "fetch.min.bytes": "10000",
            "fetch.max.wait.ms": "100",
        }
    if spec.lab:
        client |= access.java(Layout.of(spec.lab), access.LOAD)
    client |= spec.config
    load = {
        "role": spec.role,
        "name": spec.name,
        "kind": spec.kind,
        "group": spec.group or "-",
        "topics": ",".join(spec.topics),
        "rate": spec.rate,
        "size": spec.size,
        "keys": spec.keys,
        "first": first,
        "commit_every": spec.commit_every,
        "auto_commit": str(spec.auto_commit).lower(),
        "dns_cache": "" if spec.dns_cache is None else spec.dns_cache,
    }
    lines = [f"load.{k}={v}" for k, v in load.items()] + [
        f"client.{k}={v}" for k, v in client.items()
    ]
    return "\n".join(lines) + "\n"
