"""A client of the load as a process of the lab: its command, its start, its end."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from kafkaops.lab import control
from kafkaops.lab.layout import Layout
from kafkaops.lab.load import java
from kafkaops.lab.load.client import next_number
from kafkaops.lab.load.ledger import SUFFIX
from kafkaops.lab.load.roster import OWNER, home_of
from kafkaops.lab.load.spec import ClientSpec

STOP_TIMEOUT = 90.0


def spawn(layout: Layout, spec: ClientSpec) -> None:
    """Start it, unless it runs; a producer goes on with its sequence."""
    home = home_of(layout)
    path = home / f"{spec.name}{SUFFIX}"
    if services(layout).get(service(spec.name), {}).get("active"):
        return
    if spec.java:
        spec_file = home / f"{spec.name}.properties"
        spec_file.write_text(java.properties(spec, next_number(path)))
        argv, env = java.command(spec, spec_file, path)
    else:
        spec_file = home / f"{spec.name}.json"
        spec_file.write_text(json.dumps(spec.to_json()))
        argv = [sys.executable, "-m", "kafkaops.lab.load.client", str(spec_file), str(path)]
        env = {}
    control.call(
        layout.socket,
        "spawn",
        name=service(spec.name),
        argv=argv,
        env=env,
        log=str(home / f"{spec.name}.log"),
    )


def end(layout: Layout, specs: Sequence[ClientSpec]) -> None:
    """TERM to all at once; KILL to what has not ended in time (its ledger lacks the end)."""

    def one(spec: ClientSpec) -> None:
        control.call(
            layout.socket,
            "stop",
            timeout=STOP_TIMEOUT,
            name=service(spec.name),
        )

    if specs:
        with ThreadPoolExecutor(len(specs)) as pool:
            list(pool.map(one, specs))


def service(name: str) -> str:
    """What the supervisor calls a client."""
    return f"{OWNER}/{name}"


def running(layout: Layout, specs: Sequence[ClientSpec]) -> list[bool]:
    """Of each client, whether it runs."""
    now = services(layout)
    return [bool(now.get(service(s.name), {}).get("active")) for s in specs]


def services(layout: Layout) -> dict[str, dict[str, Any]]:
    """All processes of the lab, as it shows them, by name."""
    processes = control.call(layout.socket, "status")["processes"]
    return {p["name"]: p for p in processes}
