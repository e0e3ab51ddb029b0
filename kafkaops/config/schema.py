"""The schema of a config file: one cluster or a pair, how clients move, and what is accepted.

Invariant: unknown keys are errors, and no value here is read from the environment except
through a named reference (`env:`, `file:`, `secretsmanager:`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    StringConstraints,
    field_validator,
)
from pydantic_core import CoreSchema, core_schema

from kafkaops.engine.errors import ConfigError

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
SecretRef = Annotated[str, StringConstraints(pattern=r"^(env|file|secretsmanager):.+$")]
HostPort = Annotated[str, StringConstraints(pattern=r"^[^\s:]+:\d{1,5}$")]
Release = Annotated[str, StringConstraints(pattern=r"^\d+\.\d+\.\d+(-[A-Za-z0-9.]+)?$")]
AbsolutePath = Annotated[str, StringConstraints(pattern=r"^(/[^/\s]+)+$")]
Instance = Annotated[str, StringConstraints(pattern=r"^(i-[0-9a-f]+)?$")]
AgentUnit = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9@._:][A-Za-z0-9@._:-]*\.(service|timer|path|socket)$"),
]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class HostSpec(Strict):
    """One host of a broker or of a controller. `via` chooses the adapter; `target` is the SSH
    destination or the instance id, default the address."""

    name: Name = Field(description="unique over both clusters")
    node_id: int | None = Field(None, description="its node.id; required for shared names")
    address: str = Field(description="address of its listeners")
    via: Literal["lab", "local", "ssh", "ssm"] = Field("ssh", description="how it is reached")
    target: str = Field("", description="SSH destination or instance id; default the address")
    instance: Instance = Field(
        "",
        description="its EC2 instance, for `fleet`; default the target where via is ssm",
        exclude_if=lambda value: not value,
    )

    @property
    def ec2(self) -> str:
        """The EC2 instance that it is; empty where nobody said."""
        by_ssm = self.via == "ssm" and self.target.startswith("i-")
        return self.instance or (self.target if by_ssm else "")


class Security(Strict):
    """How this tool speaks to a listener; docs/security.md says which rights it needs."""

    protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    mechanism: Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] = ""
    username: str = ""
    password: SecretRef | None = Field(
        None, description="a reference: env:NAME, file:PATH or secretsmanager:ID[#KEY]"
    )
    ca_file: str = Field("", description="PEM; relative to the config file, as are the next two")
    cert_file: str = ""
    key_file: str = ""


class Install(Strict):
    """Where Kafka lies on each host: DIRECTORY/versions/VERSION is one unpacked version each,
    and the link DIRECTORY/current says which of them the service runs."""

    directory: AbsolutePath = "/opt/kafka"
    owner: str = Field("", description="user:group of what is unpacked; default who unpacks")
    java: str = Field("java", description="the Java that the service runs, a command or a path")


class Fleet(Strict):
    """What else acts on the hosts, and is held while a node of theirs is down (docs/hosts.md):
    nothing, unless it is named here."""

    auto_scaling: bool = Field(
        False, description="suspend the Auto Scaling groups that its instances are in"
    )
    agents: tuple[AgentUnit, ...] = Field(
        (), description="systemd units (services, timers) to stop on the host meanwhile"
    )
    agents_return: float = Field(
        900.0,
        ge=20,
        le=86400,
        description="seconds after which the host itself starts them again, should kafkaops die;"
        " renewed while it works; below 660 they may come back during a slow stop",
    )


class Disk(Strict):
    """One encrypted volume of every host of a cluster. `device` is a path under /dev, best below
    /dev/disk/by-id; `instance-store:N`, the host's N-th instance-store disk by serial; or a file,
    then of `size` bytes, on a loop device."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,30}$")]
    device: Annotated[str, StringConstraints(pattern=r"^(/\S+|instance-store:[1-9]\d?)$")]
    mountpoint: AbsolutePath = Field(description="where it is mounted")
    log_dir: Annotated[str, StringConstraints(pattern=r"^((/[^/\s]+)+)?$")] = Field(
        "", description="the broker's log.dir at or below it; default the mountpoint itself"
    )
    size: int = Field(0, ge=0, description="bytes, where the device is a file")


