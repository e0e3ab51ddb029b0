"""`kafkaops volume`, typed on a host whose disk is a strict fake."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from kafkaops.cli.main import run
from kafkaops.cli.operations import Operations, Say
from kafkaops.cli.terminal import Terminal
from kafkaops.model.volume import Header, Signature, VolumeSpec
from kafkaops.volumes.ground import Ground
from kafkaops.volumes.host_file import HostFile
from tests.unit.volumes.fake_disks import ARN, BLANK, OTHER_ARN, Stage, spec_of

SPEC = spec_of()
Typed = Callable[..., tuple[int, Any, str]]


class OnHost(Operations):
    """The operations of a host with this stage."""

    def __init__(self, stage: Stage, **changes: Any) -> None:
        self.stage, self.spec = stage, spec_of(**changes)
        self.seat = Terminal()
        self.locate: Callable[[VolumeSpec], VolumeSpec] = lambda spec: spec

    def terminal(self) -> Terminal:
        return self.seat

    def volumes(self, path: str, say: Say) -> tuple[HostFile, Ground]:
        host = HostFile("demo", self.spec.node, (self.spec,), voter=self.spec.voter)
        return host, replace(self.stage.ground(), say=say, locate=self.locate)


@pytest.fixture
def host() -> OnHost:
    return OnHost(Stage())


@pytest.fixture
def typed(host: OnHost, capsys: pytest.CaptureFixture[str]) -> Typed:
    def do(*argv: str) -> tuple[int, Any, str]:
        code = run(["volume", *argv, "-o", "json"], host)
        out = capsys.readouterr()
        return code, json.loads(out.out), out.err

    return do


def test_from_blank_to_mounted_and_again_nothing(host: OnHost, typed: Typed) -> None:
    code, told, err = typed("prepare", "--yes")
    assert code == 0
    assert told["volumes"][0]["what"] == (
        "format, open, make the file system, mount, make the log directory"
    )
    assert "data-1: format" in err
    assert typed("prepare")[1]["volumes"][0]["what"] == "nothing to do"
    assert host.stage.disks.formats == 1


def test_nobody_is_asked_where_nobody_can_answer(host: OnHost, typed: Typed) -> None:
    code, told, _ = typed("prepare")
    assert code == 2
    assert told["error"]["code"] == "KO-CONSENT-MISSING"
    assert "--yes" in told["error"]["hint"]
    assert host.stage.disks.formats == 0


def test_a_controllers_blank_disk_takes_its_label(host: OnHost, typed: Typed) -> None:
    host.spec = spec_of(voter=True)
    code, told, _ = typed("prepare", "--yes")
    assert code == 2
    assert f"--confirm {SPEC.label}" in told["error"]["hint"]
    assert host.stage.disks.formats == 0
    assert typed("prepare", "--confirm", SPEC.label)[0] == 0


def test_what_is_not_blank_is_refused_with_the_command_that_would(
    host: OnHost, typed: Typed
) -> None:
    disks = host.stage.disks
    disks.facts = replace(disks.facts, signatures=(Signature(1080, "ext4"),))
    code, told, _ = typed("prepare", "--yes")
    assert code == 5
    assert told["error"]["code"] == "KO-VOLUME-FOREIGN"
    assert f"--reformat {SPEC.label}" in told["error"]["hint"]
    code, told, _ = typed("prepare", "--reformat", "data-1")
    assert code == 2
    assert SPEC.label in told["error"]["hint"]
    assert typed("prepare", "--reformat", SPEC.label)[0] == 0


def test_open_and_mount_make_nothing(host: OnHost, typed: Typed) -> None:
    for verb in ("open", "mount"):
        code, told, _ = typed(verb)
        assert code == 5
        assert told["error"]["code"] == "KO-VOLUME-BLANK"
    typed("prepare", "--yes")
    host.stage.disks.reboot()
    assert typed("open")[1]["volumes"][0]["what"] == "open"
    assert typed("mount")[1]["volumes"][0]["what"] == "mount, make the log directory"
    assert typed("close")[1]["volumes"][0]["what"] == "locked"
    assert host.stage.disks.facts.mapping is None
    assert typed("close")[1]["volumes"][0]["what"] == "it was locked"


def test_at_boot_a_disk_that_comes_late_is_found_once_it_is_there(
    host: OnHost, capsys: pytest.CaptureFixture[str]
) -> None:
    stage = host.stage
    run(["volume", "prepare", "--yes"], host)
    stage.disks.reboot()
    looks = [replace(BLANK, kind="absent"), replace(BLANK, kind="absent"), stage.disks.facts]
    late, device = replace(SPEC, device="instance-store:1"), SPEC.device

    def locate(spec: VolumeSpec) -> VolumeSpec:
        stage.disks.facts = looks.pop(0)
        return replace(spec, device=spec.device if looks else device)

    host.spec, host.locate = late, locate
    capsys.readouterr()
    assert run(["volume", "open", "--wait"], host) == 0
    assert capsys.readouterr().err.count("KO-VOLUME-ABSENT") == 2
    assert stage.disks.facts.mapping is not None


def test_status_is_a_gate_for_scripts(host: OnHost, typed: Typed) -> None:
    code, told, _ = typed("status", "--check")
    assert code == 5
    assert told["volumes"][0]["state"] == "blank"
    typed("prepare", "--yes")
    code, told, _ = typed("status", "--check")
    assert code == 0
    row = told["volumes"][0]
    assert (row["state"], row["good"], row["key"], row["mode"]) == ("active", True, ARN, "wrapped")
    assert len(row["copies"]) == 1


def test_plan_says_the_next_step_and_whether_there_is_work(host: OnHost, typed: Typed) -> None:
    assert typed("plan", "--detailed-exitcode")[0] == 10
    assert typed("plan")[0] == 0
    typed("prepare", "--yes")
    assert typed("plan", "--detailed-exitcode")[0] == 0
    disks = host.stage.disks
    disks.reboot()
    disks.facts = replace(disks.facts, beneath=("orders-0",))
    code, told, _ = typed("plan")
    assert code == 5
    assert told["volumes"][0]["code"] == "KO-VOLUME-BENEATH"


def test_rotate_and_rewrap_ask_and_say(host: OnHost, typed: Typed) -> None:
    typed("prepare", "--yes")
    assert typed("rotate")[0] == 2
    code, told, _ = typed("rotate", "--yes")
    assert (code, told["volumes"][0]["what"]) == (0, "a new key: the old one opens nothing")
    assert typed("rewrap", "--key", OTHER_ARN, "--yes")[0] == 0
    assert typed("status")[1]["volumes"][0]["key"] == OTHER_ARN


def test_erase_takes_the_label_and_a_closed_volume(host: OnHost, typed: Typed) -> None:
    typed("prepare", "--yes")
    assert typed("erase", "data-1")[1]["error"]["code"] == "KO-CONSENT-MISSING"
    assert typed("erase", "data-1", "--confirm", SPEC.label)[1]["error"]["code"] == "KO-VOLUME-OPEN"
    typed("close")
    code, told, _ = typed("erase", "data-1", "--confirm", SPEC.label)
    assert code == 0
    assert told["proven"] is True


def test_a_header_copy_is_written_back_to_its_own_volume_alone(host: OnHost, typed: Typed) -> None:
    typed("prepare", "--yes")
    uri = typed("header-backup")[1]["volumes"][0]["what"]
    assert uri in host.stage.copies.objects
    typed("close")
    strange = uri.replace("/demo/1/", "/demo/2/")
    told = typed("header-backup", "--restore", strange, "--confirm", SPEC.label)[1]
    assert told["error"]["code"] == "KO-VOLUME-COPY-OTHER"
    disks = host.stage.disks
    disks.facts = replace(disks.facts, header=replace(disks.header, harm="primary", tokens={}))
    assert typed("header-backup", "--restore", uri, "--confirm", SPEC.label)[0] == 0
    assert typed("mount")[0] == 0


@pytest.mark.parametrize("harm", ["", "the primary copy has wrong sizes in it"])
def test_a_header_wiped_under_an_open_volume_comes_back_before_that_is_closed(
    host: OnHost, typed: Typed, harm: str
) -> None:
    typed("prepare", "--yes")
    uri = typed("header-backup")[1]["volumes"][0]["what"]
    disks = host.stage.disks
    whole = disks.facts
    mapping, at = whole.mapping, whole.at
    disks.facts = replace(whole, header=Header(2, "", harm=harm) if harm else None, signatures=())
    code, told, _ = typed("close")
    assert (code, told["error"]["code"]) == (5, "KO-VOLUME-HEADER-GONE")
    assert "header-backup data-1 --restore URI" in told["error"]["hint"]
    assert (disks.facts.mapping, disks.facts.at) == (mapping, at), "nothing was unmounted either"
    assert uri in typed("status")[1]["volumes"][0]["copies"]
    other = uri.replace(whole.uuid, "0d7f1a55-0000-0000-0000-000000000009")
    told = typed("header-backup", "--restore", other, "--confirm", SPEC.label)[1]
    assert told["error"]["code"] == "KO-VOLUME-COPY-OTHER"
    assert typed("header-backup", "--restore", uri, "--confirm", SPEC.label)[0] == 0
    assert typed("status", "--check")[0] == 0
    told = typed("header-backup", "--restore", uri, "--confirm", SPEC.label)[1]
    assert told["error"]["code"] == "KO-VOLUME-OPEN", "it has its header"
    assert typed("close")[0] == 0
    assert typed("mount")[0] == 0


def test_a_disk_without_a_header_shows_the_copies_of_its_volume(host: OnHost, typed: Typed) -> None:
    typed("prepare", "--yes")
    uri = typed("header-backup")[1]["volumes"][0]["what"]
    disks = host.stage.disks
    disks.reboot()
    disks.facts = replace(disks.facts, header=None, signatures=(Signature(32768, "data"),))
    assert uri in typed("status")[1]["volumes"][0]["copies"]
    assert typed("header-backup", "--restore", uri, "--confirm", SPEC.label)[0] == 0
    assert typed("mount")[0] == 0


def test_an_unknown_volume(typed: Typed) -> None:
    code, told, _ = typed("status", "data-9")
    assert code == 4
    assert told["error"]["code"] == "KO-VOLUME-UNKNOWN"


def test_the_table_says_what_is_next(host: OnHost, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["volume", "status"], host) == 0
    out = capsys.readouterr()
    assert out.out.splitlines()[1].split("\t")[:3] == ["data-1", "blank", "format"]
    host.stage.disks.facts = replace(host.stage.disks.facts, holders=("md0",))
    run(["volume", "status"], host)
    assert "data-1: KO-VOLUME-IN-USE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "flag"),
    [
        (("close", "--plan"), "--plan"),
        (("prepare", "--yes", "--only", "blue-3"), "--only"),
        (("rotate", "--yes", "--plan"), "--plan"),
        (("erase", "data-1", "--confirm", "kafkaops/demo/1/data-1", "--plan"), "--plan"),
        (("header-backup", "--plan"), "--plan"),
        (("mount", "--yes"), "--yes"),
        (("bench", "--yes", "--only", "blue-3"), "--only"),
    ],
)
def test_a_flag_for_a_cluster_is_not_passed_over(
    host: OnHost, typed: Typed, argv: tuple[str, ...], flag: str
) -> None:
    typed("prepare", "--yes")
    before = (list(host.stage.disks.history), dict(host.stage.copies.objects))
    code, told, _ = typed(*argv)
    assert (code, told["error"]["code"]) == (2, "KO-USAGE")
    assert f"{flag} is for --cluster" in told["error"]["message"]
    assert (host.stage.disks.history, host.stage.copies.objects) == before


def test_status_in_an_outage_says_what_it_does_not_know(host: OnHost, typed: Typed) -> None:
    typed("prepare", "--yes")
    host.stage.copies.away = True
    code, told, _ = typed("status", "--check")
    [row] = told["volumes"]
    assert (code, row["state"], row["copies"]) == (0, "active", None)


def test_a_disk_that_does_not_read_is_a_row(host: OnHost, typed: Typed) -> None:
    host.stage.disks.broken = True
    code, told, _ = typed("status", "--check")
    [row] = told["volumes"]
    assert (code, row["state"], row["code"]) == (5, "unknown", "KO-VOLUME-READ")
    code, told, _ = typed("prepare", "--yes")
    assert told["error"]["code"] == "KO-VOLUME-READ"
