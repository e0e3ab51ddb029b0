"""This machine's end of the virtio port: one command at a time, to its end, in bounded time."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

ASK = 1.0  # seconds between questions whether the agent is there


class Silent(Exception):
    """No answer in time, or nobody is at the other end."""


class Link:
    """One boot of the machine: each start has a pair of sockets of its own, so nothing that an
    earlier one was asked is still on its way."""

    def __init__(self, end: socket.socket, ask: float = ASK) -> None:
        self._end, self._ask = end, ask
        self._read = b""  # and not taken yet
        self._lock = threading.Lock()

    def wait(self, timeout: float, alive: Callable[[], bool]) -> None:
        """Until the agent answers. Silent past `timeout` seconds, or when `alive` says no."""
        deadline = time.monotonic() + timeout
        asked: list[str] = []
        while time.monotonic() < deadline and alive():
            with self._lock, contextlib.suppress(TimeoutError):
                try:
                    asked.append(self._send({}, self._ask))
                    self._answer(asked, self._ask)
                except ConnectionError:
                    raise Silent from None
                return
        raise Silent

    def run(self, argv: Sequence[str], stdin: bytes, timeout: float) -> tuple[int, bytes, bytes]:
        """Exit code, stdout, stderr. Silent when there is no answer within `timeout` seconds."""
        request = {"argv": list(argv), "stdin": base64.b64encode(stdin).decode()}
        with self._lock:
            try:
                found = self._answer([self._send(request, timeout)], timeout)
            except (TimeoutError, OSError):
                raise Silent from None
        return found["code"], base64.b64decode(found["out"]), base64.b64decode(found["err"])

    def close(self) -> None:
        self._end.close()

    def _send(self, request: dict[str, Any], timeout: float) -> str:
        name = uuid.uuid4().hex
        self._end.settimeout(timeout)
        self._end.sendall(json.dumps({**request, "id": name}).encode() + b"\n")
        return name

    def _answer(self, names: Sequence[str], timeout: float) -> dict[str, Any]:
        """The answer to one of these requests; late answers to others are passed over."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            found = json.loads(self._line(deadline))
            if found["id"] in names:
                return dict(found)
        raise TimeoutError

    def _line(self, deadline: float) -> bytes:
        parts = [self._read]
        try:
            while b"\n" not in parts[-1]:
                self._end.settimeout(max(0.001, deadline - time.monotonic()))
                parts.append(self._end.recv(1 << 16))
                if not parts[-1]:
                    raise Silent
        finally:  # what a late answer begins with belongs to its end
            self._read = b"".join(parts)
        line, _, self._read = self._read.partition(b"\n")
        return line
