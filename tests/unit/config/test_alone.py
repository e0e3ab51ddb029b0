"""A cluster alone: what may be left out, what asking for it says, and what upgrades install."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kafkaops import wiring
from kafkaops.config.faults import InvalidConfig
from kafkaops.config.loader import Loaded, load
from kafkaops.config.schema import Config
from kafkaops.engine.errors import ConfigError, Exit

Write = Callable[..., Path]
ALONE: dict[str, Any] = {"green": None, "mirror": None, "cutover": None}
SHA = "ab" * 64


def alone(write: Write, **more: Any) -> Loaded:
    return load(write({**ALONE, **more}), environ={})


def test_a_cluster_alone_is_a_config(write: Write) -> None:
    config = alone(write).config
    assert list(config.clusters) == ["blue"]
    assert [h.name for h in config.hosts] == ["blue-1", "blue-2"]
    assert [config.has(s) for s in ("green", "mirror", "cutover")] == [False] * 3


def test_a_pair_has_both(write: Write) -> None:
    config = load(write(), environ={}).config
    assert list(config.clusters) == ["blue", "green"]
    assert config.clusters["green"] is config.green
    assert len(config.hosts) == 4


@pytest.mark.parametrize("section", ["green", "mirror", "cutover"])
def test_what_is_not_there_says_so_when_it_is_asked_for(write: Write, section: str) -> None:
    config = alone(write).config
    with pytest.raises(ConfigError, match=f"the config has no `{section}`") as caught:
        getattr(config, section)
    assert (caught.value.code, caught.value.exit) == ("KO-CONFIG-NO-GREEN", Exit.CONFIG)


def test_what_is_not_there_is_shown_empty_and_read_back(write: Write) -> None:
    loaded = alone(write)
    assert ("green", None, "default") in loaded.values()
    dumped = loaded.config.model_dump(mode="json")
    assert dumped["cutover"] is None
    assert Config.model_validate(dumped) == loaded.config


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"green": None}, r"^green: is required and missing"),
        ({"cutover": None}, r"^cutover: is required and missing"),
        (
            {**ALONE, "clients": [{"name": "a", "moves": "follows-names"}]},
            r"clients\.0\.moves .*needs cutover",
        ),
        ({"versions": {"4.3.1": {"source": "k.tgz", "sha512": "12"}}}, r"4\.3\.1\.sha512 .*match"),
        ({"versions": {"4.3.1": {"source": "http://h/k.tgz", "sha512": SHA}}}, r"must be a file"),
        ({"versions": {"4.3.1": {"source": "s3://bucket", "sha512": SHA}}}, r"must be a file"),
        ({"versions": {"../x": {"source": "k.tgz", "sha512": SHA}}}, r"^versions\.\.\./x"),
        (
            {"versions": {"431": {"sorce": "k.tgz"}}},
            r"versions\.431\.sorce .*did you mean versions\.431\.source\?",
        ),
        ({"blue.install": {"directory": "opt/kafka"}}, r"install\.directory .*match"),
        ({"blue.install": {"directry": "/opt/kafka"}}, r"did you mean blue\.install\.directory\?"),
    ],
)
def test_faults(write: Write, changes: dict[str, Any], fault: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        load(write(changes), environ={})
    lines = [str(f) for f in caught.value.faults]
    assert any(re.search(fault, line) for line in lines), lines


def test_versions_and_where_they_are_installed(write: Write, tmp_path: Path) -> None:
    versions = {
        "4.3.1": {"source": "kafka/k.tgz", "sha512": SHA.upper()},
        "3.9.2": {"source": "s3://bucket/k.tgz", "sha512": SHA},
    }
    config = alone(write, versions=versions, **{"blue.install": {"owner": "kafka:kafka"}}).config
    assert config.versions["4.3.1"].source == str(tmp_path / "kafka" / "k.tgz")
    assert config.versions["4.3.1"].sha512 == SHA
    assert config.versions["3.9.2"].source == "s3://bucket/k.tgz"
    install = config.blue.install
    assert install is not None
    assert (install.directory, install.owner, install.java) == ("/opt/kafka", "kafka:kafka", "java")


def test_a_world_of_one_cluster_is_built(write: Write) -> None:
    world = wiring.build(alone(write).config, run_dir=None, say=print)
    assert world.clusters["blue"] is not None
    with pytest.raises(ConfigError, match="no `green`"):
        world.clusters["green"]
    assert set(world.hosts) == {"blue-1", "blue-2"}
    assert world.connect_command == ()
    with pytest.raises(ConfigError, match="no `cutover`"):
        world.names.records(("x",))
    with pytest.raises(ConfigError, match="no `mirror`"):
        world.connect["forward"]


def test_its_lease_is_its_own(write: Write, tmp_path: Path) -> None:
    lease = wiring.lease(alone(write).config, "run-1")
    try:
        assert [p.stem for p in (tmp_path / "state" / "leases").iterdir()] == ["old"]
    finally:
        lease.release()
