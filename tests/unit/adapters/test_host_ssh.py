"""Where ssh keeps its sockets. Connections themselves: tests/integration/hosts/test_ways.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from kafkaops.adapters.host_ssh import MAX_DIRECTORY, SshHost, control_directory
from kafkaops.engine.errors import ConfigError

LOGIN = """\
#!/bin/sh
# what sshd does with the last word; sudo is there, and asks for nothing
for line; do :; done
sudo() { shift 2; "$@"; }
eval "echo Welcome to %s; $line"
"""


def test_a_directory_that_a_socket_fits_into_is_used() -> None:
    assert control_directory("/var/lib/kafkaops/ssh") == Path("/var/lib/kafkaops/ssh")
    deepest = "/" + "d" * (MAX_DIRECTORY - 1)
    assert control_directory(deepest) == Path(deepest)


def test_a_deeper_one_gets_a_short_one_of_its_own() -> None:
    one, two = (control_directory(f"/{c * MAX_DIRECTORY}") for c in "ab")
    assert one != two
    assert len(str(one)) <= MAX_DIRECTORY


def test_a_shell_that_greets_is_told_before_its_greeting_gets_into_a_file(tmp_path: Path) -> None:
    ssh = tmp_path / "ssh"
    ssh.write_text(LOGIN % "blue-1")
    ssh.chmod(0o755)
    file = tmp_path / "server.properties"
    file.write_text("node.id=1\n")
    host = SshHost("blue-1", "127.0.0.1", control_dir=str(tmp_path), program=str(ssh))
    with pytest.raises(ConfigError) as caught:
        host.read(str(file))
    assert caught.value.code == "KO-HOST-NOISE"
    assert "'Welcome to blue-1'" in caught.value.message
