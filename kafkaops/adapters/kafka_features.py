"""Feature levels on real clusters: read from every node, tried, and changed.

Brokers answer for themselves (ApiVersions). Controllers that are no brokers are asked at their own
listener, as far as it can be reached from here. Invariant: a change returns only when every broker
shows it.

Source: clients/src/main/resources/common/message/UpdateFeaturesRequest.json (KIP-584, KIP-778) and
metadata/src/main/java/org/apache/kafka/controller/FeatureControlManager.java of apache/kafka.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import kafka.errors as k
from kafka import __version__ as library_version
from kafka.protocol.admin import DescribeClusterRequest, UpdateFeaturesRequest
from kafka.protocol.metadata import ApiVersionsRequest

from kafkaops.adapters import kafka_topics
from kafkaops.adapters.kafka_errors import KafkaAnswer, check
from kafkaops.adapters.kafka_snapshot import describe_quorum
from kafkaops.adapters.kafka_wire import Wire
from kafkaops.engine.errors import GuardRefused
from kafkaops.model.features import FeatureChange, FeatureNode, Range, Way

MIN_ISR = "min.insync.replicas"
VOTERS = "controller.quorum.voters"
REFUSED = frozenset({95, 96})
"""INVALID_UPDATE_VERSION, FEATURE_UPDATE_FAILED: said of the levels, not of the request."""
_API_VERSIONS, _ZERO = 18, 4
"""Only from version 4 on does an answer hold features whose lowest level is 0 (KAFKA-17011)."""


@dataclass(frozen=True)
class Told:
    """What brokers tell: the finalized levels, themselves, who else is registered or votes, and
    where the voters listen (node id to host and port)."""

    cluster_id: str
    kraft: bool
    finalized: Mapping[str, int]
    brokers: tuple[FeatureNode, ...]
    voters: tuple[int, ...]
    observers: tuple[int, ...]
    listeners: Mapping[int, tuple[str, int]]
    min_isr: str | None
    min_isr_of: Mapping[int, str]


async def told(wire: Wire) -> Told:
    return await wire.again(partial(_told, wire))


async def _told(wire: Wire) -> Told:
    metadata = await wire.metadata([])
    ids = [broker.node_id for broker in metadata.brokers]
    versions = await wire.together({n: partial(_versions, wire, n) for n in ids})
    quorum = await describe_quorum(wire)
    configs = await wire.together({n: partial(kafka_topics.broker_config, wire, n) for n in ids})
    default = await kafka_topics.broker_config(wire, None)
    [row] = quorum.topics[0].partitions if quorum is not None else [None]
    voters = tuple(sorted(v.replica_id for v in row.current_voters)) if row is not None else ()
    fenced = await _fenced(wire, ids)
    return Told(
        str(metadata.cluster_id or ""),
        quorum is not None,
        newest(versions.values()),
        tuple(
            FeatureNode(n, controller=n in voters, supports=supported(versions[n]))
            for n in sorted(ids)
        )
        + tuple(
            FeatureNode(n, controller=n in voters, member=False, why="it is fenced: not up")
            for n in fenced
        ),
        voters,
        tuple(sorted(o.replica_id for o in row.observers)) if row is not None else (),
        _listeners(quorum, configs),
        default.get(MIN_ISR),
        {n: str(configs[n][MIN_ISR]) for n in sorted(ids) if configs[n].get(MIN_ISR)},
    )


async def finalized(wire: Wire) -> dict[int, dict[str, int]]:
    answers = await wire.everywhere(partial(request, 3))
    for broker, answer in answers.items():
        check(answer.error_code, f"ApiVersions of broker {broker}")
    return {broker: levels(answer) for broker, answer in answers.items()}


async def attempt(wire: Wire, changes: Collection[FeatureChange]) -> str:
    """`ports.cluster.Cluster.try_features`."""
    return await _asked(wire, changes, validate_only=True) if changes else ""


async def update(wire: Wire, changes: Collection[FeatureChange]) -> None:
    """`ports.cluster.Cluster.update_features`."""
    if not changes:
        return
    refusal = await _asked(wire, changes, validate_only=False)
    if refusal:
        raise GuardRefused("KO-FEATURE-REFUSED", refusal, where=wire.name)

    async def look(node: int) -> str:
        shown = levels(await wire.direct(partial(request, 3), node))
        wrong = [c for c in changes if shown.get(c.feature, 0) != c.level]
        return ", ".join(f"{c.feature} is {shown.get(c.feature, 0)}" for c in wrong)

    await wire.shown("the feature levels", look)


async def _asked(wire: Wire, changes: Collection[FeatureChange], *, validate_only: bool) -> str:
    row = UpdateFeaturesRequest.FeatureUpdateKey

    def make() -> Any:
        return UpdateFeaturesRequest(
            timeout_ms=10_000,
            feature_updates=[
                row(
                    feature=change.feature,
                    max_version_level=change.level,
                    upgrade_type=change.way.value,
                    allow_downgrade=change.way is not Way.UPGRADE,
                )
                for change in changes
            ],
            validate_only=validate_only,
            min_version=1,
        )

    answer = await wire.to_controller(make, lambda a: a.error_code)
    said = [(answer.error_code, "the features", answer.error_message)]
    said += [(r.error_code, r.feature, r.error_message) for r in answer.results or ()]
    for code, subject, message in said:
        if code in REFUSED:
            return message or KafkaAnswer(code, subject).name
        check(code, subject, message, needs="ALTER on CLUSTER")
    return ""


# -- what brokers answer -------------------------------------------------------


def request(version: int) -> Any:
    """ApiVersions in just this version, whatever the broker of the first connection knows."""
    return ApiVersionsRequest(
        client_software_name="kafka-python",
        client_software_version=library_version,
        version=version,
    )


async def _versions(wire: Wire, node: int) -> Any:
    """A broker's own answer, in the newest version that it knows."""
    answer = await wire.direct(partial(request, 3), node)
    check(answer.error_code, f"ApiVersions of broker {node}")
    if knows_zero(answer):
        answer = await wire.direct(partial(request, _ZERO), node)
        check(answer.error_code, f"ApiVersions of broker {node}")
    return answer


