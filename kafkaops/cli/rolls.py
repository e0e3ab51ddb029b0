"""Restarts and upgrades of a cluster's own hosts, in words: the plan, the question, the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kafkaops.cli.job import Asked, Job, Wish, carried_out, colour_of
from kafkaops.cli.session import current
from kafkaops.engine.errors import UsageFault
from kafkaops.model.words import counted
from kafkaops.upgrade.rolling.down import STOPS
from kafkaops.upgrade.rolling.phases import ACCEPTED, LOST, UNCLEAN, WITHOUT

if TYPE_CHECKING:
    from kafkaops.cli.carry import Orders
    from kafkaops.cli.runs import Run
    from kafkaops.engine.step import Plan
    from kafkaops.upgrade.rolling.choosing import Options

RESTART, ROLLING, OUTAGE, RENEWAL = "restart", "rolling", "downtime", "renew"
NOUNS = {
    RESTART: (
        "restart",
        "going back starts what is down; a restart itself cannot be undone",
    ),
    ROLLING: (
        "rolling upgrade",
        "going back is a roll of its own, to what each node ran before: kafkaops run rollback",
    ),
    OUTAGE: (
        "upgrade with an outage",
        "going back is an outage of its own, to what each node ran before: kafkaops run rollback",
    ),
    RENEWAL: (
        "renewal of volumes",
        "what was on a volume is gone and replicated again; going back only starts what is down",
    ),
}
"""What each is called, and what going back would be."""
FLAGS = {
    ACCEPTED: "--accept-unavailable",
    WITHOUT: "--without",
    UNCLEAN: "--elect-unclean",
    LOST: "--accept-lost",
}
"""The flag of `run resume` that adds to a fact."""
OF_OUTAGES = (UNCLEAN, LOST)
"""Those of them that say nothing to any other run."""
STOPPING = frozenset({*NOUNS, "rolling-back", "downtime-back", "protocol"})
"""Operations that stop nodes, and so may have to go on without one."""
VERBS = {
    RESTART: "restarts",
    ROLLING: "upgrades, one batch after the other,",
    OUTAGE: "stops, upgrades and starts all",
    RENEWAL: "erases the volumes, one broker after the other, of",
}


def job(operation: str) -> Job:
    """A restart, a rolling upgrade or one with an outage, as commands carry it out."""
    noun = NOUNS[operation][0]
    return Job(
        operation,
        noun,
        f"nobody is left to {noun.split()[-1]}" if operation != RENEWAL else "no broker is meant",
        lines,
        _what,
        severe=lambda plan: operation == RENEWAL,
        severe_still=lambda run: operation == RENEWAL,
    )


def _what(plan: Plan, cluster: str) -> str:
    to = plan.snapshot["options"].get("to")
    words = f"This {VERBS[plan.operation]} {counted(len(nodes(plan)), 'node')} of {cluster}"
    return f"{words} to {to}." if to else f"{words}."


def checked(cluster: str, max_batch: int | None, whole_racks: bool) -> int:
    """The largest batch. UsageFault for flags that make no sense together."""
    from kafkaops.upgrade.batches import MAX_BATCH

    if max_batch is not None and whole_racks:
        raise UsageFault(
            "KO-USAGE", "--max-batch and --whole-racks contradict each other", hint="give one"
        )
    colour_of(cluster)
    return MAX_BATCH if max_batch is None else max_batch


def rolled(operation: str, options: Options, wish: Wish, orders: Orders) -> int:
    """Carry it out. UsageFault for an upgrade without a release to go to."""
    if operation in (ROLLING, OUTAGE):
        _release(operation, options.to)
    asked = Asked(
        options.cluster,
        options.to_json(),
        lambda world, run: current().operations.plan_roll(world, run, options, operation),
        f"looking at {options.cluster} and its hosts",
    )
    return carried_out(job(operation), asked, wish, orders)


def _release(strategy: str, to: str | None) -> None:
    from kafkaops.upgrade.install.release import Release

    if to is None:
        raise UsageFault(
            "KO-USAGE",
            f"Missing option '--to': {strategy} installs a version.",
            where=f"kafkaops upgrade --strategy {strategy}",
            hint="--to 4.3.1, with its tarball under `versions` in the config",
        )
    Release.of(to)


def wishes(run: Run, flags: Mapping[str, Sequence[str] | None]) -> dict[str, tuple[str, ...]]:
    """What was asked for of a run, by the fact that keeps it, without what was not. UsageFault
    where that says nothing to this run."""
    asked = {fact: tuple(given) for fact, given in flags.items() if given}
    outage = run.last.plan.operation.startswith(OUTAGE)
    idle = [f for f in asked if run.operation not in STOPPING or (f in OF_OUTAGES and not outage)]
    if idle:
        raise UsageFault(
            "KO-USAGE",
            f"{FLAGS[idle[0]]} says nothing to this run ({run.operation})",
            where=run.id,
            hint=f"kafkaops run resume {run.id}",
        )
    specs = run.last.plan.specs
    known = {str(s.args["host"]) for s in specs if s.args.get("host")}
    known |= {str(name) for s in specs for name in s.args.get("brokers", ())}  # only shut out of
    strange = [name for name in asked.get(WITHOUT, ()) if name not in known]
    if strange:
        raise UsageFault(
            "KO-HOST-UNKNOWN",
            f"the run stops no host {strange[0]!r}",
            where=run.id,
            hint=f"--without with one of: {', '.join(sorted(known))}",
        )
    return asked


def nodes(plan: Plan) -> list[str]:
    """Hosts whose nodes the plan restarts, in order."""
    return [str(s.args["host"]) for s in plan.specs if s.kind in STOPS]


def figures(run: Run) -> dict[str, Any]:
    """For scripts: `back` are the hosts that were restarted and are in sync, by the release that
    they came to ("" for a restart), and `left` all others of the run; `clean` ended by themselves
    when told to, `unclean` did not, and how. Of an outage also `outage_seconds`, and of how many
    partitions the ends are no earlier than before it (`ends_kept`), or of which they are
    (`ends_short`); None where that is not known yet."""
    from kafkaops.upgrade.rolling.stopping import unclean

    facts = run.directory.facts()
    plan = run.last.plan
    notes = next((str(s.args["notes"]) for s in plan.specs if "notes" in s.args), plan.operation)
    every = nodes(plan)
    version = {
        str(s.args["host"]): str(s.args.get("version", "")) for s in plan.specs if s.kind in STOPS
    }
    outage = plan.operation.startswith(OUTAGE)
    end = "up" if outage else "soaked"
    back = [name for name in every if facts.get(f"{notes}.{name}.{end}") is not None]
    ends = {name: facts.get(f"{notes}.{name}.ended") or {} for name in every}
    found: dict[str, Any] = {
        "back": {
            release: [name for name in back if version[name] == release]
            for release in dict.fromkeys(version[name] for name in back)
        },
        "left": [name for name in every if name not in back],
        "clean": [name for name, ended in ends.items() if ended.get("clean")],
        "unclean": {name: how for name, ended in ends.items() if (how := unclean(ended))},
    }
    if outage:
        begun, over = (facts.get(f"{notes}.outage-{end}") for end in ("begun", "over"))
        took = round(over["wall"] - begun["wall"], 1) if begun and over else None
        kept = facts.get(f"{notes}.ends-kept")
        found |= {
            "outage_seconds": took,
            "ends_kept": kept["partitions"] if kept else None,
            "ends_short": facts.get(f"{notes}.ends-told") or [],
        }
    return found


def summary(run: Run) -> list[str]:
    """Who was restarted, by which way, and is back; how the nodes ended; and who is not back."""
    from kafkaops.upgrade.rolling.node import named

    told = figures(run)
    found = []
    for release, hosts in told["back"].items():
        what = f"on {release} and in sync" if release else "restarted and back in sync"
        found.append(f"{what}: {', '.join(hosts)}")
    if told["clean"]:
        found.append(f"ended by itself when told to: {counted(len(told['clean']), 'node')}")
    if told["unclean"]:
        killed = ", ".join(f"{name} ({how})" for name, how in told["unclean"].items())
        found.append(f"did not, so its logs were recovered at the start: {killed}")
    if told.get("outage_seconds") is not None:
        found.append(f"the outage: {told['outage_seconds']:.1f} s")
    if told.get("ends_kept"):
        count = counted(told["ends_kept"], "partition")
        found.append(f"end no earlier than before the outage: {count}")
    if short := told.get("ends_short"):
        found.append(f"END EARLIER than before the outage: {named(short)}")
    if told["left"]:
        found.append(f"not restarted, or not watched to the end: {', '.join(told['left'])}")
    return found or ["restarted and back in sync: nobody"]


def lines(plan: Plan) -> Iterator[str]:
    """The plan for people: the batches, and once what is done to each."""
    titles = current().operations.titles()
    noun, back = NOUNS[plan.operation]
    yield f"plan {plan.id}: {noun} of {plan.cluster}, {counted(len(nodes(plan)), 'node')}"
    for note in plan.notes:
        yield f"  {note}"
    once = [s.phase for s in plan.specs if s.kind in ("version-ready", "version-tried")]
    if once:
        yield "  for every host, before the first stop:"
        for phase in dict.fromkeys(once):
            yield f"    {phase:<8} {titles.get(phase, phase)}"
    yield "  then:" if plan.operation == OUTAGE else "  for each batch:"
    for phase in in_order([s.phase for s in plan.specs if s.phase not in once]):
        yield f"    {phase:<8} {titles.get(phase, phase)}"
    yield f"  {back}"


def in_order(phases: Sequence[str]) -> list[str]:
    """Each phase once. One that earlier batches lack comes after the phase that leads to it:
    controllers have nothing to be in sync with."""
    found: list[str] = []
    for before, phase in zip(("", *phases), phases, strict=False):
        if phase not in found:
            found.insert(found.index(before) + 1 if before else 0, phase)
    return found
