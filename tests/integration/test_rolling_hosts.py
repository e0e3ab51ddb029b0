"""Three hosts with real systemd run Kafka as units; under load, kafkaops rolls them to another
version over real sshd and back over SSM, then there over SSM, and back over sshd."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import boto3
import pytest

from tests.integration.real_hosts import ContainerHost
from tests.integration.systemd_fleet import NEW, OLD, UNIT, Fleet, running, runs, under_load

pytestmark = pytest.mark.lab

BUCKET = "versions"
OVERRIDE = "/etc/systemd/system/kafka.service.d/override.conf"
AGENT = "[Service]\nExecStart=/bin/sleep 100000\n"
RUN = "[Service]\nType=oneshot\nExecStart=/bin/true\n"
TIMER = "[Timer]\nOnActiveSec=1h\nOnUnitActiveSec=1h\n"
AGENTS = ("agent.service", "chef.timer", "idle.service")
BEFORE = {"agent.service": "active", "chef.timer": "active", "idle.service": "inactive"}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with running(tmp_path_factory.mktemp("fleet")) as made:
        yield made


def batches(fleet: Fleet) -> int:
    """How many the newest run has had: each begins with one gate."""
    steps = fleet.kafkaops("ssh", "run", "show")["steps"]
    return sum(s["phase"] == "gate" and s["state"] == "done" for s in steps)


def starts(fleet: Fleet) -> list[int]:
    """How often each host's systemd has started the broker, by its journal."""
    told = [fleet.found.local(n).run(("journalctl", "-u", "kafka", "-o", "cat")) for n in range(3)]
    return [sum(line.startswith("Started ") for line in one.out.splitlines()) for one in told]


def test_to_the_new_version_over_ssh_and_back_over_ssm(fleet: Fleet) -> None:
    assert runs(fleet) == [OLD] * 3
    roll = ("upgrade", "--strategy", "rolling", "--to", NEW, "--soak", "0")
    refused = fleet.kafkaops("ssm", *roll, "--plan", expect=4)
    assert refused["error"]["code"] == "KO-VERSION-NOT-SENDABLE"
    plan = fleet.kafkaops("ssh", *roll, "--plan")["plan"]
    assert len([s for s in plan["specs"] if s["kind"] == "gate-open"]) == 3  # combined: one by one
    assert runs(fleet) == [OLD] * 3
    before = starts(fleet)
    with under_load(fleet):
        done = fleet.kafkaops("ssh", *roll, "--yes")
        assert done["outcome"] == "done"
        assert runs(fleet) == [NEW] * 3
        assert (batches(fleet), starts(fleet)) == (3, [n + 1 for n in before])
        shown = fleet.kafkaops("ssh", "health")
        assert {h["release"] for h in shown["clusters"][0]["hosts"]} == {NEW}
        back = fleet.kafkaops("ssm", "run", "rollback", "--yes")
    assert back["status"] == "rolled-back"
    assert runs(fleet) == [OLD] * 3
    assert starts(fleet) == [n + 2 for n in before]


def test_to_the_new_version_over_ssm_and_back_over_ssh(fleet: Fleet) -> None:
    """Each host fetches the tarball itself, by an address that is signed for it."""
    for n in range(3):
        gone = fleet.found.local(n).run(("rm", "-r", f"/opt/kafka/versions/{NEW}"))
        assert gone.code == 0, gone
    keys = {"aws_access_key_id": "lab", "aws_secret_access_key": "lab"}
    s3 = boto3.client("s3", endpoint_url=fleet.aws, region_name="us-east-1", **keys)
    s3.create_bucket(Bucket=BUCKET)
    s3.upload_file(str(fleet.new.path), BUCKET, "kafka.tgz")
    source = f"s3://{BUCKET}/kafka.tgz"
    roll = ("upgrade", "--strategy", "rolling", "--to", NEW, "--soak", "0", "--yes")
    before = starts(fleet)
    with under_load(fleet):
        done = fleet.kafkaops("ssm", *roll, source=source)
        assert done["outcome"] == "done"
        assert runs(fleet) == [NEW] * 3
        assert (batches(fleet), starts(fleet)) == (3, [n + 1 for n in before])
        back = fleet.kafkaops("ssh", "run", "rollback", "--yes", source=source)
    assert back["status"] == "rolled-back"
    assert runs(fleet) == [OLD] * 3


@pytest.fixture
def agents(fleet: Fleet) -> Iterator[None]:
    """On each host a service and a timer that run, and a service that does not."""
    for n in range(3):
        host = fleet.found.local(n)
        for name, text in (
            *(("agent.service", AGENT), ("idle.service", AGENT)),
            *(("chef.service", RUN), ("chef.timer", TIMER)),
        ):
            host.put(f"/etc/systemd/system/{name}", text.encode())
        host.units_reload()
        host.run(("systemctl", "start", "agent.service", "chef.timer"))
    fleet.held = {"agents": list(AGENTS), "agents_return": 25}
    assert states(fleet) == [BEFORE] * 3
    yield
    fleet.held = {}


