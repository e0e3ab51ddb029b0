"""The step that makes the clients' SCRAM users on the other cluster."""

from __future__ import annotations

from kafkaops.engine.errors import StepFailed
from kafkaops.engine.step import State
from kafkaops.model.cluster import ScramUser
from kafkaops.ports.world import World
from kafkaops.upgrade import users
from kafkaops.upgrade.blue_green.move import Move, cluster_spec


class UsersMade(Move):
    """Every user of the source whose password the config names is on the target, with the same
    mechanism and iterations, and has logged in there."""

    def check(self, world: World) -> State:
        wanted = self._wanted(world)
        proven = {tuple(row) for row in self.get(world, "users.proven") or []}
        lacking = users.missing(wanted, self.target(world).scram_users())
        tried = all((user.name, user.mechanism) in proven for user in wanted)
        return State.DONE if tried and not lacking else State.TODO

    def act(self, world: World) -> None:
        source, target = self.source(world), self.target(world)
        wanted = users.passwords(
            self._wanted(world), world.secrets, source, cluster_spec(world, self.src)
        )
        lacking = users.missing(wanted, target.scram_users())
        known = self.get(world, "users.made") or []
        rows = [[user.name, user.mechanism, user.iterations] for user in lacking]
        self.put(world, "users.made", [*known, *rows])  # before making: an undo must know them
        if lacking:
            target.create_scram_users({user: wanted[user] for user in lacking})
        refused = (
            users.refused(wanted, target) if users.provable(cluster_spec(world, self.dst)) else []
        )
        if refused:
            raise StepFailed(
                "KO-USER-LOGIN",
                f"{target.name} refuses the logins of {', '.join(refused)}",
                where=target.name,
                hint="they have other passwords there: delete these users there, and resume",
            )
        self.put(world, "users.proven", [[user.name, user.mechanism] for user in sorted(wanted)])

    def undo(self, world: World) -> None:
        """Remove those that we made, as long as clients have never logged in there."""
        made = [ScramUser(*row) for row in self.get(world, "users.made") or []]
        if made:
            self.target(world).delete_scram_users(made)
        self.put(world, "users.made", None)
        self.put(world, "users.proven", None)

    def _wanted(self, world: World) -> dict[ScramUser, str]:
        return users.covered(self.source(world).scram_users(), world.config.users)
