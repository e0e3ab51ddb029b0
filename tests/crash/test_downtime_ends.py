"""What an outage proves: how each node ended, and where each partition ends.

Records are lost here as they are in life: by a log recovery after a kill, or an election of one who
lacked them.
"""

from __future__ import annotations

from typing import Any

from kafkaops.cli.rolls import figures
from kafkaops.model.partition import TopicPartition
from kafkaops.ports.world import World
from kafkaops.upgrade.rolling.choosing import Options
from kafkaops.upgrade.rolling.phases import LOST, UNCLEAN, WITHOUT
from tests.crash.downtime_scene import NODES, Outage, back_of, ended, told, without_the_last
from tests.crash.engine_harness import Point, Scene, raised, uncrashed
from tests.crash.upgrade_scene import NEW, OLD

LONG = Options(outage=36000.0)
ORDERS = TopicPartition("orders", 0)
OFFSETS = TopicPartition("__consumer_offsets", 0)


def test_each_end_is_proven_before_the_version_and_one_that_was_killed_ends_the_run_once() -> None:
    world = Outage()
    world.cluster.nodes[4].signal = 9
    seen = world.endings("downtime")
    scene = world.scene()
    error = raised(scene)
    assert (error.code, int(error.exit), error.where) == ("KO-STOP-UNCLEAN", 8, "blue-4")
    assert "blue-4 (signal 9)" in error.message
    clean = {name: ended["clean"] for name, ended in seen.items()}
    assert clean == {f"blue-{n}": n != 4 for n in NODES}
    [line] = [line for line in world.said if "did not end by itself" in line]
    assert line.startswith("blue-4 did not end by itself when told to (signal 9)")
    state = scene.state()
    assert (state["versions"], state["closed"]) == (dict.fromkeys(NODES, NEW), [])
    scene.process()
    assert scene.outcomes == ["done"]
    assert world.starts() == dict.fromkeys(NODES, 1)
    words = told(world, scene.plan)
    assert f"ended by itself when told to: {len(NODES) - 1} nodes" in words
    assert "did not, so its logs were recovered at the start: blue-4 (signal 9)" in words
    assert f"end no earlier than before the outage: {len(world.cluster.parts)} partitions" in words
    found = figures(ended(world, scene.plan))
    assert (found["unclean"], found["ends_short"]) == ({"blue-4": "signal 9"}, [])
    assert found["ends_kept"] == len(world.cluster.parts)
    assert set(found["back"]) == {NEW}
    assert found["left"] == []


def test_killed_while_it_waited_for_a_stop_the_end_is_proven_all_the_same() -> None:
    calls = uncrashed(lambda: Outage().scene())[1].calls
    stops = [n for n, (name, _) in enumerate(calls, 1) if name.endswith("unit_stop")]
    for stop in (stops[0], stops[-1]):
        world = Outage()
        for node in world.cluster.nodes.values():
            node.signal = 9
        seen = world.endings("downtime")
        scene = world.scene()
        scene.process(Point(stop, "after"))
        [down] = [n.id for n in world.cluster.nodes.values() if not n.pid][-1:]
        assert scene.outcomes == ["killed"]
        assert raised(scene).code == "KO-STOP-UNCLEAN"
        assert {ended["clean"] for ended in seen.values()} == {False}
        assert f"blue-{down}" in seen


def test_on_a_way_back_that_goes_on_with_the_outage_the_stops_of_the_way_there_are_told() -> None:
    world = Outage()
    world.cluster.nodes[5].signal = 9
    world.hosts["blue-4"].refused.add(NEW)
    plan = world.plan()
    assert raised(world.scene(plan=plan)).where == "blue-4"
    world.cluster.nodes[5].signal = None
    world.cluster.nodes[4].ended = 1  # as systemd tells of the start that failed
    back = world.scene(plan=back_of(world, plan))
    error = raised(back)
    assert (error.code, error.where) == ("KO-STOP-UNCLEAN", "blue-5")
    assert "blue-4" not in error.message  # it did not run when the way back came to it
    assert world.versions() == dict.fromkeys(NODES, OLD)
    back.process()
    assert back.outcomes == ["done"]
    assert world.cluster.serving()


def lose(world: Outage, tp: TopicPartition, count: int = 1) -> None:
    world.cluster.written[tp] -= count


def recovering() -> Outage:
    """A broker that is killed at its stop, and whose log recovery loses a record."""
    world = Outage(options=LONG)
    world.cluster.nodes[4].signal = 9
    lost: list[bool] = []

    def tick() -> None:
        world.write()
        if not lost and world.facts.get("downtime.blue-4.started"):
            lost.append(True)
            lose(world, ORDERS)

    world.cluster.on_tick = tick
    return world


