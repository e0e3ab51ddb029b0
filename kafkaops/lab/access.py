"""Who may do what in a secured lab: certificates, users and their passwords, ACLs.

Everything lies in the lab's directory: `tls/ca.pem`, `hosts/NAME/tls.pem`, `users/NAME` (a
password each, mode 0600). Invariant: no password is in a command line, a config or a ledger;
whoever needs one reads its file.
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from kafkaops.config.schema import ClusterSpec, HostSpec, Security
from kafkaops.lab.certificates import Authority, write_private
from kafkaops.lab.layout import ALIAS, SASL_SSL, LabHostSpec, Layout, Settings
from kafkaops.model.cluster import Acl

MECHANISM: Literal["SCRAM-SHA-512"] = "SCRAM-SHA-512"
ITERATIONS = 8192
LOGIN = "org.apache.kafka.common.security.scram.ScramLoginModule"

BROKER, OPERATOR, LOAD, AUDITOR = "broker", "kafkaops", "load", "auditor"
SUPER = (BROKER, OPERATOR)
"""Brokers among themselves; kafkaops and its mirror."""
CLIENTS = (LOAD, AUDITOR)
"""`load` writes and reads the load's topics; `auditor` may only read them. Blue knows them from
the start; a new cluster does not, as in life."""


def secured(settings: Settings) -> bool:
    return settings.security == SASL_SSL


def ca_file(layout: Layout) -> Path:
    return layout.root / "tls" / "ca.pem"


def key_file(layout: Layout, host: str) -> Path:
    """A host's key and certificate in one file, as Kafka reads a PEM key store."""
    return layout.host(host) / "tls.pem"


def password_file(layout: Layout, user: str) -> Path:
    return layout.root / "users" / user


def password(layout: Layout, user: str) -> str:
    return password_file(layout, user).read_text()


def prepare(layout: Layout, settings: Settings) -> None:
    """Certificates and passwords of a new lab, all fresh; nothing for one without security."""
    if not secured(settings):
        return
    authority = Authority("kafkaops lab")
    ca_file(layout).parent.mkdir(parents=True, exist_ok=True)
    ca_file(layout).write_bytes(authority.pem())
    for host in settings.hosts():
        names = (host.address, host.advertised, ALIAS)
        write_private(key_file(layout, host.name), authority.issue(host.name, names))
    for user in (*SUPER, *CLIENTS):
        write_private(password_file(layout, user), secrets.token_urlsafe(24).encode())


def broker_properties(layout: Layout, settings: Settings, host: LabHostSpec) -> dict[str, object]:
    """What a secured broker has instead of a plain one's settings. Controllers know each other by
    certificate: a login there would need the very records that they hold."""
    if not secured(settings):
        return {}
    ours = [h.name for h in settings.hosts() if h.colour == host.colour]
    users = password_file(layout, BROKER).parent
    own = f'username="{BROKER}" password="${{directory:{users}:{BROKER}}}"'
    return {
        "listener.security.protocol.map": "CLIENT:SASL_SSL,REPL:SASL_SSL,CONTROLLER:SSL",
        "sasl.enabled.mechanisms": MECHANISM,
        "sasl.mechanism.inter.broker.protocol": MECHANISM,
        f"listener.name.repl.{MECHANISM.lower()}.sasl.jaas.config": f"{LOGIN} required {own};",
        f"listener.name.client.{MECHANISM.lower()}.sasl.jaas.config": f"{LOGIN} required;",
        "listener.name.controller.ssl.client.auth": "required",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": key_file(layout, host.name),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": ca_file(layout),
        "super.users": ";".join(
            [f"User:{user}" for user in SUPER] + [f"User:CN={name}" for name in ours]
        ),
        "allow.everyone.if.no.acl.found": "false",
        "config.providers": "directory",
        "config.providers.directory.class": (
            "org.apache.kafka.common.config.provider.DirectoryConfigProvider"
        ),
    }


def format_arguments(layout: Layout, settings: Settings, colour: str) -> list[str]:
    """Arguments of Kafka's storage tool that make the users of a new cluster (KIP-900), salted
    here so that no password is in a command line."""
    users = (*SUPER, *CLIENTS) if colour == "blue" else SUPER
    found: list[str] = []
    for user in users if secured(settings) else ():
        salt = os.urandom(24)
        salted = hashlib.pbkdf2_hmac("sha512", password(layout, user).encode(), salt, ITERATIONS)
        row = {"salt": base64.b64encode(salt), "saltedpassword": base64.b64encode(salted)}
        told = ",".join(f'{key}="{value.decode()}"' for key, value in row.items())
        found += ["--add-scram", f'{MECHANISM}=[name="{user}",iterations={ITERATIONS},{told}]']
    return found


def acls(topics: Iterable[str]) -> list[Acl]:
    """What the load's clients may do."""

    def allow(user: str, kind: str, name: str, operation: str) -> Acl:
        return Acl(kind, name, "LITERAL", f"User:{user}", "*", operation, "ALLOW")

    found = [allow(user, "GROUP", "*", "READ") for user in CLIENTS]
    for topic in topics:
        found += [allow(LOAD, "TOPIC", topic, operation) for operation in ("READ", "WRITE")]
        found.append(allow(AUDITOR, "TOPIC", topic, "READ"))
    return found


def grant(layout: Layout, colour: str, topics: Iterable[str]) -> None:
    """Create those ACLs, and wait until every broker knows them."""
    from kafkaops.adapters.kafka_cluster import KafkaCluster

    settings = layout.settings()
    ours = tuple(h for h in settings.hosts() if h.colour == colour)
    spec = ClusterSpec(
        name=colour,
        bootstrap=tuple(settings.bootstrap(colour).split(",")),
        hosts=tuple(HostSpec(name=h.name, address=h.address, via="lab") for h in ours),
        security=Security(
            protocol="SASL_SSL",
            mechanism=MECHANISM,
            username=OPERATOR,
            ca_file=str(ca_file(layout)),
        ),
    )
    cluster = KafkaCluster(spec, password(layout, OPERATOR))
    try:
        cluster.create_acls(acls(topics))
    finally:
        cluster.close()


# -- how clients of the lab log in ----------------------------------------------------------


def librdkafka(layout: Layout, user: str = OPERATOR) -> dict[str, str]:
    if not secured(layout.settings()):
        return {}
    return {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": MECHANISM,
        "sasl.username": user,
        "sasl.password": password(layout, user),
        "ssl.ca.location": str(ca_file(layout)),
    }


def kafka_python(layout: Layout, user: str = OPERATOR) -> dict[str, Any]:
    if not secured(layout.settings()):
        return {}
    return {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": MECHANISM,
        "sasl_plain_username": user,
        "sasl_plain_password": password(layout, user),
        "ssl_cafile": str(ca_file(layout)),
    }


def java(layout: Layout, user: str = OPERATOR) -> dict[str, str]:
    """The password stays in its file: the client's config provider reads it."""
    if not secured(layout.settings()):
        return {}
    path = password_file(layout, user)
    own = f'username="{user}" password="${{directory:{path.parent}:{path.name}}}"'
    return {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": MECHANISM,
        "sasl.jaas.config": f"{LOGIN} required {own};",
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(ca_file(layout)),
        "config.providers": "directory",
        "config.providers.directory.class": (
            "org.apache.kafka.common.config.provider.DirectoryConfigProvider"
        ),
    }
