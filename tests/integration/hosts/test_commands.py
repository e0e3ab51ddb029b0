"""Commands and facts of a host with real systemd, and its firewall."""

from __future__ import annotations

import hashlib
import os
import time

import pytest

from kafkaops.adapters.host_command import CommandHost

pytestmark = pytest.mark.lab


def test_a_command_has_its_code_its_output_and_its_errors(host: CommandHost) -> None:
    ran = host.run(("sh", "-c", 'cat; echo "$1" >&2; exit 3', "sh", "it's $HOME"), stdin="in\n")
    assert (ran.code, ran.out, ran.err) == (3, "in\n", "it's $HOME\n")
    assert host.run(("no-such-program",)).code == 127
    assert host.run(("id", "-un")).out == "root\n"


def test_a_command_past_its_time_is_ended_on_the_host(host: CommandHost) -> None:
    begun = time.monotonic()
    ran = host.run(("sh", "-c", "echo $$; exec sleep 300"), timeout=1)
    assert ran.code == 124
    assert time.monotonic() - begun < 10
    assert host.run(("test", "-e", f"/proc/{ran.out.strip()}/fd")).code == 1


def test_output_is_read_to_its_end(host: CommandHost) -> None:
    ran = host.run(("sh", "-c", "seq 40000; seq 20000 >&2"))
    assert ran.out == "".join(f"{n}\n" for n in range(1, 40001))
    assert ran.err == "".join(f"{n}\n" for n in range(1, 20001))


def test_a_large_input_arrives_whole(host: CommandHost) -> None:
    text = "0123456789abcdef" * 20_000
    ran = host.run(("sha256sum",), stdin=text)
    assert ran.out.split()[0] == hashlib.sha256(text.encode()).hexdigest()


def test_clock_and_room(host: CommandHost) -> None:
    assert abs(host.now() - time.time()) < 5
    assert 1_000_000 < host.free("/small/not/there/yet") <= 4 * 1024 * 1024
    assert host.free("/opt") > 100_000_000
    host.run(("touch", "-d", "@1700000000.5", "/opt/dated"))
    assert host.changed("/opt/dated") == 1_700_000_000.5
    assert host.changed("/opt/undated") is None


def test_the_firewall_takes_all_of_a_script_or_nothing(host: CommandHost) -> None:
    table = f"ko_test_{os.getpid()}"
    assert host.firewall_show(table) is None
    refused = host.firewall(f"add table ip {table}\nadd rule ip {table} nowhere accept\n")
    assert refused.code != 0
    assert host.firewall_show(table) is None
    try:
        assert host.firewall(f"add table ip {table}\n").code == 0
        assert table in (host.firewall_show(table) or "")
    finally:
        host.firewall(f"delete table ip {table}\n")
