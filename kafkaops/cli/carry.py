"""Taking up a run: its lock, the lease, the world, the engine, and what the operator sees.

Invariant: whatever way a run ends that can be gone on with, the command that goes on is shown.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kafkaops.cli.interrupt import stoppable
from kafkaops.cli.output import news
from kafkaops.cli.parting import Parting, clients_stopped, nodes_down
from kafkaops.cli.progress import Board
from kafkaops.cli.session import current
from kafkaops.engine.audit import Audit
from kafkaops.engine.errors import OpsError
from kafkaops.engine.events import Event
from kafkaops.engine.history import History
from kafkaops.engine.lease import Holder, held_by
from kafkaops.engine.run import Runner, RunResult
from kafkaops.engine.store import RunDirectory
from kafkaops.ports.conduct import Conduct
from kafkaops.ports.facts import Facts
from kafkaops.upgrade.fleet.leaving import left, restored
from kafkaops.upgrade.rolling.phases import LOST, UNCLEAN, WITHOUT

if TYPE_CHECKING:
    from kafkaops.cli.runs import Run
    from kafkaops.config.loader import Loaded
    from kafkaops.ports.world import World


@dataclass(frozen=True)
class Orders:
    """What the operator said. `yes` and `confirm` also answer the plan's go/no-go questions;
    `until` is the phase to stop after; `wishes` are kept with the run from here on, by fact;
    `anew`: hosts that were left out, elections that were allowed and losses that were accepted
    before are so no more."""

    yes: bool = False
    confirm: str | None = None
    until: str | None = None
    reason: str = ""
    wishes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    anew: bool = False

    def keep(self, facts: Facts) -> Wished:
        """Write down what was said with the run."""
        said: dict[str, Any] = {"run.reason": self.reason} if self.reason else {}
        said |= dict.fromkeys((WITHOUT, UNCLEAN, LOST), None) if self.anew else {}
        for fact, wished in self.wishes.items():
            known = said[fact] if fact in said else facts.get(fact)
            said[fact] = [*dict.fromkeys((*(known or ()), *wished))]
        before = {name: facts.get(name) for name in said}
        for name, value in said.items():
            facts.put(name, value)
        return Wished(facts, before)


@dataclass(frozen=True)
class Wished:
    """What the operator said, kept with the run; `before`, what the facts said then. A command that
    was refused before the run went on takes it back."""

    facts: Facts
    before: Mapping[str, Any]

    def take_back(self) -> None:
        for name, value in self.before.items():
            self.facts.put(name, value)


def config_flag(loaded: Loaded) -> str:
    """` -c FILE` where the file was named on the command line, for commands to repeat."""
    given = current().config
    return f" -c {given}" if given is not None else ""


def resume_command(loaded: Loaded, run: str) -> str:
    return f"kafkaops run resume {run}{config_flag(loaded)}"


def clients_words(loaded: Loaded, run: Run) -> list[str]:
    """That clients are stopped, and what starts them; nothing where none is, or a process is at
    work on them."""
    return (
        []
        if run.directory.running()
        else clients_stopped(run.directory.facts(), resume_command(loaded, run.id))
    )


def down_words(loaded: Loaded, directory: RunDirectory) -> list[str]:
    """Whose nodes are down for a run, and what starts them."""
    run = f"{directory.id}{config_flag(loaded)}"
    try:
        plans = [journal.plan for journal in directory.looks()]
    except OpsError:  # a journal that cannot be read is told of by what else goes on with it
        return []
    facts = directory.facts()
    return nodes_down(facts, plans, f"kafkaops run resume {run}", f"kafkaops run rollback {run}")


def busy(run: Run) -> OpsError:
    """The error for a run that another process is working on, with its holder's name."""
    who = run.holder()
    holder = (
        Holder(str(who["user"]), str(who["host"]), int(who["pid"]), run.id, float(who["since"]))
        if who
        else None
    )
    return held_by(run.last.plan.cluster, holder, where=str(run.directory.path))


