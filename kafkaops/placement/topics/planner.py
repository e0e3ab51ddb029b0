"""What `topic create` and `partitions add` would do on a cluster, or why they must not. Pure.

Invariant: a refusal names the flag that allows what was refused, where anything does.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from kafkaops.engine.errors import GuardRefused, UsageFault
from kafkaops.model.cluster import ClusterState
from kafkaops.model.partition import Topic, legal
from kafkaops.placement.sizing.limits import REPLICAS_A_BROKER
from kafkaops.placement.topics.assignment import Place, assign
from kafkaops.placement.topics.leaders import Replicas

CREATE, ADD = "create", "add"
NO_RACK = ""
"""Brokers without a rack count as one rack: nobody knows that they are not."""


@dataclass(frozen=True)
class Allowed:
    """What an operator accepts by name: brokers whose rack is not known, several replicas of a
    partition in one rack. `exclude` are brokers that get nothing."""

    no_rack: bool = False
    shared_racks: bool = False
    exclude: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Share:
    """One broker before and after: replicas and leaders of all topics, and of this one after."""

    place: Place
    replicas: int
    leaders: int
    of_topic: int
    led_of_topic: int


@dataclass(frozen=True)
class TopicPlan:
    """`verb` is CREATE or ADD. `assignment` are the new partitions alone, `existing` what stays as
    it is. `warnings` are for the operator before consent, `keyed` says that records of a key will
    certainly be split over two partitions."""

    verb: str
    topic: str
    rf: int
    assignment: Mapping[int, Replicas]
    shares: tuple[Share, ...]
    configs: Mapping[str, str] = field(default_factory=dict)
    existing: Mapping[int, Replicas] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    keyed: bool = False


def creation(
    state: ClusterState,
    topic: str,
    partitions: int,
    rf: int,
    configs: Mapping[str, str],
    allowed: Allowed,
) -> TopicPlan:
    """The plan of a new topic. GuardRefused or UsageFault: KO-TOPIC-NAME, KO-TOPIC-EXISTS,
    KO-TOPIC-RF, KO-TOPIC-RACKS, KO-TOPIC-NO-RACK, KO-TOPIC-BROKER, KO-TOPIC-MIN-ISR."""
    _refuse_name(state, topic)
    minimum = configs.get("min.insync.replicas", "")
    if minimum.isdecimal() and int(minimum) > rf:
        raise UsageFault(
            "KO-TOPIC-MIN-ISR",
            f"min.insync.replicas={minimum} with RF {rf}: acks=all could never be written",
            where=topic,
            hint=f"--topic-config min.insync.replicas={max(1, rf - 1)}, or --rf {int(minimum) + 1}",
        )
    places = _places(state, rf, topic, allowed)
    rows = assign(places, partitions, rf)
    shares = _shares(places, rows, {})
    warnings = (*_of_brokers(state, shares, allowed), *_of_writes(rf, minimum))
    return TopicPlan(CREATE, topic, rf, rows, shares, dict(configs), {}, warnings)


def addition(state: ClusterState, topic: str, to: int, allowed: Allowed) -> TopicPlan:
    """The plan of more partitions, `to` in all, with the RF that the topic has. Refusals as with
    `creation`, and KO-TOPIC-UNKNOWN, KO-TOPIC-PARTITIONS, KO-TOPIC-INTERNAL, KO-TOPIC-MOVING."""
    found = state.topics.get(topic)
    if found is None:
        raise _unknown(topic, state.topics)
    if found.internal or topic.startswith("__"):
        raise GuardRefused(
            "KO-TOPIC-INTERNAL",
            f"{topic} is Kafka's own: its number of partitions says where groups and transactions"
            " are found",
            where=topic,
        )
    there = {p.tp.partition: p.replicas for p in found.partitions}
    if to <= len(there):
        raise UsageFault(
            "KO-TOPIC-PARTITIONS",
            f"{topic} has {len(there)} partitions, and Kafka cannot take any away"
            if to < len(there)
            else f"{topic} has {len(there)} partitions already",
            where=topic,
            hint=f"--to {len(there) + 1} or more",
        )
    if moving := [tp for tp in state.reassigning if tp.topic == topic]:
        raise GuardRefused(
            "KO-TOPIC-MOVING",
            f"{len(moving)} partitions of {topic} are being reassigned, as {moving[0]}",
            where=topic,
            hint="let it end, or cancel it: kafkaops placement status",
        )
    sizes = Counter(len(row) for row in there.values())
    rf = max(sizes, key=lambda n: (sizes[n], n))
    places = _places(state, rf, topic, allowed)
    rows = assign(places, to - len(there), rf, there)
    keyed = "compact" in (found.config.values.get("cleanup.policy") or "")
    shares = _shares(places, rows, there)
    warnings = [*_of_brokers(state, shares, allowed), _of_keys(found, to, keyed)]
    if len(sizes) > 1:
        warnings.append(f"RF differs within {topic}: new partitions have {rf}, as most of it")
    return TopicPlan(ADD, topic, rf, rows, shares, {}, there, tuple(warnings), keyed)


def differences(plan: TopicPlan, found: Topic | None) -> list[str]:
    """What a cluster shows of the topic that is not as planned; empty when all of it is."""
    if found is None:
        return [f"{plan.topic} is not there"]
    there = {p.tp.partition: p for p in found.partitions}
    wanted = {**plan.existing, **plan.assignment}
    wrong = [f"partition {p} is not there" for p in sorted(wanted.keys() - there.keys())]
    wrong += [f"partition {p} was not planned" for p in sorted(there.keys() - wanted.keys())]
    for p in sorted(plan.assignment.keys() & there.keys()):
        if there[p].replicas != plan.assignment[p]:
            got, want = list(there[p].replicas), list(plan.assignment[p])
            wrong.append(f"partition {p} is on {got}, and {want} was planned")
        elif there[p].leader != plan.assignment[p][0]:
            wrong.append(f"partition {p} is led by {there[p].leader}, not {plan.assignment[p][0]}")
    for name, value in plan.configs.items():
        if found.config.values.get(name) not in (value, None):
            wrong.append(f"{name} is {found.config.values.get(name)}, and {value} was asked for")
    return wrong


def _places(state: ClusterState, rf: int, topic: str, allowed: Allowed) -> list[Place]:
    """Brokers that are up, may be used and are in a rack."""
    up = {b.id: b for b in state.brokers}
    unknown = sorted(allowed.exclude - up.keys())
    if unknown:
        raise UsageFault(
            "KO-TOPIC-BROKER",
            f"there is no broker {', '.join(map(str, unknown))}",
            where="--exclude-broker",
            hint=f"brokers that are up: {', '.join(map(str, sorted(up)))}",
        )
    usable = [b for b in sorted(up.values(), key=lambda b: b.id) if b.id not in allowed.exclude]
    if rf > len(usable):
        raise GuardRefused(
            "KO-TOPIC-RF",
            f"RF {rf} needs {rf} brokers, and {len(usable)} are up"
            + (" and not excluded" if allowed.exclude else ""),
            where=topic,
            hint=f"--rf {len(usable)} or less, or more brokers",
        )
    bare = [b.id for b in usable if not b.rack]
    if bare and not allowed.no_rack:
        raise GuardRefused(
            "KO-TOPIC-NO-RACK",
            f"brokers without a rack: {', '.join(map(str, bare))}; replicas could share one rack",
            where=topic,
            hint="set broker.rack and restart them, exclude them (--exclude-broker), or accept it:"
            " --allow-no-rack",
        )
    racks = sorted({b.rack or NO_RACK for b in usable})
    if rf > len(racks) and not allowed.shared_racks and racks != [NO_RACK]:
        named = ", ".join(rack or "(none)" for rack in racks)
        raise GuardRefused(
            "KO-TOPIC-RACKS",
            f"RF {rf} over {len(racks)} racks ({named}): a rack would hold several replicas of a"
            " partition",
            where=topic,
            hint=f"--rf {len(racks)}, or accept it: --allow-shared-racks",
        )
    held, led = _counts(state)
    return [Place(b.id, b.rack or NO_RACK, held[b.id], led[b.id]) for b in usable]


def _counts(state: ClusterState) -> tuple[Counter[int], Counter[int]]:
    """Replicas and preferred leaders of all topics, by broker."""
    rows = [p.replicas for t in state.topics.values() for p in t.partitions if p.replicas]
    return Counter(b for row in rows for b in row), Counter(row[0] for row in rows)


def _shares(
    places: Collection[Place], rows: Mapping[int, Replicas], there: Mapping[int, Replicas]
) -> tuple[Share, ...]:
    new, first = Counter(b for r in rows.values() for b in r), Counter(r[0] for r in rows.values())
    old, led = Counter(b for r in there.values() for b in r), Counter(r[0] for r in there.values())
    return tuple(
        Share(p, p.replicas + new[p.id], p.leaders + first[p.id], old[p.id] + new[p.id],
              led[p.id] + first[p.id])
        for p in places
    )  # fmt: skip


def _refuse_name(state: ClusterState, topic: str) -> None:
    if not legal(topic):
        raise UsageFault(
            "KO-TOPIC-NAME",
            f"{topic!r} is no name of a topic: 1 to 249 of letters, digits, '.', '_' and '-'",
            where=topic,
        )
    if topic in state.topics:
        found = state.topics[topic]
        raise GuardRefused(
            "KO-TOPIC-EXISTS",
            f"{topic} is there, with {len(found.partitions)} partitions and RF {found.rf}",
            where=topic,
            hint=f"kafkaops placement partitions add {topic} --to N",
        )
    alike = [t for t in state.topics if t.replace(".", "_") == topic.replace(".", "_")]
    if alike:
        raise GuardRefused(
            "KO-TOPIC-NAME",
            f"{topic} and {alike[0]} are one name in metrics, where '.' and '_' are the same:"
            " Kafka refuses it",
            where=topic,
        )


def _unknown(topic: str, known: Collection[str]) -> UsageFault:
    near = difflib.get_close_matches(topic, known, n=3, cutoff=0.5)
    return UsageFault(
        "KO-TOPIC-UNKNOWN",
        f"there is no topic {topic!r}" + (f"; the nearest are {', '.join(near)}" if near else ""),
        where=topic,
        hint=f"kafkaops placement topic create {topic} --partitions N",
    )


def _of_brokers(state: ClusterState, shares: Collection[Share], allowed: Allowed) -> list[str]:
    """Brokers that get nothing, racks that are not known, and brokers with very much."""
    named = {b for t in state.topics.values() for p in t.partitions for b in p.replicas}
    words = []
    if away := sorted(named - {b.id for b in state.brokers}):
        words.append(f"brokers that are not up get nothing: {', '.join(map(str, away))}")
    if bare := [s.place.id for s in shares if s.place.rack == NO_RACK]:
        words.append(f"brokers without a rack count as one rack: {', '.join(map(str, bare))}")
    if allowed.exclude:
        words.append(f"excluded: {', '.join(map(str, sorted(allowed.exclude)))}")
    if full := [s.place.id for s in shares if s.replicas > REPLICAS_A_BROKER]:
        listed = ", ".join(map(str, full[:5]))
        words.append(f"more than {REPLICAS_A_BROKER:,} replicas on {len(full)} brokers: {listed}")
    return words


def _of_writes(rf: int, minimum: str) -> list[str]:
    if rf == 1:
        return ["RF 1: a broker that is lost takes its partitions with it"]
    if minimum.isdecimal() and int(minimum) == rf:
        return [f"min.insync.replicas={minimum} with RF {rf}: no broker can be away, not in a roll"]
    return []


def _of_keys(topic: Topic, to: int, keyed: bool) -> str:
    words = (
        f"keys change places: with {to} partitions in place of {len(topic.partitions)} most keys go"
        " to another partition, so a key's order ends here, and what joins by partition breaks"
    )
    if keyed:
        return (
            f"{words}; {topic.name} is compacted, so a key's old value stays where it was for good"
        )
    return f"{words}; records without keys do not mind"
