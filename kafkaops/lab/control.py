"""The lab's control socket: one JSON request a line, one JSON answer a line.

The socket is a file, so it is reached from outside the lab's network as well as inside.
Its listener's process id, as the kernel tells the caller, is the lab's own: a stale socket
refuses, so there is no pid file to be wrong.
"""

from __future__ import annotations

import json
import os
import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kafkaops.engine.errors import ConfigError, OpsError
from kafkaops.lab.layout import not_up

Handler = Callable[[dict[str, Any]], dict[str, Any]]


class LabRefused(OpsError):
    """The supervisor answered with an error."""


def call(path: Path, op: str, *, timeout: float = 60.0, **arguments: Any) -> dict[str, Any]:
    """One request. ConfigError if no lab is up there, LabRefused with the lab's own words."""
    with connect(path, timeout) as link:
        link.sendall(json.dumps({"op": op, **arguments}).encode() + b"\n")
        with link.makefile("rb") as answers:
            line = answers.readline()
    if not line:
        raise LabRefused(
            "KO-LAB-GONE", f"the lab ended while it was asked to {op}", where=str(path)
        )
    answer: dict[str, Any] = json.loads(line)
    if not answer.pop("ok"):
        raise LabRefused("KO-LAB-REFUSED", f"{op}: {answer['error']}", where=str(path))
    return answer


def listener_pid(path: Path) -> int | None:
    """The supervisor's process id as this process sees it; None when no lab listens."""
    try:
        with connect(path, 5.0) as link:
            size = struct.calcsize("3i")
            pid, _, _ = struct.unpack(
                "3i", link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
            )
            return int(pid)
    except ConfigError:
        return None


@contextmanager
def connect(path: Path, timeout: float) -> Iterator[socket.socket]:
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        link.settimeout(timeout)
        try:
            with _short(path) as short:
                link.connect(short)
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
            raise not_up(path.parent) from None
        try:
            yield link
        except TimeoutError:
            raise LabRefused(
                "KO-LAB-SILENT", f"the lab did not answer in {timeout:.0f} s", where=str(path)
            ) from None
    finally:
        link.close()


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """A name for the socket below the kernel's limit of 108 bytes, however deep it lies."""
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)


class Server:
    """Serves requests, each connection on a thread of its own."""

    def __init__(self, path: Path, handler: Handler) -> None:
        path.unlink(missing_ok=True)

        class Link(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                for line in self.rfile:
                    try:
                        answer = {"ok": True, **handler(json.loads(line))}
                    except Exception as error:
                        answer = {"ok": False, "error": f"{error}" or repr(error)}
                    try:
                        self.wfile.write(json.dumps(answer).encode() + b"\n")
                    except BrokenPipeError:
                        return

        class Threaded(socketserver.ThreadingUnixStreamServer):
            daemon_threads = True
            request_queue_size = 64

        with _short(path) as short:
            self._server = Threaded(short, Link)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
