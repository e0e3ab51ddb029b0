"""A socket to one broker on which kafka-python has done TLS and SASL, and nothing else.

For what a Kafka client does not do: to ask just this address, which it would leave for the
advertised one, and to read answers into one's own buffer. Invariant: the socket belongs to the
caller alone; all that kafka-python made for it is closed.
"""

from __future__ import annotations

import selectors
import socket
from collections.abc import Mapping
from typing import Any

from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector


def connected(host: str, port: int, settings: Mapping[str, Any], attempt: float) -> socket.socket:
    """Open, authenticated, not blocking. `attempt` in seconds. Errors: what kafka-python raises
    while connecting."""
    net = NetworkSelector(client_id="kafkaops-raw", slow_task_threshold_secs=0)
    limit = int(attempt * 1000)
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    manager = KafkaConnectionManager(
        net,
        bootstrap_servers=[address],
        request_timeout_ms=limit,
        socket_connection_setup_timeout_ms=limit,
        socket_connection_setup_timeout_max_ms=limit,
        **settings,
    )

    async def open_() -> Any:
        connection = manager.get_connection("bootstrap-0", timeout_ms=limit, pop_on_close=False)
        await manager.wait_for(connection.init_future, limit)
        return connection

    try:
        transport = net.run(open_).transport
        transport.pause_reading()
        taken: socket.socket = transport._sock
        net.unregister_event(taken, selectors.EVENT_READ | selectors.EVENT_WRITE)
        transport._sock = None
    finally:
        manager.close()
        net.close()
    return taken
