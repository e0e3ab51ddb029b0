"""The least policies: what they say for each key mode, and that with them alone a broker and an
administrator can do their work on the lab's strict KMS and S3, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from kafkaops.adapters.kms import KmsKeys, decrypted
from kafkaops.adapters.s3_copies import S3Copies
from kafkaops.engine.errors import ConfigError, OpsError
from kafkaops.model.volume import VolumeSpec
from kafkaops.ports.disks import Key
from kafkaops.volumes import copies
from kafkaops.volumes.policy import administrator, broker, key_policy
from tests.unit.adapters.aws_lab import REGION, AwsLab, moto_port

KEY = f"arn:aws:kms:{REGION}:123456789012:key/00000000-0000-4000-8000-000000000001"
ROLE = "arn:aws:iam::123456789012:role/broker"
ADMIN = "arn:aws:iam::123456789012:role/volumes-admin"


def volume(node: int = 1, name: str = "a", **more: Any) -> VolumeSpec:
    given = {"key": KEY, "copies": "s3://copies/luks", **more}
    return VolumeSpec("orders", node, name, "/dev/x", f"/var/kafka/{name}", **given)


def recipe(**more: Any) -> VolumeSpec:
    return volume(mode="s3", object="s3://copies/password", copies="", **more)


def condition(**values: Any) -> dict[str, Any]:
    return {"StringEquals": {f"kms:EncryptionContext:{k}": v for k, v in values.items()}}


def named(document: dict[str, Any]) -> dict[str, Any]:
    return {one["Sid"]: one for one in document["Statement"]}


def test_a_broker_of_wrapped_keys() -> None:
    home = "arn:aws:s3:::copies/luks/orders/1/a/*"
    assert broker(volume()) == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "OpenItsVolumes",
                "Effect": "Allow",
                "Action": ["kms:Decrypt", "kms:GenerateDataKeyWithoutPlaintext"],
                "Resource": KEY,
                "Condition": condition(cluster="orders", broker_id="1", volume="a"),
            },
            {"Sid": "SeeTheKey", "Effect": "Allow", "Action": "kms:DescribeKey", "Resource": KEY},
            {"Sid": "ReadItsCopies", "Effect": "Allow", "Action": "s3:GetObject", "Resource": home},
            {
                "Sid": "WriteCopiesOnce",
                "Effect": "Allow",
                "Action": "s3:PutObject",
                "Resource": home,
                "Condition": {"Null": {"s3:if-none-match": "false"}},
            },
            {
                "Sid": "ListCopies",
                "Effect": "Allow",
                "Action": "s3:ListBucket",
                "Resource": "arn:aws:s3:::copies",
                "Condition": {"StringLike": {"s3:prefix": "luks/orders/1/a/*"}},
            },
        ],
    }


def test_a_broker_of_the_recipes_password() -> None:
    found = named(broker(recipe()))
    assert set(found) == {"OpenItsVolumes", "SeeTheKey", "ReadItsPassword"}
    assert found["OpenItsVolumes"]["Action"] == "kms:Decrypt"
    assert found["OpenItsVolumes"]["Condition"] == {"Null": {"kms:EncryptionContextKeys": "true"}}
    assert found["ReadItsPassword"]["Resource"] == "arn:aws:s3:::copies/password"


def test_ephemeral_keys_need_nothing() -> None:
    spec = volume(mode="ephemeral", key="")
    assert broker(spec)["Statement"] == administrator(spec)["Statement"] == []
    assert len(key_policy(KEY, [spec], [ROLE], [ADMIN])["Statement"]) == 1


def test_nodes_share_a_statement_only_where_it_is_exact() -> None:
    alike = named(broker(volume(1), volume(2), volume(1, "b"), volume(2, "b")))
    assert alike["OpenItsVolumes"]["Condition"] == condition(
        cluster="orders", broker_id=["1", "2"], volume=["a", "b"]
    )
    assert "OpenItsVolumes2" not in alike
    apart = named(broker(volume(1), volume(2, "b")))
    contexts = [apart[sid]["Condition"] for sid in ("OpenItsVolumes", "OpenItsVolumes2")]
    assert contexts == [
        condition(cluster="orders", broker_id="1", volume="a"),
        condition(cluster="orders", broker_id="2", volume="b"),
    ]


def test_an_administrator_rewraps_and_clears_and_opens_nothing() -> None:
    new = KEY[:-1] + "2"
    found = named(administrator(volume(), new_key=new))
    assert "kms:Decrypt" not in json.dumps(found)
    assert "kms:Decrypt" in json.dumps(broker(volume()))
    assert found["RewrapToNewKey"]["Resource"] == new
    assert found["RewrapToNewKey"]["Condition"] == found["RewrapKeys"]["Condition"]
    assert "s3:DeleteObjectVersion" in found["ClearCopies"]["Action"]


def test_a_key_policy_leaves_use_to_the_roles_and_administration_to_the_account() -> None:
    account, opens, rewraps = key_policy(KEY, [volume()], [ROLE], [ADMIN])["Statement"]
    assert account["Principal"] == {"AWS": "arn:aws:iam::123456789012:root"}
    assert not {"kms:Decrypt", "kms:*", "kms:CreateGrant"} & set(account["Action"])
    assert (opens["Principal"], rewraps["Principal"]) == ({"AWS": ROLE}, {"AWS": ADMIN})
    assert (
        opens["Condition"]
        == rewraps["Condition"]
        == named(broker(volume()))["OpenItsVolumes"]["Condition"]
    )
    china = KEY.replace("arn:aws:", "arn:aws-cn:")
    assert "arn:aws-cn:iam::" in json.dumps(key_policy(china, [], [], []))
    assert "arn:aws-cn:s3:::copies" in json.dumps(broker(volume(key=china)))


@pytest.mark.parametrize("spec", [volume(key=""), recipe(key="")])
def test_no_policy_without_a_key(spec: VolumeSpec) -> None:
    with pytest.raises(ConfigError) as error:
        broker(spec)
    assert error.value.code == "KO-VOLUME-POLICY-KEY"


# on the lab's strict KMS and S3


class Place(AwsLab):
    """Two brokers' volumes under one key, each role with its rendered policy alone."""

    def __init__(self, moto: int) -> None:
        super().__init__(moto)
        where = {"LocationConstraint": REGION}
        self.client("s3").create_bucket(Bucket="copies", CreateBucketConfiguration=where)
        arn = self.key()
        self.mine, self.other = volume(1, key=arn), volume(2, key=arn)
        self.password = recipe(key=arn)
        blob = self.kms.encrypt(KeyId=arn, Plaintext=b"secret")["CiphertextBlob"]
        self.client("s3").put_object(Bucket="copies", Key="password", Body=blob)

    def give(self, *specs: VolumeSpec, by_key: bool) -> None:
        """Roles with the policies of these volumes, under the rendered key policy where
        `by_key`, else under KMS's default one, which leaves all to IAM."""
        for name, policy in (("broker", broker(*specs)), ("admin", administrator(*specs))):
            role = {"broker": "broker", "admin": "volumes-admin"}[name]
            self.caller(name, f"arn:aws:sts::123456789012:assumed-role/{role}/i-1", policy)
        if by_key:
            document = json.dumps(key_policy(self.mine.key, specs, [ROLE], [ADMIN]))
            self.kms.put_key_policy(KeyId=self.mine.key, Policy=document)

    def keys(self, who: str) -> KmsKeys:
        return KmsKeys(self.aws, self.clock, clients=self.clients(who))

    def copies(self, who: str) -> S3Copies:
        return S3Copies(self.aws, self.clock, client=self.client("s3", who))

    def open(self, key: Key, who: str) -> bytearray:
        return decrypted(key, self.aws, clock=self.clock, clients=self.clients(who))


