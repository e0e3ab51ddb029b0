"""SCRAM users: listed, made, removed, and tried by logging in.

Invariant: a password leaves this process only salted (KIP-554), or as the proof of a login.
"""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import kafka.errors as k
from kafka.protocol.admin import (
    AlterUserScramCredentialsRequest,
    DescribeUserScramCredentialsRequest,
)

from kafkaops.adapters.kafka_errors import FEATURE_OFF, check, hopeless
from kafkaops.adapters.kafka_wire import Wire
from kafkaops.adapters.sasl_login import refusal
from kafkaops.engine.clock import Clock
from kafkaops.model.cluster import ScramUser

_MECHANISMS = {1: "SCRAM-SHA-256", 2: "SCRAM-SHA-512"}
_HASHES = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-512": "sha512"}
_NO_SUCH_USER = 91
_SALT = 24  # bytes


async def users(wire: Wire, node: int | None = None) -> tuple[ScramUser, ...]:
    """Every credential; none where the cluster keeps none (ZooKeeper mode, or too old)."""
    if not wire.supports(DescribeUserScramCredentialsRequest):
        return ()

    def make() -> Any:
        # An empty list and null both mean all users; a broker that must refuse null never answers.
        return DescribeUserScramCredentialsRequest(users=[])

    if node is None:
        answer = await wire.to_controller(make, lambda a: a.error_code)
    else:
        answer = await wire.direct(make, node)
    if answer.error_code in FEATURE_OFF or answer.error_code == _NO_SUCH_USER:
        return ()
    check(answer.error_code, "SCRAM users", answer.error_message, needs="DESCRIBE on CLUSTER")
    return tuple(
        sorted(
            ScramUser(row.user, _MECHANISMS.get(c.mechanism, str(c.mechanism)), c.iterations)
            for row in answer.results
            if row.error_code == 0
            for c in row.credential_infos
        )
    )


async def create(wire: Wire, passwords: Mapping[ScramUser, str]) -> None:
    """Make or replace each credential, and wait until every broker shows it."""
    row = AlterUserScramCredentialsRequest.ScramCredentialUpsertion
    for mechanism, digest in _HASHES.items():
        rows = []
        for user, password in sorted(passwords.items()):
            if user.mechanism == mechanism:
                salt = os.urandom(_SALT)
                salted = hashlib.pbkdf2_hmac(digest, password.encode(), salt, user.iterations)
                rows.append(
                    row(
                        name=user.name,
                        mechanism=_code(mechanism),
                        iterations=user.iterations,
                        salt=salt,
                        salted_password=salted,
                    )
                )
        await _alter(wire, rows, [])

    async def look(node: int) -> str:
        missing = set(passwords) - set(await users(wire, node))
        return f"{len(missing)} credentials missing" if missing else ""

    await wire.shown("new SCRAM users", look)


async def delete(wire: Wire, gone: Collection[ScramUser]) -> None:
    """Remove exactly these credentials; one that is not there is no error."""
    row = AlterUserScramCredentialsRequest.ScramCredentialDeletion
    there = {(u.name, u.mechanism) for u in await users(wire)}
    todo = sorted({(u.name, u.mechanism) for u in gone} & there)
    for mechanism in _HASHES:
        names = [name for name, m in todo if m == mechanism]
        await _alter(wire, [], [row(name=name, mechanism=_code(mechanism)) for name in names])

    async def look(node: int) -> str:
        left = set(todo) & {(u.name, u.mechanism) for u in await users(wire, node)}
        return f"{len(left)} credentials still there" if left else ""

    await wire.shown("the deletion of SCRAM users", look)


async def _alter(wire: Wire, upsertions: list[Any], deletions: list[Any]) -> None:
    """One request, of one mechanism: a user named twice in one is refused (seen)."""
    if not upsertions and not deletions:
        return
    answer = await wire.to_controller(
        lambda: AlterUserScramCredentialsRequest(deletions=deletions, upsertions=upsertions),
        lambda a: max(r.error_code for r in a.results),
    )
    for result in answer.results:
        check(
            result.error_code,
            f"SCRAM user {result.user}",
            result.error_message,
            needs="ALTER on CLUSTER",
        )


def _code(mechanism: str) -> int:
    return next(code for code, name in _MECHANISMS.items() if name == mechanism)


def logs_in(
    servers: Sequence[str],
    settings: Mapping[str, Any],
    user: ScramUser,
    password: str,
    clock: Clock,
    timeout: float,
) -> bool:
    """Whether the servers take this login; False when one refuses the password. `settings` are
    kafka-python's, of somebody else. Tried again for `timeout` seconds where a connection breaks
    off. Errors: OSError, kafka-python's for a mechanism that is not offered."""
    theirs = {
        **settings,
        "sasl_mechanism": user.mechanism,
        "sasl_plain_username": user.name,
        "sasl_plain_password": password,
    }
    deadline = clock.monotonic() + timeout
    for server in itertools.cycle(servers):
        host, _, port = server.rpartition(":")
        try:
            return refusal(host.strip("[]"), int(port), theirs) is None
        except OSError as error:
            if hopeless(error) or clock.monotonic() >= deadline:
                raise
            clock.sleep(0.1)
    raise k.KafkaTimeoutError("no servers")
