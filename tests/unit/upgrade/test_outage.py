"""The plan of a move without a firewall: its order, what it says, what it leaves alone."""

from __future__ import annotations

import pytest

from kafkaops.cli import plans
from kafkaops.config.schema import ClientGroup, Config
from kafkaops.engine.step import Plan
from kafkaops.upgrade.blue_green import outage, planner
from kafkaops.upgrade.blue_green.phases import TITLES
from tests.crash.blue_green_scene import BlueGreen
from tests.crash.outage_scene import Outage

FIREWALL = {
    *("closed-to-clients", "fence-ready", "forwarding", "fenced", "stands-still"),
    *("timers-disarmed", "opened", "rejoined", "fence-persistent", "blue-quiet"),
}
CONFIG = Outage().config


def forward(config: Config = CONFIG) -> Plan:
    return planner.forward(config, id="r", created=0.0, notes=("from the survey",))


def kinds(plan: Plan) -> list[str]:
    return [s.kind for s in plan.specs]


def test_names_move_last_when_everything_is_proven_and_committed() -> None:
    found = kinds(forward())
    order = (
        *("gates-held", "ttl-waited", "outage-agreed", "observed", "hooks-stopped"),
        *("stopped-still", "proven", "mirror-stopped", "groups-moved", "handed-over"),
        *("clients-running", "clients-seen", "delta-mirror", "no-strangers", "baked"),
    )
    at = [found.index(kind) for kind in order]
    assert at == sorted(at)
    assert "names-moved" not in found


@pytest.mark.parametrize("plan", [planner.forward, planner.way_back, planner.finalize])
def test_no_step_touches_a_firewall(plan: object) -> None:
    assert callable(plan)
    assert not FIREWALL & set(kinds(plan(CONFIG, id="r", created=0.0)))
    fenced = kinds(plan(BlueGreen().config, id="r", created=0.0))
    assert FIREWALL & set(fenced)


def test_no_broker_is_restarted_to_forget_producers_that_come_back_as_new_ones() -> None:
    for plan in (planner.forward, planner.way_back, planner.finalize):
        found = kinds(plan(CONFIG, id="r", created=0.0))
        assert not {"ready-for-return", "settings-restored"} & set(found)


def test_the_way_back_is_the_same_reversed_and_first_starts_who_is_stopped() -> None:
    there, back = forward(), planner.way_back(CONFIG, id="r", created=0.0)
    assert kinds(back)[0] == "clients-running"
    assert dict(back.specs[0].args) == {"src": "blue", "dst": "green"}
    inside = [[s.kind for s in p.specs if s.critical] for p in (there, back)]
    assert inside[0] == inside[1]
    assert all(s.args["src"] == "green" for s in back.specs if s.critical)


def test_only_the_section_decides_and_the_question_comes_before_it() -> None:
    plan = forward()
    (section,) = plan.criticals
    assert (section.decided, plan.specs[-1].critical) == (planner.DECIDED, "")
    asking = [s for s in plan.specs if s.ask]
    assert [s.id for s in asking] == ["agreed"]
    assert "Stop all clients" in asking[0].ask


def test_the_plan_says_what_the_outage_is_and_what_does_not_bound_it() -> None:
    words = "\n".join(plans.lines(forward(), TITLES))
    about = outage.expected(CONFIG)
    for said in (
        f"expected are about {about:.0f} s",
        "at most 60 s to stop",
        "max_write_pause (20 s) does not bound this outage",
        "if kafkaops is killed in the outage they stay stopped",
        "from the survey",
    ):
        assert said in words, said
    fenced = "\n".join(plans.lines(forward(BlueGreen().config), TITLES))
    assert "outage" not in fenced


def test_the_section_has_time_for_hooks_patience_and_the_names() -> None:
    (section,) = forward().criticals
    assert section.budget == outage.limit(CONFIG)
    assert section.budget > 60 + outage.MEMBERS + outage.PROOF + outage.NAMES
    slow = ClientGroup(name="b", moves="hooks", stop=("x",), start=("x",), timeout=500)
    more = CONFIG.model_copy(update={"clients": (*CONFIG.clients, slow)})
    assert outage.limit(more) == outage.limit(CONFIG) + 500


def test_a_long_window_lengthens_what_is_expected_and_the_patience() -> None:
    cut = CONFIG.cutover.model_copy(update={"still_window": 120.0})
    rare = CONFIG.model_copy(update={"cutover": cut})
    assert outage.expected(rare) == outage.expected(CONFIG) + 117
    assert outage.patience(rare) == 360
