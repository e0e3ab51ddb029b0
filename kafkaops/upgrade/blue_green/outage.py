"""The planned outage of `cutover.fence: clients`: how long, and what an operator must know. Pure.

No firewall is touched: hooks stop every client, and start them on the other cluster. Invariant:
what is said here of times is what the plan's steps are given.
"""

from __future__ import annotations

from kafkaops.config.schema import Config

GROWTH = 30.0
"""Seconds in which records may still come after the stop hooks: what stops by an orchestrator has
its grace period, 30 s by default in Kubernetes."""
MEMBERS = 60.0
"""Seconds in which groups may still have members: a member that was killed, or a static one, is
one until its session.timeout.ms (45 s by default) is over."""
PROOF = 60.0
NAMES = 300.0
JVM_CACHE = 30.0
"""How long (seconds) a JVM keeps an answer by default, whatever the record's TTL says."""
INSYNC = 60.0
"""Seconds that Route 53 takes for a change, at the most as a rule."""
SEAL, COMMIT = 5.0, 5.0
"""Seconds that the last records and the positions take where the mirror is close."""


def planned(config: Config) -> bool:
    """Whether clients are stopped by hooks instead of being fenced."""
    return bool(config.cutover.fence == "clients")


def hooks_time(config: Config) -> float:
    """The time (seconds) that all hooks of one kind, stop or start, may take."""
    return sum(c.timeout for c in config.clients if c.moves == "hooks")


def patience(config: Config) -> float:
    """How long (seconds) the source may take to stand still."""
    return max(MEMBERS, 3 * config.cutover.still_window)


def expected(config: Config) -> float:
    """Seconds from the last stop hook to the first start hook, if all goes as it should."""
    cut = config.cutover
    names = max(JVM_CACHE, cut.still_window + SEAL + COMMIT + INSYNC + cut.cut_ttl)
    return float(names)


def limit(config: Config) -> float:
    """Seconds after which the section goes back by itself."""
    return hooks_time(config) + patience(config) + PROOF + COMMIT + NAMES


def notes(config: Config) -> tuple[str, ...]:
    """What the plan says of the outage."""
    if not planned(config):
        return ()
    groups = ", ".join(c.name for c in config.clients if c.moves == "hooks")
    most = hooks_time(config)
    return (
        f"planned outage: hooks stop {groups}, and start them on the other cluster; expected are"
        f" about {expected(config):.0f} s and the time that the hooks take (at most {most:g} s to"
        f" stop and {most:g} s to start, by their timeouts)",
        f"cutover.max_write_pause ({config.cutover.max_write_pause:g} s) does not bound this"
        " outage: it is the patience of producers that run, and none does; after"
        f" {limit(config):.0f} s, or on any failure, the clients are started where they were",
        "no firewall holds clients back, so no timer starts them again: if kafkaops is killed in"
        " the outage they stay stopped until `kafkaops run resume` or `kafkaops run rollback`",
        "both CLIENT listeners stay open all the time: who writes without a hook is found by what"
        " grows on blue; who only reads without a group is not found",
    )
