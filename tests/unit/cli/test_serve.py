"""The unit that carries a run: what it executes, when it is tried again, how long it may stop."""

from __future__ import annotations

import configparser
import getpass
from pathlib import Path

import pytest

from kafkaops.cli.serving import AFTER_LEASE, quoted, stop_time
from tests.crash.blue_green_scene import config as fenced
from tests.crash.outage_scene import Outage
from tests.unit.cli.conftest import Kafkaops
from tests.unit.cli.test_upgrade import upgrade


def unit(kafkaops: Kafkaops, *flags: str) -> configparser.ConfigParser:
    upgrade(kafkaops, "--yes", "--until", "names")
    code, out, _ = kafkaops("run", "serve", "--unit", *flags, json_=False)
    assert code == 0
    parsed = configparser.ConfigParser(interpolation=None, strict=False)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]
    parsed.read_string(out)
    return parsed


def test_it_serves_this_run_with_this_config_as_who_asked(kafkaops: Kafkaops, config: Path) -> None:
    service = unit(kafkaops, "--set", "gates.hold=7")["Service"]
    line = service["ExecStart"]
    assert " -m kafkaops run serve orders-" in line
    assert f"-c {config.resolve()}" in line
    assert line.endswith("--set gates.hold=7 --yes")
    assert service["User"] == getpass.getuser()
    assert kafkaops("run", "serve", "--yes")[1]["outcome"] == "done"


def test_what_a_resume_cures_is_tried_again_and_nothing_else(kafkaops: Kafkaops) -> None:
    found = unit(kafkaops)
    service = found["Service"]
    assert service["Restart"] == "on-failure"
    assert service["RestartForceExitStatus"].split() == ["7", "8"]
    never = {"1", "2", "3", "4", "5", "6", "9", "20", "21", "24", "130"}
    assert set(service["RestartPreventExitStatus"].split()) == never
    assert service["SuccessExitStatus"] == "130"
    # a loop ends: so many starts take less than the interval, waits included
    again = int(service["RestartSec"])
    burst, within = (int(found["Unit"][f"StartLimit{k}"]) for k in ("Burst", "IntervalSec"))
    assert burst * again < within
    assert again == 30 + AFTER_LEASE


def test_a_stop_has_the_time_that_going_back_takes() -> None:
    outage = Outage().config
    assert stop_time(outage) > stop_time(fenced()) > 330


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("plain-1.0", "plain-1.0"),
        ("50%", "50%%"),
        ("$HOME", "$$HOME"),
        ("two words", '"two words"'),
        ('a"b c', '"a\\"b c"'),
        ("back\\slash", '"back\\\\slash"'),
        ("", '""'),
        ("a;b", '"a;b"'),
    ],
)
def test_words_reach_the_command_as_they_are(word: str, said: str) -> None:
    assert quoted(word) == said
