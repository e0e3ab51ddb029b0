"""Auto Scaling before moto: as strict as AWS where moto is not, and with what moto has not.

moto takes any process name, fails on an unknown group, gives suspensions no reason, shows them at
once, and knows neither activities nor instance refreshes. Groups themselves are moto's: tests make
them by its API. Invariant: what is described as suspended is what was asked for here, `delay`
seconds ago. Source: the EC2 Auto Scaling API reference, version 2011-01-01 (Query).
"""

from __future__ import annotations

import datetime
import threading
import time
import urllib.parse
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass, field

from kafkaops.lab.route53 import Refused
from kafkaops.lab.route53_rest import ACCOUNT

NS = "http://autoscaling.amazonaws.com/doc/2011-01-01/"
SCOPE = "/autoscaling/aws4_request"
"""In the credential scope of a request for it."""
PROCESSES = (
    *("Launch", "Terminate", "AddToLoadBalancer", "AlarmNotification", "AZRebalance"),
    *("HealthCheck", "InstanceRefresh", "ReplaceUnhealthy", "ScheduledActions"),
)
MAX_INSTANCES = 50
Forward = Callable[[bytes], tuple[int, bytes]]
"""One request's body to moto: its status and answer."""
ET.register_namespace("", NS)


@dataclass
class Shown:
    """A group's suspended processes with their reasons, from a moment (monotonic seconds) on."""

    at: float
    reasons: dict[str, str]


