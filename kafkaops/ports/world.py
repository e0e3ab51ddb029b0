"""The world as steps see it: ports, by name, built in `kafkaops.wiring` alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kafkaops.engine.clock import Clock
from kafkaops.ports.cluster import Cluster
from kafkaops.ports.connect import Connect
from kafkaops.ports.facts import Facts
from kafkaops.ports.host import Host
from kafkaops.ports.keys import Copies, NoCopies
from kafkaops.ports.names import Names
from kafkaops.ports.probe import Probe
from kafkaops.ports.provision import Provided, Provision
from kafkaops.ports.scaling import NoScaling, Scaling
from kafkaops.ports.verification import Verification
from kafkaops.ports.versions import Versions

if TYPE_CHECKING:
    from kafkaops.config.schema import Config
    from kafkaops.config.secrets import Secrets


@dataclass(frozen=True)
class World:
    """`clusters` by colour (`blue`, `green`); `hosts` by host name; `connect` by direction
    (`forward`: worker at green, `back`: worker at blue); `verification` by direction
    (`forward` blue to green, `back` green to blue). `connect_command` begins the command of a
    Connect worker on its host (java and the class path). `local` runs hooks where kafkaops runs.
    `secrets` resolves references of the config. `say` shows one line of news to the operator.
    `copies` are those of volumes in S3, by the operator's own rights. `provision` is where green
    comes from.
    What a cluster alone has not (green, names, a mirror) is a ConfigError when it is used."""

    config: Config
    clock: Clock
    clusters: Mapping[str, Cluster]
    hosts: Mapping[str, Host]
    local: Host
    names: Names
    probe: Probe
    connect_command: tuple[str, ...]
    connect: Mapping[str, Connect]
    verification: Mapping[str, Verification]
    versions: Versions
    facts: Facts
    secrets: Secrets
    say: Callable[[str], None]
    scaling: Scaling = field(default_factory=NoScaling)
    copies: Copies = field(default_factory=NoCopies)
    provision: Provision = field(default_factory=Provided)
