"""Makes Auto Scaling groups in the lab's emulated AWS, or changes them; prints one JSON document.

`python scaling_in_lab.py ENDPOINT make GROUP...` makes a group of one instance each and tells their
ids; `suspend GROUP PROCESS...` does so by hand; `show GROUP...` tells what is suspended.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from tests.integration.fleet_observer import client, suspended


def make(endpoint: str, groups: list[str]) -> dict[str, Any]:
    ec2, scaling = client("ec2", endpoint), client("autoscaling", endpoint)
    image = ec2.register_image(Name="lab-image")["ImageId"]
    scaling.create_launch_configuration(
        LaunchConfigurationName="lab", ImageId=image, InstanceType="m5.large"
    )
    for group in groups:
        scaling.create_auto_scaling_group(
            AutoScalingGroupName=group,
            MinSize=1,
            MaxSize=1,
            DesiredCapacity=1,
            LaunchConfigurationName="lab",
            AvailabilityZones=["eu-west-1a"],
        )
    found = scaling.describe_auto_scaling_instances()["AutoScalingInstances"]
    return {one["AutoScalingGroupName"]: one["InstanceId"] for one in found}


def main(endpoint: str, what: str, words: list[str]) -> dict[str, Any]:
    if what == "make":
        return make(endpoint, words)
    scaling = client("autoscaling", endpoint)
    if what == "suspend":
        scaling.suspend_processes(AutoScalingGroupName=words[0], ScalingProcesses=words[1:])
        words = words[:1]
    return {group: suspended(scaling, group) for group in words}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2], sys.argv[3:])), flush=True)
