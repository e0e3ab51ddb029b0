"""How clients move between the clusters of a pair: mirror, names and pause, groups, gates."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field

from kafkaops.config.strict import HostPort, Name, Strict

ZONE_ID = re.compile(r"[A-Z0-9]{1,32}")


class Mirror(Strict):
    """MirrorMaker 2 as connectors on a Connect worker, run on `host` (a green host's name)
    forward and on `back_host` (a blue host's name) for the way back. Ports are of the
    workers' REST interfaces, bound to the host's own address."""

    host: Name = Field(description="the green host that mirrors blue to green")
    back_host: Name = Field(description="the blue host that mirrors green back to blue")
    rest_port: int = 8083
    back_rest_port: int = 8084
    heap_mib: int = Field(256, ge=128)
    tasks: int = Field(2, ge=1)
    exactly_once: bool = True
    exclude: tuple[str, ...] = Field((), description="topics left out, as globs")
    java: str = "java"
    kafka_home: str = "/opt/kafka/current"
    work_dir: str = "/var/lib/kafkaops/mirror"


def zone_name(hosted_zone: str) -> str:
    """The name of a hosted zone that is given by name, without a trailing dot; "" for an id, which
    is of capitals and digits alone."""
    return (
        ""
        if ZONE_ID.fullmatch(hosted_zone.removeprefix("/hostedzone/"))
        else hosted_zone.rstrip(".").lower()
    )


class Cutover(Strict):
    """Names and the pause. TTLs and durations in seconds; `broker_names` maps a node id to
    the name that both clusters advertise; empty means alias only."""

    hosted_zone: str = Field(
        description="Route 53 hosted zone, by id, or by a name that one zone has"
    )
    alias: str = Field(description="the name that clients bootstrap from")
    broker_names: dict[int, str] = Field(
        {}, description="node id to the name that both clusters advertise"
    )
    ttl: int = Field(60, ge=1, le=86400, description="seconds, outside the move")
    cut_ttl: int = Field(5, ge=1, le=300, description="seconds, during the move")
    resolver: HostPort | None = Field(None, description="whom to ask; default the system's")
    fence: Literal["firewall", "clients"] = Field(
        "firewall",
        description="nftables on the hosts; or all clients stopped by hooks, a planned outage",
    )
    still_window: float = Field(
        3.0,
        ge=1,
        le=300,
        description="seconds for which no record may come once hooks have stopped the clients"
        " (fence: clients); longer finds writers that write rarely",
    )
    forward: Literal["forward", "refuse"] = Field(
        "forward", description="what green's CLIENT port does until the cut"
    )
    max_write_pause: float = Field(
        20.0, ge=2, le=45, description="seconds; past it blue takes writes again"
    )
    drain_window: float = Field(
        1.5, ge=0, le=10, description="seconds in which the fence lets acknowledgements out"
    )
    quiet_window: float = Field(
        0.5,
        ge=0,
        le=10,
        description="of these, the first seconds: only producers are held, consumers read to the"
        " end and commit (not where clients use TLS)",
    )
    rejoin_window: float = Field(
        5.0,
        ge=0,
        le=30,
        description="seconds after opening, at the most, in which nobody may fetch: until every"
        " group has rejoined, so that nobody reads on from an old position (not where clients use"
        " TLS)",
    )


class ClientGroup(Strict):
    """Clients that move alike. `groups` and `client_ids` are glob patterns; `stop` and `start`
    are argument lists, run on `host` (default: where kafkaops runs)."""

    name: Name
    moves: Literal["follows-names", "rebootstrap", "hooks"]
    groups: tuple[str, ...] = Field((), description="consumer groups, as globs")
    client_ids: tuple[str, ...] = Field((), description="client ids, as globs")
    host: Name | None = Field(None, description="where hooks run; default where kafkaops runs")
    stop: tuple[str, ...] = Field((), description="argument list: flush, commit, stop")
    start: tuple[str, ...] = Field((), description="argument list: start again")
    timeout: float = Field(60.0, description="seconds for each hook")


class Gates(Strict):
    """What must hold, for how long (seconds), before the names move and before the fence."""

    hold: float = Field(5.0, ge=0, description="seconds for which all must hold")
    mirror_lag: int = Field(1000, ge=0, description="source records not yet on green")
    verify_behind: int = Field(5000, ge=0, description="records not yet compared")
    timeout: float = Field(900.0, ge=1, description="seconds to wait for the gates")
    bake: float = Field(0.0, ge=0, description="seconds between the cut and finalize")
