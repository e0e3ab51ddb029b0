"""A rolling upgrade killed at its calls and journal writes; starts that fail; and the way back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kafkaops.engine.errors import ConfigError, GuardRefused, OpsError, StepFailed
from kafkaops.ports.host import Ran
from kafkaops.ports.world import World
from kafkaops.upgrade.rolling import upgrading
from kafkaops.upgrade.rolling.choosing import Options
from kafkaops.upgrade.rolling.down import down as down_for
from kafkaops.upgrade.rolling.phases import ACCEPTED
from tests.crash.engine_harness import SOAK, Point, Scene, sweep, uncrashed
from tests.crash.restart_scene import RACKS, VOTERS
from tests.crash.upgrade_scene import NEW, OLD, OneVersion, Upgrade

SHARE = 1.0 if SOAK else 0.1
NODES = (1, 2, 3, 4, 5, 6, *VOTERS)
ONCE = dict.fromkeys(NODES, 1)


def there() -> Scene[World]:
    return Upgrade().scene()


def test_undisturbed_every_node_runs_the_new_version_after_one_restart() -> None:
    world = Upgrade()
    scene = world.scene()
    scene.play()
    state = scene.state()
    assert scene.outcomes == ["done"]
    assert state["starts"] == ONCE
    assert state["versions"] == dict.fromkeys(NODES, NEW)
    assert set(state["links"].values()) == {f"versions/{NEW}"}
    assert state["faults"] == []
    for host in world.hosts.values():
        assert host.files[f"/opt/kafka/versions/{NEW}/.kafkaops-sha512"] == b"sum-4.3.1\n"
        [tried] = host.tried
        assert tried[:4] == ("runuser", "-u", "kafka", "--")
        assert f"/hosts/{host.name}/opt/kafka/versions/{NEW}/libs/*" in tried
    assert world.plan().specs == ()  # a second time there is nothing to do


def test_everything_is_brought_and_tried_before_the_first_stop() -> None:
    kinds = [s.kind for s in Upgrade().plan().specs]
    first_stop = kinds.index("node-stopped")
    assert kinds[:first_stop].count("version-ready") == kinds.count("version-ready") == len(NODES)
    assert kinds[:first_stop].count("version-tried") == kinds.count("version-tried") == len(NODES)


def test_killed_at_every_change_it_resumes_to_the_same_end() -> None:
    assert uncrashed(there)[0]["starts"] == ONCE
    assert sweep(there, reads=SOAK, share=SHARE).verdict().killed > 30


def test_a_source_that_is_gone_once_the_version_was_brought_keeps_no_resume() -> None:
    """A resume may come from another machine, or after a mirror dropped the release."""
    calls = uncrashed(there)[1].calls
    stop = [n for n, (name, _) in enumerate(calls, 1) if name.endswith("unit_stop")][2]
    world, versions = Upgrade(), OneVersion()
    world.world = replace(world.world, versions=versions)
    scene = world.scene()
    scene.process(Point(stop, "after"))
    versions.gone = True
    scene.process()
    assert scene.outcomes == ["killed", "done"]
    assert world.starts() == ONCE


def test_a_trial_that_fails_stops_nobody() -> None:
    world = Upgrade()
    world.hosts["blue-5"].trial = Ran(1, "", "Unrecognized VM option 'UseConcMarkSweepGC'")
    with pytest.raises(StepFailed) as caught:
        world.scene().play()
    assert (caught.value.code, caught.value.where) == ("KO-VERSION-TRIAL", "blue-5")
    assert "UseConcMarkSweepGC" in caught.value.message
    assert set(world.starts().values()) == {0}
    assert world.versions() == dict.fromkeys(NODES, OLD)


@pytest.mark.parametrize("broken", ["blue-101", "blue-4"])
def test_a_start_that_fails_ends_the_run_and_the_way_back_restores_who_was_touched(
    broken: str,
) -> None:
    world = Upgrade()
    world.hosts[broken].refused.add(NEW)
    plan = world.plan()
    with pytest.raises(StepFailed) as caught:
        world.scene(plan=plan).play()
    assert (caught.value.code, caught.value.where) == ("KO-UNIT", broken)
    touched = {n for n, v in world.versions().items() if v == NEW} | {
        world.hosts[broken].node.id,
    }
    world.hosts[broken].node.ended = 1  # as a start that failed leaves it
    back = upgrading.way_back(world.world, plan)
    assert {s.args["node"] for s in back.specs if s.kind == "node-stopped"} == touched
    scene = world.scene(plan=back)
    scene.play()
    state = scene.state()
    assert state["versions"] == dict.fromkeys(NODES, OLD)
    assert set(state["links"].values()) == {f"versions/{OLD}"}
    assert state["faults"] == []
    assert upgrading.way_back(world.world, plan).specs == ()


def test_cured_on_the_host_the_run_goes_on_instead() -> None:
    world = Upgrade()
    world.hosts["blue-4"].refused.add(NEW)
    scene = world.scene()
    with pytest.raises(StepFailed):
        scene.play()
    world.hosts["blue-4"].refused.clear()
    scene.play()
    assert scene.state()["versions"] == dict.fromkeys(NODES, NEW)
    assert scene.state()["starts"] == ONCE


def test_back_from_the_end_the_controllers_go_last() -> None:
    world = Upgrade()
    plan = world.plan()
    world.scene(plan=plan).play()
    back = upgrading.way_back(world.world, plan)
    order = [s.args["node"] for s in back.specs if s.kind == "node-stopped"]
    assert set(order[-3:]) == set(VOTERS)
    scene = world.scene(plan=back)
    scene.play()
    state = scene.state()
    assert state["versions"] == dict.fromkeys(NODES, OLD)
    assert (state["starts"], state["faults"]) == (dict.fromkeys(NODES, 2), [])


@pytest.mark.parametrize("link", [f"/opt/kafka/versions/{OLD}", f"versions/{OLD}/"])
def test_a_link_that_somebody_wrote_another_way_can_be_turned_back(link: str) -> None:
    world = Upgrade()
    for host in world.hosts.values():
        host.links["/opt/kafka/current"] = link
    plan = world.plan()
    world.scene(plan=plan).play()
    world.scene(plan=upgrading.way_back(world.world, plan)).play()
    assert world.versions() == dict.fromkeys(NODES, OLD)
    assert set(world.state()["links"].values()) == {f"versions/{OLD}"}


def test_a_link_that_an_older_kafkaops_kept_from_the_root_can_be_turned_back() -> None:
    world = Upgrade(Options(only=("1", "2")))
    world.upgraded(*VOTERS)
    plan = world.plan()
    world.scene(plan=plan).play()
    for name in ("blue-1", "blue-2"):
        world.facts.put(f"rolling.{name}.link-before", f"/opt/kafka/versions/{OLD}")
    world.scene(plan=upgrading.way_back(world.world, plan)).play()
    assert {world.versions()[n] for n in RACKS} == {OLD}
    assert upgrading.way_back(world.world, plan).specs == ()


def test_killed_on_the_way_back_it_resumes_to_the_same_end() -> None:
    def back() -> Scene[World]:
        world = Upgrade()
        plan = world.plan()
        world.scene(plan=plan).play()
        return world.scene(plan=upgrading.way_back(world.world, plan))

    assert sweep(back, reads=SOAK, share=SHARE / 2).verdict().killed > 10


def test_killed_between_the_stop_and_the_link_it_can_go_back() -> None:
    stops = [n for n, (name, _) in enumerate(uncrashed(there)[1].calls, 1) if "unit_stop" in name]
    world = Upgrade()
    plan = world.plan()
    scene = world.scene(plan=plan)
    scene.process(Point(stops[4], "after"))
    assert scene.outcomes == ["killed"]
    world.clock.sleep(5)
    world.scene(plan=upgrading.way_back(world.world, plan)).play()
    world.clock.sleep(5)
    assert world.versions() == dict.fromkeys(NODES, OLD)
    assert all(node.pid for node in world.cluster.nodes.values())


@pytest.mark.parametrize("heard", [False, True], ids=["of no stop", "of the stop"])
def test_one_that_somebody_starts_before_it_has_its_version_is_stopped_anew_by_a_resume(
    heard: bool,
) -> None:
    """Its host came up anew while kafkaops was dead: the link is not turned under its process, and
    the second stop is behind the gate, not a restart by hand."""
    calls = uncrashed(there)[1].calls
    stop = [n for n, (name, _) in enumerate(calls, 1) if "unit_stop" in name][4]
    world = Upgrade()
    scene = world.scene()
    put = next(n for n, (name, _) in enumerate(calls, 1) if n > stop and name == "facts.put")
    scene.process(Point(put if heard else stop, "after"))
    [down] = [n.id for n in world.cluster.nodes.values() if n.pid == 0]
    assert (world.facts.get(f"rolling.blue-{down}.ended") is not None) is heard
    world.hosts[f"blue-{down}"].unit_start("kafka")
    world.clock.sleep(20)
    with pytest.raises(StepFailed) as caught:
        scene.process()
    assert (caught.value.code, caught.value.where) == ("KO-NODE-RUNS", f"blue-{down}")
    assert (world.versions()[down], world.cluster.up(down)) == (OLD, True)
    assert world.hosts[f"blue-{down}"].links["/opt/kafka/current"] == f"versions/{OLD}"
    stopped, coming = down_for(world.facts, [scene.plan])
    assert (stopped, f"blue-{down}" in coming) == ([], True)
    world.clock.sleep(120)
    gate = next(
        s.id for s in scene.plan.specs if s.kind == "gate-open" and down in s.args["mates"].values()
    )
    before = world.facts.get(f"rolling.{gate}")
    scene.process()
    assert scene.outcomes == ["killed", "done"]
    assert world.facts.get(f"rolling.{gate}") != before, "its gate was not asked again"
    assert world.starts() == ONCE | {down: 2}
    assert set(world.versions().values()) == {NEW}
    assert world.cluster.faults == []


def test_killed_with_a_node_down_a_resume_waits_for_no_other_host_before_it_starts_it() -> None:
    stops = [n for n, (name, _) in enumerate(uncrashed(there)[1].calls, 1) if "unit_stop" in name]
    world = Upgrade()
    scene = world.scene()
    scene.process(Point(stops[4], "after"))
    [down] = [n.id for n in world.cluster.nodes.values() if n.pid == 0]
    other = next(h for h in world.hosts.values() if h.node.pid and h.node.version == OLD)
    other.away = True
    begun = world.clock.wall()
    with pytest.raises(OpsError) as caught:
        scene.process()
    assert int(caught.value.exit) == 7
    assert world.facts.get(f"rolling.blue-{down}.up")["at"] < begun + 60
    other.away = False
    scene.process()
    assert scene.outcomes == ["killed", "done"]
    assert world.starts() == ONCE


def test_after_features_were_raised_there_is_no_way_back() -> None:
    world = Upgrade()
    plan = world.plan()
    world.scene(plan=plan).play()
    world.cluster.finalized["metadata.version"] = 30
    with pytest.raises(GuardRefused) as caught:
        upgrading.way_back(world.world, plan)
    assert caught.value.code == "KO-FEATURES-RAISED"
    assert "metadata.version from 21 to 30" in caught.value.message


def test_another_version_than_was_started_is_an_error() -> None:
    world = Upgrade(Options(only=("101",)))
    host = world.hosts["blue-101"]
    begun = type(host).unit_start

    def stubborn(name: str, *, timeout: float = 90.0) -> object:
        unit = begun(host, name, timeout=timeout)
        host.node.version = OLD  # its unit does not go through the link
        return unit

    host.unit_start = stubborn
    scene = world.scene()
    with pytest.raises(StepFailed) as caught:
        scene.play()
    assert (caught.value.code, caught.value.where) == ("KO-VERSION-RUNNING", "blue-101")
    assert "systemctl restart kafka" in caught.value.hint
    host.unit_start = lambda name, timeout=90.0: begun(host, name, timeout=timeout)
    host.unit_stop("kafka")
    host.unit_start("kafka")  # which is what the hint says
    world.clock.sleep(10)
    scene.process()
    assert (scene.outcomes, world.versions()[101]) == (["done"], NEW)


@pytest.mark.parametrize("only", [("1",), ("1", "100", "102"), ("2", "blue-3")])
def test_a_broker_is_not_made_newer_than_a_controller_that_stays(only: tuple[str, ...]) -> None:
    world = Upgrade(Options(only=only))
    with pytest.raises(GuardRefused) as caught:
        world.plan()
    assert "KO-CONTROLLER-OLDER:blue-101" in caught.value.message.replace(" ", ":")
    assert f"kafkaops upgrade --strategy rolling --to {NEW} --only blue-101" in caught.value.message
    world.upgraded(101)
    if "100" not in only:
        world.upgraded(100, 102)
    assert world.plan().specs


def test_one_of_the_combined_nodes_may_go_alone() -> None:
    """Whichever goes first is newer than the others' controllers; there is no other order."""
    assert Upgrade(Options(only=("1",)), voters=(1, 2, 3)).plan().specs


