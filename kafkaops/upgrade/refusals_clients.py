"""What speaks against the clients as the brokers see them: groups, transactions, acks. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from fnmatch import fnmatchcase

from kafkaops.config.schema import ClientGroup, Config
from kafkaops.model.cluster import ClusterState, Group, ProducerState
from kafkaops.model.partition import is_carried
from kafkaops.upgrade.refusals_codes import Finding, finding

_TXN_MAX = 900_000  # transaction.max.timeout.ms where the broker does not say
_SLACK = 300_000
_OVER = frozenset({"Dead"})
_OURS = "kafkaops-"


def groups(blue: ClusterState, config: Config) -> Iterator[Finding]:
    """Groups that move only with care, and those that nobody declared."""
    for group in blue.groups:
        if group.state in _OVER or group.id.startswith(_OURS):
            continue
        special = _special(group)
        if special is not None:
            yield special
        if group.static_members:
            yield finding(
                "KO-GROUP-STATIC", group.id, f"{len(group.static_members)} static members"
            )
        if not any(declares(entry, group) for entry in config.clients):
            if group.members and config.has("cutover") and config.cutover.fence == "clients":
                yield finding(
                    "KO-FENCE-CLIENTS",
                    group.id,
                    f"{len(group.members)} members, and no entry of clients stops them",
                )
            elif group.members:
                yield finding(
                    "KO-GROUP-UNDECLARED",
                    group.id,
                    f"{len(group.members)} members and no entry of clients covers it",
                )
            elif special is None:
                yield finding("KO-GROUP-EMPTY", group.id, "it has positions and no members")


def _special(group: Group) -> Finding | None:
    if group.kind == "streams" or group.protocol == "stream":
        return finding("KO-STREAMS", group.id, "it is a Kafka Streams application")
    if group.kind == "share":
        return finding("KO-GROUP-SHARE", group.id, "it is a share group")
    if group.kind == "consumer":
        return finding("KO-GROUP-KIP848", group.id, "it uses the new consumer protocol")
    if group.kind == "simple":
        if not group.offsets:
            return None
        return finding("KO-GROUP-ASSIGNS", group.id, "it commits without ever joining a group")
    if group.kind != "classic":
        return finding("KO-GROUP-CONNECT", group.id, f"it is a group of {group.kind} workers")
    return None


def declares(entry: ClientGroup, group: Group) -> bool:
    """Whether a `clients` entry covers a consumer group, by its id or by all its client ids."""
    if any(fnmatchcase(group.id, glob) for glob in entry.groups):
        return True
    ids = {member.client_id for member in group.members}
    return bool(ids) and all(
        any(fnmatchcase(client, glob) for glob in entry.client_ids) for client in ids
    )


_OUR_IDS = ("kafkaops-mirror-", "connect-cluster-kafkaops-mirror-")
"""Transactional ids of the mirror's tasks and of its workers' leader (KIP-618)."""


def transactions(blue: ClusterState, producers: Collection[ProducerState]) -> Iterator[Finding]:
    """Transactional ids, and transactions that nobody will end."""
    for txn in blue.transactions:
        if txn.transactional_id.startswith(_OUR_IDS):
            continue  # the mirror's own, left from an earlier move
        if txn.state not in _OVER:
            yield finding(
                "KO-TXN-IDS", txn.transactional_id, f"a transactional producer ({txn.state})"
            )
    limit = max(
        (
            int(value)
            for config in blue.broker_config.values()
            if (value := config.get("transaction.max.timeout.ms") or "").isdigit()
        ),
        default=_TXN_MAX,
    )
    ours = {txn.producer_id: txn for txn in blue.transactions if txn.state == "Ongoing"}
    now = blue.taken * 1000
    for state in producers:
        if state.txn_start < 0:
            continue
        age = now - state.last_timestamp
        if age > limit + _SLACK or (state.producer_id not in ours and age > _SLACK):
            yield finding(
                "KO-TXN-HANGING",
                str(state.tp),
                f"producer {state.producer_id} opened a transaction at offset {state.txn_start}"
                f" and was last seen {age / 1000:.0f} s ago",
                f"kafka-transactions.sh abort --topic {state.tp.topic} --partition"
                f" {state.tp.partition} --start-offset {state.txn_start}",
            )


def acks(blue: ClusterState, producers: Collection[ProducerState]) -> Iterator[Finding]:
    """Topics where no idempotent producer (so acks=all) is known: acks cannot be told."""
    idempotent = {state.tp.topic for state in producers}
    unknown = [
        name for name, t in sorted(blue.topics.items()) if is_carried(t) and name not in idempotent
    ]
    if unknown:
        shown = ", ".join(unknown[:5]) + (" and others" if len(unknown) > 5 else "")
        yield finding("KO-ACKS", "blue", f"no idempotent producer is known on {shown}")
