"""Watches from inside the lab, until its stdin ends, which processes of each Auto Scaling group are
suspended while a broker's process is down; then one JSON document.

Not kafkaops: boto3 and the lab's own table of processes. `python fleet_observer.py LAB ENDPOINT
GROUP=HOST...`. `down` counts the looks at a host that was down; `loose` says what could have ended
it then. A look counts only if the host was down before and after AWS was asked.
"""

from __future__ import annotations

import json
import select
import sys
from typing import Any

import boto3

from kafkaops.lab import control
from kafkaops.lab.layout import Layout

EVERY = 0.1
ENDING = {
    *("Terminate", "ReplaceUnhealthy", "HealthCheck", "AZRebalance", "InstanceRefresh"),
    *("AlarmNotification", "ScheduledActions"),
}


def client(service: str, endpoint: str) -> Any:
    return boto3.client(
        service,  # type: ignore[call-overload]
        endpoint_url=endpoint,
        region_name="eu-west-1",
        aws_access_key_id="lab",
        aws_secret_access_key="lab",
    )


def suspended(scaling: Any, group: str) -> list[str]:
    found = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[group])
    [one] = found["AutoScalingGroups"]
    return sorted(p["ProcessName"] for p in one["SuspendedProcesses"])


def main(lab: str, endpoint: str, pairs: list[str]) -> None:
    scaling, socket = client("autoscaling", endpoint), Layout.of(lab).socket
    hosts = dict(pair.split("=")[::-1] for pair in pairs)
    down: dict[str, int] = dict.fromkeys(hosts, 0)
    loose: list[str] = []
    looks = 0

    def gone(host: str) -> bool:
        return not control.call(socket, "service", name=f"{host}/kafka")["active"]

    while not select.select([sys.stdin], [], [], EVERY)[0]:
        looks += 1
        for host, group in hosts.items():
            if not gone(host):
                continue
            acting = ENDING - set(suspended(scaling, group))
            if gone(host):
                down[host] += 1
                if acting:
                    loose.append(f"{host} down, {group} could: {sorted(acting)}")
    end = {group: suspended(scaling, group) for group in hosts.values()}
    print(json.dumps({"looks": looks, "down": down, "loose": loose[:20], "end": end}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
