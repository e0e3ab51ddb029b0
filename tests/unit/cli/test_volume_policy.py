"""`kafkaops volume policy`: printed for a role, and held against one that is there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kafkaops.cli.main import run

ARN = "arn:aws:kms:eu-west-1:111122223333:key/0f0e0d0c"
VOLUMES = {
    "key": ARN,
    "copies": "s3://keys/volumes",
    "disks": [{"name": "data-1", "device": "instance-store:1", "mountpoint": "/var/lib/kafka/d1"}],
}
ROLE = "arn:aws:iam::111122223333:role/kafka"
Typed = Callable[..., tuple[int, Any]]


@pytest.fixture
def typed(write: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> Typed:
    config = write({"blue.volumes": VOLUMES})

    def do(*argv: str) -> tuple[int, Any]:
        code = run(["volume", "policy", *argv, "-c", str(config), "-o", "json"])
        return code, json.loads(capsys.readouterr().out)

    return do


def actions(document: Any) -> set[str]:
    found: set[str] = set()
    for statement in document["Statement"]:
        named = statement["Action"]
        found |= {named} if isinstance(named, str) else set(named)
    return found


def test_the_hosts_role_opens_and_the_administrators_rewraps(typed: Typed) -> None:
    code, told = typed()
    assert code == 0
    assert "kms:Decrypt" in actions(told["policy"])
    assert "kms:ReEncryptFrom" not in actions(told["policy"])
    _, told = typed("--role", "administrator")
    assert "kms:ReEncryptFrom" in actions(told["policy"])
    assert "kms:Decrypt" not in actions(told["policy"])
    code, told = typed("--role", "key", "--broker-arn", ROLE, "--admin-arn", f"{ROLE}-admin")
    assert code == 0
    assert {ROLE} in [
        {s["Principal"]["AWS"]} for s in told["policy"]["Statement"] if "AWS" in s["Principal"]
    ]
    assert typed("--role", "key")[0] == 2


def test_one_host_is_bound_to_its_own_context(typed: Typed) -> None:
    both, one = typed()[1]["policy"], typed("--only", "blue-1")[1]["policy"]
    assert '"2"' in json.dumps(both)
    assert '"2"' not in json.dumps(one)


def test_what_a_policy_allows_beyond_is_said_and_is_5(typed: Typed, tmp_path: Path) -> None:
    least = tmp_path / "least.json"
    least.write_text(json.dumps(typed()[1]["policy"]))
    code, told = typed("--check", str(least))
    assert (code, told["findings"]) == (0, [])
    wide = tmp_path / "wide.json"
    statement = {"Effect": "Allow", "Action": "kms:*", "Resource": "*"}
    wide.write_text(json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    code, told = typed("--check", str(wide))
    assert code == 5
    assert told["findings"]
    assert typed("--check", str(tmp_path / "no"))[0] == 2


def test_a_cluster_without_volumes(typed: Typed) -> None:
    code, told = typed("--cluster", "green")
    assert code == 4
    assert told["error"]["code"] == "KO-VOLUME-NONE"
