"""Machines with real systemd and sshd, once for all, reached three ways."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kafkaops.adapters.host_command import CommandHost
from tests.integration.real_hosts import Machines, machines


@pytest.fixture(scope="package")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    with machines(tmp_path_factory.mktemp("hosts")) as up:
        yield up


@pytest.fixture(scope="package", params=["ssh", "ssm", "local"])
def host(request: pytest.FixtureRequest, found: Machines) -> CommandHost:
    made = {"ssh": found.ssh, "ssm": found.ssm, "local": found.local}[request.param]
    return made()
