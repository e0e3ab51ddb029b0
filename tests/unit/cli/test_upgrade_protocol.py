"""`upgrade protocol` on a cluster of fakes in ZooKeeper mode, through plan, engine and store."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from kafkaops.cli.main import run
from kafkaops.cli.operations import Operations, Say
from kafkaops.config.schema import Config
from kafkaops.engine.clock import Clock
from kafkaops.engine.lease import Lease
from kafkaops.engine.store import FileFacts, MemoryFacts
from kafkaops.ports.world import World
from tests.crash.protocol_scene import Raise, file
from tests.crash.restart_scene import RACKS, Restart, config
from tests.crash.upgrade_scene import in_zookeeper_mode
from tests.unit.cli.fake_operations import ToyLease

Kafkaops = Callable[..., tuple[int, Any, str]]
TO = ("upgrade", "protocol", "--to", "3.9")
ONCE = dict.fromkeys(RACKS, 1)


@dataclass
class RaiseOperations(Operations):
    raised: Restart = field(default_factory=Raise)

    def clock(self) -> Clock:
        return self.raised.clock

    def lease(self, config: Config, run: str) -> Lease:
        return ToyLease()

    def world(self, config: Config, *, run_dir: Path | None, say: Say) -> World:
        facts = MemoryFacts() if run_dir is None else FileFacts(run_dir / "facts")
        world = self.raised.world
        return replace(world, config=config, facts=facts, say=say, names=cast(Any, object()))


@pytest.fixture
def operations() -> RaiseOperations:
    return RaiseOperations()


@pytest.fixture
def kafkaops(
    operations: RaiseOperations, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Kafkaops:
    values = config(list(RACKS)).model_dump(mode="json", exclude_defaults=True)
    path = tmp_path / "kafkaops.yaml"
    state = {"dir": str(tmp_path / "state"), "lease": "file"}
    path.write_text(yaml.safe_dump({"schema_version": 1, **values, "state": state}))

    def do(*argv: str) -> tuple[int, Any, str]:
        code = run([*argv, "-c", str(path), "-o", "json"], operations)
        out = capsys.readouterr()
        return code, json.loads(out.out), out.err

    return do


def files(operations: RaiseOperations) -> dict[int, bytes]:
    return {h.node.id: h.files[h.properties] for h in operations.raised.hosts.values()}


def test_the_boundary_is_shown_and_the_name_asked_for_before_anything(
    kafkaops: Kafkaops, operations: RaiseOperations
) -> None:
    code, document, err = kafkaops(*TO)
    assert (code, document["error"]["code"]) == (2, "KO-CONSENT-MISSING")
    assert "--confirm demo" in document["error"]["hint"]
    assert "IRREVERSIBLE from the start of blue-" in err
    assert "cannot be lowered to 3.8 again" in err
    assert set(operations.raised.starts().values()) == {0}


def test_planned_saved_applied_and_then_there_is_nothing_to_do(
    kafkaops: Kafkaops, operations: RaiseOperations, tmp_path: Path
) -> None:
    saved = str(tmp_path / "plan.json")
    code, document, _ = kafkaops(*TO, "--plan", "--out", saved, "--detailed-exitcode")
    assert (code, document["plan"]["operation"]) == (10, "protocol")
    assert kafkaops("apply", saved, "--yes")[1]["error"]["code"] == "KO-CONSENT-MISSING"
    code, document, _ = kafkaops("apply", saved, "--confirm", "demo")
    assert (code, document["outcome"]) == (0, "done")
    assert operations.raised.starts() == ONCE
    assert files(operations) == {node: file(node, b"3.9") for node in RACKS}
    code, document, _ = kafkaops(*TO)
    assert (code, document["outcome"]) == (0, "nothing-to-do")
    code, document, _ = kafkaops("run", "rollback", "--yes")
    assert (code, document["error"]["code"]) == (5, "KO-IRREVERSIBLE")
    assert operations.raised.starts() == ONCE


def test_one_that_failed_is_gone_on_with_by_name_only(
    kafkaops: Kafkaops, operations: RaiseOperations
) -> None:
    raised = operations.raised
    late = raised.hosts["blue-2"]  # the controller's
    late.refused.add("3.9.2")
    code, document, _ = kafkaops(*TO, "--confirm", "demo")
    assert code == 8
    late.refused.clear()
    assert kafkaops("run", "resume", "--yes")[0] == 2
    code, document, _ = kafkaops("run", "rollback", "--yes")
    assert (code, document["error"]["code"]) == (5, "KO-IRREVERSIBLE")
    assert "run resume" in document["error"]["hint"]
    code, document, _ = kafkaops(*TO, "--confirm", "demo")
    assert (code, document["outcome"]) == (0, "done")
    assert raised.starts() == ONCE


def test_a_saved_plan_is_gone_on_with_only_by_who_agrees(
    kafkaops: Kafkaops, operations: RaiseOperations, tmp_path: Path
) -> None:
    saved, raised = str(tmp_path / "plan.json"), operations.raised
    kafkaops(*TO, "--plan", "--out", saved)
    late = raised.hosts["blue-2"]
    late.refused.add("3.9.2")
    assert kafkaops("apply", saved, "--confirm", "demo")[0] == 8
    late.refused.clear()
    before = raised.starts()
    for flags in ((), ("--yes",)):
        code, document, _ = kafkaops("apply", saved, *flags)
        assert (code, document["error"]["code"]) == (2, "KO-CONSENT-MISSING")
    assert raised.starts() == before
    assert kafkaops("apply", saved, "--confirm", "demo")[0] == 0


def test_how_long_it_waits_and_whether_one_goes_first_is_chosen(kafkaops: Kafkaops) -> None:
    more = ("--gate-timeout", "77", "--return-timeout", "99", "--no-canary")
    code, document, _ = kafkaops(*TO, "--plan", *more)
    assert code == 0
    options = document["plan"]["snapshot"]["options"]
    chosen = [options[name] for name in ("gate_timeout", "return_timeout", "canary")]
    assert chosen == [77.0, 99.0, False]
    deadlines = {s["kind"]: s["deadline"] for s in document["plan"]["specs"]}
    assert (deadlines["gate-open"], deadlines["protocol-spoken"]) == (77.0, 99.0)


@pytest.mark.parametrize("to", ["4.0", "new"])
def test_what_makes_no_sense_is_said(kafkaops: Kafkaops, to: str) -> None:
    code, document, _ = kafkaops("upgrade", "protocol", "--to", to)
    assert (code, document["error"]["code"]) == (2, "KO-PROTOCOL")


@pytest.mark.parametrize("strategy", ["rolling", "downtime"])
def test_after_both_there_is_no_way_back_from_the_first(
    kafkaops: Kafkaops, operations: RaiseOperations, strategy: str
) -> None:
    operations.raised = in_zookeeper_mode()
    upgraded = kafkaops("upgrade", "--strategy", strategy, "--to", "3.9.2", "--yes")[1]
    assert upgraded["outcome"] == "done"
    assert kafkaops("run", "finalize", upgraded["run"], "--confirm", "demo")[0] == 5
    assert kafkaops(*TO, "--confirm", "demo")[1]["outcome"] == "done"
    assert set(files(operations).values()) == {b"inter.broker.protocol.version=3.9\n"}
    code, document, _ = kafkaops("run", "rollback", "--yes")
    assert (code, document["error"]["code"]) == (5, "KO-PROTOCOL-RAISED")
    assert {host.node.version for host in operations.raised.hosts.values()} == {"3.9.2"}


@pytest.mark.parametrize(
    "more",
    [
        (),
        ("--single", "--controllers", "1"),
        ("--single", "--security", "sasl-ssl"),
        ("--single", "--blue-version", "4.3.1"),
    ],
)
def test_a_lab_with_zookeeper_is_one_cluster_of_an_old_version(
    more: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["lab", "up", "--zookeeper", *more, "--dir", "/nowhere/lab"]) == 2
    assert "KO-USAGE" in capsys.readouterr().err
