"""Leases in S3, against moto's server over HTTP, and against failures it never has."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config as BotoConfig
from moto.server import ThreadedMotoServer

from kafkaops.adapters.lease_s3 import GRACE, S3Lease, S3Leases
from kafkaops.config.schema import Aws
from kafkaops.engine.clock import FakeClock, SystemClock
from kafkaops.engine.errors import ConfigError, LeaseHeld, Unreachable
from kafkaops.engine.lease import Holder

ANN = Holder("ann", "h1", 7, "r1", 100.0)
BOB = Holder("bob", "h2", 8, "r2", 200.0)
TTL = 30.0


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


class Place:
    """A bucket of its own, and operators at several machines."""

    def __init__(self, endpoint: str) -> None:
        self.bucket = f"b-{uuid.uuid4().hex[:12]}"
        self.endpoint = endpoint
        self.clock = FakeClock()
        self.client().create_bucket(Bucket=self.bucket)

    def client(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
            config=BotoConfig(retries={"total_max_attempts": 1}),
        )

    def leases(self, **more: Any) -> S3Leases:
        made = {"client": self.client(), "keep": False, **more}
        return S3Leases(self.bucket, "/ops/", Aws(), made.pop("clock", self.clock), **made)

    def age(self, leases: S3Leases, seconds: float) -> None:
        """What S3 answers from now on was written so long ago."""

        def older(parsed: dict[str, Any], **_: Any) -> None:
            if "LastModified" in parsed:
                parsed["LastModified"] -= timedelta(seconds=seconds)

        leases._client().meta.events.register("after-call.s3.GetObject", older)


@pytest.fixture
def place(endpoint: str) -> Place:
    return Place(endpoint)


def test_one_holder_at_a_time_and_its_name_in_the_error(place: Place) -> None:
    lease = place.leases().acquire("blue", ANN, TTL)
    lease.verify()
    assert place.leases().holder("blue") == ANN
    with pytest.raises(LeaseHeld, match=r"ann@h1 \(pid 7, run r1\)") as held:
        place.leases().acquire("blue", BOB, TTL)
    assert held.value.where == f"s3://{place.bucket}/ops/leases/blue.json"
    place.leases().acquire("green", BOB, TTL)
    lease.release()
    assert place.leases().holder("blue") is None
    place.leases().acquire("blue", BOB, TTL).verify()
    assert place.leases().holder("blue") == BOB


def test_of_many_that_ask_at_once_one_gets_it(place: Place) -> None:
    def ask(number: int) -> S3Lease | None:
        try:
            return place.leases().acquire("blue", Holder("u", "h", number, "r", 1.0), TTL)
        except LeaseHeld:
            return None

    with ThreadPoolExecutor(8) as pool:
        got = [lease for lease in pool.map(ask, range(8)) if lease]
    assert len(got) == 1
    got[0].renew()
    got[0].verify()


def test_an_expired_lease_is_taken_over_and_its_holder_learns_it(place: Place) -> None:
    first = place.leases().acquire("blue", ANN, TTL)
    other = place.leases()
    place.age(other, TTL + GRACE - 1.5)
    with pytest.raises(LeaseHeld):
        other.acquire("blue", BOB, TTL)
    place.age(other, 3)
    second = other.acquire("blue", BOB, TTL)
    first.verify()  # still young by its own clock: nothing is asked
    place.clock.now += TTL / 3
    with pytest.raises(LeaseHeld, match="taken over by bob@h2") as lost:
        first.verify()
    assert lost.value.code == "KO-LEASE-LOST"
    first.release()
    second.renew()
    second.verify()


def test_verify_renews_every_third_of_the_ttl(place: Place) -> None:
    leases = place.leases()
    calls: list[str] = []
    leases._client().meta.events.register(
        "before-call.s3.*", lambda model, **_: calls.append(model.name)
    )
    lease = leases.acquire("blue", ANN, TTL)
    calls.clear()
    for _ in range(60):
        place.clock.now += 1
        lease.verify()
    assert calls == ["PutObject"] * 6


def test_when_s3_is_silent_the_lease_holds_for_its_ttl_and_no_longer(place: Place) -> None:
    leases = place.leases()
    lease = leases.acquire("blue", ANN, TTL)

    def silent(**_: Any) -> AWSResponse:
        class Raw:
            def stream(self, **_: Any) -> Iterator[bytes]:
                return iter([b"<Error><Code>SlowDown</Code></Error>"])

        return AWSResponse("http://127.0.0.1/", 503, {}, Raw())

    leases._client().meta.events.register("before-send.s3.*", silent)
    place.clock.now += TTL - 1
    lease.verify()
    place.clock.now += 1
    with pytest.raises(LeaseHeld, match="could not be renewed within 30 s"):
        lease.verify()


def test_a_renewal_whose_answer_was_lost_is_recognised(place: Place) -> None:
    leases = place.leases()
    lease = leases.acquire("blue", ANN, TTL)
    stale = lease._etag
    lease.renew()
    lease._etag = stale  # as if the answer of that renewal had never come
    lease.renew()
    lease.verify()
    assert leases.holder("blue") == ANN


def test_the_background_keeps_it_through_a_long_act(place: Place) -> None:
    leases = place.leases(keep=True, clock=SystemClock())
    renewed = threading.Semaphore(0)
    leases._client().meta.events.register("after-call.s3.PutObject", lambda **_: renewed.release())
    lease = leases.acquire("blue", ANN, 0.3)
    for _ in range(4):  # the one that took it, and three more
        assert renewed.acquire(timeout=30)
    lease.verify()
    lease.release()
    assert lease._keeper is not None
    lease._keeper.join(timeout=30)
    assert not lease._keeper.is_alive()
    assert place.leases().holder("blue") is None


def test_an_object_that_is_no_lease_is_never_written_over(place: Place) -> None:
    place.client().put_object(Bucket=place.bucket, Key="ops/leases/blue.json", Body=b"mine")
    with pytest.raises(ConfigError, match="not a lease"):
        place.leases().acquire("blue", ANN, TTL)


def test_a_missing_bucket_is_named(place: Place) -> None:
    place.bucket = "nowhere"
    with pytest.raises(ConfigError, match="no bucket nowhere"):
        place.leases().acquire("blue", ANN, TTL)


def test_a_missing_permission_names_the_action(place: Place) -> None:
    leases = place.leases()

    def denied(**_: Any) -> AWSResponse:
        class Raw:
            def stream(self, **_: Any) -> Iterator[bytes]:
                return iter([b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"])

        return AWSResponse("http://127.0.0.1/", 403, {}, Raw())

    leases._client().meta.events.register("before-send.s3.PutObject", denied)
    with pytest.raises(ConfigError, match="s3:PutObject") as refused:
        leases.acquire("blue", ANN, TTL)
    assert refused.value.code == "KO-AWS-DENIED"


def test_an_endpoint_that_does_not_answer_is_unreachable(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    aws = Aws(endpoint_url="http://127.0.0.1:1")
    with pytest.raises(Unreachable):
        S3Leases(place.bucket, "", aws, place.clock, keep=False).acquire("blue", ANN, TTL)
