"""A small valid config, and a way to write variants of it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

BASE: dict[str, Any] = {
    "name": "orders",
    "blue": {
        "name": "old",
        "bootstrap": ["10.0.0.1:9094", "10.0.0.2:9094"],
        "hosts": [
            {"name": "blue-1", "node_id": 1, "address": "10.0.0.1"},
            {"name": "blue-2", "node_id": 2, "address": "10.0.0.2"},
        ],
    },
    "green": {
        "name": "new",
        "bootstrap": ["10.0.1.1:9094", "10.0.1.2:9094"],
        "hosts": [
            {"name": "green-1", "node_id": 1, "address": "10.0.1.1"},
            {"name": "green-2", "node_id": 2, "address": "10.0.1.2"},
        ],
    },
    "mirror": {"host": "green-1", "back_host": "blue-1"},
    "cutover": {
        "hosted_zone": "kafka.test",
        "alias": "kafka.kafka.test",
        "broker_names": {1: "b1.kafka.test", 2: "b2.kafka.test"},
    },
}

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """`write({"cutover.ttl": 30, "mirror.host": None})` writes the base with changes; None
    removes the key."""

    def do(changes: dict[str, Any] | None = None, name: str = "kafkaops.yaml") -> Path:
        data = copy.deepcopy(BASE)
        for key, value in (changes or {}).items():
            *parents, last = key.split(".")
            at: Any = data
            for part in parents:
                at = at[int(part)] if isinstance(at, list) else at.setdefault(part, {})
            if value is None:
                del at[last]
            elif isinstance(at, list):
                at[int(last)] = value
            else:
                at[last] = value
        path = tmp_path / name
        path.write_text(yaml.safe_dump(data, sort_keys=False))
        return path

    return do