class Volumes(Strict):
    """Encrypted log volumes, the same on every host of the cluster (docs/volumes.md)."""

    mode: Literal["wrapped", "s3", "ephemeral"] = Field(
        "wrapped", description="a data key a volume, wrapped by KMS; a password in S3; in memory"
    )
    key: Annotated[
        str, StringConstraints(pattern=r"^(arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[\w-]+)?$")
    ] = Field("", description="the KMS key's ARN; required for wrapped")
    object: Annotated[str, StringConstraints(pattern=r"^(s3://[^/\s]+/\S+)?$")] = Field(
        "", description="mode s3: the encrypted password; {node} and {volume} stand for themselves"
    )
    copies: Annotated[str, StringConstraints(pattern=r"^(s3://[^/\s]+(/\S*)?)?$")] = Field(
        "", description="where copies of tokens and headers go"
    )
    filesystem: Literal["xfs", "ext4"] = "xfs"
    owner: Annotated[str, StringConstraints(pattern=r"^([\w-]+:[\w-]+)?$")] = Field(
        "", description="user:group that Kafka runs as; default root's"
    )
    perf: tuple[
        Literal[
            "no_read_workqueue",
            "no_write_workqueue",
            "same_cpu_crypt",
            "submit_from_crypt_cpus",
        ],
        ...,
    ] = Field((), description="dm-crypt's flags; `kafkaops volume bench` says which help")
    disks: tuple[Disk, ...] = Field(min_length=1)


class ClusterSpec(Strict):
    """One cluster. `bootstrap` is on the REPL listener, which is never fenced."""

    name: Name
    bootstrap: tuple[HostPort, ...] = Field(min_length=1, description="on the REPL listener")
    client_port: int = Field(9092, ge=1, le=65535, description="what the fence closes")
    repl_port: int = Field(
        9094, ge=1, le=65535, description="brokers, mirror and kafkaops; never fenced"
    )
    client_listener: str = Field("CLIENT", description="the CLIENT listener's name")
    security: Security = Field(Security(), description="of the REPL listener")
    client_security: Security | None = Field(
        None, description="of the CLIENT listener, to see who answers there; default as security"
    )
    hosts: tuple[HostSpec, ...] = Field(min_length=1)
    protected: bool = Field(False, description="every change asks for the cluster's name")
    service: str = Field("kafka", description="the broker's service on its host")
    properties: str = Field(
        "/opt/kafka/config/server.properties", description="the broker's own file on its host"
    )
    install: Install | None = Field(
        None, description="where versions are unpacked, for upgrades in place"
    )
    fleet: Fleet = Field(
        Fleet(),
        description="what else acts on the hosts, for restarts and upgrades in place",
        exclude_if=lambda value: value == Fleet(),
    )
    volumes: Volumes | None = Field(
        None,
        description="encrypted log volumes; no node is started while one is not mounted",
        exclude_if=lambda value: value is None,
    )


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


class Cutover(Strict):
    """Names and the pause. TTLs and durations in seconds; `broker_names` maps a node id to
    the name that both clusters advertise; empty means alias only."""

    hosted_zone: str = Field(description="Route 53 hosted zone, by id or name")
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
    topics: tuple[str, ...] = Field((), description="topics they use, as globs")
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


class State(Strict):
    """Where runs, journals and the lease live. `lease` is `file` (beside the runs) or
    `s3://bucket/prefix` (conditional writes)."""

    dir: str = Field("state", description="relative to the config file")
    lease: Annotated[str, StringConstraints(pattern=r"^(file|s3://[^/]+(/.*)?)$")] = "file"
    lease_ttl: float = Field(30.0, ge=5, description="seconds")


