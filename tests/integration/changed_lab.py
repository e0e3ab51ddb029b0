"""A lab whose config is configs/lab.yaml with changes, and the judgement of its load's ledger."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
KAFKAOPS = (sys.executable, "-m", "kafkaops")

# The TTL of every name, in seconds; needs the lab's network.
TTL = """\
import boto3, sys
zone, aws = "Z0LAB", boto3.client("route53", region_name="eu-west-1",
    endpoint_url="http://127.0.0.1:5000", aws_access_key_id="lab", aws_secret_access_key="lab")
sets = aws.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
aws.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": [
    {"Action": "UPSERT", "ResourceRecordSet": s | {"TTL": int(sys.argv[1])}}
    for s in sets if s["Type"] == "A"]})
"""


class Lab:
    """A lab of its own with the config that `changes` make of configs/lab.yaml (dotted keys)."""

    def __init__(self, directory: Path, changes: dict[str, Any]) -> None:
        self.dir, self.state = directory / "lab", directory / "state"
        config = yaml.safe_load((ROOT / "configs" / "lab.yaml").read_text())
        known = {"lab.dir": str(self.dir), "state.dir": str(self.state), "gates.hold": 2}
        for key, value in (known | changes).items():
            section, _, name = key.partition(".")
            if name:
                config[section][name] = value
            else:
                config[section] = value
        self.config = directory / "kafkaops.yaml"
        self.config.write_text(yaml.safe_dump(config, sort_keys=False))

    @property
    def configured(self) -> list[str]:
        return ["-c", str(self.config), "--set", "cutover.ttl=5"]

    def kafkaops(self, *argv: str, expect: int = 0) -> str:
        """stdout of a command that must end with `expect`; with another code, its stderr."""
        ended = self.ends(*argv)
        assert ended.returncode == expect, (
            f"`{' '.join(argv)}` ended with {ended.returncode}, not {expect}:\n"
            f"{ended.stdout[-2000:]}\n{ended.stderr[-6000:]}"
        )
        return ended.stdout if expect == 0 else ended.stderr

    def ends(self, *argv: str) -> subprocess.CompletedProcess[str]:
        where = ["--dir", str(self.dir)] if argv[0] == "lab" else self.configured
        verbs = 3 if argv[:2] == ("lab", "load") else 2
        line = [*KAFKAOPS, *argv[:verbs], *where, *argv[verbs:]]
        return subprocess.run(line, capture_output=True, text=True, timeout=600, check=False)

    def python(self, *line: str) -> None:
        self.kafkaops("lab", "shell", "--", sys.executable, "-c", *line)

    def upgrade(self, *more: str, expect: int = 0) -> str:
        return self.kafkaops(
            "upgrade", "--strategy=blue-green", "--yes", "--reason", "test", *more, expect=expect
        )

    def ledger(self, cluster: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(
            self.kafkaops("lab", "load", "report", "--cluster", cluster, "-o", "json")
        )
        return found

    def shown(self, *argv: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.kafkaops(*argv, "-o", "json"))
        return found


@contextmanager
def lab_of(directory: Path, changes: dict[str, Any], *up: str) -> Iterator[Lab]:
    lab = Lab(directory, changes)
    lab.kafkaops("lab", "up", *up)
    try:
        # As an operator does days before a move, so that no test waits for an old one.
        lab.python(TTL, "5")
        yield lab
    finally:
        lab.kafkaops("lab", "down")


def judge(report: dict[str, Any], *, hooked: tuple[str, ...] = ()) -> None:
    """Nothing lost, skipped or doubled; groups stopped by hooks see nothing again."""
    total = report["total"]
    assert total["acknowledged"] > 1000, total
    assert (total["lost"], total["skipped"], total["duplicated_in_log"]) == (0, 0, 0), report
    assert total["errors"] == 0, report
    for group in hooked:
        assert report["groups"][group]["replayed"] == 0, report["groups"][group]


def hook(lab: Path, verb: str, *names: str) -> list[str]:
    return [*KAFKAOPS, "lab", "load", verb, *names, "--dir", str(lab)]
