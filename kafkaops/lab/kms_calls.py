"""One call to the emulated KMS: who calls, about which key, and whether policies let it be.

Judged as AWS judges it: the key's policy must allow the caller itself, or its account and then
the caller's own policies; for a key of another account both.
Source: KMS Developer Guide, "Troubleshooting AWS KMS permissions".
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kafkaops.lab.iam import Caller, identity, resource_based
from kafkaops.lab.kms import MAX_CIPHERTEXT, KeyStore, KmsKey
from kafkaops.lab.ssm import Refused

CONTEXTS = ("EncryptionContext", "SourceEncryptionContext", "DestinationEncryptionContext")


@dataclass
class Call:
    """One request. `keys` fills with the ARNs of the keys that it turned out to be about."""

    action: str
    given: dict[str, Any]
    caller: Caller
    access_key: str
    region: str
    keys: list[str] = field(default_factory=list)

    def context(self, name: str = "EncryptionContext") -> Mapping[str, str]:
        found: Mapping[str, str] = self.given.get(name) or {}
        return found

    def blob(self, name: str, most: int) -> bytes:
        try:
            found = base64.b64decode(self.given[name], validate=True)
        except (KeyError, TypeError, binascii.Error):
            raise Refused("ValidationException", f"Value at '{name}' must not be null") from None
        if not 1 <= len(found) <= most:
            raise Refused("ValidationException", f"Value at '{name}': 1 to {most} bytes")
        return found


@dataclass
class Desk:
    """The keys; `denied` lists IAM actions that are refused (`kms:Decrypt`)."""

    store: KeyStore
    denied: frozenset[str] = frozenset()

    def key(self, call: Call, name: str = "KeyId") -> KmsKey:
        """The key that this parameter names; another account's absent one is not told from one
        that is forbidden."""
        named = str(call.given.get(name, ""))
        try:
            found = self.store.find(named, call.region, call.caller.account)
        except Refused:
            if named.split(":")[3:5] == [call.region, call.caller.account]:
                call.keys.append(named)
            elif named.startswith(f"arn:aws:kms:{call.region}:"):
                raise _denial(call.caller, f"kms:{call.action}", named, "resource") from None
            raise
        return found

    def permit(
        self,
        call: Call,
        key: KmsKey,
        action: str = "",
        context: Mapping[str, str] | None = None,
    ) -> None:
        """Refused AccessDeniedException unless the policies of key and caller let this be."""
        if key.arn not in call.keys:
            call.keys.append(key.arn)
        action = f"kms:{action or call.action}"
        caller = call.caller
        if {action, "kms:*"} & self.denied:
            raise _denial(caller, action, key.arn, "identity")
        facts = {
            "kms:calleraccount": [caller.account],
            "aws:principalarn": sorted(caller.names),
            "aws:principalaccount": [caller.account],
            "aws:securetransport": ["true"],
            "kms:encryptioncontextkeys": list(context or {}),
            **{f"kms:encryptioncontext:{k}".lower(): [v] for k, v in (context or {}).items()},
        }
        direct = resource_based(key.policy, caller.names, action, key.arn, facts)
        account = resource_based(key.policy, frozenset({caller.root}), action, key.arn, facts)
        own = identity(caller, action, key.arn, facts)
        if "deny" in (direct, account, own):
            kind = "identity" if own == "deny" else "resource"
            raise _denial(caller, action, key.arn, kind, explicit=True)
        if "allow" not in (direct, account):
            raise _denial(caller, action, key.arn, "resource")
        enough = direct == "allow" and caller.account == key.account
        if not enough and own != "allow":
            raise _denial(caller, action, key.arn, "identity")

    def opened(self, call: Call, action: str, key_id: str, context: str) -> tuple[KmsKey, bytes]:
        """The key of the request's ciphertext and the plaintext, permitted for `action`."""
        blob = call.blob("CiphertextBlob", MAX_CIPHERTEXT)
        named = self.key(call, key_id) if key_id in call.given else None
        key = self.store.of(blob, call.region)
        self.permit(call, named or key, action, call.context(context))
        if named is not None and named is not key:
            raise Refused(
                "IncorrectKeyException",
                "The key ID in the request does not identify a CMK that can perform this"
                " operation.",
            )
        key.usable()
        return key, key.unwrap(blob, call.context(context))


Operation = Callable[[Desk, Call], dict[str, Any]]


def _denial(caller: Caller, action: str, arn: str, kind: str, *, explicit: bool = False) -> Refused:
    why = (
        f"with an explicit deny in a {kind}-based policy"
        if explicit
        else f"because no {kind}-based policy allows the {action} action"
    )
    message = f"User: {caller.arn} is not authorized to perform: {action} on resource: {arn} {why}"
    return Refused("AccessDeniedException", message)
