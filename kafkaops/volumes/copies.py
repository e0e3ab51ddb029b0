"""Copies of a volume's token and header in S3: their names, and what is in them.

    {copies}/{cluster}/{node}/{volume}/{uuid}/token-{digest}.json
    {copies}/{cluster}/{node}/{volume}/{uuid}/header-{digest}.img

Invariant: an object is written once; its name tells the volume, so that the copy of another is
refused before anything is written back.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from kafkaops.engine.errors import GuardRefused
from kafkaops.model.volume import VolumeSpec
from kafkaops.ports.keys import Copies
from kafkaops.volumes.token import Damaged, Token


def home(spec: VolumeSpec, uuid: str = "") -> str:
    """The URI below which the copies of this volume (of this header of it) lie, or empty."""
    if not spec.copies:
        return ""
    own = f"{spec.copies.rstrip('/')}/{spec.cluster}/{spec.node}/{spec.name}/"
    return f"{own}{uuid}/" if uuid else own


def token_uri(spec: VolumeSpec, uuid: str, token: Token) -> str:
    """Where the copy of a token is: by what it says of the key, not by how far it was prepared."""
    return f"{home(spec, uuid)}token-{named(token)}.json"


def named(token: Token) -> str:
    """What tells this wrapped key from any other: a digest, for names."""
    key = token.key
    return _digest(f"{key.mode} {key.arn} {key.ciphertext} {key.object}".encode())


def keep_token(copies: Copies, spec: VolumeSpec, uuid: str, token: Token) -> bool:
    """Write a token's copy; True when there is one now. Without `copies` there is none."""
    if not spec.copies:
        return False
    body = json.dumps({"uuid": uuid, "label": spec.label, "token": token.to_json()}, indent=1)
    copies.put_once(token_uri(spec, uuid, token), body.encode())
    return True


def tokens(copies: Copies, spec: VolumeSpec, uuid: str) -> Iterator[Token]:
    """The tokens that were copied for this header; what does not read is left out."""
    for uri in copies.listed(home(spec, uuid)) if spec.copies else ():
        if not uri.endswith(".json"):
            continue
        body = copies.get(uri)
        if body is None:
            continue
        try:
            found: dict[str, Any] = json.loads(body)
            if found["uuid"] == uuid:
                yield Token.of_json(found["token"])
        except (ValueError, KeyError, TypeError, Damaged):
            continue


def header_uri(spec: VolumeSpec, uuid: str, image: bytes) -> str:
    return f"{home(spec, uuid)}header-{_digest(image)}.img"


def headers(copies: Copies, spec: VolumeSpec, uuid: str = "") -> tuple[str, ...]:
    """The URIs of the header copies of this volume (of this header of it)."""
    if not spec.copies:
        return ()
    return tuple(uri for uri in copies.listed(home(spec, uuid)) if uri.endswith(".img"))


def refuse_strange(spec: VolumeSpec, uri: str, uuid: str) -> None:
    """GuardRefused when a header copy is of another volume, or of an older header of this one."""
    if not uri.startswith(home(spec, uuid)):
        raise GuardRefused(
            "KO-VOLUME-COPY-OTHER",
            f"{uri} is no header copy of volume {spec.name} with UUID {uuid}",
            where=spec.device,
            hint=f"its copies are below {home(spec, uuid) or 'no URI: `copies` is not set'}",
        )


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
