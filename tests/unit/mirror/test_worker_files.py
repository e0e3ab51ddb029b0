"""What lies on the worker's host: logins and PEM files, for its owner alone."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from kafkaops.config.secrets import Secrets
from kafkaops.engine.clock import FakeClock
from kafkaops.engine.errors import ConfigError
from kafkaops.mirror import worker
from kafkaops.ports.host import Host
from tests.crash.fake_host import FakeHost
from tests.unit.mirror.test_mirror_config import LOGIN, cluster, made

SECRETS = Secrets(environ={"MIRROR_PASSWORD": "the mirror's"})


def started(ca_file: str) -> FakeHost:
    host = FakeHost("green-1", "10.0.0.1", FakeClock())
    own = LOGIN.model_copy(update={"ca_file": ca_file})
    config = made().model_copy(update={"blue": cluster("blue", own)})
    worker.start(cast(Host, host), config, "forward", ("java",), secrets=SECRETS)
    return host


def test_certificates_and_logins_are_copied_to_the_worker(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(b"-----BEGIN CERTIFICATE-----")
    host = started(str(tmp_path / "ca.pem"))
    where = "/var/lib/kafkaops/mirror/forward"
    assert host.files[f"{where}/blue-ca.pem"] == b"-----BEGIN CERTIFICATE-----"
    assert b'username="mirror"' in host.files[f"{where}/secrets.properties"]
    assert b"the mirror's" not in host.files[f"{where}/worker.properties"]
    assert host.services["mirror"]


def test_a_missing_certificate_is_told_and_nothing_started(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.pem cannot be read"):
        started(str(tmp_path / "none.pem"))
