"""KMS over botocore: data keys made, re-wrapped, and decrypted for the process that holds them.

Imports botocore alone, no boto3 and no pydantic: it runs at every boot. Invariant: `decrypted` is
the only function that sees a key's bytes; they are in no error, and botocore may not log them.
Source: AWS KMS API reference, version 2014-11-01.
"""

from __future__ import annotations

import base64
import binascii
import logging
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from kafkaops.adapters import aws_errors, cloudtrail
from kafkaops.adapters.kms_errors import (
    ARN,
    other_account,
    passing,
    region_checked,
    translated,
)
from kafkaops.adapters.patience import client, patiently
from kafkaops.adapters.s3_copies import S3Copies
from kafkaops.engine.clock import Clock, SystemClock
from kafkaops.engine.errors import ConfigError, OpsError, StepFailed
from kafkaops.ports.disks import Key
from kafkaops.ports.keys import KeyFacts

if TYPE_CHECKING:
    from kafkaops.config.schema import Aws

T = TypeVar("T")

SIZE = 64
"""Bytes of a data key: two 256-bit keys of aes-xts-plain64."""
PATIENCE = 60.0
ASIDE = 5.0
"""Seconds for CloudTrail: what it would tell is no condition of anything."""
"""Seconds that a KMS which throttles or fails is asked again."""
Clients = Callable[[str], Any]


class KmsKeys:
    """Implements `ports.keys.Keys`. `clients` makes a client by its service's name."""

    def __init__(
        self,
        aws: Aws,
        clock: Clock,
        *,
        patience: float = PATIENCE,
        clients: Clients | None = None,
    ) -> None:
        self._aws, self._clock, self._patience = aws, clock, patience
        self._make = clients or _clients(aws)
        self._made: dict[str, Any] = {}

    def new(self, arn: str, context: Mapping[str, str]) -> Key:
        region_checked(arn, self._aws.region)
        made = self._call(
            "GenerateDataKeyWithoutPlaintext",
            arn,
            lambda c: c.generate_data_key_without_plaintext(
                KeyId=arn, EncryptionContext=dict(context), NumberOfBytes=SIZE
            ),
        )
        return _wrapped(made, context)

    def rewrap(self, key: Key, arn: str) -> Key:
        if key.mode != "wrapped":
            raise ValueError(f"a key of mode {key.mode} is not wrapped")
        region_checked(key.arn, self._aws.region)
        region_checked(arn, self._aws.region)
        made = self._call(
            "ReEncrypt",
            key.arn,
            lambda c: c.re_encrypt(
                CiphertextBlob=_ciphertext(key),
                SourceKeyId=key.arn,
                SourceEncryptionContext=dict(key.context),
                DestinationKeyId=arn,
                DestinationEncryptionContext=dict(key.context),
            ),
        )
        return _wrapped(made, key.context)

    def facts(self, arn: str) -> KeyFacts:
        region_checked(arn, self._aws.region)
        mine = self._call("GetCallerIdentity", arn, lambda c: c.get_caller_identity(), "sts")
        read = ARN.fullmatch(arn)
        if read is not None and read["account"] != mine["Account"]:
            raise other_account(arn, mine["Account"])
        found = self._call("DescribeKey", arn, lambda c: c.describe_key(KeyId=arn))["KeyMetadata"]
        deletion = found.get("DeletionDate")
        return KeyFacts(
            arn=found["Arn"],
            state=found["KeyState"],
            account=found["AWSAccountId"],
            region=found["Arn"].split(":")[3],
            rotates=self._rotates(arn),
            deletion=deletion.timestamp() if deletion else 0.0,
        )

    def last_use(self, context: Mapping[str, str]) -> float | None:
        try:
            return cloudtrail.last_decrypt(
                lambda call: self._call("LookupEvents", "", call, "cloudtrail"),
                context,
                self._clock,
            )
        except OpsError:  # no right, no route, too many questions: the volume is none the worse
            return None

    # inside

    def _rotates(self, arn: str) -> bool | None:
        try:
            status = self._call(
                "GetKeyRotationStatus", arn, lambda c: c.get_key_rotation_status(KeyId=arn)
            )
        except (ConfigError, StepFailed):  # denied, or a key of a kind that never rotates
            return None
        return bool(status["KeyRotationEnabled"])

    def _call(self, action: str, arn: str, call: Callable[[Any], T], service: str = "kms") -> T:
        if service not in self._made:
            self._made[service] = self._make(service)
        made = self._made[service]
        try:
            patience = self._patience if service == "kms" else min(self._patience, ASIDE)
            return patiently(lambda: call(made), passing, self._clock, patience)
        except (BotoCoreError, ClientError) as error:
            name = f"{service}:{action}"
            if service != "kms" and not passing(error):
                raise aws_errors.translated(error, name) from None
            raise translated(error, name, arn, region=self._aws.region) from None


