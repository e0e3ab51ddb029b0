"""The difference between two clusters, as data. Pure.

Invariant: an empty diff means that green has every topic, partition, effective config, ACL and
quota of blue, save what `deferred` names. Surplus on green is told, never removed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from kafkaops.model.cluster import Acl, ClusterState, Quota, ScramUser
from kafkaops.model.partition import Topic, is_carried
from kafkaops.upgrade import parity_configs as configs
from kafkaops.upgrade import users
from kafkaops.upgrade.parity_configs import ConfigChange, Deferred, Skipped
from kafkaops.upgrade.parity_racks import Assignment, Placer, too_small


@dataclass(frozen=True)
class NewTopic:
    """`configs` are given at creation; `wanted` is what must be effective afterwards."""

    name: str
    assignment: Assignment
    configs: Mapping[str, str]
    wanted: Mapping[str, str]

    @property
    def rf(self) -> int:
        return max((len(r) for r in self.assignment.values()), default=0)


@dataclass(frozen=True)
class MorePartitions:
    topic: str
    assignment: Assignment


@dataclass(frozen=True)
class ParityDiff:
    """What must change on green. `impossible` cannot be cured by changing green's settings;
    `surplus_*`, `users_missing` and `left_out` are told but do not make the diff non-empty."""

    create: tuple[NewTopic, ...] = ()
    partitions: tuple[MorePartitions, ...] = ()
    configs: tuple[ConfigChange, ...] = ()
    acls: tuple[Acl, ...] = ()
    quotas: tuple[Quota, ...] = ()
    impossible: tuple[str, ...] = ()
    deferred: tuple[Deferred, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    surplus_topics: tuple[str, ...] = ()
    surplus_acls: tuple[Acl, ...] = ()
    surplus_quotas: tuple[Quota, ...] = ()
    users_missing: tuple[ScramUser, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        return not (
            self.create
            or self.partitions
            or self.configs
            or self.acls
            or self.quotas
            or self.impossible
        )

    def lines(self) -> tuple[str, ...]:
        """For people: what would change first, then what waits, then what is only told."""
        return tuple(self._changes()) + tuple(self._notes())

    def _changes(self) -> Iterable[str]:
        yield from (f"! {why}" for why in self.impossible)
        for t in self.create:
            settings = "".join(f" {k}={v}" for k, v in sorted(t.configs.items()))
            yield f"+ topic {t.name}: {len(t.assignment)} partitions, RF {t.rf}{settings}"
        for p in self.partitions:
            yield f"+ partitions of {p.topic}: {', '.join(map(str, sorted(p.assignment)))}"
        for c in self.configs:
            yield f"~ topic {c.topic} {c.name}: {c.was} -> {c.value} ({c.source or 'effective'})"
        yield from (f"+ acl {acl_text(a)}" for a in self.acls)
        yield from (f"+ quota {quota_text(q)}" for q in self.quotas)

    def _notes(self) -> Iterable[str]:
        for d in self.deferred:
            yield f"at the cut: topic {d.topic} {d.name}={d.at_cut} ({d.until} until then)"
        yield from (f"not carried: topic {s.topic} {s.name}: {s.reason}" for s in self.skipped)
        if self.users_missing:
            yield f"missing SCRAM users: {', '.join(u.name for u in self.users_missing)}"
        yield from (f"only on the target: topic {name}" for name in self.surplus_topics)
        yield from (f"only on the target: acl {acl_text(a)}" for a in self.surplus_acls)
        yield from (f"only on the target: quota {quota_text(q)}" for q in self.surplus_quotas)
        if self.left_out:
            yield f"left out: topics {', '.join(self.left_out)}"


def diff(blue: ClusterState, green: ClusterState, *, exclude: Sequence[str] = ()) -> ParityDiff:
    """What green lacks of blue. `exclude` are glob patterns of topics that are not mirrored."""
    carried, left_out = _split(blue.topics, exclude)
    placer = Placer(blue, green)
    target_major, known = configs.major(green), configs.known_names(green)
    create: list[NewTopic] = []
    more: list[MorePartitions] = []
    changed: list[ConfigChange] = []
    deferred: list[Deferred] = []
    skipped: list[Skipped] = []
    impossible: list[str] = []
    for name, topic in sorted(carried.items()):
        wish = configs.wanted(topic, target_major=target_major, known=known)
        deferred += wish.deferred
        skipped += wish.skipped
        there = green.topics.get(name)
        if there is None:
            assignment = placer.place(topic.partitions)
            if too_small(assignment, topic.rf):
                impossible.append(_too_few(name, topic.rf, green))
            else:
                create.append(NewTopic(name, assignment, wish.explicit, wish.values))
            continue
        changed += configs.changes(name, wish, topic.config, there.config)
        missing = topic.partitions[len(there.partitions) :]
        if len(there.partitions) > len(topic.partitions):
            impossible.append(
                f"topic {name} has {len(there.partitions)} partitions on the target,"
                f" {len(topic.partitions)} on the source: delete it on the target"
            )
        elif there.partitions and there.rf != topic.rf:
            impossible.append(
                f"topic {name} has RF {there.rf} on the target, {topic.rf} on the source:"
                " delete it on the target, or reassign it"
            )
        elif missing:
            more.append(MorePartitions(name, placer.place(missing)))
    acls, surplus_acls = _acls(blue, green, impossible)
    quotas, surplus_quotas = _quotas(blue.quotas, green.quotas)
    return ParityDiff(
        create=tuple(create),
        partitions=tuple(more),
        configs=tuple(changed),
        acls=acls,
        quotas=quotas,
        impossible=tuple(impossible),
        deferred=tuple(deferred),
        skipped=tuple(skipped),
        surplus_topics=tuple(
            sorted(n for n, t in green.topics.items() if is_carried(t) and n not in blue.topics)
        ),
        surplus_acls=surplus_acls,
        surplus_quotas=surplus_quotas,
        users_missing=users.missing(blue.scram_users, green.scram_users),
        left_out=left_out,
    )


def _split(
    topics: Mapping[str, Topic], exclude: Sequence[str]
) -> tuple[dict[str, Topic], tuple[str, ...]]:
    """Carried topics, and the names of the others that are not Kafka's own."""
    carried = {
        name: topic
        for name, topic in topics.items()
        if is_carried(topic) and not any(fnmatchcase(name, glob) for glob in exclude)
    }
    others = sorted(n for n, t in topics.items() if n not in carried and not t.internal)
    return carried, tuple(others)


