"""The mirror's flow over a Connect worker: begun, watched, stopped, begun from an exact offset.

Invariant: a flow that starts from an offset is never running before every offset was read back.
A FAILED task does not end its worker, so task states are always asked, never assumed.
"""

from __future__ import annotations

from collections.abc import Mapping

from kafkaops.config.schema import Config, Mirror
from kafkaops.engine.clock import Clock
from kafkaops.engine.errors import StepFailed, TimedOut
from kafkaops.engine.step import State
from kafkaops.mirror import config as rendering
from kafkaops.model.partition import TopicPartition
from kafkaops.ports.cluster import Cluster
from kafkaops.ports.connect import Connect, ConnectorState
from kafkaops.ports.facts import Facts

MENDINGS = 5
MENDING_WINDOW = 600.0


def state(connect: Connect, direction: str, config: Config) -> State:
    """DONE when the connector has our configuration and every task runs; PENDING while Connect
    brings it up; TODO when it is absent, stopped, failed, or configured otherwise."""
    found = connect.status(rendering.name(direction))
    if found is None or not _as_wanted(connect, direction, config):
        return State.TODO
    if _failures(found) or found.state in {"STOPPED", "PAUSED"}:
        return State.TODO
    started = found.state == "RUNNING" and found.tasks
    return State.DONE if started and _all_run(found) else State.PENDING


def begin(connect: Connect, direction: str, config: Config, facts: Facts, clock: Clock) -> None:
    """Have every topic flow from its beginning, or go on where this run left off. The connector
    is created or changed, failed tasks are restarted. StepFailed with Connect's words when the
    configuration is refused.

    Before it runs for the first time the offsets of an earlier attempt are reset, for Connect
    keeps them beyond the deletion of a connector; a fact says that this was done, so that a
    connector which has copied is never set back (it would copy everything again).
    """
    name = rendering.name(direction)
    _put(connect, direction, config)
    if not begun(facts, direction):
        stop(connect, direction, clock)
        connect.reset_offsets(name)
        facts.put(_begun(direction), True)
    found = connect.status(name)
    if found is not None and _failures(found):
        connect.restart_failed(name)
    # its status may lag behind what it was told, so it is told always: running, that is nothing
    connect.resume(name)


def begun(facts: Facts, direction: str) -> bool:
    """Whether this run's connector has been let loose."""
    return bool(facts.get(_begun(direction)))


def forget(facts: Facts, direction: str) -> None:
    """The next `begin` starts anew."""
    facts.put(_begun(direction), None)


def start_from(
    connect: Connect,
    direction: str,
    config: Config,
    src: str,
    start: Mapping[TopicPartition, int],
    clock: Clock,
    *,
    timeout: float = 60.0,
) -> None:
    """Begin at exact source offsets: `start` is the first offset to mirror, per partition. Only
    what is written from there on flows. A connector that already runs is left alone.

    Created STOPPED; offsets are patched to E - 1, for Connect keeps the last one mirrored
    (partitions that begin at 0 are left out: they have none); read back; resumed.
    """
    name = rendering.name(direction)
    found = connect.status(name)
    if found is not None and found.state in {"RUNNING", "UNASSIGNED", "RESTARTING"}:
        return
    _put(connect, direction, config)
    stop(connect, direction, clock, timeout=timeout)
    last = {tp: offset - 1 for tp, offset in start.items() if offset > 0}
    if last:
        connect.set_offsets(name, src, last)
        kept = connect.offsets(name)
        wrong = sorted(str(tp) for tp, offset in last.items() if kept.get(tp) != offset)
        if wrong:
            raise StepFailed(
                "KO-MIRROR-OFFSETS",
                f"Connect did not keep the offsets of {wrong[:5]} ({len(wrong)} in all)",
                where=name,
            )
    connect.resume(name)


def stop(connect: Connect, direction: str, clock: Clock, *, timeout: float = 30.0) -> None:
    """Stop the connector and wait until no task is left. TimedOut names what still runs."""
    name = rendering.name(direction)
    if connect.config(name) is None:
        return
    connect.stop(name)
    deadline = clock.monotonic() + timeout
    while (found := connect.status(name)) is None or not _stands(found):
        # none: it was made a moment ago, and its worker has not written its status yet
        if clock.monotonic() > deadline:
            raise TimedOut(
                "KO-MIRROR-STOP",
                f"{name} did not stop within {timeout:g} s: {found}",
                where=name,
            )
        clock.sleep(0.02)


def ask_to_stop(connect: Connect, direction: str) -> None:
    """Tell the connector to stop and do not wait for its tasks: one request, for writers wait."""
    connect.stop(rendering.name(direction))


def resume(connect: Connect, direction: str) -> None:
    """Go on where it stopped; no connector is no error, for then there is nothing to go on."""
    if connect.status(rendering.name(direction)) is not None:
        connect.resume(rendering.name(direction))


def remove(connect: Connect, direction: str) -> None:
    """Delete the connector; absent is success. Its offsets stay until they are set anew."""
    if connect.status(rendering.name(direction)) is not None:
        connect.delete(rendering.name(direction))


def is_stopped(connect: Connect, direction: str) -> bool:
    """Stopped for good, no task left; absent counts as stopped."""
    found = connect.status(rendering.name(direction))
    return found is None or _stands(found)


def is_running(connect: Connect, direction: str) -> bool:
    """It exists and may copy: anything but stopped. Unreachable when the worker does not answer,
    for a worker that comes back goes on copying."""
    return not is_stopped(connect, direction)


