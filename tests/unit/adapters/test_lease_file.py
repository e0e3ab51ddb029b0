"""Leases as locked files, against real processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kafkaops.adapters.lease_file import FileLeases
from kafkaops.engine.errors import ConfigError, LeaseHeld
from kafkaops.engine.lease import Holder

ANN = Holder("ann", "h1", 7, "r1", 100.0)
BOB = Holder("bob", "h1", 8, "r2", 200.0)

CHILD = """
import sys
from pathlib import Path
from kafkaops.adapters.lease_file import FileLeases
from kafkaops.engine.lease import Holder
lease = FileLeases(Path(sys.argv[1])).acquire("blue", Holder("eve", "h9", 1, "r9", 1.0))
print("held", flush=True)
sys.stdin.read()
"""


def test_one_holder_at_a_time_and_its_name_in_the_error(tmp_path: Path) -> None:
    leases = FileLeases(tmp_path / "leases")
    assert leases.holder("blue") is None
    lease = leases.acquire("blue", ANN)
    lease.verify()
    assert FileLeases(tmp_path / "leases").holder("blue") == ANN
    with pytest.raises(LeaseHeld, match=r"ann@h1 \(pid 7, run r1\)"):
        FileLeases(tmp_path / "leases").acquire("blue", BOB)
    lease.verify()
    leases.acquire("green", BOB).release()
    lease.release()
    assert leases.holder("blue") is None
    again = leases.acquire("blue", BOB)
    assert leases.holder("blue") == BOB
    again.release()


def test_a_killed_holder_leaves_no_lock(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"held\n"
    leases = FileLeases(tmp_path)
    with pytest.raises(LeaseHeld, match="eve@h9"):
        leases.acquire("blue", ANN)
    child.kill()
    child.communicate(timeout=10)
    leases.acquire("blue", ANN).release()


@pytest.mark.parametrize("replace", [False, True])
def test_a_removed_or_replaced_file_is_a_lost_lease(tmp_path: Path, replace: bool) -> None:
    lease = FileLeases(tmp_path).acquire("blue", ANN)
    (tmp_path / "blue.lease").unlink()
    if replace:
        (tmp_path / "blue.lease").write_text("{}")
    with pytest.raises(LeaseHeld) as lost:
        lease.verify()
    assert lost.value.code == "KO-LEASE-LOST"
    lease.release()


def test_a_lease_given_back_is_not_held(tmp_path: Path) -> None:
    lease = FileLeases(tmp_path).acquire("blue", ANN)
    lease.release()
    lease.release()
    with pytest.raises(LeaseHeld, match="given back"):
        lease.verify()


def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot name"):
        FileLeases(tmp_path).acquire("../x", ANN)


def test_a_state_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="file"):
        FileLeases(tmp_path / "file").acquire("blue", ANN)