def _too_few(name: str, rf: int, green: ClusterState) -> str:
    return f"topic {name} has RF {rf} and the target has {len(green.brokers)} brokers"


def _acls(
    blue: ClusterState, green: ClusterState, impossible: list[str]
) -> tuple[tuple[Acl, ...], tuple[Acl, ...]]:
    missing = tuple(sorted(set(blue.acls) - set(green.acls)))
    surplus = tuple(sorted(set(green.acls) - set(blue.acls)))
    if missing and not green.acls_enabled:
        impossible.append(f"{len(missing)} ACLs to carry and the target has no authorizer")
        return (), surplus
    return missing, surplus


def _quotas(
    blue: Iterable[Quota], green: Iterable[Quota]
) -> tuple[tuple[Quota, ...], tuple[Quota, ...]]:
    """Values to set on green, and values that only green has."""
    here = {q.entity: dict(q.values) for q in blue}
    there = {q.entity: dict(q.values) for q in green}
    return _beyond(here, there, differing=True), _beyond(there, here, differing=False)


def _beyond(
    one: Mapping[tuple[tuple[str, str | None], ...], dict[str, float]],
    other: Mapping[tuple[tuple[str, str | None], ...], dict[str, float]],
    *,
    differing: bool,
) -> tuple[Quota, ...]:
    found = []
    for entity, values in sorted(one.items(), key=str):
        have = other.get(entity, {})
        left = {k: v for k, v in values.items() if k not in have or (differing and have[k] != v)}
        if left:
            found.append(Quota(entity, tuple(sorted(left.items()))))
    return tuple(found)


def acl_text(acl: Acl) -> str:
    return (
        f"{acl.permission} {acl.principal} {acl.operation} on {acl.resource_type}"
        f" {acl.pattern_type}:{acl.resource_name} from {acl.host}"
    )


def quota_text(quota: Quota) -> str:
    who = " ".join(f"{kind}={name or '<default>'}" for kind, name in quota.entity)
    return f"{who}: " + ", ".join(f"{key}={value:g}" for key, value in quota.values)
