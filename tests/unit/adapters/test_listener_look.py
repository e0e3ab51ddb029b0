"""What a listener speaks is heard on real sockets; what does not fit is told as the config's."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from kafkaops.adapters.listener_look import Listener, look, mismatch

SASL = {"security_protocol": "SASL_SSL", "sasl_mechanism": "SCRAM-SHA-512"}


@pytest.mark.parametrize(
    ("settings", "heard", "what", "hint"),
    [
        ({"security_protocol": "PLAINTEXT"}, Listener(True, ("X",)), "speaks TLS", "SASL_SSL"),
        ({"security_protocol": "PLAINTEXT"}, Listener(True, ()), "speaks TLS", "SSL"),
        (SASL, Listener(False, ("SCRAM-SHA-512",)), "does not speak TLS", "SASL_PLAINTEXT"),
        (SASL, Listener(False, ()), "does not speak TLS", "PLAINTEXT"),
        (SASL, Listener(True, ()), "takes no login", "protocol: SSL"),
        (SASL, Listener(True, ("PLAIN", "X")), "offers PLAIN, X", "one of PLAIN, X"),
        ({"security_protocol": "SSL"}, Listener(True, ("X",)), "wants a login (X)", "SASL_SSL"),
    ],
)
def test_each_mismatch(settings: dict[str, str], heard: Listener, what: str, hint: str) -> None:
    found = mismatch(settings, heard)
    assert found is not None
    assert what in found[0]
    assert hint in found[1]


@pytest.mark.parametrize(
    "heard", [Listener(), Listener(True, ("SCRAM-SHA-512",)), Listener(True, None)]
)
def test_what_fits_or_says_nothing_is_no_mismatch(heard: Listener) -> None:
    assert mismatch(SASL, heard) is None


@contextmanager
def served(answer: Callable[[bytes], bytes]) -> Iterator[int]:
    """A port of 127.0.0.1 that answers the first bytes of each connection, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    link, _ = server.accept()
                except OSError:
                    return
                with link:
                    link.settimeout(5)
                    link.sendall(answer(link.recv(4096)))

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def handshake(code: int, *mechanisms: str) -> Callable[[bytes], bytes]:
    """A plain listener: hangs up on a TLS greeting (0x16), refuses a mechanism by this code."""
    rows = b"".join(struct.pack(">h", len(m)) + m.encode() for m in mechanisms)
    body = struct.pack(">ihi", 1, code, len(mechanisms)) + rows
    return lambda asked: b"" if asked[:1] == b"\x16" else struct.pack(">i", len(body)) + body


def test_a_plain_listener_with_and_without_logins() -> None:
    with served(handshake(33, "PLAIN", "SCRAM-SHA-256")) as port:
        assert look("127.0.0.1", port) == Listener(False, ("PLAIN", "SCRAM-SHA-256"))
    with served(handshake(34)) as port:
        assert look("127.0.0.1", port) == Listener(False, ())


@pytest.mark.parametrize("noise", [b"", b"HTTP/1.0 400 Bad Request\r\n\r\n", b"\x00\x00\x00\x02ab"])
def test_what_is_not_kafka_tells_nothing(noise: bytes) -> None:
    with served(lambda asked: noise) as port:
        assert look("127.0.0.1", port) == Listener()


def test_nobody_there_tells_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    assert look("127.0.0.1", port, 1.0) == Listener()
