"""Unit files: what is understood means what it means to systemd; all else is refused by line."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from kafkaops.lab import unit_file
from kafkaops.lab.unit_file import UnitFault, parse, read

UNIT = """\
# a comment
; another
[Unit]
Description=Kafka %i = fine \x20
After=network-online.target

[Service]
Type=exec
Environment=A=1 "B=two words" 'C=x=y'
Environment=A=2
ExecStart=/opt/kafka/current/bin/kafka-server-start.sh "/etc/kafka/my server.properties"
TimeoutStopSec=5min 20s

[Install]
WantedBy=multi-user.target
"""


def service(*lines: str) -> tuple[str, str]:
    return "kafka.service", "\n".join(("[Service]", *lines))


def test_a_unit_as_written() -> None:
    unit = parse(("kafka.service", UNIT))
    assert unit.exec_start == (
        "/opt/kafka/current/bin/kafka-server-start.sh",
        "/etc/kafka/my server.properties",
    )
    assert unit.environment == {"A": "2", "B": "two words", "C": "x=y"}
    assert unit.stop_timeout == 320.0


def test_what_is_left_out_is_systemds_default() -> None:
    unit = parse(service("ExecStart=/bin/k"))
    assert (unit.exec_start, unit.environment, unit.stop_timeout) == (("/bin/k",), {}, 90.0)


def test_drop_ins_come_over_the_file_in_order_of_name(tmp_path: Path) -> None:
    file = tmp_path / unit_file.path("kafka").lstrip("/")
    drop_ins = file.parent / "kafka.service.d"
    drop_ins.mkdir(parents=True)
    file.write_text(UNIT)
    (drop_ins / "20-b.conf").write_text("[Service]\nEnvironment=A=b\nTimeoutStopSec=infinity\n")
    (drop_ins / "10-a.conf").write_text(
        "[Service]\nEnvironment=\nEnvironment=A=a D=d\nExecStart=\nExecStart=/bin/other\n"
    )
    (drop_ins / "ignored.txt").write_text("nothing of a unit")
    unit = read(tmp_path, "kafka")
    assert unit.environment == {"A": "b", "D": "d"}
    assert unit.exec_start == ("/bin/other",)
    assert unit.stop_timeout == math.inf


def test_a_missing_unit_says_where_it_would_be(tmp_path: Path) -> None:
    with pytest.raises(UnitFault, match=r"^/etc/systemd/system/kafka\.service cannot be read"):
        read(tmp_path, "kafka")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("90", 90), ("1.5s", 1.5), ("2 min", 120), ("1h 1m 1sec", 3661), ("0", math.inf)],
)
def test_time_spans(value: str, seconds: float) -> None:
    assert parse(service("ExecStart=/k", f"TimeoutStopSec={value}")).stop_timeout == seconds


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        (("User=kafka", "ExecStart=/k"), r"^kafka\.service:2: User is not understood in"),
        (("EnvironmentFile=/etc/default/kafka",), r"EnvironmentFile is not understood"),
        (("Restart=always",), r"Restart may be no, not 'always'"),
        (("Type=forking",), r"Type may be simple or exec"),
        (("ExecStart=-/k",), r"absolute path, not '-/k'"),
        (("ExecStart=kafka",), r"absolute path, not 'kafka'"),
        (("ExecStart=/k $OPTS",), r"variables"),
        (("ExecStart=/k ; /j",), r"several commands"),
        (("ExecStart=/k %i",), r"backslashes and %"),
        (("ExecStart=/k \\", "  /more"), r"continued lines"),
        (('ExecStart=/k "open',), r"No closing quotation"),
        (("ExecStart=/k", "ExecStart=/j"), r":3: ExecStart is given twice"),
        (("Environment=1A=b",), r"'1A' is no NAME=VALUE"),
        (("Environment=A",), r"'A' is no NAME=VALUE"),
        (("TimeoutStopSec=soon",), r"no time span"),
        (("TimeoutStopSec=5 lightyears",), r"no time span"),
        (("nonsense",), r"is no KEY=VALUE"),
        (("Type=simple",), r"no ExecStart"),
        (("[Socket]",), r"section \[Socket\] is not understood"),
    ],
)
def test_what_is_not_understood_is_refused(lines: tuple[str, ...], fault: str) -> None:
    with pytest.raises(UnitFault, match=fault):
        parse(service(*lines))


def test_a_key_before_any_section_is_refused() -> None:
    with pytest.raises(UnitFault, match="of a section"):
        parse(("kafka.service", "ExecStart=/k"))
