"""The command line of the host module: the same commands, without typer's reading of values."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from kafkaops.cli.on_host import COMMANDS, run
from tests.unit.cli.test_volume import OnHost
from tests.unit.volumes.fake_disks import Stage, spec_of

BLOCKED = ("pydantic", "pydantic_core", "yaml", "kafka", "confluent_kafka", "numpy", "boto3")
WITHOUT = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in %r:
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Blocked())
from kafkaops.cli.on_host import run
sys.exit(run(sys.argv[1:]))
"""


def test_the_same_commands_do_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    host = OnHost(Stage())
    assert run(["volume", "prepare", "data-1"], host) == 2
    assert "--yes" in capsys.readouterr().err
    assert run(["volume", "prepare", "data-1", "--yes", "-o", "json"], host) == 0
    assert json.loads(capsys.readouterr().out)["volumes"][0]["ended"] == "done"
    assert run(["volume", "status", "--check", "--local"], host) == 0
    assert "active" in capsys.readouterr().out
    assert run(["volume", "close"], host) == 0
    label = spec_of().label
    assert run(["volume", "erase", "data-1", "--confirm", label, "-o", "json"], host) == 0
    assert '"proven": true' in capsys.readouterr().out
    assert run(["volume", "open", "data-1", "-o", "json"], host) == 5
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "KO-VOLUME-BLANK"


def test_every_command_has_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in COMMANDS:
        with pytest.raises(SystemExit) as ended:
            run(["volume", verb, "--help"])
        assert ended.value.code == 0
        shown = capsys.readouterr().out
        assert "--host-file" in shown
        assert "[--cluster" not in shown
        assert "--cluster blue" not in shown


@pytest.mark.parametrize("argv", [["volume", "nothing"], ["volume", "status", "--no-such"], []])
def test_what_it_does_not_know_is_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = run(argv)
    except SystemExit as ended:
        code = ended.code  # type: ignore[assignment]
    assert code == 2
    assert "usage" in capsys.readouterr().err


def test_a_host_needs_nothing_that_is_compiled(tmp_path: Path) -> None:
    """No part is imported at a boot that the module has not."""
    file = tmp_path / "volumes.json"
    key = "arn:aws:kms:eu-west-1:111122223333:key/0f0e0d0c"
    volume = {"name": "d", "device": str(tmp_path / "no"), "mountpoint": "/no", "key": key}
    file.write_text(json.dumps({"cluster": "demo", "node": 1, "volumes": [volume]}))
    argv = ("volume", "status", "--local", "--host-file", str(file), "-o", "json")
    line = [sys.executable, "-c", WITHOUT % (BLOCKED,), *argv]
    ran = subprocess.run(line, capture_output=True, text=True, check=False)
    told = json.loads(ran.stdout)
    wanted = {"KO-VOLUME-ABSENT", "KO-VOLUME-RIGHTS", "KO-VOLUME-CRYPTSETUP"}
    rows = told.get("volumes", [told.get("error")])
    assert rows[0]["code"] in wanted, told


@pytest.mark.parametrize(
    ("flag", "value", "said"),
    [
        ("--rounds", "0", "0: at least 1, at most 99"),
        ("--seconds", "nan", "nan: at least 0.1, at most 600"),
        ("--size", "63", "63: at least 64"),
        ("--rounds", "many", "invalid int value: 'many'"),
    ],
)
def test_what_is_out_of_bounds_is_refused_as_by_typer(
    flag: str, value: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(["volume", "bench", flag, value], OnHost(Stage()))
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
