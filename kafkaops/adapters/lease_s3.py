"""Leases as objects in S3, written on conditions, for operators at several machines.

One object a lease: created with If-None-Match, renewed and taken over with If-Match. Whether
one has expired is told by S3's own clock alone (Date minus Last-Modified), so the clocks of the
machines do not matter. Invariant: the holder stops counting on the lease `ttl` seconds after it
sent its last successful renewal, and nobody takes it over earlier than that.
Source: Amazon S3 user guide, conditional writes.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import boto3
from botocore.config import Config as BotoConfig
from botocore.exceptions import BotoCoreError, ClientError

from kafkaops.config.schema import Aws
from kafkaops.engine.clock import Clock
from kafkaops.engine.errors import ConfigError, OpsError, StepFailed, Unreachable
from kafkaops.engine.lease import Holder, held_by, lost

T = TypeVar("T")

GRACE = 2.0  # seconds: Date and Last-Modified each lack their fraction
ATTEMPTS = 5  # a write that meets another at the same moment is answered with 409
DENIED = {"AccessDenied", "AccessDeniedException", "403"}


class Lost(Exception):
    """The condition of a write did not hold."""


@dataclass(frozen=True)
class Found:
    """A lease as it is in S3. `age` is in seconds by S3's clock."""

    etag: str
    token: str
    holder: Holder | None
    ttl: float
    age: float
    released: bool

    @property
    def free(self) -> bool:
        return self.released or self.age >= self.ttl + GRACE


