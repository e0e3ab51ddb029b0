"""Certificates, users and rights of the secured lab."""

from __future__ import annotations

import base64
import hashlib
import re
import ssl
from pathlib import Path

from cryptography import x509

from kafkaops.lab import access, broker
from kafkaops.lab.layout import SASL_SSL, Layout, Settings
from kafkaops.lab.load import java
from kafkaops.lab.load.spec import ClientSpec

SECURED = Settings(security=SASL_SSL)


def made(tmp_path: Path, settings: Settings = SECURED) -> Layout:
    layout = Layout.of(tmp_path)
    layout.save(settings)
    access.prepare(layout, settings)
    return layout


def properties(layout: Layout, name: str) -> dict[str, str]:
    host = SECURED.host(name)
    extra = access.broker_properties(layout, SECURED, host)
    text = broker.properties(host, SECURED, Path("/data"), extra)
    return dict(line.split("=", 1) for line in text.splitlines())


def test_a_certificate_holds_every_name_that_a_client_may_ask_for(tmp_path: Path) -> None:
    layout = made(tmp_path)
    found = {}
    for host in SECURED.hosts():
        pem = access.key_file(layout, host.name).read_bytes()
        certificate = x509.load_pem_x509_certificate(pem)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        addresses = [str(a) for a in names.get_values_for_type(x509.IPAddress)]
        found[host.name] = {*names.get_values_for_type(x509.DNSName), *addresses}
    assert found["blue-2"] == {"b2.kafka.lab", "bootstrap.kafka.lab", "127.0.1.2"}
    assert found["green-2"] == {"b2.kafka.lab", "bootstrap.kafka.lab", "127.0.2.2"}


def test_openssl_takes_the_certificates(tmp_path: Path) -> None:
    layout = made(tmp_path)
    context = ssl.create_default_context(cafile=str(access.ca_file(layout)))
    assert context.verify_flags & ssl.VerifyFlags.VERIFY_X509_TRUSTED_FIRST
    assert len(context.get_ca_certs()) == 1
    pem = access.key_file(layout, "blue-1")
    context.load_cert_chain(str(pem), str(pem))


def test_secrets_are_fresh_and_only_their_owners(tmp_path: Path) -> None:
    one, two = made(tmp_path / "one"), made(tmp_path / "two")
    private = [
        access.password_file(one, user) for user in ("broker", "kafkaops", "load", "auditor")
    ]
    private += [access.key_file(one, host.name) for host in SECURED.hosts()]
    assert {path.stat().st_mode & 0o777 for path in private} == {0o600}
    assert access.password(one, "load") != access.password(two, "load")
    assert len({path.read_bytes() for path in private}) == len(private)


def test_a_plain_lab_has_none_of_it(tmp_path: Path) -> None:
    layout = made(tmp_path, Settings())
    assert not access.ca_file(layout).exists()
    assert access.broker_properties(layout, Settings(), Settings().host("blue-1")) == {}
    assert access.format_arguments(layout, Settings(), "blue") == []
    assert access.librdkafka(layout) == access.kafka_python(layout) == access.java(layout) == {}


def test_no_listener_is_open_and_nobody_is_super_by_accident(tmp_path: Path) -> None:
    values = properties(made(tmp_path), "green-1")
    kinds = dict(pair.split(":") for pair in values["listener.security.protocol.map"].split(","))
    assert kinds == {"CLIENT": "SASL_SSL", "REPL": "SASL_SSL", "CONTROLLER": "SSL"}
    assert values["listener.name.controller.ssl.client.auth"] == "required"
    assert values["allow.everyone.if.no.acl.found"] == "false"
    assert values["super.users"].split(";") == [
        *("User:broker", "User:kafkaops"),
        *("User:CN=green-1", "User:CN=green-2", "User:CN=green-3"),
    ]


def test_no_password_is_in_properties_or_command_lines(tmp_path: Path) -> None:
    layout = made(tmp_path)
    spec = ClientSpec("producer", "p", "java-4.3.1", ("t",), lab=str(layout.root))
    shown = [
        *properties(layout, "blue-1").values(),
        *access.format_arguments(layout, SECURED, "blue"),
        java.properties(spec, 0),
    ]
    for user in ("broker", "kafkaops", "load", "auditor"):
        assert access.password(layout, user) not in "\n".join(shown)
    assert f"${{directory:{layout.root}/users:load}}" in shown[-1]


def test_storage_gets_salted_users_and_green_lacks_the_clients(tmp_path: Path) -> None:
    layout = made(tmp_path)
    blue = access.format_arguments(layout, SECURED, "blue")[1::2]
    green = access.format_arguments(layout, SECURED, "green")[1::2]
    users = [re.search(r'name="(\w+)"', row)[1] for row in blue]  # type: ignore[index]
    assert users == ["broker", "kafkaops", "load", "auditor"]
    assert len(green) == 2
    found = re.search(r'iterations=(\d+),salt="(.+?)",saltedpassword="(.+?)"\]', blue[2])
    assert found is not None
    salted = hashlib.pbkdf2_hmac(
        "sha512",
        access.password(layout, "load").encode(),
        base64.b64decode(found[2]),
        int(found[1]),
    )
    assert base64.b64decode(found[3]) == salted


def test_the_auditor_may_read_and_nothing_else() -> None:
    rights = {
        (acl.principal, acl.resource_type, acl.resource_name, acl.operation)
        for acl in access.acls(["orders"])
    }
    assert {r for r in rights if r[0] == "User:auditor"} == {
        ("User:auditor", "GROUP", "*", "READ"),
        ("User:auditor", "TOPIC", "orders", "READ"),
    }
    assert ("User:load", "TOPIC", "orders", "WRITE") in rights
