"""A load's roster: which clients it has, in which lab, on which topics; one file, `fleet.json`."""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from kafkaops.engine.errors import OpsError
from kafkaops.lab.layout import Layout
from kafkaops.lab.load.spec import ClientSpec

OWNER = "load"


@dataclass(frozen=True)
class Fleet:
    """What `fleet.json` holds. `cluster_id` is blue's: a load belongs to one life of a lab.
    `drained` after a stop that let the groups read to the end; `starts` in ns."""

    cluster_id: str
    topics: dict[str, int]
    clients: tuple[ClientSpec, ...]
    drained: bool = False
    starts: tuple[int, ...] = ()


class LoadFault(OpsError):
    """The load cannot do what was asked, and why."""


def home_of(layout: Layout) -> Path:
    """The load's directory."""
    return layout.root / OWNER


def load(layout: Layout) -> Fleet:
    """The fleet of this lab. LoadFault if no load was started in it."""
    home = home_of(layout)
    try:
        data = json.loads((home / "fleet.json").read_text())
    except FileNotFoundError:
        raise _none(layout) from None
    fleet = Fleet(
        data["cluster_id"],
        data["topics"],
        tuple(ClientSpec.from_json(c) for c in data["clients"]),
        data["drained"],
        tuple(data["starts"]),
    )
    if fleet.cluster_id != cluster_id_of(layout):
        raise _none(layout)
    return fleet


def fresh_or_known(layout: Layout) -> Fleet | None:
    """The load to go on with; what an earlier lab left in this directory is removed."""
    home = home_of(layout)
    home.mkdir(parents=True, exist_ok=True)
    try:
        return load(layout)
    except LoadFault:
        if (home / "fleet.json").exists():
            shutil.rmtree(home)
            home.mkdir()
        return None


def save(layout: Layout, fleet: Fleet) -> None:
    home = home_of(layout)
    scratch = home / ".fleet.json"
    scratch.write_text(json.dumps(asdict(fleet), indent=1) + "\n")
    os.replace(scratch, home / "fleet.json")


def cluster_id_of(layout: Layout) -> str:
    """Blue's cluster id, from its first broker's storage: no broker need be up."""
    meta = layout.host("blue-1") / "data" / "meta.properties"
    found = re.search(r"(?m)^cluster\.id=(.+)$", meta.read_text()) if meta.exists() else None
    return found[1] if found else ""


def _none(layout: Layout) -> LoadFault:
    return LoadFault(
        "KO-LOAD-NONE",
        "no load was started in this lab",
        where=str(layout.root),
        hint=f"kafkaops lab load start --dir {layout.root}",
    )
