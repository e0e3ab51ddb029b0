"""What a lab needs of the machine, each thing checked and named before anything starts."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from kafkaops.engine.errors import ConfigError

PACKAGES = {"unshare": "util-linux", "nsenter": "util-linux", "ip": "iproute2", "nft": "nftables"}
SBIN = "/usr/local/sbin:/usr/sbin:/sbin"
MIB_BASE = 700
MIB_BROKER = 450
MIB_MIRROR = 600

# Each may forbid what the lab needs; the value that does.
SWITCHES = {
    "user.max_user_namespaces": "0",
    "kernel.unprivileged_userns_clone": "0",
    "kernel.apparmor_restrict_unprivileged_userns": "1",
}

NAMESPACE = (
    *("unshare", "--user", "--map-root-user", "--net", "--mount"),
    *("--pid", "--fork", "--kill-child"),
)


def check(nodes: int, proc: Path = Path("/proc"), *, mirror: bool = True, sbin: str = SBIN) -> None:
    """ConfigError naming what is missing: tools, memory, user namespaces, in this order."""
    for tool in PACKAGES:
        if which(tool, sbin) is None:
            raise missing_tool(tool)
    memory(nodes, proc, mirror=mirror)
    namespaces(proc)


def which(tool: str, sbin: str = SBIN) -> str | None:
    """Where a tool is; administrators' directories count although users lack them in PATH."""
    return shutil.which(tool) or shutil.which(tool, path=sbin)


def missing_tool(tool: str) -> ConfigError:
    return ConfigError(
        "KO-LAB-TOOL",
        f"{tool} is missing: the lab's private network needs it",
        hint=f"apt-get install {PACKAGES[tool]}",
    )


def memory(nodes: int, proc: Path, *, mirror: bool = True) -> None:
    """Brokers and controllers of all clusters, a mirror, and the rest."""
    wanted = MIB_BASE + nodes * MIB_BROKER + (MIB_MIRROR if mirror else 0)
    match = re.search(r"^MemAvailable:\s+(\d+) kB", (proc / "meminfo").read_text(), re.M)
    if match is None:
        return
    available = int(match.group(1)) // 1024
    if available < wanted:
        raise ConfigError(
            "KO-LAB-MEMORY",
            f"not enough memory for the lab: {available} MiB available, {wanted} MiB needed",
            where=str(proc / "meminfo"),
            hint="end other programs, or start fewer brokers with --brokers",
        )


def namespaces(proc: Path, enter: Sequence[str] = NAMESPACE) -> None:
    """Try it with the command `enter`; on refusal name the switch that forbids it."""
    tried = subprocess.run(
        [*enter, "true"], capture_output=True, text=True, timeout=20, check=False
    )
    if tried.returncode == 0:
        return
    found = []
    for switch, forbids in SWITCHES.items():
        file = proc / "sys" / switch.replace(".", "/")
        if file.exists() and file.read_text().strip() == forbids:
            found.append(f"{switch}={forbids}")
    reason = f" ({', '.join(found)})" if found else ""
    raise ConfigError(
        "KO-LAB-NAMESPACES",
        f"this machine allows no user namespaces{reason}: {tried.stderr.strip()}",
        hint=_hint(found)
        + "; without them the lab cannot run (no firewall, no port 53), and everything against "
        "clusters of your own works",
    )


def _hint(found: list[str]) -> str:
    if not found:
        return "in a container, allow the unshare system call (seccomp, SYS_ADMIN)"
    allowed = {"user.max_user_namespaces": "15000", "kernel.unprivileged_userns_clone": "1"}
    switch = found[0].split("=")[0]
    return f"as root: sysctl -w {switch}={allowed.get(switch, '0')}"