class Aws(Strict):
    """`endpoint_url` is for the lab or a proxy; `profile` is one of the AWS config's."""

    region: str = "eu-west-1"
    profile: str = ""
    endpoint_url: str = ""


class Provision(Strict):
    """Where green comes from: `existing` (checked against blue) or `lab`."""

    kind: Literal["existing", "lab"] = "existing"


class Ssh(Strict):
    """How hosts with `via: ssh` are reached: the system's OpenSSH, with the operator's own
    config, keys and jump hosts."""

    config_file: str = Field(
        "", description="an ssh config instead of the operator's own; relative to the config file"
    )


class LabRef(Strict):
    """Commands with this config enter the lab's private network first. `dir` is relative to
    the config file."""

    dir: str = Field(description="relative to the config file")


class Version(Strict):
    """A Kafka release as a tarball, with the checksum that it must have."""

    source: str = Field(
        min_length=1, description="file (relative to the config file), https:// or s3:// address"
    )
    sha512: Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{128}$", to_lower=True)] = Field(
        description="128 hex digits"
    )

    @field_validator("source")
    @classmethod
    def _reachable(cls, source: str) -> str:
        scheme, separator, rest = source.partition("://")
        if separator and (scheme not in ("https", "s3") or not rest.strip("/").partition("/")[2]):
            raise ValueError("must be a file, https://HOST/FILE or s3://BUCKET/KEY")
        return source


class IfPair:
    """Marks a section that a cluster alone does without: None in the file's terms, while code
    that asks for it gets a section or a ConfigError (`Config.__getattribute__`)."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.nullable_schema(handler(source))


def _if_pair(description: str) -> Any:
    return Field(None, description=description)


PAIR: Mapping[str, str] = {
    "green": "a second cluster",
    "mirror": "a mirror between two clusters",
    "cutover": "the names that clients follow",
}
"""The sections that `IfPair` marks, and what each is, for the error."""


class Config(Strict):
    """The whole file. With `green` it is a pair; without, a cluster alone: `blue`."""

    schema_version: Literal[1] = 1
    name: Name = Field(description="of the pair or the cluster alone; runs carry it")
    state: State = State()
    aws: Aws = Aws()
    ssh: Ssh = Ssh()
    lab: LabRef | None = None
    blue: ClusterSpec
    green: Annotated[ClusterSpec, IfPair()] = _if_pair("the second cluster of a pair")
    provision: Provision = Provision()
    mirror: Annotated[Mirror, IfPair()] = _if_pair("required with green")
    cutover: Annotated[Cutover, IfPair()] = _if_pair("required with green")
    clients: tuple[ClientGroup, ...] = ()
    gates: Gates = Gates()
    versions: dict[Release, Version] = Field({}, description="what upgrades in place install")
    users: dict[str, SecretRef] = Field(
        {},
        description="SCRAM users to make on the other cluster: a name or glob, and where the"
        " password is; `{user}` there stands for the name",
    )
    accept: tuple[str, ...] = Field(
        (), description="findings accepted by name, as `code` or `code:subject` (globs)"
    )

    @property
    def clusters(self) -> Mapping[str, ClusterSpec]:
        """The clusters there are, by colour: `blue`, and of a pair `green`."""
        return {"blue": self.blue} | ({"green": self.green} if self.has("green") else {})

    @property
    def hosts(self) -> tuple[HostSpec, ...]:
        """The hosts of all clusters."""
        return tuple(host for spec in self.clusters.values() for host in spec.hosts)

    def has(self, section: str) -> bool:
        """Whether a section that may be left out is there."""
        return self.__dict__[section] is not None

    if not TYPE_CHECKING:  # a type checker would take any name for an attribute

        def __getattribute__(self, name: str) -> Any:
            value = super().__getattribute__(name)
            if value is None and name in PAIR:
                raise ConfigError(
                    "KO-CONFIG-NO-GREEN",
                    f"this needs {PAIR[name]}: the config has no `{name}`",
                    hint="use the config of a pair (-c FILE); docs/configuration.md explains it",
                )
            return value
