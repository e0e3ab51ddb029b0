"""What is missing is named before anything starts."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from kafkaops.engine.errors import ConfigError
from kafkaops.lab import needs


def proc(tmp_path: Path, available_kib: int, **switches: str) -> Path:
    (tmp_path / "meminfo").write_text(f"MemTotal: 9 kB\nMemAvailable: {available_kib} kB\n")
    for switch, value in switches.items():
        file = tmp_path / "sys" / switch.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{value}\n")
    return tmp_path


def test_memory_says_what_there_is_and_what_is_needed(tmp_path: Path) -> None:
    needs.memory(6, proc(tmp_path, 4 * 1024 * 1024))
    with pytest.raises(ConfigError, match=r"2048 MiB available, 4000 MiB needed") as caught:
        needs.memory(6, proc(tmp_path, 2 * 1024 * 1024))
    assert "--brokers" in caught.value.hint
    needs.memory(2, proc(tmp_path, 2500 * 1024))
    needs.memory(3, proc(tmp_path, 2060 * 1024), mirror=False)


def test_a_missing_tool_is_named_with_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for tool in ("unshare", "nsenter", "ip"):
        (tmp_path / tool).write_text("#!/bin/sh\n")
        (tmp_path / tool).chmod(0o755)
    with pytest.raises(ConfigError, match="nft is missing") as caught:
        needs.check(3, proc(tmp_path, 9_000_000), sbin=str(tmp_path))
    assert caught.value.hint == "apt-get install nftables"


@pytest.mark.parametrize(
    ("switch", "value", "cure"),
    [
        ("user__max_user_namespaces", "0", "user.max_user_namespaces=15000"),
        ("kernel__unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone=1"),
        (
            "kernel__apparmor_restrict_unprivileged_userns",
            "1",
            "kernel.apparmor_restrict_unprivileged_userns=0",
        ),
    ],
)
def test_no_user_namespaces_names_the_switch(
    tmp_path: Path, switch: str, value: str, cure: str
) -> None:
    with pytest.raises(ConfigError, match=switch.split("__")[1] + "=" + value) as caught:
        needs.namespaces(proc(tmp_path, 1, **{switch: value}), ("sh", "-c", "echo no >&2; exit 1"))
    assert cure in caught.value.hint
    assert "clusters of your own" in caught.value.hint


def test_namespaces_refused_for_another_reason(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not permitted") as caught:
        needs.namespaces(proc(tmp_path, 1), ("sh", "-c", "echo not permitted >&2; exit 1"))
    assert "container" in caught.value.hint


def test_the_tools_are_where_debian_has_them() -> None:
    """The map is right where dpkg can tell."""
    for tool, package in needs.PACKAGES.items():
        path = needs.which(tool)
        if path is None:
            pytest.skip(f"{tool} is not installed")
        real = str(Path(path).resolve())
        try:
            found = subprocess.run(
                ["dpkg", "-S", f"*{Path(real).name}"], capture_output=True, text=True, check=False
            )
        except FileNotFoundError:
            pytest.skip("no dpkg")
        assert f"{package}: " in found.stdout
