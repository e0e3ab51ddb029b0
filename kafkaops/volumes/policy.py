"""The least that IAM and a KMS key have to allow for a cluster's volumes, as documents.

A broker opens its own volumes and makes their keys, whose plaintext KMS never shows it but by
Decrypt; an administrator re-wraps keys and clears copies, and cannot open a volume. Invariant:
no action, resource or principal is a wildcard over more than one volume's own copies. Copies are
encrypted under the account's key for S3, which needs no right of its own.
Source: KMS Developer Guide, "Key policies" and "Condition keys"; S3 user guide, "Enforce
conditional writes".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kafkaops.engine.errors import ConfigError
from kafkaops.model.volume import VolumeSpec
from kafkaops.volumes import copies

Document = dict[str, Any]
Statement = dict[str, Any]

VERSION = "2012-10-17"
CONTEXT = "kms:EncryptionContext:"
NO_CONTEXT = {"Null": {"kms:EncryptionContextKeys": "true"}}
"""Of the recipe's passwords, which were encrypted without one."""
OPENS: tuple[str, ...] = ("kms:Decrypt", "kms:GenerateDataKeyWithoutPlaintext")
REWRAPS: tuple[str, ...] = (
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
    "kms:GenerateDataKeyWithoutPlaintext",
)
TO_NEW = ("kms:ReEncryptTo", "kms:Decrypt")
ADMINISTERS = tuple(
    f"kms:{action}"
    for action in (
        *("DescribeKey", "GetKeyPolicy", "GetKeyRotationStatus", "ListGrants", "ListKeyPolicies"),
        *("ListKeyRotations", "ListResourceTags", "PutKeyPolicy", "UpdateKeyDescription"),
        *("EnableKey", "DisableKey", "EnableKeyRotation", "DisableKeyRotation"),
        *("RotateKeyOnDemand", "ScheduleKeyDeletion", "CancelKeyDeletion", "RevokeGrant"),
        *("TagResource", "UntagResource", "CreateAlias", "UpdateAlias", "DeleteAlias"),
    )
)
"""What the key's account may leave to its own IAM policies: everything but the key's use."""


@dataclass(frozen=True)
class Bound:
    """Uses of one key under one condition: nodes of a cluster that have the same volumes."""

    key: str
    condition: Mapping[str, Any]
    wrapped: bool


def broker(*specs: VolumeSpec, rewraps: bool = False, new_key: str = "") -> Document:
    """The IAM policy of the role that these volumes' hosts have. Without statements where all
    keys are ephemeral. `rewraps` while keys are wrapped anew, `new_key` where under another KMS
    key: a host proves what it wrapped by opening with it, which the administrator may not.
    ConfigError KO-VOLUME-POLICY-KEY where a volume names no key."""
    made: list[Statement] = []
    for bound in bounds(specs):
        made.append(_allow("OpenItsVolumes", _uses(bound, rewraps), bound.key, bound.condition))
        if new_key and bound.wrapped:
            made.append(_allow("RewrapToNewKey", TO_NEW, new_key, bound.condition))
    made += _described(specs, ("kms:DescribeKey",), new_key)
    objects = [arn(spec.object, spec) for spec in specs if spec.mode == "s3"]
    made += _some("ReadItsPassword", ("s3:GetObject",), objects)
    homes = _homes(specs)
    made += _some("ReadItsCopies", ("s3:GetObject",), [f"{one}*" for one in homes])
    made += _written_once(homes)
    made += _listed(specs, ("s3:ListBucket",))
    return _document(made)


def administrator(*specs: VolumeSpec, new_key: str = "") -> Document:
    """The IAM policy of who rotates and erases; `new_key` where keys move to another KMS key."""
    made: list[Statement] = []
    for bound in bounds(specs):
        uses = REWRAPS if bound.wrapped else ("kms:Encrypt",)
        made.append(_allow("RewrapKeys", uses, bound.key, bound.condition))
        if new_key and bound.wrapped:
            made.append(_allow("RewrapToNewKey", REWRAPS[1:], new_key, bound.condition))
    made += _described(specs, ("kms:DescribeKey", "kms:GetKeyRotationStatus"), new_key)
    objects = [arn(spec.object, spec) for spec in specs if spec.mode == "s3"]
    made += _some("KeepPasswords", ("s3:GetObject", "s3:PutObject"), objects)
    homes = _homes(specs)
    clears = ("s3:GetObject", "s3:DeleteObject", "s3:DeleteObjectVersion")
    made += _some("ClearCopies", clears, [f"{one}*" for one in homes])
    made += _written_once(homes)
    made += _listed(specs, ("s3:ListBucket", "s3:ListBucketVersions"))
    if any(bounds(specs)):
        made.append(_allow("SeeLastUnlock", ("cloudtrail:LookupEvents",), "*"))
    return _document(made)


