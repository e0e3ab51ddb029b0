"""Auto Scaling over boto3 against moto behind the lab's strict front, on real sockets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config as BotoConfig
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

from kafkaops.adapters.auto_scaling import ATTEMPTS, AutoScaling
from kafkaops.config.schema import Aws
from kafkaops.engine.clock import FakeClock
from kafkaops.engine.errors import ConfigError, StepFailed, Unreachable
from kafkaops.lab.front import Front
from kafkaops.lab.route53 import Zone
from kafkaops.lab.route53_rest import Api

GROUP = "brokers a"


class Place:
    """A group of two instances, one instance in none, and the lab's endpoint before them."""

    def __init__(self, port: int) -> None:
        self.front = Front(Api(Zone("kafka.lab.", "Z0")), ("127.0.0.1", 0), ("127.0.0.1", port))
        self.front.set({"scaling_delay": 0})
        self.front.start()
        self.clock = FakeClock()
        self.aws = self.client("autoscaling")
        ec2 = self.client("ec2")
        image = ec2.register_image(Name="lab-image")["ImageId"]
        self.aws.create_launch_configuration(
            LaunchConfigurationName="lab", ImageId=image, InstanceType="m5.large"
        )
        self.aws.create_auto_scaling_group(
            AutoScalingGroupName=GROUP,
            MinSize=1,
            MaxSize=3,
            DesiredCapacity=2,
            LaunchConfigurationName="lab",
            AvailabilityZones=["eu-west-1a"],
        )
        self.scaling = AutoScaling(Aws(), self.clock, client=self.client("autoscaling", 1))

    def client(self, service: str, attempts: int = 3) -> Any:
        return boto3.client(
            service,  # type: ignore[call-overload]
            endpoint_url=f"http://127.0.0.1:{self.front.server.server_port}",
            region_name="eu-west-1",
            aws_access_key_id="lab",
            aws_secret_access_key="lab",
            config=BotoConfig(retries={"total_max_attempts": attempts}, proxies={}),
        )

    def instances(self) -> list[str]:
        found = self.aws.describe_auto_scaling_instances()["AutoScalingInstances"]
        return sorted(one["InstanceId"] for one in found)


@pytest.fixture
def place() -> Iterator[Place]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    made = Place(server.get_host_and_port()[1])
    yield made
    made.front.server.shutdown()
    made.front.server.server_close()
    client = boto3.client(  # moto's state is the process's
        "autoscaling",
        endpoint_url=f"http://127.0.0.1:{server.get_host_and_port()[1]}",
        region_name="eu-west-1",
        aws_access_key_id="lab",
        aws_secret_access_key="lab",
    )
    client.delete_auto_scaling_group(AutoScalingGroupName=GROUP, ForceDelete=True)
    client.delete_launch_configuration(LaunchConfigurationName="lab")
    server.stop()


def test_members_are_those_in_a_group_however_many_were_asked_for(place: Place) -> None:
    mine = place.instances()
    many = [f"i-{n:017x}" for n in range(120)]
    found = place.scaling.members([*many, *mine])
    assert [m.instance for m in found] == mine
    assert {(m.group, m.lifecycle, m.health) for m in found} == {(GROUP, "InService", "HEALTHY")}
    with pytest.raises(ClientError, match="ValidationError"):
        place.aws.describe_auto_scaling_instances(InstanceIds=many)


def test_a_suspension_is_described_with_its_moment_and_what_was_before_stays(place: Place) -> None:
    place.aws.suspend_processes(AutoScalingGroupName=GROUP, ScalingProcesses=["AZRebalance"])
    [before] = place.scaling.suspended(GROUP).items()
    place.scaling.suspend(GROUP, ["Terminate", "AZRebalance"])
    seen = place.scaling.suspended(GROUP)
    assert set(seen) == {"AZRebalance", "Terminate"}
    assert seen["AZRebalance"] == before[1], "suspended again, it has the reason of the first time"
    assert seen["Terminate"].startswith("User suspended at 20")
    place.scaling.resume(GROUP, ["Terminate", "HealthCheck"])
    assert place.scaling.suspended(GROUP) == dict([before])
    for change in (place.scaling.suspend, place.scaling.resume):
        with pytest.raises(ValueError, match="of nothing"):
            change(GROUP, [])


def test_what_is_described_lags_behind(place: Place) -> None:
    place.front.set({"scaling_delay": 3600})
    place.scaling.suspend(GROUP, ["Terminate"])
    assert place.scaling.suspended(GROUP) == {}
    place.front.set({"scaling_delay": 0})
    assert set(place.scaling.suspended(GROUP)) == {"Terminate"}


def test_what_is_under_way_is_told_and_what_is_over_is_not(place: Place) -> None:
    assert place.scaling.busy(GROUP) == ()
    place.front.set({"scaling_busy": GROUP, "scaling_refreshing": GROUP})
    activity, refresh = place.scaling.busy(GROUP)
    assert activity == "Terminating EC2 instance: i-0lab (InProgress)"
    assert refresh.startswith("instance refresh ")


def test_an_unknown_group_and_an_unknown_process_are_refused(place: Place) -> None:
    for ask in (
        lambda: place.scaling.suspended("nobody"),
        lambda: place.scaling.busy("nobody"),
        lambda: place.scaling.suspend("nobody", ["Terminate"]),
        lambda: place.scaling.resume("nobody", ["Terminate"]),
    ):
        with pytest.raises(StepFailed) as caught:
            ask()
        assert (caught.value.code, caught.value.where) == ("KO-SCALING-GROUP", "nobody")
    with pytest.raises(StepFailed, match="ValidationError"):
        place.scaling.suspend(GROUP, ["Terminates"])
    assert place.scaling.suspended(GROUP) == {}


@pytest.mark.parametrize(
    ("action", "ask"),
    [
        ("DescribeAutoScalingInstances", lambda s: s.members(["i-1"])),
        ("DescribeAutoScalingGroups", lambda s: s.suspended(GROUP)),
        ("DescribeScalingActivities", lambda s: s.busy(GROUP)),
        ("DescribeInstanceRefreshes", lambda s: s.busy(GROUP)),
        ("SuspendProcesses", lambda s: s.suspend(GROUP, ["Terminate"])),
        ("ResumeProcesses", lambda s: s.resume(GROUP, ["Terminate"])),
    ],
)
def test_a_missing_permission_names_the_action(place: Place, action: str, ask: Any) -> None:
    place.front.set({"deny": f"autoscaling:{action}"})
    with pytest.raises(ConfigError) as caught:
        ask(place.scaling)
    assert caught.value.code == "KO-AWS-DENIED"
    assert caught.value.where == f"autoscaling:{action}"
    assert place.clock.monotonic() == FakeClock().monotonic(), "it was tried again"


def test_throttling_passes_and_too_much_of_it_is_unreachable(place: Place) -> None:
    place.front.set({"scaling_throttle": ATTEMPTS - 1})
    assert place.scaling.suspended(GROUP) == {}
    place.front.set({"scaling_throttle": ATTEMPTS})
    with pytest.raises(Unreachable) as caught:
        place.scaling.suspended(GROUP)
    assert caught.value.code == "KO-AWS-BUSY"
    assert "Throttling" in caught.value.message
