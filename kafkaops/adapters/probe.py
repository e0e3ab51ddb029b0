"""Asks one client port for its cluster id, as a client's first request would.

A plain Metadata request (version 7, the newest before flexible encodings, served by 2.1 to 4.x)
on a socket of our own, because Kafka clients leave the bootstrap address for the advertised
one at once, and it is just that address which must be seen.
"""

from __future__ import annotations

import socket
import ssl
import struct

_METADATA, _VERSION, _CLIENT = 3, 7, b"kafkaops-probe"


class SocketProbe:
    """`tls` wraps the socket without verifying: only the answer matters here."""

    def __init__(self, *, tls: bool = False) -> None:
        self._tls = tls

    def cluster_id(self, host: str, port: int, *, timeout: float = 5.0) -> str | None:
        try:
            with socket.create_connection((host, port), timeout=timeout) as plain:
                plain.settimeout(timeout)
                connection = self._wrapped(plain, host)
                connection.sendall(_request())
                return _cluster_id(_response(connection))
        except (OSError, struct.error):
            return None  # refused, reset, silent or not Kafka: no cluster answers there

    def _wrapped(self, plain: socket.socket, host: str) -> socket.socket:
        if not self._tls:
            return plain
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context.wrap_socket(plain, server_hostname=host)


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
