"""Parity and refusals of a real pair, from empty to equal."""

from __future__ import annotations

from kafkaops.adapters.kafka_cluster import KafkaCluster
from kafkaops.config.schema import Config, Cutover, Mirror
from kafkaops.lab.layout import ALIAS
from kafkaops.model.partition import TopicPartition
from kafkaops.ports.names import Record
from kafkaops.upgrade import parity, refusals
from tests.integration.inside.clusters import (
    ACLS,
    NODES,
    QUOTAS,
    SPREAD,
    spec,
)


def config(**more: object) -> Config:
    values: dict[str, object] = {
        "name": "pair", "blue": spec("blue"), "green": spec("green"),
        "mirror": Mirror(host="green-1", back_host="blue-1"),
        "cutover": Cutover(
            hosted_zone="Z0LAB", alias=ALIAS,
            broker_names={n: f"b{n}.kafka.lab" for n in NODES},
        ),
        **more,
    }  # fmt: skip
    return Config.model_validate(values)


class BlueRecords:
    """Names as they should be before a move."""

    def records(self, names: list[str]) -> tuple[Record, ...]:
        alias = Record(ALIAS, "A", 60, tuple(f"127.0.1.{n}" for n in NODES))
        own = (Record(f"b{n}.kafka.lab", "A", 60, (f"127.0.1.{n}",)) for n in NODES)
        return (alias, *own)


def test_parity_and_refusals_end_to_end(clusters: dict[str, KafkaCluster]) -> None:
    blue, green = clusters["blue"], clusters["green"]
    names = ["orders", "stamped", "small"]
    blue.create_topic(
        "orders", SPREAD, {"cleanup.policy": "compact,delete", "message.format.version": "2.8-IV1"}
    )
    blue.create_topic("stamped", SPREAD, {"message.timestamp.type": "LogAppendTime"})
    blue.create_topic("small", {0: [2, 3]}, {"segment.bytes": "100000"})
    blue.alter_broker_config(None, {"log.retention.ms": "55555555"})
    blue.create_acls(ACLS)
    blue.alter_quotas(QUOTAS)
    wanted = config()
    seen = refusals.collect(blue, green, BlueRecords(), wanted)  # type: ignore[arg-type]
    found = refusals.find(seen, wanted)
    assert refusals.move_mode(seen.blue, seen.green, wanted) == "shared"
    assert {f"{f.code}:{f.subject}" for f in found if f.blocks and f.code != "KO-TXN-IDS"} == {
        "KO-RF-MIN-ISR:small"
    }
    first = parity.between(blue, green, wanted)
    assert {t.name for t in first.create} == set(names)
    parity.apply(first, green)
    after = parity.between(blue, green, wanted)
    told = after.lines()  # nothing to change, but what waits for the cut and cannot be carried
    assert after.empty, told
    values = {n: t.config.values for n, t in green.topics(configs=True).items()}
    assert values["orders"]["retention.ms"] == "55555555"
    assert values["orders"]["message.timestamp.after.max.ms"] == str(2**63 - 1)
    assert values["stamped"]["message.timestamp.type"] == "CreateTime"
    assert {p.tp.partition: list(p.replicas) for p in green.topics()["orders"].partitions} == SPREAD
    rows = [list(d) for d in after.deferred]
    parity.apply_deferred(rows, green)
    kept = green.topics(configs=True)["stamped"].config.values["message.timestamp.type"]
    assert kept == "LogAppendTime"
    parity.reopen_deferred(rows, green)
    assert parity.between(blue, green, wanted).lines() == told
    blue.create_topic("late", {0: [1, 2, 3]}, {})
    late = parity.between(blue, green, wanted)
    assert [t.name for t in late.create] == ["late"]
    parity.apply(late, green)
    assert parity.between(blue, green, wanted).lines() == told
    green.produce(TopicPartition("late", 0), [(None, b"stray")])
    seen = refusals.collect(blue, green, BlueRecords(), wanted)  # type: ignore[arg-type]
    assert "KO-GREEN-RECORDS:late" in {
        f"{f.code}:{f.subject}" for f in refusals.find(seen, wanted) if f.blocks
    }
    for cluster in (blue, green):
        cluster.delete_topics([*names, "late"])
        cluster.delete_acls(ACLS)
        cluster.alter_quotas([], QUOTAS)
    blue.alter_broker_config(None, {}, ["log.retention.ms"])
