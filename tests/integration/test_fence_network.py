"""Enters a private network namespace and runs the fence's tests there, on a real kernel."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ENTER = ("unshare", "--user", "--map-root-user", "--net", "--mount")
CLEAN = ("--pid", "--fork", "--kill-child")
UP = 'PATH=$PATH:/usr/sbin:/sbin; ip link set lo up && exec "$@"'


def test_the_fence_and_the_forward_in_a_private_network() -> None:
    for tool, package in (("unshare", "util-linux"), ("ip", "iproute2"), ("nft", "nftables")):
        if shutil.which(tool, path=os.environ["PATH"] + ":/usr/sbin:/sbin") is None:
            pytest.skip(f"no {tool} (package {package})")
    enter = [*ENTER, *CLEAN]
    if subprocess.run([*enter, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("user namespaces are forbidden here")
    inner = str(Path(__file__).with_name("fence_in_network.py"))
    test = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", inner]
    ran = subprocess.run(
        [*enter, "sh", "-c", UP, "sh", *test],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