def states(fleet: Fleet) -> list[dict[str, str]]:
    """By systemd itself, host by host."""
    return [one(fleet.found.local(n), AGENTS) for n in range(3)]


def one(host: ContainerHost, units: tuple[str, ...]) -> dict[str, str]:
    shown = host.run(("systemctl", "is-active", *units)).out.split()
    return dict(zip(units, shown, strict=True))


@contextmanager
def watched(fleet: Fleet) -> Iterator[dict[int, list[dict[str, str]]]]:
    """What the agents of each host did while its broker's unit was not active, before and after
    that look."""
    seen: dict[int, list[dict[str, str]]] = {n: [] for n in range(3)}
    over = threading.Event()

    def look(n: int) -> None:
        host = fleet.found.local(n)
        while not over.wait(0.05):
            found = one(host, ("kafka", *AGENTS, "kafka.service"))
            if "active" not in (found.pop("kafka"), found.pop("kafka.service")):
                seen[n].append(found)

    threads = [threading.Thread(target=look, args=(n,), daemon=True) for n in range(3)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        over.set()
        for thread in threads:
            thread.join(30)


def test_agents_do_not_run_while_the_broker_is_down_and_do_again_after(
    fleet: Fleet, agents: None
) -> None:
    with watched(fleet) as seen:
        done = fleet.kafkaops("ssm", "restart", "--yes", "--soak", "0")
    assert done["outcome"] == "done"
    assert all(seen.values()), seen
    stopped = dict.fromkeys(AGENTS, "inactive")
    assert [found for looks in seen.values() for found in looks if found != stopped] == []
    assert states(fleet) == [BEFORE] * 3
    assert not any(fleet.found.local(n).agents(AGENTS).armed for n in range(3))


def test_killed_the_host_starts_its_agents_by_itself_and_a_resume_holds_them_anew(
    fleet: Fleet, agents: None
) -> None:
    line = fleet.line("ssh", "restart", "--yes", "--soak", "0")
    carried = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 300
    while True:
        down = [n for n in range(3) if fleet.found.local(n).unit("kafka").active != "active"]
        if down:
            break
        assert carried.poll() is None, carried.communicate()[1][-4000:]
        assert time.monotonic() < deadline, "no broker was stopped within 300 s"
        time.sleep(0.1)
    carried.send_signal(signal.SIGKILL)
    carried.wait(30)
    host = fleet.found.local(down[0])
    assert one(host, AGENTS) == dict.fromkeys(AGENTS, "inactive")
    shown = fleet.kafkaops("ssh", "run", "show")
    assert any(host.name in line and "agent.service" in line for line in shown["held"])
    deadline = time.monotonic() + 120
    while one(host, AGENTS) != BEFORE:
        units = host.run(("systemctl", "status", "--no-pager", "kafkaops-agents-*")).out
        assert time.monotonic() < deadline, f"{host.agents(AGENTS)} {units}"
        time.sleep(0.5)
    with watched(fleet) as seen:
        fleet.kafkaops("ssh", "run", "resume", "--yes")
    stopped = dict.fromkeys(AGENTS, "inactive")
    others = [found for n, looks in seen.items() if n != down[0] for found in looks]
    assert others
    assert [found for found in others if found != stopped] == []
    assert states(fleet) == [BEFORE] * 3
    assert fleet.kafkaops("ssh", "health")["held"] == []


def test_only_the_host_whose_unit_was_changed_would_be_restarted(fleet: Fleet) -> None:
    host = fleet.found.local(1)
    pids = [fleet.found.local(n).unit("kafka").pid for n in range(3)]
    host.put("/etc/systemd/system/kafka.service", UNIT.replace("256m", "300m").encode())
    host.units_reload()
    shown = fleet.kafkaops("ssh", "restart", "--changed-config", "--plan", "--soak", "0")
    stopped = [s["args"]["host"] for s in shown["plan"]["specs"] if s["kind"] == "node-stopped"]
    assert stopped == [host.name]
    other = fleet.found.local(2)
    other.put(OVERRIDE, b"[Service]\nEnvironment=KAFKA_OPTS=-Dx=1\n")  # as `systemctl edit` does
    other.units_reload()
    shown = fleet.kafkaops("ssh", "restart", "--changed-config", "--plan", "--soak", "0")
    stopped = [s["args"]["host"] for s in shown["plan"]["specs"] if s["kind"] == "node-stopped"]
    assert sorted(stopped) == sorted((host.name, other.name))
    assert [fleet.found.local(n).unit("kafka").pid for n in range(3)] == pids
