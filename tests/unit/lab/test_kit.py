"""No jar is handed out that is not the listed one; the mirror is a real server on loopback."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import pytest

from kafkaops.engine.errors import ConfigError
from kafkaops.lab import jar_list, kit

JARS = {
    "/org/a/one/1.0/one-1.0.jar": b"one's content",
    "/org/a/two/2.0/two-2.0.jar": b"two's content",
}


class Mirror(BaseHTTPRequestHandler):
    """A repository with two jars; counts what it hands out."""

    served: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        content = JARS.get(self.path)
        if content is not None:
            self.served.append(self.path)
        self.send_response(200 if content is not None else 404)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        self.wfile.write(content or b"")

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The list under test, an empty cache, and the mirror set in jgo's own settings file."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Mirror)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    Mirror.served.clear()
    (tmp_path / ".config").mkdir()
    settings = f"[repositories]\nmirror = http://127.0.0.1:{server.server_port}\n"
    (tmp_path / ".config" / "jgo.conf").write_text(settings)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for proxy in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(proxy, raising=False)
    entries = [
        {"coordinate": f"org.a:{name}:{version}", "sha256": hashlib.sha256(content).hexdigest()}
        for (name, version), content in zip(
            (("one", "1.0"), ("two", "2.0")), JARS.values(), strict=True
        )
    ]
    (tmp_path / "jars.json").write_text(json.dumps({"9.9.9": entries}))
    yield tmp_path / "jars.json"
    server.shutdown()
    server.server_close()


def test_jars_are_fetched_once_and_told(listed: Path) -> None:
    said: list[str] = []
    parts = kit.classpath("9.9.9", said.append, listed).split(":")
    assert [Path(p).read_bytes() for p in parts] == list(JARS.values())
    assert said[0] == "fetching Kafka 9.9.9: 2 jars"
    assert "2 of 2 jars" in said[-1]
    kit.classpath("9.9.9", listing=listed)
    assert len(Mirror.served) == 2


def test_a_jar_that_changed_is_refused_and_not_kept(listed: Path) -> None:
    lists = json.loads(listed.read_text())
    lists["9.9.9"][1]["sha256"] = "0" * 64
    listed.write_text(json.dumps(lists))
    with pytest.raises(ConfigError, match=r"org\.a:two:2\.0 is not the file") as caught:
        kit.classpath("9.9.9", listing=listed)
    assert caught.value.code == "KO-LAB-JAR-CHANGED"
    assert not (kit.cache() / "9.9.9" / "two-2.0.jar").exists()
    assert not (kit.cache() / "9.9.9" / "ready.json").exists()


def test_a_torn_or_stray_file_is_replaced(listed: Path) -> None:
    first = kit.fetch("9.9.9", listing=listed)
    (first / "one-1.0.jar").write_bytes(b"torn")
    (first / "zero-0.1.jar").write_bytes(b"not ours")
    again = kit.fetch("9.9.9", listing=listed)
    assert (again / "one-1.0.jar").read_bytes() == b"one's content"
    assert not (again / "zero-0.1.jar").exists()
    assert len(Mirror.served) == 3


def test_jars_have_the_times_that_a_tarball_gives_them(listed: Path) -> None:
    """Or no class-data archive of theirs fits those that were unpacked. Also in an older kit."""
    first = kit.fetch("9.9.9", listing=listed) / "one-1.0.jar"
    assert first.stat().st_mtime == 0
    os.utime(first, (5, 5))
    kit.fetch("9.9.9", listing=listed)
    assert first.stat().st_mtime == 0
    assert len(Mirror.served) == 2


def test_a_version_without_list_names_those_with(listed: Path) -> None:
    with pytest.raises(ConfigError, match=r"1\.2\.3 \(there are 9\.9\.9\)") as caught:
        kit.classpath("1.2.3", listing=listed)
    assert caught.value.hint == "python -m kafkaops.lab.kit record 1.2.3"


def test_the_list_that_ships_is_whole() -> None:
    lists = json.loads(jar_list.LIST.read_text())
    assert {"3.9.2", "4.3.1", kit.ECJ} <= set(lists)
    for version, entries in lists.items():
        coordinates = [entry["coordinate"] for entry in entries]
        assert len({c.rsplit(":", 1)[0] for c in coordinates}) == len(coordinates), version
        assert all(len(bytes.fromhex(entry["sha256"])) == 32 for entry in entries)
        if not version.startswith("ecj"):
            assert f"org.apache.kafka:kafka-clients:{version}" in coordinates
            assert f"org.apache.kafka:connect-mirror:{version}" in coordinates
