"""Steps that watch: the verification catching up, and gates that must hold for a while."""

from __future__ import annotations

from typing import Any

from kafkaops.engine.errors import DataGap, Mismatch
from kafkaops.engine.step import Progress, State
from kafkaops.mirror import flow
from kafkaops.ports.verification import Difference, VerifyStatus
from kafkaops.ports.world import World
from kafkaops.upgrade import parity
from kafkaops.upgrade.blue_green.leading import elsewhere
from kafkaops.upgrade.blue_green.mirroring import tend
from kafkaops.upgrade.blue_green.move import Move
from kafkaops.upgrade.blue_green.preparing import carry


def refuse_differences(differences: tuple[Difference, ...]) -> None:
    """Raise what the found differences mean: a gap (21) or a mismatch (20), each named."""
    if not differences:
        return
    first = differences[0]
    words = "; ".join(
        f"{d.kind} in {d.tp} at source offset {d.source_offset}, target offset {d.target_offset}"
        for d in differences[:5]
    )
    more = f" (and {len(differences) - 5} more)" if len(differences) > 5 else ""
    if first.kind == "gap":
        raise DataGap("KO-VERIFY-GAP", f"records expired before they were compared: {words}{more}")
    raise Mismatch("KO-VERIFY-DIFFERS", f"the clusters differ: {words}{more}")


class Verified(Move):
    """The background comparison has caught up to within `gates.verify_behind` records."""

    def check(self, world: World) -> State:
        if self.get(world, "verify.started") is None:
            return State.TODO
        tend(world, self.flow)
        verification = self.verification(world)
        verification.start()  # in a new process the comparison goes on from its checkpoint
        status = verification.status()
        refuse_differences(status.differences)
        caught_up = status.behind <= world.config.gates.verify_behind and status.partitions > 0
        return State.DONE if caught_up and not status.error else State.PENDING

    def act(self, world: World) -> None:
        self.put(world, "verify.started", True)
        self.verification(world).start()

    def undo(self, world: World) -> None:
        self.verification(world).stop()
        self.put(world, "verify.started", None)

    def progress(self, world: World) -> Progress | None:
        status = self.verification(world).status()
        return Progress(
            status.records,
            status.records + status.behind,
            "records",
            status.error or f"{status.rate:,.0f} records/s a side",
        )


class GatesHeld(Move):
    """Parity is zero, the mirror keeps up, no task has failed and the comparison is close, all
    of it for `gates.hold` seconds. A topic created on the source meanwhile is carried here, also
    one created while the run was held behind the gates: then they are held anew."""

    def check(self, world: World) -> State:
        if self.get(world, "gates.passed") is not None:
            if parity.between(self.source(world), self.target(world), world.config).empty:
                return State.DONE
            self.put(world, "gates.passed", None)
            self.put(world, "gates.since", None)
        tend(world, self.flow)
        why = self.open_gates(world)
        now = world.clock.monotonic()
        since = self.get(world, "gates.since")
        if why:
            self.put(world, "gates.since", None)
            if not any(w.startswith("parity") for w in why):
                return State.PENDING
            if self.get(world, "gates.carried") is None:
                return State.TODO
            # what came since it was carried is carried too: PENDING, so that it may act again
            self.put(world, "gates.carried", None)
            return State.PENDING
        if since is None or since > now:
            self.put(world, "gates.since", now)
            return State.PENDING
        if now - since >= world.config.gates.hold:
            self.put(world, "gates.passed", world.clock.wall())
            return State.DONE
        return State.PENDING

    def act(self, world: World) -> None:
        carry(self, world)
        self.put(world, "gates.carried", True)

    def undo(self, world: World) -> None:
        self.put(world, "gates.passed", None)
        self.put(world, "gates.since", None)

    def progress(self, world: World) -> Progress | None:
        since = self.get(world, "gates.since")
        held = 0.0 if since is None else world.clock.monotonic() - since
        return Progress(
            max(0.0, held),
            world.config.gates.hold,
            "s held",
            "; ".join(self.open_gates(world)) or "all gates hold",
        )

    def open_gates(self, world: World) -> list[str]:
        """What does not hold yet, in words; empty when everything does."""
        gates = world.config.gates
        status: VerifyStatus = self.verification(world).status()
        refuse_differences(status.differences)
        why: list[str] = []
        diff = parity.between(self.source(world), self.target(world), world.config)
        if not diff.empty:
            why.append("parity: " + "; ".join(diff.lines()[:3]))
        if status.behind > gates.verify_behind:
            why.append(
                f"comparison {status.behind:,} records behind (at most {gates.verify_behind:,})"
            )
        lag = flow.lag(self.connect(world), self.source(world), self.flow)
        if lag > gates.mirror_lag:
            why.append(f"mirror {lag:,} records behind (at most {gates.mirror_lag:,})")
        # seen on a quick way back: members that a fence cut off live until their session ends
        groups = self.target(world).groups(offsets=False)
        busy = sorted(g.id for g in groups if g.members and not g.id.startswith("kafkaops-"))
        if busy:
            why.append(f"groups still have members on {self.dst}: {', '.join(busy[:5])}")
        failed = flow.failed_tasks(self.connect(world), self.flow)
        if failed:
            why.append("mirror tasks failed: " + "; ".join(failed))
        return why


class MirrorWarm(Move):
    """Just before the fence the mirror runs and both it and the comparison are close. A worker
    that died since the gates were held is started again here, where waiting costs no pause."""

    def check(self, world: World) -> State:
        tend(world, self.flow)
        return State.PENDING if self.cold(world) else State.DONE

    def act(self, world: World) -> None:
        """Nothing to do but wait."""

    def progress(self, world: World) -> Progress | None:
        return Progress(0, None, "", self.cold(world))

    def cold(self, world: World) -> str:
        """What is not close yet, in words; empty when all is."""
        gates = world.config.gates
        if not self.connect(world).ready():
            return "the mirror's worker is starting"
        for cluster in (self.source(world), self.target(world)):
            behind = [p for p in elsewhere(cluster.topics()) if p.replicas[0] not in p.isr]
            if behind:
                return f"{cluster.name}: {len(behind)} preferred leaders are not in sync"
        if flow.state(self.connect(world), self.flow, world.config) is not State.DONE:
            return flow.words(self.connect(world), self.flow)
        verification = self.verification(world)
        verification.start()
        status = verification.status()
        refuse_differences(status.differences)
        lag = flow.lag(self.connect(world), self.source(world), self.flow)
        if lag > gates.mirror_lag:
            return f"the mirror is {lag:,} records behind (at most {gates.mirror_lag:,})"
        if status.behind > gates.verify_behind or not status.partitions:
            return f"the comparison is {status.behind:,} records behind"
        return ""


def summary(status: VerifyStatus) -> dict[str, Any]:
    """The comparison's figures for facts and reports."""
    return {
        "partitions": status.partitions,
        "records": status.records,
        "behind": status.behind,
        "rate": status.rate,
    }
