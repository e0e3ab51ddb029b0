"""The nftables scripts of one broker host, and what its table says. Pure.

One table a host, `ip kafkaops_<host>`, whose rules match the host's own address: several hosts
may share a network namespace (the lab), and on a real host the match changes nothing.

- set `quiet`: ports whose Produce requests are dropped, so consumers read to the end and commit;
  told apart by the api key behind the request's length, which TLS hides;
- set `rejoin`: ports whose Fetch and OffsetForLeaderEpoch requests are answered by a TCP reset, so
  that consumers which come from the other cluster hear that they must rejoin before they read on
  from a position, or ask about an epoch, that means nothing here (KIP-320: they would take the
  answer for a truncated log, and begin at its start). Dropped ones would stand before what else
  the connection is to carry, such as the question who coordinates the group (seen: nobody
  rejoined for 10 s);
- set `hold`: ports whose packets with data (IP length 80 and more) are dropped, so responses
  and TCP acknowledgements still flow and no produce is left in doubt;
- set `fence`: ports answered by a TCP reset, open connections included;
- set `knocks`: who tried to connect to a fenced port, each address kept for an hour;
- chains `forward_*`: this host's CLIENT port passed on to another host.

Invariant: a fence whose element has a timeout is lifted by the kernel itself, whatever became
of the tool. Every script is one transaction and may be repeated.
Source: nft(8), "SETS" and "ELEMENTS".
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from kafkaops.engine.errors import ConfigError

DATA_LENGTH = 80
"""An IP packet this long carries data: 20 bytes of IP header and at most 60 of TCP."""
TCP_HEADERS = range(5, 16)
"""Lengths a TCP header can have, in words of 4 bytes; the request begins behind it."""
PRODUCE, FETCH, OFFSET_FOR_LEADER_EPOCH = 0, 1, 23
"""Api keys: 16 bits behind the 32 of a request's length (Kafka protocol guide)."""
SETS = ("quiet", "rejoin", "hold", "fence")
KNOCK_MEMORY = 3600

Kind = Literal["absent", "open", "holding", "timed", "permanent"]


@dataclass(frozen=True)
class FenceState:
    """What one host's table says. `expires` is whole seconds until a timed fence is lifted;
    `forward` the address that its CLIENT port is passed on to."""

    kind: Kind
    expires: float | None = None
    forward: str | None = None


def table(host: str) -> str:
    """The table's name for a host name."""
    return "kafkaops_" + "".join(c if c.isalnum() else "_" for c in host)


def _address(text: str, where: str) -> str:
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError:
        raise ConfigError(
            "KO-HOST-ADDRESS",
            f"{text!r} is not an IPv4 address: the fence matches addresses, never names",
            where=where,
            hint="put the host's private address into the config",
        ) from None


def _sets(host: str) -> str:
    t = table(host)
    return (
        f"add table ip {t}\n"
        + "".join(f"add set ip {t} {n} {{ type inet_service; flags timeout; }}\n" for n in SETS)
        + f"add set ip {t} knocks {{ type ipv4_addr; size 65535; flags dynamic,timeout; "
        f"timeout {KNOCK_MEMORY}s; }}\n"
    )


def prepare(host: str, address: str) -> str:
    """Table, sets and rules; elements that are there stay, none is added."""
    t = table(host)
    to = f"ip daddr {_address(address, host)} tcp dport"
    return _sets(host) + (
        f"add chain ip {t} input {{ type filter hook input priority -10; policy accept; }}\n"
        f"flush chain ip {t} input\n"
        + "".join(
            f"add rule ip {t} input {to} @{name} tcp doff {words} "
            f"@th,{words * 32 + 32},16 {api_key} {verdict}\n"
            for name, api_key, verdict in (
                ("quiet", PRODUCE, "drop"),
                ("rejoin", FETCH, "reject with tcp reset"),
                ("rejoin", OFFSET_FOR_LEADER_EPOCH, "reject with tcp reset"),
            )
            for words in TCP_HEADERS
        )
        + f"add rule ip {t} input {to} @hold ip length >= {DATA_LENGTH} drop\n"
        f"add rule ip {t} input {to} @fence tcp flags & (syn|ack) == syn "
        f"update @knocks {{ ip saddr }}\n"
        f"add rule ip {t} input {to} @fence reject with tcp reset\n"
    )


def quiet(host: str, port: int, *, seconds: float) -> str:
    """Drop Produce requests to the port for at most `seconds`; a fence that was there goes. A
    request that begins in the middle of a packet slips through: `hold` catches what follows."""
    return _instead(host, "quiet", port, seconds)


def hold(host: str, port: int, *, seconds: float) -> str:
    """Drop all data towards the port for at most `seconds`; what was there goes."""
    return _instead(host, "hold", port, seconds)


def _instead(host: str, kind: str, port: int, seconds: float) -> str:
    t = table(host)
    return _nothing(t) + f"add element ip {t} {kind} {{ {port} timeout {_timeout(seconds)} }}\n"


def _nothing(t: str) -> str:
    return "".join(f"flush set ip {t} {name}\n" for name in SETS)


