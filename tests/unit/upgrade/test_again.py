"""The command that plans again, or finalises, names the cluster that the run is of."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from kafkaops.engine.errors import GuardRefused
from kafkaops.engine.step import Plan
from kafkaops.features.asking import FINALIZE, Asked
from kafkaops.features.operation import FeatureChange
from kafkaops.ports.conduct import Conduct
from kafkaops.ports.operation import Operation
from kafkaops.upgrade.downtime.operation import Outage
from kafkaops.upgrade.protocol.operation import Raise
from kafkaops.upgrade.rolling.choosing import Options
from kafkaops.upgrade.rolling.operation import Restart
from kafkaops.upgrade.rolling.upgrade import RollingUpgrade


def plan_of(options: Options | Asked, **more: Any) -> Plan:
    snapshot = {"options": options.to_json(), "voters": [1], **more}
    return Plan("run-1", "x", "pair", 0.0, (), snapshot=snapshot)


@pytest.mark.parametrize(
    ("operation", "options", "command"),
    [
        (Restart(), Options(), "restart --plan"),
        (Restart(), Options("green"), "restart --cluster green --plan"),
        (
            RollingUpgrade(),
            Options("green", to="4.3.1"),
            "upgrade --strategy rolling --to 4.3.1 --cluster green --plan",
        ),
        (Outage(), Options(to="4.3.1"), "upgrade --strategy downtime --to 4.3.1 --plan"),
        (
            Raise(),
            Options("green", to="3.9"),
            "upgrade protocol --to 3.9 --cluster green --plan",
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