@pytest.fixture(scope="module")
def moto() -> Iterator[int]:
    with moto_port() as port:
        yield port


@pytest.fixture
def place(moto: int) -> Iterator[Place]:
    made = Place(moto)
    yield made
    s3 = made.client("s3")
    for one in s3.list_objects_v2(Bucket="copies").get("Contents", []):
        s3.delete_object(Bucket="copies", Key=one["Key"])
    s3.delete_bucket(Bucket="copies")
    made.close()


def denied(call: Callable[..., object], *given: Any) -> None:
    with pytest.raises(OpsError) as error:
        call(*given)
    assert error.value.code in ("KO-KMS-DENIED", "KO-AWS-DENIED"), error.value.message


@pytest.mark.parametrize("by_key", [True, False], ids=["key policy", "default key policy"])
def test_a_broker_does_its_work_and_nothing_else(place: Place, by_key: bool) -> None:
    theirs = place.keys("lab").new(place.other.key, place.other.context)
    plain = place.kms.encrypt(KeyId=place.mine.key, Plaintext=b"x")["CiphertextBlob"]
    place.give(place.mine, by_key=by_key)
    keys, mine = place.keys("broker"), place.copies("broker")
    own = keys.new(place.mine.key, place.mine.context)
    assert len(place.open(own, "broker")) == 64
    assert keys.facts(place.mine.key).state == "Enabled"
    token = f"{copies.home(place.mine)}u/token-1.json"
    assert mine.get(token) is None
    assert mine.put_once(token, b"{}")
    assert mine.get(token) == b"{}"
    assert mine.listed(copies.home(place.mine)) == (token,)
    assert keys.last_use(place.mine.context) is None, "the trail is not its to read"

    denied(place.open, theirs, "broker")
    denied(place.open, replace(own, context=place.other.context), "broker")
    denied(place.open, replace(own, context={**own.context, "volume": "b"}), "broker")
    denied(keys.new, place.other.key, place.other.context)
    denied(keys.new, place.mine.key, {})
    denied(keys.rewrap, own, place.mine.key)
    broker_kms = place.client("kms", "broker")
    for call, given in (
        (broker_kms.generate_data_key, {"NumberOfBytes": 64, "EncryptionContext": own.context}),
        (broker_kms.encrypt, {"Plaintext": b"x", "EncryptionContext": own.context}),
        (broker_kms.disable_key, {}),
        (broker_kms.schedule_key_deletion, {}),
        (broker_kms.put_key_policy, {"Policy": "{}"}),
    ):
        with pytest.raises(broker_kms.exceptions.ClientError, match="AccessDenied"):
            call(KeyId=place.mine.key, **given)
    with pytest.raises(broker_kms.exceptions.ClientError, match="AccessDenied"):
        broker_kms.decrypt(CiphertextBlob=plain)
    denied(mine.delete, token)
    denied(mine.put_once, f"{copies.home(place.other)}u/token-1.json", b"{}")
    denied(mine.get, f"{copies.home(place.other)}u/token-1.json")
    denied(mine.get, "s3://copies/password")
    denied(mine.listed, "s3://copies/luks/orders/")
    s3 = place.client("s3", "broker")
    with pytest.raises(s3.exceptions.ClientError, match="AccessDenied"):
        s3.put_object(Bucket="copies", Key=token.removeprefix("s3://copies/"), Body=b"over")


