"""Who calls the emulated AWS, and what policies let them do.

As AWS decides: an explicit deny wins, then something must allow. What this evaluator does not
know (an operator, a variable, NotPrincipal) it refuses instead of passing over it, so that no
policy seems to hold because a part of it was not read.
Source: IAM User Guide, "Policy evaluation logic" and "IAM JSON policy elements".
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

ACCOUNT = "123456789012"
Said = Literal["allow", "deny", ""]
"""What policies say of a request; empty: nothing."""
Facts = Mapping[str, Sequence[str]]
"""Condition keys of a request, in lower case, with their values."""

ELEMENTS = {"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"}
COMPARE: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda value, wanted: value == wanted,
    "StringNotEquals": lambda value, wanted: value != wanted,
    "StringEqualsIgnoreCase": lambda value, wanted: value.lower() == wanted.lower(),
    "StringLike": lambda value, wanted: like(wanted, value),
    "StringNotLike": lambda value, wanted: not like(wanted, value),
    "ArnEquals": lambda value, wanted: like(wanted, value),
    "ArnLike": lambda value, wanted: like(wanted, value),
    "Bool": lambda value, wanted: value.lower() == wanted.lower(),
}
NEGATED = {"StringNotEquals", "StringNotLike"}


class Unread(Exception):
    """A policy that AWS would refuse, or that this evaluator cannot judge."""


@dataclass(frozen=True)
class Caller:
    """A principal by its ARN, with its identity-based policies."""

    arn: str
    policies: tuple[Mapping[str, Any], ...] = ()

    @property
    def account(self) -> str:
        return self.arn.split(":")[4]

    @property
    def root(self) -> str:
        return f"arn:aws:iam::{self.account}:root"

    @property
    def names(self) -> frozenset[str]:
        """The ARNs by which a policy may name this principal itself."""
        session = re.fullmatch(r"arn:aws:sts::(\d+):assumed-role/([^/]+)/.+", self.arn)
        role = {f"arn:aws:iam::{session[1]}:role/{session[2]}"} if session else set()
        return frozenset({self.arn, *role})


ADMINISTRATOR = Caller(
    f"arn:aws:iam::{ACCOUNT}:user/lab",
    ({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}},),
)


@dataclass
class Callers:
    """Who signs with which access key; an unknown one is the administrator's."""

    known: dict[str, Caller] = field(default_factory=dict)

    def of(self, authorization: str) -> Caller:
        """By the Authorization header of a request (Signature Version 4)."""
        return self.known.get(scope(authorization)[0], ADMINISTRATOR)


def read(given: Any) -> dict[str, Caller]:
    """`{access key: {"arn": ..., "policies": [...]}}`, or the JSON of it; ValueError for what
    is none."""
    found = json.loads(given) if isinstance(given, str) else given
    if not isinstance(found, Mapping):
        raise ValueError("callers are an object by access key")
    made = {}
    for key, one in found.items():
        caller = Caller(str(one["arn"]), tuple(one.get("policies", ())))
        if not re.fullmatch(r"arn:aws:(iam|sts)::\d{12}:.+", caller.arn):
            raise ValueError(f"{caller.arn} is no ARN of a principal")
        try:
            for policy in caller.policies:
                check(policy)
        except Unread as error:
            raise ValueError(f"a policy of {caller.arn}: {error}") from None
        made[str(key)] = caller
    return made


def shown(known: Mapping[str, Caller]) -> dict[str, Any]:
    """As `read` takes it."""
    return {k: {"arn": c.arn, "policies": list(c.policies)} for k, c in known.items()}


def whoami(caller: Caller) -> bytes:
    """What STS answers to GetCallerIdentity, version 2011-06-15 (Query)."""
    return (
        '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
        f"<GetCallerIdentityResult><Arn>{caller.arn}</Arn><UserId>lab</UserId>"
        f"<Account>{caller.account}</Account></GetCallerIdentityResult>"
        "</GetCallerIdentityResponse>"
    ).encode()


def scope(authorization: str) -> tuple[str, str, str]:
    """Access key, region and service of a signed request; empty where it is not signed."""
    found = re.search(r"Credential=([^/]+)/\d+/([^/]+)/([^/]+)/aws4_request", authorization)
    return (found[1], found[2], found[3]) if found else ("", "", "")


