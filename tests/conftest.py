"""Under CI nothing may be skipped: a test that lacks a tool there is a failure, not a blank.

Tests of real parts go in lanes, each in order, the lanes side by side (`make lab-test`): brokers of
the lab want every core, hosts with systemd mostly wait.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and os.environ.get("KAFKAOPS_CI") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped under CI: {report.longrepr}"
    return report


HOSTS = ("tests/integration/hosts/", "tests/integration/test_rolling_hosts.py")


@pytest.hookimpl(tryfirst=True)  # the lane's name is read by the plugin's own hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        lane = "hosts" if item.nodeid.startswith(HOSTS) else "brokers"
        if item.get_closest_marker("lab") is not None:
            item.add_marker(pytest.mark.xdist_group(lane))
