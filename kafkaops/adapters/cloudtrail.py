"""CloudTrail's event history: when KMS last opened something.

Source: AWS CloudTrail API reference, LookupEvents (90 days, two look-ups a second).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kafkaops.engine.clock import Clock

PAGES = 40
"""How many pages of 50 events are looked through: what is older is not worth the wait."""
PACE = 0.5
"""Seconds between two pages."""
Look = Callable[[Callable[[Any], Any]], Any]
"""Calls with a client, patiently."""


def last_decrypt(look: Look, context: Mapping[str, str], clock: Clock) -> float | None:
    """Epoch seconds of the last Decrypt that succeeded with this encryption context."""
    for event in _decrypts(look, clock):
        record = json.loads(event["CloudTrailEvent"])
        given = (record.get("requestParameters") or {}).get("encryptionContext")
        if "errorCode" not in record and given == dict(context):
            return float(event["EventTime"].timestamp())
    return None


def _decrypts(look: Look, clock: Clock) -> Iterator[Any]:
    """Newest first."""
    wanted = [{"AttributeKey": "EventName", "AttributeValue": "Decrypt"}]
    token: dict[str, str] = {}
    for page in range(PAGES):
        if page:
            clock.sleep(PACE)
        more = dict(token)
        answer = look(
            lambda c, more=more: c.lookup_events(LookupAttributes=wanted, **more)  # type: ignore[misc]
        )
        yield from answer["Events"]
        if not answer.get("NextToken"):
            return
        token = {"NextToken": answer["NextToken"]}
