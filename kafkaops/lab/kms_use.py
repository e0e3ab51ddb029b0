"""The cryptographic operations of the emulated KMS."""

from __future__ import annotations

import base64
import os
from typing import Any

from kafkaops.lab.kms import MAX_PLAINTEXT
from kafkaops.lab.kms_calls import CONTEXTS, Call, Desk, Operation
from kafkaops.lab.ssm import Refused

ALGORITHM = {"EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}


def _encrypt(desk: Desk, call: Call) -> dict[str, Any]:
    key = desk.key(call)
    desk.permit(call, key, context=call.context())
    key.usable()
    blob = key.wrap(call.blob("Plaintext", MAX_PLAINTEXT), call.context())
    return {"CiphertextBlob": _text(blob), "KeyId": key.arn, **ALGORITHM}


def _decrypt(desk: Desk, call: Call) -> dict[str, Any]:
    key, plaintext = desk.opened(call, "Decrypt", "KeyId", "EncryptionContext")
    return {"Plaintext": _text(plaintext), "KeyId": key.arn, **ALGORITHM}


def _reencrypt(desk: Desk, call: Call) -> dict[str, Any]:
    old, plaintext = desk.opened(call, "ReEncryptFrom", "SourceKeyId", "SourceEncryptionContext")
    new = desk.key(call, "DestinationKeyId")
    context = call.context("DestinationEncryptionContext")
    desk.permit(call, new, "ReEncryptTo", context)
    new.usable()
    return {
        "CiphertextBlob": _text(new.wrap(plaintext, context)),
        "SourceKeyId": old.arn,
        "KeyId": new.arn,
        "SourceEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
        "DestinationEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
    }


def _data_key(desk: Desk, call: Call) -> dict[str, Any]:
    key = desk.key(call)
    desk.permit(call, key, context=call.context())
    key.usable()
    sizes = {"AES_128": 16, "AES_256": 32}
    spec, count = call.given.get("KeySpec"), call.given.get("NumberOfBytes")
    if (spec is None) == (count is None):
        raise Refused("ValidationException", "Please specify either number of bytes or key spec.")
    size = sizes.get(str(spec), count)
    if not isinstance(size, int) or not 1 <= size <= 1024:
        raise Refused("ValidationException", f"Value '{size}' at 'numberOfBytes': 1 to 1024")
    plaintext = os.urandom(size)
    shown = {"Plaintext": _text(plaintext)} if call.action == "GenerateDataKey" else {}
    blob = key.wrap(plaintext, call.context())
    return {"CiphertextBlob": _text(blob), "KeyId": key.arn, **shown}


def _text(blob: bytes) -> str:
    return base64.b64encode(blob).decode()


DATA_KEY = frozenset({"KeyId", "EncryptionContext", "KeySpec", "NumberOfBytes"})
OPERATIONS: dict[str, tuple[Operation, frozenset[str]]] = {
    "Encrypt": (_encrypt, frozenset({"KeyId", "Plaintext", "EncryptionContext"})),
    "Decrypt": (_decrypt, frozenset({"CiphertextBlob", "EncryptionContext", "KeyId"})),
    "ReEncrypt": (
        _reencrypt,
        frozenset({"CiphertextBlob", "SourceKeyId", "DestinationKeyId", *CONTEXTS[1:]}),
    ),
    "GenerateDataKey": (_data_key, DATA_KEY),
    "GenerateDataKeyWithoutPlaintext": (_data_key, DATA_KEY),
}
