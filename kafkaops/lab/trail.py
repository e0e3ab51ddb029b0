"""CloudTrail's event history, which moto lacks: what was called is looked up as on AWS.

An event is found `delay` seconds after its call (on AWS minutes), newest first, in its own region
and account, and no more than two look-ups a second are answered.
Source: AWS CloudTrail API reference, LookupEvents, version 2013-11-01 (JSON 1.1).
"""

from __future__ import annotations

import datetime
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kafkaops.engine.clock import Clock
from kafkaops.lab.iam import Caller, identity, scope
from kafkaops.lab.kms_calls import Call
from kafkaops.lab.ssm import Refused

TARGET = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101."
ACTION = "cloudtrail:LookupEvents"
SOURCE = "kms.amazonaws.com"
CHANGES = ("Create", "Enable", "Disable", "Put", "Schedule", "Cancel", "RotateKey")
PAGE = 50
A_SECOND = 2
ATTRIBUTES = {
    "EventId": lambda one: [one["EventId"]],
    "EventName": lambda one: [one["EventName"]],
    "EventSource": lambda one: [one["EventSource"]],
    "ReadOnly": lambda one: [one["ReadOnly"]],
    "AccessKeyId": lambda one: [one["AccessKeyId"]],
    "Username": lambda one: [one["Username"]],
    "ResourceName": lambda one: [resource["ResourceName"] for resource in one["Resources"]],
    "ResourceType": lambda one: [resource["ResourceType"] for resource in one["Resources"]],
}


@dataclass
class Trail:
    """Events as LookupEvents shows them, in order. `denied` lists IAM actions that are refused."""

    clock: Clock
    delay: float = 1.0
    denied: frozenset[str] = frozenset()
    events: list[dict[str, Any]] = field(default_factory=list)
    _asked: list[float] = field(default_factory=list)

    def note(self, call: Call, parameters: Mapping[str, Any], refused: Refused | None) -> None:
        """One call to KMS, and how it was refused."""
        now = self.clock.wall()
        caller = call.caller
        changes = call.action.startswith(CHANGES)
        record = {
            "eventVersion": "1.11",
            "userIdentity": {"arn": caller.arn, "accountId": caller.account},
            "eventTime": _moment(now),
            "eventSource": SOURCE,
            "eventName": call.action,
            "awsRegion": call.region,
            "requestParameters": dict(parameters) or None,
            "responseElements": None,
            "readOnly": not changes,
            "resources": [
                {"accountId": arn.split(":")[4], "type": "AWS::KMS::Key", "ARN": arn}
                for arn in call.keys
            ],
            "eventType": "AwsApiCall",
            "recipientAccountId": caller.account,
        }
        if refused is not None:
            record["errorCode"] = refused.code.replace("AccessDeniedException", "AccessDenied")
            record["errorMessage"] = refused.message
        self.events.append(
            {
                "EventId": str(uuid.uuid4()),
                "EventName": call.action,
                "ReadOnly": str(not changes).lower(),
                "AccessKeyId": call.access_key,
                "EventTime": int(now),
                "EventSource": SOURCE,
                "Username": caller.arn.rpartition("/")[2],
                "Resources": [
                    {"ResourceType": "AWS::KMS::Key", "ResourceName": arn} for arn in call.keys
                ],
                "CloudTrailEvent": json.dumps(record),
            }
        )

    def handle(
        self, target: str, body: bytes, authorization: str, caller: Caller
    ) -> tuple[int, bytes]:
        """Status and JSON of the answer to one request."""
        try:
            if target != TARGET + "LookupEvents":
                raise Refused("UnknownOperationException", f"the lab has no {target}", 501)
            self._permit(caller)
            answer = self._lookup(json.loads(body or b"{}"), scope(authorization)[1], caller)
            return 200, json.dumps(answer).encode()
        except Refused as refused:
            document = {"__type": refused.code, "message": refused.message}
            return refused.status, json.dumps(document).encode()

    def _permit(self, caller: Caller) -> None:
        now = self.clock.monotonic()
        self._asked = [at for at in self._asked if now - at < 1.0]
        if len(self._asked) >= A_SECOND:
            raise Refused("ThrottlingException", "Rate exceeded")
        self._asked.append(now)
        denied = {ACTION, "cloudtrail:*"} & self.denied
        if denied or identity(caller, ACTION, "*", {}) != "allow":
            raise Refused(
                "AccessDeniedException",
                f"User: {caller.arn} is not authorized to perform: {ACTION} because no "
                f"identity-based policy allows the {ACTION} action",
            )

    def _lookup(self, given: dict[str, Any], region: str, caller: Caller) -> dict[str, Any]:
        attributes = given.get("LookupAttributes") or []
        if len(attributes) > 1 or any(one["AttributeKey"] not in ATTRIBUTES for one in attributes):
            raise Refused("InvalidLookupAttributesException", "one lookup attribute at most")
        size = given.get("MaxResults", PAGE)
        if not 1 <= size <= PAGE:
            raise Refused("InvalidMaxResultsException", f"MaxResults {size}: 1 to {PAGE}")
        found = [
            one
            for one in reversed(self.events)
            if self._shown(one, given, region, caller)
            and all(
                wanted["AttributeValue"] in ATTRIBUTES[wanted["AttributeKey"]](one)
                for wanted in attributes
            )
        ]
        after = [n for n, one in enumerate(found, 1) if one["EventId"] == given.get("NextToken")]
        if given.get("NextToken") and not after:
            raise Refused("InvalidNextTokenException", "Invalid token")
        start = after[0] if after else 0
        page = found[start : start + size]
        more = {"NextToken": page[-1]["EventId"]} if len(found) > start + size else {}
        return {"Events": page, **more}

    def _shown(
        self, one: dict[str, Any], given: dict[str, Any], region: str, caller: Caller
    ) -> bool:
        record = json.loads(one["CloudTrailEvent"])
        at = float(one["EventTime"])
        return (
            at + self.delay <= self.clock.wall()
            and given.get("StartTime", 0) <= at <= given.get("EndTime", float("inf"))
            and record["awsRegion"] == region
            and record["recipientAccountId"] == caller.account
        )


def _moment(at: float) -> str:
    return datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
