"""Where ssh keeps its sockets. Connections themselves: tests/integration/hosts/test_ways.py."""

from __future__ import annotations

from pathlib import Path

from kafkaops.adapters.host_ssh import MAX_DIRECTORY, control_directory


def test_a_directory_that_a_socket_fits_into_is_used() -> None:
    assert control_directory("/var/lib/kafkaops/ssh") == Path("/var/lib/kafkaops/ssh")
    deepest = "/" + "d" * (MAX_DIRECTORY - 1)
    assert control_directory(deepest) == Path(deepest)


def test_a_deeper_one_gets_a_short_one_of_its_own() -> None:
    one, two = (control_directory(f"/{c * MAX_DIRECTORY}") for c in "ab")
    assert one != two
    assert len(str(one)) <= MAX_DIRECTORY