def fence_ids(target: Cluster, direction: str, mirror: Mirror) -> None:
    """After a stop: a task that lingers (a zombie, a killed worker) can commit nothing more."""
    if mirror.exactly_once:
        for transactional_id in rendering.transactional_ids(direction, mirror.tasks):
            target.fence_transactional_id(transactional_id)


def lag(connect: Connect, source: Cluster, direction: str) -> int:
    """Source records not yet mirrored, over all partitions."""
    return sum(lags(connect, source, direction).values())


def lags(connect: Connect, source: Cluster, direction: str) -> dict[TopicPartition, int]:
    """Per partition: LSO less the next offset to mirror. An upper bound: transaction markers,
    aborted records and compacted tails at the end are counted and never flow (`drained`).
    Without exactly once the offset that Connect knows is up to a second old."""
    name = rendering.name(direction)
    config = connect.config(name) or {}
    patterns = [p for p in config.get("topics.exclude", "").split(",") if p]
    topics = source.topics().values()
    parts = [
        p.tp
        for topic in topics
        if not topic.internal and rendering.carried(topic.name, patterns or rendering.NEVER)
        for p in topic.partitions
    ]
    done = connect.offsets(name)
    ends = source.ends(parts)
    return {
        tp: max(0, ends[tp].stable - max(done[tp] + 1 if tp in done else 0, ends[tp].start))
        for tp in parts
        if tp in ends
    }


def drained(connect: Connect, source: Cluster, direction: str) -> bool:
    """Nothing visible is left to mirror. Where lag remains the tail is read: if it holds no
    record (only markers, aborted or compacted ones), it does not count."""
    done = connect.offsets(rendering.name(direction))
    return not any(
        source.consume(tp, done.get(tp, -1) + 1, 1)
        for tp, behind in lags(connect, source, direction).items()
        if behind
    )


def words(connect: Connect, direction: str) -> str:
    """How the connector stands, for people: its state, how many tasks run, what has failed."""
    found = connect.status(rendering.name(direction))
    if found is None:
        return "not seen by its worker yet"
    running = sum(task.state == "RUNNING" for task in found.tasks)
    failed = "".join(f"; {failure}" for failure in _failures(found))
    return f"connector {found.state}, {running} of {len(found.tasks)} tasks run{failed}"


def failed_tasks(connect: Connect, direction: str) -> list[str]:
    """What has failed, each with the first line of its trace; empty when nothing has."""
    found = connect.status(rendering.name(direction))
    return [] if found is None else _failures(found)


def mend(
    connect: Connect,
    direction: str,
    facts: Facts,
    clock: Clock,
    *,
    limit: int = MENDINGS,
    window: float = MENDING_WINDOW,
) -> list[str]:
    """Restart failed tasks; what was restarted. StepFailed with the trace when that was done
    `limit` times within `window` seconds already: restarting does not cure it. Whoever goes on
    after that has cured it, so they are counted anew."""
    failed = failed_tasks(connect, direction)
    if not failed:
        return []
    key = f"{direction}.mirror.mended"
    now = clock.wall()
    recent = [float(t) for t in facts.get(key) or [] if 0 <= now - float(t) <= window]
    if len(recent) >= limit:
        facts.put(key, None)
        raise StepFailed(
            "KO-MIRROR-FAILED",
            f"failed again after {limit} restarts: {'; '.join(failed)}",
            where=rendering.name(direction),
            hint="see the worker's log; an oversized or refused record stops a task for good",
        )
    facts.put(key, [*recent, now])
    connect.restart_failed(rendering.name(direction))
    return failed


def _begun(direction: str) -> str:
    return f"{direction}.mirror.begun"


def _put(connect: Connect, direction: str, config: Config) -> None:
    """Create it, stopped, or change what differs."""
    if not _as_wanted(connect, direction, config):
        wanted, name = rendering.connector(config, direction), rendering.name(direction)
        _refuse_invalid(connect, wanted, name)
        connect.put(name, wanted, stopped=True)


def _as_wanted(connect: Connect, direction: str, config: Config) -> bool:
    kept = connect.config(rendering.name(direction)) or {}
    wanted = rendering.connector(config, direction)
    return {k: v for k, v in kept.items() if k != "name"} == wanted


def _refuse_invalid(connect: Connect, wanted: Mapping[str, str], name: str) -> None:
    errors = connect.validate(rendering.CONNECTOR, {**wanted, "name": name})
    if errors:
        raise StepFailed(
            "KO-MIRROR-CONFIG",
            f"Connect refuses the configuration: {'; '.join(errors)}",
            where=name,
        )


def _failures(found: ConnectorState) -> list[str]:
    said = []
    if found.state == "FAILED":
        said.append(f"connector: {_first_line(found.trace)}")
    said += [f"task {t.id}: {_first_line(t.trace)}" for t in found.tasks if t.state == "FAILED"]
    return said


def _stands(found: ConnectorState) -> bool:
    return found.state == "STOPPED" and not found.tasks


def _all_run(found: ConnectorState) -> bool:
    return all(task.state == "RUNNING" for task in found.tasks)


def _first_line(trace: str) -> str:
    """The innermost cause, which is what helps; else the first line."""
    lines = [line.strip() for line in trace.splitlines() if line.strip()]
    causes = [line.removeprefix("Caused by: ") for line in lines if line.startswith("Caused by: ")]
    return (causes[-1:] or lines[:1] or ["no trace given"])[0]
