"""Copies in S3 and the recipe's password there, against moto behind the lab's endpoint."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse

from kafkaops.adapters.key_process import fitting
from kafkaops.adapters.key_request import Use
from kafkaops.adapters.kms import decrypted
from kafkaops.adapters.s3_copies import S3Copies
from kafkaops.engine.errors import Exit, OpsError
from kafkaops.ports.disks import Key
from tests.unit.adapters.aws_lab import REGION, AwsLab, moto_port

BROKER = "arn:aws:sts::123456789012:assumed-role/broker/i-1"
URI = "s3://copies/a/token"


class Answers:
    """A server's answers before S3's: each an HTTP status and code; `done` whether S3 had done
    the work when the answer was lost."""

    def __init__(self, *answers: tuple[int, str], done: bool = False) -> None:
        self.left, self.done = list(answers), done

    def befall(self, client: Any) -> Any:
        name = "response-received.s3" if self.done else "before-send.s3"
        client.meta.events.register(name, self._received if self.done else self._before)
        return client

    def _before(self, **_: Any) -> AWSResponse | None:
        if not self.left:
            return None
        status, code = self.left.pop(0)
        return AWSResponse("", status, {}, _Raw(f"<Error><Code>{code}</Code></Error>".encode()))

    def _received(self, response_dict: dict[str, Any], parsed_response: Any, **_: Any) -> None:
        if self.left:
            status, code = self.left.pop(0)
            parsed_response["Error"] = {"Code": code, "Message": "lost"}
            parsed_response["ResponseMetadata"]["HTTPStatusCode"] = status
            response_dict["status_code"] = status


class _Raw:
    """The body of an answer as botocore reads it."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    def stream(self) -> Iterator[bytes]:
        yield self.body


class Place(AwsLab):
    def __init__(self, moto: int) -> None:
        super().__init__(moto)
        self.s3 = self.client("s3")
        self.copies = self.at()

    def at(self, client: Any = None, **more: Any) -> S3Copies:
        return S3Copies(self.aws, self.clock, client=client or self.s3, **more)


@pytest.fixture(scope="module")
def moto() -> Iterator[int]:
    with moto_port() as port:
        yield port


@pytest.fixture(params=["plain", "versioned"])
def place(moto: int, request: pytest.FixtureRequest) -> Iterator[Place]:
    made = Place(moto)
    where = {"LocationConstraint": REGION}
    made.s3.create_bucket(Bucket="copies", CreateBucketConfiguration=where)
    if request.param == "versioned":
        made.s3.put_bucket_versioning(
            Bucket="copies", VersioningConfiguration={"Status": "Enabled"}
        )
    yield made
    for one in made.s3.list_object_versions(Bucket="copies").get("Versions", []):
        made.s3.delete_object(Bucket="copies", Key=one["Key"], VersionId=one["VersionId"])
    for one in made.s3.list_object_versions(Bucket="copies").get("DeleteMarkers", []):
        made.s3.delete_object(Bucket="copies", Key=one["Key"], VersionId=one["VersionId"])
    made.s3.delete_bucket(Bucket="copies")
    made.close()


def refused(call: Any, *given: Any) -> OpsError:
    with pytest.raises(OpsError) as error:
        call(*given)
    assert error.value.hint
    assert error.value.__cause__ is None
    return error.value


def test_a_copy_is_written_once_and_asks_for_kms(place: Place) -> None:
    assert place.copies.get(URI) is None
    assert place.copies.put_once(URI, b"one") is True
    assert place.copies.put_once(URI, b"two") is False
    assert place.copies.get(URI) == b"one"
    head = place.s3.head_object(Bucket="copies", Key="a/token")
    assert head["ServerSideEncryption"] == "aws:kms"


def test_all_versions_of_one_object_go_and_of_no_other(place: Place) -> None:
    for body in (b"1", b"2", b"3"):
        place.s3.put_object(Bucket="copies", Key="a/token", Body=body)
    place.s3.delete_object(Bucket="copies", Key="a/token")
    place.s3.put_object(Bucket="copies", Key="a/token", Body=b"4")
    place.s3.put_object(Bucket="copies", Key="a/token-2", Body=b"x")
    own = [
        one["VersionId"]
        for kind in ("Versions", "DeleteMarkers")
        for one in place.s3.list_object_versions(Bucket="copies").get(kind, [])
        if one["Key"] == "a/token"
    ]
    asked: list[str] = []
    client = place.client("s3")
    client.meta.events.register(
        "provide-client-params.s3.DeleteObject",
        lambda params, **_: asked.append(params["VersionId"]),
    )
    place.at(client, page=1).delete(URI)
    assert sorted(asked) == sorted(own), "a version of another object was asked for"
    left = place.s3.list_object_versions(Bucket="copies")
    assert [one["Key"] for one in left["Versions"]] == ["a/token-2"]
    assert "DeleteMarkers" not in left
    place.copies.delete(URI)  # absent is success


def test_a_listing_has_all_pages_in_order(place: Place) -> None:
    names = [f"s3://copies/a/{n}" for n in range(7)]
    for name in reversed(names):
        assert place.copies.put_once(name, b"x")
    place.copies.put_once("s3://copies/b/1", b"x")
    assert place.at(page=3).listed("s3://copies/a/") == tuple(names)
    assert place.copies.listed("s3://copies/none") == ()


