"""The whole move where every listener wants TLS and a login, and an authorizer denies the rest.

One lab for all of it, because a lab costs most: first what bad credentials say, then the move and
the way back under load, judged by the load's ledger, and what each user may do on green.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from kafkaops.lab.enter import run_inside
from tests.integration.pair import ROOT, Pair
from tests.integration.sample import turn

pytestmark = [pytest.mark.lab, turn("secured")]

TOOL = "kafkaops"
GREEN_REPL = "127.0.2.1:9094"
NO_LOGIN = ("blue.security.mechanism=", "blue.security.username=", "blue.security.password=null")
NO_TLS = ("blue.security.ca_file=",)

# A client of its own: what may this user do at this address? One word to stdout.
CLIENT = """\
import sys
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
servers, ca, user, password, deed = sys.argv[1:]
trouble = []
settings = {"bootstrap.servers": servers, "security.protocol": "SASL_SSL", "log_level": 0,
            "sasl.mechanism": "SCRAM-SHA-512", "sasl.username": user, "ssl.ca.location": ca,
            "sasl.password": open(password).read(), "error_cb": trouble.append}
def name(error):
    return error.name()
if deed == "write":
    answers = []
    producer = Producer(settings | {"message.timeout.ms": 20000})
    producer.produce("orders", b"x", on_delivery=lambda error, _: answers.append(error))
    producer.flush(25)
    print("done" if answers[0] is None else name(answers[0]))
else:
    consumer = Consumer(settings | {"group.id": "audit", "enable.partition.eof": True})
    consumer.assign([TopicPartition("orders", 0, 0)])
    message = None
    for _ in range(100):
        message = consumer.poll(0.2) if message is None else message
        if trouble and trouble[0].code() == KafkaError._AUTHENTICATION:
            print("_AUTHENTICATION")
            break
    else:
        error = message.error() if message is not None else None
        print("silence" if message is None else "done" if error is None else name(error))
    consumer.close()
