"""How to speak to one cluster: the same `ClusterSpec` for kafka-python and for librdkafka.

Invariant: a password is handed in already resolved and is never logged or kept elsewhere.
"""

from __future__ import annotations

import os
import ssl
from typing import Any

from kafkaops.config.schema import ClusterSpec
from kafkaops.engine.errors import ConfigError

CLIENT_ID = "kafkaops"


def kafka_python_settings(spec: ClusterSpec, password: str | None) -> dict[str, Any]:
    """Settings of kafka-python's connection manager, without `bootstrap_servers`.

    Raises ConfigError for a missing file or a mechanism without a password.
    """
    security = spec.security
    _check(spec, password)
    settings: dict[str, Any] = {"client_id": CLIENT_ID, "security_protocol": security.protocol}
    if security.mechanism:
        settings |= {
            "sasl_mechanism": security.mechanism,
            "sasl_plain_username": security.username,
            "sasl_plain_password": password,
        }
    files = {
        "ssl_cafile": security.ca_file,
        "ssl_certfile": security.cert_file,
        "ssl_keyfile": security.key_file,
    }
    return settings | {key: path for key, path in files.items() if path}


def librdkafka_settings(spec: ClusterSpec, password: str | None) -> dict[str, Any]:
    """The same for confluent-kafka, `bootstrap.servers` included."""
    security = spec.security
    _check(spec, password)
    settings: dict[str, Any] = {
        "client.id": CLIENT_ID,
        "bootstrap.servers": ",".join(spec.bootstrap),
        "security.protocol": security.protocol,
        "socket.connection.setup.timeout.ms": 5000,
        "allow.auto.create.topics": False,
        "log_level": 0,
    }
    if security.mechanism:
        settings |= {
            "sasl.mechanism": security.mechanism,
            "sasl.username": security.username,
            "sasl.password": password or "",
        }
    files = {
        "ssl.ca.location": security.ca_file,
        "ssl.certificate.location": security.cert_file,
        "ssl.key.location": security.key_file,
    }
    return settings | {key: path for key, path in files.items() if path}


def _load(spec: ClusterSpec) -> None:
    """The files are what they should be, found out now and not in the middle of a handshake."""
    security = spec.security
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    path = security.ca_file
    try:
        if security.ca_file:
            context.load_verify_locations(security.ca_file)
        path = f"{security.cert_file} and {security.key_file}"
        if security.cert_file:
            context.load_cert_chain(security.cert_file, security.key_file or None)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(
            "KO-CONFIG-FILE-TLS",
            f"{path}, named in the security of {spec.name}, cannot be used:"
            f" {error.strerror or error}",
            where=f"{spec.name}.security",
            hint="PEM files: certificates in ca_file and cert_file, a key without a password",
        ) from error


def _check(spec: ClusterSpec, password: str | None) -> None:
    security = spec.security
    for path in (security.ca_file, security.cert_file, security.key_file):
        if path and not os.path.isfile(path):
            raise ConfigError(
                "KO-CONFIG-FILE-MISSING",
                f"{path} is named in the security of {spec.name} and is not there",
                where=f"{spec.name}.security",
            )
    _load(spec)
    if security.mechanism and security.mechanism != "OAUTHBEARER" and password is None:
        raise ConfigError(
            "KO-CONFIG-PASSWORD",
            f"{spec.name} uses {security.mechanism} but no password is configured",
            where=f"{spec.name}.security.password",
            hint="name it as env:VAR, file:PATH or secretsmanager:ID",
        )
