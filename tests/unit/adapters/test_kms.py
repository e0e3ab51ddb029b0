"""KMS's keys over botocore against the lab's strict KMS: work, patience, and every refusal."""

from __future__ import annotations

import base64
import io
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from kafkaops.adapters.kms import KmsKeys, decrypted
from kafkaops.config.schema import Aws
from kafkaops.engine.clock import FakeClock
from kafkaops.engine.errors import Exit, OpsError
from kafkaops.ports.disks import Key
from kafkaops.ports.keys import KeyFacts
from tests.unit.adapters.aws_lab import REGION, SHORT, AwsLab

CONTEXT = {"cluster": "orders", "broker_id": "1", "volume": "a"}
THEIRS = f"arn:aws:kms:{REGION}:999999999999:key/00000000-0000-4000-8000-000000000000"


class Place(AwsLab):
    """A key, and the adapter on the endpoint's clock."""

    def __init__(self) -> None:
        super().__init__()
        self.arn = self.key()
        self.keys = KmsKeys(self.aws, self.clock, clients=self.clients())

    def open(self, key: Key, **more: Any) -> bytearray:
        given = {"clock": self.clock, "clients": self.clients(), **more}
        return decrypted(key, self.aws, **given)

    def decrypts(self) -> int:
        return sum(one["eventName"] == "Decrypt" for one in self.events())


@pytest.fixture
def place() -> Iterator[Place]:
    made = Place()
    yield made
    made.close()


def refused(call: Callable[[], object]) -> OpsError:
    with pytest.raises(OpsError) as error:
        call()
    assert error.value.hint, "every refusal names what to do next"
    assert error.value.__cause__ is None
    return error.value


def test_a_new_key_is_wrapped_and_opens_to_64_bytes(place: Place) -> None:
    key = place.keys.new(place.arn, CONTEXT)
    assert (key.mode, key.arn, key.context) == ("wrapped", place.arn, CONTEXT)
    once, twice = place.open(key), place.open(key)
    assert len(once) == 64
    assert once == twice
    assert place.open(place.keys.new(place.arn, CONTEXT)) != once


def test_a_rewrapped_key_is_the_same_under_another_or_newer_key(place: Place) -> None:
    other = place.key()
    key = place.keys.new(place.arn, CONTEXT)
    moved = place.keys.rewrap(key, other)
    assert (moved.arn, moved.context) == (other, CONTEXT)
    assert place.open(moved) == place.open(key)
    place.kms.rotate_key_on_demand(KeyId=place.arn)
    renewed = place.keys.rewrap(key, place.arn)
    assert renewed.ciphertext != key.ciphertext
    assert place.open(renewed) == place.open(key)
    with pytest.raises(ValueError, match="mode s3"):
        place.keys.rewrap(Key("s3"), other)


def test_an_ephemeral_key_is_new_each_time_and_asks_nobody(place: Place) -> None:
    before = len(place.events())
    once, twice = (place.open(Key("ephemeral")) for _ in range(2))
    assert (len(once), once == twice, len(place.events())) == (64, False, before)


def test_facts_of_a_key(place: Place) -> None:
    assert place.keys.facts(place.arn) == KeyFacts(
        place.arn, "Enabled", "123456789012", REGION, rotates=False
    )
    place.kms.enable_key_rotation(KeyId=place.arn)
    assert place.keys.facts(place.arn).rotates is True
    place.front.set({"deny": "kms:GetKeyRotationStatus"})
    assert place.keys.facts(place.arn).rotates is None
    place.kms.schedule_key_deletion(KeyId=place.arn, PendingWindowInDays=7)
    dying = place.keys.facts(place.arn)
    assert dying.state == "PendingDeletion"
    assert dying.deletion == pytest.approx(place.clock.wall() + 7 * 86_400, abs=1)


