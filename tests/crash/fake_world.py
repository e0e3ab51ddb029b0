"""A world of fakes: what a scene has none of fails at the first touch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from kafkaops.config.schema import Config
from kafkaops.engine.clock import Clock
from kafkaops.ports.facts import Facts
from kafkaops.ports.world import World


def world_of(
    config: Config,
    clock: Clock,
    clusters: Mapping[str, object],
    facts: Facts,
    say: Callable[[str], None] = lambda line: None,
    hosts: Mapping[str, object] | None = None,
) -> World:
    """A cluster's own world: no names, no mirror, no second cluster to compare with."""
    nothing = cast(Any, None)
    return World(
        config=config,
        clock=clock,
        clusters=cast(Any, clusters),
        hosts=cast(Any, hosts or {}),
        local=nothing,
        names=nothing,
        probe=nothing,
        connect_command=(),
        connect={},
        verification={},
        versions=nothing,
        facts=facts,
        secrets=nothing,
        say=say,
    )
