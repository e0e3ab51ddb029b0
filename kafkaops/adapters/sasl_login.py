"""One login, tried on a blocking socket of our own and read to the broker's last word.

kafka-python drops what it read together with the broker's hanging up, and that is just how a
refusal comes (seen on busy machines: a wrong password looked like a broker that is away).
Invariant: None means that the broker took the login, words that it refused it; everything else is
an error.
"""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Mapping
from typing import Any

import kafka.errors as k
from kafka.net.sasl import get_sasl_mechanism

_HANDSHAKE, _AUTHENTICATE = 17, 36
_LARGEST = 1 << 20


def refusal(host: str, port: int, settings: Mapping[str, Any], timeout: float = 5.0) -> str | None:
    """Log in with kafka-python's settings; None, or the broker's words. Seconds bound each answer.

    Errors: OSError, UnsupportedSaslMechanismError naming what is offered, IllegalSaslStateError
    where the listener takes no login.
    """
    mechanism = str(settings["sasl_mechanism"])
    with socket.create_connection((host, port), timeout=timeout) as plain:
        connection = _wrapped(plain, host, settings)
        _offered(_call(connection, _HANDSHAKE, 1, 1, _text(mechanism)), mechanism)
        client = get_sasl_mechanism(mechanism)(host=host, **settings)
        number = 2
        while not client.is_done():
            token = client.auth_bytes()
            body = struct.pack(">i", len(token)) + token
            code, words, challenge = _answer(_call(connection, _AUTHENTICATE, 0, number, body))
            if code:
                return words or str(k.for_code(code).__name__)
            client.receive(challenge)
            number += 1
        return None if client.is_authenticated() else f"no login came of {mechanism}"


def dropped_refusal(
    host: str, port: int, settings: Mapping[str, Any], error: Exception
) -> str | None:
    """The broker's words where kafka-python's error hides that it refused the login."""
    hidden = isinstance(error, k.KafkaConnectionError) and "disconnected" in str(error)
    if not hidden or not str(settings.get("security_protocol")).startswith("SASL"):
        return None
    try:
        return refusal(host, port, settings)
    except (OSError, struct.error, k.KafkaError):
        return None  # then the first error stands


def _wrapped(plain: socket.socket, host: str, settings: Mapping[str, Any]) -> socket.socket:
    if not str(settings["security_protocol"]).endswith("SSL"):
        return plain
    context: ssl.SSLContext | None = settings.get("ssl_context")
    if context is None:
        context = ssl.create_default_context(cafile=settings.get("ssl_cafile"))
        if settings.get("ssl_certfile"):
            context.load_cert_chain(settings["ssl_certfile"], settings.get("ssl_keyfile"))
    return context.wrap_socket(plain, server_hostname=host)


def _call(connection: socket.socket, key: int, version: int, number: int, body: bytes) -> bytes:
    request = struct.pack(">hhi", key, version, number) + _text("kafkaops-login") + body
    connection.sendall(struct.pack(">i", len(request)) + request)
    (size,) = struct.unpack(">i", _exactly(connection, 4))
    if not 4 <= size <= _LARGEST:
        raise OSError(f"an answer of {size} bytes is not Kafka's")
    answer = _exactly(connection, size)
    if struct.unpack_from(">i", answer)[0] != number:
        raise OSError("an answer to another request")
    return answer[4:]


def _offered(answer: bytes, mechanism: str) -> None:
    code, count = struct.unpack_from(">hi", answer)
    found, at = [], 6
    for _ in range(max(0, count)):
        (length,) = struct.unpack_from(">h", answer, at)
        found.append(answer[at + 2 : at + 2 + length].decode())
        at += 2 + length
    if code and found:
        raise k.UnsupportedSaslMechanismError(f"it offers {', '.join(found)}, not {mechanism}")
    if code:
        raise k.for_code(code)(f"no login with {mechanism} there")


def _answer(answer: bytes) -> tuple[int, str, bytes]:
    """Code, message, and what the mechanism goes on with."""
    code, length = struct.unpack_from(">hh", answer)
    words = answer[4 : 4 + max(0, length)].decode()
    at = 4 + max(0, length)
    (size,) = struct.unpack_from(">i", answer, at)
    return code, words, answer[at + 4 : at + 4 + max(0, size)]


def _text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack(">h", len(raw)) + raw


def _exactly(connection: socket.socket, size: int) -> bytes:
    parts: list[bytes] = []
    while size:
        part = connection.recv(size)
        if not part:
            raise OSError("closed while answering")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
