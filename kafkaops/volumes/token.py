"""The LUKS2 token of a volume: whose it is, how its key is got, and how far it was prepared.

A token lies in the header in clear, so it holds what is no secret: the wrapped key, its context
and the ARN. It is sealed by a digest, so that a slip of an editor is told from a token of ours;
the seal is no signature: KMS refuses a context or ciphertext that somebody changed on purpose.
Source: LUKS2 on-disk format specification, section 3.3 (tokens).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

from kafkaops.model.volume import Header, Mode, VolumeSpec
from kafkaops.ports.disks import Key

TYPE = "kafkaops-volume"
FORM = 1
MODES = ("wrapped", "s3", "ephemeral")

Role = Literal["now", "next"]


class Damaged(Exception):
    """A token of ours that is not as we wrote it; the message says how."""


@dataclass(frozen=True)
class Token:
    """`slot` is the keyslot that the key opens; `role` `next` while a rotation brings it in.
    `created` in epoch seconds. `filesystem` is what was made inside, empty until then. `retire`
    are keyslots of keys that this one replaced, until they are wiped and their copies are gone."""

    slot: int
    key: Key
    context: Mapping[str, str]
    created: float
    role: Role = "now"
    filesystem: str = ""
    retire: tuple[int, ...] = ()

    def made(self, filesystem: str) -> Token:
        return replace(self, filesystem=filesystem)

    def to_json(self) -> dict[str, Any]:
        body = {
            "type": TYPE,
            "form": FORM,
            "slot": self.slot,
            "role": self.role,
            "mode": self.key.mode,
            "arn": self.key.arn,
            "ciphertext": self.key.ciphertext,
            "object": self.key.object,
            "context": dict(self.context),
            "created": int(self.created),
            "filesystem": self.filesystem,
            "retire": list(self.retire),
        }
        # cryptsetup refuses a token of a keyslot that is not there yet
        slots = [str(self.slot)] if self.role == "now" else []
        return {**body, "keyslots": slots, "seal": _seal(body)}

    @staticmethod
    def of_json(content: Mapping[str, Any]) -> Token:
        """Damaged when it is not as `to_json` wrote it. `keyslots` is cryptsetup's own: it takes
        a killed slot out of it."""
        try:
            return Token._of_json(content)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise Damaged(f"it does not read: {error}") from None

    @staticmethod
    def _of_json(content: Mapping[str, Any]) -> Token:
        body = {name: value for name, value in content.items() if name not in ("keyslots", "seal")}
        if content.get("seal") != _seal(body):
            raise Damaged("its seal does not fit what it says: it was edited")
        if body.get("form") != FORM:
            raise Damaged(f"it has form {body.get('form')!r}, this kafkaops reads {FORM}")
        if body["mode"] not in MODES or body["role"] not in ("now", "next"):
            raise Damaged(f"mode {body['mode']!r}, role {body['role']!r}")
        context = {str(name): str(value) for name, value in body["context"].items()}
        key = Key(
            mode=cast(Mode, body["mode"]),
            arn=str(body["arn"]),
            ciphertext=str(body["ciphertext"]),
            context=context if body["mode"] == "wrapped" else {},
            object=str(body["object"]),
        )
        return Token(
            slot=int(body["slot"]),
            key=key,
            context=context,
            created=float(body["created"]),
            role=cast(Role, body["role"]),
            filesystem=str(body["filesystem"]),
            retire=tuple(int(slot) for slot in body["retire"]),
        )


def first(spec: VolumeSpec, key: Key, created: float) -> Token:
    """The token of a volume that is being made."""
    return Token(slot=0, key=key, context=spec.context, created=created)


def tokens_of(header: Header) -> dict[int, Token]:
    """Our tokens by their id; Damaged when one of ours is not as we wrote it."""
    return {
        number: Token.of_json(content)
        for number, content in sorted(header.tokens.items())
        if content.get("type") == TYPE
    }


def coming(header: Header) -> tuple[int, Token] | None:
    """The token of a key that a rotation brings in, with its id."""
    found = [(n, token) for n, token in tokens_of(header).items() if token.role == "next"]
    return found[0] if found else None


def current(header: Header) -> tuple[int, Token] | None:
    """The token that opens the volume now, with its id."""
    found = [(n, token) for n, token in tokens_of(header).items() if token.role == "now"]
    if len(found) > 1:
        raise Damaged(f"tokens {', '.join(str(n) for n, _ in found)} all say that they are current")
    return found[0] if found else None


def _seal(body: Mapping[str, Any]) -> str:
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
