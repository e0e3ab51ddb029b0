"""A version brought to a node's host, tried there, and made the one that starts next.

The first two happen to every host before the first stop; the last turns one link, while the node
is down. Invariant: what lies in a version's directory came from the tarball whose SHA-512 the
config names, or it is not used.
"""

from __future__ import annotations

from kafkaops.config.schema import Install
from kafkaops.engine.errors import StepFailed
from kafkaops.engine.step import Blocked, State
from kafkaops.ports.host import Host
from kafkaops.ports.world import World
from kafkaops.upgrade.install import trial
from kafkaops.upgrade.install.place import Place
from kafkaops.upgrade.rolling.node import NodeStep
from kafkaops.upgrade.rolling.stopping import refuse_running, see_end

TRANSFER_TIMEOUT = 1200.0


class InstallStep(NodeStep):
    """`spec.args` besides those of `NodeStep`: `version`, what is to run, and `link`, what
    `current` is to say."""

    @property
    def version(self) -> str:
        return str(self.spec.args["version"])

    @property
    def link(self) -> str:
        return str(self.spec.args["link"])

    def place(self, world: World) -> Place:
        return Place(self.install(world).directory)

    def install(self, world: World) -> Install:
        return self.cluster_spec(world).install or Install()


class VersionReady(InstallStep):
    """The version lies on the host, unpacked beside the one that runs. Once it was tried there
    nobody is asked again: a resume may have a node to start that is down, and no time for a host
    that does not answer."""

    def check(self, world: World) -> State:
        if self.over(world, "tried"):
            return State.DONE
        mark = self.host(world).read(self.place(world).mark(self.version))
        wanted = world.versions.sha512(self.version)  # its source may be gone once it was brought
        return State.DONE if mark is not None and mark.decode().strip() == wanted else State.TODO

    def act(self, world: World) -> None:
        host, place = self.host(world), self.place(world)
        tarball = world.versions.tarball(self.version)
        owner = self.install(world).owner
        there = place.tarball(self.version)
        if host.sha512(there) != tarball.sha512:
            if tarball.file is not None:
                host.upload(there, tarball.file, sha512=tarball.sha512, timeout=TRANSFER_TIMEOUT)
            else:
                host.fetch(there, tarball.url, sha512=tarball.sha512, timeout=TRANSFER_TIMEOUT)
        home = place.home(self.version)
        host.unpack(there, home, owner=owner)
        self._of_this_release(host, place)
        host.put(place.mark(self.version), f"{tarball.sha512}\n".encode(), owner=owner)
        host.remove(there)

    def _of_this_release(self, host: Host, place: Place) -> None:
        if host.sha512(place.jar(self.version)) is None:
            host.remove(place.home(self.version))
            host.remove(place.tarball(self.version))
            raise StepFailed(
                "KO-VERSION-OTHER",
                f"what was unpacked is not Kafka {self.version}; it was removed again",
                where=self.name,
                hint="correct `source` and `sha512` of this version in the config",
            )


class Tried(InstallStep):
    """The unit's own Java, flags and logging configuration were tried with the new version."""

    def check(self, world: World) -> State:
        return State.DONE if self.over(world, "tried") else State.TODO

    def act(self, world: World) -> None:
        host = self.host(world)
        unit = self.unit(world)
        if unit.running:
            trial.of(host, unit.pid, self.place(world), self.version)
        # what is down cannot be asked; its own start will tell
        self.put(world, "tried", {"at": world.clock.wall(), "asked": unit.running})


class Switched(InstallStep):
    """`current` says the version that is to start next. Only ever turned while the node is down:
    a unit that is started by somebody meanwhile must find one version, not two. How it ended was
    seen and written down before. One that did not end by itself gets its version all the same: to
    leave it down would cost more, to start the old one a second restart, and either version
    recovers the logs of the other; the run tells of it once the node is back."""

    def check(self, world: World) -> State:
        if self.over(world, "up"):
            return State.DONE
        now = self.host(world).link(self.place(world).link)
        return State.DONE if now == self.link else State.TODO

    def safe(self, world: World) -> Blocked | None:
        if self.stop_state(world) is State.DONE:
            return None
        return Blocked("KO-NODE-RUNS", f"{self.name} still runs: its version is not changed")

    def act(self, world: World) -> None:
        see_end(self, world)
        refuse_running(self, world, "its version is not changed")
        host, place = self.host(world), self.place(world)
        if self.get(world, "link-before") is None:
            before = host.link(place.link)
            self.put(world, "link-before", None if before is None else place.said(before))
        host.switch(place.link, self.link)

    def undo(self, world: World) -> None:
        before = self.get(world, "link-before")
        if before is not None and not self.left_out(world) and not self.unit(world).running:
            place = self.place(world)
            self.host(world).switch(place.link, place.said(str(before)))
