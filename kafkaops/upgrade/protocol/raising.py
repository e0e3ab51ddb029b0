"""The protocol of one node: written into its file while it is down, and spoken once it is up.

Invariant: a file is only ever written while its node is down, so that a unit that is started by
somebody meanwhile finds one protocol and not two; and nothing is restored once a process has
started with the new one.
"""

from __future__ import annotations

import posixpath

from kafkaops.engine.errors import StepFailed, Unreachable
from kafkaops.engine.step import Blocked, Plan, State, Step
from kafkaops.ports.host import Host
from kafkaops.ports.world import World
from kafkaops.upgrade.protocol.setting import NAME, Protocol, replaced, values
from kafkaops.upgrade.rolling.node import NodeStep
from kafkaops.upgrade.rolling.resting import Rested
from kafkaops.upgrade.rolling.starting import Started, Up
from kafkaops.upgrade.rolling.stopping import refuse_running, see_end

LINKS = 8
"""Symbolic links that lead to a file, at the most."""


class Written(NodeStep):
    """`spec.args` besides those of `NodeStep`: `protocol`, what the file is to say."""

    def check(self, world: World) -> State:
        if self.over(world, "up"):
            return State.DONE
        said = Protocol.of(self._said(world))
        return State.DONE if said == Protocol.of(self._to) else State.TODO

    def safe(self, world: World) -> Blocked | None:
        if self.stop_state(world) is State.DONE:
            return None
        return Blocked("KO-NODE-RUNS", f"{self.name} still runs: its protocol is not written")

    def act(self, world: World) -> None:
        see_end(self, world)
        refuse_running(self, world, "its protocol is not written")
        said = self._said(world)
        if self.get(world, "protocol-before") is None:
            self.put(world, "protocol-before", said)
        self._write(world, self._to)

    def undo(self, world: World) -> None:
        """Restore what it said, unless a process runs with it."""
        if self.left_out(world):
            return
        before = self.get(world, "protocol-before")
        if before is not None and not self.unit(world).running and self._said(world) != before:
            self._write(world, str(before))

    @property
    def _to(self) -> str:
        return str(self.spec.args["protocol"])

    def _said(self, world: World) -> str:
        found = values(self.host(world).read(self._path(world)) or b"", NAME)
        return found[-1] if found else ""

    def _path(self, world: World) -> str:
        return self.cluster_spec(world).properties

    def _write(self, world: World, value: str) -> None:
        host = self.host(world)
        path = _behind_links(host, self._path(world))
        try:
            data = replaced(host.read(path) or b"", NAME, value)
        except ValueError as error:
            raise StepFailed(
                "KO-PROTOCOL-UNCLEAR",
                f"{path}: {error}",
                where=self.name,
                hint="let it be set once, then resume",
            ) from None
        mode, owner = _rights(host, path)
        host.put(path, data, mode=mode, owner=owner)


class StartedWith(Started):
    """The start that crosses the boundary. That it was asked for is written down first: a process
    that ended again may have spoken the new protocol all the same."""

    def act(self, world: World) -> None:
        if self.get(world, "starting") is None:
            self.put(world, "starting", {"at": world.clock.wall()})
        super().act(world)


class Spoken(Up):
    """Up, and it says itself that it speaks the protocol: its unit could start it with another
    file than the one that was written."""

    def check(self, world: World) -> State:
        if self.over(world, "spoken"):
            return State.DONE
        state = super().check(world)
        return self._speaks(world) if state is State.DONE else state

    def _speaks(self, world: World) -> State:
        wanted = str(self.spec.args["protocol"])
        told = self.cluster(world).broker_config(self.node).get(NAME)
        if Protocol.of(told) != Protocol.of(wanted):
            raise StepFailed(
                "KO-PROTOCOL-NOT-APPLIED",
                f"{self.name} runs again and speaks {told}, not {wanted}: its unit does not start"
                f" it with {self.cluster_spec(world).properties}",
                where=self.name,
                hint="on that host: let the unit start it with that file, or write"
                f" {NAME}={wanted} into the one that it is started with and correct `properties` in"
                f" the config; then systemctl restart {self.service(world)}; then resume",
            )
        return self.seen(world, "spoken")


class RestedWith(Rested):
    """A node that was held back goes alone, through the same steps."""

    def _steps(self, world: World) -> list[Step[World]]:
        found: list[Step[World]] = []
        for step in super()._steps(world):
            if isinstance(step, Started):
                found += [Written(step.spec), StartedWith(step.spec)]
            else:
                found.append(Spoken(step.spec) if isinstance(step, Up) else step)
        return found

    def undo(self, world: World) -> None:
        written = next(s for s in self._steps(world) if isinstance(s, Written))
        written.undo(world)
        super().undo(world)


def crossed(world: World, plan: Plan) -> str:
    """The first host whose broker was started with the new protocol in this run; "" for none. One
    that is left out is not asked. Unreachable, with the host as where, for one that does not
    answer."""
    for spec in plan.specs:
        host = str(spec.args.get("host", ""))
        try:
            if spec.kind == "protocol-written" and _runs_with(Written(spec), world):
                return host
        except Unreachable as error:
            raise Unreachable(error.code, error.message, where=host, hint=error.hint) from error
    return ""


def _runs_with(step: Written, world: World) -> bool:
    """Or may have run with it: whether a start that was asked for came to pass, nobody knows."""
    if step.get(world, "starting") is not None:
        return True
    mark = step.mark(world)
    if mark is None or step.left_out(world) or not mark.replaced_by(step.unit(world)):
        return False
    return step.check(world) is State.DONE


def _behind_links(host: Host, path: str) -> str:
    """The file itself: a rename over a link would leave two files."""
    for _ in range(LINKS):
        target = host.link(path)
        if target is None:
            return path
        path = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    raise StepFailed("KO-HOST-LINK", f"{path}: links that lead nowhere", where=host.name)


def _rights(host: Host, path: str) -> tuple[int, str]:
    """Its mode and its owner, to be kept."""
    ran = host.run(("stat", "-c", "%a %U %G", host.where(path)))
    words = ran.out.split()
    if ran.code != 0 or len(words) != 3:
        raise StepFailed("KO-HOST-READ", f"{path}: {(ran.err or ran.out).strip()}", where=host.name)
    return int(words[0], 8), f"{words[1]}:{words[2]}"
