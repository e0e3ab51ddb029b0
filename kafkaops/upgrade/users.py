"""SCRAM users of the clients: nobody can read a password, so each comes from the secret store.

Invariant: a password counts only once it was tried: on the cluster that has the user, before
anything is changed, and on the other one after the user was made there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from kafkaops.config.schema import ClusterSpec
from kafkaops.config.secrets import Secrets
from kafkaops.engine.errors import ConfigError
from kafkaops.model.cluster import ScramUser
from kafkaops.ports.cluster import Cluster

NAME = "{user}"
_PLAIN = re.compile(r"[A-Za-z0-9_@=+-][A-Za-z0-9_.@=+-]*")


def reference(user: str, users: Mapping[str, str]) -> str | None:
    """Where this user's password is: the entry of that very name, else the first glob that fits;
    None without one. ConfigError for a name that could lead out of where the secrets are."""
    found = users.get(user)
    if found is None:
        found = next((ref for glob, ref in users.items() if fnmatchcase(user, glob)), None)
    if found is None or NAME not in found:
        return found
    if not _PLAIN.fullmatch(user):
        raise ConfigError(
            "KO-USER-NAME",
            f"the user {user!r} cannot stand for {NAME} in {found}",
            where="users",
            hint="name this user in `users` by itself, with a reference of its own",
        )
    return found.replace(NAME, user)


def covered(have: Iterable[ScramUser], users: Mapping[str, str]) -> dict[ScramUser, str]:
    """Credentials that have a secret, with its reference."""
    found = {user: reference(user.name, users) for user in have}
    return {user: ref for user, ref in found.items() if ref is not None}


def missing(have: Iterable[ScramUser], there: Iterable[ScramUser]) -> tuple[ScramUser, ...]:
    """Credentials (name and mechanism) that the other side lacks; iterations may differ."""
    known = {(user.name, user.mechanism) for user in there}
    return tuple(sorted(u for u in have if (u.name, u.mechanism) not in known))


def provable(spec: ClusterSpec) -> bool:
    """Whether a login can be tried on the REPL listener: CLIENT is closed until the cut."""
    return spec.security.protocol.startswith("SASL")


def passwords(
    users: Mapping[ScramUser, str], secrets: Secrets, cluster: Cluster, spec: ClusterSpec
) -> dict[ScramUser, str]:
    """Each password, tried on the cluster that has the user. ConfigError naming every user whose
    secret is missing or is not the one that the cluster knows."""
    found: dict[ScramUser, str] = {}
    wrong: list[str] = []
    for user, ref in sorted(users.items()):
        try:
            found[user] = secrets.resolve(ref)
        except ConfigError as error:
            wrong.append(f"{user.name}: {error.message}")
            continue
        if provable(spec) and not cluster.logs_in(user.name, user.mechanism, found[user]):
            wrong.append(f"{user.name}: {cluster.name} refuses the password at {ref}")
    if wrong:
        raise ConfigError(
            "KO-USER-SECRET",
            f"{len(wrong)} users cannot be made on the other cluster: {'; '.join(wrong)}",
            where="users",
            hint="put the passwords that these users have now where `users` of the config points",
        )
    return found


def refused(users: Mapping[ScramUser, str], cluster: Cluster) -> list[str]:
    """Users that this cluster does not let in with these passwords."""
    return sorted(
        {
            user.name
            for user, password in users.items()
            if not cluster.logs_in(user.name, user.mechanism, password)
        }
    )
