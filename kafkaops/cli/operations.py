"""The seam between the command line and the operations: everything is imported when called.

Invariant: no command imports a room, an adapter or the wiring by itself; what a command can
do stands here, once, and `--help` costs none of it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from kafkaops.engine.errors import ConfigError

if TYPE_CHECKING:
    from kafkaops.config.schema import ClusterSpec, Config
    from kafkaops.ports.cluster import Cluster
    from kafkaops.ports.world import World

Say = Callable[[str], None]
COLOURS = ("blue", "green")


def enter_lab(directory: Path) -> None:
    """Move this process into the lab's private network. ConfigError when no lab is up there."""
    try:
        from kafkaops.lab.enter import enter
    except ModuleNotFoundError as error:
        raise ConfigError(
            "KO-EXTRA-MISSING",
            f"the config has a `lab:` section, and the Python package {error.name!r} is missing",
            hint="pip install 'kafkaops[lab]'",
        ) from error
    enter(directory)


def cluster(config: Config, colour: str) -> Cluster:
    """One cluster of the config, over its REPL listener; connects at the first call."""
    from kafkaops import wiring

    return wiring.cluster(config, colour)


def cluster_at(spec: ClusterSpec) -> Cluster:
    """A cluster known by address alone (PLAINTEXT)."""
    from kafkaops import wiring

    return wiring.cluster_at(spec)


def world(config: Config, *, run_dir: Path | None, say: Say) -> World:
    """Everything steps need; `run_dir` None is a look that leaves no facts behind."""
    from kafkaops import wiring

    return wiring.build(config, run_dir=run_dir, say=say)
