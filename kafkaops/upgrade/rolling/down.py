"""Who is down for a run, by what is written down of it: told where a command ends before its run.

Invariant: nobody is asked here, for what ended the command may be that nobody answers.
"""

from __future__ import annotations

from collections.abc import Iterable

from kafkaops.engine.step import Plan
from kafkaops.ports.facts import Facts
from kafkaops.upgrade.rolling.phases import WITHOUT

STOPS = ("node-stopped", "outage-down")
"""Kinds of the steps that stop a node."""


def down(facts: Facts, plans: Iterable[Plan]) -> tuple[list[str], list[str]]:
    """Hosts whose node the run told to stop and has not seen started since; and those whose node it
    saw started and not up. `plans` are the run's, oldest first: what a way back did comes after
    the way there. Who is left out by the operator is not among them."""
    reached: dict[str, str] = {}
    for plan in plans:
        for spec in plan.specs:
            told = f"{spec.args.get('notes', plan.operation)}.{spec.args.get('host')}.{{}}".format
            if spec.kind in STOPS and facts.get(told("mark")) is not None:
                seen = (name for name in ("up", "started") if facts.get(told(name)) is not None)
                reached[str(spec.args["host"])] = next(seen, "")
    without = facts.get(WITHOUT) or ()
    stopped = [host for host, last in reached.items() if not last and host not in without]
    coming = [host for host, last in reached.items() if last == "started" and host not in without]
    return stopped, coming
