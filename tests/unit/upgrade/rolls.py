"""A roll on fakes, planned, and one step of it."""

from __future__ import annotations

from kafkaops.engine.step import Plan, Step
from kafkaops.ports.world import World
from kafkaops.upgrade.rolling import survey
from kafkaops.upgrade.rolling.registry import REGISTRY
from tests.crash.restart_scene import Restart


def planned(world: Restart) -> Plan:
    return survey.plan(world.world, world.options, "run-1")


def gates(plan: Plan) -> list[list[int]]:
    return [sorted(s.args["mates"].values()) for s in plan.specs if s.kind == "gate-open"]


def step(plan: Plan, id: str) -> Step[World]:
    spec = next(s for s in plan.specs if s.id == id)
    return REGISTRY[spec.kind](spec)
