"""The Connect adapter against a small HTTP server that answers as Connect does."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from kafkaops.adapters.connect_rest import ConnectRest
from kafkaops.engine.clock import FakeClock
from kafkaops.engine.errors import StepFailed, Unreachable
from kafkaops.model.partition import TopicPartition
from kafkaops.ports.connect import WorkerFound

A = TopicPartition("orders", 0)


class Worker:
    """`answers` maps "METHOD path" to a list of (status, body), the last one for ever."""

    def __init__(self) -> None:
        self.answers: dict[str, list[tuple[int, Any]]] = {}
        self.asked: list[tuple[str, Any]] = []
        worker = self

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                size = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(size)) if size else None
                key = f"{self.command} {self.path}"
                worker.asked.append((key, body))
                turns = worker.answers.get(key, [(404, {"message": "not found"})])
                status, answer = turns.pop(0) if len(turns) > 1 else turns[0]
                raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                raw = b"" if answer is None else raw
                self.send_response(status)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = handle_any

            def log_message(self, format: str, *args: Any) -> None: ...

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def worker() -> Iterator[Worker]:
    made = Worker()
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_status_with_tasks_and_traces(worker: Worker) -> None:
    connect = ConnectRest(worker.base, FakeClock())
    assert connect.status("m") is None
    worker.answers["GET /connectors/m/status"] = [
        (
            200,
            {
                "connector": {"state": "RUNNING"},
                "tasks": [
                    {"id": 0, "state": "RUNNING"},
                    {"id": 1, "state": "FAILED", "trace": "x"},
                ],
            },
        )
    ]
    found = connect.status("m")
    assert found is not None
    assert [(t.id, t.state, t.trace) for t in found.tasks] == [
        (0, "RUNNING", ""),
        (1, "FAILED", "x"),
    ]


def test_a_rebalance_is_waited_for_but_not_for_ever(worker: Worker) -> None:
    clock = FakeClock()
    busy = (409, {"message": "rebalance"})
    late = (500, {"message": "Cannot complete request, a rebalance is expected"})
    worker.answers["PUT /connectors/m/stop"] = [busy, late, (204, None)]
    connect = ConnectRest(worker.base, clock, patience=2.0)
    connect.stop("m")
    assert clock.slept == [0.25, 0.25]
    worker.answers["PUT /connectors/m/resume"] = [busy]
    with pytest.raises(StepFailed, match="still rebalancing"):
        connect.resume("m")


def test_connects_own_words_reach_the_operator(worker: Worker) -> None:
    worker.answers["PUT /connectors/m/config"] = [(400, {"message": "tasks.max is wrong"})]
    with pytest.raises(StepFailed, match=r"answered 400: tasks\.max is wrong"):
        ConnectRest(worker.base, FakeClock()).put("m", {})


def test_created_stopped_only_if_it_is_new(worker: Worker) -> None:
    connect = ConnectRest(worker.base, FakeClock())
    worker.answers["POST /connectors"] = [(201, {})]
    connect.put("m", {"a": "b"}, stopped=True)
    body = {"name": "m", "config": {"a": "b"}, "initial_state": "STOPPED"}
    assert worker.asked[-1] == ("POST /connectors", body)
    worker.answers["GET /connectors/m/config"] = [(200, {"a": "b"})]
    worker.answers["PUT /connectors/m/config"] = [(200, {})]
    connect.put("m", {"a": "c"}, stopped=True)
    assert worker.asked[-1] == ("PUT /connectors/m/config", {"a": "c"})


def test_offsets_are_read_and_set_per_partition(worker: Worker) -> None:
    partition = {"cluster": "green", "topic": "orders", "partition": 0}
    entry = {"partition": partition, "offset": {"offset": 41}}
    empty = {"partition": {**partition, "partition": 1}, "offset": None}
    worker.answers["GET /connectors/m/offsets"] = [(200, {"offsets": [entry, empty]})]
    worker.answers["PATCH /connectors/m/offsets"] = [(200, {"message": "done"})]
    connect = ConnectRest(worker.base, FakeClock())
    assert connect.offsets("m") == {A: 41}
    connect.set_offsets("m", "green", {A: 41})
    assert worker.asked[-1] == ("PATCH /connectors/m/offsets", {"offsets": [entry]})


def test_validation_names_key_and_message(worker: Worker) -> None:
    values = [
        {"value": {"name": "tasks.max", "errors": ["not a number"]}},
        {"value": {"name": "x"}},
    ]
    worker.answers["PUT /connector-plugins/p/config/validate"] = [(200, {"configs": values})]
    connect = ConnectRest(worker.base, FakeClock())
    assert connect.validate("p", {}) == ("tasks.max: not a number",)


def test_ready_by_health_or_by_the_list_of_an_older_worker(worker: Worker) -> None:
    connect = ConnectRest(worker.base, FakeClock())
    assert not connect.ready()
    worker.answers["GET /connectors"] = [(200, [])]
    assert connect.ready()
    worker.answers["GET /health"] = [(503, {"message": "starting"}), (200, {"status": "healthy"})]
    assert not connect.ready()
    assert connect.ready()


def test_no_worker_is_unreachable_and_not_ready(worker: Worker) -> None:
    worker.server.shutdown()
    worker.server.server_close()
    connect = ConnectRest(worker.base, FakeClock())
    assert not connect.ready()
    with pytest.raises(Unreachable, match="does not answer"):
        connect.status("m")


def test_deleting_what_is_gone_is_success(worker: Worker) -> None:
    ConnectRest(worker.base, FakeClock()).delete("m")
    assert worker.asked[-1][0] == "DELETE /connectors/m"  # asked for, and 404 taken for done


def test_stopping_what_is_not_there_is_success_and_one_request(worker: Worker) -> None:
    ConnectRest(worker.base, FakeClock()).stop("m")
    assert [asked[0] for asked in worker.asked] == ["PUT /connectors/m/stop"]


def test_who_answers_is_told_by_cluster_and_connectors(worker: Worker) -> None:
    connect = ConnectRest(worker.base, FakeClock())
    assert connect.who() is None, "an HTTP server, and not Connect"
    assert connect.listens()
    worker.answers["GET /"] = [(200, {"version": "4.3.1", "commit": "x", "kafka_cluster_id": "G"})]
    worker.answers["GET /connectors"] = [(409, {"message": "rebalance"}), (200, ["m", "a"])]
    assert connect.who() == WorkerFound("4.3.1", "G", ())
    assert connect.who() == WorkerFound("4.3.1", "G", ("a", "m"))
    worker.answers["GET /"] = [(200, ["something", "else"])]
    assert connect.who() is None


def test_another_web_server_is_no_worker(worker: Worker) -> None:
    page = [(200, b"<html>welcome</html>")]
    worker.answers = {"GET /": page, "GET /health": page, "GET /connectors/m/status": page}
    connect = ConnectRest(worker.base, FakeClock())
    assert not connect.ready()
    assert connect.who() is None
    with pytest.raises(StepFailed, match=r"answered 200: no JSON.*welcome"):
        connect.status("m")


def test_what_takes_connections_and_says_nothing_of_http_listens_and_is_no_worker() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def talk() -> None:
            taken, _ = server.accept()  # the look
            taken.close()
            taken, _ = server.accept()
            taken.sendall(b"220 mail at your service\r\n")
            taken.close()

        thread = threading.Thread(target=talk)
        thread.start()
        connect = ConnectRest(f"http://127.0.0.1:{server.getsockname()[1]}", FakeClock())
        assert connect.listens()
        assert connect.who() is None
        thread.join()
    assert not connect.listens()
    assert connect.who() is None
