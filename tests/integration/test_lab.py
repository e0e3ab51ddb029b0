"""The lab itself, real: brokers, DNS, firewall, emulated AWS, entering, and ending for sure."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kafkaops.lab import control
from kafkaops.lab.enter import run_inside
from kafkaops.lab.layout import Layout

pytestmark = pytest.mark.lab

WAIT = 60.0


def kafkaops(*argv: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-c", "from kafkaops.cli.main import main; main()", *argv]
    done = subprocess.run(line, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == code, f"{argv}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def up(directory: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return kafkaops("lab", "up", "--dir", str(directory), "-o", "json", *options)


def inside(directory: Path, script: str) -> str:
    """Run Python inside the lab with `lab` (its directory) defined; what it printed."""
    text = f"lab = {str(directory)!r}\n{textwrap.dedent(script)}"
    process = run_inside(
        directory, [sys.executable, "-c", text], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return str(out)


def until(what: str, done: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + WAIT
    while not (found := done()):
        assert time.monotonic() < deadline, f"{what}: not in {WAIT:.0f} s"
        time.sleep(0.1)
    return found


def processes_of(directory: Path) -> list[str]:
    """Command lines on this machine that name the directory, this test's own aside."""
    found = []
    for proc in Path("/proc").glob("[0-9]*"):
        try:
            line = (proc / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(directory) in line and int(proc.name) != os.getpid():
            found.append(f"{proc.name} {line}")
    return found


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    directory = tmp_path_factory.mktemp("lab") / "lab"
    up(directory)
    yield directory
    kafkaops("lab", "down", "--dir", str(directory))
    assert processes_of(directory) == []


def process(lab: Path, name: str) -> dict[str, Any]:
    return control.call(Layout.of(lab).socket, "service", name=name)


def test_up_again_says_so_and_changes_nothing(lab: Path) -> None:
    before = control.call(Layout.of(lab).socket, "status")["processes"]
    done = up(lab)
    assert "already up" in done.stderr
    after = json.loads(done.stdout)["processes"]
    assert [p["pid"] for p in after] == [p["pid"] for p in before]
    refused = kafkaops("lab", "up", "--dir", str(lab), "--brokers", "1", code=5)
    assert "another lab is up in this directory" in refused.stderr


def test_clients_find_blue_by_name_and_green_by_address(lab: Path) -> None:
    out = inside(
        lab,
        """
        from confluent_kafka import Consumer, Producer
        from confluent_kafka.admin import AdminClient, NewTopic
        import json
        found = {}
        starts = {"blue": "bootstrap.kafka.lab:9092", "green": "127.0.2.1:9094"}
        for colour, bootstrap in starts.items():
            admin = AdminClient({"bootstrap.servers": bootstrap})
            for f in admin.create_topics([NewTopic("t", 3)]).values():
                f.result()
            got = []
            producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True})
            for i in range(100):
                producer.produce("t", str(i), on_delivery=lambda e, m: got.append(e))
            producer.flush(30)
            meta = admin.list_topics(timeout=10)
            found[colour] = {
                "acknowledged": sum(e is None for e in got),
                "brokers": sorted(f"{b.host}:{b.port}" for b in meta.brokers.values()),
                "rf": {len(p.replicas) for p in meta.topics["t"].partitions.values()}.pop(),
                "cluster": meta.cluster_id,
            }
        print(json.dumps(found))
        """,
    )
    found = json.loads(out)
    assert found["blue"]["acknowledged"] == found["green"]["acknowledged"] == 100
    assert found["blue"]["brokers"] == [f"b{n}.kafka.lab:9092" for n in (1, 2, 3)]
    assert found["green"]["brokers"] == [f"127.0.2.{n}:9094" for n in (1, 2, 3)]
    assert found["blue"]["rf"] == 3
    assert found["blue"]["cluster"] != found["green"]["cluster"]


def test_names_follow_route53_once_in_sync(lab: Path) -> None:
    socket = Layout.of(lab).socket
    with pytest.raises(control.LabRefused, match="no option"):
        control.call(socket, "set", sync=1)
    control.call(socket, "set", insync_delay=60)
    script = """
        import boto3, socket, subprocess
        route53 = boto3.client("route53")
        def record(ttl, *values):
            return {"Name": "x.kafka.lab", "Type": "A", "TTL": ttl,
                    "ResourceRecords": [{"Value": v} for v in values]}
        def change(*changes):
            batch = {"Changes": [{"Action": a, "ResourceRecordSet": r} for a, r in changes]}
            return route53.change_resource_record_sets(
                HostedZoneId="Z0LAB", ChangeBatch=batch)["ChangeInfo"]
        def look():
            try:
                return sorted({a[4][0] for a in socket.getaddrinfo("x.kafka.lab", 1)})
            except socket.gaierror:
                return None
    """
    first = inside(
        lab,
        script
        + """
        info = change(("CREATE", record(7, "127.0.1.9", "127.0.2.9")))
        print(info["Status"], info["Id"], look())
        """,
    )
    status, change_id, seen = first.split(maxsplit=2)
    assert (status, seen.strip()) == ("PENDING", "None")
    control.call(socket, "set", insync_delay=0)
    second = inside(
        lab,
        script
        + f"""
        import dns.resolver
        print(route53.get_change(Id={change_id!r})["ChangeInfo"]["Status"], look())
        for tcp in (False, True):
            print(dns.resolver.resolve("x.kafka.lab", "A", tcp=tcp).rrset.ttl)
        change(("DELETE", record(7, "127.0.2.9", "127.0.1.9")))
        print(look())
        """,
    )
    assert second.splitlines() == ["INSYNC ['127.0.1.9', '127.0.2.9']", "7", "7", "None"]
    control.call(socket, "set", insync_delay=2)


def test_nothing_reaches_out_and_state_is_kept_in_s3(lab: Path) -> None:
    out = inside(
        lab,
        """
        import boto3, socket
        with socket.socket() as s:
            s.settimeout(2)
            try:
                s.connect(("192.0.2.1", 80))
            except OSError as error:
                print(error.errno)
        s3 = boto3.client("s3")
        s3.put_object(Bucket="kafkaops-state", Key="lease", Body=b"me", IfNoneMatch="*")
        try:
            s3.put_object(Bucket="kafkaops-state", Key="lease", Body=b"you", IfNoneMatch="*")
        except s3.exceptions.ClientError as error:
            print(error.response["Error"]["Code"])
        """,
    )
    assert out.splitlines() == ["101", "PreconditionFailed"]  # ENETUNREACH


@pytest.mark.parametrize(("threads", "starts"), [(0, 1), (1, 2)])
def test_entering_keeps_the_process_and_its_directory(
    lab: Path, tmp_path: Path, threads: int, starts: int
) -> None:
    """In this very process where it has one thread; else the program begins anew, inside."""
    script = tmp_path / "enter.py"
    script.write_text(
        "import os, sys, threading\n"
        "from kafkaops.lab.enter import enter\n"
        "print(os.getpid(), flush=True)\n"
        "for _ in range(int(sys.argv[3])):\n"
        "    threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        "enter(sys.argv[1])\n"
        "resolver = open('/etc/resolv.conf').read().split()[1]\n"
        "print(os.getpid(), os.getcwd(), resolver, sys.argv[2])\n"
        "print(os.readlink('/proc/self/ns/net'), os.environ['AWS_SECRET_ACCESS_KEY'])\n"
        "os.system('nft list ruleset > /dev/null && ip -br link show lo')\n"
    )
    done = subprocess.run(
        [sys.executable, str(script), str(lab), "a b", str(threads)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
        check=True,
        env={**os.environ, "AWS_SECRET_ACCESS_KEY": "the operator's own"},
    )
    *begun, after, world, link = done.stdout.splitlines()
    assert len(begun) == starts
    assert {after} == {f"{pid} {tmp_path} 127.0.0.1 a b" for pid in begun}
    network, secret = world.split()
    supervisor = control.listener_pid(Layout.of(lab).socket)
    assert network == os.readlink(f"/proc/{supervisor}/ns/net")
    assert secret == "lab"
    assert link.startswith("lo")


def test_a_shell_in_the_lab_has_its_environment_and_tells_its_code(lab: Path) -> None:
    shell = kafkaops("lab", "shell", "--dir", str(lab), "--", "env")
    assert "AWS_SECRET_ACCESS_KEY=lab" in shell.stdout
    assert (
        kafkaops("lab", "shell", "--dir", str(lab), "--", "sh", "-c", "exit 3", code=3).stdout == ""
    )


def test_a_hosts_service_lives_in_the_lab_and_is_started_again(lab: Path) -> None:
    host = """
        from kafkaops.adapters.host_lab import LabHost
        host = LabHost("green-1", "127.0.2.1", lab)
    """
    inside(
        lab,
        host
        + """
        argv = ("sh", "-c", "echo $WHO >> seen; exec sleep 1000")
        host.service_start("mirror", argv, env={"WHO": "me"}, log="mirror.log")
        host.service_start("mirror", argv, env={"WHO": "again"}, log="mirror.log")
        """,
    )
    first = process(lab, "green-1/mirror")
    assert first["active"]
    assert (Layout.of(lab).host("green-1") / "seen").read_text() == "me\n"
    os.kill(first["pid"], signal.SIGKILL)
    until(
        "the service started again",
        lambda: process(lab, "green-1/mirror")["pid"] not in (0, first["pid"]),
    )
    out = inside(
        lab,
        host
        + """
        host.service_stop("mirror", timeout=10)
        host.service_stop("none", timeout=10)
        print(host.service("mirror"), host.service("none").active)
        """,
    )
    assert "active=False" in out
    assert out.split()[-1] == "False"


def test_a_broker_killed_comes_back_with_its_boot_rules(lab: Path) -> None:
    socket = Layout.of(lab).socket
    killed = control.call(socket, "kill", name="blue-3/kafka", signal="KILL")
    assert (killed["active"], killed["exit_code"]) == (False, -9)
    out = inside(
        lab,
        """
        import time
        from kafkaops.adapters.host_lab import LabHost
        host = LabHost("blue-3", "127.0.1.3", lab)
        rules = "table ip boot {}\\nflush table ip boot\\n"
        rules += "table ip boot { set s { type ipv4_addr; elements = { 127.0.1.3 }; }; }\\n"
        host.put("/etc/nftables.d/boot.nft", rules.encode())
        print(host.firewall_show("boot"), host.service("kafka").active)
        host.service_start("kafka", ["ignored"], env={}, log="")
        print("127.0.1.3" in host.firewall_show("boot"), host.service("kafka").active)
        host.firewall("delete table ip boot")
        assert host.firewall("nonsense").code != 0
        assert abs(host.now() - time.time()) < 5
        """,
    )
    assert out.splitlines() == ["None False", "True True"]
    (Layout.of(lab).boot_rules("blue-3") / "boot.nft").unlink()
    count = """
        from confluent_kafka.admin import AdminClient
        admin = AdminClient({"bootstrap.servers": "127.0.1.3:9094"})
        try:
            print(len(admin.list_topics(timeout=5).brokers))
        except Exception as error:
            print(error)
    """
    until("the broker is back", lambda: inside(lab, count).strip() == "3")


def test_a_paused_broker_stands_still(lab: Path) -> None:
    socket = Layout.of(lab).socket
    assert control.call(socket, "kill", name="blue-2/kafka", signal="STOP")["paused"]
    pid = process(lab, "blue-2/kafka")["pid"]
    stat = Path(f"/proc/{pid}/stat")  # the signal is sent; that the process took it comes after
    until("it stands still", lambda: stat.read_text().rsplit(")", 1)[1].split()[0] == "T")
    assert not control.call(socket, "kill", name="blue-2/kafka", signal="CONT")["paused"]


def test_logs_by_name(lab: Path) -> None:
    done = kafkaops("lab", "logs", "green-1/kafka", "--dir", str(lab), "-n", "100000")
    assert "Kafka Server started" in done.stdout
    wrong = kafkaops("lab", "logs", "green-9/kafka", "--dir", str(lab), code=2)
    assert "green-1/kafka" in wrong.stderr


@pytest.mark.parametrize("victim", ["supervisor", "launcher", "directory"])
def test_two_labs_at_once_and_the_end_of_one_leaves_nothing(
    lab: Path, tmp_path: Path, victim: str
) -> None:
    other = tmp_path / "other"
    up(other, "--brokers", "1", "--green-names", "alt")
    pid = control.listener_pid(Layout.of(other).socket)
    assert pid is not None
    inside(other, "import socket; socket.create_connection(('g1.kafka.lab', 9092), 5)")
    if victim == "launcher":
        # unshare is the parent of the namespace's first process, which is the supervisor's.
        for _ in range(2):
            status = Path(f"/proc/{pid}/status").read_text()
            pid = int(status.split("PPid:")[1].split()[0])
    if victim == "directory":
        shutil.rmtree(other, ignore_errors=True)
    else:
        os.kill(pid, signal.SIGKILL)
    until("everything of the killed lab is gone", lambda: not processes_of(other))
    refused = kafkaops("lab", "status", "--dir", str(other), code=4)
    assert "lab is not up" in refused.stderr
    assert process(lab, "blue-1/kafka")["active"]


def test_what_is_half_up_ends_with_a_lab_up_that_is_killed(tmp_path: Path) -> None:
    directory = tmp_path / "half"
    line = [sys.executable, "-m", "kafkaops", "lab", "up", "--dir", str(directory)]
    with subprocess.Popen([*line, "--brokers", "1"], stderr=subprocess.PIPE, text=True) as maker:
        assert maker.stderr is not None
        until("it starts", lambda: control.listener_pid(Layout.of(directory).socket) is not None)
        maker.kill()
    until("everything of it is gone", lambda: not processes_of(directory))


def test_what_ends_while_starting_is_named_with_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "broken"
    # moto refuses to start in such an environment, as it would without its package.
    blocker = tmp_path / "moto"
    blocker.mkdir()
    (blocker / "__init__.py").write_text("raise RuntimeError('moto is broken here')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    done = kafkaops("lab", "up", "--dir", str(directory), "--brokers", "1", code=1)
    assert "lab/moto ended with code 1" in done.stderr
    assert "moto is broken here" in done.stderr
    assert processes_of(directory) == []
