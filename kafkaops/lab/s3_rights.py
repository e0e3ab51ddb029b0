"""What a request to S3 asks for, as IAM names it, and whether its caller may.

moto serves whoever asks. Here a caller with policies of its own is held to them, and an absent
object is not told from a forbidden one to who may not list the bucket, as on AWS.
Source: Service Authorization Reference, Amazon S3; Amazon S3 API reference, GetObject.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass

from kafkaops.lab.iam import Caller, identity

OBJECT = {
    "GET": "s3:GetObject",
    "HEAD": "s3:GetObject",
    "PUT": "s3:PutObject",
    "POST": "s3:PutObject",
    "DELETE": "s3:DeleteObject",
}
BUCKET = {"GET": "s3:ListBucket", "HEAD": "s3:ListBucket", "PUT": "s3:CreateBucket"}


@dataclass(frozen=True)
class Asked:
    """One request: its action, the ARN it is about, and the condition keys it carries."""

    action: str
    resource: str
    facts: Mapping[str, list[str]]

    @property
    def bucket(self) -> str:
        return self.resource.partition("/")[0]


def asked(method: str, target: str, none_match: str = "") -> Asked:
    """Of a path-style request; `target` with its query, `none_match` its If-None-Match."""
    parts = urllib.parse.urlsplit(target)
    query = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))
    bucket, _, key = urllib.parse.unquote(parts.path).strip("/").partition("/")
    facts = {"aws:securetransport": ["true"]}
    if none_match:
        facts["s3:if-none-match"] = [none_match]
    if key:
        action = OBJECT.get(method, "")
        if "versionId" in query and method != "PUT":
            action += "Version"
        return Asked(action, f"arn:aws:s3:::{bucket}/{key}", facts)
    action = BUCKET.get(method, "s3:DeleteBucket")
    if method == "PUT" and "versioning" in query:
        action = "s3:PutBucketVersioning"
    elif method == "GET" and "versions" in query:
        action = "s3:ListBucketVersions"
    if action.startswith("s3:ListBucket"):
        facts["s3:prefix"] = [query.get("prefix", "")]
    return Asked(action, f"arn:aws:s3:::{bucket}", facts)


def refused(one: Asked, caller: Caller, denied: frozenset[str]) -> str:
    """The action that is denied, or empty. `denied` names actions that nobody may."""
    switched = {one.action, one.action.removesuffix("Version"), "s3:*"}
    if switched & denied or identity(caller, one.action, one.resource, one.facts) != "allow":
        return one.action
    return ""


def tells_absence(one: Asked, caller: Caller, denied: frozenset[str]) -> bool:
    """Whether this caller learns that an object is absent. The right to list is held without a
    prefix: a request for an object carries none."""
    return not refused(Asked("s3:ListBucket", one.bucket, {}), caller, denied)
