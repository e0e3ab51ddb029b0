"""KMS's keys, and what they wrap: AES-GCM, bound to the key and the encryption context.

As strict as AWS where moto is not: a disabled key and one that waits for its deletion refuse, a
ciphertext opens only under its own key, its own context and whole, and old material opens what
it wrapped until the key goes. Invariant: no key material leaves this module.
Source: AWS KMS Developer Guide, "Key states of AWS KMS keys"; API reference of Decrypt.
"""

from __future__ import annotations

import json
import os
import struct
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kafkaops.engine.clock import Clock
from kafkaops.lab.ssm import Refused

MAGIC = b"\x01lab-kms"
HEAD = struct.Struct(">HH12s")
"""Of a ciphertext, after MAGIC: the length of its key's ARN, which material, the nonce."""
DAY = 86_400
MAX_PLAINTEXT, MAX_CIPHERTEXT = 4096, 6144


@dataclass
class KmsKey:
    """A symmetric key. `material` grows by one at each rotation; the last wraps. `created` and
    `deletion` in epoch seconds, the latter 0 while it is not to be deleted."""

    arn: str
    policy: Mapping[str, Any]
    created: float
    description: str = ""
    state: str = "Enabled"
    deletion: float = 0.0
    rotates: bool = False
    material: list[bytes] = field(default_factory=lambda: [os.urandom(32)])

    @property
    def id(self) -> str:
        return self.arn.partition(":key/")[2]

    @property
    def region(self) -> str:
        return self.arn.split(":")[3]

    @property
    def account(self) -> str:
        return self.arn.split(":")[4]

    def usable(self) -> None:
        """Refused unless it may be used for cryptography."""
        if self.state == "Disabled":
            raise Refused("DisabledException", f"{self.arn} is disabled.")
        self.kept()

    def kept(self) -> None:
        """Refused when it waits for its deletion."""
        if self.state == "PendingDeletion":
            raise Refused("KMSInvalidStateException", f"{self.arn} is pending deletion.")

    def turn(self) -> None:
        """New material from now on; what the old one wrapped still opens."""
        self.material.append(os.urandom(32))

    def wrap(self, plaintext: bytes, context: Mapping[str, str]) -> bytes:
        nonce = os.urandom(12)
        newest = len(self.material) - 1
        arn = self.arn.encode()
        head = MAGIC + HEAD.pack(len(arn), newest, nonce) + arn
        return head + AESGCM(self.material[newest]).encrypt(nonce, plaintext, _bound(head, context))

    def unwrap(self, blob: bytes, context: Mapping[str, str]) -> bytes:
        """Refused InvalidCiphertextException for another context or a ciphertext that was cut
        or changed: AWS says no more than that either."""
        start = len(MAGIC) + HEAD.size
        length, which, nonce = HEAD.unpack(blob[len(MAGIC) : start])
        head, body = blob[: start + length], blob[start + length :]
        try:
            return AESGCM(self.material[which]).decrypt(nonce, body, _bound(head, context))
        except (InvalidTag, IndexError, ValueError):
            raise Refused("InvalidCiphertextException") from None


@dataclass
class KeyStore:
    """All keys by ARN, of every region and account."""

    clock: Clock
    keys: dict[str, KmsKey] = field(default_factory=dict)

    def create(
        self, region: str, account: str, policy: Mapping[str, Any], description: str = ""
    ) -> KmsKey:
        arn = f"arn:aws:kms:{region}:{account}:key/{uuid.uuid4()}"
        made = self.keys[arn] = KmsKey(arn, policy, self.clock.wall(), description)
        return made

    def find(self, key_id: str, region: str, account: str) -> KmsKey:
        """By ARN or id, as one in this region and account sees it."""
        arn = key_id
        if not key_id.startswith("arn:"):
            if key_id.startswith("alias/"):
                alias = f"arn:aws:kms:{region}:{account}:{key_id}"
                raise Refused("NotFoundException", f"Alias {alias} is not found.")
            try:
                uuid.UUID(key_id)
            except ValueError:
                raise Refused("NotFoundException", f"Invalid keyId '{key_id}'") from None
            arn = f"arn:aws:kms:{region}:{account}:key/{key_id}"
        parts = arn.split(":")
        if len(parts) != 6 or parts[2] != "kms" or parts[3] != region:
            raise Refused("NotFoundException", f"Invalid arn {':'.join(parts[3:4])}")
        found = self.present(arn)
        if found is None:
            raise Refused("NotFoundException", f"Key '{arn}' does not exist")
        return found

    def of(self, blob: bytes, region: str) -> KmsKey:
        """The key that wrapped this ciphertext, if it is of this region."""
        start = len(MAGIC) + HEAD.size
        if not blob.startswith(MAGIC) or len(blob) < start:
            raise Refused("InvalidCiphertextException")
        length = HEAD.unpack(blob[len(MAGIC) : start])[0]
        arn = blob[start : start + length].decode(errors="replace")
        found = self.present(arn)
        if found is None or found.region != region:
            raise Refused(
                "AccessDeniedException",
                "The ciphertext refers to a customer master key that does not exist, does not"
                " exist in this region, or you are not allowed to access.",
            )
        return found

    def present(self, arn: str) -> KmsKey | None:
        """The key, unless its day of deletion has come."""
        found = self.keys.get(arn)
        if found is not None and found.deletion and found.deletion <= self.clock.wall():
            del self.keys[arn]
            return None
        return found


def _bound(head: bytes, context: Mapping[str, str]) -> bytes:
    """What a ciphertext is authenticated with beside its content."""
    return head + json.dumps(dict(context), sort_keys=True).encode()