def test_a_controller_is_not_made_older_than_a_broker_that_stays() -> None:
    world = Upgrade(Options(only=("101",), to=OLD))
    world.upgraded(*NODES)
    for host in world.hosts.values():
        host.unpacked = {}
    with pytest.raises(GuardRefused) as caught:
        world.plan()
    assert all(f"blue-{node}" in caught.value.message for node in RACKS)
    assert f"--to {OLD} --only blue-6" in caught.value.message
    world.options = replace(world.options, only=("101", *map(str, RACKS)))
    assert world.plan().specs
    world.options = replace(world.options, only=("1",))
    assert world.plan().specs  # brokers first


def test_controllers_alone_go_first_and_one_that_cannot_be_asked_is_in_the_way() -> None:
    world = Upgrade(Options(only=tuple(map(str, VOTERS))))
    assert world.plan().specs
    world = Upgrade(Options(only=("1",)))
    world.upgraded(*VOTERS)
    blue = world.world.config.blue
    hosts = tuple(h for h in blue.hosts if h.node_id != 101)
    config = world.world.config.model_copy(
        update={"blue": blue.model_copy(update={"hosts": hosts})}
    )
    world.world = replace(world.world, config=config)
    with pytest.raises(GuardRefused) as caught:
        world.plan()
    assert caught.value.code == "KO-CONTROLLER-NO-HOST"


