"""A Kafka Connect worker over its REST interface (KIP-26, KIP-875, KIP-980), standard library only.

Invariant: every request is bounded in time, and only answers that Connect itself calls momentary
(409, a rebalance under way) are tried again.
"""

from __future__ import annotations

import http.client
import json
import socket
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from tenacity import RetryError, Retrying, retry_if_exception_type, stop_after_attempt, wait_fixed

from kafkaops.engine.clock import Clock
from kafkaops.engine.errors import StepFailed, Unreachable
from kafkaops.model.partition import TopicPartition
from kafkaops.ports.connect import ConnectorState, TaskState, WorkerFound

PAUSE = 0.25
OFFSETS_TIMEOUT = 60.0
"""Seconds for a change of a stopped connector's offsets: Connect opens consumers and transactional
producers of its own for it (seen, 17 s over TLS on a busy machine)."""
"""Seconds between two tries while Connect rebalances."""


class _Busy(Exception):
    """409: a rebalance is under way."""


class _Answer(Exception):
    """Connect said no: HTTP status and its own words."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class ConnectRest:
    """`base` is `http://host:port`; `timeout` seconds a request, `patience` seconds through
    rebalances."""

    def __init__(
        self, base: str, clock: Clock, *, timeout: float = 15.0, patience: float = 60.0
    ) -> None:
        self.where = self._base = base.rstrip("/")
        self._clock = clock
        self._timeout = timeout
        self._patience = patience
        # Never through a proxy: the worker is a host of ours.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ready(self) -> bool:
        try:
            self._once("GET", "/health", None, 3.0)
        except _Answer as answer:
            return answer.status == 404 and self._lists()  # a worker older than KIP-1017
        except (_Busy, Unreachable):
            return False
        return True

    def listens(self) -> bool:
        parts = urllib.parse.urlsplit(self._base)
        try:
            with socket.create_connection((str(parts.hostname), parts.port or 80), timeout=3.0):
                return True
        except OSError:
            return False

    def who(self) -> WorkerFound | None:
        try:
            told = self._once("GET", "/", None, 3.0)
            version, cluster = str(told["version"]), str(told["kafka_cluster_id"])
        except (_Answer, _Busy, Unreachable, ValueError, KeyError, TypeError):
            return None
        try:
            connectors = self._once("GET", "/connectors", None, 3.0)
            found = tuple(sorted(map(str, connectors)))
        except (_Answer, _Busy, Unreachable, ValueError, TypeError):  # it starts, or rebalances
            found = ()
        return WorkerFound(version, cluster, found)

    def status(self, name: str) -> ConnectorState | None:
        found = self._unless_absent("GET", f"/connectors/{_q(name)}/status")
        if found is None:
            return None
        connector = found["connector"]
        tasks = tuple(
            TaskState(int(t["id"]), str(t["state"]), str(t.get("trace", "")))
            for t in found.get("tasks", [])
        )
        return ConnectorState(name, str(connector["state"]), tasks, str(connector.get("trace", "")))

    def config(self, name: str) -> Mapping[str, str] | None:
        found = self._unless_absent("GET", f"/connectors/{_q(name)}/config")
        return None if found is None else {str(k): str(v) for k, v in found.items()}

    def validate(self, plugin: str, config: Mapping[str, str]) -> tuple[str, ...]:
        path = f"/connector-plugins/{_q(plugin)}/config/validate"
        found = self._ask("PUT", path, {"connector.class": plugin, **config})
        return tuple(
            f"{c['value']['name']}: {error}"
            for c in found.get("configs", [])
            for error in c["value"].get("errors", [])
        )

    def put(self, name: str, config: Mapping[str, str], *, stopped: bool = False) -> None:
        if stopped and self.config(name) is None:
            body = {"name": name, "config": dict(config), "initial_state": "STOPPED"}
            self._ask("POST", "/connectors", body)
        else:
            self._ask("PUT", f"/connectors/{_q(name)}/config", dict(config))

    def stop(self, name: str) -> None:
        self._unless_absent("PUT", f"/connectors/{_q(name)}/stop")

    def resume(self, name: str) -> None:
        self._ask("PUT", f"/connectors/{_q(name)}/resume")

    def restart_failed(self, name: str) -> None:
        path = f"/connectors/{_q(name)}/restart?includeTasks=true&onlyFailed=true"
        self._ask("POST", path)

    def delete(self, name: str) -> None:
        self._unless_absent("DELETE", f"/connectors/{_q(name)}")

    def offsets(self, name: str) -> Mapping[TopicPartition, int]:
        found = self._unless_absent("GET", f"/connectors/{_q(name)}/offsets")
        kept: dict[TopicPartition, int] = {}
        for entry in (found or {}).get("offsets", []):
            partition, offset = entry["partition"], entry.get("offset")
            if offset is not None:
                tp = TopicPartition(str(partition["topic"]), int(partition["partition"]))
                kept[tp] = int(offset["offset"])
        return kept

    def set_offsets(
        self, name: str, source_alias: str, offsets: Mapping[TopicPartition, int]
    ) -> None:
        entries = [
            {
                "partition": {
                    "cluster": source_alias,
                    "topic": tp.topic,
                    "partition": tp.partition,
                },
                "offset": {"offset": offset},
            }
            for tp, offset in sorted(offsets.items())
        ]
        body = {"offsets": entries}
        self._ask("PATCH", f"/connectors/{_q(name)}/offsets", body, OFFSETS_TIMEOUT)

    def reset_offsets(self, name: str) -> None:
        self._ask("DELETE", f"/connectors/{_q(name)}/offsets", None, OFFSETS_TIMEOUT)

    def raw(self, path: str) -> Any:
        return self._ask("GET", path)

    # inside

    def _lists(self) -> bool:
        try:
            self._once("GET", "/connectors", None, 3.0)
        except (_Answer, _Busy, Unreachable):
            return False
        return True

    def _unless_absent(self, method: str, path: str) -> Any | None:
        try:
            return self._retried(method, path, None)
        except _Answer as answer:
            if answer.status == 404:
                return None
            raise self._failed(method, path, answer) from None

    def _ask(self, method: str, path: str, body: Any = None, timeout: float | None = None) -> Any:
        try:
            return self._retried(method, path, body, timeout)
        except _Answer as answer:
            raise self._failed(method, path, answer) from None

    def _failed(self, method: str, path: str, answer: _Answer) -> StepFailed:
        words = f"{method} {path} answered {answer.status}: {answer.message}"
        return StepFailed("KO-CONNECT", words, where=self._base)

    def _retried(self, method: str, path: str, body: Any, timeout: float | None = None) -> Any:
        retrying = Retrying(
            retry=retry_if_exception_type(_Busy),
            stop=stop_after_attempt(max(1, round(self._patience / PAUSE))),
            wait=wait_fixed(PAUSE),
            sleep=self._clock.sleep,
        )
        try:
            return retrying(self._once, method, path, body, timeout or self._timeout)
        except RetryError:
            raise StepFailed(
                "KO-CONNECT-BUSY",
                f"{method} {path}: still rebalancing after {self._patience:g} s",
                where=self._base,
            ) from None

    def _once(self, method: str, path: str, body: Any, timeout: float) -> Any:
        request = urllib.request.Request(
            self._base + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Accept": "application/json"},
        )
        try:
            with self._opener.open(request, timeout=timeout) as answer:
                raw = answer.read()
        except urllib.error.HTTPError as error:
            message = _message(error.read())
            # some requests answer 500 for the same: "... a rebalance is expected"
            if error.code == 409 or (error.code == 500 and "rebalance" in message):
                raise _Busy from None
            raise _Answer(error.code, message) from None
        except (urllib.error.URLError, OSError, http.client.HTTPException) as error:
            raise Unreachable(
                "KO-CONNECT-UNREACHABLE",
                f"the worker at {self._base} does not answer: {getattr(error, 'reason', error)} "
                f"(tried for up to {timeout:g} s)",
                where=self._base,
                hint="see the mirror's log on its host",
            ) from None
        try:
            return json.loads(raw) if raw else None
        except ValueError:  # whoever has the port, it is no worker
            raise _Answer(answer.status, f"no JSON: {raw[:80]!r}") from None


def _message(raw: bytes) -> str:
    try:
        return str(json.loads(raw)["message"])
    except (ValueError, KeyError, TypeError):
        return raw.decode(errors="replace")[:300]


def _q(name: str) -> str:
    return quote(name, safe="")
