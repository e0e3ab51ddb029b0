"""A cluster that keeps feature levels as Kafka's controller does.

Brokers show a change later than it takes until somebody resumes a run. The controller's rules are
written down a second time here, so that a wrong table of ours is refused by it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from kafkaops.engine.clock import FakeClock
from kafkaops.engine.errors import GuardRefused, Unreachable
from kafkaops.model.cluster import Group
from kafkaops.model.features import FeatureChange, FeatureNode, Features, Range, Way

SHUT = {7, 8, 11, 13, 14, 15, 17, 23, 30}
"""Levels of metadata.version that changed the metadata."""
SUPPORTS = {
    "4.3": {
        "metadata.version": Range(7, 30),
        "kraft.version": Range(0, 1),
        "transaction.version": Range(0, 2),
        "group.version": Range(0, 1),
        "eligible.leader.replicas.version": Range(0, 1),
        "share.version": Range(0, 1),
        "streams.version": Range(0, 1),
    },
    "3.9": {"metadata.version": Range(1, 21), "kraft.version": Range(0, 1)},
}


def node(id: int, release: str = "4.3", **more: object) -> FeatureNode:
    made = FeatureNode(id, controller=True, supports=SUPPORTS[release])
    return replace(made, **more)  # type: ignore[arg-type]


class LevelCluster:
    """Implements what a change of features uses of `ports.cluster.Cluster`. `lag` is in seconds;
    `hidden` are registered nodes that no question shows, and what they support."""

    def __init__(
        self,
        clock: FakeClock,
        finalized: Mapping[str, int],
        nodes: Sequence[FeatureNode] = (node(1), node(2), node(3)),
        *,
        lag: float = 8.0,
    ) -> None:
        self.clock, self.lag = clock, lag
        self.kraft = True
        self.nodes = tuple(nodes)
        self.held = {name: level for name, level in finalized.items() if level}
        self.before = dict(self.held)
        self.moved = float("-inf")
        self.hidden: dict[str, Mapping[str, Range]] = {}
        self.min_isr: str | None = "2"
        self.min_isr_of: dict[int, str] = {n.id: "2" for n in nodes if n.broker}
        self.living: tuple[Group, ...] = ()
        self.unseen = ""
        self.away = False
        self.updates: list[tuple[str, int, int]] = []
        self.tried = 0

    # reads

    def features(self) -> Features:
        self._there()
        return Features(
            "BLUE",
            self.kraft,
            dict(self.held) if self.kraft else {},
            self.nodes,
            self.min_isr,
            self.min_isr_of,
            self.unseen,
        )

    def finalized_features(self) -> Mapping[int, Mapping[str, int]]:
        """Broker 1 shows a change at once, the others `lag` seconds later."""
        self._there()
        late = self.clock.monotonic() < self.moved + self.lag
        up = [n.id for n in self.nodes if n.broker and n.member]
        return {n: dict(self.before if late and n != 1 else self.held) for n in up}

    def groups(self, *, offsets: bool = True) -> tuple[Group, ...]:
        return self.living

    def try_features(self, changes: Collection[FeatureChange]) -> str:
        self._there()
        self.tried += 1
        after = {**self.held, **{c.feature: c.level for c in changes}}
        return next(filter(None, (self._refused(c, after) for c in changes)), "")

    # the change

    def update_features(self, changes: Collection[FeatureChange]) -> None:
        refusal = self.try_features(changes)
        if refusal:
            raise GuardRefused("KO-FEATURE-REFUSED", refusal)
        self.before = dict(self.held)
        self.moved = self.clock.monotonic()
        for change in changes:
            self.updates.append((change.feature, self.held.get(change.feature, 0), change.level))
            self.held[change.feature] = change.level
            if change.level == 0:
                del self.held[change.feature]
            if change.feature.startswith("eligible"):
                assert self.min_isr is not None, "the brokers' own min.insync.replicas are gone"

    def _refused(self, change: FeatureChange, after: Mapping[str, int]) -> str:
        now = self.held.get(change.feature, 0)
        registered: dict[str, Mapping[str, Range]] = {
            f"{'Broker' if n.broker else 'Controller'} {n.id}": n.supports
            for n in self.nodes
            if n.supports is not None
        }
        for name, supports in {**registered, **self.hidden}.items():
            held = supports.get(change.feature, Range(0, 0))
            if change.level not in held:
                return f"{name} only supports versions {held.min}-{held.max}"
        if change.level < now and change.way is Way.UPGRADE:
            return "Can't downgrade without the right type"
        if change.level > now and change.way is not Way.UPGRADE:
            return "Can't downgrade to a newer version."
        if change.level < now and change.feature == "kraft.version":
            return "Can't downgrade the version of this feature."
        crossed = SHUT & set(range(change.level + 1, now + 1))
        if change.feature == "metadata.version" and crossed:
            return "Refusing to perform the requested downgrade"
        elr = change.feature.startswith("eligible") and change.level
        if elr and after["metadata.version"] < 23:
            return "it depends on metadata.version level 23"
        return ""

    def _there(self) -> None:
        if self.away:
            raise Unreachable("KO-CLUSTER-UNREACHABLE", "blue did not answer")
