"""The hosted zone by its id or by its name, against the lab's Route 53 on a real socket."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kafkaops.adapters.route53 import Route53
from kafkaops.engine.errors import ConfigError
from kafkaops.lab.layout import Settings
from kafkaops.lab.names import records
from kafkaops.lab.route53 import Zone
from tests.unit.adapters.aws_lab import AwsLab

B1 = "b1.kafka.lab"


@pytest.fixture
def aws() -> Iterator[AwsLab]:
    made = AwsLab()
    made.front.api.zone.seed(records(Settings()))
    yield made
    made.close()


def of(aws: AwsLab, zone: str) -> Route53:
    return Route53(zone, aws.aws, client=aws.client("route53"))


@pytest.mark.parametrize("given", ["Z0", "/hostedzone/Z0", "kafka.lab", "kafka.lab.", "Kafka.Lab"])
def test_by_id_and_by_name_it_is_the_same_zone(aws: AwsLab, given: str) -> None:
    names = of(aws, given)
    (before,) = names.records([B1])
    assert before.values == ("127.0.1.1",)
    assert names.zone() == "kafka.lab"
    change = names.change([before], [before], comment="the same again")
    aws.front.set({"insync_delay": 0})
    assert names.in_sync(change)


def test_neighbours_in_the_list_are_not_taken_for_it(aws: AwsLab) -> None:
    others = ("a.kafka.lab.", "kafka.lab.example.", "lab.", "zzz.example.")
    aws.front.api.others = tuple(Zone(name, f"Z{n}") for n, name in enumerate(others, 1))
    assert of(aws, "kafka.lab").records([B1])
    with pytest.raises(ConfigError, match=r"no hosted zone .* is named kafka\.la$") as refused:
        of(aws, "kafka.la").zone()
    assert (refused.value.code, refused.value.where) == ("KO-NAMES-ZONE", "cutover.hosted_zone")


@pytest.mark.parametrize("many", [1, 150])
def test_a_name_that_several_zones_have_is_refused_with_their_ids(aws: AwsLab, many: int) -> None:
    """More than a page of them, too."""
    aws.front.api.others = tuple(Zone("kafka.lab.", f"ZX{n}") for n in range(many))
    with pytest.raises(ConfigError) as refused:
        of(aws, "kafka.lab").records([B1])
    error = refused.value
    assert error.code == "KO-NAMES-ZONE"
    assert error.message.startswith(f"{many + 1} hosted zones are named kafka.lab: ")
    assert "Z0 (private)" in error.message
    assert f"ZX{many - 1} (private)" in error.message
    assert "give the id" in error.hint
    assert of(aws, "Z0").records([B1]), "the id says which"


def test_the_permission_that_a_name_needs_is_named(aws: AwsLab) -> None:
    aws.front.set({"deny": "route53:ListHostedZonesByName"})
    with pytest.raises(ConfigError, match="route53:ListHostedZonesByName") as refused:
        of(aws, "kafka.lab").zone()
    assert refused.value.code == "KO-AWS-DENIED"
    assert of(aws, "Z0").zone() == "kafka.lab", "an id needs it not"