@pytest.mark.parametrize(
    ("spoil", "code", "exit", "hint"),
    [
        (lambda p: p.kms.disable_key(KeyId=p.arn), "DISABLED", Exit.CONFIG, "aws kms enable-key"),
        (
            lambda p: p.kms.schedule_key_deletion(KeyId=p.arn),
            *("DELETING", Exit.CONFIG, "aws kms cancel-key-deletion"),
        ),
        (
            lambda p: p.front.set({"deny": "kms:*"}),
            *("DENIED", Exit.CONFIG, "kafkaops volume policy"),
        ),
        (
            lambda p: p.front.set({"kms_throttle": 10**6}),
            *("THROTTLED", Exit.TIMEOUT, "repeat the command"),
        ),
        (
            lambda p: p.front.set({"kms_fault": f"KMSInternalException:{10**6}"}),
            *("AWAY", Exit.TIMEOUT, f"kms.{REGION}.amazonaws.com"),
        ),
    ],
)
@pytest.mark.parametrize("work", ["open", "new", "rewrap"])
def test_each_refusal_of_kms_has_a_code_a_next_command_and_an_exit(
    place: Place, spoil: Callable[[Place], Any], work: str, code: str, exit: Exit, hint: str
) -> None:
    key = place.keys.new(place.arn, CONTEXT)
    spoil(place)
    calls: dict[str, Callable[[], object]] = {
        "open": lambda: place.open(key),
        "new": lambda: place.keys.new(place.arn, CONTEXT),
        "rewrap": lambda: place.keys.rewrap(key, place.arn),
    }
    error = refused(calls[work])
    assert (error.code, error.exit, error.where) == (f"KO-KMS-{code}", exit, place.arn)
    assert hint in error.hint


def test_a_key_that_is_wrong_is_told_from_one_that_is_absent(place: Place) -> None:
    key = place.keys.new(place.arn, CONTEXT)
    other = place.key()
    absent = place.arn[:-36] + "00000000-0000-4000-8000-000000000000"
    far = place.key(region="us-east-1")
    for changed, code, exit in (
        (replace(key, arn=other), "KO-KMS-OTHER-KEY", Exit.STEP_FAILED),
        (replace(key, arn=absent), "KO-KMS-NO-KEY", Exit.CONFIG),
        (replace(key, arn=far), "KO-KMS-REGION", Exit.CONFIG),
        (replace(key, arn=THEIRS), "KO-KMS-ACCOUNT", Exit.CONFIG),
        (replace(key, arn=f"arn:aws:kms:{REGION}:1:alias/a"), "KO-KMS-NO-KEY", Exit.CONFIG),
        (replace(key, context={**CONTEXT, "volume": "b"}), "KO-KMS-CONTEXT", Exit.STEP_FAILED),
        (replace(key, ciphertext=key.ciphertext[:-8]), "KO-KMS-CONTEXT", Exit.STEP_FAILED),
        (replace(key, ciphertext="not base64"), "KO-KMS-CONTEXT", Exit.STEP_FAILED),
        (replace(key, ciphertext=""), "KO-KMS-CONTEXT", Exit.STEP_FAILED),
    ):
        error = refused(lambda changed=changed: place.open(changed))  # type: ignore[misc]
        assert (error.code, error.exit) == (code, exit), error.message
        if not changed.arn.startswith(f"arn:aws:kms:{REGION}:1:"):
            assert error.where == changed.arn
    far_error = refused(lambda: place.keys.new(far, CONTEXT))
    assert "lies in us-east-1, this session in eu-west-1" in far_error.message
    for arn, code in ((far, "REGION"), (THEIRS, "ACCOUNT"), (absent, "NO-KEY"), ("x", "NO-KEY")):
        assert refused(lambda arn=arn: place.keys.facts(arn)).code == f"KO-KMS-{code}"  # type: ignore[misc]


def test_a_key_that_was_deleted_is_named(place: Place) -> None:
    key = place.keys.new(place.arn, CONTEXT)
    place.kms.schedule_key_deletion(KeyId=place.arn, PendingWindowInDays=7)
    place.clock.sleep(8 * 86_400)
    assert refused(lambda: place.open(key)).code == "KO-KMS-NO-KEY"
    unnamed = refused(lambda: place.open(replace(key, arn="")))
    assert unnamed.code == "KO-KMS-NO-KEY", "the ciphertext names it"


def test_what_wraps_something_else_is_no_key_of_a_volume(place: Place) -> None:
    blob = place.kms.encrypt(KeyId=place.arn, Plaintext=b"short", EncryptionContext=CONTEXT)
    text = base64.b64encode(blob["CiphertextBlob"]).decode()
    error = refused(lambda: place.open(Key("wrapped", place.arn, text, CONTEXT)))
    assert (error.code, error.exit) == ("KO-KMS-SIZE", Exit.STEP_FAILED)


@pytest.mark.parametrize(
    "option",
    [
        {"kms_throttle": 9},
        {"kms_fault": "KMSInternalException:9"},
        {"kms_fault": "DependencyTimeoutException:9"},
        {"kms_fault": "KeyUnavailableException:9"},
    ],
)
def test_what_passes_is_survived_with_waits_that_grow_and_differ(
    place: Place, option: dict[str, Any]
) -> None:
    key = place.keys.new(place.arn, CONTEXT)
    waits = []
    for _ in range(2):
        before, place.clock.slept = place.decrypts(), []
        place.front.set(option)
        assert len(place.open(key, patience=600)) == 64
        assert place.decrypts() - before == 10, "botocore tried again by itself"
        waits.append(place.clock.slept)
        bounds = [min(0.5 * 2**n, 10.0) for n in range(9)]
        assert all(0 <= wait <= bound for wait, bound in zip(waits[-1], bounds, strict=True))
    assert waits[0] != waits[1], "brokers that boot together would return together"


