"""EC2 Auto Scaling over boto3: who may replace an instance, suspended and resumed.

Invariant: what may pass by itself (contention, throttling, a server's error) is tried again and
then Unreachable, which a run waits for; what cannot names the action or the group.
Source: Amazon EC2 Auto Scaling API reference, version 2011-01-01.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError
from tenacity import (
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential,
)

from kafkaops.adapters import aws_errors
from kafkaops.config.schema import Aws
from kafkaops.engine.clock import Clock
from kafkaops.engine.errors import OpsError, StepFailed, Unreachable
from kafkaops.ports.scaling import Member

T = TypeVar("T")

AT_ONCE = 50
"""Instances that DescribeAutoScalingInstances takes in one call."""
ATTEMPTS = 5
PASSING = {
    *("ResourceContention", "ResourceInUse", "ScalingActivityInProgress"),
    *("Throttling", "ThrottlingException", "RequestLimitExceeded"),
    *("InternalFailure", "InternalError", "ServiceUnavailable"),
}
OVER = {"Successful", "Failed", "Cancelled"}
"""Status codes of activities that are over; every other one is under way."""
REFRESHING = {"Pending", "InProgress", "Cancelling", "RollbackInProgress", "Baking"}


class AutoScaling:
    """Implements `ports.scaling.Scaling`."""

    def __init__(self, aws: Aws, clock: Clock, *, client: Any = None) -> None:
        self._aws, self._clock, self._made = aws, clock, client

    def members(self, instances: Sequence[str]) -> tuple[Member, ...]:
        wanted = sorted(set(instances))
        found: list[Member] = []
        for start in range(0, len(wanted), AT_ONCE):
            some = wanted[start : start + AT_ONCE]
            for one in self._pages(
                "DescribeAutoScalingInstances",
                "describe_auto_scaling_instances",
                "AutoScalingInstances",
                InstanceIds=some,
            ):
                found.append(
                    Member(
                        str(one["InstanceId"]),
                        str(one["AutoScalingGroupName"]),
                        str(one["LifecycleState"]),
                        str(one["HealthStatus"]).upper(),
                    )
                )
        return tuple(sorted(found))

    def suspended(self, group: str) -> Mapping[str, str]:
        found = list(
            self._pages(
                "DescribeAutoScalingGroups",
                "describe_auto_scaling_groups",
                "AutoScalingGroups",
                AutoScalingGroupNames=[group],
            )
        )
        if not found:
            raise _absent(group)
        return {
            str(one["ProcessName"]): str(one.get("SuspensionReason", ""))
            for one in found[0].get("SuspendedProcesses", [])
        }

    def busy(self, group: str) -> tuple[str, ...]:
        """The first page is enough: activities under way are described first, and a group has one
        refresh at a time, the newest."""
        activities = self._call(
            "DescribeScalingActivities",
            lambda c: c.describe_scaling_activities(AutoScalingGroupName=group, MaxRecords=100),
            group,
        )["Activities"]
        refreshes = self._call(
            "DescribeInstanceRefreshes",
            lambda c: c.describe_instance_refreshes(AutoScalingGroupName=group, MaxRecords=100),
            group,
        )["InstanceRefreshes"]
        words = [
            f"{one.get('Description') or 'a scaling activity'} ({one['StatusCode']})"
            for one in activities
            if one["StatusCode"] not in OVER
        ]
        words += [
            f"instance refresh {one['InstanceRefreshId']} ({one['Status']})"
            for one in refreshes
            if one["Status"] in REFRESHING
        ]
        return tuple(words)

    def suspend(self, group: str, processes: Sequence[str]) -> None:
        self._change("SuspendProcesses", "suspend_processes", group, processes)

    def resume(self, group: str, processes: Sequence[str]) -> None:
        self._change("ResumeProcesses", "resume_processes", group, processes)

    # inside

    def _change(self, action: str, method: str, group: str, processes: Sequence[str]) -> None:
        if not processes:  # AWS would take it for all of them
            raise ValueError(f"{action} of nothing")
        self._call(
            action,
            lambda c: getattr(c, method)(
                AutoScalingGroupName=group, ScalingProcesses=list(processes)
            ),
            group,
        )

    def _pages(self, action: str, method: str, key: str, **wanted: Any) -> Iterator[Any]:
        token: dict[str, str] = {}
        while True:
            more = dict(token)
            answer = self._call(
                action,
                lambda c, more=more: getattr(c, method)(**wanted, **more),  # type: ignore[misc]
            )
            yield from answer[key]
            if not answer.get("NextToken"):
                return
            token = {"NextToken": answer["NextToken"]}

    def _call(self, action: str, call: Callable[[Any], T], group: str = "") -> T:
        def once() -> T:
            try:
                return call(self._client())
            except (BotoCoreError, ClientError) as error:
                raise _translated(error, action, group) from None

        tries = Retrying(
            retry=retry_if_exception_type(Unreachable),
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_exponential(multiplier=0.5, max=4),
            sleep=self._clock.sleep,
            reraise=True,
        )
        return tries(once)

    def _client(self) -> Any:
        if self._made is None:
            self._made = aws_errors.client("autoscaling", self._aws)
        return self._made


def _translated(error: BotoCoreError | ClientError, action: str, group: str) -> OpsError:
    name = f"autoscaling:{action}"
    if isinstance(error, ClientError):
        code = str(error.response.get("Error", {}).get("Code", ""))
        said = str(error.response.get("Error", {}).get("Message", error))
        if code in PASSING:
            return Unreachable("KO-AWS-BUSY", f"{name}: {code}: {said}", where=group or name)
        if code == "ValidationError" and group and "name not found" in said:
            return _absent(group)
    return aws_errors.translated(error, name)


def _absent(group: str) -> StepFailed:
    return StepFailed(
        "KO-SCALING-GROUP",
        f"there is no Auto Scaling group {group}",
        where=group,
        hint="aws autoscaling describe-auto-scaling-instances",
    )
