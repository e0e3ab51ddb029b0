"""The SSM adapter, through boto3, on the lab's strict SSM, whose agent runs a real shell here."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from kafkaops.adapters import host_scripts, host_ssm
from kafkaops.adapters.host_ssm import SsmHost
from kafkaops.config.schema import Aws
from kafkaops.engine.clock import FakeClock
from kafkaops.engine.errors import ConfigError, StepFailed, Unreachable
from kafkaops.lab.front import Front
from kafkaops.lab.route53 import Zone
from kafkaops.lab.route53_rest import Api as Route53Api
from kafkaops.lab.ssm import MAX_ERR, MAX_OUT, Commands
from kafkaops.lab.ssm_rest import Api


class Here:
    """An agent: a real shell on this machine, its directory under the test's own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ran: list[str] = []
        self.again = False

    def run(self, script: str, timeout: int) -> tuple[int, bytes, bytes]:
        self.ran.append(script)
        moved = script.replace(host_scripts.SSM_DIR, str(self.directory))
        if "hang" in script:
            return 137, b"", b""
        for _ in range(2 if self.again else 1):
            done = subprocess.run(["sh", "-c", moved], capture_output=True, check=False)
        return done.returncode, done.stdout, done.stderr


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def agent(tmp_path: Path) -> Here:
    return Here(tmp_path / "ssm")


@pytest.fixture
def front(agent: Here, clock: FakeClock) -> Iterator[Front]:
    commands = Commands({"i-1": agent}, clock, spawn=lambda work: work(), taken=0.0)
    zone = Zone("kafka.lab.", "Z0LAB")
    front = Front(Route53Api(zone), ("127.0.0.1", 0), ("127.0.0.1", 9), Api(commands))
    front.start()
    yield front
    front.server.shutdown()
    front.server.server_close()


@pytest.fixture
def client(front: Front) -> Any:
    return boto3.client(
        "ssm",
        endpoint_url=f"http://127.0.0.1:{front.server.server_port}",
        region_name="eu-west-1",
        aws_access_key_id="lab",
        aws_secret_access_key="lab",
        config=Config(retries={"total_max_attempts": 1}, proxies={}),
    )


@pytest.fixture
def host(client: Any, clock: FakeClock) -> SsmHost:
    return SsmHost("b1", "127.0.0.1", instance="i-1", aws=Aws(), ssm=client, clock=clock)


def send(client: Any, *lines: str, **more: Any) -> str:
    given = {"commands": list(lines), **more.pop("parameters", {})}
    sent = client.send_command(
        InstanceIds=["i-1"], DocumentName="AWS-RunShellScript", Parameters=given, **more
    )
    return str(sent["Command"]["CommandId"])


# -- the lab's SSM --------------------------------------------------------------------------------


def test_an_invocation_does_not_exist_at_once_and_its_output_is_cut(
    client: Any, clock: FakeClock
) -> None:
    command = send(client, "seq 20000", "seq 5000 >&2", "exit 3")
    with pytest.raises(ClientError, match="InvocationDoesNotExist"):
        client.get_command_invocation(CommandId=command, InstanceId="i-1")
    clock.sleep(1)
    answer = client.get_command_invocation(CommandId=command, InstanceId="i-1")
    assert (answer["Status"], answer["ResponseCode"]) == ("Failed", 3)
    assert len(answer["StandardOutputContent"]) == MAX_OUT
    assert answer["StandardOutputContent"].endswith("truncated---")
    assert len(answer["StandardErrorContent"]) == MAX_ERR


def test_time_limits(client: Any, front: Front, clock: FakeClock) -> None:
    killed = send(client, "hang", parameters={"executionTimeout": ["5"]})
    front.ssm.commands.lost = frozenset({"i-1"})
    lost = send(client, "true", TimeoutSeconds=30)
    clock.sleep(29)
    seen = [client.get_command_invocation(CommandId=c, InstanceId="i-1") for c in (killed, lost)]
    assert [s["StatusDetails"] for s in seen] == ["ExecutionTimedOut", "Pending"]
    clock.sleep(2)
    seen = [client.get_command_invocation(CommandId=lost, InstanceId="i-1")]
    assert [(s["Status"], s["StatusDetails"]) for s in seen] == [("TimedOut", "DeliveryTimedOut")]


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"TimeoutSeconds": 29}, "min value: 30"),
        ({"parameters": {"executionTimeout": ["0"]}}, "InvalidParameters"),
        ({"parameters": {"nonsense": ["0"]}}, "InvalidParameters"),
        ({"parameters": {"commands": ["x" * 65536]}}, "MaxDocumentSizeExceeded"),
        ({"Comment": "x" * 101}, "Comment|comment"),
    ],
)
def test_what_aws_refuses(client: Any, agent: Here, more: dict[str, Any], code: str) -> None:
    with pytest.raises(Exception, match=code):
        send(client, "true", **more)
    assert agent.ran == []


