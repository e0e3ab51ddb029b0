"""Kafka's errors become ours, with the cluster, the brokers and the deed named."""

from __future__ import annotations

from pathlib import Path

import kafka.errors as k
import pytest

from kafkaops.adapters.kafka_errors import KafkaAnswer, check, hopeless, translate
from kafkaops.adapters.kafka_security import kafka_python_settings, librdkafka_settings
from kafkaops.config.schema import ClusterSpec, HostSpec, Security
from kafkaops.engine.errors import ConfigError, Exit, OpsError, StepFailed, Unreachable
from kafkaops.lab.certificates import Authority

UNTRUSTED = (
    "Handshake failed: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed:"
    " unable to get local issuer certificate (_ssl.c:1006)"
)


def told(error: BaseException) -> OpsError:
    found = translate(error, cluster="blue", what="list topics", servers=["a:1", "b:2"], tried=3.2)
    assert isinstance(found, OpsError)
    return found


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (k.KafkaTimeoutError(), Unreachable, "KO-CLUSTER-UNREACHABLE"),
        (k.KafkaConnectionError("111 refused"), Unreachable, "KO-CLUSTER-UNREACHABLE"),
        (k.NodeNotReadyError(2), Unreachable, "KO-CLUSTER-UNREACHABLE"),
        (ConnectionResetError("reset"), Unreachable, "KO-CLUSTER-UNREACHABLE"),
        (k.KafkaConnectionError("Handshake failed: bad"), ConfigError, "KO-CLUSTER-TLS"),
        (k.KafkaConnectionError(UNTRUSTED), ConfigError, "KO-CLUSTER-CERTIFICATE"),
        (k.SaslAuthenticationFailedError("no"), ConfigError, "KO-CLUSTER-CREDENTIALS"),
        (k.UnsupportedSaslMechanismError("no"), ConfigError, "KO-CLUSTER-CREDENTIALS"),
        (KafkaAnswer(31, "x"), ConfigError, "KO-CLUSTER-PERMISSION"),
        (KafkaAnswer(29, "orders"), ConfigError, "KO-CLUSTER-PERMISSION"),
        (k.ClusterAuthorizationFailedError(), ConfigError, "KO-CLUSTER-PERMISSION"),
        (k.IncompatibleBrokerVersion("x"), ConfigError, "KO-CLUSTER-VERSION"),
        (KafkaAnswer(36, "orders", "exists"), StepFailed, "KO-CLUSTER-KAFKA"),
        (k.KafkaProtocolError("x"), StepFailed, "KO-CLUSTER-KAFKA"),
    ],
)
def test_each_error(error: BaseException, kind: type[OpsError], code: str) -> None:
    found = told(error)
    assert (type(found), found.code) == (kind, code)
    assert "blue" in found.message
    assert found.where == "blue (a:1, b:2)"


def test_who_and_how_long_are_named() -> None:
    found = told(k.KafkaTimeoutError())
    assert "tried a:1, b:2 for 3 s" in found.message
    assert found.exit is Exit.CONFIG
    assert "list topics" in told(KafkaAnswer(31)).message


def test_ours_and_strangers_pass_through() -> None:
    ours, bug = StepFailed("KO-X", "x"), ValueError("bug")
    for error in (ours, bug):
        assert translate(error, cluster="b", what="w", servers=[], tried=0) is error


def test_code_zero_is_no_error() -> None:
    check(0, "anything")
    with pytest.raises(KafkaAnswer, match="NotController"):
        check(41)


def spec(**security: object) -> ClusterSpec:
    return ClusterSpec(
        name="blue",
        bootstrap=("a:1", "b:2"),
        hosts=(HostSpec(name="h", address="a"),),
        security=Security.model_validate(security),
    )


def test_both_clients_get_the_same_security(tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("ca", "cert", "key")}
    authority = Authority("test")
    files["ca"].write_bytes(authority.pem())
    both = authority.issue("kafkaops", ["kafkaops"])
    files["cert"].write_bytes(both)
    files["key"].write_bytes(both)
    secure = spec(
        protocol="SASL_SSL", mechanism="SCRAM-SHA-512", username="u", password="env:P",
        ca_file=str(files["ca"]), cert_file=str(files["cert"]), key_file=str(files["key"]),
    )  # fmt: skip
    one, two = kafka_python_settings(secure, "pw"), librdkafka_settings(secure, "pw")
    assert one["security_protocol"] == two["security.protocol"] == "SASL_SSL"
    assert one["sasl_mechanism"] == two["sasl.mechanism"] == "SCRAM-SHA-512"
    assert one["sasl_plain_username"] == two["sasl.username"] == "u"
    assert one["sasl_plain_password"] == two["sasl.password"] == "pw"
    assert one["ssl_cafile"] == two["ssl.ca.location"] == str(files["ca"])
    assert one["ssl_keyfile"] == two["ssl.key.location"] == str(files["key"])
    assert two["bootstrap.servers"] == "a:1,b:2"
    assert not any("ssl" in key or "sasl" in key for key in kafka_python_settings(spec(), None))


def test_only_what_trying_again_cannot_cure_is_hopeless() -> None:
    assert hopeless(k.SaslAuthenticationFailedError("no"))
    assert hopeless(k.KafkaConnectionError(UNTRUSTED))
    assert not hopeless(k.KafkaConnectionError("socket disconnected"))
    assert not hopeless(k.KafkaTimeoutError())


def test_untrusted_certificates_and_refused_logins_are_told_without_noise() -> None:
    assert told(k.KafkaConnectionError(UNTRUSTED)).message == (
        "the certificate of blue is not accepted: unable to get local issuer certificate"
    )
    refused = k.SaslAuthenticationFailedError("SaslAuthenticationFailedError: invalid credentials")
    assert told(refused).message == "blue did not accept the credentials: invalid credentials"


def test_the_right_that_is_missing_is_named() -> None:
    answer = KafkaAnswer(31, "ACLs", needs="DESCRIBE on CLUSTER")
    assert "principal DESCRIBE on CLUSTER on blue" in told(answer).hint


def test_faults_of_the_config_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="/nope is named"):
        kafka_python_settings(spec(protocol="SSL", ca_file="/nope"), None)
    junk = tmp_path / "junk.pem"
    junk.write_text("not a certificate")
    with pytest.raises(ConfigError, match=r"junk\.pem.* cannot be used"):
        kafka_python_settings(spec(protocol="SSL", ca_file=str(junk)), None)
    with pytest.raises(ConfigError, match="no password"):
        librdkafka_settings(spec(mechanism="PLAIN", protocol="SASL_SSL", username="u"), None)
