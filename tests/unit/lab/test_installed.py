"""Releases laid out and packed, and how a host's unit starts what is installed. Jars are fakes."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from kafkaops.engine.errors import ConfigError
from kafkaops.lab import archive, installed, kit, release
from kafkaops.lab.layout import Layout, Settings
from kafkaops.lab.unit_file import UnitFault
from tests.unit.lab import fake_kit

HOST = Settings(single=True).host("blue-1")
JAR = "kafka_2.13-4.3.1.jar"
JVM = ("-Xmx256m", "-XX:+UseSerialGC", "-Dx=*")


@pytest.fixture
def jars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kit of fakes."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return fake_kit.lay_out()


@pytest.fixture
def layout(jars: Path, tmp_path: Path) -> Layout:
    """A lab directory, with a blank in its name, in which blue-1 has 3.9.2 installed, and a `java`
    that says what it was told."""
    layout = Layout.of(tmp_path / "a lab")
    installed.prepare(layout, HOST, "3.9.2", "node.id=1\n", JVM)
    java = tmp_path / "jre" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text('#!/bin/sh\nprintf "%s\\n" "$CLASSPATH" "$@"\n')
    java.chmod(0o755)
    home = layout.host_root(HOST.name) / installed.JAVA_HOME
    home.unlink()
    home.symlink_to(tmp_path / "jre")
    return layout


def started(layout: Layout) -> list[str]:
    """The arguments that Java got, its class path first."""
    done = subprocess.run(
        installed.command(layout, HOST.name),
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
        env={**os.environ, "KAFKA_OPTS": "-Dfrom=outside"},
    )
    return done.stdout.splitlines()


def test_a_host_starts_what_its_link_names(layout: Layout) -> None:
    root = layout.host_root("blue-1")
    classpath, *arguments = started(layout)
    home = f"{root}/opt/kafka/current/bin/.."
    jars = [Path(jar).name for jar in kit.classpath("3.9.2").split(":")]
    assert classpath == ":".join(f"{home}/libs/{jar}" for jar in jars)
    assert "kafka_2.13-3.9.2.jar" in jars
    assert arguments == [
        "-Xmx256m",
        "-XX:+UseSerialGC",
        "-Dx=*",
        "-Dkafkaops.host=blue-1",
        f"-Dlog4j.configuration=file:{home}/config/log4j.properties",
        "kafka.Kafka",
        f"{root}/etc/kafka/server.properties",
    ]


def test_a_switched_link_and_a_changed_unit_count_from_the_next_start(
    layout: Layout, tmp_path: Path
) -> None:
    root = layout.host_root("blue-1")
    current = root / "opt/kafka/current"
    release.install("4.3.1", root / "opt/kafka/versions/4.3.1")
    current.unlink()
    current.symlink_to("versions/4.3.1")
    unit = root / "etc/systemd/system/kafka.service"
    own = root / "etc/kafka/log.properties"
    own.touch()
    unit.write_text(
        unit.read_text().replace(
            "ExecStart", f"Environment=KAFKA_LOG4J_OPTS=-Dlog=file:/etc/kafka/{own.name}\nExecStart"
        )
    )
    text = "\n".join(started(layout))
    assert "kafka_2.13-4.3.1.jar" in text
    # A path of the host, though it stands in the middle of an option; blanks part options.
    assert "\n-Dlog=file:" + str(own).partition(" ")[0] in text
    assert "log4j2.properties" not in text


def test_each_version_starts_with_its_own_class_archive_if_there_is_one(layout: Layout) -> None:
    archive.directory().mkdir()
    archive.path("4.3.1").touch()
    assert not any("SharedArchiveFile" in word for word in started(layout))
    root = layout.host_root("blue-1")
    release.install("4.3.1", root / "opt/kafka/versions/4.3.1")
    (root / "opt/kafka/current").unlink()
    (root / "opt/kafka/current").symlink_to("versions/4.3.1")
    assert f"-XX:SharedArchiveFile={archive.path('4.3.1')}" in started(layout)


def test_what_cannot_be_started_is_refused(layout: Layout) -> None:
    root = layout.host_root("blue-1")
    (root / "opt/kafka/current").unlink()
    with pytest.raises(UnitFault, match=r"there is no /opt/kafka/current/bin/.* \(203/EXEC\)"):
        installed.command(layout, "blue-1")


def test_jars_are_links_to_the_kits_or_copies_on_another_file_system(
    jars: Path, tmp_path: Path
) -> None:
    own = jars / "4.3.1" / JAR
    release.install("4.3.1", tmp_path / "linked")
    assert (tmp_path / "linked" / "libs" / JAR).samefile(own)
    with TemporaryDirectory(dir="/dev/shm") as other:
        assert Path(other).stat().st_dev != own.stat().st_dev
        release.install("4.3.1", Path(other) / "copied")
        copy = Path(other) / "copied" / "libs" / JAR
        assert copy.read_text() == f"{JAR} of 4.3.1"
        assert not copy.samefile(own)
        assert copy.stat().st_mtime == own.stat().st_mtime == 0


def test_a_release_packs_to_the_same_bytes_and_unpacks_to_what_is_laid_out(
    jars: Path, tmp_path: Path
) -> None:
    first = release.pack("4.3.1", tmp_path / "one")
    for jar in (jars / "4.3.1").glob("*.jar"):
        jar.chmod(0o600)
    second = release.pack("4.3.1", tmp_path / "two")
    assert first.path.read_bytes() == second.path.read_bytes()
    assert first.path.name == "kafka_2.13-4.3.1.tgz"
    assert first.sha512 == hashlib.sha512(first.path.read_bytes()).hexdigest()
    beside = first.path.with_name("kafka_2.13-4.3.1.tgz.sha512")
    assert beside.read_text() == f"{first.sha512}  {first.path.name}\n"
    assert sorted(p.name for p in first.path.parent.iterdir()) == [first.path.name, beside.name]

    with tarfile.open(first.path) as tar:
        tar.extractall(tmp_path / "out", filter="data")
    release.install("4.3.1", tmp_path / "laid-out")
    top = tmp_path / "out" / "kafka_2.13-4.3.1"
    assert contents(top) == contents(tmp_path / "laid-out")
    assert os.access(top / "bin/kafka-server-start.sh", os.X_OK)
    assert (top / "config").is_dir()
    assert not (top / "config/log4j.properties").exists()


def contents(directory: Path) -> dict[str, str]:
    files = (p for p in directory.rglob("*") if p.is_file())
    return {str(p.relative_to(directory)): p.read_text() for p in files}


def test_a_tarball_that_cannot_be_written_is_an_error_of_its_own(
    jars: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot write") as caught:
        release.pack("4.3.1", tmp_path / "file")
    assert caught.value.code == "KO-LAB-PACK"


def test_the_start_script_wants_its_properties(layout: Layout) -> None:
    script = layout.host_root("blue-1") / "opt/kafka/current/bin/kafka-server-start.sh"
    done = subprocess.run([str(script)], capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, "SERVER.PROPERTIES" in done.stderr) == (2, True)
