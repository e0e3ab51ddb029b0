"""Which instance-store disk is whose: sysfs and /dev as files of the test."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from kafkaops.adapters import luks_header
from kafkaops.adapters.disk_blocks import INSTANCE_STORE, Blocks, Identity, Places
from kafkaops.adapters.disk_find import located
from kafkaops.model.volume import VolumeSpec

ONE, TWO, THREE = (
    VolumeSpec("blue", 3, f"data-{n}", f"instance-store:{n}", f"/var/lib/kafka/data-{n}")
    for n in (1, 2, 3)
)
BOTH = (ONE, TWO)


def header(label: str) -> bytes:
    """The primary copy of a LUKS2 header that bears a label."""
    area = json.dumps({"keyslots": {}, "tokens": {}}).encode().ljust(0x4000 - 4096, b"\0")
    fields = (luks_header.PRIMARY, 2, 0x4000, 1, label.encode(), b"sha256")
    raw = luks_header.BINARY.pack(*fields, b"", b"0d7f1a55", b"", 0).ljust(4096, b"\0")
    digest = hashlib.sha256(raw + area).digest().ljust(64, b"\0")
    return raw[:448] + digest + raw[512:] + area


class Host:
    """Disks come and go by name, which their serial is too."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.numbers: dict[str, str] = {}

    def disk(self, name: str, label: str = "") -> None:
        number = self.numbers.setdefault(name, f"259:{len(self.numbers)}")
        block = self.root / "sys" / "block" / name
        (block / "device").mkdir(parents=True, exist_ok=True)
        (block / "device" / "model").write_text(INSTANCE_STORE)
        (block / "device" / "serial").write_text(name)
        (block / "dev").write_text(number)
        (self.root / "dev").mkdir(exist_ok=True)
        (self.root / "dev" / name).write_bytes(header(label) if label else bytes(1 << 16))

    def gone(self, name: str) -> None:
        (self.root / "dev" / name).unlink()
        (self.root / "sys" / "block" / name / "device" / "model").unlink()

    def opened(self, spec: VolumeSpec, name: str) -> None:
        dm = self.root / "sys" / "block" / f"dm-{spec.name}"
        (dm / "slaves" / name).mkdir(parents=True)
        (dm / "dm").mkdir()
        (dm / "dm" / "name").write_text(spec.mapper)

    def identify(self, path: str) -> Identity:
        there = Path(path).exists() and Path(path).is_relative_to(self.root / "dev")
        return Identity("block", self.numbers[Path(path).name]) if there else Identity("absent")

    def found(self, *volumes: VolumeSpec) -> Mapping[str, str]:
        """Each volume's disk by its name, the same whoever is named first."""
        blocks = Blocks(Places(sys=self.root / "sys", dev=self.root / "dev"), self.identify)
        answers = [
            {spec.name: spec.device for spec in located(order, blocks)}
            for order in itertools.permutations(volumes)
        ]
        assert all(answer == answers[0] for answer in answers)
        devices = [device for device in answers[0].values() if device.startswith("/")]
        assert len(set(devices)) == len(devices), "two volumes on one disk"
        return {name: device.rpartition("/")[2] for name, device in answers[0].items()}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_blank_disks_are_taken_by_serial_and_stay_where_they_were_made(host: Host) -> None:
    for name in ("a", "b", "c"):
        host.disk(name)
    wanted = {"data-1": "a", "data-2": "b"}
    assert host.found(*BOTH) == wanted
    assert host.found(TWO) == {"data-2": "b"}
    for made in ((ONE,), (TWO,), BOTH):
        for name in ("a", "b", "c"):
            host.disk(name)
        for spec in made:
            host.disk(wanted[spec.name], spec.label)
        assert host.found(*BOTH) == wanted


def test_a_label_is_followed_wherever_its_disk_is(host: Host) -> None:
    host.disk("a", TWO.label)
    host.disk("b", ONE.label)
    assert host.found(*BOTH) == {"data-1": "b", "data-2": "a"}


def test_a_disk_that_is_late_is_waited_for_and_its_neighbours_is_not_taken(host: Host) -> None:
    host.disk("b", TWO.label)
    assert host.found(*BOTH) == {"data-1": "instance-store:1", "data-2": "b"}
    host.disk("a", ONE.label)
    assert host.found(*BOTH) == {"data-1": "a", "data-2": "b"}


@pytest.mark.parametrize("new", ["0", "a2", "c"])
@pytest.mark.parametrize(("dead", "left"), [(ONE, "b"), (TWO, "a")])
def test_a_new_disk_is_his_whose_disk_died(
    host: Host, new: str, dead: VolumeSpec, left: str
) -> None:
    [other] = [spec for spec in BOTH if spec is not dead]
    host.disk(left, other.label)
    host.disk(new)
    wanted = {other.name: left, dead.name: new}
    assert host.found(*BOTH) == wanted
    host.disk(new, dead.label)
    assert host.found(*BOTH) == wanted


def test_two_new_disks_of_three_are_shared_out_one_each(host: Host) -> None:
    host.disk("b", ONE.label)
    host.disk("c")
    host.disk("d")
    before = host.found(ONE, TWO, THREE)
    assert before == {"data-1": "b", "data-2": "c", "data-3": "d"}
    for spec in (TWO, THREE):
        host.disk(before[spec.name], spec.label)
        assert host.found(ONE, TWO, THREE) == before


def test_a_number_beyond_the_disks_takes_none(host: Host) -> None:
    host.disk("a")
    assert host.found(TWO) == {"data-2": "instance-store:2"}


def test_a_label_of_no_volume_here_is_shown_to_who_comes_upon_it(host: Host) -> None:
    host.disk("a", "kafkaops/old/3/data-1")
    assert host.found(ONE) == {"data-1": "a"}


def test_a_disk_that_the_file_names_by_its_path_is_nobody_elses(host: Host) -> None:
    host.disk("a")
    host.disk("b")
    named = replace(TWO, device=str(host.root / "dev" / "a"))
    assert host.found(ONE, named) == {"data-1": "b", "data-2": "a"}


def test_of_two_disks_with_one_label_neither_goes_to_another_volume(host: Host) -> None:
    host.disk("a", ONE.label)
    host.disk("b", ONE.label)
    assert host.found(*BOTH) == {"data-1": "a", "data-2": "instance-store:2"}


def test_an_open_volume_is_on_the_disk_beneath_it(host: Host) -> None:
    host.disk("a")
    host.disk("b")
    host.opened(ONE, "b")  # its header was wiped since
    assert host.found(*BOTH)["data-1"] == "b"
    host.disk("b", TWO.label)
    assert host.found(*BOTH) == {"data-1": "a", "data-2": "b"}, "opened under a wrong name"


def test_a_disk_that_died_under_an_open_volume_is_not_replaced_before_that_is_closed(
    host: Host,
) -> None:
    host.disk("a", ONE.label)
    host.disk("b")
    host.opened(ONE, "a")
    host.gone("a")
    assert host.found(ONE) == {"data-1": "instance-store:1"}
