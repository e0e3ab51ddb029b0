"""Both ends of the port between a virtual machine and this one, without a machine between."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from kafkaops.lab.vm import agent
from kafkaops.lab.vm.link import Link, Silent


@contextmanager
def joined() -> Iterator[Link]:
    """A link whose other end is answered by the agent."""
    ours, its = socket.socketpair()
    thread = threading.Thread(target=agent.serve, args=(its.fileno(),))
    thread.start()
    try:
        link = Link(ours)
        link.wait(10, lambda: True)
        yield link
    finally:
        ours.close()
        thread.join(10)
        its.close()


def reply(request: bytes, **more: object) -> bytes:
    return json.dumps({"id": json.loads(request)["id"], **more}).encode() + b"\n"


def test_a_command_runs_with_its_input_and_its_outcome_comes_back() -> None:
    with joined() as link:
        script = "cat; echo wrong >&2; exit 3"
        assert link.run(["sh", "-c", script], b"in\0put", 10) == (3, b"in\0put", b"wrong\n")


def test_what_is_longer_than_one_read_arrives_whole() -> None:
    data = bytes(range(256)) * 4000
    with joined() as link:
        assert link.run(["cat"], data, 30) == (0, data, b"")


def test_a_command_that_is_not_there_is_an_outcome_like_others() -> None:
    with joined() as link:
        code, _, err = link.run(["/no/such/command"], b"", 10)
    assert (code, b"No such file" in err) == (127, True)


def test_no_answer_in_time_is_silence_and_a_late_one_is_not_taken_for_the_next() -> None:
    ours, its = socket.socketpair()
    with ours, its:
        link = Link(ours)
        with pytest.raises(Silent):
            link.run(["first"], b"", 0.01)
        late = its.recv(4096)
        its.sendall(reply(late, code=1, out="", err="")[:9])
        with pytest.raises(Silent):
            link.run(["second"], b"", 0.01)
        second = its.recv(4096)
        rest = reply(late, code=1, out="", err="")[9:]

        def answer() -> None:
            third = its.recv(4096)
            its.sendall(rest + reply(second, code=2, out="", err=""))
            its.sendall(reply(third, code=3, out="", err=""))

        thread = threading.Thread(target=answer)
        thread.start()
        assert link.run(["third"], b"", 10)[0] == 3
        thread.join(10)


def test_waiting_ends_when_the_machine_has_ended() -> None:
    ours, its = socket.socketpair()
    with ours, its, pytest.raises(Silent):
        Link(ours).wait(60, lambda: False)


def test_an_end_that_was_closed_is_silence() -> None:
    ours, its = socket.socketpair()
    its.close()
    with ours:
        with pytest.raises(Silent):
            Link(ours).run(["x"], b"", 10)
        with pytest.raises(Silent):
            Link(ours).wait(10, lambda: True)


def test_any_answer_to_its_questions_ends_the_wait() -> None:
    """The machine may take up the first question when the third was asked already."""
    ours, its = socket.socketpair()
    asked: list[bytes] = []

    def answer() -> None:
        while len(asked) < 2:
            asked.append(its.recv(4096))
        its.sendall(reply(asked[0]))

    with ours, its:
        thread = threading.Thread(target=answer)
        thread.start()
        Link(ours, ask=0.05).wait(10, lambda: True)
        thread.join(10)
    assert len(asked) == 2
