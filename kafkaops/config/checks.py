"""What a schema cannot say: rules between keys of a config. Pure; all faults, not the first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from kafkaops.config import accepting, checks_volumes
from kafkaops.config.faults import Fault
from kafkaops.config.moving import zone_name
from kafkaops.config.schema import ClusterSpec, Config, HostSpec, Security


def check(config: Config) -> list[Fault]:
    """Every fault between keys; empty when the config makes sense."""
    return [
        *_pair(config),
        *(f for colour, spec in config.clusters.items() for f in _cluster(colour, spec)),
        *_hosts(config),
        *(f for colour, spec in config.clusters.items() for f in _fleet(colour, spec)),
        *(
            f
            for colour, spec in config.clusters.items()
            for f in checks_volumes.check(colour, spec, config.aws.region)
        ),
        *_names(config),
        *_mirror(config),
        *_clients(config),
        *accepting.faults(config.accept),
        *_lab(config),
    ]


def _pair(config: Config) -> Iterator[Fault]:
    if not config.has("green"):
        if config.has("mirror"):
            yield Fault("green", "is required and missing: mirror is between blue and green")
        return
    for section in ("mirror", "cutover"):
        if not config.has(section):
            yield Fault(section, "is required and missing: there are two clusters")
    if config.blue.name == config.green.name:
        yield Fault("green.name", f"is the same as blue.name ({config.blue.name})")
    shared = sorted(set(config.blue.bootstrap) & set(config.green.bootstrap))
    if shared:
        yield Fault(
            "green.bootstrap",
            f"{', '.join(shared)} is in blue.bootstrap too: blue and green must be two clusters",
        )


def _cluster(colour: str, spec: ClusterSpec) -> Iterator[Fault]:
    if spec.client_port == spec.repl_port:
        yield Fault(
            f"{colour}.repl_port",
            f"is the client_port ({spec.client_port}): the fence closes the client port, and"
            " replication, the mirror and kafkaops must go on",
        )
    for index, address in enumerate(spec.bootstrap):
        host, _, port = address.rpartition(":")
        if not 1 <= int(port) <= 65535:
            yield Fault(f"{colour}.bootstrap.{index}", f"port {port} of {host} is not a port")
        elif int(port) == spec.client_port != spec.repl_port:
            yield Fault(
                f"{colour}.bootstrap.{index}",
                f"{address} is the client port; bootstrap must be on the REPL listener"
                f" (repl_port {spec.repl_port}), which is never fenced",
            )
    yield from _security(f"{colour}.security", spec.security)
    if spec.client_security is not None:
        yield from _security(f"{colour}.client_security", spec.client_security)


def _security(key: str, security: Security) -> Iterator[Fault]:
    sasl = security.protocol.startswith("SASL")
    if sasl and not security.mechanism:
        yield Fault(f"{key}.mechanism", f"is required with {security.protocol}")
    if sasl and security.mechanism not in ("", "OAUTHBEARER"):
        if not security.username:
            yield Fault(f"{key}.username", f"is required with {security.mechanism}")
        if security.password is None:
            yield Fault(
                f"{key}.password",
                f"is required with {security.mechanism}, as env:NAME, file:PATH or"
                " secretsmanager:ID",
            )
    if not sasl and (security.mechanism or security.username or security.password):
        yield Fault(
            f"{key}.protocol",
            f"is {security.protocol}, which takes no mechanism, username or password",
        )
    if bool(security.cert_file) != bool(security.key_file):
        yield Fault(f"{key}.cert_file", "cert_file and key_file go together")
    if not security.protocol.endswith("SSL") and (security.ca_file or security.cert_file):
        yield Fault(f"{key}.protocol", f"is {security.protocol}, which takes no certificates")


def _hosts(config: Config) -> Iterator[Fault]:
    every: list[tuple[str, HostSpec]] = [
        (f"{colour}.hosts.{index}", host)
        for colour, spec in config.clusters.items()
        for index, host in enumerate(spec.hosts)
    ]
    for attribute in ("name", "address"):
        seen: dict[str, str] = {}
        for key, host in every:
            value = getattr(host, attribute)
            if value in seen:
                yield Fault(f"{key}.{attribute}", f"{value} is also {seen[value]}.{attribute}")
            seen.setdefault(value, key)
    for colour, spec in config.clusters.items():
        ids = Counter(h.node_id for h in spec.hosts if h.node_id is not None)
        for node, times in sorted(ids.items()):
            if times > 1:
                yield Fault(f"{colour}.hosts", f"{times} hosts have node_id {node}")
    for key, host in every:
        target = host.target or host.address
        if host.via == "ssm" and not target.startswith(("i-", "mi-")):
            yield Fault(
                f"{key}.target", f"must be an instance id (i-...) with via: ssm, and is {target}"
            )


def _fleet(colour: str, spec: ClusterSpec) -> Iterator[Fault]:
    for unit, times in Counter(spec.fleet.agents).items():
        if times > 1:
            yield Fault(f"{colour}.fleet.agents", f"{unit} is given twice")
        if unit in {spec.service, f"{spec.service}.service"}:
            yield Fault(f"{colour}.fleet.agents", f"{unit} is the node's own service")
    if not spec.fleet.auto_scaling:
        return
    seen: dict[str, str] = {}
    for index, host in enumerate(spec.hosts):
        key = f"{colour}.hosts.{index}.instance"
        if not host.ec2:
            yield Fault(
                key,
                f"{host.name} names no EC2 instance (i-...), and fleet.auto_scaling is true: nobody"
                " could tell which Auto Scaling group may replace it",
            )
        elif host.ec2 in seen:
            yield Fault(key, f"{host.ec2} is also the instance of {seen[host.ec2]}")
        seen.setdefault(host.ec2, host.name)


def _names(config: Config) -> Iterator[Fault]:
    if not config.has("cutover"):
        return
    cutover = config.cutover
    names = cutover.broker_names
    for colour, spec in config.clusters.items() if names else ():
        ids = {h.node_id for h in spec.hosts if h.node_id is not None}
        missing = sorted(set(names) - ids)
        extra = sorted(ids - set(names))
        if missing:
            yield Fault(
                "cutover.broker_names",
                f"names node {_list(missing)}, which no host of {colour} has as node_id:"
                " shared names need the same node ids on both clusters",
            )
        if extra:
            yield Fault(
                "cutover.broker_names",
                f"has no name for node {_list(extra)} of {colour}: name every broker, or none"
                " (then only the alias moves)",
            )
    for name, times in Counter(names.values()).items():
        if times > 1:
            yield Fault("cutover.broker_names", f"{name} is given to {times} nodes")
    if cutover.alias in names.values():
        yield Fault("cutover.alias", f"{cutover.alias} is also a broker's name")
    zone = zone_name(cutover.hosted_zone)
    if zone:
        for key, name in [
            ("cutover.alias", cutover.alias),
            *((f"cutover.broker_names.{node}", name) for node, name in names.items()),
        ]:
            if name != zone and not name.endswith("." + zone):
                yield Fault(key, f"{name} is not in the zone {zone}")
    if cutover.cut_ttl > cutover.ttl:
        yield Fault(
            "cutover.cut_ttl", f"{cutover.cut_ttl} is above ttl ({cutover.ttl}): it must be lower"
        )
    if cutover.drain_window >= cutover.max_write_pause:
        yield Fault(
            "cutover.drain_window",
            f"{cutover.drain_window} s leaves nothing of max_write_pause"
            f" ({cutover.max_write_pause} s)",
        )
    if cutover.quiet_window > cutover.drain_window:
        yield Fault(
            "cutover.quiet_window",
            f"{cutover.quiet_window} s is part of drain_window ({cutover.drain_window} s):"
            " it cannot be longer",
        )


def _mirror(config: Config) -> Iterator[Fault]:
    if not (config.has("mirror") and config.has("green")):
        return
    for key, name, colour, spec in (
        ("mirror.host", config.mirror.host, "green", config.green),
        ("mirror.back_host", config.mirror.back_host, "blue", config.blue),
    ):
        known = [h.name for h in spec.hosts]
        if name not in known:
            yield Fault(key, f"{name} is not a host of {colour}; its hosts are {', '.join(known)}")


def _clients(config: Config) -> Iterator[Fault]:
    hosts = {h.name for h in config.hosts}
    names = config.cutover.broker_names if config.has("cutover") else {}
    seen: set[str] = set()
    for index, group in enumerate(config.clients):
        key = f"clients.{index}"
        if group.name in seen:
            yield Fault(f"{key}.name", f"{group.name} is given twice")
        seen.add(group.name)
        if group.moves == "hooks":
            for hook in ("stop", "start"):
                if not getattr(group, hook):
                    yield Fault(
                        f"{key}.{hook}", f"is required: {group.name} moves by hooks (stop, start)"
                    )
        elif group.stop or group.start:
            yield Fault(f"{key}.moves", f"is {group.moves}, which runs no stop or start")
        if group.moves == "follows-names" and not names:
            yield Fault(
                f"{key}.moves",
                "follows-names needs cutover.broker_names, the same names on both clusters",
            )
        if group.host is not None and group.host not in hosts:
            yield Fault(
                f"{key}.host", f"{group.host} is not a host of {' or '.join(config.clusters)}"
            )
    fence = config.cutover.fence if config.has("cutover") else "firewall"
    if fence == "clients" and not any(g.moves == "hooks" for g in config.clients):
        yield Fault(
            "cutover.fence", "is clients, but no group in clients has moves: hooks to stop them"
        )


def _lab(config: Config) -> Iterator[Fault]:
    if config.lab is not None:
        return
    if config.provision.kind == "lab":
        yield Fault("provision.kind", "is lab, and there is no `lab:` section")
    for colour, spec in config.clusters.items():
        for index, host in enumerate(spec.hosts):
            if host.via == "lab":
                yield Fault(f"{colour}.hosts.{index}.via", "is lab, and there is no `lab:` section")


def _list(values: list[int]) -> str:
    return ", ".join(str(v) for v in values)
