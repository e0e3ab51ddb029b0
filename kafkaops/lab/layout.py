"""Where everything in a lab is: directory, hosts, addresses, ports, and what was chosen.

A lab's directory holds `lab.json` (this `Settings`), `control.sock`, `hosts/<host>/` with
all that a machine would have, `kafka/<colour>/` shaped like an unpacked Kafka, `bin/java`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from kafkaops.engine.errors import ConfigError

ZONE = "kafka.lab"
ZONE_ID = "Z0LAB"
ALIAS = f"bootstrap.{ZONE}"
BUCKET = "kafkaops-state"
REGION = "eu-west-1"
RESOLVER = ("127.0.0.1", 53)
AWS = ("127.0.0.1", 5000)
MOTO = ("127.0.0.1", 5001)
CLIENT_PORT = 9092
CONTROLLER_PORT = 9093
REPL_PORT = 9094
ZOOKEEPER_PORT = 2181
COLOURS = ("blue", "green")
SUBNET = {"blue": 1, "green": 2}
CONTROLLER_ID = 100
"""Below the node ids, and the last bytes of the addresses, of controllers on their own hosts."""
MARK = "lab.json"
WHOLE = b"whole\n"
"""What `lab up` says to the lab once all of it is healthy; before, the lab ends with it."""
PLAINTEXT, SASL_SSL = "plaintext", "sasl-ssl"
SECURITY = (PLAINTEXT, SASL_SSL)


@dataclass(frozen=True)
class LabHostSpec:
    """One emulated machine: an address on the lab's loopback and a directory."""

    name: str
    colour: str
    node_id: int
    address: str
    rack: str
    advertised: str
    roles: str = "broker,controller"

    @property
    def serves(self) -> bool:
        """Whether it is a broker."""
        return "broker" in self.roles

    @property
    def votes(self) -> bool:
        """Whether it is a controller."""
        return "controller" in self.roles


@dataclass(frozen=True)
class Settings:
    """What `lab up` was asked for. `green_names` is `same` (both clusters advertise b1, b2, ...)
    or `alt` (green advertises g1, g2, ...: only the alias can move); `security` is `plaintext`
    or `sasl-ssl` (see `lab.access`). `single` is blue alone, with Kafka installed on its hosts
    (see `lab.installed`) and, by choice, `controllers` on hosts of their own, or in ZooKeeper mode
    (see `lab.zookeeper`). `disks` is how many log directories a broker has."""

    blue_version: str = "3.9.2"
    green_version: str = "4.3.1"
    brokers: int = 3
    green_names: str = "same"
    security: str = PLAINTEXT
    single: bool = False
    controllers: int = 0
    zookeeper: bool = False
    disks: int = 1

    @property
    def colours(self) -> tuple[str, ...]:
        return COLOURS[:1] if self.single else COLOURS

    def version(self, colour: str) -> str:
        return self.blue_version if colour == "blue" else self.green_version

    def hosts(self) -> tuple[LabHostSpec, ...]:
        roles = "broker" if self.controllers or self.zookeeper else "broker,controller"
        brokers = (
            LabHostSpec(
                name=f"{colour}-{node}",
                colour=colour,
                node_id=node,
                address=f"127.0.{SUBNET[colour]}.{node}",
                rack=_rack(node),
                advertised=self.advertised(colour, node),
                roles=roles,
            )
            for colour in self.colours
            for node in range(1, self.brokers + 1)
        )
        return (*brokers, *(_controller(n) for n in range(1, self.controllers + 1)))

    def brokers_of(self, colour: str) -> tuple[LabHostSpec, ...]:
        return tuple(h for h in self.hosts() if h.colour == colour and h.serves)

    def host(self, name: str) -> LabHostSpec:
        for spec in self.hosts():
            if spec.name == name:
                return spec
        names = ", ".join(h.name for h in self.hosts())
        raise ConfigError("KO-LAB-HOST", f"the lab has no host {name} (it has {names})")

    def advertised(self, colour: str, node: int) -> str:
        letter = "g" if colour == "green" and self.green_names == "alt" else "b"
        return f"{letter}{node}.{ZONE}"

    def bootstrap(self, colour: str, port: int = REPL_PORT) -> str:
        return ",".join(f"{h.address}:{port}" for h in self.brokers_of(colour))


def _controller(number: int) -> LabHostSpec:
    """A host of blue that is a controller and nothing else."""
    node = CONTROLLER_ID + number
    name = f"ctl-{number}"
    address = f"127.0.{SUBNET['blue']}.{node}"
    return LabHostSpec(
        name, "blue", node, address, _rack(number), f"{name}.{ZONE}", roles="controller"
    )


def _rack(number: int) -> str:
    return f"{REGION}{'abc'[(number - 1) % 3]}"


@dataclass(frozen=True)
class Layout:
    """Paths in one lab's directory (absolute)."""

    root: Path

    @classmethod
    def of(cls, directory: str | Path) -> Layout:
        return cls(Path(directory).absolute())

    @property
    def mark(self) -> Path:
        return self.root / MARK

    @property
    def socket(self) -> Path:
        return self.root / "control.sock"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    def host(self, name: str) -> Path:
        return self.root / "hosts" / name

    def host_root(self, name: str) -> Path:
        """What stands for `/` on that host."""
        return self.host(name) / "root"

    def boot_rules(self, name: str) -> Path:
        """nftables files that a boot of that host loads."""
        return self.host_root(name) / "etc" / "nftables.d"

    def kafka_home(self, colour: str) -> Path:
        return self.root / "kafka" / colour

    @property
    def java(self) -> Path:
        return self.root / "bin" / "java"

    def log_files(self) -> dict[str, str]:
        """Logs by process name, of a lab that is up or was."""
        found = {"lab/supervisor": self.root / "supervisor.log"}
        found |= {f"lab/{log.stem}": log for log in self.logs.glob("*.log")}
        for log in self.root.glob("hosts/*/**/*.log"):
            # Kafka's own data directories end in no `.log`; the segment files in them do.
            host, *inner = log.relative_to(self.root / "hosts").parts
            if inner[0] != "data":
                found[f"{host}/{log.stem}"] = log
        return {name: str(path) for name, path in found.items() if path.exists()}

    def save(self, settings: Settings) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        self.mark.write_text(json.dumps(asdict(settings), indent=1) + "\n")

    def settings(self) -> Settings:
        """What this lab was started with. ConfigError if the directory is not a lab's."""
        try:
            return Settings(**json.loads(self.mark.read_text()))
        except FileNotFoundError:
            raise not_up(self.root) from None
        except (ValueError, TypeError) as error:
            raise ConfigError(
                "KO-LAB-MARK", f"{self.mark} is not a lab's settings: {error}"
            ) from None


def not_up(directory: Path) -> ConfigError:
    return ConfigError(
        "KO-LAB-DOWN",
        "lab is not up",
        where=str(directory),
        hint=f"kafkaops lab up --dir {directory}",
    )