def identity(caller: Caller, action: str, resource: str, facts: Facts) -> Said:
    """What the caller's own policies say."""
    return _said(
        statement
        for policy in caller.policies
        for statement in statements(policy)
        if _fits(statement, action, resource, facts)
    )


def resource_based(
    policy: Mapping[str, Any], principals: frozenset[str], action: str, resource: str, facts: Facts
) -> Said:
    """What a resource's policy says to whom it names by one of these ARNs, or as `*`."""
    return _said(
        statement
        for statement in statements(policy)
        if _named(statement, principals) and _fits(statement, action, resource, facts)
    )


def check(policy: Mapping[str, Any], *, principal: bool = False) -> None:
    """Unread unless every part of it is known here."""
    if not isinstance(policy, Mapping) or policy.get("Version") != "2012-10-17":
        raise Unread("it needs the Version 2012-10-17")
    for statement in statements(policy):
        unknown = set(statement) - ELEMENTS - ({"Principal"} if principal else set())
        if unknown or statement.get("Effect") not in ("Allow", "Deny"):
            raise Unread(f"Effect {statement.get('Effect')!r}, unknown {sorted(unknown)}")
        if ("Action" in statement) == ("NotAction" in statement):
            raise Unread("a statement has either Action or NotAction")
        if ("Resource" in statement) == ("NotResource" in statement):
            raise Unread("a statement has either Resource or NotResource")
        if principal and "Principal" not in statement:
            raise Unread("a statement of a resource's policy has a Principal")
        for operator in statement.get("Condition", {}):
            if _operator(operator)[1] not in {*COMPARE, "Null"}:
                raise Unread(f"the lab knows no condition operator {operator}")
        if "${" in str(statement):
            raise Unread("the lab knows no policy variables")


def statements(policy: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = policy.get("Statement", [])
    return [found] if isinstance(found, Mapping) else list(found)


def listed(value: Any) -> list[str]:
    """A value that may stand alone or in a list."""
    return [str(one) for one in (value if isinstance(value, list | tuple) else [value])]


def like(pattern: str, text: str) -> bool:
    """`*` and `?` as IAM means them: any characters, `:` and `/` too."""
    parts = [".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern]
    return re.fullmatch("".join(parts), text, re.DOTALL) is not None


def _said(fitting: Iterator[Mapping[str, Any]]) -> Said:
    effects = {statement["Effect"] for statement in fitting}
    return "deny" if "Deny" in effects else "allow" if "Allow" in effects else ""


def _named(statement: Mapping[str, Any], principals: frozenset[str]) -> bool:
    given = statement.get("Principal", {})
    named = listed(given.get("AWS", []) if isinstance(given, Mapping) else given)
    roots = {f"arn:aws:iam::{one}:root" if one.isdigit() else one for one in named}
    return bool({"*", *principals} & roots)


def _fits(statement: Mapping[str, Any], action: str, resource: str, facts: Facts) -> bool:
    def among(patterns: Any, text: str) -> bool:
        return any(like(pattern, text) for pattern in listed(patterns))

    lower = [one.lower() for one in listed(statement.get("Action", statement.get("NotAction")))]
    if among(lower, action.lower()) != ("Action" in statement):
        return False
    resources = statement.get("Resource", statement.get("NotResource"))
    if among(resources, resource) != ("Resource" in statement):
        return False
    return all(
        _holds(operator, facts.get(key.lower(), ()), listed(wanted))
        for operator, keys in statement.get("Condition", {}).items()
        for key, wanted in keys.items()
    )


def _operator(name: str) -> tuple[str, str, bool]:
    """`ForAllValues:StringLikeIfExists` -> (ForAllValues, StringLike, True)."""
    quantifier, _, rest = name.rpartition(":")
    return quantifier, rest.removesuffix("IfExists"), rest.endswith("IfExists")


def _holds(name: str, values: Sequence[str], wanted: list[str]) -> bool:
    quantifier, operator, if_exists = _operator(name)
    if operator == "Null":
        return (not values) == (wanted == ["true"])
    if not values:
        return if_exists or quantifier == "ForAllValues" or operator in NEGATED
    compare = COMPARE[operator]
    every = all if operator in NEGATED else any
    each = [every(compare(value, one) for one in wanted) for value in values]
    return all(each) if quantifier == "ForAllValues" else any(each)
