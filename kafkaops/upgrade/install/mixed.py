"""Brokers that would be newer than their controllers, where only some nodes get a release. Pure.

A broker tells its controllers what it supports when it registers, and an older controller need not
understand it: controllers go first to a newer release, and last to an older one (KAFKA-16094,
KAFKA-17492). A roll of all nodes is ordered so; here it is held for a roll of some.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from kafkaops.model.cluster import ClusterState
from kafkaops.upgrade.install.looks import Look
from kafkaops.upgrade.install.place import Place
from kafkaops.upgrade.install.release import FORM, Release
from kafkaops.upgrade.refusals_codes import Finding

CODE = "KO-CONTROLLER-OLDER"


@dataclass(frozen=True)
class Some:
    """Nodes that get another release: brokers among them that get a `newer` one, and controllers
    that get an `older` one."""

    newer: tuple[int, ...] = ()
    older: tuple[int, ...] = ()

    def left(self, state: ClusterState, chosen: Collection[int]) -> set[int]:
        """Nodes that are not `chosen` and matter to these."""
        voters = set(state.quorum.voters) if state.quorum else set()
        brokers = {b.id for b in state.brokers}
        found = (voters if self.newer else set()) | (brokers if self.older and voters else set())
        return found - set(chosen)


def some(state: ClusterState, looks: Sequence[Look], place: Place, to: Release) -> Some:
    """Of the nodes that were chosen, by what each runs."""
    voters = set(state.quorum.voters) if state.quorum else set()
    brokers = {b.id for b in state.brokers}
    rolled = [(one.node, _release(one)) for one in looks if not one.runs(str(to), place)]
    alone, only = brokers - voters, voters - brokers  # one that is both is as new as itself
    return Some(
        tuple(n for n, now in rolled if n in alone and (now is None or now < to)),
        tuple(n for n, now in rolled if n in only and now is not None and now > to),
    )


def find(
    state: ClusterState,
    rolled: Some,
    others: Sequence[Look],
    away: Collection[int],
    to: Release,
    flag: str = "",
) -> Iterator[Finding]:
    """`others` are those of `Some.left` that have a host in the config; `away` have none."""
    voters = set(state.quorum.voters) if state.quorum else set()
    command = f"kafkaops upgrade --strategy rolling --to {to}{flag}"
    for one in others:
        now = _release(one)
        if now is None:
            continue
        if rolled.newer and one.node in voters and now < to:
            yield Finding(
                CODE,
                one.host,
                f"this controller runs {now} and stays so: broker {_nodes(rolled.newer)} would be"
                f" newer with {to}",
                f"controllers first: {command} --only {one.host}; or both: --only {one.host} too",
            )
        if rolled.older and one.node not in voters and now > to:
            yield Finding(
                CODE,
                one.host,
                f"this broker runs {now} and stays so: controller {_nodes(rolled.older)} would be"
                f" older with {to}",
                f"brokers first: {command} --only {one.host}; or both: --only {one.host} too",
            )
    for node in sorted(set(away) & voters) if rolled.newer else ():
        yield Finding(
            "KO-CONTROLLER-NO-HOST",
            str(node),
            f"this controller has no host in the config: nobody can say that it runs {to}",
            "add it to the cluster's `hosts`, with its node_id",
        )


def _release(one: Look) -> Release | None:
    """What it runs; of a node that is down, what starts next."""
    if one.running is not None:
        return one.running.release
    text = (one.link or "").rpartition("/")[2]
    return Release.of(text) if FORM.fullmatch(text) else None


def _nodes(nodes: Sequence[int]) -> str:
    return ", ".join(map(str, nodes))
