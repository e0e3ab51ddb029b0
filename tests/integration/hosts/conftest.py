"""Machines with real systemd and sshd, once for all, reached three ways."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kafkaops.adapters.host_command import CommandHost
from tests.integration.real_hosts import Machines, machines
from tests.integration.sample import turn

WAYS = [pytest.param(way, marks=turn(way)) for way in ("ssh", "ssm", "local")]


@pytest.fixture(scope="package")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    with machines(tmp_path_factory.mktemp("hosts")) as up:
        yield up


@pytest.fixture(scope="package", params=WAYS)
def host(request: pytest.FixtureRequest, found: Machines) -> CommandHost:
    made = {"ssh": found.ssh, "ssm": found.ssm, "local": found.local}[request.param]
    return made()