@pytest.mark.parametrize("by_key", [True, False], ids=["key policy", "default key policy"])
def test_an_administrator_does_its_work_and_opens_nothing(place: Place, by_key: bool) -> None:
    theirs = place.keys("lab").new(place.other.key, place.other.context)
    place.give(place.mine, by_key=by_key)
    own = place.keys("broker").new(place.mine.key, place.mine.context)
    keys, store = place.keys("admin"), place.copies("admin")
    moved = keys.rewrap(own, place.mine.key)
    assert place.open(moved, "broker") == place.open(own, "broker")
    assert keys.facts(place.mine.key).rotates is False
    token = f"{copies.home(place.mine)}u/token-1.json"
    assert store.put_once(token, b"{}")
    assert store.listed(copies.home(place.mine)) == (token,)
    store.delete(token)
    assert store.get(token) is None
    place.clock.sleep(60)
    assert keys.last_use(place.mine.context) is not None

    denied(place.open, own, "admin")
    denied(keys.rewrap, theirs, place.other.key)
    denied(store.get, f"{copies.home(place.other)}u/token-1.json")
    denied(store.delete, f"{copies.home(place.other)}u/token-1.json")


@pytest.mark.parametrize("by_key", [True, False], ids=["key policy", "default key policy"])
def test_a_broker_of_the_recipe_opens_that_object_alone(place: Place, by_key: bool) -> None:
    wrapped = place.keys("lab").new(place.mine.key, place.mine.context)
    place.give(place.password, by_key=by_key)
    key = Key("s3", arn=place.password.key, object=place.password.object)
    assert place.open(key, "broker") == b"secret"
    denied(place.open, replace(key, object="s3://copies/other"), "broker")
    denied(place.open, wrapped, "broker")
    denied(place.keys("broker").new, place.mine.key, {})


def test_while_keys_are_wrapped_anew_a_host_wraps_and_proves_alone(place: Place) -> None:
    new = place.key()
    role = "arn:aws:sts::123456789012:assumed-role/broker/i-1"
    place.caller("broker", role, broker(place.mine))
    keys = place.keys("broker")
    own = keys.new(place.mine.key, place.mine.context)
    denied(keys.rewrap, own, place.mine.key)
    place.caller("broker", role, broker(place.mine, rewraps=True, new_key=new))
    for arn in (place.mine.key, new):
        moved = place.keys("broker").rewrap(own, arn)
        assert moved.arn == arn
        assert place.open(moved, "broker") == place.open(own, "broker")
    theirs = place.keys("lab").new(place.other.key, place.other.context)
    denied(place.keys("broker").rewrap, theirs, new)


def test_a_key_policy_lets_hosts_wrap_anew_only_where_asked() -> None:
    for rewraps in (False, True):
        document = key_policy(KEY, [volume()], [ROLE], [ADMIN], rewraps=rewraps)
        [opens] = [s for s in document["Statement"] if s["Sid"] == "BrokersOpenTheirVolumes"]
        assert ("kms:ReEncryptFrom" in opens["Action"]) is rewraps