@pytest.mark.parametrize(
    ("spoil", "codes"),
    [
        (lambda w: w.cluster.finalized.update({"metadata.version": 99}), ["KO-FEATURES-NEWER"]),
        (lambda w: w.cluster.finalized.update({"metadata.version": 1}), ["KO-FEATURES-OLDER"]),
        (lambda w: w.hosts["blue-2"].links.clear(), ["KO-LINK-NONE"]),
        (lambda w: setattr(w.hosts["blue-2"].node, "version", "3.8.0"), ["KO-NOT-BY-LINK"]),
        (lambda w: setattr(w.hosts["blue-3"], "room", 100), ["KO-DISK-ROOM"]),
        (
            lambda w: w.hosts["blue-3"].unpacked.update({f"/opt/kafka/versions/{NEW}": NEW}),
            ["KO-VERSION-FOREIGN"],
        ),
        (
            lambda w: w.hosts["blue-1"].files.update(
                {"/opt/kafka/config/server.properties": b"log.segment.bytes=1000\n"}
            ),
            ["KO-SETTING-REFUSED"],
        ),
        (
            lambda w: [w.hosts["blue-2"].links.clear(), setattr(w.hosts["blue-3"], "room", 100)],
            ["KO-LINK-NONE", "KO-DISK-ROOM"],
        ),
    ],
)
def test_what_speaks_against_it_is_said_at_once_before_anything(spoil, codes) -> None:
    world = Upgrade()
    spoil(world)
    with pytest.raises(GuardRefused) as caught:
        world.plan()
    assert caught.value.code == (codes[0] if len(codes) == 1 else "KO-REFUSED")
    assert all(code in caught.value.message for code in codes)


