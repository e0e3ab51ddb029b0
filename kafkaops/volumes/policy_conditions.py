"""Conditions of an existing policy: whether they hold a key to the volumes' contexts, and S3 to
their copies."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from kafkaops.model.volume import VolumeSpec
from kafkaops.volumes.policy import CONTEXT, NO_CONTEXT, bounds

EXACT = ("StringEquals", "StringLike", "ForAnyValue:StringEquals")
"""Operators that hold a condition key to values and fail where the key is absent."""


@dataclass(frozen=True)
class Finding:
    """`where` names the statement, `what` is too wide, `instead` is what to write."""

    where: str
    what: str
    instead: str


def contexts(
    where: str, conditions: Mapping[str, Any], specs: Sequence[VolumeSpec]
) -> Iterator[Finding]:
    """Encryption contexts under which a key may be used and need not be."""
    found = list(bounds(specs))
    allowed: dict[str, set[str]] = {}
    for bound in found:
        for key, values in bound.condition.get("StringEquals", {}).items():
            allowed.setdefault(key, set()).update(listed(values))
    instead = "Condition " + " or ".join(json.dumps(dict(b.condition)) for b in found)
    plain = any(not bound.wrapped for bound in found)
    if not found or (plain and _has(conditions, NO_CONTEXT)):
        return
    if not allowed:
        yield Finding(where, "the key may be used with any encryption context too", instead)
    for key, values in allowed.items():
        name = key.removeprefix(CONTEXT)
        given = [v for operator in EXACT for v in _values(conditions, operator, key)]
        if not given:
            loose = any(_values(conditions, operator, key) for operator in conditions)
            why = ", its condition holds where there is none" if loose else ""
            yield Finding(where, f"any {name} may be in the context{why}", instead)
        for value in given:
            if value not in values:
                yield Finding(where, f"the context may have {name} {value!r}", instead)


def of_s3(
    where: str,
    one: Mapping[str, Any],
    touched: Sequence[str],
    least: Sequence[Mapping[str, Any]],
) -> Iterator[Finding]:
    """Copies that may be overwritten, or more that may be listed than the copies."""
    conditions = one.get("Condition", {})
    resources = listed(one.get("Resource", []))
    for statement in least:
        wanted = statement.get("Condition", {})
        mine = [n for n in listed(statement["Action"]) if n in touched and n[:3] == "s3:"]
        meant = listed(statement["Resource"])
        if not mine or not wanted or not any(_meets(r, m) for r in resources for m in meant):
            continue
        if "Null" in wanted and not _has(conditions, wanted):
            yield Finding(where, "copies may be overwritten", f"Condition {json.dumps(wanted)}")
        elif "StringLike" in wanted:
            fine = listed(wanted["StringLike"]["s3:prefix"])
            given = [v for op in EXACT for v in _values(conditions, op, "s3:prefix")]
            if not given or not all(any(within(v, f) for f in fine) for v in given):
                yield Finding(
                    where,
                    f"{', '.join(mine)} shows more than the volumes' copies",
                    f"Condition {json.dumps(wanted)}",
                )


def listed(value: Any) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list | tuple) else [str(value)]


def like(pattern: str, name: str) -> bool:
    return fnmatchcase(name.lower(), pattern.lower().replace("[", "[[]"))


def within(inner: str, outer: str) -> bool:
    """Whether all that a pattern means lies within another, which ends in at most one `*`."""
    return inner.startswith(outer[:-1]) if outer.endswith("*") else inner == outer


def _meets(one: str, other: str) -> bool:
    """Whether two patterns may mean the same thing."""
    return like(one, other) or like(other, one)


def _values(conditions: Mapping[str, Any], operator: str, key: str) -> list[str]:
    """The values under a condition key, whose case does not matter."""
    keys = conditions.get(operator, {})
    return [v for name, given in keys.items() if name.lower() == key.lower() for v in listed(given)]


def _has(conditions: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(
        [v.lower() for v in _values(conditions, operator, key)] == listed(value)
        for operator, keys in wanted.items()
        for key, value in keys.items()
    )


def restricted(conditions: Mapping[str, Any]) -> bool:
    """Whether a condition names the principals, where the principal is everybody."""
    return any(
        value and "*" not in value.rpartition(":")[0]
        for operator in ("StringEquals", "ArnEquals", "ArnLike", "StringLike")
        for value in _values(conditions, operator, "aws:PrincipalArn")
    )
