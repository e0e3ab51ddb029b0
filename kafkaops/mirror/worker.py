"""The mirror's Connect worker as a supervised process on a host.

Invariant: the worker's files on the host are rewritten before each start, so a change of the
config holds from the next start on; secrets and keys only ever lie in files of mode 0600.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from pathlib import Path

from kafkaops.config.schema import Config
from kafkaops.config.secrets import Secrets
from kafkaops.engine.errors import ConfigError
from kafkaops.mirror import config as rendering
from kafkaops.ports.host import Host

SERVICE = "mirror"
MAIN = "org.apache.kafka.connect.cli.ConnectDistributed"

# Kafka 3.9 reads the first, 4.x the second.
LOG4J = """\
log4j.rootLogger=INFO, out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=%d{ISO8601} %p %m (%c)%n
log4j.logger.org.apache.kafka.clients=WARN
log4j.logger.org.apache.kafka.common=WARN
log4j.logger.org.eclipse.jetty=WARN
"""
LOG4J2 = """\
status=error
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{ISO8601} %p %m (%c)%n
rootLogger.level=info
rootLogger.appenderRef.out.ref=out
logger.clients.name=org.apache.kafka.clients
logger.clients.level=warn
logger.common.name=org.apache.kafka.common
logger.common.level=warn
logger.jetty.name=org.eclipse.jetty
logger.jetty.level=warn
"""


def running(host: Host) -> bool:
    """The process is there; whether it answers is `Connect.ready`'s to say."""
    return host.service(SERVICE).active


def start(
    host: Host,
    config: Config,
    direction: str,
    command: Sequence[str],
    *,
    secrets: Secrets,
) -> None:
    """Write its files and start it; already running is success. `command` begins its command line:
    java and the class path. ConfigError for a secret or a PEM file that cannot be read."""
    directory = rendering.host_directory(config.mirror, direction)
    _write_secrets(host, config, direction, secrets)
    _write_certificates(host, config, direction)
    worker = rendering.worker(config, direction, host.address)
    host.put(f"{directory}/worker.properties", rendering.properties(worker), mode=0o600)
    host.put(f"{directory}/log4j.properties", LOG4J.encode())
    host.put(f"{directory}/log4j2.properties", LOG4J2.encode())
    argv = (
        *command,
        f"-Xmx{config.mirror.heap_mib}m",
        f"-Dlog4j.configuration=file:{directory}/log4j.properties",
        f"-Dlog4j2.configurationFile={directory}/log4j2.properties",
        MAIN,
        f"{directory}/worker.properties",
    )
    host.service_start(SERVICE, argv, env={}, log=posixpath.join(directory, "worker.log"))


def stop(host: Host) -> None:
    """End it; absent is success."""
    host.service_stop(SERVICE, timeout=60.0)


def kill(host: Host) -> None:
    """End it at once, as a crash would."""
    host.service_stop(SERVICE, kill=True)


def keep(
    host: Host, config: Config, direction: str, command: Sequence[str], *, secrets: Secrets
) -> bool:
    """Start it again if it is gone; True when it was."""
    if running(host):
        return False
    start(host, config, direction, command, secrets=secrets)
    return True


def _write_secrets(host: Host, config: Config, direction: str, secrets: Secrets) -> None:
    lines = {}
    for alias, cluster in rendering.ends(config, direction):
        security = cluster.security
        if security.mechanism:
            password = secrets.resolve(security.password) if security.password else ""
            lines[alias] = rendering.login(security, password)
    if lines:
        path = rendering.secrets_file(config.mirror, direction)
        host.put(path, rendering.properties(lines), mode=0o600)


def _write_certificates(host: Host, config: Config, direction: str) -> None:
    """PEM files lie where kafkaops runs; the worker gets copies of its own, so nobody has to bring
    them to the same path on every host."""
    for target, source in rendering.certificates(config, direction).items():
        try:
            data = Path(source).read_bytes()
        except OSError as error:
            raise ConfigError(
                "KO-CONFIG-FILE-MISSING", f"{source} cannot be read: {error.strerror}", where=source
            ) from error
        host.put(target, data, mode=0o600)
