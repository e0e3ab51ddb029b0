"""What requests to S3 ask for, and that the lab's endpoint holds a caller to its policies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

from kafkaops.lab.s3_rights import asked
from tests.unit.adapters.aws_lab import REGION, AwsLab

BUCKET = "arn:aws:s3:::b"


@pytest.mark.parametrize(
    ("method", "target", "action", "resource"),
    [
        ("GET", "/b/a%20k/c", "s3:GetObject", f"{BUCKET}/a k/c"),
        ("GET", "/b/k?versionId=1", "s3:GetObjectVersion", f"{BUCKET}/k"),
        ("HEAD", "/b/k", "s3:GetObject", f"{BUCKET}/k"),
        ("PUT", "/b/k", "s3:PutObject", f"{BUCKET}/k"),
        ("DELETE", "/b/k", "s3:DeleteObject", f"{BUCKET}/k"),
        ("DELETE", "/b/k?versionId=1", "s3:DeleteObjectVersion", f"{BUCKET}/k"),
        ("GET", "/b?list-type=2&prefix=x%2F", "s3:ListBucket", BUCKET),
        ("GET", "/b?versions&prefix=x", "s3:ListBucketVersions", BUCKET),
        ("PUT", "/b", "s3:CreateBucket", BUCKET),
        ("PUT", "/b?versioning", "s3:PutBucketVersioning", BUCKET),
        ("DELETE", "/b", "s3:DeleteBucket", BUCKET),
    ],
)
def test_actions_are_named_as_iam_names_them(
    method: str, target: str, action: str, resource: str
) -> None:
    found = asked(method, target)
    assert (found.action, found.resource) == (action, resource)


def test_conditions_that_a_request_carries() -> None:
    assert asked("PUT", "/b/k", "*").facts["s3:if-none-match"] == ["*"]
    assert "s3:if-none-match" not in asked("PUT", "/b/k").facts
    assert asked("GET", "/b?list-type=2&prefix=x%2F").facts["s3:prefix"] == ["x/"]


@pytest.fixture(scope="module")
def lab() -> Iterator[AwsLab]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    made = AwsLab(server.get_host_and_port()[1])
    yield made
    made.close()
    server.stop()


def test_a_caller_is_held_to_its_policies(lab: AwsLab) -> None:
    admin, broker = lab.client("s3"), lab.client("s3", "broker")
    where = {"LocationConstraint": REGION}
    admin.create_bucket(Bucket="rights", CreateBucketConfiguration=where)
    admin.put_object(Bucket="rights", Key="mine", Body=b"x")
    admin.put_object(Bucket="rights", Key="other", Body=b"x")

    def may(*statements: dict[str, Any]) -> None:
        arn = "arn:aws:sts::123456789012:assumed-role/broker/i-1"
        lab.caller("broker", arn, {"Version": "2012-10-17", "Statement": list(statements)})

    read = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::rights/mine*"}
    may(read)
    assert broker.get_object(Bucket="rights", Key="mine")["Body"].read() == b"x"
    with pytest.raises(ClientError, match=r"AccessDenied.*s3:GetObject"):
        broker.get_object(Bucket="rights", Key="other")
    with pytest.raises(ClientError, match=r"AccessDenied.*s3:PutObject"):
        broker.put_object(Bucket="rights", Key="mine", Body=b"y")
    with pytest.raises(ClientError, match=r"AccessDenied.*s3:ListBucket"):
        broker.get_object(Bucket="rights", Key="mine-too")  # absent, which it is not told
    may(read, {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::rights"})
    with pytest.raises(ClientError, match="NoSuchKey"):
        broker.get_object(Bucket="rights", Key="mine-too")
