"""What a load consists of: clients, their kinds, and the mixes that have a name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from kafkaops.engine.errors import UsageFault

KINDS = {
    "librdkafka": "confluent-kafka, idempotent, recovery strategy by default (rebootstrap)",
    "librdkafka-none": "confluent-kafka, idempotent, metadata.recovery.strategy=none",
    "kafka-python": "kafka-python, idempotent",
    "java-3.9.2": "the Java client 3.9.2 with defaults (recovery strategy none)",
    "java-4.3.1": "the Java client 4.3.1 with defaults (recovery strategy rebootstrap)",
}
BOOTSTRAP = "bootstrap.kafka.lab:9092"
TOPICS = "orders:6,payments:3"
NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")


@dataclass(frozen=True)
class ClientSpec:
    """One client process.

    `rate` records/s (producers); `size` bytes a value; `commit_every` seconds between
    synchronous commits; `dns_cache` seconds of the JVM's name cache, None for its own default
    (30 s); `config` overrides any of the client's properties; `lab` is the directory of a lab
    whose listeners want a login, which is then the user `load`'s.
    """

    role: str
    name: str
    kind: str
    topics: tuple[str, ...]
    bootstrap: str = BOOTSTRAP
    group: str = ""
    rate: float = 200.0
    size: int = 200
    keys: int = 24
    commit_every: float = 0.5
    auto_commit: bool = False
    dns_cache: int | None = None
    config: dict[str, str] = field(default_factory=dict)
    lab: str = ""

    @property
    def java(self) -> str:
        """The Java client's version; empty for the others."""
        return self.kind.removeprefix("java-") if self.kind.startswith("java-") else ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> ClientSpec:
        return cls(**{**data, "topics": tuple(data["topics"])})


@dataclass(frozen=True)
class Mix:
    """Producers as (name, kind); groups as (name, kind, members)."""

    producers: tuple[tuple[str, str], ...]
    groups: tuple[tuple[str, str, int], ...]


MIXES = {
    "default": Mix(
        (
            ("p-rdkafka", "librdkafka"),
            ("p-java4", "java-4.3.1"),
            ("p-java3", "java-3.9.2"),
            ("p-python", "kafka-python"),
        ),
        (
            ("orders-rdkafka", "librdkafka", 2),
            ("orders-java", "java-4.3.1", 1),
            ("orders-python", "kafka-python", 1),
        ),
    ),
    "rdkafka": Mix(
        (("p-rdkafka", "librdkafka"), ("p-rdkafka-none", "librdkafka-none")),
        (("orders-rdkafka", "librdkafka", 2), ("orders-rdkafka-none", "librdkafka-none", 1)),
    ),
    "java": Mix(
        (("p-java4", "java-4.3.1"), ("p-java3", "java-3.9.2")),
        (("orders-java", "java-4.3.1", 1), ("orders-java3", "java-3.9.2", 1)),
    ),
    "python": Mix((("p-python", "kafka-python"),), (("orders-python", "kafka-python", 1),)),
    "rebootstrap": Mix(
        (("p-rdkafka", "librdkafka"), ("p-java4", "java-4.3.1")),
        (("orders-rdkafka", "librdkafka", 2), ("orders-java", "java-4.3.1", 1)),
    ),
}


def topics(text: str) -> dict[str, int]:
    """`orders:6,payments:3` as topic to partitions. UsageFault on anything else."""
    found: dict[str, int] = {}
    for part in text.split(","):
        topic, _, count = part.strip().partition(":")
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,200}", topic) or not re.fullmatch(
            r"[1-9]\d{0,3}", count or "3"
        ):
            raise UsageFault(
                "KO-LOAD-TOPICS",
                f"not a topic and its partitions: {part!r}",
                hint="--topics orders:6,payments:3",
            )
        found[topic] = int(count or "3")
    return found


def mix(name: str) -> Mix:
    if name not in MIXES:
        raise UsageFault("KO-LOAD-MIX", f"no mix {name!r} (there are {', '.join(MIXES)})")
    return MIXES[name]


def producers(text: str) -> tuple[tuple[str, str], ...]:
    """`name:kind,...`, as of `--producers`."""
    rows = [_fields(part, 2, "--producers p1:librdkafka,p2:java-3.9.2") for part in _parts(text)]
    return tuple((name, kind) for name, kind in rows)


def groups(text: str) -> tuple[tuple[str, str, int], ...]:
    """`group:kind[:members],...`, as of `--groups`."""
    hint = "--groups orders-a:librdkafka:2,orders-b:java-4.3.1"
    found = []
    for part in _parts(text):
        fields = part.split(":")
        members = fields.pop() if len(fields) == 3 else "1"
        name, kind = _fields(":".join(fields), 2, hint)
        if not re.fullmatch(r"[1-9]\d?", members):
            raise UsageFault("KO-LOAD-GROUP", f"not a number of members: {members!r}", hint=hint)
        found.append((name, kind, int(members)))
    return tuple(found)


def clients(chosen: Mix, topic_names: Sequence[str], **options: Any) -> tuple[ClientSpec, ...]:
    """The processes of a mix, producers first; `options` are `ClientSpec` fields for all."""
    names = tuple(topic_names)
    made = [ClientSpec("producer", name, kind, names, **options) for name, kind in chosen.producers]
    for group, kind, members in chosen.groups:
        made += [
            ClientSpec("consumer", f"{group}-{n}", kind, names, group=group, **options)
            for n in range(1, members + 1)
        ]
    seen: set[str] = set()
    for client in made:
        if client.name in seen:
            raise UsageFault("KO-LOAD-NAME", f"two clients are called {client.name}")
        seen.add(client.name)
    return tuple(made)


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _fields(part: str, count: int, hint: str) -> list[str]:
    fields = part.split(":")
    if len(fields) != count or not NAME.fullmatch(fields[0]):
        raise UsageFault("KO-LOAD-CLIENT", f"not a name and a kind: {part!r}", hint=hint)
    if fields[1] not in KINDS:
        raise UsageFault(
            "KO-LOAD-KIND", f"no kind {fields[1]!r} (there are {', '.join(KINDS)})", hint=hint
        )
    return fields
