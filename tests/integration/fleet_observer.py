"""Watches from inside the lab, until its stdin ends, which processes of each Auto Scaling group are
suspended while a broker's process is down or does not serve yet; then one JSON document.

Not kafkaops: boto3 and a connection to the broker's port. `python fleet_observer.py ENDPOINT
GROUP=ADDRESS:PORT...`. `down` counts the looks at a group whose broker was down; `loose` says what
could have ended it then. A look counts only if it was down before and after AWS was asked.
"""

from __future__ import annotations

import json
import select
import socket
import sys
from typing import Any

import boto3

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


def gone(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), 1.0).close()
    except OSError:
        return True
    return False


def main(endpoint: str, pairs: list[str]) -> None:
    scaling = client("autoscaling", endpoint)
    brokers = dict(pair.split("=", 1) for pair in pairs)
    down: dict[str, int] = dict.fromkeys(brokers, 0)
    loose: list[str] = []
    while not select.select([sys.stdin], [], [], EVERY)[0]:
        for group, address in brokers.items():
            if not gone(address):
                continue
            acting = ENDING - set(suspended(scaling, group))
            if gone(address):
                down[group] += 1
                if acting:
                    loose.append(f"{address} down, {group} could: {sorted(acting)}")
    end = {group: suspended(scaling, group) for group in brokers}
    print(json.dumps({"down": down, "loose": loose[:20], "end": end}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
