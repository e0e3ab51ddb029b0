"""A login on a real socket, against a server that speaks SCRAM by the RFC and hangs up at once."""

from __future__ import annotations

import base64
import hashlib
import hmac
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import kafka.errors as k
import pytest

from kafkaops.adapters.sasl_login import dropped_refusal, refusal

SALT, ROUNDS, PASSWORD = b"salt", 4096, "the right one"
BROKEN = k.KafkaConnectionError("socket disconnected")


def settings(password: str = PASSWORD, mechanism: str = "SCRAM-SHA-512") -> dict[str, str]:
    return {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": mechanism,
        "sasl_plain_username": "u",
        "sasl_plain_password": password,
    }


@contextmanager
def broker() -> Iterator[int]:
    """A port of 127.0.0.1 that takes one login, SCRAM-SHA-512, of any user with PASSWORD."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            link, _ = server.accept()
            with link:
                link.settimeout(5)
                logged_in(link)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(5)


def logged_in(link: socket.socket) -> None:
    number, body = request(link)
    (length,) = struct.unpack_from(">h", body)
    known = body[2 : 2 + length] == b"SCRAM-SHA-512"
    name = struct.pack(">h", 13) + b"SCRAM-SHA-512"
    send(link, number, struct.pack(">hi", 0 if known else 33, 1) + name)
    if not known:
        return
    number, body = request(link)
    first = body[4:].decode().removeprefix("n,,")
    nonce = first.split("r=")[1] + "more"
    challenge = f"r={nonce},s={base64.b64encode(SALT).decode()},i={ROUNDS}"
    send(link, number, answer(0, "", challenge.encode()))
    number, body = request(link)
    final = body[4:].decode()
    without, _, proof = final.rpartition(",p=")
    salted = hashlib.pbkdf2_hmac("sha512", PASSWORD.encode(), SALT, ROUNDS)
    key = hmac.digest(salted, b"Client Key", "sha512")
    message = f"{first},{challenge},{without}".encode()
    signature = hmac.digest(hashlib.sha512(key).digest(), message, "sha512")
    wanted = bytes(a ^ b for a, b in zip(key, signature, strict=True))
    if base64.b64decode(proof) != wanted:
        send(link, number, answer(58, "Authentication failed", b""))
        return
    server_key = hmac.digest(salted, b"Server Key", "sha512")
    verified = base64.b64encode(hmac.digest(server_key, message, "sha512"))
    send(link, number, answer(0, "", b"v=" + verified))


def request(link: socket.socket) -> tuple[int, bytes]:
    (size,) = struct.unpack(">i", link.recv(4, socket.MSG_WAITALL))
    data = link.recv(size, socket.MSG_WAITALL)
    _, _, number, length = struct.unpack_from(">hhih", data)
    return number, data[10 + length :]


def send(link: socket.socket, number: int, body: bytes) -> None:
    link.sendall(struct.pack(">ii", len(body) + 4, number) + body)


def answer(code: int, words: str, token: bytes) -> bytes:
    text = struct.pack(">h", len(words)) + words.encode() if words else struct.pack(">h", -1)
    return struct.pack(">h", code) + text + struct.pack(">i", len(token)) + token


def test_the_right_password_is_taken() -> None:
    with broker() as port:
        assert refusal("127.0.0.1", port, settings()) is None


def test_a_refusal_is_read_although_the_broker_hangs_up_with_it() -> None:
    with broker() as port:
        assert refusal("127.0.0.1", port, settings("wrong")) == "Authentication failed"
    with broker() as port:
        told = dropped_refusal("127.0.0.1", port, settings("wrong"), BROKEN)
        assert told == "Authentication failed"


def test_a_mechanism_that_is_not_offered_is_named_with_what_is() -> None:
    with broker() as port, pytest.raises(k.UnsupportedSaslMechanismError, match="SCRAM-SHA-512"):
        refusal("127.0.0.1", port, settings(mechanism="SCRAM-SHA-256"))


def test_nothing_is_tried_where_the_error_hides_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    for wrong, error in (
        (settings(), k.KafkaTimeoutError()),
        ({"security_protocol": "SSL"}, BROKEN),
        (settings(), BROKEN),  # nobody there any more: the first error stands
    ):
        assert dropped_refusal("127.0.0.1", port, wrong, error) is None