def knows_zero(answer: Any) -> bool:
    return any(row.api_key == _API_VERSIONS and row.max_version >= _ZERO for row in answer.api_keys)


def supported(answer: Any) -> dict[str, Range]:
    rows = answer.supported_features or ()
    return {row.name: Range(row.min_version, row.max_version) for row in rows}


def levels(answer: Any) -> dict[str, int]:
    """The finalized levels of one answer; none where the node does not know them yet."""
    if answer.finalized_features_epoch is None or answer.finalized_features_epoch < 0:
        return {}
    rows = answer.finalized_features or ()
    return {row.name: row.max_version_level for row in rows if row.max_version_level > 0}


def newest(answers: Collection[Any]) -> dict[str, int]:
    """The levels as the node knows them that has followed the metadata furthest."""
    found = max(answers, key=lambda a: a.finalized_features_epoch or 0, default=None)
    return {} if found is None else levels(found)


async def _fenced(wire: Wire, up: Collection[int]) -> list[int]:
    """Brokers that are registered and not up (KIP-1073); none where brokers are too old to tell."""
    try:
        answer = await wire.ask(
            lambda: DescribeClusterRequest(include_fenced_brokers=True, min_version=2)
        )
    except (k.IncompatibleBrokerVersion, k.UnsupportedVersionError):
        return []
    check(answer.error_code, "the cluster's brokers")
    return sorted(b.broker_id for b in answer.brokers if b.broker_id not in up)


def _listeners(
    quorum: Any | None, configs: Mapping[int, Mapping[str, str | None]]
) -> dict[int, tuple[str, int]]:
    """Where voters listen: as the quorum tells (KIP-853), else as the brokers' configs say."""
    nodes = getattr(quorum, "nodes", None) or ()
    found = {n.node_id: (n.listeners[0].host, n.listeners[0].port) for n in nodes if n.listeners}
    if found or quorum is None:
        return found
    named = next((c[VOTERS] for c in configs.values() if c.get(VOTERS)), None) or ""
    for item in filter(None, named.split(",")):
        node, _, address = item.strip().partition("@")
        host, _, port = address.rpartition(":")
        if node.isdigit() and port.isdigit():
            found[int(node)] = (host.strip("[]"), int(port))
    return found