def placeless(world: Upgrade) -> Upgrade:
    """Its config does not say where versions lie."""
    spec = world.world.config.blue.model_copy(update={"install": None})
    bare = world.world.config.model_copy(update={"blue": spec})
    world.world = replace(world.world, config=bare)
    return world


def test_a_release_without_a_tarball_and_a_cluster_without_a_place() -> None:
    with pytest.raises(ConfigError) as caught:
        Upgrade(Options(to="4.2.0")).plan()
    assert caught.value.code == "KO-VERSION-UNKNOWN"
    with pytest.raises(ConfigError) as nowhere:
        placeless(Upgrade()).plan()
    assert (nowhere.value.code, int(nowhere.value.exit)) == ("KO-INSTALL-NONE", 4)
    with pytest.raises(GuardRefused) as never:  # whatever its config comes to say
        placeless(Upgrade(voters=())).plan()
    assert never.value.code == "KO-ZOOKEEPER"
    assert "KRaft on 3.9" in f"{never.value.hint} {never.value.message}"
    assert "--strategy blue-green" in f"{never.value.hint} {never.value.message}"


def test_a_topic_of_one_replica_while_versions_are_brought_ends_a_run_that_was_begun() -> None:
    """Nobody was stopped; what was brought stays, so it is no refusal that changed nothing."""
    world = Upgrade(Options(only=("1",)))
    world.upgraded(*VOTERS)
    scene = world.scene()
    tried = world.hosts["blue-1"]
    run = tried.run

    def meanwhile(*argv: Any, **more: Any) -> Any:
        if "lonely" not in {tp.topic for tp in world.cluster.parts}:
            world.cluster.topic("lonely", [(1,)], 1)
        return run(*argv, **more)

    tried.run = meanwhile  # type: ignore[method-assign]
    with pytest.raises(StepFailed) as caught:
        scene.process()
    assert (caught.value.code, int(caught.value.exit)) == ("KO-RF-ONE", 8)
    assert set(world.starts().values()) == {0}
    world.facts.put(ACCEPTED, ["lonely"])
    world.cluster.faults.clear()
    scene.process()
    assert scene.outcomes == ["done"]


def test_a_file_cannot_be_sent_through_ssm() -> None:
    world = Upgrade()
    blue = world.world.config.blue
    hosts = tuple(
        h.model_copy(update={"via": "ssm", "target": "i-2"}) if h.node_id == 2 else h
        for h in blue.hosts
    )
    spec = blue.model_copy(update={"hosts": hosts})
    config = world.world.config.model_copy(update={"blue": spec})
    with pytest.raises(ConfigError) as caught:
        upgrading.plan(replace(world.world, config=config), world.options, "run-1")
    assert (caught.value.code, "blue-2" in caught.value.message) == (
        "KO-VERSION-NOT-SENDABLE",
        True,
    )


def test_settings_that_are_only_ignored_are_notes() -> None:
    world = Upgrade()
    world.hosts["blue-1"].files["/opt/kafka/config/server.properties"] = (
        b"# inter.broker.protocol.version=3.8\nlog.message.format.version = 3.0\n"
    )
    notes = [n for n in world.plan().notes if "KO-SETTING-REMOVED" in n]
    assert len(notes) == 1
    assert "blue-1:log.message.format.version" in notes[0]
