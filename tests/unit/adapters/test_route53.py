"""The Route 53 adapter against moto in this process, and against answers moto never gives."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import dns.message
import dns.rrset
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from kafkaops.adapters.route53 import Route53
from kafkaops.config.schema import Aws
from kafkaops.engine.errors import ConfigError, StepFailed, Unreachable
from kafkaops.ports.names import Record

OLD = Record("kafka.example.net", "A", 60, ("10.0.1.1", "10.0.1.2"))
NEW = replace(OLD, values=("10.0.2.1", "10.0.2.2"))


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        yield boto3.client("route53", region_name="eu-west-1")


@pytest.fixture
def zone(client: Any) -> Route53:
    made = client.create_hosted_zone(Name="example.net.", CallerReference="1")
    found = Route53(made["HostedZone"]["Id"].removeprefix("/hostedzone/"), Aws(), client=client)
    found.change([], [OLD], comment="set up")
    return found


def test_a_batch_replaces_exact_values(zone: Route53) -> None:
    assert zone.zone() == "example.net"
    change = zone.change([OLD], [NEW], comment="move")
    assert zone.records(["kafka.example.net."]) == (NEW,)
    assert zone.in_sync(change)


def test_values_changed_by_someone_are_never_overwritten(zone: Route53) -> None:
    zone.change([OLD], [NEW], comment="someone")
    with pytest.raises(StepFailed, match="changed by someone") as failed:
        zone.change([OLD], [NEW], comment="us")
    assert failed.value.code == "KO-NAMES-DRIFT"
    assert zone.records([OLD.name]) == (NEW,)
    with pytest.raises(StepFailed, match="changed by someone"):
        zone.change([replace(NEW, ttl=61)], [OLD], comment="a stale TTL")


def test_what_route53_would_refuse_is_refused_before_anything_changes(zone: Route53) -> None:
    with pytest.raises(StepFailed, match="beside"):
        zone.change([], [replace(OLD, kind="CNAME", values=("x.example.net",))], comment="")
    with pytest.raises(StepFailed, match="beside"):
        zone.change([], [NEW], comment="")
    with pytest.raises(ConfigError, match="not simple"):
        zone.change([replace(OLD, routing="weighted")], [], comment="")
    assert zone.records([OLD.name]) == (OLD,)


def test_weighted_and_alias_records_are_told_apart(zone: Route53, client: Any) -> None:
    for identifier, weight in (("a", 10), ("b", 20)):
        client.change_resource_record_sets(
            HostedZoneId=zone._zone_id,
            ChangeBatch={
                "Changes": [
                    {
                        "Action": "CREATE",
                        "ResourceRecordSet": {
                            "Name": "w.example.net.",
                            "Type": "A",
                            "TTL": 60,
                            "SetIdentifier": identifier,
                            "Weight": weight,
                            "ResourceRecords": [{"Value": f"10.0.0.{weight}"}],
                        },
                    }
                ]
            },
        )
    assert [r.routing for r in zone.records(["w.example.net"])] == ["weighted", "weighted"]
    assert zone.records(["absent.example.net"]) == ()


def test_a_name_outside_the_zone_and_a_zone_that_is_not_ours(zone: Route53, client: Any) -> None:
    with pytest.raises(ConfigError, match=r"does not lie in the zone example\.net"):
        zone.records(["kafka.example.org"])
    with pytest.raises(ConfigError, match="no hosted zone ZNOTOURS"):
        Route53("ZNOTOURS", Aws(), client=client).zone()


class Denies:
    """A client which may read but not change."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def change_resource_record_sets(self, **_: Any) -> Any:
        body = {"Error": {"Code": "AccessDenied", "Message": "User is not authorized"}}
        raise ClientError(body, "ChangeResourceRecordSets")  # type: ignore[arg-type]


def test_a_missing_permission_is_named(zone: Route53, client: Any) -> None:
    denied = Route53(zone._zone_id, Aws(), client=Denies(client))
    with pytest.raises(ConfigError, match="route53:ChangeResourceRecordSets") as failed:
        denied.change([OLD], [NEW], comment="")
    assert failed.value.code == "KO-AWS-DENIED"


def test_no_endpoint_is_unreachable_not_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(Unreachable):
        Route53("Z1", Aws(endpoint_url=f"http://127.0.0.1:{port}")).zone()


@pytest.fixture
def resolver() -> Iterator[str]:
    """A name server that knows one name."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                raw, peer = server.recvfrom(4096)
            except OSError:
                return
            query = dns.message.from_wire(raw)
            answer = dns.message.make_response(query)
            name = query.question[0].name
            if str(name) == "kafka.example.net.":
                answer.answer.append(dns.rrset.from_text(name, 5, "IN", "A", *NEW.values[::-1]))
            elif str(name) == "mute.example.net.":
                continue
            else:
                answer.set_rcode(3)
            server.sendto(answer.to_wire(), peer)

    threading.Thread(target=serve, daemon=True).start()
    yield f"127.0.0.1:{server.getsockname()[1]}"
    server.close()


def test_answers_come_from_the_resolver_that_was_named(
    resolver: str,
) -> None:
    names = Route53("Z1", Aws(), resolver=resolver, client=object(), patience=0.2)
    assert names.answer("kafka.example.net") == NEW.values
    assert names.answer("other.example.net") == ()
    with pytest.raises(Unreachable, match=r"mute\.example\.net"):
        names.answer("mute.example.net")
