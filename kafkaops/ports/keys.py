"""Keys of volumes, as KMS guards them, without their bytes.

Errors, each with a sentence of its own: ConfigError KO-KMS-DENIED, KO-KMS-DISABLED,
KO-KMS-DELETING, KO-KMS-NO-KEY, KO-KMS-REGION, KO-KMS-ACCOUNT; StepFailed KO-KMS-CONTEXT (wrong
encryption context or ciphertext), KO-KMS-OTHER-KEY; Unreachable KO-KMS-THROTTLED, KO-KMS-AWAY
after the retries that AWS calls passing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from kafkaops.ports.disks import Key
from kafkaops.ports.marks import mutates


@dataclass(frozen=True)
class KeyFacts:
    """A KMS key. `state` as KMS names it (`Enabled`, `Disabled`, `PendingDeletion`, ...);
    `rotates` whether KMS renews its material each year, None where that is not told;
    `deletion` epoch seconds, 0 when it is not to be deleted."""

    arn: str
    state: str
    account: str
    region: str
    rotates: bool | None = None
    deletion: float = 0.0


class Keys(Protocol):
    @mutates
    def new(self, arn: str, context: Mapping[str, str]) -> Key:
        """A new 64-byte data key, wrapped; its plaintext never leaves KMS here
        (GenerateDataKeyWithoutPlaintext)."""

    @mutates
    def rewrap(self, key: Key, arn: str) -> Key:
        """The same data key under another KMS key (or its newest material): ReEncrypt."""

    def facts(self, arn: str) -> KeyFacts:
        """DescribeKey; the ARN's region and account are held against this session's first."""

    def last_use(self, context: Mapping[str, str]) -> float | None:
        """Epoch seconds of the last Decrypt with this context in CloudTrail; None where there is
        none, or the trail may not be read."""


class Copies(Protocol):
    """Objects in S3 that are written once. URIs are `s3://bucket/key`."""

    def get(self, uri: str) -> bytes | None:
        """The object, or None where there is none. ConfigError KO-AWS-DENIED."""

    @mutates
    def put_once(self, uri: str, body: bytes) -> bool:
        """Write it If-None-Match, encrypted by KMS on S3's side; False when one was there."""

    @mutates
    def delete(self, uri: str) -> None:
        """Delete it and all its versions; absent is success."""

    def listed(self, uri: str) -> tuple[str, ...]:
        """The URIs that begin with this one, in order."""


class NoCopies:
    """Stands where no S3 was built: to ask it is the error."""

    def get(self, uri: str) -> bytes | None:
        raise self._none()

    def put_once(self, uri: str, body: bytes) -> bool:
        raise self._none()

    def delete(self, uri: str) -> None:
        raise self._none()

    def listed(self, uri: str) -> tuple[str, ...]:
        raise self._none()

    def _none(self) -> AssertionError:
        return AssertionError("no copies in this world")
