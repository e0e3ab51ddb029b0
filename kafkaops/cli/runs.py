"""Runs of a config's pair: which one is meant, where it stands, what its journals say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kafkaops.engine import history as h
from kafkaops.engine.clock import SystemClock
from kafkaops.engine.errors import UsageFault
from kafkaops.engine.events import Kind
from kafkaops.engine.history import History, Status
from kafkaops.engine.journal import Journal
from kafkaops.engine.store import RunDirectory, Store
from kafkaops.features.planner import OPERATION as FEATURES
from kafkaops.placement.applying.planner import BACK as PLACEMENT_BACK
from kafkaops.placement.applying.planner import OPERATION as PLACEMENT
from kafkaops.upgrade.blue_green.hooking import stopped
from kafkaops.upgrade.blue_green.operation import BACK, FINALIZE, FORWARD
from kafkaops.upgrade.downtime.planner import BACK as DOWNTIME_BACK
from kafkaops.upgrade.downtime.planner import OPERATION as DOWNTIME
from kafkaops.upgrade.fleet.leaving import left
from kafkaops.upgrade.proof import Bundle, PhaseTiming, StepTiming, moves_of, phases_of
from kafkaops.upgrade.protocol.planner import OPERATION as PROTOCOL
from kafkaops.upgrade.rolling.planner import OPERATION as RESTART
from kafkaops.upgrade.rolling.renewal import OPERATION as RENEWAL
from kafkaops.upgrade.rolling.upgrading import BACK as ROLLING_BACK
from kafkaops.upgrade.rolling.upgrading import UPGRADE as ROLLING
from kafkaops.volumes.cluster.planner import OPERATION as VOLUMES

__all__ = [
    "BACK",
    "FEATURES",
    "FINALIZE",
    "FORWARD",
    "PLACEMENT",
    "PLACEMENT_BACK",
    "PROTOCOL",
    "RESTART",
    "ROLLING",
    "THERE",
    "UNFINISHED",
    "Run",
    "Status",
]

if TYPE_CHECKING:
    from kafkaops.config.loader import Loaded

LARGE = (".proof", ".ends", ".groups", ".mark")
"""How the names of facts end that a report has no use for as they are."""
BACKS = (BACK, ROLLING_BACK, DOWNTIME_BACK, PLACEMENT_BACK)
THERE = (FORWARD, ROLLING, DOWNTIME)
"""Upgrades, which can be rolled back."""
ON_HOSTS = (ROLLING, DOWNTIME)
"""Upgrades of the cluster itself, node by node."""
ALONE = (RESTART, FEATURES, PROTOCOL, PLACEMENT, VOLUMES, RENEWAL)
"""Operations on one cluster that are no upgrade."""
UNFINISHED = (Status.STOPPED, Status.FAILED, Status.RETURNED, Status.RUNNING)


@dataclass(frozen=True)
class Run:
    """A run on disk: its directory and all its journals, oldest first."""

    directory: RunDirectory
    journals: tuple[Journal, ...]

    @property
    def id(self) -> str:
        return self.directory.id

    @property
    def last(self) -> Journal:
        return self.journals[-1]

    @property
    def operation(self) -> str:
        """Of the last journal."""
        return self.last.plan.operation

    @property
    def status(self) -> Status:
        """As the store says; a way back that came to its end is a run rolled back."""
        if self.directory.running():
            return Status.RUNNING
        found = History(self.last).status
        if self.operation in BACKS and found is Status.DONE:
            return Status.ROLLED_BACK
        return found

    @property
    def opened(self) -> bool:
        """Whether the cut was decided: clients write to the target."""
        return any(
            History(j).decided(section)
            for j in self.journals
            if j.plan.operation == FORWARD
            for section in j.plan.criticals
        )

    @property
    def going_back(self) -> bool:
        """Whether a way back was begun and did not come to its end."""
        if self.operation in BACKS:
            return self.status is not Status.ROLLED_BACK
        past = History(self.last)
        return past.rolling_back and not past.rolled_back

    @property
    def clients_stopped(self) -> list[str]:
        """The groups of clients that hooks have stopped and not started since."""
        return stopped(self.directory.facts())

    def holder(self) -> Mapping[str, Any]:
        """Who took the run up last: pid, host, user."""
        found = [r for r in self.last.records if r.kind == h.BEGIN]
        return dict(found[-1].data) | {"since": found[-1].at} if found else {}


def store(loaded: Loaded) -> Store:
    return Store(Path(loaded.config.state.dir), SystemClock())


def find(loaded: Loaded, run: str | None) -> Run:
    """The run of this id; or one that did not end; or the newest upgrade, for another operation
    that is over must not hide it; or the newest of those. UsageFault when there is none."""
    if run is None:
        ups, others = _newest(loaded, THERE), _newest(loaded, ALONE)
        open_ = (*UNFINISHED, Status.CALLED_OFF)
        busy = [r for r in (*others, *ups) if r.status in open_]
        newest = next(iter([*busy, *ups, *others]), None)
        if newest is None:
            raise UsageFault(
                "KO-RUN-NONE",
                f"there is no run of {loaded.config.name} yet",
                where=loaded.config.state.dir,
                hint="kafkaops upgrade --strategy blue-green --plan",
            )
        return newest
    return _open(store(loaded).existing(run))


def _newest(loaded: Loaded, operations: Sequence[str]) -> list[Run]:
    """The newest of each of these operations, the newest first."""
    found = [r for r in (latest(loaded, name) for name in operations) if r is not None]
    return sorted(found, key=lambda r: r.journals[0].plan.created, reverse=True)


def latest(loaded: Loaded, operation: str = FORWARD) -> Run | None:
    """The newest upgrade (or other operation) of the pair that was begun; None when there is none.
    A run that cannot be read is refused, not passed over: it may be one that holds clients back."""
    kept = store(loaded)
    for summary in sorted(kept.list(), key=lambda r: not r.damage):
        directory = kept.run(summary.id)
        if summary.damage and directory.journals():
            directory.look()
        if summary.cluster == loaded.config.name and directory.journals():
            found = _open(directory)
            if found.journals[0].plan.operation == operation:  # not a mere move of names
                return found
    return None


def holding(loaded: Loaded) -> list[tuple[str, bool, list[str]]]:
    """Runs that still hold something: the id, whether a process carries it, and what, in words."""
    kept = store(loaded)
    found = []
    for summary in kept.list():
        directory = kept.run(summary.id)
        lines = left(directory.facts())
        if lines and summary.cluster == loaded.config.name:
            found.append((summary.id, directory.running(), lines))
    return found


def _open(directory: RunDirectory) -> Run:
    paths = directory.journals()
    if not paths:
        directory.look()  # says that it was never begun
    return Run(directory, tuple(Journal.look(path, SystemClock()) for path in paths))


def timings(
    journals: Sequence[Journal], events: Sequence[Mapping[str, Any]] = ()
) -> tuple[StepTiming, ...]:
    """Each step of each journal: its state, when it was begun, when it ended. A step that only
    waits has no intent in the journal: `events` tell when it began."""
    found: list[StepTiming] = []
    for index, journal in enumerate(journals):
        since = journal.records[0].at
        until = journals[index + 1].records[0].at if index + 1 < len(journals) else float("inf")
        started = _begun([e for e in events if since <= float(e["at"]) < until])
        ended: dict[str, float] = {}
        state: dict[str, str] = {}
        for record in journal.records:
            step = str(record.data.get("step", ""))
            if record.kind == h.INTENT:
                started[step] = min(record.at, started.get(step, record.at))
                state[step] = "begun"
            elif record.kind in (h.DONE, h.SEEN_DONE):
                started.setdefault(step, record.at)
                ended[step] = record.at
                state[step] = "done"
            elif record.kind in (h.FAILED, h.UNDONE):
                ended[step] = record.at
                state[step] = record.kind
        for spec in journal.plan.specs:
            begun = spec.id in started
            found.append(
                StepTiming(
                    spec.id,
                    spec.phase,
                    spec.title,
                    state.get(spec.id, "begun" if begun else "todo"),
                    started.get(spec.id),
                    ended.get(spec.id) if begun else None,
                )
            )
    return tuple(found)


def _begun(events: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """When each step was first heard of."""
    kinds = {Kind.STARTED.value, Kind.WAITING.value, Kind.PROGRESS.value}
    found: dict[str, float] = {}
    for event in events:
        if event["kind"] in kinds and event["step"]:
            at = float(event["at"]) - float(event["seconds"])
            found[event["step"]] = min(at, found.get(event["step"], at))
    return found


def bundle(run: Run, titles: Mapping[str, str]) -> Bundle:
    """The proof of a run, from its journals and facts."""
    first = run.journals[0].plan
    kept = run.directory.facts()
    facts = {name: kept.get(name) for name in kept.names()}
    events = run.directory.events()
    who = run.holder()
    return Bundle(
        run=run.id,
        operation=first.operation,
        cluster=first.cluster,
        outcome=run.status.value,
        created=first.created,
        who=f"{who['user']}@{who['host']}" if who else "",
        reason=str(facts.get("run.reason") or ""),
        fingerprint=first.fingerprint,
        phases=_phases(run, events, titles),
        steps=timings(run.journals, events),
        moves=moves_of(facts, budget=_budget(first.config)),
        accepted=tuple(first.config.get("accept", ())),
        notes=first.notes,
        facts={k: v for k, v in facts.items() if not k.endswith(LARGE)},
    )


def _budget(config: Mapping[str, Any]) -> float:
    """`max_write_pause` in seconds; 0 where the plan moves no clients."""
    return float((config.get("cutover") or {}).get("max_write_pause", 0.0))


def _phases(
    run: Run, events: Sequence[Mapping[str, Any]], titles: Mapping[str, str]
) -> tuple[PhaseTiming, ...]:
    """The phases of all journals. The way back and finalize repeat names: each is timed on its
    own, and called what it is."""
    found: list[PhaseTiming] = []
    steps = list(timings(run.journals, events))
    for journal in run.journals:
        count = len(journal.plan.specs)
        mine, steps = steps[:count], steps[count:]
        operation = journal.plan.operation
        prefix = "back: " if operation in BACKS else "finalize: " if operation == FINALIZE else ""
        found += phases_of(mine, {name: prefix + words for name, words in titles.items()})
    return tuple(found)
