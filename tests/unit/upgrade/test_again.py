"""The command that plans again, or finalises, names the cluster that the run is of."""

from __future__ import annotations

from inspect import signature
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kafkaops.cli.restart import moment, restart
from kafkaops.cli.upgrade import upgrade
from kafkaops.cli.upgrade_protocol import protocol
from kafkaops.engine.errors import GuardRefused
from kafkaops.engine.step import Plan
from kafkaops.features.asking import FINALIZE, Asked
from kafkaops.features.operation import FeatureChange
from kafkaops.ports.conduct import Conduct
from kafkaops.ports.operation import Operation
from kafkaops.upgrade.downtime.operation import Outage
from kafkaops.upgrade.protocol.operation import Raise
from kafkaops.upgrade.rolling.choosing import SOAK, Options
from kafkaops.upgrade.rolling.operation import Restart
from kafkaops.upgrade.rolling.renewal import Renewal
from kafkaops.upgrade.rolling.upgrade import RollingUpgrade


def plan_of(options: Options | Asked, **more: Any) -> Plan:
    snapshot = {"options": options.to_json(), "voters": [1], **more}
    return Plan("run-1", "x", "pair", 0.0, (), snapshot=snapshot)


@pytest.mark.parametrize(
    ("operation", "options", "command"),
    [
        (Restart(), Options(soak=10.0), "restart --plan"),
        (Restart(), Options("green", soak=10.0), "restart --cluster green --plan"),
        (
            Restart(),
            Options("green", ("3", "blue-5"), "a b", 0.0, True, 2, accept=("t-*",), canary=False),
            "restart --cluster green --only 3 --only blue-5 --rack 'a b' --not-restarted-since"
            " 1970-01-01T00:00:00+00:00 --changed-config --max-batch 2 --no-canary --soak 0"
            " --accept-unavailable 't-*' --plan",
        ),
        (
            Restart(),
            Options(
                whole_racks=True, soak=10.0, gate_looks=5, gate_timeout=60.0, return_timeout=7200.0
            ),
            "restart --whole-racks --gate-looks 5 --gate-timeout 60 --return-timeout 7200 --plan",
        ),
        (
            RollingUpgrade(),
            Options("green", ("101",), to="4.3.1", soak=60.0, accept=("orders",)),
            "upgrade --strategy rolling --to 4.3.1 --cluster green --only 101 --soak 60"
            " --accept-unavailable orders --plan",
        ),
        (
            Outage(),
            Options(to="4.3.1", soak=10.0, outage=600.0),
            "upgrade --strategy downtime --to 4.3.1 --outage 600 --plan",
        ),
        (
            Raise(),
            Options("green", to="3.9", soak=10.0, max_batch=1),
            "upgrade protocol --to 3.9 --cluster green --max-batch 1 --plan",
        ),
        (
            Renewal(),
            Options(only=("blue-3",), canary=False, return_timeout=86400.0),
            "volume rotate --cluster blue --volume-key --only blue-3 --return-timeout 86400 --plan",
        ),
        (
            FeatureChange(),
            Asked(FINALIZE, "green", "4.3", (("share.version", 0),)),
            "features finalize --to 4.3 --feature share.version=0 --cluster green --plan",
        ),
    ],
)
def test_planned_again(operation: Operation, options: Options | Asked, command: str) -> None:
    assert operation.again(plan_of(options)) == f"kafkaops {command}"


def test_the_moment_of_a_hint_is_one_that_the_command_reads() -> None:
    given = Options(since=1_796_000_000.5).flags.split("--not-restarted-since ")[1].split()[0]
    assert moment(given) == 1_796_000_000.5


def test_the_soak_of_commands_is_the_one_that_hints_leave_out() -> None:
    for command in (restart, upgrade, protocol):
        assert signature(command).parameters["soak"].default == SOAK


@pytest.mark.parametrize(
    ("operation", "voters", "command"),
    [
        (RollingUpgrade(), [1], "features plan --to 4.3.1 --cluster green"),
        (RollingUpgrade(), [], "upgrade protocol --to 4.3 --cluster green --plan"),
        (Outage(), [1], "features plan --to 4.3.1 --cluster green"),
        (Restart(), [1], "run show run-1"),
    ],
)
def test_finalised(operation: Operation, voters: list[int], command: str) -> None:
    plan = plan_of(Options("green", to="4.3.1"), voters=voters)
    run = SimpleNamespace(id="run-1", look=lambda: SimpleNamespace(plan=plan))
    with pytest.raises(GuardRefused) as caught:
        operation.finalize(Conduct(cast(Any, None), cast(Any, run), cast(Any, None)))
    assert (caught.value.code, caught.value.hint) == (
        "KO-NOTHING-TO-FINALIZE",
        f"kafkaops {command}",
    )


@pytest.mark.parametrize(("looks", "told"), [(3, False), (5, True)])
def test_what_came_later_is_in_no_plan_that_does_not_ask_for_it(looks: int, told: bool) -> None:
    """Else each plan of before would be another one than the same command's today."""
    options = Options(gate_looks=looks)
    assert ("gate_looks" in options.to_json()) is told
    assert Options.of(options.to_json()) == options
