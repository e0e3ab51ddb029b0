"""Objects in S3 that are written once: copies of tokens and headers, and the recipe's password.

A write asks for SSE-KMS under the account's own key for S3, whose policy lets in whom S3 lets in:
no further right to KMS is needed. Source: Amazon S3 API reference and user guide ("Conditional
writes", "Using server-side encryption with AWS KMS keys").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from kafkaops.adapters import aws_errors, kms_errors
from kafkaops.adapters.patience import LOST, THROTTLED, client, code_of, patiently, said_by, tried
from kafkaops.engine.clock import Clock
from kafkaops.engine.errors import ConfigError, Exit, OpsError, Unreachable

if TYPE_CHECKING:
    from kafkaops.config.schema import Aws

T = TypeVar("T")

PATIENCE = 30.0
PASSING = {
    *("InternalError", "ServiceUnavailable", "503", "500", "RequestTimeout"),
    *("ConditionalRequestConflict", "OperationAborted"),
}
DELETING = ("s3:ListBucketVersions", "s3:DeleteObjectVersion")
DELETES = (
    "deleting copies is the administrator's: repeat it with AWS_PROFILE=..., or by --cluster from"
    " where that may be; `kafkaops volume policy --role administrator` prints the policy"
)
OTHERS = "`kafkaops volume policy` prints what the role has to allow"
DENIED = {*aws_errors.DENIED, "403"}


class S3Copies:
    """Implements `ports.keys.Copies`. `page` is how many objects a listing asks for at once."""

    def __init__(
        self,
        aws: Aws,
        clock: Clock,
        *,
        patience: float = PATIENCE,
        client: Any = None,
        page: int = 1000,
    ) -> None:
        self._aws, self._clock, self._patience = aws, clock, patience
        self._made, self._page = client, page

    def get(self, uri: str) -> bytes | None:
        bucket, key = _parts(uri)

        def call(c: Any) -> bytes:
            return bytes(c.get_object(Bucket=bucket, Key=key)["Body"].read())

        try:
            return self._call("s3:GetObject", uri, call)
        except _Absent:
            return None
        except ConfigError as error:
            if error.code == "KO-AWS-DENIED" and self._absent(uri):
                return None
            raise

    def put_once(self, uri: str, body: bytes) -> bool:
        bucket, key = _parts(uri)
        sent = 0

        def call(c: Any) -> bool:
            nonlocal sent
            sent += 1
            try:
                c.put_object(
                    Bucket=bucket,
                    Key=key,
                    Body=body,
                    IfNoneMatch="*",
                    ServerSideEncryption="aws:kms",
                )
            except ClientError as error:
                if code_of(error) in ("PreconditionFailed", "412"):
                    return False
                raise
            return True

        if self._call("s3:PutObject", uri, call):
            return True
        return sent > 1 and self.get(uri) == body  # the write whose answer was lost was ours

    def delete(self, uri: str) -> None:
        bucket, key = _parts(uri)
        for version in list(self._versions(uri)):
            self._call(
                "s3:DeleteObjectVersion",
                uri,
                lambda c, v=version: c.delete_object(Bucket=bucket, Key=key, VersionId=v),  # type: ignore[misc]
            )

    def listed(self, uri: str) -> tuple[str, ...]:
        bucket, prefix = _parts(uri)

        def call(c: Any) -> list[str]:
            pages = c.get_paginator("list_objects_v2").paginate(
                Bucket=bucket, Prefix=prefix, PaginationConfig={"PageSize": self._page}
            )
            return [str(one["Key"]) for page in pages for one in page.get("Contents", [])]

        return tuple(f"s3://{bucket}/{key}" for key in self._call("s3:ListBucket", uri, call))

    # inside

    def _versions(self, uri: str) -> Iterator[str]:
        """Of this very object, delete markers too; `null` in a bucket without versioning."""
        bucket, key = _parts(uri)

        def call(c: Any) -> list[str]:
            pages = c.get_paginator("list_object_versions").paginate(
                Bucket=bucket, Prefix=key, PaginationConfig={"PageSize": self._page}
            )
            return [
                str(one["VersionId"])
                for page in pages
                for one in (*page.get("Versions", []), *page.get("DeleteMarkers", []))
                if one["Key"] == key
            ]

        yield from self._call("s3:ListBucketVersions", uri, call)

    def _absent(self, uri: str) -> bool:
        """S3 denies an absent object to whom may not list the whole bucket; who may list here
        learns it so."""
        try:
            return uri not in self.listed(uri)
        except OpsError:
            return False

    def _call(self, action: str, uri: str, call: Callable[[Any], T]) -> T:
        if self._made is None:
            self._made = client("s3", self._aws)
        made = self._made
        try:
            return patiently(lambda: call(made), _passing, self._clock, self._patience)
        except (BotoCoreError, ClientError) as error:
            raise self._translated(error, action, uri) from None

    def _translated(self, error: BotoCoreError | ClientError, action: str, uri: str) -> Exception:
        code, said = code_of(error), said_by(error)
        if code in ("NoSuchKey", "404"):
            return _Absent(uri)
        if code == "NoSuchBucket":
            return ConfigError(
                "KO-S3-BUCKET",
                f"there is no bucket {_parts(uri)[0]}",
                where=uri,
                hint=f"`aws s3 mb s3://{_parts(uri)[0]}`, or name another one",
            )
        if code in DENIED:
            unsure = " (or it is absent: S3 tells only who may s3:ListBucket)"
            return ConfigError(
                "KO-AWS-DENIED",
                f"AWS denies {action} on {uri}{unsure * (action == 's3:GetObject')}: {said}",
                where=uri,
                hint=DELETES if action in DELETING else OTHERS,
            )
        if code.startswith("KMS."):
            return kms_errors.translated(error, action, uri, region=self._aws.region)
        if _passing(error):
            return Unreachable(
                "KO-S3-AWAY",
                f"S3 does not answer {action} on {uri}: {said} ({tried(error)})",
                where=uri,
                hint="repeat the command; if it stays so, look for a route or VPC endpoint to S3",
                exit=Exit.TIMEOUT,
            )
        return aws_errors.translated(error, action)


class _Absent(Exception):
    """There is no such object."""


def _passing(error: BaseException) -> bool:
    return isinstance(error, LOST) or code_of(error) in PASSING | THROTTLED


def _parts(uri: str) -> tuple[str, str]:
    read = re.fullmatch(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/(.+)", uri, re.DOTALL)
    if read is None:
        raise ConfigError(
            "KO-S3-URI",
            f"{uri!r} is not the address of an object in S3",
            where="volumes",
            hint="write it as s3://BUCKET/KEY",
        )
    return read[1], read[2]
