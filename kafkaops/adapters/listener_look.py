"""What a listener speaks, found out by asking it: TLS or not, a login or not, which mechanisms.

Asked only when a connection failed, so that the error can say which setting is wrong instead of
"did not answer". Invariant: no credentials are sent, and only what was really heard is told.
"""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_HANDSHAKE, _VERSION, _CLIENT = 17, 1, b"kafkaops-look"
_UNSUPPORTED, _NO_LOGIN_HERE = 33, 34
_LARGEST = 1 << 16


@dataclass(frozen=True)
class Listener:
    """`tls` None: nothing there answered. `mechanisms` are of its logins: empty where it takes
    none, None where it did not say."""

    tls: bool | None = None
    mechanisms: tuple[str, ...] | None = None


def look(host: str, port: int, timeout: float = 3.0) -> Listener:
    """Try TLS (trusting anything: nothing is told there), then plain."""
    for tls in (True, False):
        try:
            with socket.create_connection((host, port), timeout=timeout) as plain:
                plain.settimeout(timeout)
                try:
                    connection = _wrapped(plain, host) if tls else plain
                except OSError:
                    continue
                heard = _mechanisms(connection)
        except OSError:
            return Listener()
        if tls or heard is not None:
            return Listener(tls, heard)
    return Listener()


def _wrapped(plain: socket.socket, host: str) -> socket.socket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(plain, server_hostname=host)


def _mechanisms(connection: socket.socket) -> tuple[str, ...] | None:
    """By a SaslHandshake (KIP-43) for a mechanism that nobody has: the refusal lists what there
    is."""
    asked = b"?"
    head = struct.pack(">hhih", _HANDSHAKE, _VERSION, 1, len(_CLIENT)) + _CLIENT
    body = struct.pack(">h", len(asked)) + asked
    try:
        connection.sendall(struct.pack(">i", len(head) + len(body)) + head + body)
        (size,) = struct.unpack(">i", _exactly(connection, 4))
        if not 10 <= size <= _LARGEST:
            return None
        return _listed(_exactly(connection, size))
    except (OSError, struct.error, UnicodeDecodeError):
        return None


def _listed(answer: bytes) -> tuple[str, ...] | None:
    correlation, code, count = struct.unpack_from(">ihi", answer, 0)
    if correlation != 1 or code not in (0, _UNSUPPORTED, _NO_LOGIN_HERE):
        return None
    found, at = [], 10
    for _ in range(max(0, count)):
        (length,) = struct.unpack_from(">h", answer, at)
        found.append(answer[at + 2 : at + 2 + length].decode())
        at += 2 + length
    return tuple(found)


def _exactly(connection: socket.socket, size: int) -> bytes:
    parts: list[bytes] = []
    while size:
        part = connection.recv(size)
        if not part:
            raise OSError("closed while answering")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def mismatch(settings: Mapping[str, Any], found: Listener) -> tuple[str, str] | None:
    """(what, hint) where kafka-python's settings do not fit the listener; None where they do, or
    where nothing was heard. Pure."""
    protocol = str(settings.get("security_protocol", "PLAINTEXT"))
    fitting = _protocol(found)
    if found.tls is None or fitting is None:
        return None
    if protocol.endswith("SSL") != found.tls:
        speaks = "speaks TLS" if found.tls else "does not speak TLS"
        return f"{speaks}, and protocol is {protocol}", f"set protocol: {fitting}"
    if protocol.startswith("SASL") and found.mechanisms == ():
        return f"takes no login, and protocol is {protocol}", f"set protocol: {fitting}"
    if not found.mechanisms:
        return None
    offered = ", ".join(found.mechanisms)
    if not protocol.startswith("SASL"):
        return (
            f"wants a login ({offered}), and protocol is {protocol}",
            f"set protocol: {fitting}, with mechanism, username and password",
        )
    mechanism = str(settings.get("sasl_mechanism"))
    if mechanism not in found.mechanisms:
        return f"offers {offered}, and mechanism is {mechanism}", f"set mechanism: one of {offered}"
    return None


def _protocol(found: Listener) -> str | None:
    """The protocol that fits; where it did not say whether it wants a login, as if it did not."""
    if found.tls is None:
        return None
    name = "SSL" if found.tls else "PLAINTEXT"
    return f"SASL_{name}" if found.mechanisms else name
