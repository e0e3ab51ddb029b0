"""The AWS endpoint as boto3 sees it, on a real socket."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from kafkaops.lab.front import Front
from kafkaops.lab.layout import Settings
from kafkaops.lab.names import records
from kafkaops.lab.route53 import Zone
from kafkaops.lab.route53_rest import Api


class Backend(BaseHTTPRequestHandler):
    """Stands for moto: answers with what it was sent."""

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("ETag", '"abc"')
        self.send_header("X-Seen", f"{self.path} {body!r}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def front() -> Iterator[Front]:
    zone = Zone("kafka.lab.", "Z0LAB")
    zone.seed(records(Settings()))
    backend = HTTPServer(("127.0.0.1", 0), Backend)
    Thread(target=backend.serve_forever, args=(0.01,), daemon=True).start()
    front = Front(Api(zone), ("127.0.0.1", 0), ("127.0.0.1", backend.server_port))
    front.start()
    yield front
    front.server.shutdown()
    front.server.server_close()
    backend.shutdown()
    backend.server_close()


def client(front: Front, service: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=f"http://127.0.0.1:{front.server.server_port}",
        region_name="eu-west-1",
        aws_access_key_id="lab",
        aws_secret_access_key="lab",
        config=Config(retries={"total_max_attempts": 1}, proxies={}),
    )


def change(action: str, name: str, value: str, **more: Any) -> dict[str, Any]:
    sets = {"Name": name, "Type": "A", "TTL": 30, "ResourceRecords": [{"Value": value}], **more}
    return {"Action": action, "ResourceRecordSet": sets}


def submit(route53: Any, *changes: dict[str, Any]) -> Any:
    return route53.change_resource_record_sets(
        HostedZoneId="Z0LAB", ChangeBatch={"Comment": "a & b", "Changes": list(changes)}
    )["ChangeInfo"]


def test_zone_and_pages_of_records(front: Front) -> None:
    route53 = client(front, "route53")
    assert route53.get_hosted_zone(Id="Z0LAB")["HostedZone"]["Name"] == "kafka.lab."
    assert route53.list_hosted_zones_by_name(DNSName="kafka.lab")["HostedZones"]
    pages = list(
        route53.get_paginator("list_resource_record_sets").paginate(
            HostedZoneId="Z0LAB", PaginationConfig={"PageSize": 2}
        )
    )
    names = [r["Name"] for page in pages for r in page["ResourceRecordSets"]]
    assert len(pages) > 3
    assert len(names) == len(set(names)) + 1  # the apex has NS and SOA
    assert {"b1.kafka.lab.", "bootstrap.kafka.lab.", "green-3.kafka.lab."} <= set(names)


def test_a_change_is_pending_and_then_in_sync(front: Front) -> None:
    route53 = client(front, "route53")
    info = submit(
        route53,
        change("DELETE", "b1.kafka.lab", "127.0.1.1"),
        change("CREATE", "b1.kafka.lab", "127.0.2.1"),
    )
    assert (info["Status"], info["Comment"]) == ("PENDING", "a & b")
    front.set({"insync_delay": 0})
    assert route53.get_change(Id=info["Id"])["ChangeInfo"]["Status"] == "INSYNC"
    with pytest.raises(ClientError, match="NoSuchChange"):
        route53.get_change(Id="C404")


def test_refusals_carry_the_codes_of_aws(front: Front) -> None:
    route53 = client(front, "route53")
    with pytest.raises(ClientError, match=r"InvalidChangeBatch.*already exists"):
        submit(route53, change("CREATE", "b1.kafka.lab", "127.0.2.1"))
    with pytest.raises(ClientError, match=r"InvalidInput.*between 0 and 255"):
        submit(
            route53,
            change("CREATE", "w.kafka.lab", "127.0.2.1", SetIdentifier="x", Weight=300),
        )
    with pytest.raises(ClientError, match="NoSuchHostedZone"):
        route53.list_resource_record_sets(HostedZoneId="Z1OTHER")


def test_weighted_records_come_back_as_they_went(front: Front) -> None:
    route53 = client(front, "route53")
    submit(route53, change("CREATE", "w.kafka.lab", "127.0.2.1", SetIdentifier="x", Weight=7))
    found = route53.list_resource_record_sets(HostedZoneId="Z0LAB", StartRecordName="w.kafka.lab")
    assert found["ResourceRecordSets"][0]["Weight"] == 7
    assert found["ResourceRecordSets"][0]["SetIdentifier"] == "x"


def test_a_denied_action_is_named(front: Front) -> None:
    front.set({"deny": "route53:ChangeResourceRecordSets, s3:PutObject"})
    route53 = client(front, "route53")
    route53.list_hosted_zones()
    with pytest.raises(ClientError, match=r"AccessDenied.*route53:ChangeResourceRecordSets"):
        submit(route53, change("UPSERT", "b1.kafka.lab", "127.0.2.1"))
    with pytest.raises(ClientError, match=r"AccessDenied.*s3:PutObject"):
        client(front, "s3").put_object(Bucket="b", Key="k", Body=b"x")


def test_throttling_passes(front: Front) -> None:
    front.set({"throttle": 1})
    route53 = client(front, "route53")
    with pytest.raises(ClientError, match="Throttling"):
        route53.list_hosted_zones()
    assert route53.list_hosted_zones()["HostedZones"]


def test_everything_else_goes_to_the_backend(front: Front) -> None:
    answer = client(front, "s3").put_object(Bucket="bucket", Key="k", Body=b"x")
    seen = answer["ResponseMetadata"]["HTTPHeaders"]["x-seen"]
    assert seen.startswith("/bucket/k")
    assert "x" in seen.split(" ", 1)[1]


def test_options_refuse_what_they_do_not_know(front: Front) -> None:
    with pytest.raises(ValueError, match=r"no option insync.*insync_delay"):
        front.set({"insync": 1})
    with pytest.raises(ValueError, match="could not convert"):
        front.set({"throttle": 3, "insync_delay": "soon"})
    shown = (
        '{"insync_delay": 2.0, "deny": [], "throttle": 0, "ssm_throttle": 0, "ssm_offline": [],'
        ' "scaling_throttle": 0, "scaling_delay": 1.0, "scaling_busy": [],'
        ' "scaling_refreshing": [], "kms_throttle": 0, "kms_fault": "", "trail_delay": 1.0,'
        ' "callers": {}}'
    )
    assert json.dumps(front.options()) == shown
