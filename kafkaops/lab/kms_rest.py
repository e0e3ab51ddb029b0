"""KMS's JSON interface: the operations that kafkaops and its tests use, and faults on demand.

Every call is noted in the trail, refused ones too; ciphertexts and plaintexts are not.
Source: AWS KMS API reference, version 2014-11-01 (JSON 1.1).
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from typing import Any

from kafkaops.lab import kms_admin, kms_use
from kafkaops.lab.iam import Caller, scope
from kafkaops.lab.kms_calls import CONTEXTS, Call, Desk
from kafkaops.lab.ssm import Refused
from kafkaops.lab.trail import Trail

TARGET = "TrentService."
OPERATIONS = {**kms_use.OPERATIONS, **kms_admin.OPERATIONS}
TIMEOUT = "timeout"
FAULTS = {
    "KMSInternalException": 500,
    "DependencyTimeoutException": 503,
    "KeyUnavailableException": 500,
    TIMEOUT: 0,
}
"""Faults that can be switched on, by the HTTP status of the answer; TIMEOUT has none."""
KEPT_BACK = {"CiphertextBlob", "Plaintext", "Policy"}


class Silence(Exception):
    """This call gets no answer."""


@dataclass(frozen=True)
class Fault:
    """One of FAULTS, and how many calls it befalls yet."""

    name: str = ""
    calls: int = 0

    @staticmethod
    def read(text: str) -> Fault:
        """`KMSInternalException:3`; empty is none, ValueError what is unknown."""
        name, _, calls = text.partition(":")
        if name and name not in FAULTS:
            raise ValueError(f"no fault {name} (there are {', '.join(FAULTS)})")
        return Fault(name, int(calls or bool(name)))

    def __str__(self) -> str:
        return f"{self.name}:{self.calls}" if self.calls else ""

    def befall(self) -> Fault:
        """What is left of it once it has befallen a call."""
        return Fault(self.name, self.calls - 1)


@dataclass
class Api:
    """`throttle` is how many calls to refuse yet, `fault` what befalls the next ones."""

    desk: Desk
    trail: Trail
    throttle: int = 0
    fault: Fault = Fault()
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def handle(
        self, target: str, body: bytes, authorization: str, caller: Caller
    ) -> tuple[int, bytes]:
        """Status and JSON of the answer to one request; Silence where there is to be none."""
        access_key, region, _ = scope(authorization)
        call = Call(target.removeprefix(TARGET), {}, caller, access_key, region)
        with self._lock:
            try:
                answer = self._answer(call, body)
            except Refused as refused:
                self._note(call, refused)
                document = {"__type": refused.code, "message": refused.message}
                return refused.status, json.dumps(document).encode()
            self._note(call, None)
            return 200, json.dumps(answer).encode()

    def _answer(self, call: Call, body: bytes) -> dict[str, Any]:
        if call.action not in OPERATIONS:
            raise Refused("UnknownOperationException", f"the lab's KMS has no {call.action}", 501)
        operation, takes = OPERATIONS[call.action]
        call.given = _parameters(body, takes)
        if self.throttle > 0:
            self.throttle -= 1
            raise Refused("ThrottlingException", "Rate exceeded")
        if self.fault.calls:
            name, self.fault = self.fault.name, self.fault.befall()
            if name == TIMEOUT:
                raise Silence
            raise Refused(name, "the lab was told to fail", FAULTS[name])
        return operation(self.desk, call)

    def _note(self, call: Call, refused: Refused | None) -> None:
        told = {k: v for k, v in call.given.items() if k not in KEPT_BACK}
        self.trail.note(call, {k[0].lower() + k[1:]: v for k, v in told.items()}, refused)


def _parameters(body: bytes, takes: frozenset[str]) -> dict[str, Any]:
    try:
        given = dict(json.loads(body or b"{}"))
    except (ValueError, TypeError):
        raise Refused("SerializationException", "not JSON") from None
    unknown = set(given) - takes
    if unknown:
        raise Refused("ValidationException", f"the lab's KMS does not know {sorted(unknown)}", 501)
    for name in CONTEXTS:
        if not all(isinstance(v, str) and v for v in (given.get(name) or {}).values()):
            raise Refused(
                "ValidationException", f"Value at '{name}': texts of 1 character at least"
            )
    return given
