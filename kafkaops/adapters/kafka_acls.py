"""ACL bindings and client quotas: to and from the wire.

Invariant: names are those of Kafka's own tools, and a binding survives the round trip.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from kafka.protocol.admin import (
    AlterClientQuotasRequest,
    CreateAclsRequest,
    DeleteAclsRequest,
    DescribeAclsRequest,
    DescribeClientQuotasRequest,
)

from kafkaops.adapters.kafka_errors import FEATURE_OFF, check
from kafkaops.adapters.kafka_wire import Wire
from kafkaops.model.cluster import Acl, Quota

_RESOURCES = {
    2: "TOPIC", 3: "GROUP", 4: "CLUSTER", 5: "TRANSACTIONAL_ID", 6: "DELEGATION_TOKEN", 7: "USER",
}  # fmt: skip
_PATTERNS = {3: "LITERAL", 4: "PREFIXED"}
OPERATIONS = {
    2: "ALL", 3: "READ", 4: "WRITE", 5: "CREATE", 6: "DELETE", 7: "ALTER", 8: "DESCRIBE",
    9: "CLUSTER_ACTION", 10: "DESCRIBE_CONFIGS", 11: "ALTER_CONFIGS", 12: "IDEMPOTENT_WRITE",
    13: "CREATE_TOKENS", 14: "DESCRIBE_TOKENS", 15: "TWO_PHASE_COMMIT",
}  # fmt: skip
_PERMISSIONS = {2: "DENY", 3: "ALLOW"}


_SECURITY_DISABLED = 54


def _code(names: dict[int, str], name: str) -> int:
    return next(code for code, known in names.items() if known == name)


def from_rows(rows: Iterable[Any]) -> Iterator[Acl]:
    """Our bindings from DescribeAcls; a kind newer than this tool keeps its number as name."""
    for row in rows:
        for acl in row.acls:
            yield Acl(
                _RESOURCES.get(row.resource_type, str(row.resource_type)),
                row.resource_name,
                _PATTERNS.get(row.pattern_type, str(row.pattern_type)),
                acl.principal,
                acl.host,
                OPERATIONS.get(acl.operation, str(acl.operation)),
                _PERMISSIONS.get(acl.permission_type, str(acl.permission_type)),
            )


async def bindings(wire: Wire, node: int | None = None) -> tuple[Acl, ...] | None:
    """Every binding, as one broker knows them; None where the cluster has no authorizer."""

    def make() -> Any:
        return DescribeAclsRequest(
            resource_type_filter=1, resource_name_filter=None, pattern_type_filter=1,
            principal_filter=None, host_filter=None, operation=1, permission_type=1,
        )  # fmt: skip

    answer = await (wire.ask(make) if node is None else wire.direct(make, node))
    if answer.error_code == _SECURITY_DISABLED:
        return None
    check(answer.error_code, "ACLs", answer.error_message)
    return tuple(sorted(from_rows(answer.resources)))


async def create(wire: Wire, acls: Collection[Acl]) -> None:
    """Create bindings; one that is there already is no error (Kafka's own behaviour)."""
    creation = CreateAclsRequest.AclCreation
    wanted = sorted(acls)
    if not wanted:
        return

    def make() -> Any:
        return CreateAclsRequest(
            creations=[
                creation(
                    resource_type=_code(_RESOURCES, a.resource_type),
                    resource_name=a.resource_name,
                    resource_pattern_type=_code(_PATTERNS, a.pattern_type),
                    principal=a.principal,
                    host=a.host,
                    operation=_code(OPERATIONS, a.operation),
                    permission_type=_code(_PERMISSIONS, a.permission),
                )
                for a in wanted
            ]
        )

    answer = await wire.to_controller(make, lambda a: max(r.error_code for r in a.results))
    for acl, row in zip(wanted, answer.results, strict=True):
        check(row.error_code, str(acl), row.error_message)

    async def look(node: int) -> str:
        missing = frozenset(wanted) - set(await bindings(wire, node) or ())
        return f"{len(missing)} ACLs missing" if missing else ""

    await wire.shown("new ACLs", look)


async def delete(wire: Wire, acls: Collection[Acl]) -> None:
    """Delete exactly these bindings."""
    filters = DeleteAclsRequest.DeleteAclsFilter
    wanted = sorted(acls)
    if not wanted:
        return

    def make() -> Any:
        return DeleteAclsRequest(
            filters=[
                filters(
                    resource_type_filter=_code(_RESOURCES, a.resource_type),
                    resource_name_filter=a.resource_name,
                    pattern_type_filter=_code(_PATTERNS, a.pattern_type),
                    principal_filter=a.principal,
                    host_filter=a.host,
                    operation=_code(OPERATIONS, a.operation),
                    permission_type=_code(_PERMISSIONS, a.permission),
                )
                for a in wanted
            ]
        )

    answer = await wire.to_controller(make, lambda a: max(r.error_code for r in a.filter_results))
    for acl, row in zip(wanted, answer.filter_results, strict=True):
        check(row.error_code, str(acl), row.error_message)

    async def look(node: int) -> str:
        left = set(wanted) & set(await bindings(wire, node) or ())
        return f"{len(left)} ACLs still there" if left else ""

    await wire.shown("the deletion of ACLs", look)


async def quotas(wire: Wire, node: int | None = None) -> tuple[Quota, ...]:
    """All client quotas: users, client ids, both, IP addresses, and the defaults."""
    if not wire.supports(DescribeClientQuotasRequest):
        return ()

    def make() -> Any:
        return DescribeClientQuotasRequest(components=[], strict=False)

    answer = await (wire.ask(make) if node is None else wire.direct(make, node))
    if answer.error_code in FEATURE_OFF:
        return ()
    check(answer.error_code, "quotas", answer.error_message)
    found = [
        Quota(
            tuple(sorted(((e.entity_type, e.entity_name) for e in row.entity), key=str)),
            tuple(sorted((v.key, float(v.value)) for v in row.values)),
        )
        for row in answer.entries or ()
    ]
    return tuple(sorted(found, key=str))


async def alter_quotas(wire: Wire, set: Collection[Quota], delete: Collection[Quota]) -> None:
    """Set every value of `set`, remove every value named in `delete`."""
    entry = AlterClientQuotasRequest.EntryData
    todo = [(q, False) for q in set] + [(q, True) for q in delete]
    if not todo:
        return

    def make() -> Any:
        return AlterClientQuotasRequest(
            entries=[
                entry(
                    entity=[
                        entry.EntityData(entity_type=kind, entity_name=name)
                        for kind, name in quota.entity
                    ],
                    ops=[
                        entry.OpData(key=key, value=value, remove=remove)
                        for key, value in quota.values
                    ],
                )
                for quota, remove in todo
            ],
            validate_only=False,
        )

    answer = await wire.to_controller(make, lambda a: max(r.error_code for r in a.entries))
    for row in answer.entries:
        who = ", ".join(f"{e.entity_type} {e.entity_name or '<default>'}" for e in row.entity)
        check(row.error_code, who, row.error_message)

    async def look(node: int) -> str:
        rows = {(q.entity, k): v for q in await quotas(wire, node) for k, v in q.values}
        wrong = [1 for q in set for k, v in q.values if rows.get((_sorted(q), k)) != v]
        wrong += [1 for q in delete for k, _ in q.values if (_sorted(q), k) in rows]
        return f"{len(wrong)} quota values" if wrong else ""

    await wire.shown("quotas", look)


def _sorted(quota: Quota) -> tuple[tuple[str, str | None], ...]:
    return tuple(sorted(quota.entity, key=str))
