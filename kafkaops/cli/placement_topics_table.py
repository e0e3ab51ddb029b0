"""New partitions for people and for scripts: before they are made, and after."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from kafkaops.cli.output import Table, Text

if TYPE_CHECKING:
    from kafkaops.placement.topics.planner import TopicPlan

SHOWN = 20
"""So many partitions are listed on stderr before consent; all of them are in the result."""


def question(plan: TopicPlan, cluster: str) -> str:
    count = len(plan.assignment)
    if plan.verb == "create":
        return f"This creates {plan.topic} on {cluster}: {count} partitions, RF {plan.rf}."
    return (
        f"This adds {count} partitions to {plan.topic} on {cluster}, and there is no way back:"
        " Kafka takes no partition away."
    )


def done(plan: TopicPlan) -> str:
    if plan.verb == "create":
        return f"{plan.topic} is there, as planned"
    return f"{plan.topic} has {len(plan.existing) + len(plan.assignment)} partitions, as planned"


def lines(plan: TopicPlan, cluster: str) -> Iterator[str]:
    yield f"{plan.topic} on {cluster}: {len(plan.assignment)} new partitions, RF {plan.rf}"
    for p, row in list(plan.assignment.items())[:SHOWN]:
        yield f"  {p}: {', '.join(map(str, row))}"
    if len(plan.assignment) > SHOWN:
        yield f"  and {len(plan.assignment) - SHOWN} more: --plan shows all"
    for name, value in plan.configs.items():
        yield f"  {name}={value}"
    for warning in plan.warnings:
        yield f"warning: {warning}"


def document(plan: TopicPlan, outcome: str) -> dict[str, Any]:
    return {
        "kind": f"placement-{'topic' if plan.verb == 'create' else 'partitions'}",
        "outcome": outcome,
        "topic": plan.topic,
        "rf": plan.rf,
        "existing": len(plan.existing),
        "partitions": [
            {"topic": plan.topic, "partition": p, "replicas": row}
            for p, row in plan.assignment.items()
        ],
        "configs": plan.configs,
        "brokers": [
            {
                "id": s.place.id,
                "rack": s.place.rack or None,
                "replicas": s.of_topic,
                "leaders": s.led_of_topic,
                "all_replicas": s.replicas,
                "all_leaders": s.leaders,
            }
            for s in plan.shares
        ],
        "warnings": plan.warnings,
    }


def tables(plan: TopicPlan) -> Iterator[Table]:
    yield Table(
        ("partition", "leader", "replicas"),
        [(p, row[0], row) for p, row in plan.assignment.items()],
        f"new partitions of {plan.topic}",
    )
    yield Table(
        ("broker", "rack", "replicas", "leaders", "of all topics", "leads of all"),
        [
            (s.place.id, s.place.rack, s.of_topic, s.led_of_topic, s.replicas, s.leaders)
            for s in plan.shares
        ],
        f"{plan.topic} on the brokers",
    )


def warnings(plan: TopicPlan) -> Iterator[Text]:
    for warning in plan.warnings:
        yield Text(f"warning: {warning}")
