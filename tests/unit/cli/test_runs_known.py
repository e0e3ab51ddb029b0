"""`run resume` without an id finds what did not end, whatever it is."""

from __future__ import annotations

from kafkaops.cli import rolls, runs
from kafkaops.cli.apply import BEGIN
from kafkaops.cli.conducted import CONDUCT
from kafkaops.volumes.cluster import planner as volumes


def test_work_on_volumes_and_their_renewal_are_found_without_an_id() -> None:
    assert {volumes.OPERATION, *rolls.NOUNS} <= {*runs.ALONE, *runs.THERE}


def test_every_plan_that_is_saved_can_be_applied() -> None:
    """What has no plan file: ways back and ends of other runs, names by themselves, a clearing."""
    alone = {"names-to-blue", "names-to-green", "clear"}
    later = {name for name in CONDUCT if name.endswith(("-back", "-finalize"))}
    assert set(CONDUCT) - set(BEGIN) == alone | later
