"""One cluster in a config file: its listeners, its hosts, and what lies and acts on them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from kafkaops.config.strict import AbsolutePath, HostPort, Name, SecretRef, Strict
from kafkaops.config.volumes import Volumes

Instance = Annotated[str, StringConstraints(pattern=r"^(i-[0-9a-f]+)?$")]
AgentUnit = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9@._:][A-Za-z0-9@._:-]*\.(service|timer|path|socket)$"),
]


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