def test_where_a_log_recovery_lost_records_clients_stay_out() -> None:
    world = recovering()
    scene = world.scene()
    error = raised(scene)
    assert (error.code, int(error.exit)) == ("KO-ENDS-SHORT", 8)
    before = world.facts.get("downtime.still")["orders/0"]
    assert f"orders-0 ends at {before - 1}, not {before}" in error.message
    assert not world.cluster.serving()
    assert raised(scene).code == "KO-ENDS-SHORT"
    lose(world, ORDERS, -1)
    assert raised(scene).code == "KO-STOP-UNCLEAN"
    assert world.cluster.serving()


def test_what_was_lost_can_be_given_up_by_name_and_the_end_still_tells_it() -> None:
    world = recovering()
    scene = world.scene()
    error = raised(scene)
    assert f"--accept-lost {ORDERS} --confirm {world.world.config.name}" in error.hint
    world.facts.put(LOST, ["payments*", "orders-1"])
    assert raised(scene).code == "KO-ENDS-SHORT"
    assert not world.cluster.serving()
    world.facts.put(LOST, ["payments*", str(ORDERS)])
    error = raised(scene)
    assert error.code == "KO-STOP-UNCLEAN"
    assert "no earlier" not in error.message
    assert world.cluster.serving()
    [line] = [line for line in world.said if line.startswith("given up, as asked: ")]
    assert f"{ORDERS} ends at" in line
    scene.process()
    assert scene.outcomes == ["done"]
    [told_at_the_end] = [w for w in told(world, scene.plan) if w.startswith("END EARLIER")]
    assert str(ORDERS) in told_at_the_end
    found = figures(ended(world, scene.plan))
    assert found["ends_kept"] is None
    assert [line.split()[0] for line in found["ends_short"]] == [str(ORDERS)]


def test_what_is_lost_beside_what_was_given_up_keeps_clients_out() -> None:
    world = recovering()
    scene = world.scene()
    raised(scene)
    other = next(tp for tp in world.cluster.parts if tp != ORDERS)
    lose(world, other)
    world.facts.put(LOST, [str(ORDERS)])
    error = raised(scene)
    assert (error.code, f"--accept-lost {other} " in error.hint) == ("KO-ENDS-SHORT", True)
    assert "2 partitions end earlier" in error.message
    assert not world.cluster.serving()


def test_what_was_lost_is_still_told_when_the_kernels_have_let_clients_in() -> None:
    """What clients write then would hide it."""
    world = recovering()
    scene = world.scene()
    assert raised(scene).code == "KO-ENDS-SHORT"
    world.clock.sleep(LONG.outage + 60)
    assert world.cluster.serving()
    world.cluster.written[ORDERS] += 10
    error = raised(scene)
    assert (error.code, "let in" in error.message, "orders-0" in error.message) == (
        "KO-ENDS-SHORT",
        True,
        True,
    )
    assert world.cluster.serving()
    error = raised(scene)
    assert error.code == "KO-STOP-UNCLEAN"
    assert "no earlier" not in error.message
    scene.process()
    assert scene.outcomes == ["done"]


def test_a_loss_that_clients_have_written_over_is_told_beside_one_that_still_shows() -> None:
    world = recovering()
    scene = world.scene()
    raised(scene)
    other = next(tp for tp in world.cluster.parts if tp != ORDERS)
    lose(world, other, 1000)
    assert "2 partitions" in raised(scene).message
    world.clock.sleep(LONG.outage + 60)
    world.cluster.on_tick = lambda: None
    before = world.facts.get("downtime.still")
    world.cluster.written[ORDERS] = before["orders/0"] + 10
    world.cluster.written[other] = before[f"{other.topic}/{other.partition}"] - 1
    world.facts.put(LOST, [str(other)])
    error = raised(scene)
    assert (error.code, "2 partitions" in error.message) == ("KO-ENDS-SHORT", True)
    assert {str(ORDERS), str(other)} <= set(error.message.replace(",", "").split())
    assert world.cluster.serving()


def test_a_way_back_tells_what_the_way_there_had_lost_before_clients_were_let_in() -> None:
    world = recovering()
    plan = world.plan()
    assert raised(world.scene(plan=plan)).code == "KO-ENDS-SHORT"
    world.clock.sleep(LONG.outage + 60)
    world.cluster.written[ORDERS] += 10
    back = world.scene(plan=back_of(world, plan))
    error = raised(back)
    assert (error.code, str(ORDERS) in error.message) == ("KO-ENDS-SHORT", True)
    assert world.cluster.serving()
    assert not any(words.startswith("end no earlier") for words in told(world, back.plan))


