"""Reads every import of the package and holds the rules of its rooms."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import kafkaops

ROOT = Path(kafkaops.__file__).parent
DRIVERS = {"boto3", "botocore", "kafka", "confluent_kafka", "subprocess"}
BELOW = {"engine", "model", "ports", "config"}
NEIGHBOURS: dict[str, set[str]] = {
    "upgrade": {
        *("cutover", "verify", "mirror", "placement", "provision", "volumes"),
        "features",
    },
    "mirror": {"cutover", "verify"},
    "snapshots": {"volumes", "verify"},
    "runbook": {
        *("upgrade", "cutover", "verify", "mirror", "placement", "snapshots", "volumes"),
        *("provision", "advise"),
    },
}
ROOMS = {
    *NEIGHBOURS,
    *("cutover", "verify", "placement", "volumes", "provision", "advise", "features"),
}
TIME = {"time", "asyncio", "sched"}
CLOCKED = {("time", "perf_counter")}  # a stop watch for figures decides nothing


@dataclass(frozen=True)
class Import:
    """`name` as `a.b.c`; `names` what is taken from it; `typing_only` under TYPE_CHECKING;
    `inside` a function."""

    file: str
    line: int
    name: str
    names: tuple[str, ...]
    typing_only: bool
    inside: bool

    @property
    def top(self) -> str:
        return self.name.split(".")[0]

    @property
    def room(self) -> str | None:
        """The room of kafkaops that is imported."""
        parts = self.name.split(".")
        if parts[0] != "kafkaops":
            return None
        return parts[1] if len(parts) > 1 else self.names[0] if self.names else ""


def imports_of(path: Path, root: Path) -> Iterator[Import]:
    file = str(path.relative_to(root))
    tree = ast.parse(path.read_text(encoding="utf-8"))

    def walk(node: ast.AST, typing_only: bool, inside: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                for alias in child.names:
                    yield Import(file, child.lineno, alias.name, (), typing_only, inside)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{file}:{child.lineno}: a relative import"
                taken = tuple(alias.name for alias in child.names)
                yield Import(file, child.lineno, child.module or "", taken, typing_only, inside)
            elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                for piece in child.body:
                    yield from walk(ast.Module([piece], []), True, inside)
                for piece in child.orelse:
                    yield from walk(ast.Module([piece], []), typing_only, inside)
            else:
                deeper = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
                yield from walk(child, typing_only, inside or deeper)

    yield from walk(tree, False, False)


def room_of(file: str) -> str:
    """`cli/main.py` -> cli; `wiring.py` -> wiring."""
    return Path(file).parts[0].removesuffix(".py")


def faults_of(found: Import) -> list[str]:
    """Every rule that this import breaks, in words."""
    room, other = room_of(found.file), found.room
    faults: list[str] = []
    if room in {"engine", "model"}:
        outside = found.top not in sys.stdlib_module_names and other not in {"engine", "model"}
        if outside or (room == "model" and other == "engine"):
            faults.append(f"{room} imports the standard library only")
    if found.top in DRIVERS and room not in {"adapters", "lab"}:
        faults.append("drivers of the outside world belong into adapters/ and lab/")
    if other == "adapters" and room not in {"adapters", "lab"} and not found.typing_only:
        if room != "wiring":
            faults.append("only wiring.py imports adapters")
        elif not found.inside:
            faults.append("wiring.py imports adapters inside functions")
    if other == "lab" and room not in {"lab", "adapters"} and not found.inside:
        faults.append("the lab is an extra: import it inside functions")
    if room in {"ports", "config"} and other not in {None, *BELOW}:
        faults.append(f"{room} knows no room above it")
    if room in ROOMS and other not in {None, room, *BELOW, *NEIGHBOURS.get(room, set())}:
        faults.append(f"{room} may not know {other or 'kafkaops itself'}")
    if found.top in TIME and found.file != "engine/clock.py" and room != "lab":
        used = {(found.name, n) for n in found.names}
        if not used or not used <= CLOCKED:
            faults.append("only engine/clock.py sleeps or reads the time")
    return [f"{found.file}:{found.line}: {fault} ({found.name})" for fault in faults]


def calls_of(path: Path, root: Path) -> Iterator[str]:
    """Printing and exiting outside of cli/ and lab/, and reading the time through datetime."""
    file = str(path.relative_to(root))
    room = room_of(file)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        if name in {"print", "sys.exit", "exit", "quit", "os._exit"} and room not in {
            *("cli", "lab", "__main__"),
        }:
            yield f"{file}:{node.lineno}: only cli/ prints or exits ({name})"
        clock = name.endswith(("datetime.now", "datetime.utcnow", "date.today"))
        if clock and room != "lab":
            yield f"{file}:{node.lineno}: only engine/clock.py reads the time ({name})"


def all_files() -> list[Path]:
    return sorted(p for p in ROOT.rglob("*.py") if "__pycache__" not in p.parts)


def test_every_import_keeps_to_the_rooms() -> None:
    found = [i for path in all_files() for i in imports_of(path, ROOT)]
    assert len(found) > 100, "the imports were not read"
    assert [fault for i in found for fault in faults_of(i)] == []


def test_only_the_command_line_prints_exits_and_only_the_clock_knows_the_time() -> None:
    assert [fault for path in all_files() for fault in calls_of(path, ROOT)] == []


def test_no_two_rooms_know_each_other() -> None:
    def reach(room: str, seen: tuple[str, ...]) -> None:
        assert room not in seen, f"a circle: {' -> '.join((*seen, room))}"
        for neighbour in NEIGHBOURS.get(room, set()):
            reach(neighbour, (*seen, room))

    for room in ROOMS:
        reach(room, ())


def test_no_file_is_a_drawer_for_everything() -> None:
    drawers = {"utils.py", "util.py", "helpers.py", "common.py", "misc.py"}
    assert [str(p) for p in all_files() if p.name in drawers] == []


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("engine/x.py", "import pydantic"),
        ("engine/x.py", "from kafkaops.ports import host"),
        ("engine/x.py", "import time"),
        ("model/x.py", "from kafkaops.engine.step import Plan"),
        ("upgrade/x.py", "import boto3"),
        ("upgrade/x.py", "from kafkaops.adapters import probe"),
        ("upgrade/x.py", "def f():\n    from kafkaops.adapters.probe import SocketProbe"),
        ("cutover/x.py", "from kafkaops.upgrade import parity"),
        ("mirror/x.py", "from kafkaops.upgrade import parity"),
        ("verify/x.py", "from kafkaops import wiring"),
        ("features/x.py", "from kafkaops.upgrade.gate import Gate"),
        ("cli/x.py", "import subprocess"),
        ("cli/x.py", "from time import sleep"),
        ("cli/x.py", "from kafkaops.lab import kit"),
        ("ports/x.py", "from kafkaops.cutover import fence"),
        ("wiring.py", "from kafkaops.adapters import probe"),
    ],
)
def test_each_rule_can_be_broken(tmp_path: Path, file: str, text: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    assert [fault for i in imports_of(path, tmp_path) for fault in faults_of(i)]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("upgrade/x.py", "print(1)"),
        ("engine/x.py", "import sys\nsys.exit(1)"),
        ("cutover/x.py", "import datetime\ndatetime.datetime.now()"),
    ],
)
def test_each_rule_about_calls_can_be_broken(tmp_path: Path, file: str, text: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    assert list(calls_of(path, tmp_path))
