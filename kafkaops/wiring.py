"""The only place that builds adapters and hands them over, as one `World`.

Invariant: everything is imported when it is built, so that no command pays for an adapter it
does not use; nothing here decides anything.
"""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from kafkaops.engine.clock import Clock, SystemClock

if TYPE_CHECKING:
    from kafkaops.config.schema import Aws, ClusterSpec, Config, HostSpec
    from kafkaops.config.secrets import Secrets
    from kafkaops.engine.lease import Lease
    from kafkaops.model.volume import VolumeSpec
    from kafkaops.ports.cluster import Cluster
    from kafkaops.ports.connect import Connect
    from kafkaops.ports.facts import Facts
    from kafkaops.ports.host import Host
    from kafkaops.ports.lease import LeaseKeeper
    from kafkaops.ports.names import Names
    from kafkaops.ports.provision import Provision
    from kafkaops.ports.scaling import Scaling
    from kafkaops.ports.speeds import Speeds
    from kafkaops.ports.verification import Verification
    from kafkaops.ports.versions import Tarball, Versions
    from kafkaops.ports.world import World
    from kafkaops.volumes.cluster.planner import Packed
    from kafkaops.volumes.ground import Ground
    from kafkaops.volumes.host_file import HostFile

T = TypeVar("T")


class Built(Mapping[str, T]):
    """A mapping whose values are built when first asked for."""

    def __init__(self, makers: Mapping[str, Callable[[], T]]) -> None:
        self._makers = makers
        self._built: dict[str, T] = {}

    def __getitem__(self, key: str) -> T:
        if key not in self._built:
            self._built[key] = self._makers[key]()
        return self._built[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


class LateVersions:
    """`ports.versions.Versions`, built at the first question: few commands ask."""

    def __init__(self, config: Config) -> None:
        self._config = config

    @cached_property
    def _sources(self) -> Versions:
        from kafkaops.adapters.version_source import VersionSources

        return VersionSources(self._config.versions, self._config.aws)

    def sha512(self, release: str) -> str:
        return self._sources.sha512(release)

    def tarball(self, release: str) -> Tarball:
        return self._sources.tarball(release)


class LateScaling:
    """`ports.scaling.Scaling`, built at the first question: most clusters have none."""

    def __init__(self, config: Config, clock: Clock) -> None:
        self._config, self._clock = config, clock

    @cached_property
    def _scaling(self) -> Scaling:
        from kafkaops.adapters.auto_scaling import AutoScaling

        return AutoScaling(self._config.aws, self._clock)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._scaling, name)


def secrets() -> Secrets:
    """What resolves references, AWS Secrets Manager's included."""
    from kafkaops.config.secrets import Secrets

    def fetch(name: str) -> str:
        from kafkaops.adapters import secrets_manager

        return secrets_manager.fetch(name)

    return Secrets(fetch=fetch)


def password(spec: ClusterSpec) -> str | None:
    """The cluster's password, resolved now and not before."""
    reference = spec.security.password
    return None if reference is None else secrets().resolve(reference)


def client_login(spec: ClusterSpec) -> Mapping[str, Any]:
    """kafka-python's settings of a client of this cluster, as on its CLIENT listener."""
    from kafkaops.adapters.kafka_security import kafka_python_settings

    own = spec.client_security or spec.security
    as_client = spec.model_copy(update={"security": own})
    return kafka_python_settings(as_client, password(as_client))


def colour_spec(config: Config, colour: str) -> ClusterSpec:
    return config.blue if colour == "blue" else config.green


class Missing:
    """Stands for a port that this config has no section for: to use it is the error."""

    def __init__(self, section: Callable[[], object]) -> None:
        self._section = section

    def __getattr__(self, name: str) -> Any:
        self._section()
        raise AttributeError(name)


def cluster(config: Config, colour: str) -> Cluster:
    """One cluster over its REPL listener; connects at the first call."""
    from kafkaops.adapters.kafka_cluster import KafkaCluster

    spec = colour_spec(config, colour)
    return KafkaCluster(spec, password(spec))


