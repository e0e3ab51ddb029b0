"""`run resume` without an id finds what did not end, whatever it is."""

from __future__ import annotations

from kafkaops.cli import rolls, runs
from kafkaops.volumes.cluster import planner as volumes


def test_work_on_volumes_and_their_renewal_are_found_without_an_id() -> None:
    assert {volumes.OPERATION, *rolls.NOUNS} <= {*runs.ALONE, *runs.THERE}
