"""The controllers of a quorum, asked at their own listener who is registered and what they support.

No broker tells which controllers are registered: a controller does (KIP-919), to whoever may
ALTER the cluster. Controllers that cannot be reached from here, or want another login than brokers
do, are no error: what they would have told is then unknown, and said to be. Invariant: nothing is
changed, and every question is bounded in time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector
from kafka.protocol.admin import DescribeClusterRequest

from kafkaops.adapters import kafka_features
from kafkaops.adapters.kafka_features import Told
from kafkaops.model.features import FeatureNode, Features

Address = tuple[str, int]
Ask = Callable[[Address, Callable[[], Any]], Any]
"""One request to one address; its answer. Errors: whatever kafka-python raises."""
CONTROLLERS = 2
"""EndpointType of DescribeCluster."""


def asker(settings: Mapping[str, Any], attempt: float) -> Ask:
    """Asks with the settings of a client of the brokers; `attempt` in seconds."""
    return partial(_ask, settings, attempt)


def features(told: Told, ask: Ask) -> Features:
    """What brokers told, and what controllers add to it."""
    registered, unseen = _registered(told, ask) if told.kraft else ({}, "")
    brokers = {n.id for n in told.brokers}
    living = {*told.voters, *told.observers}
    apart = sorted(({*told.voters, *registered}) - brokers)
    return Features(
        told.cluster_id,
        told.kraft,
        told.finalized,
        (
            *told.brokers,
            *(
                _controller(n, registered.get(n) or told.listeners.get(n), living, ask)
                for n in apart
            ),
        ),
        told.min_isr,
        told.min_isr_of,
        unseen,
    )


def _registered(told: Told, ask: Ask) -> tuple[dict[int, Address], str]:
    """The registered controllers and where they listen, or why nobody could tell."""
    why = "the brokers do not tell where controllers listen"
    for node, address in sorted(told.listeners.items()):
        try:
            answer = ask(
                address, partial(DescribeClusterRequest, endpoint_type=CONTROLLERS, min_version=1)
            )
        except Exception as error:
            why = _why(address, error)
            continue
        if answer.error_code == 0:
            return {b.broker_id: (b.host, b.port) for b in answer.brokers}, ""
        why = f"controller {node} does not tell: {answer.error_message or answer.error_code}"
    return {}, why


def _controller(node: int, address: Address | None, living: Iterable[int], ask: Ask) -> FeatureNode:
    member = node in living
    if address is None:
        why = "the brokers do not tell where it listens"
        return FeatureNode(node, broker=False, controller=True, why=why, member=member)
    try:
        answer = ask(address, partial(kafka_features.request, 3))
        if kafka_features.knows_zero(answer):
            answer = ask(address, partial(kafka_features.request, 4))
        supports = kafka_features.supported(answer)
    except Exception as error:
        why = _why(address, error)
        return FeatureNode(node, broker=False, controller=True, why=why, member=member)
    return FeatureNode(node, broker=False, controller=True, supports=supports, member=member)


def _why(address: Address, error: Exception) -> str:
    words = " ".join(str(error).split()) or type(error).__name__
    return f"{address[0]}:{address[1]} did not answer ({words})"


def _ask(
    settings: Mapping[str, Any], attempt: float, address: Address, make: Callable[[], Any]
) -> Any:
    net = NetworkSelector(client_id="kafkaops-controllers", slow_task_threshold_secs=0)
    limit = int(attempt * 1000)
    host, port = address
    manager = KafkaConnectionManager(
        net,
        bootstrap_servers=[f"[{host}]:{port}" if ":" in host else f"{host}:{port}"],
        request_timeout_ms=limit,
        socket_connection_setup_timeout_ms=limit,
        socket_connection_setup_timeout_max_ms=limit,
        **settings,
    )

    async def asked() -> Any:
        connection = manager.get_connection("bootstrap-0", timeout_ms=limit, pop_on_close=False)
        await manager.wait_for(connection.init_future, limit)
        return await manager.wait_for(connection.send_request(make()), limit)

    try:
        return net.run(asked)
    finally:
        manager.close()
        net.close()