def key_policy(
    key: str,
    specs: Iterable[VolumeSpec],
    brokers: Sequence[str],
    administrators: Sequence[str],
    *,
    rewraps: bool = False,
) -> Document:
    """The policy of this KMS key; brokers' and administrators' roles by their ARNs. Its account
    administers it by IAM policies, and uses it by none: those roles alone do."""
    partition, account = key.split(":")[1], key.split(":")[4]
    made = [
        {
            **_allow("AccountAdministersAndDoesNotUse", ADMINISTERS, "*"),
            "Principal": {"AWS": f"arn:{partition}:iam::{account}:root"},
        }
    ]
    for bound in bounds(one for one in specs if one.key == key):
        uses = _uses(bound, rewraps)
        opens = _allow("BrokersOpenTheirVolumes", uses, "*", bound.condition)
        made.append({**opens, "Principal": {"AWS": _one_or_more(brokers)}})
        uses = REWRAPS if bound.wrapped else ("kms:Encrypt",)
        turns = _allow("AdministratorsRewrap", uses, "*", bound.condition)
        made.append({**turns, "Principal": {"AWS": _one_or_more(administrators)}})
    return _document(made)


def _uses(bound: Bound, rewraps: bool) -> tuple[str, ...]:
    """What a host does with its keys."""
    if not bound.wrapped:
        return OPENS[:1]
    return (*OPENS, *REWRAPS[:2]) if rewraps else OPENS


def bounds(specs: Iterable[VolumeSpec]) -> Iterator[Bound]:
    """Each key with the contexts under which it is used. Nodes share a statement only where they
    have the same volumes, or the statement would allow every node with every volume."""
    nodes: dict[tuple[str, str], dict[int, set[str]]] = {}
    plain: set[str] = set()
    for spec in specs:
        if spec.mode == "ephemeral":
            continue
        if not spec.key:
            raise ConfigError(
                "KO-VOLUME-POLICY-KEY",
                f"volume {spec.name} names no KMS key, and a policy without one is too wide",
                where="volumes.key",
                hint="set it to the key's ARN (of mode s3: the one that encrypted the password)",
            )
        if spec.mode == "s3":
            plain.add(spec.key)
        else:
            have = nodes.setdefault((spec.key, spec.cluster), {})
            have.setdefault(spec.node, set()).add(spec.name)
    for (key, cluster), have in sorted(nodes.items()):
        alike: dict[tuple[str, ...], list[int]] = {}
        for node, names in sorted(have.items()):
            alike.setdefault(tuple(sorted(names)), []).append(node)
        for volumes, ids in sorted(alike.items()):
            wanted = {
                f"{CONTEXT}cluster": cluster,
                f"{CONTEXT}broker_id": _one_or_more([str(node) for node in ids]),
                f"{CONTEXT}volume": _one_or_more(volumes),
            }
            yield Bound(key, {"StringEquals": wanted}, wrapped=True)
    for key in sorted(plain):
        yield Bound(key, NO_CONTEXT, wrapped=False)


def arn(uri: str, spec: VolumeSpec) -> str:
    """The ARN of an object in S3, in the partition of the volume's key."""
    partition = spec.key.split(":")[1] if spec.key else "aws"
    return f"arn:{partition}:s3:::{uri.removeprefix('s3://')}"


def _homes(specs: Iterable[VolumeSpec]) -> list[str]:
    """Below which ARNs the copies of these volumes lie."""
    return [arn(copies.home(one), one) for one in specs if one.copies and one.mode != "ephemeral"]


def _described(
    specs: Iterable[VolumeSpec], actions: Sequence[str], new_key: str = ""
) -> list[Statement]:
    keys = {bound.key for bound in bounds(specs)}
    return _some("SeeTheKey", actions, sorted(keys | ({new_key} if new_key and keys else set())))


def _written_once(homes: Sequence[str]) -> list[Statement]:
    once = {"Null": {"s3:if-none-match": "false"}}
    return _some("WriteCopiesOnce", ("s3:PutObject",), [f"{one}*" for one in homes], once)


def _listed(specs: Iterable[VolumeSpec], actions: Sequence[str]) -> list[Statement]:
    """A bucket's listing, of these volumes' copies alone."""
    prefixes: dict[str, list[str]] = {}
    for home in _homes(specs):
        bucket, _, prefix = home.partition("/")
        prefixes.setdefault(bucket, []).append(f"{prefix}*")
    return [
        _allow("ListCopies", actions, bucket, {"StringLike": {"s3:prefix": _one_or_more(found)}})
        for bucket, found in sorted(prefixes.items())
    ]


def _some(
    sid: str,
    actions: Sequence[str],
    resources: Sequence[str],
    condition: Mapping[str, Any] | None = None,
) -> list[Statement]:
    return [_allow(sid, actions, _one_or_more(resources), condition)] if resources else []


def _allow(
    sid: str, actions: Sequence[str], resource: Any, condition: Mapping[str, Any] | None = None
) -> Statement:
    made = {
        "Sid": sid,
        "Effect": "Allow",
        "Action": _one_or_more(actions),
        "Resource": resource,
    }
    return {**made, "Condition": dict(condition)} if condition else made


def _document(made: Sequence[Statement]) -> Document:
    """With each Sid made unique."""
    seen: dict[str, int] = {}
    named = []
    for one in made:
        count = seen[one["Sid"]] = seen.get(one["Sid"], 0) + 1
        named.append({**one, "Sid": one["Sid"] + (str(count) if count > 1 else "")})
    return {"Version": VERSION, "Statement": named}


def _one_or_more(values: Sequence[str]) -> Any:
    unique = list(dict.fromkeys(values))
    return unique[0] if len(unique) == 1 else unique
