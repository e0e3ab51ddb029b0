"""Hosts that keep nftables rules, files and services in memory, with the kernel's timers.

They read the very scripts that real hosts are fed, all or nothing, and stand still when the
clock does: an element with a timeout is gone once the clock has passed it.
"""

from __future__ import annotations

import copy
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kafkaops.engine.clock import FakeClock
from kafkaops.ports.host import Ran, ServiceState


class Refused(Exception):
    """nft's word for an impossible command: the whole script is then without effect."""


@dataclass
class Table:
    """Sets hold element -> monotonic time of its end (None: for ever)."""

    sets: dict[str, dict[str, float | None]] = field(default_factory=dict)
    chains: dict[str, list[str]] = field(default_factory=dict)


class Firewall:
    """The little of nft's language that kafkaops writes; anything else is refused."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.tables: dict[str, Table] = {}
        self.soonest = math.inf  # no element ends before this moment

    def load(self, script: str) -> Ran:
        self.expire()
        before = copy.deepcopy(self.tables)
        try:
            for line in filter(None, (raw.strip() for raw in script.splitlines())):
                self._command(line)
        except Refused as refused:
            self.tables = before
            return Ran(1, "", str(refused))
        return Ran(0, "", "")

    def expire(self) -> None:
        now = self.clock.monotonic()
        if now < self.soonest:
            return
        self.soonest = math.inf
        for table in self.tables.values():
            for elements in table.sets.values():
                for gone in [e for e, end in elements.items() if end is not None and end <= now]:
                    del elements[gone]
                self.soonest = min([self.soonest, *(e for e in elements.values() if e is not None)])

    def _command(self, line: str) -> None:
        words = line.split()
        verb, noun, name = words[0], words[1], words[3]
        if (verb, noun) == ("add", "table"):
            self.tables.setdefault(name, Table())
            return
        if name not in self.tables:
            raise Refused(f"No such file or directory: {line}")
        table = self.tables[name]
        if (verb, noun) == ("delete", "table"):
            del self.tables[name]
        elif (verb, noun) == ("add", "set"):
            table.sets.setdefault(words[4], {})
        elif (verb, noun) == ("flush", "set"):
            self._set(table, words[4], line).clear()
        elif (verb, noun) == ("add", "chain"):
            table.chains.setdefault(words[4], [])
        elif (verb, noun) == ("flush", "chain"):
            table.chains[words[4]] = []
        elif (verb, noun) == ("add", "rule"):
            table.chains[words[4]].append(" ".join(words[5:]))
        elif noun == "element":
            self._element(verb, self._set(table, words[4], line), line)
        else:
            raise Refused(f"not understood: {line}")

    def _set(self, table: Table, name: str, line: str) -> dict[str, float | None]:
        if name not in table.sets:
            raise Refused(f"No such file or directory: {line}")
        return table.sets[name]

    def _element(self, verb: str, elements: dict[str, float | None], line: str) -> None:
        found = re.search(r"\{ (\S+)(?: timeout (\d+)ms)? \}", line)
        if found is None:
            raise Refused(f"not understood: {line}")
        value, timeout = found.groups()
        if verb == "delete":
            if value not in elements:
                raise Refused(f"No such file or directory: {line}")
            del elements[value]
        else:
            end = None if timeout is None else self.clock.monotonic() + int(timeout) / 1000
            elements.setdefault(value, end)
            if end is not None:
                self.soonest = min(self.soonest, end)

    def listing(self, name: str) -> str | None:
        self.expire()
        table = self.tables.get(name)
        if table is None:
            return None
        items: list[dict[str, Any]] = []
        for set_name, elements in table.sets.items():
            listed: list[Any] = []
            for value, end in elements.items():
                number: Any = int(value) if value.isdigit() else value
                if end is None:
                    listed.append(number)
                else:
                    left = int(end - self.clock.monotonic())
                    listed.append({"elem": {"val": number, "timeout": 1, "expires": left}})
            items.append({"set": {"name": set_name, "elem": listed}})
        for chain, rules in table.chains.items():
            for rule in rules:
                target = re.search(r"dnat to (\S+)", rule)
                expr = [{"dnat": {"addr": target.group(1)}}] if target else [{"other": rule}]
                items.append({"rule": {"chain": chain, "expr": expr}})
        return json.dumps({"nftables": items})

    def fenced(self, name: str, port: int) -> bool:
        self.expire()
        table = self.tables.get(name)
        if table is None or not table.chains.get("input"):
            return False
        sets, closed = table.sets, str(port)
        return any(kind in sets and closed in sets[kind] for kind in ("fence", "hold", "quiet"))

    def forward(self, name: str) -> str | None:
        table = self.tables.get(name)
        for rule in table.chains.get("forward_local", []) if table else []:
            found = re.search(r"dnat to (\S+)", rule)
            if found:
                return found.group(1)
        return None


class FakeHost:
    """Implements `ports.host.Host`. Its clock is its own: `ahead` seconds of what ours was."""

    def __init__(self, name: str, address: str, clock: FakeClock) -> None:
        self.name, self.address, self.clock = name, address, clock
        self.rules = Firewall(clock)
        self.files: dict[str, bytes] = {}
        self.services: dict[str, bool] = {"kafka": True}
        self.restarts: list[str] = []
        self.ran: list[tuple[str, ...]] = []
        self.ahead = 0.0

    def now(self) -> float:
        return self.clock.monotonic() + self.ahead

    def read(self, path: str) -> bytes | None:
        return self.files.get(path)

    def run(self, argv: Sequence[str], *, stdin: str = "", timeout: float = 30.0) -> Ran:
        self.ran.append(tuple(argv))
        if argv[0] == "date":
            return Ran(0, str(int(self.now() * 1e9)), "")
        if "kafkaops-fire" in argv:
            return self._fire(argv)
        if "kafkaops-shut" in argv:
            return self.rules.load(stdin)
        return Ran(0, "", "")

    def _fire(self, argv: Sequence[str]) -> Ran:
        """The phases; the wait between them is the caller's, for hosts fire side by side."""
        moment, moments = int(self.now() * 1e9), []
        for after, script in zip(argv[5::2], argv[6::2], strict=True):
            ran = self.rules.load(script)
            if ran.code:
                return ran
            moment += int(after)
            moments.append(str(moment))
        return Ran(0, " ".join(moments), "")

    def put(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        self.files[path] = data

    def firewall(self, ruleset: str, *, timeout: float = 10.0) -> Ran:
        return self.rules.load(ruleset)

    def firewall_show(self, table: str) -> str | None:
        return self.rules.listing(table)

    def service(self, name: str) -> ServiceState:
        up = self.services.get(name, False)
        return ServiceState(name, up, 1 if up else 0)

    def service_start(
        self, name: str, argv: Sequence[str], *, env: Mapping[str, str], log: str
    ) -> None:
        self.services[name] = True

    def service_stop(self, name: str, *, timeout: float = 330.0, kill: bool = False) -> None:
        self.services.pop(name, None)

    def service_restart(self, name: str, *, timeout: float = 330.0) -> None:
        self.restarts.append(name)
