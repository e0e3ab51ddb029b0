"""Asks one client port for its cluster id, as a client's first request would.

A plain Metadata request (version 7, the newest before flexible encodings, served by 2.1 to 4.x)
on a socket of our own, because Kafka clients leave the bootstrap address for the advertised
one at once, and it is just that address which must be seen. Where the port wants TLS and a login,
both are done first, for no broker tells its cluster to a stranger.
"""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import kafka.errors as k

from kafkaops.adapters.kafka_errors import hopeless, translate
from kafkaops.adapters.kafka_socket import connected
from kafkaops.adapters.listener_look import look, mismatch
from kafkaops.adapters.sasl_login import dropped_refusal
from kafkaops.engine.errors import ConfigError

_METADATA, _VERSION, _CLIENT = 3, 7, b"kafkaops-probe"


class ClientProbe:
    """`logins` make kafka-python's settings, by the config's key, when first needed; tried in this
    order, for a port may be either cluster's, as one forwards to the other. The certificate must
    be trusted, and hold the names that are asked of it; the address by which we reach it is
    nobody's concern."""

    def __init__(self, logins: Mapping[str, Callable[[], Mapping[str, Any]]]) -> None:
        self._makers = logins
        self._made: dict[str, Mapping[str, Any]] = {}

    def cluster_id(
        self, host: str, port: int, *, timeout: float = 5.0, names: Collection[str] = ()
    ) -> str | None:
        if not _takes_connections(host, port, timeout):
            return None  # refused or silent
        refused = ""
        for key, settings in self._logins().items():
            try:
                with self._connected(host, port, settings, timeout) as connection:
                    _hold(connection, host, port, names)
                    connection.settimeout(timeout)
                    connection.sendall(_request())
                    return _cluster_id(_response(connection))
            except (k.SaslAuthenticationFailedError, k.UnsupportedSaslMechanismError) as error:
                refused = refused or str(error)
            except (k.KafkaError, OSError, struct.error) as error:
                _explain(key, settings, error, host, port, min(timeout, 3.0))
                return None  # reset, silent or not Kafka: no cluster answers there
        raise ConfigError(
            "KO-CLIENT-LOGIN",
            f"the client port {host}:{port} takes no login that we have: {refused}",
            where=", ".join(self._makers),
            hint="client_security in the config says how clients log in there",
        )

    def _logins(self) -> Mapping[str, Mapping[str, Any]]:
        """Each way to log in once, though both clusters may share it."""
        if not self._made:
            made = {key: make() for key, make in self._makers.items()}
            once = {repr(sorted(settings.items())): key for key, settings in made.items()}
            self._made = {key: _by_any_name(made[key]) for key in once.values()}
        return self._made

    def _connected(
        self, host: str, port: int, settings: Mapping[str, Any], timeout: float
    ) -> socket.socket:
        if settings["security_protocol"] == "PLAINTEXT":
            return socket.create_connection((host, port), timeout=timeout)
        try:
            return connected(host, port, settings, timeout)
        except k.KafkaConnectionError as error:
            words = dropped_refusal(host, port, settings, error)
            if words:
                raise k.SaslAuthenticationFailedError(words) from error
            raise


def _takes_connections(host: str, port: int, timeout: float) -> bool:
    try:
        with socket.create_connection((host, port), timeout=timeout):
            return True
    except OSError:
        return False


def _explain(
    key: str, settings: Mapping[str, Any], error: Exception, host: str, port: int, timeout: float
) -> None:
    """ConfigError where somebody answers, and not as the config says; else nothing."""
    found = mismatch(settings, look(host, port, timeout))
    if found is not None:
        what, hint = found
        raise ConfigError(
            "KO-CLIENT-LISTENER",
            f"the client port {host}:{port} {what}",
            where=key,
            hint=f"in client_security of that cluster: {hint}",
        ) from error
    if hopeless(error):
        server = f"{host}:{port}"
        raise translate(error, cluster=server, what="ask", servers=[server], tried=0) from error


def _by_any_name(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same with a TLS context that trusts the same authorities and leaves names to us."""
    if not str(settings["security_protocol"]).endswith("SSL"):
        return settings
    context = ssl.create_default_context(cafile=settings.get("ssl_cafile"))
    context.check_hostname = False
    if settings.get("ssl_certfile"):
        context.load_cert_chain(settings["ssl_certfile"], settings.get("ssl_keyfile"))
    return {**settings, "ssl_context": context}


def _hold(connection: socket.socket, host: str, port: int, names: Collection[str]) -> None:
    if not isinstance(connection, ssl.SSLSocket) or not names:
        return
    shown: dict[str, Any] = connection.getpeercert() or {}
    lacking = uncovered(names, [str(value) for _, value in shown.get("subjectAltName", ())])
    if lacking:
        raise ConfigError(
            "KO-CERTIFICATE-NAMES",
            f"the certificate at {host}:{port} does not hold {', '.join(lacking)}: clients that"
            " ask for it there would refuse it",
            where=f"{host}:{port}",
            hint="give that broker a certificate with these names besides its own",
        )


def uncovered(names: Collection[str], held: Sequence[str]) -> list[str]:
    """Names that no name of a certificate covers; `*` stands for one whole first label
    (RFC 6125). Pure."""
    known = {name.lower().rstrip(".") for name in held}

    def covered(name: str) -> bool:
        plain = name.lower().rstrip(".")
        _, dot, rest = plain.partition(".")
        return plain in known or (bool(dot) and f"*.{rest}" in known)

    return sorted(name for name in names if not covered(name))


def _request() -> bytes:
    header = struct.pack(">hhih", _METADATA, _VERSION, 1, len(_CLIENT)) + _CLIENT
    body = struct.pack(">i?", 0, False)  # no topics, and create none
    return struct.pack(">i", len(header) + len(body)) + header + body


def _response(connection: socket.socket) -> bytes:
    (size,) = struct.unpack(">i", _exactly(connection, 4))
    if not 0 < size < 1 << 22:
        raise OSError(f"an answer of {size} bytes is not Kafka's")
    return _exactly(connection, size)


def _exactly(connection: socket.socket, size: int) -> bytes:
    parts: list[bytes] = []
    while size:
        part = connection.recv(size)
        if not part:
            raise OSError("closed while answering")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _cluster_id(data: bytes) -> str | None:
    at = 8  # correlation id, throttle time
    (brokers,) = struct.unpack_from(">i", data, at)
    at += 4
    for _ in range(brokers):
        at += 4  # node id
        at = _skip_string(data, at)
        at += 4  # port
        at = _skip_string(data, at)
    (length,) = struct.unpack_from(">h", data, at)
    return None if length < 0 else data[at + 2 : at + 2 + length].decode()


def _skip_string(data: bytes, at: int) -> int:
    (length,) = struct.unpack_from(">h", data, at)
    return at + 2 + max(0, int(length))
