"""What speaks against the move for who may log in and do what: logins, users, defaults. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kafkaops.config.schema import ClusterSpec, Config
from kafkaops.model.cluster import ClusterState
from kafkaops.upgrade import users
from kafkaops.upgrade.refusals_codes import Finding, finding

_MAP = "listener.security.protocol.map"
_MECHANISMS = "sasl.enabled.mechanisms"
_OPEN = "allow.everyone.if.no.acl.found"
_SUPER = "super.users"


def access(blue: ClusterState, green: ClusterState, config: Config) -> Iterator[Finding]:
    yield from _logins(blue, green, config)
    yield from _users(blue, green, config)
    yield from _defaults(blue, green)


def _logins(blue: ClusterState, green: ClusterState, config: Config) -> Iterator[Finding]:
    """Green's CLIENT listener takes the clients as blue's does. Only what brokers tell counts."""
    here, there = _protocols(blue, config.blue), _protocols(green, config.green)
    for node in sorted(there):
        if here and there[node] not in here.values():
            wanted = ", ".join(sorted(set(here.values())))
            yield finding(
                "KO-CLIENT-PROTOCOL",
                f"green-{node}",
                f"its CLIENT listener speaks {there[node]}, blue's {wanted}",
            )
    if not any(protocol.startswith("SASL") for protocol in here.values()):
        return
    offered = _mechanisms(blue, config.blue)
    wanted_all = set().union(*offered.values())
    for node, mechanisms in sorted(_mechanisms(green, config.green).items()):
        left = sorted(wanted_all - mechanisms)
        if left:
            yield finding(
                "KO-CLIENT-MECHANISM", f"green-{node}", f"it does not offer {', '.join(left)}"
            )


def _protocols(state: ClusterState, spec: ClusterSpec) -> dict[int, str]:
    found = {}
    for node, values in state.broker_config.items():
        pairs = dict(p.split(":", 1) for p in _list(values, _MAP) if ":" in p)
        protocol = pairs.get(spec.client_listener)
        if protocol is not None:
            found[node] = protocol
    return found


def _mechanisms(state: ClusterState, spec: ClusterSpec) -> dict[int, set[str]]:
    own = f"listener.name.{spec.client_listener.lower()}.{_MECHANISMS}"
    return {
        node: set(_list(values, own) or _list(values, _MECHANISMS))
        for node, values in state.broker_config.items()
        if own in values or _MECHANISMS in values
    }


def _users(blue: ClusterState, green: ClusterState, config: Config) -> Iterator[Finding]:
    lacking = users.missing(blue.scram_users, green.scram_users)
    made = users.covered(lacking, config.users)
    for user in lacking:
        if user not in made:
            yield finding(
                "KO-SCRAM-USERS", user.name, f"green does not know this user ({user.mechanism})"
            )
    if config.users and users.covered(blue.scram_users, config.users):
        for colour, spec in (("blue", config.blue), ("green", config.green)):
            if not users.provable(spec):
                yield finding(
                    "KO-USERS-UNPROVEN", colour, "its REPL listener takes no login to try them by"
                )


def _defaults(blue: ClusterState, green: ClusterState) -> Iterator[Finding]:
    """What an authorizer allows without any ACL."""
    if not (blue.acls_enabled and green.acls_enabled):
        return
    if _any(blue, _OPEN, "true") and not _any(green, _OPEN, "true"):
        yield finding("KO-ACL-DEFAULT", "green", "blue allows what no ACL covers, green denies it")
    left = sorted(_super(blue) - _super(green))
    if left:
        yield finding("KO-SUPER-USERS", "green", f"not super users on green: {', '.join(left)}")


def _any(state: ClusterState, name: str, value: str) -> bool:
    return any((config.get(name) or "").lower() == value for config in state.broker_config.values())


def _super(state: ClusterState) -> set[str]:
    return {
        name.strip()
        for config in state.broker_config.values()
        for name in (config.get(_SUPER) or "").split(";")
        if name.strip()
    }


def _list(values: Mapping[str, str | None], name: str) -> list[str]:
    return [part.strip() for part in (values.get(name) or "").split(",") if part.strip()]