def host(config: Config, spec: HostSpec) -> Host:
    """The adapter that `via` names."""
    if spec.via == "lab" and config.lab is not None:
        from kafkaops.adapters.host_lab import LabHost

        return LabHost(spec.name, spec.address, config.lab.dir)
    if spec.via == "ssh":
        from kafkaops.adapters.host_ssh import SshHost

        control = Path(config.state.dir) / "ssh"
        return SshHost(
            spec.name,
            spec.address,
            target=spec.target,
            control_dir=str(control),
            config_file=config.ssh.config_file,
        )
    if spec.via == "ssm":
        from kafkaops.adapters.host_ssm import SsmHost

        return SsmHost(spec.name, spec.address, instance=spec.target, aws=config.aws)
    from kafkaops.adapters.host_local import LocalHost

    return LocalHost(spec.name, spec.address)


def log_reader(config: Config, colour: str) -> Any:
    """A reader of raw record batches."""
    from kafkaops.adapters.raw_log import RawLog

    spec = colour_spec(config, colour)
    return RawLog(spec, password(spec))


def verification(config: Config, direction: str, facts: Facts, directory: Path) -> Verification:
    """The comparison of one direction, checkpointed under the run's directory. The way back
    starts where the cut ended."""
    from kafkaops.adapters.verification import LogVerification
    from kafkaops.upgrade.blue_green.move import cut_of, moved

    source, target = ("blue", "green") if direction == "forward" else ("green", "blue")
    watched = cluster(config, source)

    def topics() -> Mapping[str, tuple[int, bool]]:
        found = moved(watched.topics(configs=True), config.mirror.exclude)
        return {
            name: (
                len(topic.partitions),
                "compact" in (topic.config.values.get("cleanup.policy") or ""),
            )
            for name, topic in found.items()
        }

    return LogVerification(
        log_reader(config, source),
        log_reader(config, target),
        topics,
        directory / f"verify-{direction}",
        SystemClock(),
        start_at=lambda: cut_of(facts, direction),
    )


def connect(config: Config, direction: str) -> Connect:
    from kafkaops.adapters.connect_rest import ConnectRest

    mirror = config.mirror
    name = mirror.host if direction == "forward" else mirror.back_host
    port = mirror.rest_port if direction == "forward" else mirror.back_rest_port
    hosts = {h.name: h.address for h in config.hosts}
    return ConnectRest(f"http://{hosts[name]}:{port}", SystemClock())


def connect_command(config: Config) -> tuple[str, ...]:
    """How the mirror's worker is started on its host: java and the class path. The lab brings
    both from its own kit. Empty where there is no mirror."""
    if not config.has("mirror"):
        return ()
    if config.lab is None:
        return (config.mirror.java, "-cp", f"{config.mirror.kafka_home}/libs/*")
    from kafkaops.lab import broker

    return broker.java("4.3.1")


def lease(config: Config, run: str) -> Lease:
    """The lease of each cluster, taken in one fixed order. LeaseHeld names the holder."""
    from kafkaops.engine.lease import Holder, take

    clock = SystemClock()
    holder = Holder(getpass.getuser(), socket.gethostname(), os.getpid(), run, clock.wall())
    keeper = leases(config, clock)

    def acquire(name: str) -> Lease:
        return keeper.acquire(name, holder, config.state.lease_ttl)

    return take(acquire, (spec.name for spec in config.clusters.values()))


def names(config: Config) -> Names:
    """The names that clients follow."""
    if not config.has("cutover"):
        return cast("Names", Missing(lambda: config.cutover))
    from kafkaops.adapters.route53 import Route53

    cutover = config.cutover
    return Route53(cutover.hosted_zone, config.aws, resolver=cutover.resolver)


