"""A run whose clients hooks have stopped says so where it is looked at, with what starts them."""

from __future__ import annotations

from pathlib import Path

import pytest

from kafkaops.engine.clock import SystemClock
from kafkaops.engine.store import Store
from tests.unit.cli.conftest import Kafkaops
from tests.unit.cli.test_upgrade import upgrade


def held(kafkaops: Kafkaops, config: Path, *groups: str) -> str:
    """A run that is held, with these groups noted as stopped."""
    upgrade(kafkaops, "--yes", "--until", "names")
    store = Store(config.parent / "state", SystemClock())
    (summary,) = store.list()
    store.run(summary.id).facts().put("back.hooks.begun", list(groups) or None)
    return summary.id


@pytest.mark.parametrize("look", [("show",), ("watch", "--once")])
def test_who_is_stopped_is_shown_with_the_command_that_starts_them(
    kafkaops: Kafkaops, config: Path, look: tuple[str, ...]
) -> None:
    run = held(kafkaops, config, "readers", "writers")
    assert kafkaops("run", *look)[1]["clients_stopped"] == ["readers", "writers"]
    _, _, err = kafkaops("run", *look, json_=False)
    assert "clients are STOPPED by hooks: readers, writers" in err
    assert f"kafkaops run resume {run}" in err


def test_nothing_is_said_where_nobody_is_stopped(kafkaops: Kafkaops, config: Path) -> None:
    held(kafkaops, config)
    assert kafkaops("run", "show")[1]["clients_stopped"] == []
    assert "STOPPED" not in kafkaops("run", "show", json_=False)[2]
