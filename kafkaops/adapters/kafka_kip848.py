"""ConsumerGroupDescribe (KIP-848), which kafka-python does not have: its wire format.

The field names follow the protocol's own definition (request key 69, version 0).
"""

from __future__ import annotations

from kafka.protocol.api_message import ApiMessage

from kafkaops.adapters import schemas


class ConsumerGroupDescribeRequest(ApiMessage, load_json=schemas):  # type: ignore[call-arg,misc]
    """Describe groups of the new consumer protocol; to their coordinator."""


class ConsumerGroupDescribeResponse(ApiMessage, load_json=schemas):  # type: ignore[call-arg,misc]
    """Members with client id, host, instance id and current assignment."""
