"""Administration of the emulated KMS's keys: made, switched off, deleted, turned, permitted."""

from __future__ import annotations

import json
from typing import Any

from kafkaops.lab.iam import Unread, check, identity, resource_based
from kafkaops.lab.kms import DAY, KmsKey
from kafkaops.lab.kms_calls import Call, Desk, Operation
from kafkaops.lab.ssm import Refused

WINDOW = 30
"""Days until a key is deleted, where none are given; 7 to 30 may be."""


def _create(desk: Desk, call: Call) -> dict[str, Any]:
    given = call.given
    for name, wanted in (("KeyUsage", "ENCRYPT_DECRYPT"), ("KeySpec", "SYMMETRIC_DEFAULT")):
        if given.get(name, wanted) != wanted:
            raise Refused("UnsupportedOperationException", f"the lab makes no key of {name}")
    if identity(call.caller, "kms:CreateKey", "*", {}) != "allow" or "kms:CreateKey" in desk.denied:
        raise Refused("AccessDeniedException", f"User: {call.caller.arn} may not kms:CreateKey")
    own = {
        "Sid": "Enable IAM User Permissions",
        "Effect": "Allow",
        "Principal": {"AWS": call.caller.root},
        "Action": "kms:*",
        "Resource": "*",
    }
    policy = {"Version": "2012-10-17", "Id": "key-default-1", "Statement": [own]}
    if "Policy" in given:
        policy = _policy(call)
    key = desk.store.create(
        call.region, call.caller.account, policy, str(given.get("Description", ""))
    )
    call.keys.append(key.arn)
    return {"KeyMetadata": _metadata(key)}


def _list(desk: Desk, call: Call) -> dict[str, Any]:
    mine = [call.region, call.caller.account]
    present = [key for arn in list(desk.store.keys) if (key := desk.store.present(arn))]
    found = [key for key in present if [key.region, key.account] == mine]
    return {"Keys": [{"KeyId": k.id, "KeyArn": k.arn} for k in found], "Truncated": False}


def _describe(desk: Desk, call: Call) -> dict[str, Any]:
    return {"KeyMetadata": _metadata(_mine(desk, call))}


def _enable(desk: Desk, call: Call) -> dict[str, Any]:
    key = _mine(desk, call)
    key.kept()
    key.state = "Enabled" if call.action == "EnableKey" else "Disabled"
    return {}


def _schedule(desk: Desk, call: Call) -> dict[str, Any]:
    key = _mine(desk, call)
    key.kept()
    days = call.given.get("PendingWindowInDays", WINDOW)
    if not 7 <= days <= 30:
        raise Refused("ValidationException", f"Value '{days}' at 'pendingWindowInDays': 7 to 30")
    key.state, key.deletion = "PendingDeletion", desk.store.clock.wall() + days * DAY
    return {
        "KeyId": key.arn,
        "DeletionDate": key.deletion,
        "KeyState": key.state,
        "PendingWindowInDays": days,
    }


def _cancel(desk: Desk, call: Call) -> dict[str, Any]:
    key = _mine(desk, call)
    if key.state != "PendingDeletion":
        raise Refused("KMSInvalidStateException", f"{key.arn} is not pending deletion.")
    key.state, key.deletion = "Disabled", 0.0
    return {"KeyId": key.arn}


def _turning(desk: Desk, call: Call) -> dict[str, Any]:
    key = _mine(desk, call)
    key.usable()
    key.rotates = call.action == "EnableKeyRotation"
    return {}


def _turns(desk: Desk, call: Call) -> dict[str, Any]:
    key = _mine(desk, call)
    pending = key.state == "PendingDeletion"
    return {"KeyId": key.arn, "KeyRotationEnabled": key.rotates and not pending}


def _turn(desk: Desk, call: Call) -> dict[str, Any]:
    key = _mine(desk, call)
    key.usable()
    key.turn()
    return {"KeyId": key.arn}


def _put_policy(desk: Desk, call: Call) -> dict[str, Any]:
    key = _mine(desk, call)
    key.policy = _policy(call)
    return {}


def _get_policy(desk: Desk, call: Call) -> dict[str, Any]:
    return {"Policy": json.dumps(_mine(desk, call).policy), "PolicyName": "default"}


def _mine(desk: Desk, call: Call) -> KmsKey:
    key = desk.key(call)
    desk.permit(call, key)
    return key


def _policy(call: Call) -> dict[str, Any]:
    """The policy of the request; one that would lock its own author out is refused as AWS does."""
    try:
        policy: dict[str, Any] = json.loads(call.given["Policy"])
        check(policy, principal=True)
    except (KeyError, ValueError, Unread) as error:
        raise Refused("MalformedPolicyDocumentException", str(error)) from None
    caller = call.caller
    said = {
        resource_based(policy, names, "kms:PutKeyPolicy", "*", {})
        for names in (caller.names, frozenset({caller.root}))
    }
    bypass = call.given.get("BypassPolicyLockoutSafetyCheck", False)
    if not bypass and ("allow" not in said or "deny" in said):
        raise Refused(
            "MalformedPolicyDocumentException",
            "The new key policy will not allow you to update the key policy in the future.",
        )
    return policy


def _metadata(key: KmsKey) -> dict[str, Any]:
    deleted = {"DeletionDate": key.deletion} if key.deletion else {}
    return {
        "AWSAccountId": key.account,
        "KeyId": key.id,
        "Arn": key.arn,
        "CreationDate": key.created,
        "Enabled": key.state == "Enabled",
        "Description": key.description,
        "KeyUsage": "ENCRYPT_DECRYPT",
        "KeyState": key.state,
        "Origin": "AWS_KMS",
        "KeyManager": "CUSTOMER",
        "KeySpec": "SYMMETRIC_DEFAULT",
        "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
        "MultiRegion": False,
        **deleted,
    }


ONE = frozenset({"KeyId"})
POLICY = frozenset({"Policy", "PolicyName", "BypassPolicyLockoutSafetyCheck"})
OPERATIONS: dict[str, tuple[Operation, frozenset[str]]] = {
    "CreateKey": (_create, POLICY | {"Description", "KeyUsage", "KeySpec"}),
    "ListKeys": (_list, frozenset({"Limit", "Marker"})),
    "DescribeKey": (_describe, ONE),
    "EnableKey": (_enable, ONE),
    "DisableKey": (_enable, ONE),
    "ScheduleKeyDeletion": (_schedule, ONE | {"PendingWindowInDays"}),
    "CancelKeyDeletion": (_cancel, ONE),
    "EnableKeyRotation": (_turning, ONE),
    "DisableKeyRotation": (_turning, ONE),
    "GetKeyRotationStatus": (_turns, ONE),
    "RotateKeyOnDemand": (_turn, ONE),
    "PutKeyPolicy": (_put_policy, ONE | POLICY),
    "GetKeyPolicy": (_get_policy, ONE | {"PolicyName"}),
}
