"""Kafka's errors in an operator's words: which broker, what was asked, what is missing.

Invariant: no error of kafka-python or librdkafka leaves the adapter untranslated.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import kafka.errors as k

from kafkaops.engine.errors import ConfigError, OpsError, StepFailed, Unreachable

# Answers that a fresh look at metadata, or a moment, cures.
STALE_LEADER = frozenset({3, 5, 6, 9, 13, 56, 72, 74, 75, 78, 100})
STALE_COORDINATOR = frozenset({14, 15, 16})
FEATURE_OFF = frozenset({35, 42})  # unsupported version, invalid request (ZooKeeper mode)
CONCURRENT_TRANSACTIONS = 51
NOT_CONTROLLER = 41
NOT_YET = frozenset({7, 88})  # request timed out, unstable offset commit
PASSING = frozenset({5, 6, 9, 14, 15, 16, 88})  # leaders and coordinators that move or load

_AUTHENTICATION = (
    k.SaslAuthenticationFailedError,
    k.UnsupportedSaslMechanismError,
    k.IllegalSaslStateError,
)


_UNTRUSTED = re.compile(r"certificate verify failed: (.+?)\.?(?: \(_ssl|$)")


_PREFIX = re.compile(r"^(\[Error \d+\] )?(\w+Error: )+")


def hopeless(error: BaseException) -> bool:
    """Whether trying again cannot cure it: who we are, or whom we trust, is wrong."""
    return isinstance(error, _AUTHENTICATION) or _UNTRUSTED.search(str(error)) is not None


class KafkaAnswer(Exception):
    """A broker's error code for one thing that was asked."""

    def __init__(
        self, code: int, subject: str = "", message: str | None = None, needs: str = ""
    ) -> None:
        self.code = code
        self.needs = needs
        self.subject = subject
        self.detail = message or ""
        super().__init__(f"{self.name} {subject} {self.detail}".strip())

    @property
    def name(self) -> str:
        if self.code == 0:
            return "none"
        return str(k.for_code(self.code).__name__)


def check(code: int, subject: str = "", message: str | None = None, *, needs: str = "") -> None:
    """Raise KafkaAnswer unless the code is 0. `needs` is the right without which a broker refuses
    it, as `DESCRIBE on CLUSTER`."""
    if code:
        raise KafkaAnswer(code, subject, message, needs)


def translate(
    error: BaseException, *, cluster: str, what: str, servers: Sequence[str], tried: float
) -> BaseException:
    """The error to raise instead. `what` is what was being done, `tried` seconds."""
    if isinstance(error, OpsError):
        return error
    where = f"{cluster} ({', '.join(servers)})"
    if isinstance(error, KafkaAnswer):
        kind = k.for_code(error.code)
        subject = f" on {error.subject}" if error.subject else ""
        if issubclass(kind, k.AuthorizationError):
            return ConfigError(
                "KO-CLUSTER-PERMISSION",
                f"{cluster} refused to {what}{subject}: {error.name}",
                where=where,
                hint=f"grant this tool's principal {error.needs or f'what it needs to {what}'}"
                f" on {cluster}; docs/security.md lists all that it needs",
            )
        detail = f": {error.detail}" if error.detail else ""
        if error.code in PASSING:
            return Unreachable(
                "KO-CLUSTER-NOT-READY",
                f"{cluster} cannot {what} yet{subject}, {tried:.0f} s on: {error.name}{detail}",
                where=where,
                hint="it passes when the brokers have loaded; see kafkaops cluster health",
            )
        return StepFailed(
            "KO-CLUSTER-KAFKA",
            f"{cluster} failed to {what}{subject}: {error.name}{detail}",
            where=where,
        )
    if isinstance(error, _AUTHENTICATION):
        return ConfigError(
            "KO-CLUSTER-CREDENTIALS",
            f"{cluster} did not accept the credentials: {_PREFIX.sub('', str(error))}",
            where=where,
            hint=f"check the security of {cluster} in the config (mechanism, username, password)",
        )
    if isinstance(error, k.AuthorizationError):
        return ConfigError(
            "KO-CLUSTER-PERMISSION", f"{cluster} refused to {what}: {error}", where=where
        )
    if isinstance(error, (k.IncompatibleBrokerVersion, k.UnsupportedVersionError)):
        return ConfigError(
            "KO-CLUSTER-VERSION", f"{cluster} is too old or too new to {what}: {error}", where=where
        )
    untrusted = _UNTRUSTED.search(str(error))
    if untrusted:
        return ConfigError(
            "KO-CLUSTER-CERTIFICATE",
            f"the certificate of {cluster} is not accepted: {untrusted[1]}",
            where=where,
            hint=f"ca_file in the security of {cluster} must hold the authority that signed it,"
            " and bootstrap must use names that it holds",
        )
    if isinstance(error, k.KafkaConnectionError) and "Handshake failed" in str(error):
        return ConfigError(
            "KO-CLUSTER-TLS",
            f"{cluster} and this tool could not agree on TLS to {what}: {error}",
            where=where,
            hint=f"check the security of {cluster} in the config (protocol, ca_file, cert_file)",
        )
    if isinstance(error, (k.RetriableError, k.UnknownBrokerIdError, OSError)):
        return Unreachable(
            "KO-CLUSTER-UNREACHABLE",
            f"{cluster} did not answer to {what}: tried {', '.join(servers)} for {tried:.0f} s"
            f" ({error or type(error).__name__})",
            where=where,
            hint="are the brokers up, and is the REPL listener open to this machine?",
        )
    if isinstance(error, k.KafkaError):
        return StepFailed("KO-CLUSTER-KAFKA", f"{cluster} failed to {what}: {error}", where=where)
    return error