def test_a_leader_that_does_not_know_yet_how_far_its_followers_are_is_waited_for() -> None:
    world = Outage()
    real, looks = world.cluster.ends, [3]

    def ends(partitions: Any) -> Any:
        found = dict(real(partitions))
        if world.facts.get("downtime.blue-4.in-sync") and looks[0] and ORDERS in found:
            looks[0] -= 1
            end = found[ORDERS]
            found[ORDERS] = type(end)(0, end.stable - 1, end.high_watermark - 1)
        return found

    world.cluster.ends = ends  # type: ignore[method-assign]
    scene = world.scene()
    scene.play()
    assert (scene.outcomes, looks) == (["done"], [0])


def test_an_election_that_lost_records_keeps_clients_out_of_every_resume() -> None:
    world = Outage(options=LONG)
    _, scene, host = without_the_last(world)
    world.facts.put(WITHOUT, [host])
    world.facts.put(UNCLEAN, ["*"])
    real = world.cluster.elect_unclean
    short: list[TopicPartition] = []

    def elect(partitions: Any) -> None:
        real(partitions)
        short[:] = sorted(partitions)[:1]
        lose(world, short[0], 2)

    world.cluster.elect_unclean = elect  # type: ignore[method-assign]
    error = raised(scene)
    assert (error.code, int(error.exit)) == ("KO-ELECT-SHORT", 8)
    assert str(short[0]) in error.message
    assert raised(scene).code == "KO-ENDS-SHORT"
    assert not world.cluster.serving()


def with_own_topic(world: Outage) -> tuple[Scene[World], str]:
    """Kafka's own topic on the same brokers as the others; and who is lost of them."""
    world.cluster.topic(OFFSETS.topic, [p.replicas for p in world.cluster.parts.values()])
    _, scene, host = without_the_last(world)
    world.facts.put(WITHOUT, [host])
    return scene, host


def test_kafkas_own_topics_do_not_stand_still_and_are_elected_only_by_their_own_name() -> None:
    world = Outage(options=LONG)
    scene, _ = with_own_topic(world)
    noted = world.facts.get("downtime.still")
    assert {name.rpartition("/")[0] for name in noted} == {"orders", OFFSETS.topic}
    for globs in (["*"], ["*", "*offsets*", "[_]*"]):
        world.facts.put(UNCLEAN, globs)
        error = raised(scene)
        assert error.code == "KO-PARTITION-OFFLINE"
        assert OFFSETS.topic in error.message
        assert "orders" not in error.message
        assert "may lack what Kafka itself wrote since clients were shut out" in error.hint
        assert f"--elect-unclean {OFFSETS.topic}" in error.hint
        assert not world.cluster.serving()
    world.facts.put(UNCLEAN, ["*", "__consumer*"])
    scene.process()
    assert scene.outcomes == ["done"]
    assert world.cluster.serving()


def test_kafkas_own_topics_must_not_end_before_where_they_were_when_the_outage_began() -> None:
    world = Outage(options=LONG)
    scene, _ = with_own_topic(world)
    world.facts.put(UNCLEAN, ["*", "__*"])
    real = world.cluster.elect_unclean

    def elect(partitions: Any) -> None:
        real(partitions)
        for tp in partitions:
            if tp.topic == OFFSETS.topic:
                world.cluster.written[tp] = (
                    world.facts.get("downtime.still")[f"{tp.topic}/{tp.partition}"] - 100
                )  # so that what Kafka writes meanwhile does not make up for it

    world.cluster.elect_unclean = elect  # type: ignore[method-assign]
    error = raised(scene)
    assert (error.code, int(error.exit)) == ("KO-ELECT-SHORT", 8)
    assert OFFSETS.topic in error.message
    assert not world.cluster.serving()


def test_a_resume_after_clients_were_let_in_shuts_nobody_out_again() -> None:
    """Each outage with a stop that was not clean asks for one, or with a start hook that failed."""
    world = Outage()
    world.cluster.nodes[4].signal = 9
    scene = world.scene()
    assert raised(scene).code == "KO-STOP-UNCLEAN"
    shut: list[float] = []

    def tick() -> None:
        world.write()
        if not world.cluster.serving():
            shut.append(world.clock.now)

    world.cluster.on_tick = tick
    scene.process()
    assert (scene.outcomes, shut) == (["done"], [])
