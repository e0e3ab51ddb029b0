"""Producer ids, open transactions, and their end.

Invariant: an id handed out is never used; taking it only moves the counter on.
Sources: KIP-664 (DescribeProducers, WriteTxnMarkers), KIP-730 (blocks of 1,000 ids a broker).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from kafka.protocol.admin import (
    DescribeProducersRequest,
    DescribeTransactionsRequest,
    ListTransactionsRequest,
)
from kafka.protocol.producer import InitProducerIdRequest
from kafka.protocol.producer.transaction import WriteTxnMarkersRequest

from kafkaops.adapters.kafka_errors import (
    CONCURRENT_TRANSACTIONS,
    NOT_YET,
    STALE_COORDINATOR,
    KafkaAnswer,
    check,
)
from kafkaops.adapters.kafka_wire import TRANSACTION, Wire
from kafkaops.model.cluster import ProducerState, Transaction
from kafkaops.model.partition import TopicPartition

_WAIT = STALE_COORDINATOR | NOT_YET | {CONCURRENT_TRANSACTIONS}
_NO_SUCH_ID = 105
_PIPELINED = 500


async def producers(
    wire: Wire, partitions: Collection[TopicPartition]
) -> tuple[ProducerState, ...]:
    """Active producers of each partition, as its leader knows them."""
    topic = DescribeProducersRequest.TopicRequest

    async def ask(
        leader: int, tps: list[TopicPartition]
    ) -> Mapping[TopicPartition, tuple[ProducerState, ...] | KafkaAnswer]:
        rows: dict[str, list[int]] = {}
        for tp in tps:
            rows.setdefault(tp.topic, []).append(tp.partition)
        answer = await wire.direct(
            lambda: DescribeProducersRequest(
                topics=[topic(name=n, partition_indexes=ids) for n, ids in rows.items()]
            ),
            leader,
        )
        found: dict[TopicPartition, tuple[ProducerState, ...] | KafkaAnswer] = {}
        for t in answer.topics:
            for p in t.partitions:
                tp = TopicPartition(t.name, p.partition_index)
                if p.error_code:
                    found[tp] = KafkaAnswer(p.error_code, str(tp), p.error_message)
                else:
                    found[tp] = tuple(_state(tp, row) for row in p.active_producers)
        return found

    found = await wire.at_leaders(partitions, ask)
    return tuple(state for _, states in sorted(found.items()) for state in states)


def _state(tp: TopicPartition, row: Any) -> ProducerState:
    return ProducerState(
        tp,
        row.producer_id,
        row.producer_epoch,
        row.last_sequence,
        row.last_timestamp,
        row.current_txn_start_offset,
        row.coordinator_epoch,
    )


async def transactions(wire: Wire) -> tuple[Transaction, ...]:
    """Every transactional id that a coordinator knows, with its open partitions."""
    if not wire.supports(ListTransactionsRequest):
        return ()
    return await wire.again(lambda: _transactions(wire))


async def _transactions(wire: Wire) -> tuple[Transaction, ...]:
    answers = await wire.everywhere(
        lambda: ListTransactionsRequest(state_filters=[], producer_id_filters=[])
    )
    ids: dict[int, list[str]] = {}
    for node, answer in answers.items():
        check(answer.error_code, f"transactions of broker {node}")
        if answer.transaction_states:
            ids[node] = [row.transactional_id for row in answer.transaction_states]

    def describe(node: int) -> Any:
        return lambda: wire.direct(
            lambda: DescribeTransactionsRequest(transactional_ids=ids[node]), node
        )

    found: dict[str, Transaction] = {}
    for answer in (await wire.together({node: describe(node) for node in ids})).values():
        for row in answer.transaction_states:
            if row.error_code in (_NO_SUCH_ID, *_WAIT):
                continue  # expired, or moved to a coordinator that lists it too
            check(row.error_code, row.transactional_id)
            found[row.transactional_id] = Transaction(
                row.transactional_id,
                row.producer_id,
                row.transaction_state,
                row.transaction_start_time_ms,
                tuple(TopicPartition(t.topic, p) for t in row.topics for p in t.partitions),
                row.transaction_timeout_ms,
            )
    return tuple(found[name] for name in sorted(found))


async def init_producer_ids(wire: Wire, broker: int, count: int) -> int:
    """Take `count` ids from one broker, pipelined; the highest of them (-1 for none)."""

    def make() -> Any:
        return InitProducerIdRequest(
            transactional_id=None, transaction_timeout_ms=60_000, max_version=4
        )

    highest, left = -1, count
    while left > 0:
        batch = min(left, _PIPELINED)
        answers = await wire.together({i: lambda: wire.send(make, broker) for i in range(batch)})
        taken = 0
        for answer in answers.values():
            if answer.error_code in _WAIT:
                continue
            check(answer.error_code, f"producer ids of broker {broker}")
            highest = max(highest, answer.producer_id)
            taken += 1
        left -= taken
        if taken < batch:  # the broker waits for its next block of ids
            await wire.sleep(0.05)
    return highest


async def fence_transactional_id(wire: Wire, transactional_id: str) -> None:
    """Raise the id's epoch; its open transaction is aborted by the coordinator first."""
    deadline = wire.now() + wire.timeout
    while True:
        answer = await wire.at_coordinator(
            lambda: InitProducerIdRequest(
                transactional_id=transactional_id, transaction_timeout_ms=60_000, max_version=4
            ),
            transactional_id,
            TRANSACTION,
        )
        code = 15 if answer is None else answer.error_code
        if code not in _WAIT or wire.now() >= deadline:
            check(code, transactional_id)
            return
        if code in STALE_COORDINATOR:
            wire.forget_coordinator(transactional_id, TRANSACTION)
        await wire.sleep(0.05)


async def abort_transaction(wire: Wire, state: ProducerState) -> None:
    """Write the abort marker for one producer's open transaction on one partition. A state that
    has ended since it was described is left alone."""
    current = [
        now
        for now in await producers(wire, [state.tp])
        if now.producer_id == state.producer_id and now.txn_start >= 0
    ]
    if not current or current[0].txn_start != state.txn_start:
        return
    marker = WriteTxnMarkersRequest.WritableTxnMarker

    async def ask(
        leader: int, tps: list[TopicPartition]
    ) -> Mapping[TopicPartition, bool | KafkaAnswer]:
        answer = await wire.direct(
            lambda: WriteTxnMarkersRequest(
                markers=[
                    marker(
                        producer_id=state.producer_id,
                        producer_epoch=current[0].epoch,
                        transaction_result=False,
                        topics=[
                            marker.WritableTxnMarkerTopic(
                                name=state.tp.topic, partition_indexes=[state.tp.partition]
                            )
                        ],
                        coordinator_epoch=current[0].coordinator_epoch,
                    )
                ],
                max_version=1,
            ),
            leader,
        )
        code = answer.markers[0].topics[0].partitions[0].error_code
        return {tps[0]: KafkaAnswer(code, str(state.tp)) if code else True}

    await wire.at_leaders([state.tp], ask)
