"""The proof bundle of a run: what was fenced, compared, committed, and how long each part took.

Built from the facts that steps left and the timings of the journal; pure. Invariant: nothing is
claimed that no fact holds: a part that was not measured is absent, not zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from kafkaops.upgrade.proof_groups import PositionLine, in_all, positions_of, unknown
from kafkaops.upgrade.proof_pause import Part, Pause, pause_of

__all__ = ["Part", "Pause"]

SCHEMA_VERSION = 1

DIRECTIONS = (("forward", "blue", "green"), ("back", "green", "blue"))


@dataclass(frozen=True)
class StepTiming:
    """One step of the run; `started` and `ended` in epoch seconds, None where it did not."""

    id: str
    phase: str
    title: str
    state: str
    started: float | None = None
    ended: float | None = None


@dataclass(frozen=True)
class PhaseTiming:
    """A phase from its first step's start to its last step's end, epoch seconds."""

    name: str
    title: str
    started: float
    ended: float
    done: bool = True

    @property
    def seconds(self) -> float:
        return self.ended - self.started


@dataclass(frozen=True)
class PartitionLine:
    """What was proven of one partition. `fenced_*` are the source's offsets at the fence: log
    start, high watermark, last stable offset. `digest` is the rolling hash, in hex."""

    topic: str
    partition: int
    records: int
    digest: str
    source_start: int
    source_end: int
    target_start: int
    target_end: int
    compacted: bool = False
    fenced_start: int | None = None
    fenced_high_watermark: int | None = None
    fenced_stable: int | None = None


ELECTED = (
    "leaders changed while clients arrived; an idempotent producer of librdkafka may then report as"
    " written what is nowhere: compare the writers' own figures for these partitions"
)
"""What `MoveProof.elected` means for an operator; see docs/blue-green.md."""


@dataclass(frozen=True)
class MoveProof:
    """One move of the clients: `forward` is blue to green, `back` its reverse. `committed` says
    whether the groups' positions were committed at all: nothing is known of them without."""

    direction: str
    source: str
    target: str
    pause: Pause | None
    partitions: tuple[PartitionLine, ...]
    positions: tuple[PositionLine, ...]
    aborted: tuple[str, ...] = ()
    silent_topics: tuple[str, ...] = ()
    elected: tuple[str, ...] = ()
    consuming: tuple[str, ...] = ()
    growing: tuple[str, ...] = ()
    committed: bool = False

    @property
    def records(self) -> int:
        return sum(p.records for p in self.partitions)

    @property
    def skipped(self) -> int | None:
        """By all groups together; None as soon as it is not known of one partition."""
        return in_all([p.skipped for p in self.positions]) if self.committed else None

    @property
    def replayed(self) -> int | None:
        """The same of what may be seen again."""
        return in_all([p.replayed for p in self.positions]) if self.committed else None


@dataclass(frozen=True)
class Bundle:
    """The whole proof. Times in epoch seconds; `phases` in the order in which they began."""

    run: str
    operation: str
    cluster: str
    outcome: str
    created: float
    who: str = ""
    reason: str = ""
    fingerprint: str = ""
    phases: tuple[PhaseTiming, ...] = ()
    steps: tuple[StepTiming, ...] = ()
    moves: tuple[MoveProof, ...] = ()
    accepted: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """One JSON document, totals included."""
        document = {"schema_version": SCHEMA_VERSION, **_plain(self)}
        for move, shown in zip(self.moves, document["moves"], strict=True):
            shown["totals"] = {
                "partitions": len(move.partitions),
                "records": move.records,
                "groups": len({p.group for p in move.positions}),
                "skipped": move.skipped,
                "replayed": move.replayed,
                "unknown": len(unknown(move.positions)),
            }
        return document


def phases_of(steps: Sequence[StepTiming], titles: Mapping[str, str]) -> tuple[PhaseTiming, ...]:
    """Steps gathered into phases. A phase that did not begin is left out; one that did not end
    ends where its last step was seen, and is not done."""
    found: dict[str, list[StepTiming]] = {}
    for step in steps:
        found.setdefault(step.phase, []).append(step)
    phases = []
    for name, inside in found.items():
        begun = [s.started for s in inside if s.started is not None]
        ends = [s.ended for s in inside if s.ended is not None]
        if begun:
            done = all(s.state == "done" for s in inside)
            ended = max([*ends, *begun])
            phases.append(PhaseTiming(name, titles.get(name, name), min(begun), ended, done))
    return tuple(sorted(phases, key=lambda p: p.started))


def moves_of(facts: Mapping[str, Any], *, budget: float) -> tuple[MoveProof, ...]:
    """The moves that the facts of a run prove. `budget` is `max_write_pause`, in seconds."""
    found = []
    for direction, source, target in DIRECTIONS:
        own = {
            name.removeprefix(f"{direction}."): value
            for name, value in facts.items()
            if name.startswith(f"{direction}.") and value is not None
        }
        if "proof" in own or "ends" in own:
            found.append(_move(direction, source, target, own, budget))
    return tuple(found)


def _move(
    direction: str, source: str, target: str, own: Mapping[str, Any], budget: float
) -> MoveProof:
    seen = own.get("clients.seen") or {}
    before = own.get("before") or {}
    return MoveProof(
        direction=direction,
        source=source,
        target=target,
        pause=pause_of(own, budget),
        partitions=_partitions(own.get("proof") or {}, own.get("ends") or {}),
        positions=positions_of(own.get("groups") or ()),
        aborted=tuple(str(a) for a in own.get("aborted") or ()),
        silent_topics=tuple(seen.get("silent_topics") or ()),
        elected=tuple(seen.get("elected") or ()),
        consuming=tuple(before.get("consuming") or ()),
        growing=tuple(before.get("growing") or ()),
        committed="groups" in own,
    )


def _partitions(proof: Mapping[str, Any], ends: Mapping[str, Any]) -> tuple[PartitionLine, ...]:
    lines = []
    for key in sorted(set(proof) | set(ends)):
        topic, _, number = key.rpartition("/")
        proven = proof.get(key)
        if proven is None:
            continue  # fenced but never compared: the run did not come that far
        start, high, stable = (*(ends.get(key) or ()), None, None, None)[:3]
        lines.append(
            PartitionLine(
                topic=topic,
                partition=int(number),
                records=int(proven["records"]),
                digest=str(proven["digest"]),
                source_start=int(proven["source_start"]),
                source_end=int(proven["source_end"]),
                target_start=int(proven["target_start"]),
                target_end=int(proven["target_end"]),
                compacted=bool(proven.get("compacted", False)),
                fenced_start=start,
                fenced_high_watermark=high,
                fenced_stable=stable,
            )
        )
    return tuple(sorted(lines, key=lambda p: (p.topic, p.partition)))


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value