def test_refusals_name_the_object_and_what_to_do(place: Place) -> None:
    bucket = refused(place.copies.get, "s3://no-such-bucket-here/x")
    assert (bucket.code, bucket.exit) == ("KO-S3-BUCKET", Exit.CONFIG)
    for bad in ("copies/a", "s3://copies", "s3://copies/", "s3://UP/x", "/etc/passwd"):
        assert refused(place.copies.put_once, bad, b"x").code == "KO-S3-URI"
    place.front.set({"deny": "s3:PutObject"})
    denied = refused(place.copies.put_once, URI, b"x")
    assert (denied.code, denied.exit, denied.where) == ("KO-AWS-DENIED", Exit.CONFIG, URI)
    place.copies.get(URI)


def test_absent_is_told_from_denied_where_the_role_may_list(place: Place) -> None:
    read = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::copies/a/*"}
    listing = {
        "Effect": "Allow",
        "Action": "s3:ListBucket",
        "Resource": "arn:aws:s3:::copies",
        "Condition": {"StringLike": {"s3:prefix": "a/*"}},
    }

    def may(*statements: Any) -> S3Copies:
        policy = {"Version": "2012-10-17", "Statement": list(statements)}
        place.caller("broker", BROKER, policy)
        return place.at(place.client("s3", "broker"))

    assert may(read, listing).get(URI) is None
    assert "or it is absent" in refused(may(read).get, URI).message
    place.copies.put_once(URI, b"x")
    assert may(read, listing).get(URI) == b"x"
    assert refused(may(listing).get, URI).code == "KO-AWS-DENIED", "it is there, and denied"


def test_what_passes_is_tried_again(place: Place) -> None:
    answers = Answers(
        (503, "SlowDown"), (500, "InternalError"), (409, "ConditionalRequestConflict")
    )
    copies = place.at(answers.befall(place.client("s3")))
    assert copies.put_once(URI, b"x") is True
    assert len(place.clock.slept) == 3
    away = Answers(*[(503, "SlowDown")] * 500)
    error = refused(place.at(away.befall(place.client("s3"))).get, URI)
    assert (error.code, error.exit) == ("KO-S3-AWAY", Exit.TIMEOUT)
    assert "times in" in error.message


def test_a_write_whose_answer_was_lost_counts_as_ours(place: Place) -> None:
    lost = Answers((500, "InternalError"), done=True)
    assert place.at(lost.befall(place.client("s3"))).put_once(URI, b"mine") is True
    again = Answers((503, "SlowDown"))
    assert place.at(again.befall(place.client("s3"))).put_once(URI, b"theirs") is False
    assert place.copies.get(URI) == b"mine"


def test_s3s_own_trouble_with_its_key_is_told_as_kms_does(place: Place) -> None:
    broken = Answers((400, "KMS.DisabledException"))
    error = refused(place.at(broken.befall(place.client("s3"))).get, URI)
    assert (error.code, error.exit) == ("KO-KMS-DISABLED", Exit.CONFIG)


# the recipe's password


def password(place: Place, plaintext: bytes, *, after: bytes = b"", named: bool = True) -> Key:
    """An object as the recipe's administrator makes it."""
    arn = place.key()
    blob = place.kms.encrypt(KeyId=arn, Plaintext=plaintext)["CiphertextBlob"]
    place.s3.put_object(Bucket="copies", Key="password", Body=blob + after)
    return Key("s3", arn=arn if named else "", object="s3://copies/password")


def opened(place: Place, key: Key) -> bytearray:
    return decrypted(key, place.aws, clock=place.clock, clients=place.clients())


@pytest.mark.parametrize(
    ("plaintext", "handed"),
    [(b"secret", b"secret"), (b"secret\n", b"secret"), (b"sec ret\r\n\n", b"sec ret\r")],
)
def test_a_password_is_what_the_recipes_shell_handed_on(
    place: Place, plaintext: bytes, handed: bytes
) -> None:
    for named in (True, False):
        key = password(place, plaintext, named=named)
        found, warnings = opened(place, key), list[str]()
        assert found == plaintext
        assert fitting(found, Use(key), warnings) == handed
        assert len(warnings) == (plaintext != handed)


@pytest.mark.parametrize("plaintext", [b"\n", b"two\nlines", b"nul\0within"])
def test_a_password_that_a_shell_would_cut_is_refused(place: Place, plaintext: bytes) -> None:
    error = refused(opened, place, password(place, plaintext))
    assert (error.code, error.exit) == ("KO-VOLUME-PASSWORD", Exit.CONFIG)
    assert "secret" not in error.message


def test_objects_that_hold_no_password(place: Place) -> None:
    key = password(place, b"secret", after=b"\n")
    text = refused(opened, place, key)
    assert (text.code, text.exit) == ("KO-KMS-CONTEXT", Exit.STEP_FAILED)
    assert "ends in a newline" in text.message
    place.s3.put_object(Bucket="copies", Key="password", Body=b"")
    assert "is empty" in refused(opened, place, key).message
    place.copies.delete("s3://copies/password")
    absent = refused(opened, place, key)
    assert (absent.code, absent.exit) == ("KO-VOLUME-OBJECT", Exit.CONFIG)
    assert "there is no object s3://copies/password" in absent.message