def volumes(path: str, say: Callable[[str], None]) -> tuple[HostFile, Ground]:
    """The host's file of volumes and what they stand on, on this host. Imports nothing that the
    packed module lacks: no schema of the config, no client of Kafka."""
    from kafkaops.adapters.disk_blocks import Blocks
    from kafkaops.adapters.disk_find import located
    from kafkaops.adapters.kms import KmsKeys
    from kafkaops.adapters.luks_disks import LuksDisks
    from kafkaops.adapters.s3_copies import S3Copies
    from kafkaops.engine.facts import FileFacts
    from kafkaops.volumes import host_file
    from kafkaops.volumes.ground import Ground

    host = host_file.load(Path(path))
    blocks = Blocks()

    def placed() -> tuple[VolumeSpec, ...]:
        return located(host.volumes, blocks)

    clock = SystemClock()
    aws = cast("Aws", host.aws)
    return replace(host, volumes=placed()), Ground(
        disks=LuksDisks(aws, blocks=blocks),
        keys=KmsKeys(aws, clock),
        copies=S3Copies(aws, clock),
        facts=FileFacts(Path(host_file.MEMORY)),
        clock=clock,
        say=say,
        locate=lambda spec: next(v for v in placed() if v.name == spec.name),
    )


def provision(config: Config) -> Provision:
    """Where green comes from, by its kind; a cluster alone has none."""
    from kafkaops.ports.provision import Provided

    if not config.has("green"):
        return Provided()
    if config.provision.kind == "lab" and config.lab is not None:
        from kafkaops.adapters.provision_lab import LabCluster

        return LabCluster(config.green, config.lab.dir)
    from kafkaops.adapters.provision_existing import ExistingCluster

    return ExistingCluster(config.green, _later(cluster, config, "green"))


def speeds(tool: str) -> Speeds:
    """What measures this host's disks; as `volumes`, of what the packed module has."""
    from kafkaops.adapters.speed_disks import DiskSpeeds

    return DiskSpeeds(tool)


def packed_module(config: Config) -> Packed:
    """The host module of what is installed here, kept in the state directory."""
    import hashlib

    from kafkaops.adapters.installed_module import packed
    from kafkaops.engine.files import OsFiles
    from kafkaops.volumes.cluster.planner import Packed

    module = packed()
    path = Path(config.state.dir).resolve() / "modules" / module.filename
    if OsFiles().read(path) != module.data:
        OsFiles().create(path, module.data)
    return Packed(module.name, str(path), hashlib.sha512(module.data).hexdigest())


def leases(config: Config, clock: Clock) -> LeaseKeeper:
    """Where leases live: beside the runs, or in S3."""
    if config.state.lease == "file":
        from kafkaops.adapters.lease_file import FileLeases

        return FileLeases(Path(config.state.dir) / "leases")
    from kafkaops.adapters.lease_s3 import S3Leases

    bucket, _, prefix = config.state.lease.removeprefix("s3://").partition("/")
    return S3Leases(bucket, prefix, config.aws, clock)


def build(
    config: Config,
    *,
    run_dir: Path | None,
    say: Callable[[str], None],
    clock: Clock | None = None,
) -> World:
    """The world of one run. `run_dir` None is a look that leaves no facts behind."""
    from kafkaops.adapters.host_local import LocalHost
    from kafkaops.adapters.probe import ClientProbe
    from kafkaops.adapters.s3_copies import S3Copies
    from kafkaops.engine.store import FileFacts, MemoryFacts
    from kafkaops.ports.world import World

    facts: Facts = MemoryFacts() if run_dir is None else FileFacts(run_dir / "facts")
    directory = run_dir or Path(config.state.dir) / "look"
    both = ("forward", "back")
    return World(
        config=config,
        clock=clock or SystemClock(),
        clusters=Built({c: _later(cluster, config, c) for c in ("blue", "green")}),
        hosts=Built({spec.name: _later(host, config, spec) for spec in config.hosts}),
        local=LocalHost("here", "127.0.0.1", as_self=True),
        names=names(config),
        probe=ClientProbe(
            {
                f"{colour}.client_security": _later(client_login, spec)
                for colour, spec in config.clusters.items()
            }
        ),
        connect_command=connect_command(config),
        connect=Built({d: _later(connect, config, d) for d in both}),
        verification=Built({d: _later(verification, config, d, facts, directory) for d in both}),
        versions=LateVersions(config),
        facts=facts,
        secrets=secrets(),
        say=say,
        scaling=cast("Scaling", LateScaling(config, clock or SystemClock())),
        copies=S3Copies(config.aws, clock or SystemClock()),
        provision=provision(config),
    )


def _later(maker: Callable[..., T], *args: Any) -> Callable[[], T]:
    return lambda: maker(*args)