@dataclass
class Scaling:
    """`denied` lists IAM actions that are refused, `throttle` is how many calls to refuse yet,
    `delay` the seconds until a suspension is described; `busy` and `refreshing` name groups with
    an activity or an instance refresh under way."""

    denied: frozenset[str] = frozenset()
    throttle: int = 0
    delay: float = 1.0
    busy: frozenset[str] = frozenset()
    refreshing: frozenset[str] = frozenset()
    clock: Callable[[], float] = time.monotonic
    _groups: dict[str, list[Shown]] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def handle(self, body: bytes, forward: Forward) -> tuple[int, bytes]:
        """Status and XML of the answer to one request."""
        given = dict(urllib.parse.parse_qsl(body.decode()))
        action = given.get("Action", "")
        try:
            with self._lock:
                self._permit(action)
                return self._answer(action, given, body, forward)
        except Refused as refused:
            root = ET.Element(f"{{{NS}}}ErrorResponse")
            error = _add(root, "Error")
            _add(error, "Type", "Sender")
            _add(error, "Code", refused.code)
            _add(error, "Message", refused.message)
            _add(root, "RequestId", str(uuid.uuid4()))
            return refused.status, ET.tostring(root)

    def _answer(
        self, action: str, given: dict[str, str], body: bytes, forward: Forward
    ) -> tuple[int, bytes]:
        name = given.get("AutoScalingGroupName", "")
        if action in ("SuspendProcesses", "ResumeProcesses"):
            return self._change(action, name, _members(given, "ScalingProcesses"), forward)
        if action == "DescribeScalingActivities":
            _known(name, forward)
            return self._activities(name)
        if action == "DescribeInstanceRefreshes":
            _known(name, forward)
            return self._refreshes(name)
        if len(_members(given, "InstanceIds")) > MAX_INSTANCES:
            raise Refused("ValidationError", f"The number of instance ids: {MAX_INSTANCES}")
        status, answer = forward(body)
        if status == 200 and action == "DescribeAutoScalingGroups":
            answer = self._described(answer)
        if status == 200 and action == "DeleteAutoScalingGroup":
            self._groups.pop(name, None)
        return status, answer

    def _permit(self, action: str) -> None:
        if self.throttle > 0:
            self.throttle -= 1
            raise Refused("Throttling", "Rate exceeded")
        if {f"autoscaling:{action}", "autoscaling:*"} & self.denied:
            raise Refused(
                "AccessDenied",
                f"User: {ACCOUNT} is not authorized to perform: autoscaling:{action} because no "
                f"identity-based policy allows the autoscaling:{action} action",
                403,
            )

    def _change(
        self, action: str, name: str, processes: list[str], forward: Forward
    ) -> tuple[int, bytes]:
        unknown = [p for p in processes if p not in PROCESSES]
        if unknown:
            raise Refused("ValidationError", f"Unsupported process type(s): {', '.join(unknown)}")
        _known(name, forward)
        now = dict(self._groups[name][-1].reasons) if self._groups.get(name) else {}
        for process in processes or PROCESSES:
            if action == "ResumeProcesses":
                now.pop(process, None)
            else:
                now.setdefault(process, f"User suspended at {_moment()}")
        self._groups.setdefault(name, []).append(Shown(self.clock(), now))
        return _done(ET.Element(f"{{{NS}}}{action}Response"))

    def suspended(self, name: str) -> dict[str, str]:
        """As it is described now."""
        seen = [s for s in self._groups.get(name, []) if s.at + self.delay <= self.clock()]
        return seen[-1].reasons if seen else {}

    def _described(self, answer: bytes) -> bytes:
        root = ET.fromstring(answer)
        for group in _groups(root):
            for old in group.findall(f"{{{NS}}}SuspendedProcesses"):
                group.remove(old)
            listed = _add(group, "SuspendedProcesses")
            for process, reason in self.suspended(_text(group, "AutoScalingGroupName")).items():
                member = _add(listed, "member")
                _add(member, "ProcessName", process)
                _add(member, "SuspensionReason", reason)
        return ET.tostring(root)

    def _activities(self, name: str) -> tuple[int, bytes]:
        root = ET.Element(f"{{{NS}}}DescribeScalingActivitiesResponse")
        listed = _add(_add(root, "DescribeScalingActivitiesResult"), "Activities")
        over = [("Successful", "Launching a new EC2 instance")]
        if name in self.busy:
            over.insert(0, ("InProgress", "Terminating EC2 instance: i-0lab"))
        for status, words in over:
            one = _add(listed, "member")
            _add(one, "ActivityId", str(uuid.uuid4()))
            _add(one, "AutoScalingGroupName", name)
            _add(one, "Description", words)
            _add(one, "Cause", "the lab")
            _add(one, "StartTime", _moment())
            _add(one, "StatusCode", status)
        return _done(root)

    def _refreshes(self, name: str) -> tuple[int, bytes]:
        root = ET.Element(f"{{{NS}}}DescribeInstanceRefreshesResponse")
        listed = _add(_add(root, "DescribeInstanceRefreshesResult"), "InstanceRefreshes")
        if name in self.refreshing:
            one = _add(listed, "member")
            _add(one, "InstanceRefreshId", str(uuid.uuid4()))
            _add(one, "AutoScalingGroupName", name)
            _add(one, "Status", "InProgress")
        return _done(root)


def _known(name: str, forward: Forward) -> None:
    """Refused in AWS's words where moto has no such group."""
    query = {
        "Action": "DescribeAutoScalingGroups",
        "Version": "2011-01-01",
        "AutoScalingGroupNames.member.1": name,
    }
    status, answer = forward(urllib.parse.urlencode(query).encode())
    if not name or status != 200 or not _groups(ET.fromstring(answer)):
        raise Refused("ValidationError", "AutoScalingGroup name not found - null")


def _groups(root: ET.Element) -> list[ET.Element]:
    return root.findall(f".//{{{NS}}}AutoScalingGroups/{{{NS}}}member")


def _members(given: dict[str, str], key: str) -> list[str]:
    return [value for name, value in given.items() if name.startswith(f"{key}.member.")]


def _moment() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _add(parent: ET.Element, name: str, text: str = "") -> ET.Element:
    child = ET.SubElement(parent, f"{{{NS}}}{name}")
    child.text = text or None
    return child


def _text(parent: ET.Element, name: str) -> str:
    return parent.findtext(f"{{{NS}}}{name}") or ""


def _done(root: ET.Element) -> tuple[int, bytes]:
    _add(_add(root, "ResponseMetadata"), "RequestId", str(uuid.uuid4()))
    return 200, ET.tostring(root)
