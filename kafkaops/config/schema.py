"""The schema of a config file: one cluster or a pair, how clients move, and what is accepted.
cluster.py, volumes.py and moving.py hold its largest sections.

Invariant: unknown keys are errors, and no value here is read from the environment except
through a named reference (`env:`, `file:`, `secretsmanager:`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, GetCoreSchemaHandler, StringConstraints, field_validator
from pydantic_core import CoreSchema, core_schema

from kafkaops.config.cluster import ClusterSpec, Fleet, HostSpec, Install, Security
from kafkaops.config.moving import ClientGroup, Cutover, Gates, Mirror
from kafkaops.config.strict import Name, SecretRef, Strict
from kafkaops.engine.errors import ConfigError

__all__ = [
    "Aws",
    "ClientGroup",
    "ClusterSpec",
    "Config",
    "Cutover",
    "Fleet",
    "Gates",
    "HostSpec",
    "Install",
    "Mirror",
    "Security",
    "State",
    "Version",
]


Release = Annotated[str, StringConstraints(pattern=r"^\d+\.\d+\.\d+(-[A-Za-z0-9.]+)?$")]


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
