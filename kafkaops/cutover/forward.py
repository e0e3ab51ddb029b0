"""A host's CLIENT port passed on to the broker of the same node id in the other cluster.

So names can move long before the pause: who resolves the new address still reaches the old
broker. Invariant: only the destination is rewritten; the host's own fence stays as it is, and
dropping the forward leaves the port fenced until it is opened.
"""

from __future__ import annotations

import ipaddress

from kafkaops.cutover import ruleset
from kafkaops.engine.errors import StepFailed
from kafkaops.ports.host import Host


def on(host: Host, address: str, port: int) -> None:
    """Pass new connections on to `address`, same port. StepFailed with nft's own words."""
    allow(host, address)
    _load(host, ruleset.forward_on(host.name, host.address, port, address))


def off(host: Host) -> None:
    """New connections stay here; forwarded ones end when the other host's fence resets them."""
    _load(host, ruleset.forward_off(host.name))


def target_of(host: Host) -> str | None:
    """The address that new connections are passed on to, None when they stay."""
    return ruleset.state(host.firewall_show(ruleset.table(host.name))).forward


def allow(host: Host, address: str) -> None:
    """Let the kernel route between hosts; on the loopback it need not. It stays allowed when the
    forward ends, for the host may have had it set for another reason."""
    if ipaddress.ip_address(address).is_loopback:
        return
    ran = host.run(("sysctl", "-w", "net.ipv4.ip_forward=1"))
    if ran.code != 0:
        raise StepFailed(
            "KO-IP-FORWARD",
            f"this host may not forward: {ran.err.strip()}",
            where=host.name,
            hint="cutover.forward: refuse  where hosts cannot forward",
        )


def _load(host: Host, script: str) -> None:
    ran = host.firewall(script)
    if ran.code != 0:
        raise StepFailed(
            "KO-NFT",
            f"nft refused the forward ({ran.code}): {ran.err.strip()}",
            where=host.name,
            hint="cutover.forward: refuse  where hosts cannot forward",
        )
