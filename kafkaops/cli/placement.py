"""`kafkaops placement`: where partitions are, and where they should be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import typer

from kafkaops.cli.commands import Lazy, OpsGroup, common_params

HELP = """Where partitions are, and where they should be.

\b
Examples:
  kafkaops placement plan --add 7 --add 8 --out moves.json
  kafkaops placement size --instance-type r6i.2xlarge --write-rate 200MiB/s
  kafkaops placement topic create payments --partitions 12 --plan
  kafkaops placement partitions add payments --to 24 --plan
"""


class Placement(OpsGroup):
    lazy: ClassVar[Mapping[str, Lazy]] = {
        "plan": Lazy("kafkaops.cli.placement_plan", "The fewest moves to a goal.", "plan_app"),
        "show": Lazy("kafkaops.cli.placement_plan", "Brokers by rack, now and after.", "show_app"),
        "apply": Lazy("kafkaops.cli.placement_apply", "Move replicas, wave by wave.", "apply_app"),
        "cancel": Lazy("kafkaops.cli.placement_apply", "Call off what moves.", "cancel_app"),
        "status": Lazy("kafkaops.cli.placement_status", "What moves, and which throttles are set."),
        "leaders": Lazy(
            "kafkaops.cli.placement_plan", "Even leaders, moving no bytes.", "leaders_app"
        ),
        "topic": Lazy("kafkaops.cli.placement_topics", "New topics, even from the start.", "topic"),
        "partitions": Lazy(
            "kafkaops.cli.placement_topics",
            "More partitions, even with what is there.",
            "partitions",
        ),
        "size": Lazy("kafkaops.cli.placement_size", "What a cluster carries; how many brokers."),
    }

    def __init__(self, **attrs: Any) -> None:
        attrs["params"] = [*(attrs.get("params") or ()), *common_params()]
        super().__init__(**attrs)


app = typer.Typer(
    cls=Placement,
    help=HELP,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.callback()
def _placement() -> None: ...
