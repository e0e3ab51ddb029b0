"""The lab's KMS as botocore sees it: refusals, states, policies, faults, and what the trail tells.

What moto lets pass is named in the reference of emulated AWS; each of it is refused here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from kafkaops.lab.kms import DAY
from tests.unit.adapters.aws_lab import SHORT, AwsLab

CONTEXT = {"cluster": "orders", "broker_id": "1", "volume": "a"}
ROLE = "arn:aws:iam::123456789012:role/broker"
SESSION = "arn:aws:sts::123456789012:assumed-role/broker/i-1"
STRANGER = "arn:aws:iam::999999999999:user/stranger"


@pytest.fixture
def lab() -> Iterator[AwsLab]:
    made = AwsLab()
    yield made
    made.close()


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(action: Any, resource: str = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def wrapped(lab: AwsLab, key: str) -> bytes:
    made = lab.kms.generate_data_key_without_plaintext(
        KeyId=key, NumberOfBytes=64, EncryptionContext=CONTEXT
    )
    assert "Plaintext" not in made
    return bytes(made["CiphertextBlob"])


def refuses(code: str, call: Callable[..., Any], **given: Any) -> str:
    with pytest.raises(ClientError) as error:
        call(**given)
    assert error.value.response["Error"]["Code"] == code
    return str(error.value.response["Error"]["Message"])


def test_a_data_key_opens_as_it_was_made(lab: AwsLab) -> None:
    key = lab.key()
    made = lab.kms.generate_data_key(KeyId=key, NumberOfBytes=64, EncryptionContext=CONTEXT)
    opened = lab.kms.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext=CONTEXT)
    assert opened["Plaintext"] == made["Plaintext"]
    assert (len(opened["Plaintext"]), opened["KeyId"]) == (64, key)
    refuses("ValidationException", lab.kms.generate_data_key, KeyId=key)


def test_a_ciphertext_opens_whole_under_its_key_and_context_alone(lab: AwsLab) -> None:
    key, other = lab.key(), lab.key()
    blob = wrapped(lab, key)
    decrypt = lab.kms.decrypt
    for context in ({}, {**CONTEXT, "volume": "b"}, {**CONTEXT, "more": "x"}):
        refuses(
            "InvalidCiphertextException", decrypt, CiphertextBlob=blob, EncryptionContext=context
        )
    for bad in (b"x", blob[:-1], blob + b"\n", blob[:-1] + bytes([blob[-1] ^ 1])):
        refuses(
            "InvalidCiphertextException", decrypt, CiphertextBlob=bad, EncryptionContext=CONTEXT
        )
    asked = {"CiphertextBlob": blob, "EncryptionContext": CONTEXT}
    refuses("IncorrectKeyException", decrypt, KeyId=other, **asked)
    assert len(decrypt(KeyId=key, **asked)["Plaintext"]) == 64


def test_reencryption_moves_a_key_and_refuses_on_both_sides(lab: AwsLab) -> None:
    old, new = lab.key(), lab.key()
    asked = {
        "CiphertextBlob": wrapped(lab, old),
        "SourceEncryptionContext": CONTEXT,
        "DestinationEncryptionContext": CONTEXT,
        "DestinationKeyId": new,
    }
    moved = lab.kms.re_encrypt(**asked, SourceKeyId=old)
    assert (moved["SourceKeyId"], moved["KeyId"]) == (old, new)
    opened = lab.kms.decrypt(CiphertextBlob=moved["CiphertextBlob"], EncryptionContext=CONTEXT)
    assert opened["KeyId"] == new
    refuses("IncorrectKeyException", lab.kms.re_encrypt, **asked, SourceKeyId=new)
    wrong = {**asked, "SourceEncryptionContext": {}}
    refuses("InvalidCiphertextException", lab.kms.re_encrypt, **wrong)
    for side in (old, new):
        lab.kms.disable_key(KeyId=side)
        assert side in refuses("DisabledException", lab.kms.re_encrypt, **asked)
        lab.kms.enable_key(KeyId=side)


def test_disabled_and_dying_keys_are_refused_for_every_use(lab: AwsLab) -> None:
    key = lab.key()
    blob = wrapped(lab, key)
    uses: list[tuple[Any, dict[str, Any]]] = [
        (lab.kms.decrypt, {"CiphertextBlob": blob, "EncryptionContext": CONTEXT}),
        (lab.kms.encrypt, {"KeyId": key, "Plaintext": b"x"}),
        (lab.kms.generate_data_key, {"KeyId": key, "NumberOfBytes": 64}),
        (lab.kms.generate_data_key_without_plaintext, {"KeyId": key, "NumberOfBytes": 64}),
    ]
    lab.kms.disable_key(KeyId=key)
    for call, given in uses:
        assert refuses("DisabledException", call, **given) == f"{key} is disabled."
    lab.kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    for call, given in uses:
        refuses("KMSInvalidStateException", call, **given)
    refuses("KMSInvalidStateException", lab.kms.enable_key, KeyId=key)
    lab.kms.cancel_key_deletion(KeyId=key)
    lab.kms.enable_key(KeyId=key)
    for call, given in uses:
        call(**given)
    lab.kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert lab.kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "PendingDeletion"
    lab.clock.sleep(7 * DAY)
    refuses("NotFoundException", lab.kms.describe_key, KeyId=key)
    said = refuses("AccessDeniedException", uses[0][0], **uses[0][1])
    assert "does not exist" in said


def test_new_material_wraps_and_the_old_still_opens(lab: AwsLab) -> None:
    key = lab.key()
    assert not lab.kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"]
    lab.kms.enable_key_rotation(KeyId=key)
    assert lab.kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"]
    before = wrapped(lab, key)
    lab.kms.rotate_key_on_demand(KeyId=key)
    for blob in (before, wrapped(lab, key)):
        lab.kms.decrypt(CiphertextBlob=blob, EncryptionContext=CONTEXT)


def test_keys_of_another_region_and_account(lab: AwsLab) -> None:
    far = lab.key(region="us-east-1")
    describe = lab.kms.describe_key
    assert refuses("NotFoundException", describe, KeyId=far) == "Invalid arn us-east-1"
    lab.caller("stranger", STRANGER, policy(allow("*")))
    theirs = lab.key("stranger")
    absent = theirs[:-36] + "00000000-0000-4000-8000-000000000000"
    for arn in (theirs, absent):
        said = refuses("AccessDeniedException", describe, KeyId=arn)
        assert "because no resource-based policy allows the kms:DescribeKey action" in said
    mine = absent.replace("999999999999", "123456789012")
    assert refuses("NotFoundException", describe, KeyId=mine) == f"Key '{mine}' does not exist"
    assert "Alias" in refuses("NotFoundException", describe, KeyId="alias/none")
    assert "Invalid keyId" in refuses("NotFoundException", describe, KeyId="none")
    blob = lab.client("kms", region="us-east-1").encrypt(KeyId=far, Plaintext=b"x")
    said = refuses("AccessDeniedException", lab.kms.decrypt, CiphertextBlob=blob["CiphertextBlob"])
    assert "does not exist in this region" in said


def test_the_keys_policy_decides_first_and_then_the_callers_own(lab: AwsLab) -> None:
    key = lab.key()
    broker = lab.client("kms", "broker")
    asked = {"CiphertextBlob": wrapped(lab, key), "EncryptionContext": CONTEXT}
    lab.caller("broker", SESSION)
    said = refuses("AccessDeniedException", broker.decrypt, **asked)
    assert said == (
        f"User: {SESSION} is not authorized to perform: kms:Decrypt on resource: {key}"
        " because no identity-based policy allows the kms:Decrypt action"
    )
    narrow = {"StringEquals": {"kms:EncryptionContext:volume": "a"}}
    lab.caller("broker", SESSION, policy(allow("kms:Decrypt", key, Condition=narrow)))
    broker.decrypt(**asked)
    narrow["StringEquals"]["kms:EncryptionContext:volume"] = "b"
    lab.caller("broker", SESSION, policy(allow("kms:Decrypt", key, Condition=narrow)))
    refuses("AccessDeniedException", broker.decrypt, **asked)
    administer = allow("kms:Put*", Principal={"AWS": "arn:aws:iam::123456789012:root"})

    def only(*more: dict[str, Any]) -> None:
        document = json.dumps(policy(administer, *more))
        lab.kms.put_key_policy(KeyId=key, Policy=document)

    only(allow("kms:Decrypt", Principal={"AWS": ROLE}))
    broker.decrypt(**asked)  # named by the key, it needs no policy of its own
    assert "no resource-based" in refuses("AccessDeniedException", lab.kms.decrypt, **asked)
    only(
        allow("kms:Decrypt", Principal={"AWS": ROLE}),
        {**allow("kms:*", Principal="*"), "Effect": "Deny", "Action": "kms:Decrypt"},
    )
    assert "explicit deny" in refuses("AccessDeniedException", broker.decrypt, **asked)


def test_another_account_needs_both_policies(lab: AwsLab) -> None:
    key = lab.key()
    lab.caller("stranger", STRANGER, policy(allow("kms:Encrypt")))
    stranger = lab.client("kms", "stranger")
    open_to = [
        allow("kms:*", Principal={"AWS": arn})
        for arn in ("arn:aws:iam::123456789012:root", STRANGER)
    ]
    lab.kms.put_key_policy(KeyId=key, Policy=json.dumps(policy(*open_to)))
    assert stranger.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    refuses("AccessDeniedException", stranger.generate_data_key, KeyId=key, NumberOfBytes=64)


def test_a_key_policy_that_locks_its_author_out_is_refused(lab: AwsLab) -> None:
    key = lab.key()
    out = json.dumps(policy(allow("kms:*", Principal={"AWS": ROLE})))
    said = refuses(
        "MalformedPolicyDocumentException", lab.kms.put_key_policy, KeyId=key, Policy=out
    )
    assert "in the future" in said
    lab.kms.put_key_policy(KeyId=key, Policy=out, BypassPolicyLockoutSafetyCheck=True)
    refuses("AccessDeniedException", lab.kms.get_key_policy, KeyId=key)
    refuses("MalformedPolicyDocumentException", lab.kms.create_key, Policy="{")


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ("KMSInternalException", 500),
        ("DependencyTimeoutException", 503),
        ("KeyUnavailableException", 500),
    ],
)
def test_faults_befall_as_many_calls_as_were_asked_for(
    lab: AwsLab, fault: str, status: int
) -> None:
    key = lab.key()
    lab.front.set({"kms_fault": f"{fault}:2"})
    for left in (f"{fault}:1", ""):
        with pytest.raises(ClientError) as error:
            lab.kms.describe_key(KeyId=key)
        assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
        assert error.value.response["Error"]["Code"] == fault
        assert lab.front.options()["kms_fault"] == left
    lab.kms.describe_key(KeyId=key)


def test_throttling_silence_and_denials_can_be_switched_on(lab: AwsLab) -> None:
    key = lab.key()
    lab.front.set({"kms_throttle": "1"})
    refuses("ThrottlingException", lab.kms.describe_key, KeyId=key)
    lab.front.set({"kms_fault": "timeout"})
    with pytest.raises(ReadTimeoutError):
        lab.client("kms", wait=SHORT).describe_key(KeyId=key)
    lab.front.set({"deny": "kms:Encrypt"})
    refuses("AccessDeniedException", lab.kms.encrypt, KeyId=key, Plaintext=b"x")
    lab.kms.describe_key(KeyId=key)
    with pytest.raises(ValueError, match="no fault KMSInternal "):
        lab.front.set({"kms_fault": "KMSInternal", "kms_throttle": 7})
    assert lab.front.options()["kms_throttle"] == 0


def test_the_trail_tells_every_call_and_no_secret(lab: AwsLab) -> None:
    key = lab.key()
    trail = lab.client("cloudtrail")
    blob = wrapped(lab, key)
    lab.kms.decrypt(CiphertextBlob=blob, EncryptionContext=CONTEXT)
    refuses("InvalidCiphertextException", lab.kms.decrypt, CiphertextBlob=blob)
    wanted = [{"AttributeKey": "EventName", "AttributeValue": "Decrypt"}]
    assert trail.lookup_events(LookupAttributes=wanted)["Events"] == [], "it tells after a delay"
    lab.clock.sleep(5)
    newest, oldest = trail.lookup_events(LookupAttributes=wanted)["Events"]
    good, bad = (json.loads(one["CloudTrailEvent"]) for one in (oldest, newest))
    assert good["requestParameters"] == {"encryptionContext": CONTEXT}
    assert good["resources"][0]["ARN"] == oldest["Resources"][0]["ResourceName"] == key
    assert bad["errorCode"] == "InvalidCiphertextException"
    assert "errorCode" not in good
    names = [one["eventName"] for one in lab.events()]
    assert names == ["CreateKey", "GenerateDataKeyWithoutPlaintext", "Decrypt", "Decrypt"]


def test_the_trail_has_pages_regions_and_a_rate(lab: AwsLab) -> None:
    key = lab.key()
    for _ in range(3):
        lab.kms.describe_key(KeyId=key)
    lab.clock.sleep(5)
    trail = lab.client("cloudtrail")
    first = trail.lookup_events(MaxResults=3)
    second = trail.lookup_events(MaxResults=3, NextToken=first["NextToken"])
    assert [len(first["Events"]), len(second["Events"]), "NextToken" in second] == [3, 1, False]
    refuses("ThrottlingException", trail.lookup_events)
    lab.clock.sleep(1)
    refuses("InvalidNextTokenException", trail.lookup_events, NextToken="x")
    assert lab.client("cloudtrail", region="us-east-1").lookup_events()["Events"] == []
    lab.clock.sleep(1)
    lab.front.set({"deny": "cloudtrail:LookupEvents"})
    refuses("AccessDeniedException", trail.lookup_events)


def test_sts_says_who_calls(lab: AwsLab) -> None:
    lab.caller("broker", SESSION)
    who = lab.client("sts", "broker").get_caller_identity()
    assert (who["Account"], who["Arn"]) == ("123456789012", SESSION)
