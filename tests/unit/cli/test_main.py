"""The root command: what it imports, how it ends, and what an error looks like."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kafkaops.cli import main as cli
from kafkaops.cli import version
from kafkaops.engine.errors import Exit, GuardRefused

HEAVY = (
    "boto3",
    "botocore",
    "kafka",
    "confluent_kafka",
    "numba",
    "numpy",
    "pydantic",
    "rich",
    "yaml",
)


def imported_by(*argv: str) -> set[str]:
    """Top-level modules that a command line leaves imported in a fresh interpreter."""
    code = (
        "import sys; from kafkaops.cli.main import run\n"
        f"code = run({list(argv)!r})\n"
        "print('\\nMODULES', *sorted({m.split('.')[0] for m in sys.modules}))\n"
        "sys.exit(code)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return set(ended.stdout.rpartition("MODULES")[2].split())


def test_help_imports_nothing_heavy() -> None:
    assert imported_by("--help").isdisjoint(HEAVY)


@pytest.mark.parametrize("command", [n for n in cli.Root.lazy if n != "lab"])
def test_help_of_a_command_imports_no_client(command: str) -> None:
    found = imported_by(command, "--help")
    assert found.isdisjoint({"boto3", "botocore", "kafka", "confluent_kafka", "numba", "numpy"})


@pytest.fixture
def breaking() -> Iterator[Callable[[BaseException], None]]:
    """Make `kafkaops version` raise."""
    kept = version.emit

    def arm(error: BaseException) -> None:
        def broken(*_: object) -> None:
            raise error

        version.emit = broken  # type: ignore[assignment]

    yield arm
    version.emit = kept


def test_an_operator_error_is_what_where_and_next(
    breaking: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]
) -> None:
    breaking(GuardRefused("KO-ISR-BELOW-MIN", "2 of 3", where="t-0", hint="wait"))
    assert cli.run(["version"]) == Exit.GUARD
    out = capsys.readouterr()
    assert out.out == ""
    assert out.err == "error KO-ISR-BELOW-MIN: 2 of 3\n  where: t-0\n  next:  wait\n"


@pytest.mark.parametrize(("cause", "told"), [("the disk is full", True), ("2 of 3", False)])
def test_a_cause_is_told_where_the_message_does_not_have_it(
    cause: str,
    told: bool,
    breaking: Callable[[BaseException], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    error = GuardRefused("KO-ISR-BELOW-MIN", "batch 1: 2 of 3")
    error.__cause__ = GuardRefused("KO-OTHER", cause)
    breaking(error)
    cli.run(["version"])
    assert (f"why:   {cause}" in capsys.readouterr().err) is told


@pytest.mark.parametrize(
    ("hint", "config", "told"),
    [
        ("kafkaops cluster health blue", ("-c", "lab.yaml"), True),
        ("kafkaops cluster health blue", (), False),
        ("kafkaops run resume 1 -c lab.yaml", ("-c", "lab.yaml"), False),
        ("wait", ("-c", "lab.yaml"), False),
    ],
)
def test_a_next_command_goes_with_the_config_that_was_named(
    hint: str,
    config: tuple[str, ...],
    told: bool,
    breaking: Callable[[BaseException], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    breaking(GuardRefused("KO-X", "no", hint=hint))
    cli.run(["version", *config])
    assert ("(with -c lab.yaml, as here)" in capsys.readouterr().err) is told


def test_an_operator_error_as_json(
    breaking: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]
) -> None:
    breaking(GuardRefused("KO-ISR-BELOW-MIN", "2 of 3", where="t-0", hint="wait"))
    assert cli.run(["version", "-o", "json"]) == Exit.GUARD
    assert json.loads(capsys.readouterr().out) == {
        "schema_version": 1,
        "error": {"code": "KO-ISR-BELOW-MIN", "message": "2 of 3", "where": "t-0", "hint": "wait"},
        "exit": 5,
    }


def test_a_bug_is_one_line_and_a_log_file(
    breaking: Callable[[BaseException], None],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv("KAFKAOPS_DEBUG", raising=False)
    breaking(ZeroDivisionError("by nought"))
    assert cli.run(["version"]) == Exit.UNEXPECTED
    err = capsys.readouterr().err
    assert "Traceback" not in err
    assert "ZeroDivisionError: by nought" in err
    (log,) = (tmp_path / "kafkaops" / "log").iterdir()
    assert f"this is a bug; details in {log}" in err
    assert "Traceback" in log.read_text()


def test_debug_shows_the_traceback(
    breaking: Callable[[BaseException], None],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("KAFKAOPS_DEBUG", "1")
    breaking(ZeroDivisionError("by nought"))
    assert cli.run(["version"]) == Exit.UNEXPECTED
    assert "Traceback" in capsys.readouterr().err


def test_a_full_disk_is_the_operators_error(
    breaking: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]
) -> None:
    breaking(OSError(28, "No space left on device", "/state/runs/1/journal"))
    assert cli.run(["version"]) == Exit.STEP_FAILED
    assert "KO-DISK-FULL" in capsys.readouterr().err


def test_an_interrupt_exits_130(breaking: Callable[[BaseException], None]) -> None:
    breaking(KeyboardInterrupt())
    assert cli.run(["version"]) == 130


@pytest.mark.parametrize(
    "argv",
    [
        ["nonsense"],
        ["version", "--nonsense"],
        ["config"],
        [],
        ["version", "-o", "yaml"],
        ["config", "show", "extra"],
    ],
)
def test_usage_errors_exit_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(argv) == Exit.USAGE
    out = capsys.readouterr()
    assert out.out == ""
    assert out.err


@pytest.mark.parametrize(
    "argv",
    [
        ["-o", "json", "nonsense"],
        ["nonsense", "-o", "json"],
        ["version", "--nonsense", "--output=json"],
        ["config", "-ojson"],
        ["-o", "json"],
    ],
)
def test_usage_errors_are_json_where_json_was_asked_for(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(argv) == Exit.USAGE
    document = json.loads(capsys.readouterr().out)
    assert document["error"]["code"] == "KO-USAGE"
    assert document["exit"] == 2


def test_the_common_flags_may_stand_before_the_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.run(["-o", "json", "version"]) == 0
    assert json.loads(capsys.readouterr().out)["schema_version"] == 1


def test_the_output_form_from_the_environment(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKAOPS_OUTPUT", "json")
    assert cli.run(["version"]) == 0
    json.loads(capsys.readouterr().out)
    assert cli.run(["version", "-o", "table"]) == 0
    assert capsys.readouterr().out.startswith("package\t")


def test_every_command_has_help_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    for argv in every_command():
        assert cli.run([*argv, "--help"]) == 0, argv
        text = capsys.readouterr().out
        assert "Examples:" in text, argv
        assert f"kafkaops {' '.join(argv)}" in text, argv
        assert "--output" in text, argv


def every_command() -> list[list[str]]:
    """Every command path that this room owns."""
    import typer

    root = typer.main.get_command(cli.root)
    context = typer.Context(root)
    found: list[list[str]] = []
    for name in cli.Root.lazy:
        if name == "lab":
            continue
        command = root.get_command(context, name)  # type: ignore[attr-defined]
        below = getattr(command, "commands", None)
        found.extend([[name, b] for b in below] if below else [[name]])
    return found