class S3Leases:
    """Implements `ports.lease.LeaseKeeper`. `keep` renews in the background, so that a long
    `act` does not lose the lease."""

    def __init__(
        self,
        bucket: str,
        prefix: str,
        aws: Aws,
        clock: Clock,
        *,
        client: Any = None,
        keep: bool = True,
    ) -> None:
        self._bucket, self._prefix = bucket, prefix.strip("/")
        self._aws, self._clock, self._made, self._keep = aws, clock, client, keep

    def acquire(self, name: str, holder: Holder, ttl: float) -> S3Lease:
        token = uuid.uuid4().hex
        lease = S3Lease(self, name, holder, ttl, token, self._clock)
        for _ in range(ATTEMPTS):
            found = self.find(name)
            if found is not None and found.token != token and not found.free:
                raise held_by(name, found.holder, where=self.where(name))
            try:
                lease.write(found.etag if found else None)
            except Lost:
                continue
            if self._keep:
                lease.keep()
            return lease
        found = self.find(name)
        raise held_by(name, found.holder if found else None, where=self.where(name))

    def holder(self, name: str) -> Holder | None:
        found = self.find(name)
        return found.holder if found is not None and not found.free else None

    def find(self, name: str) -> Found | None:
        """The lease as it is now; None when it was never taken."""
        try:
            answer = self.call(
                "GetObject", lambda c: c.get_object(Bucket=self._bucket, Key=self._key(name))
            )
        except KeyError:
            return None
        headers = answer["ResponseMetadata"]["HTTPHeaders"]
        now = parsedate_to_datetime(headers["date"])
        try:
            body = json.loads(answer["Body"].read())
            return Found(
                etag=answer["ETag"],
                token=str(body["token"]),
                holder=Holder.read(body["holder"]),
                ttl=float(body["ttl"]),
                age=(now - answer["LastModified"]).total_seconds(),
                released=bool(body["released"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                "KO-LEASE-DAMAGED",
                f"what lies at {self.where(name)} is not a lease of kafkaops",
                hint="if nobody runs anything, delete that object",
            ) from error

    def put(self, name: str, body: dict[str, Any], etag: str | None) -> str:
        """Write on the condition that it is still `etag` (None: that there is nothing).
        Returns the new ETag; raises Lost when the condition does not hold."""
        condition = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}
        answer = self.call(
            "PutObject",
            lambda c: c.put_object(
                Bucket=self._bucket,
                Key=self._key(name),
                Body=json.dumps(body, sort_keys=True).encode(),
                ContentType="application/json",
                **condition,
            ),
        )
        return str(answer["ETag"])

    def where(self, name: str) -> str:
        return f"s3://{self._bucket}/{self._key(name)}"

    def call(self, action: str, call: Callable[[Any], T]) -> T:
        try:
            return call(self._client())
        except ClientError as error:
            raise self._translated(action, error) from None
        except BotoCoreError as error:
            where = self._aws.endpoint_url or "S3"
            if type(error).__name__ in {"NoCredentialsError", "ProfileNotFound"}:
                raise ConfigError("KO-AWS-CREDENTIALS", str(error), where=where) from None
            raise Unreachable("KO-AWS-UNREACHABLE", str(error), where=where) from None

    def _translated(self, action: str, error: ClientError) -> Exception:
        code = str(error.response.get("Error", {}).get("Code", ""))
        text = error.response.get("Error", {}).get("Message", str(error))
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code == "NoSuchBucket":
            return ConfigError(
                "KO-LEASE-BUCKET", f"there is no bucket {self._bucket}", where="state.lease"
            )
        if action == "PutObject" and status in (404, 409, 412):
            return Lost(code)
        if action == "GetObject" and code in ("NoSuchKey", "404"):
            return KeyError(code)
        if code in DENIED:
            return ConfigError(
                "KO-AWS-DENIED",
                f"missing permission s3:{action} on {self._bucket}: {text}",
                where="state.lease",
                hint="allow s3:GetObject, s3:PutObject and s3:ListBucket there",
            )
        if status >= 500 or code in ("SlowDown", "RequestTimeout"):
            return Unreachable("KO-AWS-UNREACHABLE", f"s3:{action}: {code}: {text}")
        return StepFailed("KO-LEASE", f"s3:{action}: {code}: {text}", where=self._bucket)

    def _key(self, name: str) -> str:
        return f"{self._prefix}/leases/{name}.json" if self._prefix else f"leases/{name}.json"

    def _client(self) -> Any:
        if self._made is None:
            session = boto3.Session(
                profile_name=self._aws.profile or None, region_name=self._aws.region
            )
            self._made = session.client(
                "s3",
                endpoint_url=self._aws.endpoint_url or None,
                config=BotoConfig(
                    connect_timeout=3,
                    read_timeout=5,
                    retries={"max_attempts": 3, "mode": "standard"},
                    s3={"addressing_style": "path"} if self._aws.endpoint_url else {},
                ),
            )
        return self._made


class S3Lease:
    """A lease in S3 that is held, renewed every third of its `ttl`: in the background after
    `keep`, so that `verify` never waits for S3 while the lease is valid, else by `verify`."""

    def __init__(
        self, store: S3Leases, name: str, holder: Holder, ttl: float, token: str, clock: Clock
    ) -> None:
        self.name, self._store, self._holder, self._ttl = name, store, holder, ttl
        self._token, self._clock = token, clock
        self._etag = ""
        self._beat = 0
        self._renewed = float("-inf")
        self._why_lost = ""
        self._keeper: threading.Thread | None = None
        self._lock = threading.Lock()
        self._ended = threading.Event()

    def verify(self) -> None:
        """Costs nothing while the last renewal is young."""
        if self._ended.is_set():
            raise lost(self.name, "it was given back", where=self._store.where(self.name))
        limit = self._ttl if self._keeper else self._ttl / 3
        if self._clock.monotonic() - self._renewed >= limit:
            self.renew()
        if self._why_lost:
            raise lost(self.name, self._why_lost, where=self._store.where(self.name))

    def renew(self) -> None:
        """Renew now. When S3 does not answer, the lease still holds for the rest of its ttl."""
        with self._lock:
            if self._why_lost or self._ended.is_set():
                return
            try:
                self.write(self._etag)
            except Lost:
                found = self._store.find(self.name)
                who = found.holder.words() if found and found.holder else "somebody"
                self._why_lost = f"it was taken over by {who}"
            except OpsError as error:
                if self._clock.monotonic() - self._renewed >= self._ttl:
                    self._why_lost = (
                        f"it could not be renewed within {self._ttl:g} s: {error.message}"
                    )

    def write(self, etag: str | None, *, released: bool = False) -> None:
        """One conditional write. A write whose answer was lost, and which is then refused
        because it had its effect, is recognised by its token."""
        self._beat += 1
        body = {
            "token": self._token,
            "beat": self._beat,
            "holder": self._holder.to_json(),
            "ttl": self._ttl,
            "released": released,
        }
        sent = self._clock.monotonic()
        try:
            self._etag = self._store.put(self.name, body, etag)
        except Lost:
            found = self._store.find(self.name)
            if found is None or found.token != self._token:
                raise
            self._etag = self._store.put(self.name, body, found.etag)
        self._renewed = sent

    def release(self) -> None:
        with self._lock:
            if self._ended.is_set():
                return
            self._ended.set()
            if not self._why_lost:
                try:
                    self.write(self._etag, released=True)
                except Lost:
                    self._why_lost = "it was taken over before it was given back"
                except OpsError as error:  # it then expires by itself, `ttl` seconds from now
                    self._why_lost = error.message

    def keep(self) -> None:
        """Renew in the background until released or lost; dies with the process."""
        name = f"lease-{self.name}"
        self._keeper = threading.Thread(target=self._beats, name=name, daemon=True)
        self._keeper.start()

    def _beats(self) -> None:
        while not self._why_lost and not self._ended.wait(self._ttl / 3):
            try:
                self.renew()
            except Exception as error:  # a run must learn of it, not a thread's stderr
                self._why_lost = f"its renewal failed: {type(error).__name__}: {error}"
