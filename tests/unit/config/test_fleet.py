"""What the config says of a fleet: nothing by default, and an instance that is missing is named."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from kafkaops.config.checks import check
from kafkaops.config.schema import ClusterSpec, Config, Fleet, HostSpec


def config(hosts: list[dict[str, Any]], **fleet: Any) -> Config:
    return Config.model_validate(
        {
            "name": "demo",
            "blue": {"name": "blue", "bootstrap": ["h:9094"], "hosts": hosts, "fleet": fleet},
        }
    )


def faults(hosts: list[dict[str, Any]], **fleet: Any) -> list[str]:
    return [f"{fault.key} {fault.message}" for fault in check(config(hosts, **fleet))]


def host(name: str, n: int, **more: Any) -> dict[str, Any]:
    return {"name": name, "node_id": n, "address": f"10.0.0.{n}", **more}


def test_nothing_is_held_unless_it_is_asked_for_and_a_dump_is_as_it_was() -> None:
    made = config([host("b1", 1)])
    assert (made.blue.fleet.auto_scaling, made.blue.fleet.agents) == (False, ())
    dumped = made.model_dump(mode="json")["blue"]
    assert "fleet" not in dumped
    assert "instance" not in dumped["hosts"][0]
    assert faults([host("b1", 1)]) == []
    asked = config([host("b1", 1, instance="i-1")], agents=["a.timer"])
    assert Config.model_validate(asked.model_dump(mode="json")) == asked


def test_a_host_without_an_instance_is_named_where_auto_scaling_is_on() -> None:
    [fault] = faults([host("b1", 1, instance="i-0a"), host("b2", 2)], auto_scaling=True)
    assert fault.startswith("blue.hosts.1.instance b2 names no EC2 instance")
    by_ssm = host("b2", 2, via="ssm", target="i-0b")
    assert faults([host("b1", 1, instance="i-0a"), by_ssm], auto_scaling=True) == []
    [hybrid] = faults([host("b1", 1, via="ssm", target="mi-0b")], auto_scaling=True)
    assert "b1 names no EC2 instance" in hybrid
    [twice] = faults([host("b1", 1, instance="i-0b"), by_ssm], auto_scaling=True)
    assert "i-0b is also the instance of b1" in twice


def test_an_agent_is_a_unit_with_its_kind_given_once_and_not_the_node_itself() -> None:
    for wrong in ("puppet", "puppet.target", "a b.service", "$(x).service", "-a.service"):
        with pytest.raises(ValidationError):
            Fleet(agents=(wrong,))
    twice = faults([host("b1", 1)], agents=["p.service", "p.service"])
    assert twice == ["blue.fleet.agents p.service is given twice"]
    own = faults([host("b1", 1)], agents=["kafka.service"])
    assert own == ["blue.fleet.agents kafka.service is the node's own service"]


def test_the_instance_is_the_target_where_ssm_reaches_it() -> None:
    assert HostSpec(name="b", address="h", via="ssm", target="i-0a").ec2 == "i-0a"
    assert HostSpec(name="b", address="h", target="i-0a").ec2 == ""
    assert HostSpec(name="b", address="h", via="ssm", target="i-0a", instance="i-0b").ec2 == "i-0b"
    assert ClusterSpec.model_fields["fleet"].default == Fleet()