def decrypted(
    key: Key,
    aws: Aws,
    *,
    clock: Clock | None = None,
    patience: float = PATIENCE,
    clients: Clients | None = None,
) -> bytearray:
    """The bytes that open a volume: 64 of mode wrapped and ephemeral, the password of mode s3 as
    the object holds it: what newlines at its end mean is for `adapters.key_process`, which knows
    whether the volume is new. Who calls wipes them.

    botocore parses the answer into objects that cannot be wiped: they live as long as this
    process, which is why it is a short one. Errors as `ports.keys` names them, and StepFailed
    KO-KMS-SIZE, ConfigError KO-VOLUME-OBJECT, KO-VOLUME-PASSWORD.
    """
    if key.mode == "ephemeral":
        return bytearray(os.urandom(SIZE))
    logging.getLogger("botocore").setLevel(logging.WARNING)  # its debug log has whole answers
    clock, make = clock or SystemClock(), clients or _clients(aws)
    if key.arn:
        region_checked(key.arn, aws.region)
    also = f": {dict(key.context)}"
    if key.mode == "s3":
        blob = _object(key, S3Copies(aws, clock, patience=patience, client=make("s3")))
        also = "; the object ends in a newline, as if written as text" * blob.endswith(b"\n")
    else:
        blob = _ciphertext(key)
    named = {"KeyId": key.arn} if key.arn else {}
    kms = make("kms")

    def call() -> bytearray:
        answer = kms.decrypt(CiphertextBlob=blob, EncryptionContext=dict(key.context), **named)
        return bytearray(answer["Plaintext"])

    try:
        found = patiently(call, passing, clock, patience)
    except (BotoCoreError, ClientError) as error:
        raise translated(error, "kms:Decrypt", key.arn, region=aws.region, also=also) from None
    return _password(found, key) if key.mode == "s3" else _whole(found, key)


def _whole(found: bytearray, key: Key) -> bytearray:
    if len(found) == SIZE:
        return found
    size = len(found)
    _wipe(found)
    raise StepFailed(
        "KO-KMS-SIZE",
        f"KMS opened {size} bytes under {key.arn}, a volume's key has {SIZE}",
        where=key.arn,
        hint="`kafkaops volume status` shows the token; this one wraps something else",
    )


def _password(found: bytearray, key: Key) -> bytearray:
    """Refused where `$(aws kms decrypt ...)` and `echo` would have cut it, in the recipe."""
    end = len(found)
    while end and found[end - 1] == 0x0A:
        end -= 1
    if end and found.find(b"\n", 0, end) < 0 and b"\0" not in found:
        return found
    empty = not end
    _wipe(found)
    raise ConfigError(
        "KO-VOLUME-PASSWORD",
        f"the password in {key.object} is empty"
        if empty
        else f"the password in {key.object} has a newline or NUL within: a shell would cut it",
        where=key.object,
        hint="encrypt the password alone: `aws kms encrypt --plaintext fileb://FILE`",
    )


def _wipe(found: bytearray) -> None:
    for n in range(len(found)):
        found[n] = 0


def _object(key: Key, copies: S3Copies) -> bytes:
    found = copies.get(key.object)
    if found:
        return found
    raise ConfigError(
        "KO-VOLUME-OBJECT",
        f"{key.object} is empty" if found == b"" else f"there is no object {key.object}",
        where="volumes.object",
        hint=f"`aws s3 ls {key.object}`; it holds the password as `aws kms encrypt` wrote it",
    )


def _ciphertext(key: Key) -> bytes:
    try:
        found = base64.b64decode(key.ciphertext, validate=True)
    except (ValueError, binascii.Error):
        found = b""
    if not found:
        raise StepFailed(
            "KO-KMS-CONTEXT",
            "the wrapped key is not base64: the token was changed",
            where=key.arn,
            hint="`kafkaops volume open` takes the copy in S3, where there is one",
        )
    return found


def _wrapped(answer: Mapping[str, Any], context: Mapping[str, str]) -> Key:
    text = base64.b64encode(answer["CiphertextBlob"]).decode()
    return Key("wrapped", arn=str(answer["KeyId"]), ciphertext=text, context=dict(context))


def _clients(aws: Aws) -> Clients:
    return lambda service: client(service, aws)
