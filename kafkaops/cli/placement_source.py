"""Which cluster a placement is planned for: live, a saved snapshot, or Kafka's own formats."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from kafkaops.cli.files import STDIN
from kafkaops.engine.errors import UsageFault

if TYPE_CHECKING:
    from kafkaops.model.cluster import ClusterState
    from kafkaops.placement.planning.goals import Goals
    from kafkaops.placement.planning.plan import Placement

Which = Annotated[
    str | None,
    typer.Option("--cluster", metavar="blue|green", help="A cluster of the config; HOST:PORT."),
]
From = Annotated[
    str | None,
    typer.Option("--from", metavar="SNAPSHOT", help="A file of `cluster snapshot`; no config."),
]
Assignment = Annotated[
    str | None,
    typer.Option("--assignment", metavar="A.json", help="Replicas as Kafka's tools write them."),
]
Brokers = Annotated[
    str | None,
    typer.Option(
        "--brokers", metavar="B.json", help='With --assignment: all brokers, [{"id":1,"rack":"a"}].'
    ),
]


@dataclass(frozen=True)
class Source:
    """One of the ways; the others are None."""

    cluster: str | None = None
    snapshot: str | None = None
    assignment: str | None = None
    brokers: str | None = None

    def checked(self) -> Source:
        """UsageFault where it is not exactly one."""
        given = [
            flag
            for flag, value in (
                ("--cluster", self.cluster),
                ("--from", self.snapshot),
                ("--assignment", self.assignment),
            )
            if value is not None
        ]
        if len(given) > 1:
            raise UsageFault(
                "KO-USAGE", f"{' and '.join(given)} contradict each other", hint="give one"
            )
        if (self.assignment is None) != (self.brokers is None):
            raise UsageFault(
                "KO-USAGE",
                "--assignment and --brokers go together",
                hint="--assignment A.json --brokers B.json",
            )
        if self.assignment == self.brokers == STDIN:
            raise UsageFault("KO-USAGE", "stdin can be one of --assignment and --brokers")
        return self if given else replace(self, cluster="blue")

    def plan(self, asked: Goals) -> Placement:
        """Brokers that hold replicas and are not in a given list of brokers are emptied: the list
        says who there is. A cluster or a snapshot lists who is up just now, which is less."""
        from kafkaops.placement.planning import planner

        if self.assignment is not None:
            from kafkaops.cli.files import read_json
            from kafkaops.placement.planning import kafka_json, table

            rows = kafka_json.assignment(read_json(self.assignment), self.assignment)
            racks = kafka_json.brokers(read_json(str(self.brokers)), str(self.brokers))
            return planner.of_table(table.of_rows(rows, racks), replace(asked, drain_absent=True))
        return planner.plan(self.state(), asked)

    def refuse_over(self, files: Mapping[str, str | None]) -> None:
        """UsageFault where one of these files to write, by flag, is one that is read, or two are
        the same."""
        read = {"--from": self.snapshot, "--assignment": self.assignment, "--brokers": self.brokers}
        taken: dict[str, str] = {}
        for flag, file in {**read, **files}.items():
            if file is None:
                continue
            other = taken.setdefault(os.path.realpath(file), flag)
            if other != flag and flag in files:
                raise UsageFault(
                    "KO-USAGE",
                    f"{flag} would write over {other} {file}",
                    where=flag,
                    hint=f"{flag} another FILE",
                )

    def state(self) -> ClusterState:
        from kafkaops.cli import targets

        if self.snapshot is not None:
            return targets.saved(self.snapshot)
        with targets.one(str(self.cluster)).open() as opened:
            return opened.snapshot()
