"""What an existing policy allows too much: each finding once, and none on the least policies."""

from __future__ import annotations

from typing import Any

import pytest

from kafkaops.engine.errors import ConfigError
from kafkaops.model.volume import VolumeSpec
from kafkaops.volumes.policy import administrator, broker, key_policy
from kafkaops.volumes.policy_width import Role, too_wide
from tests.unit.volumes.test_policy import ADMIN, KEY, ROLE, condition, recipe, volume

MINE = condition(cluster="orders", broker_id="1", volume="a")
HOME = "arn:aws:s3:::copies/luks/orders/1/a/"
ROOT = "arn:aws:iam::123456789012:root"
PLAIN = {"Null": {"kms:EncryptionContextKeys": "true"}}
ONCE = {"Null": {"s3:if-none-match": "false"}}


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(action: Any, resource: Any = KEY, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def decrypt(**more: Any) -> dict[str, Any]:
    return allow(more.pop("Action", "kms:Decrypt"), **{"Condition": MINE, **more})


def found(
    statement: dict[str, Any], spec: VolumeSpec | None = None, role: Role = "broker"
) -> list[str]:
    return [one.what for one in too_wide(policy(statement), spec or volume(), role=role)]


@pytest.mark.parametrize("spec", [volume(), recipe(), volume(mode="ephemeral", key="")])
@pytest.mark.parametrize("role", ["broker", "administrator"])
def test_the_least_policies_are_not_too_wide(spec: VolumeSpec, role: Role) -> None:
    least = (broker if role == "broker" else administrator)(spec)
    assert too_wide(least, spec, role=role) == ()
    assert too_wide(key_policy(KEY, [spec], [ROLE], [ADMIN]), spec) == ()


def test_policies_of_many_volumes_are_not_too_wide_for_them_and_are_for_one() -> None:
    specs = (volume(1), volume(1, "b"), volume(2), volume(3, "c"), recipe(node=4))
    assert too_wide(broker(*specs), *specs) == ()
    assert too_wide(administrator(*specs), *specs, role="administrator") == ()
    whats = [one.what for one in too_wide(broker(volume(1), volume(2)), volume(1))]
    assert "the context may have broker_id '2'" in whats
    assert f"{HOME.replace('/1/', '/2/')}* is more than s3:GetObject needs" in whats


@pytest.mark.parametrize(
    ("statement", "whats"),
    [
        (decrypt(), []),
        (decrypt(Action="KMS:decrypt"), []),
        (decrypt(Action=["kms:Decrypt", "kms:DescribeKey"]), []),
        (decrypt(Action="kms:Encrypt"), ["kms:Encrypt is not needed"]),
        (
            decrypt(Action="kms:GenerateDataKey*"),
            ["Action kms:GenerateDataKey* allows kms:GenerateDataKey, kms:GenerateDataKeyPair,"
             " kms:GenerateDataKeyPairWithoutPlaintext too"],
        ),
        (
            decrypt(Action="kms:*"),
            ["Action kms:* allows kms:Encrypt, kms:ReEncryptFrom, kms:ReEncryptTo too"],
        ),
        (decrypt(Action="kms:Decryp?"), []),
        (decrypt(Resource="*"), ["* is more than kms:Decrypt needs"]),
        (
            decrypt(Resource=KEY[:-36] + "*"),
            [f"{KEY[:-36]}* is more than kms:Decrypt needs"],
        ),
        (decrypt(Resource=[KEY, KEY[:-1] + "2"]), [f"{KEY[:-1]}2 is more than kms:Decrypt needs"]),
        (
            allow("kms:Decrypt"),
            [f"any {name} may be in the context" for name in ("cluster", "broker_id", "volume")],
        ),
        (
            decrypt(Condition=condition(cluster="orders", broker_id="1")),
            ["any volume may be in the context"],
        ),
        (
            decrypt(Condition=condition(cluster="orders", broker_id=["1", "2"], volume="a")),
            ["the context may have broker_id '2'"],
        ),
        (
            decrypt(Condition={"StringLike": {**MINE["StringEquals"],
                                              "kms:EncryptionContext:volume": "*"}}),
            ["the context may have volume '*'"],
        ),
        (
            decrypt(Condition={"StringEqualsIfExists": MINE["StringEquals"]}),
            [f"any {name} may be in the context, its condition holds where there is none"
             for name in ("cluster", "broker_id", "volume")],
        ),
        (
            decrypt(Condition={**MINE, "Bool": {"aws:SecureTransport": "true"}}),
            [],
        ),
        (
            {"Effect": "Allow", "NotAction": "iam:*", "Resource": KEY},
            ["NotAction allows everything but what it names, what AWS adds later too"],
        ),
        (
            {"Effect": "Allow", "Action": "kms:Decrypt", "NotResource": KEY, "Condition": MINE},
            ["NotResource allows everything but what it names, what AWS adds later too"],
        ),
        ({**decrypt(Resource="*"), "Effect": "Deny"}, []),
        (allow("ec2:*", "*"), []),
        (allow("s3:GetObject", HOME + "*"), []),
        (allow("s3:GetObject", HOME + "u/token-1.json"), []),
        (
            allow("s3:GetObject", "arn:aws:s3:::copies/*"),
            ["arn:aws:s3:::copies/* is more than s3:GetObject needs"],
        ),
        (allow("s3:GetObject*", HOME + "*"),
         ["Action s3:GetObject* allows s3:GetObjectVersion, s3:GetObjectAcl too"]),
        (allow("s3:DeleteObject", HOME + "*"), ["s3:DeleteObject is not needed"]),
        (allow("s3:PutObject", HOME + "*"), ["copies may be overwritten"]),
        (allow("s3:PutObject", HOME + "*", Condition=ONCE), []),
        (
            allow("s3:ListBucket", "arn:aws:s3:::copies"),
            ["s3:ListBucket shows more than the volumes' copies"],
        ),
        (
            allow("s3:ListBucket", "arn:aws:s3:::copies",
                  Condition={"StringLike": {"s3:prefix": "luks/*"}}),
            ["s3:ListBucket shows more than the volumes' copies"],
        ),
    ],
)  # fmt: skip
def test_a_brokers_policy(statement: dict[str, Any], whats: list[str]) -> None:
    assert found(statement) == whats


def test_everything_is_found_in_an_administrator_of_all() -> None:
    whats = found(allow("*", "*"))
    assert whats[0].startswith("Action * allows kms:Encrypt")
    assert any(what.startswith("* is more than kms:") for what in whats)
    assert any(what.startswith("* is more than s3:") for what in whats)
    assert {"any volume may be in the context", "copies may be overwritten"} <= set(whats)


@pytest.mark.parametrize(
    ("statement", "whats"),
    [
        (allow("kms:Decrypt", Condition=PLAIN), []),
        (allow("kms:Decrypt"), ["the key may be used with any encryption context too"]),
        (allow("s3:GetObject", "arn:aws:s3:::copies/password"), []),
        (
            allow("s3:GetObject", "arn:aws:s3:::copies/pass*"),
            ["arn:aws:s3:::copies/pass* is more than s3:GetObject needs"],
        ),
    ],
)
def test_a_broker_of_the_recipe(statement: dict[str, Any], whats: list[str]) -> None:
    assert found(statement, recipe()) == whats


def test_an_administrator_may_rewrap_and_not_open() -> None:
    both = allow("kms:ReEncrypt*", Condition=MINE)
    assert found(both, role="administrator") == []
    assert found(both) == ["Action kms:ReEncrypt* allows kms:ReEncryptFrom, kms:ReEncryptTo too"]
    assert found(decrypt(), role="administrator") == ["kms:Decrypt is not needed"]


def principal(who: Any, action: str = "kms:Decrypt", **more: Any) -> dict[str, Any]:
    return allow(action, "*", **{"Principal": who, "Condition": MINE, **more})


@pytest.mark.parametrize(
    ("statement", "whats"),
    [
        (principal({"AWS": ROLE}), []),
        (principal({"AWS": ROOT}, "kms:DescribeKey"), []),
        (principal("*"), ["everybody may use the key"]),
        (principal({"AWS": "*"}, "kms:PutKeyPolicy"), ["everybody may administer the key"]),
        (principal("*", Condition={**MINE, "ArnEquals": {"aws:PrincipalArn": ROLE}}), []),
        (
            principal({"AWS": [ROLE, ROOT]}),
            ["any IAM policy of account 123456789012 may let somebody use the key"],
        ),
        (
            principal({"AWS": "123456789012"}),
            ["any IAM policy of account 123456789012 may let somebody use the key"],
        ),
        (
            principal({"AWS": "arn:aws:iam::999999999999:role/x"}),
            ["arn:aws:iam::999999999999:role/x of another account may use the key"],
        ),
        (principal({"Service": "ec2.amazonaws.com"}), ["ec2.amazonaws.com may use the key"]),
        (principal({"AWS": ROLE}, "kms:CreateGrant"), ["kms:CreateGrant is not needed"]),
        (
            {**decrypt(), "NotPrincipal": {"AWS": ROLE}},
            ["NotPrincipal allows everything but what it names, what AWS adds later too"],
        ),
    ],
)
def test_a_keys_policy(statement: dict[str, Any], whats: list[str]) -> None:
    assert found(statement) == whats


def test_kmss_own_default_is_found_too_wide() -> None:
    default = allow("kms:*", "*", Principal={"AWS": ROOT})
    whats = found(default)
    assert "any IAM policy of account 123456789012 may let somebody use the key" in whats
    assert any(what.startswith("Action kms:* allows") for what in whats)


def test_a_finding_names_the_statement_and_what_to_write() -> None:
    document = policy(decrypt(), {**allow("kms:Decrypt"), "Sid": "Old"}, decrypt(Action="kms:*"))
    first, *_, last = too_wide(document, volume())
    assert first.where == "statement 2 (Old)"
    assert '"kms:EncryptionContext:cluster": "orders"' in first.instead
    assert last.where == "statement 3 (no Sid)"
    assert last.instead == "kms:Decrypt, kms:DescribeKey, kms:GenerateDataKeyWithoutPlaintext"


@pytest.mark.parametrize("bad", [{}, [], {"Statement": "x"}, {"Statement": [{"Effect": "May"}]}])
def test_what_is_no_policy_is_refused(bad: Any) -> None:
    with pytest.raises(ConfigError) as error:
        too_wide(bad, volume())
    assert error.value.code == "KO-VOLUME-POLICY"
