"""`kafkaops config`: shown with origins, validated, and explained."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kafkaops.cli.main import run

EXAMPLE = str(Path(__file__).resolve().parents[3] / "configs" / "aws-example.yaml")


def test_show_with_origins(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "show", "--origin", "-c", EXAMPLE, "--set", "cutover.ttl=31"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "cutover.ttl\t31\tflag:--set" in lines
    assert "aws.endpoint_url\t-\tdefault" in lines
    assert any(line.startswith("name\torders\tfile:aws-example.yaml:") for line in lines)


def test_show_as_json_holds_references_and_no_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "show", "-c", EXAMPLE, "-o", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    password = document["config"]["blue"]["security"]["password"]
    assert password.startswith("secretsmanager:")


def test_validate_says_every_fault(capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["config", "validate", "-c", EXAMPLE]
    assert run(argv) == 0
    capsys.readouterr()
    bad = ["--set", "cutover.tttl=3", "--set", "mirror.tasks=0"]
    assert run([*argv, *bad, "-o", "json"]) == 4
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == "KO-CONFIG-INVALID"
    assert len(error["details"]) == 2


def test_schema_is_json_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "schema"]) == 0
    assert json.loads(capsys.readouterr().out)["additionalProperties"] is False
