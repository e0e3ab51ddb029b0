"""The loader: precedence and origins, every fault at once, words an operator can act on."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kafkaops.config.faults import InvalidConfig
from kafkaops.config.loader import load
from kafkaops.engine.errors import ConfigError, Exit, UsageFault

Write = Callable[..., Path]
CONFIGS = Path(__file__).resolve().parents[3] / "configs"


def faults(path: Path, **more: Any) -> list[str]:
    with pytest.raises(InvalidConfig) as caught:
        load(path, environ={}, **more)
    assert caught.value.exit is Exit.CONFIG
    return [str(f) for f in caught.value.faults]


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda p: p.name)
def test_every_config_of_the_project_loads(path: Path) -> None:
    assert load(path, environ={}).config.name


def test_later_layers_win_and_the_origin_says_which(write: Write, tmp_path: Path) -> None:
    path = write({"cutover.ttl": 61, "cutover.cut_ttl": 6, "gates.hold": 7, "state.lease_ttl": 31})
    contexts = tmp_path / "contexts.yaml"
    contexts.write_text("prod:\n  set: {cutover.ttl: 62, cutover.cut_ttl: 7, gates.hold: 8}\n")
    loaded = load(
        path,
        context="prod",
        sets=["cutover.ttl=64"],
        environ={
            "KAFKAOPS_CONTEXTS": str(contexts),
            "KAFKAOPS_CUTOVER__TTL": "63",
            "KAFKAOPS_CUTOVER__CUT_TTL": "8",
            "KAFKAOPS_DEBUG": "1",
        },
    )
    config = loaded.config
    found = [config.cutover.ttl, config.cutover.cut_ttl, config.gates.hold, config.state.lease_ttl]
    assert found == [64, 8, 8.0, 31.0]
    assert loaded.origin(("cutover", "ttl")) == "flag:--set"
    assert loaded.origin(("cutover", "cut_ttl")) == "env:KAFKAOPS_CUTOVER__CUT_TTL"
    assert loaded.origin(("gates", "hold")) == "context:prod"
    assert re.fullmatch(r"file:kafkaops\.yaml:\d+", loaded.origin(("state", "lease_ttl")))
    assert loaded.origin(("gates", "timeout")) == "default"


def test_paths_of_logins_and_users_are_relative_to_the_file(write: Write) -> None:
    login = {"protocol": "SASL_SSL", "mechanism": "PLAIN", "username": "u"}
    path = write(
        {
            "blue.client_security": {**login, "password": "file:pw", "ca_file": "tls/ca.pem"},
            "users": {"*": "file:users/{user}", "eve": "env:EVE"},
        }
    )
    config = load(path, environ={}).config
    here = path.resolve().parent
    assert config.blue.client_security is not None
    assert config.blue.client_security.ca_file == str(here / "tls/ca.pem")
    assert config.blue.client_security.password == f"file:{here / 'pw'}"
    assert config.users == {"*": f"file:{here / 'users/{user}'}", "eve": "env:EVE"}


def test_client_security_is_checked_as_security_is(write: Write) -> None:
    found = faults(write({"green.client_security": {"protocol": "SASL_SSL"}}))
    assert any("green.client_security.mechanism" in fault for fault in found)


def test_one_element_of_a_list_or_mapping_can_be_set(write: Write) -> None:
    loaded = load(
        write(),
        sets=["blue.hosts.1.address=10.9.9.9", "cutover.broker_names.2=b9.kafka.test"],
        environ={},
    )
    assert [h.address for h in loaded.config.blue.hosts] == ["10.0.0.1", "10.9.9.9"]
    assert loaded.config.cutover.broker_names == {1: "b1.kafka.test", 2: "b9.kafka.test"}


def test_paths_are_relative_to_the_file(write: Write, tmp_path: Path) -> None:
    config = load(write({"state.dir": "../runs", "lab.dir": "lab"}), environ={}).config
    assert config.state.dir == str(tmp_path.parent / "runs")
    assert config.lab is not None
    assert config.lab.dir == str(tmp_path / "lab")


def test_the_file_is_found(write: Write, tmp_path: Path) -> None:
    write()
    other = write({"name": "other"}, name="other.yaml")
    assert load(cwd=tmp_path, environ={}).config.name == "orders"
    assert load(cwd=tmp_path, environ={"KAFKAOPS_CONFIG": "other.yaml"}).config.name == "other"
    flagged = load(other, cwd=tmp_path, environ={"KAFKAOPS_CONFIG": "kafkaops.yaml"})
    assert flagged.config.name == "other"


def test_no_file_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="KAFKAOPS_CONFIG") as caught:
        load(cwd=tmp_path, environ={})
    assert caught.value.where == str(tmp_path)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"cutover.tttl": 3}, r"cutover\.tttl .*kafkaops\.yaml:\d+.*did you mean cutover\.ttl\?"),
        ({"cutovr": {}}, r"did you mean cutover\?"),
        ({"ttl": 5}, r"^ttl .*it belongs at cutover\.ttl"),
        (
            {"blue.hosts.0": {"name": "b", "nod_id": 1, "address": "a"}},
            r"blue\.hosts\.0\.nod_id .*did you mean blue\.hosts\.0\.node_id\?",
        ),
        (
            {"accept": ["KO-DISK", "KO-TRANSACTIONAL-ID:payments-*"]},
            r"^accept\.1 .*KO-TRANSACTIONAL-ID is no finding that .* nearest .* KO-TXN-IDS$",
        ),
        ({"accept": ["KO-SAME-CLUSTER"]}, r"^accept\.0 .*no finding that can be accepted"),
        ({"accept": ["KO-FOO-*"]}, r"^accept\.0 .*KO-FOO-\* is no finding"),
        ({"accept": ["ko-rf-one"]}, r"^accept\.0 .*nearest that can is KO-RF-ONE$"),
        ({"accept": ["KO-CLIENT-NOT-SEEN"]}, r"^accept\.0 .*KO-CLIENT-NOT-SEEN:NAME"),
        (
            {
                "clients": [
                    {"name": "a", "moves": "rebootstrap", "groups": ["a"], "topics": ["t"]},
                ]
            },
            r"^clients\.0\.topics .*unknown key",
        ),
        ({"mirror": None}, r"^mirror: is required and missing"),
        ({"cutover.max_write_pause": 60}, r"max_write_pause .*45, and is 60; .*60 s"),
        ({"cutover.max_write_pause": "soon"}, r"valid number.*'soon'"),
    ],
)
def test_a_fault_of_one_key_names_it_and_the_way_out(
    write: Write, changes: dict[str, Any], fault: str
) -> None:
    assert any(re.search(fault, line) for line in faults(write(changes))), faults(write(changes))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"green.name": "old"}, r"green\.name .*same as blue\.name"),
        ({"green.bootstrap": ["10.0.0.1:9094"]}, r"green\.bootstrap .*two clusters"),
        ({"blue.bootstrap": ["10.0.0.1:9092"]}, r"blue\.bootstrap\.0 .*never fenced"),
        ({"blue.bootstrap": ["10.0.0.1:99999"]}, r"99999 .*not a port"),
        ({"blue.repl_port": 9092}, r"blue\.repl_port .*client_port"),
        ({"blue.hosts.1.node_id": 1}, r"2 hosts have node_id 1"),
        ({"green.hosts.0.address": "10.0.0.1"}, r"also blue\.hosts\.0\.address"),
        ({"green.hosts.0.name": "blue-1"}, r"also blue\.hosts\.0\.name"),
        ({"blue.hosts.0.via": "ssm"}, r"must be an instance id"),
        ({"blue.hosts.0.via": "lab"}, r"no `lab:` section"),
        ({"provision.kind": "lab"}, r"provision\.kind .*no `lab:` section"),
        ({"cutover.broker_names": {1: "b1.kafka.test"}}, r"no name for node 2 of blue"),
        (
            {"cutover.broker_names": {1: "a.kafka.test", 2: "b.kafka.test", 3: "c.kafka.test"}},
            r"names node 3, which no host of green",
        ),
        ({"cutover.broker_names": {1: "b1.kafka.test", 2: "b1.kafka.test"}}, r"given to 2 nodes"),
        ({"cutover.alias": "b1.kafka.test"}, r"also a broker's name"),
        ({"cutover.alias": "kafka.other"}, r"not in the zone"),
        ({"cutover.cut_ttl": 100}, r"above ttl"),
        ({"cutover.max_write_pause": 2, "cutover.drain_window": 2}, r"leaves nothing"),
        ({"cutover.quiet_window": 2}, r"is part of drain_window"),
        ({"mirror.host": "blue-1"}, r"not a host of green; its hosts are green-1, green-2"),
        ({"mirror.back_host": "green-1"}, r"not a host of blue"),
        ({"clients": [{"name": "a", "moves": "hooks", "stop": ["x"]}]}, r"clients\.0\.start "),
        (
            {"clients": [{"name": "a", "moves": "rebootstrap", "stop": ["x"]}]},
            r"runs no stop or start",
        ),
        ({"clients": [{"name": "a", "moves": "rebootstrap"}] * 2}, r"a is given twice"),
        (
            {
                "clients": [{"name": "a", "moves": "follows-names"}],
                "cutover.broker_names": {},
            },
            r"needs cutover\.broker_names",
        ),
        (
            {
                "clients": [
                    {"name": "a", "moves": "hooks", "stop": ["x"], "start": ["x"], "host": "z"}
                ]
            },
            r"z is not a host",
        ),
        ({"cutover.fence": "clients"}, r"no group in clients has moves: hooks"),
        ({"blue.security.protocol": "SASL_SSL"}, r"blue\.security\.mechanism"),
        (
            {"blue.security": {"protocol": "SASL_SSL", "mechanism": "PLAIN", "username": "u"}},
            r"blue\.security\.password",
        ),
        ({"blue.security.username": "u"}, r"takes no mechanism"),
        ({"blue.security": {"protocol": "SSL", "cert_file": "c"}}, r"go together"),
        ({"blue.security.ca_file": "c"}, r"takes no certificates"),
    ],
)
def test_rules_between_keys(write: Write, changes: dict[str, Any], fault: str) -> None:
    found = faults(write(changes))
    assert any(re.search(fault, line) for line in found), found


def test_every_fault_at_once(write: Write) -> None:
    found = faults(write({"cutover.tttl": 3, "gates.hold": -1, "mirror.tasks": 0, "nme": 1}))
    assert len(found) == 4


def test_a_short_list_is_not_blamed_for_its_elements(write: Write) -> None:
    found = faults(write({"green.hosts": [{"name": "g", "adress": "x"}]}))
    assert not any("at least 1 item" in line for line in found), found


def test_a_fault_names_the_layer_it_came_from(write: Write) -> None:
    with pytest.raises(InvalidConfig) as caught:
        load(write(), environ={"KAFKAOPS_CUTOVER__TTTL": "3"})
    assert "(env:KAFKAOPS_CUTOVER__TTTL): unknown key" in str(caught.value.faults[0])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: x\nblue: [\n", r"not valid YAML, line 3"),
        ("name: x\n\tblue: 1\n", r"line 2, column 1"),
        ("name: x\nname: y\n", r"name is given twice, on lines 1 and 2"),
        ("- a\n", r"must be a mapping"),
        ("", r"is empty"),
        ("name: !!python/object:os.system x\n", r"not valid YAML, line 1"),
        ("a: 1\n---\nb: 2\n", r"not valid YAML"),
    ],
)
def test_yaml_that_is_wrong_names_the_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "k.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words) as caught:
        load(path, environ={})
    assert caught.value.exit is Exit.CONFIG


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "k.yaml"
    path.write_bytes(b"name: \xff\xfe")
    with pytest.raises(ConfigError, match=r"not UTF-8 text \(byte 6\)"):
        load(path, environ={})


def test_a_flag_that_is_no_assignment(write: Write) -> None:
    with pytest.raises(UsageFault, match=r"KEY\.PATH=VALUE"):
        load(write(), sets=["cutover.ttl"], environ={})


def test_an_unknown_context_names_the_known(write: Write, tmp_path: Path) -> None:
    contexts = tmp_path / "contexts.yaml"
    contexts.write_text("prod: {config: kafkaops.yaml}\n")
    environ = {"KAFKAOPS_CONTEXTS": str(contexts)}
    write()
    assert load(context="prod", environ=environ, cwd=tmp_path / "x").config.name == "orders"
    with pytest.raises(ConfigError, match="known: prod"):
        load(context="prd", environ=environ)
