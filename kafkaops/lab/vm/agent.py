"""Runs inside a virtual machine: commands come in over a virtio port, one JSON line each, and what
became of them goes out the same way. Standard library only: it is copied into the image.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

NOT_FOUND = 127

Message = dict[str, Any]


def answer(request: Message) -> Message:
    """`{id}` alone asks whether anybody is there; with `argv` and `stdin` (base64) a command runs
    to its end as root, and `code`, `out`, `err` (base64) come back."""
    if "argv" not in request:
        return {"id": request["id"]}
    try:
        done = subprocess.run(
            request["argv"],
            input=base64.b64decode(request.get("stdin", "")),
            capture_output=True,
            check=False,
            cwd="/",
        )
        code, out, err = done.returncode, done.stdout, done.stderr
    except OSError as error:
        code, out, err = NOT_FOUND, b"", str(error).encode()
    return {"id": request["id"], "code": code, "out": packed(out), "err": packed(err)}


def packed(data: bytes) -> str:
    return base64.b64encode(data).decode()


def lines(read: Callable[[], bytes]) -> Iterator[bytes]:
    """Whole lines from reads of any size, until a read gives nothing."""
    rest: list[bytes] = []
    while data := read():
        first, *more = data.split(b"\n")
        rest.append(first)
        for part in more:
            yield b"".join(rest)
            rest = [part]


def serve(fd: int) -> None:
    """Answer what comes in, each request in a thread of its own, until nobody is at the other
    end."""
    lock = threading.Lock()

    def one(request: Message) -> None:
        data = json.dumps(answer(request)).encode() + b"\n"
        with lock:
            while data:
                data = data[os.write(fd, data) :]

    for line in lines(lambda: os.read(fd, 1 << 16)):
        threading.Thread(target=one, args=(json.loads(line),), daemon=True).start()


def main() -> None:
    port = sys.argv[1]
    while not os.path.exists(port):
        time.sleep(0.2)
    fd = os.open(port, os.O_RDWR)
    while True:
        serve(fd)
        time.sleep(0.2)  # nobody is at the other end (yet)


if __name__ == "__main__":
    main()
