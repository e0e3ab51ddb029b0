"""A config on disk, toy operations, and a way to type a command."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kafkaops.cli.main import run
from tests.unit.cli.fake_operations import FakeOperations
from tests.unit.config.conftest import write as _write

write = _write
Kafkaops = Callable[..., tuple[int, Any, str]]


@pytest.fixture
def operations() -> FakeOperations:
    return FakeOperations()


@pytest.fixture
def config(write: Callable[..., Path]) -> Path:
    return write()


@pytest.fixture
def kafkaops(
    operations: FakeOperations,
    config: Path,
    capsys: pytest.CaptureFixture[str],
) -> Kafkaops:
    """`kafkaops("run", "list")` -> exit code, the JSON document, stderr."""

    def do(*argv: str, json_: bool = True) -> tuple[int, Any, str]:
        form = ["-o", "json"] if json_ else []
        code = run([*argv, "-c", str(config), *form], operations)
        out = capsys.readouterr()
        return code, json.loads(out.out) if json_ else out.out, out.err

    return do
