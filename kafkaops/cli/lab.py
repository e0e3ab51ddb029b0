"""`kafkaops lab`: real clusters, DNS, firewall and emulated AWS in one private network."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer

from kafkaops.cli.commands import Lazy, OpsCommand, OpsGroup, make_app
from kafkaops.cli.output import Table, Text, emit, news
from kafkaops.cli.session import current
from kafkaops.engine.errors import UsageFault

DEFAULT_DIR = "build/lab"
POLL = 0.3


class LabGroup(OpsGroup):
    lazy: ClassVar[Mapping[str, Lazy]] = {
        "load": Lazy("kafkaops.cli.lab_load", "Producers and consumers that keep a ledger."),
    }


app = make_app("Real clusters on this machine, to try everything.", cls=LabGroup)

Dir = Annotated[
    Path | None,
    typer.Option(
        "--dir",
        metavar="DIR",
        envvar="KAFKAOPS_LAB_DIR",
        help="The lab's directory; default the config's (with -c), else build/lab.",
    ),
]


def lab_dir(given: Path | None) -> Path:
    """The lab that a command means: --dir, else the given config's, else build/lab."""
    if given is not None:
        return given
    if current().config is not None:
        loaded = current().load(enter_lab=False)
        if loaded.config.lab is None:
            raise UsageFault("KO-USAGE", "the config has no `lab:` section", hint="name --dir")
        return Path(loaded.config.lab.dir)
    return Path(DEFAULT_DIR)


@app.command(cls=OpsCommand)
def up(
    dir: Dir = None,
    blue_version: Annotated[str, typer.Option(help="Kafka of the serving cluster.")] = "3.9.2",
    green_version: Annotated[str, typer.Option(help="Kafka of the new cluster.")] = "4.3.1",
    brokers: Annotated[int, typer.Option(min=1, max=9, help="Brokers a cluster.")] = 3,
    green_names: Annotated[
        str, typer.Option(metavar="same|alt", help="alt: green advertises names of its own.")
    ] = "same",
    security: Annotated[
        str,
        typer.Option(metavar="plaintext|sasl-ssl", help="sasl-ssl: TLS, SCRAM users and ACLs."),
    ] = "plaintext",
    single: Annotated[
        bool, typer.Option("--single", help="One cluster, with Kafka installed on its hosts.")
    ] = False,
    controllers: Annotated[
        int, typer.Option(min=0, max=5, help="With --single: controllers on hosts of their own.")
    ] = 0,
    zookeeper: Annotated[
        bool, typer.Option("--zookeeper", help="With --single: in ZooKeeper mode, up to 3.9.")
    ] = False,
    disks: Annotated[int, typer.Option(min=1, max=4, help="Log directories a broker (JBOD).")] = 1,
) -> None:
    """Start the lab and wait until all of it is healthy. The first time, Kafka is fetched.

    \b
    Examples:
      kafkaops lab up
      kafkaops lab up --dir build/other --green-names alt
      kafkaops lab up --security sasl-ssl
      kafkaops lab up --single --brokers 9 --controllers 3 --dir build/lab-rolling
      kafkaops lab up --single --zookeeper --blue-version 3.8.1 --dir build/lab-zookeeper
    """
    from kafkaops.lab.layout import SECURITY as KINDS
    from kafkaops.lab.layout import Settings
    from kafkaops.lab.up import up as start

    if green_names not in ("same", "alt"):
        raise UsageFault("KO-USAGE", f"--green-names is same or alt, not {green_names!r}")
    if security not in KINDS:
        raise UsageFault("KO-USAGE", f"--security is plaintext or sasl-ssl, not {security!r}")
    if controllers and not single:
        raise UsageFault("KO-USAGE", "--controllers needs --single")
    if zookeeper:
        _with_zookeeper(blue_version, security, single, controllers)
    settings = Settings(
        blue_version, green_version, brokers, green_names, security, single, controllers, zookeeper,
        disks,
    )  # fmt: skip
    status = start(lab_dir(dir), settings, news)
    _show(status)


def _with_zookeeper(version: str, security: str, single: bool, controllers: int) -> None:
    if not single or controllers:
        raise UsageFault("KO-USAGE", "--zookeeper needs --single, and no --controllers")
    if security != "plaintext":
        raise UsageFault("KO-USAGE", f"--zookeeper and --security {security} do not go together")
    if version.split(".")[0] not in ("2", "3"):
        raise UsageFault("KO-USAGE", f"Kafka {version} does not know ZooKeeper: 3.9 was the last")


@app.command(cls=OpsCommand)
def down(dir: Dir = None) -> None:
    """End the lab and everything that runs in it."""
    from kafkaops.lab.up import down as end

    directory = lab_dir(dir)
    ended = end(directory, news)
    emit({"ended": ended}, Text("the lab is down" if ended else "no lab was up"))