def shut(host: str, port: int, *, seconds: float) -> str:
    """Reset for `seconds`, in place of the hold. Fails as a whole where the hold has run
    out meanwhile, for then data got through between the phases."""
    t = table(host)
    return (
        f"add element ip {t} fence {{ {port} timeout {_timeout(seconds)} }}\n"
        f"delete element ip {t} hold {{ {port} }}\n"
    )


def disarm(host: str, port: int) -> str:
    """Make the fence permanent if it still stands: one transaction that fails, changing nothing,
    when the kernel's timer has already lifted it."""
    t = table(host)
    return f"delete element ip {t} fence {{ {port} }}\nadd element ip {t} fence {{ {port} }}\n"


def close(host: str, address: str, port: int) -> str:
    """Fence the port for good, whatever was before; needs nothing prepared."""
    t = table(host)
    return prepare(host, address) + _nothing(t) + f"add element ip {t} fence {{ {port} }}\n"


def lift(host: str) -> str:
    """Nothing held, nothing fenced."""
    return _sets(host) + _nothing(table(host))


def rejoin(host: str, port: int, *, seconds: float) -> str:
    """Behind `lift`: nobody fetches from the port for `seconds`."""
    t = table(host)
    return f"add element ip {t} rejoin {{ {port} timeout {_timeout(seconds)} }}\n"


def fetch(host: str) -> str:
    """Nobody is held from fetching any more."""
    return _sets(host) + f"flush set ip {table(host)} rejoin\n"


def forward_on(host: str, address: str, port: int, target: str) -> str:
    """Pass new connections to `address`:`port` on to `target`, same port. The fence of this host
    does not see them: their destination is rewritten before it looks. Masquerading is left out
    on the loopback, where it breaks the connection (seen)."""
    t = table(host)
    mine, other = _address(address, host), _address(target, host)
    rewrite = f"ip daddr {mine} tcp dport {port} dnat to {other}"
    return _forward_chains(host) + (
        f"add rule ip {t} forward_in {rewrite}\n"
        f"add rule ip {t} forward_local {rewrite}\n"
        f"add rule ip {t} forward_out ip daddr {other} tcp dport {port} "
        f'oifname != "lo" ct status dnat masquerade\n'
    )


def forward_off(host: str) -> str:
    """New connections stay here. Connections already passed on keep their way until either end
    closes them: the other host's fence does."""
    return _forward_chains(host)


def _forward_chains(host: str) -> str:
    t = table(host)
    hooks = {"in": "prerouting priority -110", "local": "output priority -110"}
    hooks["out"] = "postrouting priority 90"
    return f"add table ip {t}\n" + "".join(
        f"add chain ip {t} forward_{name} {{ type nat hook {hook}; policy accept; }}\n"
        f"flush chain ip {t} forward_{name}\n"
        for name, hook in hooks.items()
    )


def remove(host: str) -> str:
    """Drop the whole table; an absent one is no error."""
    t = table(host)
    return f"add table ip {t}\ndelete table ip {t}\n"


def forget_knocks(host: str) -> str:
    return _sets(host) + f"flush set ip {table(host)} knocks\n"


def state(listing: str | None) -> FenceState:
    """Read `nft -j list table` of a host; None (no such table) is `absent`."""
    if listing is None:
        return FenceState("absent")
    items = _items(listing)
    target = next(_forward_targets(items), None)
    if not any("rule" in i and i["rule"].get("chain") == "input" for i in items):
        return FenceState("absent", forward=target)
    fenced = _elements(items, "fence")
    held = _elements(items, "hold") or _elements(items, "quiet")
    if fenced:
        left = [e["expires"] for e in fenced if "expires" in e]
        if len(left) == len(fenced):
            return FenceState("timed", expires=float(min(left)), forward=target)
        return FenceState("permanent", forward=target)
    return FenceState("holding" if held else "open", forward=target)


def rejoining(listing: str | None) -> bool:
    """Whether consumers are held from fetching."""
    return listing is not None and bool(_elements(_items(listing), "rejoin"))


def knocks(listing: str | None) -> dict[str, float]:
    """Addresses that tried to connect to a fenced port, and how many seconds ago at last."""
    found = _elements(_items(listing), "knocks") if listing is not None else []
    return {str(e["val"]): float(KNOCK_MEMORY - e.get("expires", KNOCK_MEMORY)) for e in found}


def _timeout(seconds: float) -> str:
    return f"{max(1, round(seconds * 1000))}ms"


def _items(listing: str) -> list[dict[str, Any]]:
    return list(json.loads(listing)["nftables"])


def _elements(items: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """The elements of one set; nft writes one without a timeout as its bare value."""
    found: list[dict[str, Any]] = []
    for item in items:
        if item.get("set", {}).get("name") == name:
            for element in item["set"].get("elem", []):
                rich = isinstance(element, dict) and "elem" in element
                found.append(element["elem"] if rich else {"val": element})
    return found


def _forward_targets(items: list[dict[str, Any]]) -> Iterator[str]:
    for item in items:
        for part in item.get("rule", {}).get("expr", []):
            if "dnat" in part:
                yield str(part["dnat"]["addr"])