def test_without_hosts_nothing_is_a_success() -> None:
    front = Front(Route53Api(Zone("kafka.lab.", "Z0LAB")), ("127.0.0.1", 0), ("127.0.0.1", 9))
    front.server.server_close()
    body = b'{"InstanceIds": ["i-1"], "DocumentName": "AWS-RunShellScript"'
    status, answer = front.ssm.handle(
        "AmazonSSM.SendCommand", body + b', "Parameters": {"commands": ["true"]}}'
    )
    assert status == 400
    assert b"InvalidInstanceId" in answer


# -- the adapter ----------------------------------------------------------------------------------


def test_output_and_errors_are_read_to_the_end(host: SsmHost, agent: Here) -> None:
    noise = os.urandom(40_000)
    (agent.directory.parent / "noise").write_bytes(noise)
    code, out, err = host.execute(
        (
            "sh",
            "-c",
            'cat "$1"; head -c 9000 "$1" >&2; exit 7',
            "sh",
            str(agent.directory.parent / "noise"),
        ),
        b"",
        30.0,
    )
    assert (code, out, err) == (7, noise, noise[:9000])
    assert len(agent.ran) == 1 + 2 + 1


def test_a_large_input_goes_there_in_chunks(host: SsmHost, agent: Here) -> None:
    data = os.urandom(3 * host_ssm.CHUNK + 5)
    assert host.execute(("cat",), data, 30.0) == (0, data, b"")
    chunks = [s for s in agent.ran if "seek_bytes" in s]
    assert len(chunks) == 4
    assert max(map(len, agent.ran)) < 64 * 1024


def test_a_command_that_is_delivered_twice_runs_once(
    host: SsmHost, agent: Here, tmp_path: Path
) -> None:
    agent.again = True
    file = tmp_path / "count"
    code, out, _ = host.execute(("sh", "-c", 'cat >> "$1"; cat "$1"', "sh", str(file)), b"x", 30)
    assert (code, out) == (0, b"x")
    assert file.read_bytes() == b"x"


def test_each_refusal_has_its_own_error(host: SsmHost, front: Front, clock: FakeClock) -> None:
    commands = front.ssm.commands
    commands.offline = frozenset({"i-1"})
    with pytest.raises(Unreachable, match="offline") as offline:
        host.run(("true",))
    assert offline.value.code == "KO-SSM-OFFLINE"
    commands.offline, commands.lost = frozenset(), frozenset({"i-1"})
    begun = clock.monotonic()
    with pytest.raises(Unreachable, match="never ran") as lost:
        host.run(("true",))
    assert lost.value.code == "KO-SSM-UNDELIVERED"
    assert clock.monotonic() - begun < 60
    commands.lost = frozenset()
    with pytest.raises(Unreachable, match="ran out of time"):
        host.run(("hang",))
    front.ssm.denied = frozenset({"ssm:GetCommandInvocation"})
    with pytest.raises(ConfigError, match="denies ssm:GetCommandInvocation"):
        host.run(("true",))
    front.ssm.denied = frozenset()
    with pytest.raises(StepFailed, match="too long"):
        host.run(("echo", "x" * 70_000))


def test_throttling_is_waited_out_but_not_for_ever(host: SsmHost, front: Front) -> None:
    front.ssm.commands.throttle = host_ssm.TRIES - 1
    assert host.run(("echo", "a")).out == "a\n"
    front.ssm.commands.throttle = 10**6
    with pytest.raises(StepFailed, match="ThrottlingException"):
        host.run(("echo", "a"))


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "kafkaops 0 5 0\n",
        "kafkaops 0 5 0\n####\n\n",
        "kafkaops 0 900 0\nAAAA\n\n",
        "Last login\n",
    ],
)
def test_output_that_is_not_whole_is_never_taken(answer: str) -> None:
    class Answers:
        ids = itertools.count()

        def send_command(self, **_: Any) -> dict[str, Any]:
            return {"Command": {"CommandId": str(next(self.ids))}}

        def get_command_invocation(self, **_: Any) -> dict[str, Any]:
            return {"Status": "Success", "StandardOutputContent": answer}

    host = SsmHost("b1", "", instance="i-1", aws=Aws(), ssm=Answers(), clock=FakeClock())
    with pytest.raises(StepFailed, match="not whole"):
        host.run(("true",))
