"""Whether controllers may stop: would the others still be a quorum that has caught up. Pure.

Of n voters, (n + 2) // 2 others must be caught up with the leader: one more failure could
otherwise stop the cluster's metadata (n = 3: 2, n = 5: 3). One voter has no others and two can
never spare one: both go with a warning. Sources: Kafka's DescribeQuorum (KIP-836), and
controller.quorum.fetch.timeout.ms as the time in which a voter must have caught up.
"""

from __future__ import annotations

from collections.abc import Sequence

from kafkaops.engine.step import Blocked
from kafkaops.model.cluster import ClusterState, Quorum

FETCH_TIMEOUT = 2000
"""Milliseconds; Kafka's default of controller.quorum.fetch.timeout.ms."""
LAG = 20
"""Records behind that count as caught up where times are unknown: an idle cluster's metadata log
grows by two a second, so a dead voter passes it within 10 s."""


def quorum(
    state: ClusterState, nodes: Sequence[int], timeout: int = FETCH_TIMEOUT
) -> tuple[list[Blocked], list[str]]:
    """Reasons against stopping these nodes, and warnings. Nodes that are no voters pass."""
    q = state.quorum
    going = [n for n in nodes if q is not None and n in q.voters]
    if q is None or not going:
        return [], []
    if q.leader < 0:
        return [
            Blocked(
                "KO-QUORUM-NO-LEADER",
                "the controllers have no leader",
                "bring back a majority of them: kafkaops health, and their logs",
            )
        ], []
    if len(going) > 1:
        names = ", ".join(map(str, going))
        return [
            Blocked(
                "KO-QUORUM-TOO-MANY",
                f"controllers {names} together: they go one at a time",
                "stop one of them",
                transient=False,
            )
        ], []
    [node], count = going, len(q.voters)
    if count == 1:
        return [], [f"controller {node} is the only one: no metadata changes while it is down"]
    others = [n for n in sorted(q.voters) if n != node]
    ready = [n for n in others if caught_up(q, n, timeout)]
    need = 1 if count == 2 else (count + 2) // 2
    if len(ready) < need:
        behind = ", ".join(str(n) for n in others if n not in ready)
        return [
            Blocked(
                "KO-QUORUM-BEHIND",
                f"without controller {node}, {len(ready)} of {count} voters are caught up, and"
                f" {need} are needed; behind: {behind}",
                f"wait for controller {behind}",
            )
        ], []
    warnings = []
    if count == 2:
        warnings = [f"of two controllers {node} stops: no metadata changes until it is back"]
    return [], warnings


def caught_up(q: Quorum, voter: int, timeout: int = FETCH_TIMEOUT) -> bool:
    """Whether a voter had all of the leader's log within `timeout` ms, by the leader's own clock;
    by records where the broker is too old to tell times."""
    if voter == q.leader:
        return True
    silence = q.silence(voter)
    if silence is not None:
        return silence <= timeout
    end = q.voters.get(q.leader, max(q.voters.values(), default=0))
    return q.voters[voter] >= 0 and end - q.voters[voter] <= LAG
