"""The figures that ship: found in the package, sound, and None where nobody publishes them."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest

from kafkaops.engine.errors import UsageFault
from kafkaops.placement.sizing.instance_types import GB, GBIT, GIB, MB, MIB, TIB, catalogue

KNOWN = catalogue()
FAMILIES = (
    *("r3", "r5", "r6i", "r6g", "r7g", "m5", "m6i", "m6g", "m7g"),
    *("i3", "i3en", "i4i", "i4g", "im4gn", "is4gen", "d2", "d3", "d3en"),
)


def test_the_file_is_in_the_package_with_its_sources_and_its_day() -> None:
    document = json.loads(files("kafkaops.data").joinpath("instance_types.json").read_text())
    assert document["schema_version"] == 1
    assert document["read"] == "2026-11-28"
    assert all("https://docs.aws.amazon.com/" in s for s in document["sources"].values())


def test_a_built_package_holds_the_file() -> None:
    """Asked of setuptools itself, with the patterns of pyproject.toml."""
    from pathlib import Path

    import kafkaops

    root = Path(kafkaops.__file__).parent.parent
    if not (root / "pyproject.toml").is_file():
        pytest.fail("run from a checkout")
    from setuptools import Distribution
    from setuptools.command.build_py import build_py

    made = Distribution({"src_root": str(root)})
    made.parse_config_files([str(root / "pyproject.toml")])
    command = build_py(made)
    command.finalize_options()
    command.manifest_files = {}
    assert "kafkaops.data" in made.packages
    found = command.find_data_files("kafkaops", str(root / "kafkaops"))
    assert "data/instance_types.json" in {
        str(Path(f).relative_to(root / "kafkaops")) for f in found
    }


def test_every_family_that_kafka_is_run_on_is_there() -> None:
    assert {t.family for t in KNOWN.types.values()} >= set(FAMILIES)
    assert len(KNOWN.types) == 195


def test_figures_of_some_types() -> None:
    """As AWS publishes them: what an operator can look up."""
    r3 = KNOWN.types["r3.xlarge"]
    assert (r3.vcpu, r3.memory, r3.network, r3.ebs) == (4, 30.5 * GIB, 0.7 * GBIT, 62.5 * MB)
    assert r3.ebs_optimized == "supported"
    r6i = KNOWN.types["r6i.xlarge"]
    assert (r6i.network, r6i.network_burst) == (1.562 * GBIT, 12.5 * GBIT)
    assert (r6i.ebs, r6i.ebs_burst, r6i.disks) == (156.25 * MB, 1250 * MB, None)
    i3en = KNOWN.types["i3en.2xlarge"].disks
    assert i3en is not None
    assert (i3en.count, i3en.total, i3en.encrypted, i3en.rate) == (2, 5000 * GB, True, None)
    d2 = KNOWN.types["d2.xlarge"].disks
    assert d2 is not None
    assert (d2.kind, d2.encrypted) == ("hdd", False)


def test_a_baseline_is_never_above_its_burst() -> None:
    for found in KNOWN.types.values():
        assert found.network is not None, found.name
        assert found.network_burst is not None, found.name
        assert 0 < found.network <= found.network_burst, found.name
        if found.ebs is not None and found.ebs_burst is not None:
            assert 0 < found.ebs <= found.ebs_burst, found.name


def test_what_is_not_published_is_none() -> None:
    assert {t.name for t in KNOWN.types.values() if t.ebs is None} == {"r3.large", "r3.8xlarge"}
    assert all(t.disks is None or t.disks.rate is None for t in KNOWN.types.values())
    assert KNOWN.volumes["io2"].rate_of(TIB) is None


@pytest.mark.parametrize(("tib", "mib_s"), [(0.5, 20), (1, 40), (2, 80), (12.5, 500), (16, 500)])
def test_the_baseline_of_st1_grows_with_its_size(tib: float, mib_s: int) -> None:
    """The table of "Throughput Optimized HDD" in the EBS user guide."""
    assert KNOWN.volumes["st1"].rate_of(tib * TIB) == pytest.approx(mib_s * MIB)


def test_gp3_has_its_own_rate_whatever_its_size() -> None:
    assert KNOWN.volumes["gp3"].rate_of(TIB) == 125 * MIB == KNOWN.volumes["gp3"].rate_of(16 * TIB)


def test_an_unknown_type_names_the_nearest() -> None:
    with pytest.raises(UsageFault) as refused:
        KNOWN.type_of("r6i.xlrage")
    assert refused.value.code == "KO-INSTANCE-TYPE-UNKNOWN"
    assert "r6i.xlarge" in refused.value.message
    assert refused.value.hint == "kafkaops placement size --list-types"


def test_a_family_is_in_the_order_of_its_sizes() -> None:
    names = [t.name for t in KNOWN.family(KNOWN.types["i3en.2xlarge"])]
    assert names == [f"i3en.{s}" for s in ("large", "xlarge", "2xlarge", "3xlarge", "6xlarge")] + [
        "i3en.12xlarge",
        "i3en.24xlarge",
    ]
