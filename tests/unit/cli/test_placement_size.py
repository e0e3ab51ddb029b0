"""`placement size`: one JSON document, tables, and what is wrong with a command line."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kafkaops.cli.main import run

ST1 = (
    *("--instance-type", "r3.xlarge", "--brokers", "12", "--partitions", "12", "--rf", "2"),
    *("--volume", "st1", "--volume-size", "2TiB", "--write-rate", "346.9MB/s"),
    *("--retention", "6h"),
)


@pytest.fixture
def size(capsys: pytest.CaptureFixture[str]) -> Any:
    def do(*argv: str, json_: bool = True) -> tuple[int, Any, str]:
        code = run(["placement", "size", *argv, *(["-o", "json"] if json_ else [])])
        out = capsys.readouterr()
        return code, json.loads(out.out) if json_ else out.out, out.err

    return do


def test_the_st1_example(size: Any) -> None:
    code, found, _ = size(*ST1)
    assert code == 0
    assert (found["schema_version"], found["kind"]) == (1, "placement-size")
    assert (found["fits"], found["binding"], found["proposed"]) == (True, "ebs-network", False)
    assert found["throughput"] == pytest.approx(375e6)
    limits = {x["name"]: x for x in found["limits"]}
    assert limits["ebs-network"]["headroom"] == pytest.approx(1 - 346.9 / 375)
    assert limits["replicas-a-broker"]["load"] == 2
    assert found["rack_loss"]["left"] == 8
    assert found["rebuild"]["broker"]["idle"] == pytest.approx(346.9e6 * 21_600 * 2 / 12 / 62.5e6)
    assert found["figures_of"] == "2026-11-28"


def test_for_people_the_limit_that_binds_comes_with_what_to_change(size: Any) -> None:
    code, out, err = size(*ST1, json_=False)
    assert code == 0
    rows = [line.split("\t") for line in out.splitlines()]
    assert rows[0] == ["limit", "formula", "carries", "asked", "headroom", "brokers needed"]
    assert ["ebs-network", "t_EBS * N / r", "375 MB/s", "346.9 MB/s", "7.5 %", "12"] in rows
    assert "12 brokers of r3.xlarge in 3 racks suffice" in err
    assert "ebs-network binds: 7.5 % of it is left" in err
    assert "- AWS advises to leave 20% of the throughput: 15 brokers of this type" in err


def test_what_does_not_suffice_exits_5_with_the_number_that_would(size: Any) -> None:
    code, found, _ = size(*ST1, "--rf", "3")
    assert (code, found["fits"]) == (5, False)
    assert any(x.startswith("ebs-network does not suffice: 18 brokers") for x in found["changes"])


def test_without_brokers_the_least_number_is_proposed(size: Any) -> None:
    code, found, _ = size("--instance-type", "r6i.4xlarge", "--write-rate", "500MB/s",
                          "--retention", "1h")  # fmt: skip
    assert (code, found["brokers"], found["proposed"]) == (0, 12, True)


def test_what_is_not_known_is_said_and_is_null(size: Any) -> None:
    argv = ("--instance-type", "i3en.2xlarge", "--volume", "instance-store", "--write-rate",
            "50MB/s", "--retention", "1d")  # fmt: skip
    code, found, _ = size(*argv)
    assert (code, found["fits"], found["limits"][0]["capacity"]) == (0, None, None)
    _, out, err = size(*argv, json_=False)
    assert "storage\tt_storage * N / r\tnot known\t50 MB/s\t-\t-" in out
    assert "suffice as far as is known" in err
    assert "- storage is not known: what the disks of i3en.2xlarge write is not published" in err


def test_a_rate_above_what_is_known_is_used_and_named(size: Any) -> None:
    code, found, _ = size("--instance-type", "r6i.8xlarge", "--write-rate", "500MB/s",
                          "--volume-rate", "1500MiB/s", "--retention", "1h")  # fmt: skip
    assert code == 0
    assert any("above 1,048.6 MB/s" in line for line in found["changes"])


def test_every_type_with_its_figures(size: Any) -> None:
    code, found, _ = size("--list-types")
    assert (code, found["kind"], len(found["types"])) == (0, "placement-instance-types", 195)
    assert "DescribeInstanceTypes" in found["sources"]["types"]
    _, out, err = size("--list-types", json_=False)
    rows = [line.split("\t") for line in out.splitlines()]
    assert ["r3.xlarge", "4", "30.5", "0.7", "2.8", "62.5", "62.5", "1x80GB ssd", "no"] in rows
    assert ["r3.large", "2", "15", "0.5", "1.2", "-", "-", "1x32GB ssd", "no"] in rows
    assert "read 2026-11-28" in err


@pytest.mark.parametrize(
    ("code", "argv", "words"),
    [
        ("KO-INSTANCE-TYPE-UNKNOWN", ["--instance-type", "r6i.xlrage"], "r6i.xlarge"),
        ("KO-USAGE", ["--instance-type", "r6i.xlarge"], "--write-rate is missing"),
        ("KO-USAGE", ["--write-rate", "1MB/s"], "--instance-type is missing"),
        ("KO-UNIT", ["--instance-type", "r6i.xlarge", "--write-rate", "80"], "80"),
        ("KO-VOLUME-UNKNOWN", [*ST1, "--volume", "gp2"], "gp2"),
        ("KO-VOLUME-SIZE", [*ST1, "--volume-size", "20TiB"], "16 TiB"),
        ("KO-USAGE", [*ST1, "--volume-rate", "80MiB/s"], "only one of both"),
        ("KO-USAGE", [*ST1, "--volume", "instance-store"], "comes with the type"),
        ("KO-SIZE-RF", [*ST1, "--rf", "13"], "RF 13 needs 13 brokers"),
        ("KO-USAGE", [*ST1, "--rf", "0"], "greater than or equal to 1"),
    ],
)
def test_bad_input_is_a_usage_error(size: Any, code: str, argv: list[str], words: str) -> None:
    ended, found, _ = size(*argv)
    assert ended == 2
    assert found["error"]["code"] == code
    assert words in found["error"]["message"]
