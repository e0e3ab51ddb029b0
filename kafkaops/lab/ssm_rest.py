"""SSM's JSON interface over `ssm.Commands`: the operations that kafkaops uses.

Source: the AWS Systems Manager API reference, version 2014-11-06 (JSON 1.1).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kafkaops.lab.route53_rest import ACCOUNT
from kafkaops.lab.ssm import Commands, Invocation, Refused

TARGET = "AmazonSSM."
DOCUMENT = "AWS-RunShellScript"
TAKES = {
    "SendCommand": {
        *("InstanceIds", "DocumentName", "TimeoutSeconds", "Parameters", "Comment"),
        *("DocumentVersion", "MaxConcurrency", "MaxErrors"),
    },
    "GetCommandInvocation": {"CommandId", "InstanceId", "PluginName"},
    "DescribeInstanceInformation": {"Filters", "MaxResults", "NextToken"},
}


@dataclass
class Api:
    """`denied` lists IAM actions that are refused (`ssm:SendCommand`)."""

    commands: Commands
    denied: frozenset[str] = frozenset()

    def handle(self, target: str, body: bytes) -> tuple[int, bytes]:
        """Status and JSON of the answer to one request."""
        action = target.removeprefix(TARGET)
        calls: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "SendCommand": self._send,
            "GetCommandInvocation": self._get,
            "DescribeInstanceInformation": self._describe,
        }
        try:
            if action not in calls:
                raise Refused("UnknownOperationException", f"the lab's SSM has no {action}", 501)
            self._permit(action)
            return 200, json.dumps(calls[action](_parameters(action, body))).encode()
        except Refused as refused:
            document = {"__type": refused.code, "message": refused.message}
            return refused.status, json.dumps(document).encode()

    def _permit(self, action: str) -> None:
        if self.commands.throttle > 0:
            self.commands.throttle -= 1
            raise Refused("ThrottlingException", "Rate exceeded")
        if {f"ssm:{action}", "ssm:*"} & self.denied:
            raise Refused(
                "AccessDeniedException",
                f"User: {ACCOUNT} is not authorized to perform: ssm:{action} because no "
                f"identity-based policy allows the ssm:{action} action",
            )

    def _send(self, given: dict[str, Any]) -> dict[str, Any]:
        if given.get("DocumentName") != DOCUMENT:
            raise Refused("InvalidDocument", "The specified document doesn't exist.")
        instances = given.get("InstanceIds") or []
        if not 1 <= len(instances) <= 50:
            raise Refused("ValidationException", "InstanceIds: between 1 and 50 members")
        if len(set(instances)) != len(instances):
            raise Refused("DuplicateInstanceId")
        wait = given.get("TimeoutSeconds", 3600)
        if not 30 <= wait <= 2_592_000:
            raise Refused("ValidationException", f"Value '{wait}' at 'timeoutSeconds': 30 at least")
        comment = given.get("Comment", "")
        if len(comment) > 100:
            raise Refused("ValidationException", "comment: length at most 100")
        lines, timeout = _script(given.get("Parameters") or {})
        command = self.commands.send(instances, lines, wait, timeout, comment)
        sent = {
            "CommandId": command,
            "DocumentName": DOCUMENT,
            "Comment": comment,
            "InstanceIds": instances,
            "Status": "Pending",
            "StatusDetails": "Pending",
            "TargetCount": len(instances),
            "CompletedCount": 0,
            "ErrorCount": 0,
        }
        return {"Command": sent}

    def _get(self, given: dict[str, Any]) -> dict[str, Any]:
        command = str(given.get("CommandId", ""))
        try:
            uuid.UUID(command)
        except ValueError:
            raise Refused("ValidationException", "commandId: not a command id") from None
        one, status, detail = self.commands.invocation(command, str(given.get("InstanceId")))
        return _view(one, status, detail)

    def _describe(self, given: dict[str, Any]) -> dict[str, Any]:
        found = self.commands.instances()
        for wanted in given.get("Filters") or []:
            if wanted.get("Key") != "InstanceIds":
                raise Refused("InvalidFilterKey", str(wanted.get("Key")))
            found = [one for one in found if one["InstanceId"] in wanted.get("Values", [])]
        return {"InstanceInformationList": found}


def _parameters(action: str, body: bytes) -> dict[str, Any]:
    try:
        given = json.loads(body or b"{}")
    except ValueError:
        raise Refused("SerializationException", "not JSON") from None
    unknown = set(given) - TAKES[action]
    if unknown:
        raise Refused("ValidationException", f"the lab's SSM does not know {sorted(unknown)}", 501)
    return dict(given)


def _script(parameters: dict[str, Any]) -> tuple[list[str], int]:
    """The lines and the execution timeout of AWS-RunShellScript."""
    unknown = set(parameters) - {"commands", "executionTimeout", "workingDirectory"}
    lines = parameters.get("commands") or []
    if unknown or not lines or not all(isinstance(line, str) for line in lines):
        raise Refused("InvalidParameters", f"commands is required; unknown: {sorted(unknown)}")
    value = (parameters.get("executionTimeout") or ["3600"])[0]
    if not (isinstance(value, str) and value.isdigit() and 1 <= int(value) <= 172_800):
        raise Refused("InvalidParameters", f"executionTimeout {value!r}: 1 to 172800, as text")
    return lines, int(value)


def _view(one: Invocation, status: str, detail: str) -> dict[str, Any]:
    ended = status in {"Success", "Failed", "TimedOut"} and not one.lost
    killed = detail == "ExecutionTimedOut"
    return {
        "CommandId": one.id,
        "InstanceId": one.instance,
        "Comment": one.comment,
        "DocumentName": DOCUMENT,
        "PluginName": "aws:runShellScript",
        "ResponseCode": one.code if ended and not killed else -1,
        "Status": status,
        "StatusDetails": detail,
        "StandardOutputContent": one.out if ended else "",
        "StandardErrorContent": one.err if ended else "",
    }