def test_silence_is_survived(place: Place) -> None:
    key = place.keys.new(place.arn, CONTEXT)
    place.front.set({"kms_fault": "timeout:1"})
    assert len(place.open(key, clients=place.clients(wait=SHORT), patience=600)) == 64
    assert len(place.clock.slept) >= 1


@pytest.mark.parametrize("patience", [0.0, 7.0, 60.0])
def test_patience_is_a_total(place: Place, patience: float) -> None:
    key = place.keys.new(place.arn, CONTEXT)
    place.front.set({"kms_throttle": 10**6})
    began, before = place.clock.now, place.decrypts()
    error = refused(lambda: place.open(key, patience=patience))
    took, tries = place.clock.now - began, place.decrypts() - before
    assert took <= patience
    assert took >= patience - 10, "it gave up early"
    assert f"tried {tries} times in {took:.0f} s" in error.message


@pytest.mark.parametrize(
    ("option", "code"), [({"deny": "kms:Decrypt"}, "DENIED"), ({}, "DISABLED")]
)
def test_what_does_not_pass_is_asked_once(place: Place, option: Any, code: str) -> None:
    key = place.keys.new(place.arn, CONTEXT)
    place.front.set(option)
    if not option:
        place.kms.disable_key(KeyId=place.arn)
    assert refused(lambda: place.open(key)).code == f"KO-KMS-{code}"
    assert (place.decrypts(), place.clock.slept) == (1, [])


def test_an_endpoint_that_is_not_there_is_named_after_all_patience(place: Place) -> None:
    key = place.keys.new(place.arn, CONTEXT)
    place.close()
    clock = FakeClock()
    error = refused(lambda: place.open(key, clock=clock, patience=30))
    assert (error.code, error.exit) == ("KO-KMS-AWAY", Exit.TIMEOUT)
    assert 20 <= sum(clock.slept) <= 30


def test_no_credentials_are_named(place: Place) -> None:
    key = place.keys.new(place.arn, CONTEXT)

    def bare(service: str) -> Any:
        made = place.client(service)
        made._request_signer._credentials = None
        return made

    error = refused(lambda: place.open(key, clients=bare))
    assert (error.code, error.exit) == ("KO-AWS-CREDENTIALS", Exit.CONFIG)


def test_the_last_use_is_told_by_the_trail(place: Place) -> None:
    key = place.keys.new(place.arn, CONTEXT)
    other = place.keys.new(place.arn, {**CONTEXT, "volume": "b"})
    assert place.keys.last_use(CONTEXT) is None
    place.open(key)
    at = place.clock.wall()
    place.clock.sleep(60)
    for _ in range(120):  # more than two pages of another volume's
        place.open(other)
    refused(lambda: place.open(replace(other, context=CONTEXT)))  # a failure is no use
    place.clock.sleep(60)
    assert place.keys.last_use(CONTEXT) == pytest.approx(at, abs=1)
    place.front.set({"deny": "cloudtrail:LookupEvents"})
    place.clock.sleep(60)
    assert place.keys.last_use(CONTEXT) is None


def test_no_log_of_botocore_has_the_key(place: Place) -> None:
    key = place.keys.new(place.arn, CONTEXT)
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        found = place.open(key)
        logging.getLogger("kafkaops").debug("seen")
    finally:
        root.removeHandler(handler)
        root.setLevel(before)
    assert "seen" in written.getvalue()
    assert base64.b64encode(found).decode() not in written.getvalue()
    assert repr(bytes(found)) not in written.getvalue()


def test_a_host_that_boots_waits_for_neither_pydantic_nor_boto3() -> None:
    ask = (
        "import sys, kafkaops.adapters.kms;"
        "print({'pydantic', 'boto3', 'botocore'} & {name.split('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "{'botocore'}"


def test_the_clients_of_a_host_try_once(place: Place) -> None:
    from kafkaops.adapters.patience import client

    made = client("kms", Aws(region=REGION, endpoint_url=place.url))
    assert made.meta.config.retries == {"total_max_attempts": 1, "mode": "standard"}
    assert (made.meta.region_name, made.meta.endpoint_url) == (REGION, place.url)
