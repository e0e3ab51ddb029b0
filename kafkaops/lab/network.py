"""The lab's private network and its own resolver, from within its namespaces."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
from pathlib import Path

from kafkaops.lab.layout import Layout

MS_BIND = 4096


def begin(layout: Layout) -> None:
    """Loopback up; this lab's own resolver configuration over the machine's."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True, timeout=10)
    resolver = layout.root / "resolv.conf"
    resolver.write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:3\n")
    bind(resolver, Path("/etc/resolv.conf"))
    switch = Path("/etc/nsswitch.conf")
    if switch.exists():
        # Other sources (resolved's socket, mDNS) reach past this network's DNS server.
        own = layout.root / "nsswitch.conf"
        own.write_text(re.sub(r"(?m)^hosts:.*$", "hosts: files dns", switch.read_text()))
        bind(own, switch)


def bind(source: Path, target: Path) -> None:
    """mount(2) with MS_BIND, in this process's own mount namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(bytes(source), bytes(target), None, MS_BIND, None) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"cannot mount {source} over {target}: {os.strerror(number)}")