def carry(
    loaded: Loaded,
    directory: RunDirectory,
    orders: Orders,
    work: Callable[[Conduct], RunResult],
) -> RunResult:
    """Hold the run and the lease, build the world, and do one operation's `work` on it."""
    operations = current().operations
    clock = operations.clock()
    resume = resume_command(loaded, directory.id)
    audit = Audit(Path(loaded.config.state.dir) / "audit.jsonl", clock)
    write = partial(
        audit.write,
        current().argv,
        run=directory.id,
        cluster=loaded.config.name,
        reason=orders.reason,
    )
    board = Board(0, operations.titles(), clock)
    stop = Stop()

    def watch(runner: Runner[World]) -> None:
        board.total = len(runner.plan.specs)
        stop.runner = runner

    try:
        with directory.lock():
            lease = operations.lease(loaded.config, directory.id)
            wished = Wished(directory.facts(), {})
            try:
                write()
                wished = orders.keep(directory.facts())
                conduct = Conduct(
                    operations.world(loaded.config, run_dir=directory.path, say=board.say),
                    directory,
                    lease,
                    _both(board, directory),
                    _answers(orders, loaded, board),
                    orders.until,
                    watch,
                )
                parting = Parting(
                    conduct.world.facts,
                    lambda say: operations.world(loaded.config, run_dir=directory.path, say=say),
                    resume=resume,
                    down=partial(down_words, loaded, directory),
                )
                with (
                    board.shown(),
                    stoppable(stop.ask, f"go on: {resume}", parting),
                    restored(conduct.world),
                ):
                    result = work(conduct)
            except BaseException:
                if not stop.begun:
                    wished.take_back()
                raise
            finally:
                lease.release()
    except OpsError as error:
        if can_go_on(directory):
            error.resume = resume  # type: ignore[attr-defined]
        if stop.runner is not None:
            write(outcome=error.code, exit=int(error.exit))
        _tell_left(loaded, directory)
        _forget_empty(directory)
        raise
    except BaseException:  # a fault of ours leaves no less behind
        _tell_left(loaded, directory)
        raise
    write(outcome=result.outcome, exit=0)
    for warning in result.warnings:
        news(f"warning: {warning}")
    if result.outcome == "held":
        _tell_left(loaded, directory)
    return result


def _tell_left(loaded: Loaded, directory: RunDirectory) -> None:
    """What the run has stopped and not started again: clients, nodes."""
    down = [] if directory.running() else down_words(loaded, directory)
    for line in (*clients_stopped(directory.facts(), resume_command(loaded, directory.id)), *down):
        news(line)


class Stop:
    """A request to stop reaches the runner, once there is one; before that nothing was begun."""

    runner: Runner[World] | None = None

    @property
    def begun(self) -> bool:
        """Whether the run went on: this process has written into its journal."""
        return self.runner is not None and bool(self.runner.history.here)

    def ask(self) -> None:
        if self.runner is None:
            raise KeyboardInterrupt
        self.runner.request_stop()


def _forget_empty(directory: RunDirectory) -> None:
    """A run that was refused before it began leaves no trace in `run list`."""
    if directory.journals() or directory.saved_plan() is not None:
        return
    shutil.rmtree(directory.path, ignore_errors=True)


def _both(board: Board, directory: RunDirectory) -> Callable[[Event], None]:
    def listen(event: Event) -> None:
        board(event)
        if directory.path.is_dir():
            directory.keep(event)

    return listen


def _answers(orders: Orders, loaded: Loaded, board: Board) -> Callable[[str], bool]:
    """Who answers the plan's go/no-go questions: the flags, or the operator at a terminal."""

    def answer(question: str) -> bool:
        if orders.yes or orders.confirm == loaded.config.name:
            return True
        terminal = current().operations.terminal()
        if not terminal.interactive():
            news(f"{question} There is no terminal to ask at; resume with --yes to agree.")
            return False
        with board.paused():
            return terminal.ask(f"{question} [y/N] ").lower() in ("y", "yes")

    return answer


def give_back(loaded: Loaded, directory: RunDirectory, orders: Orders) -> list[str]:
    """Of a run that came to its end and whose process died before it had given back what it held:
    do so now. What that was, in words."""
    held = left(directory.facts())
    if held:
        carry(loaded, directory, orders, lambda c: RunResult(c.run.id, "done", (), (), 0.0))
    return held


def can_go_on(directory: RunDirectory) -> bool:
    """Whether `run resume` would have something to do."""
    try:
        past = History(directory.look())
    except OpsError:
        return False
    return not (past.ended or past.rolled_back)