@app.command(cls=OpsCommand)
def status(dir: Dir = None) -> None:
    """What runs in the lab, and its options."""
    from kafkaops.lab import control
    from kafkaops.lab.layout import Layout

    _show(control.call(Layout.of(lab_dir(dir)).socket, "status"))


@app.command(cls=OpsCommand, context_settings={"ignore_unknown_options": True})
def shell(
    command: Annotated[
        list[str] | None, typer.Argument(metavar="[-- COMMAND...]", help="Default: your shell.")
    ] = None,
    dir: Dir = None,
) -> None:
    """A shell in the lab, or one command; its exit code is passed on.

    \b
    Examples:
      kafkaops lab shell
      kafkaops lab shell -- dig bootstrap.kafka.lab
    """
    from kafkaops.lab.enter import become

    become(lab_dir(dir), command or [os.environ.get("SHELL") or "sh"])


@app.command(cls=OpsCommand)
def logs(
    name: Annotated[str, typer.Argument(help="As `lab status` names it, e.g. green-1/kafka.")] = "",
    dir: Dir = None,
    lines: Annotated[int, typer.Option("-n", "--lines", min=0)] = 50,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until Ctrl-C.")] = False,
) -> None:
    """The log of one process of the lab; without a name, where each is."""
    from kafkaops.lab.layout import Layout

    found = Layout.of(lab_dir(dir)).log_files()
    if not name:
        emit({"logs": found}, Table(("name", "log"), sorted(found.items())))
        return
    if name not in found:
        raise UsageFault(
            "KO-USAGE", f"no log {name}", hint=f"there are {', '.join(sorted(found)) or 'none'}"
        )
    _tail(Path(found[name]), lines, follow)


@app.command(cls=OpsCommand)
def pack(
    version: Annotated[str, typer.Argument(help="A Kafka release that the kit knows.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the tarball goes.")],
) -> None:
    """Pack a release as a tarball, to be installed on hosts. The same bytes each time.

    \b
    Examples:
      kafkaops lab pack 4.3.1 --out build/versions
    """
    from dataclasses import asdict

    from kafkaops.lab import release

    packed = release.pack(version, out.absolute(), news)
    data = {"version": version, **asdict(packed), "path": str(packed.path)}
    emit(data, Table(("version", "path", "sha512", "size"), [tuple(data.values())]))


@app.command("set", cls=OpsCommand)
def set_(
    options: Annotated[
        list[str],
        typer.Argument(
            metavar="KEY=VALUE...",
            help="insync_delay (seconds), deny (IAM actions, commas between), throttle (calls), "
            "ssm_throttle, ssm_offline (instance ids), scaling_throttle, scaling_delay,"
            " scaling_busy, scaling_refreshing (groups), kms_throttle, kms_fault (FAULT:CALLS),"
            " trail_delay (seconds), callers (JSON: access key to ARN and policies).",
        ),
    ],
    dir: Dir = None,
) -> None:
    """Make the emulated AWS slow, forbidding or throttled.

    \b
    Examples:
      kafkaops lab set insync_delay=60
      kafkaops lab set deny=route53:ChangeResourceRecordSets
      kafkaops lab set kms_fault=KMSInternalException:3
    """
    from kafkaops.lab import control
    from kafkaops.lab.layout import Layout

    values: dict[str, Any] = {}
    for option in options:
        key, equals, value = option.partition("=")
        if not equals:
            raise UsageFault("KO-USAGE", f"{option!r} is not KEY=VALUE")
        values[key] = value
    answer = control.call(Layout.of(lab_dir(dir)).socket, "set", **values)
    emit(answer, Table(("option", "value"), list(answer["options"].items())))


def _show(status: dict[str, Any]) -> None:
    rows = [
        (
            p["name"],
            "paused" if p["paused"] else "running" if p["active"] else f"ended {p['exit_code']}",
            p["pid"],
            round(p["rss"] / 2**20),
            round(p["age"]),
            p["starts"],
        )
        for p in status["processes"]
    ]
    columns = ("name", "state", "pid", "MiB", "seconds", "starts")
    total = sum(row[3] for row in rows)
    emit(
        status,
        Table(columns, rows, title=f"lab: {status['state']}, {total} MiB in all"),
    )


def _tail(path: Path, lines: int, follow: bool) -> None:
    from kafkaops.engine.clock import SystemClock

    clock = SystemClock()
    with path.open(errors="replace") as file:
        for line in deque(file, maxlen=lines):
            print(line, end="")
        while follow:
            more = file.read()
            if more:
                print(more, end="", flush=True)
            else:
                clock.sleep(POLL)
