"""The lab's policy evaluator: what AWS's rules say, and that nothing unread passes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kafkaops.lab.iam import (
    ADMINISTRATOR,
    Caller,
    Callers,
    Unread,
    check,
    identity,
    read,
    resource_based,
    scope,
    shown,
)

KEY = "arn:aws:kms:eu-west-1:123456789012:key/1"
ROLE = "arn:aws:iam::123456789012:role/broker"
SESSION = Caller("arn:aws:sts::123456789012:assumed-role/broker/i-1")
FACTS = {"kms:encryptioncontext:volume": ["a"], "kms:encryptioncontextkeys": ["volume"]}


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(**more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": KEY, **more}


def said(*statements: dict[str, Any], facts: Any = FACTS) -> str:
    caller = Caller("arn:aws:iam::123456789012:user/x", (policy(*statements),))
    return identity(caller, "kms:Decrypt", KEY, facts)


def when(operator: str, key: str, *values: str) -> str:
    return said(allow(Condition={operator: {key: list(values)}}))


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (allow(), "allow"),
        (allow(Action=["s3:*", "KMS:decr?pt"]), "allow"),
        (allow(Action="kms:Encrypt"), ""),
        (allow(Resource="arn:aws:kms:*:key/*"), "allow"),
        (allow(Resource=KEY + "2"), ""),
        ({"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"}, "allow"),
        ({"Effect": "Allow", "NotAction": "kms:*", "Resource": "*"}, ""),
        ({"Effect": "Allow", "Action": "*", "NotResource": KEY}, ""),
    ],
)
def test_actions_and_resources(statement: dict[str, Any], expected: str) -> None:
    assert said(statement) == expected


VOLUME = "kms:EncryptionContext:Volume"


@pytest.mark.parametrize(
    ("operator", "key", "values", "holds"),
    [
        ("StringEquals", VOLUME, ("a", "b"), True),
        ("StringEquals", VOLUME, ("A",), False),
        ("StringEquals", "kms:EncryptionContext:other", ("a",), False),
        ("StringEqualsIfExists", "kms:EncryptionContext:other", ("a",), True),
        ("StringNotEquals", VOLUME, ("b", "c"), True),
        ("StringNotEquals", VOLUME, ("b", "a"), False),
        ("StringLike", VOLUME, ("?",), True),
        ("ForAllValues:StringEquals", "kms:EncryptionContextKeys", ("volume", "x"), True),
        ("ForAllValues:StringEquals", "kms:EncryptionContextKeys", ("x",), False),
        ("ForAllValues:StringEquals", "kms:none", ("x",), True),
        ("ForAnyValue:StringEquals", "kms:none", ("x",), False),
        ("Null", "kms:EncryptionContextKeys", ("true",), False),
        ("Null", "kms:EncryptionContextKeys", ("false",), True),
    ],
)
def test_conditions(operator: str, key: str, values: tuple[str, ...], holds: bool) -> None:
    assert when(operator, key, *values) == ("allow" if holds else "")


def test_a_deny_outweighs() -> None:
    assert said(allow(), {"Effect": "Deny", "Action": "kms:*", "Resource": "*"}) == "deny"


def test_a_session_is_named_by_its_role_its_account_is_not_it() -> None:
    def of(principal: Any) -> str:
        document = policy(allow(Resource="*", Principal=principal))
        return resource_based(document, SESSION.names, "kms:Decrypt", KEY, FACTS)

    assert of({"AWS": ROLE}) == of({"AWS": [SESSION.arn]}) == of("*") == "allow"
    assert of({"AWS": SESSION.root}) == of({"Service": "s3.amazonaws.com"}) == ""
    document = policy(allow(Resource="*", Principal={"AWS": "123456789012"}))
    whole = frozenset({SESSION.root})
    assert resource_based(document, whole, "kms:Decrypt", KEY, FACTS) == "allow"


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"Statement": []}, "Version"),
        (policy(allow(Effect="allow")), "Effect 'allow'"),
        (policy(allow(NotAction="kms:*")), "either Action"),
        (policy(allow(NotResource="*")), "either Resource"),
        (policy(allow(NotPrincipal="*")), "NotPrincipal"),
        (policy(allow(Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}})), "IpAddress"),
        (policy(allow(Resource="arn:aws:s3:::b/${aws:username}")), "variables"),
    ],
)
def test_what_is_not_understood_is_refused(document: Any, says: str) -> None:
    with pytest.raises(Unread, match=says):
        check(document)
    with pytest.raises(ValueError, match=says):
        read({"k": {"arn": ROLE, "policies": [document]}})
    check(policy(allow()))
    with pytest.raises(Unread, match="has a Principal"):
        check(policy(allow()), principal=True)


def test_callers_are_told_apart_by_their_access_key() -> None:
    signed = "AWS4-HMAC-SHA256 Credential=broker/20260101/eu-west-1/kms/aws4_request, Signature=0"
    assert scope(signed) == ("broker", "eu-west-1", "kms")
    callers = Callers()
    assert callers.of(signed) is ADMINISTRATOR
    callers.known = read({"broker": {"arn": SESSION.arn}})
    assert callers.of(signed) == SESSION
    assert callers.of("") is ADMINISTRATOR
    assert read(shown(callers.known)) == read(json.dumps(shown(callers.known))) == callers.known
    with pytest.raises(ValueError, match="an object"):
        read("[]")
    with pytest.raises(ValueError, match="no ARN of a principal"):
        read({"x": {"arn": "broker"}})