"""


def settings(lab: Path) -> tuple[str, ...]:
    """What configs/lab-secured.yaml says, for a lab that lies elsewhere."""
    users = lab / "users"
    return (
        "gates.hold=2",
        f"users.*=file:{users}/{{user}}",
        *(f"{colour}.security.password=file:{users}/{TOOL}" for colour in ("blue", "green")),
        *(f"{colour}.security.ca_file={lab}/tls/ca.pem" for colour in ("blue", "green")),
    )


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    made = Pair(tmp_path, settings(tmp_path / "lab"), ROOT / "configs" / "lab-secured.yaml")
    made.in_lab("lab", "up", "--security", "sasl-ssl")
    try:
        made.in_lab(
            *("lab", "load", "start", "--rate", "30"),
            *("--producers", "p-rdkafka:librdkafka,p-java3:java-3.9.2,p-python:kafka-python"),
            *("--groups", "orders-rdkafka:librdkafka,orders-python:kafka-python"),
        )
        yield made
    finally:
        made.in_lab("lab", "down")


def test_a_secured_pair_refuses_bad_credentials_moves_and_goes_back(pair: Pair) -> None:
    refuses_what_is_wrong(pair)
    refuses_users_without_a_secret(pair)
    pair.upgrade("--until", "gates")
    # green knows them before the cut; a record written there now would be a difference
    assert may(pair, GREEN_REPL, "auditor", "read") == "done"
    assert may(pair, GREEN_REPL, "auditor", "write") == "TOPIC_AUTHORIZATION_FAILED"
    pair.kafkaops("run", "resume", "--yes")
    time.sleep(3)
    everyone_is_who_they_were_on_green(pair)
    there = pair.ledger("green")["total"]
    assert (there["lost"], there["skipped"], there["duplicated_in_log"]) == (0, 0, 0), there
    pair.kafkaops("run", "rollback", "--yes", "--reason", "test")
    time.sleep(3)
    pair.in_lab("lab", "load", "stop")
    report = pair.ledger("blue")
    total = report["total"]
    assert total["acknowledged"] > 500, total
    assert (total["lost"], total["skipped"], total["duplicated_in_log"]) == (0, 0, 0), report
    assert total["errors"] == 0, report


def refuses_what_is_wrong(pair: Pair) -> None:
    """Each is one error, exit 4, and no run is begun."""
    junk = pair.state.parent / "junk"
    junk.write_text("not what it should be\n")
    users = pair.lab / "users"
    cases: dict[str, tuple[tuple[str, ...], str, str]] = {
        "wrong password": (
            (f"blue.security.password=file:{junk}",),
            "KO-CLUSTER-CREDENTIALS", "did not accept the credentials",
        ),
        "wrong CA": (
            (f"blue.security.ca_file={other_authority(pair)}",),
            "KO-CLUSTER-CERTIFICATE", "the certificate of demo-blue is not accepted",
        ),
        "wrong mechanism": (
            ("blue.security.mechanism=PLAIN",),
            "KO-CLUSTER-LISTENER", "offers SCRAM-SHA-512, and mechanism is PLAIN",
        ),
        "plaintext to a TLS port": (
            ("blue.security.protocol=PLAINTEXT", *NO_LOGIN, *NO_TLS),
            "KO-CLUSTER-LISTENER", "speaks TLS, and protocol is PLAINTEXT",
        ),
        "no login where one is wanted": (
            ("blue.security.protocol=SSL", *NO_LOGIN),
            "KO-CLUSTER-LISTENER", "wants a login (SCRAM-SHA-512)",
        ),
        "missing CA file": (
            ("blue.security.ca_file=/nowhere/ca.pem",),
            "KO-CONFIG-FILE-MISSING", "/nowhere/ca.pem",
        ),
        "CA file of something else": (
            (f"blue.security.ca_file={junk}",), "KO-CONFIG-FILE-TLS", "cannot be used",
        ),
        "missing password file": (
            (f"blue.security.password=file:{junk}.none",), "KO-SECRET-FILE", "No such file",
        ),
        "a principal without rights": (
            (f"blue.security.password=file:{users}/auditor", "blue.security.username=auditor"),
            "KO-CLUSTER-RIGHTS", "DESCRIBE_CONFIGS on CLUSTER",
        ),
        "another password in the store": (
            (f"users.*=file:{junk}",), "KO-USER-SECRET", "auditor: demo-blue refuses the password",
        ),
        "a CLIENT listener of another kind": (
            ("blue.client_security={protocol: PLAINTEXT}",),
            "KO-CLIENT-LISTENER", "the client port 127.0.1.1:9092 speaks TLS",
        ),
    }  # fmt: skip
    for name, (changes, code, words) in cases.items():
        found = pair.refused("upgrade", "--strategy", "blue-green", "--yes", changes=changes)
        assert found["exit"] == 4, (name, found)
        assert found["error"]["code"] == code, (name, found)
        assert words in found["error"]["message"], (name, found)
    assert json.loads(pair.kafkaops("run", "list", "-o", "json"))["runs"] == []


def refuses_users_without_a_secret(pair: Pair) -> None:
    """Exit 5, each user that green lacks by its name."""
    values = yaml.safe_load(pair.config.read_text())
    values["users"] = {"load": f"file:{pair.lab}/users/load"}
    without = pair.state.parent / "without.yaml"
    without.write_text(yaml.safe_dump(values))
    kept = tuple(s for s in pair.settings if not s.startswith("users."))
    other = Pair(pair.state.parent, kept, without)
    found = other.refused("upgrade", "--strategy", "blue-green", "--yes", changes=())
    assert found["exit"] == 5, found
    assert "KO-SCRAM-USERS:auditor" in found["error"]["message"], found
    assert "KO-SCRAM-USERS:load" not in found["error"]["message"], found


def other_authority(pair: Pair) -> Path:
    from kafkaops.lab.certificates import Authority

    path = pair.state.parent / "other-ca.pem"
    path.write_bytes(Authority("somebody else").pem())
    return path


def everyone_is_who_they_were_on_green(pair: Pair) -> None:
    """By the name that clients know: logged in, allowed, denied, and refused."""
    alias = "bootstrap.kafka.lab:9092"
    assert may(pair, alias, "load", "write") == "done"
    assert may(pair, alias, "auditor", "read") == "done"
    assert may(pair, alias, "auditor", "write") == "TOPIC_AUTHORIZATION_FAILED"
    assert may(pair, alias, "auditor", "read", password="load") == "_AUTHENTICATION"


def may(pair: Pair, servers: str, user: str, deed: str, *, password: str = "") -> str:
    """What comes of it; `password` names another user whose password is given."""
    users = pair.lab / "users"
    argv = [servers, str(pair.lab / "tls" / "ca.pem"), user, str(users / (password or user)), deed]
    process = run_inside(pair.lab, [sys.executable, "-c", CLIENT, *argv], stdout=-1, stderr=-1)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return str(out).strip()
