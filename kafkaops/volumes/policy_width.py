"""What an existing policy allows of KMS and S3 beyond what volumes need, statement by statement.

Reads IAM policies and key policies (those with principals). What it cannot credit it does not: a
Deny elsewhere may narrow what is found here, and a condition that is not required (a transport,
an address) neither helps nor harms. Rights for other services are not its subject.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from kafkaops.engine.errors import ConfigError
from kafkaops.model.volume import VolumeSpec
from kafkaops.volumes.policy import ADMINISTERS, administrator, broker
from kafkaops.volumes.policy_conditions import (
    Finding,
    contexts,
    like,
    listed,
    of_s3,
    restricted,
    within,
)

Role = Literal["broker", "administrator"]

USES = tuple(
    f"kms:{action}"
    for action in (
        *("Decrypt", "Encrypt", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKey", "CreateGrant"),
        *("GenerateDataKeyWithoutPlaintext", "GenerateDataKeyPair", "GenerateMac", "Sign"),
        *("GenerateDataKeyPairWithoutPlaintext", "DeriveSharedSecret", "GetPublicKey"),
    )
)
"""KMS's actions that use a key, or hand its use on."""
OF_S3 = tuple(
    f"s3:{action}"
    for action in (
        *("GetObject", "GetObjectVersion", "GetObjectAcl", "PutObject", "PutObjectAcl"),
        *("DeleteObject", "DeleteObjectVersion", "ListBucket", "ListBucketVersions"),
        *("PutBucketPolicy", "PutBucketVersioning", "CreateBucket", "DeleteBucket"),
        *("ListAllMyBuckets", "GetBucketLocation", "GetBucketPolicy"),
    )
)
KNOWN = (*USES, *ADMINISTERS, *OF_S3)


def too_wide(
    document: Mapping[str, Any], *specs: VolumeSpec, role: Role = "broker"
) -> tuple[Finding, ...]:
    """Everything too wide for these volumes. A key policy is held against both roles. ConfigError
    KO-VOLUME-POLICY for what is no policy."""
    statements = _statements(document)
    of_key = any("Principal" in one or "NotPrincipal" in one for one in statements)
    if of_key:
        least = [*broker(*specs)["Statement"], *administrator(*specs)["Statement"]]
    else:
        least = (broker if role == "broker" else administrator)(*specs)["Statement"]
    looked = Looked(tuple(specs), least, of_key)
    found = (
        finding
        for number, one in enumerate(statements, 1)
        if one["Effect"] == "Allow"
        for finding in looked.findings(f"statement {number} ({one.get('Sid') or 'no Sid'})", one)
    )
    return tuple(dict.fromkeys(found))


@dataclass(frozen=True)
class Looked:
    """One look with what is the least: `least` are its statements."""

    specs: tuple[VolumeSpec, ...]
    least: Sequence[Mapping[str, Any]]
    of_key: bool

    def findings(self, where: str, one: Mapping[str, Any]) -> Iterator[Finding]:
        for name in ("NotAction", "NotResource", "NotPrincipal"):
            if name in one:
                wanted = name.removeprefix("Not")
                yield Finding(
                    where,
                    f"{name} allows everything but what it names, what AWS adds later too",
                    f"{wanted} with what is needed"
                    + (f": {', '.join(self._needed())}" if wanted == "Action" else ""),
                )
        actions = listed(one.get("Action", []))
        touched = [name for name in KNOWN if any(like(a, name) for a in actions)]
        yield from self._actions(where, actions)
        if self.of_key:
            yield from self._principals(where, one, touched)
        else:
            yield from self._resources(where, one, touched)
        if any(name in USES for name in touched):
            yield from contexts(where, one.get("Condition", {}), self.specs)
        yield from of_s3(where, one, touched, self.least)

    def _needed(self, service: str = "") -> list[str]:
        found = {a for one in self.least for a in listed(one["Action"]) if a.startswith(service)}
        return sorted(found)

    def _actions(self, where: str, actions: Sequence[str]) -> Iterator[Finding]:
        fine = {name.lower() for name in self._needed()}
        if self.of_key:
            fine |= {name.lower() for name in ADMINISTERS}
        for action in actions:
            service = action.partition(":")[0].lower()
            if action != "*" and service not in ("kms", "s3"):
                continue
            wild = "*" in action or "?" in action
            beyond = [n for n in KNOWN if like(action, n) and n.lower() not in fine]
            needed = self._needed("" if action == "*" else f"{service}:")
            instead = ", ".join(needed) or "nothing: leave it out"
            if wild and (beyond or action == "*"):
                some = ", ".join(beyond[:3])
                yield Finding(where, f"Action {action} allows {some} too", instead)
            elif not wild and action.lower() not in fine:
                yield Finding(where, f"{action} is not needed", f"leave it out; needed: {instead}")

    def _principals(
        self, where: str, one: Mapping[str, Any], touched: Sequence[str]
    ) -> Iterator[Finding]:
        uses = any(name in USES for name in touched)
        what = "use" if uses else "administer"
        named = one.get("Principal", {})
        entries = [("AWS", named)] if isinstance(named, str) else list(named.items())
        accounts = {spec.key.split(":")[4] for spec in self.specs if spec.key}
        for kind, value in entries:
            for principal in listed(value):
                parts = principal.split(":")
                account = principal if principal.isdigit() else parts[4] if parts[4:] else ""
                if principal == "*":
                    if not restricted(one.get("Condition", {})):
                        yield Finding(
                            where, f"everybody may {what} the key", "the ARNs of the roles"
                        )
                elif kind != "AWS":
                    yield Finding(where, f"{principal} may {what} the key", "leave it out")
                elif accounts and account not in accounts:
                    yield Finding(
                        where,
                        f"{principal} of another account may {what} the key",
                        f"roles of {', '.join(sorted(accounts))}",
                    )
                elif uses and (principal.endswith(":root") or principal.isdigit()):
                    yield Finding(
                        where,
                        f"any IAM policy of account {account} may let somebody use the key",
                        "for the account the actions that administer, for use the roles' ARNs",
                    )

    def _resources(
        self, where: str, one: Mapping[str, Any], touched: Sequence[str]
    ) -> Iterator[Finding]:
        """Each resource has to lie within one that the least names for some action here."""
        for service in ("kms", "s3"):
            mine = [name for name in touched if name.startswith(f"{service}:")]
            fine = [
                resource
                for statement in self.least
                if {*mine} & {*listed(statement["Action"])}
                for resource in listed(statement["Resource"])
            ]
            if not mine or not fine:
                continue  # an action that is not needed at all was found already
            for resource in listed(one.get("Resource", [])):
                other = f":{'s3' if service == 'kms' else 'kms'}:" in resource
                if not other and not any(within(resource, wanted) for wanted in fine):
                    yield Finding(
                        where,
                        f"{resource} is more than {', '.join(mine[:3])} needs",
                        ", ".join(dict.fromkeys(fine)),
                    )


def _statements(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = document.get("Statement") if isinstance(document, Mapping) else None
    found = [found] if isinstance(found, Mapping) else found
    if not isinstance(found, list) or not all(
        isinstance(one, Mapping) and one.get("Effect") in ("Allow", "Deny") for one in found
    ):
        raise ConfigError(
            "KO-VOLUME-POLICY",
            "this is no policy: it needs a Statement, and each an Effect of Allow or Deny",
            hint="`aws iam get-role-policy --query PolicyDocument`, or"
            " `aws kms get-key-policy --output text`, prints one",
        )
    return list(found)
