"""Plans as JSON, their hash, and the fingerprint of the snapshot they were made from.

Invariant: a plan that was read back has the hash of the one that was written, and a document
whose content does not match its hash is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from typing import Any, cast

from kafkaops.engine.errors import ConfigError
from kafkaops.engine.step import Critical, Plan, Spec

SCHEMA_VERSION = 1
LATER = {"unbroken", "lane", "patience"}
"""Fields that specs did not have from the beginning."""


def canonical(value: Any) -> str:
    """One text for one value: sorted keys, no spaces. TypeError or ValueError for what JSON
    cannot hold (NaN included)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def fingerprint(snapshot: Mapping[str, Any]) -> str:
    """sha256 in hex of a snapshot's values."""
    return hashlib.sha256(canonical(snapshot).encode()).hexdigest()


def plan_hash(plan: Plan) -> str:
    """sha256 in hex of everything in the plan."""
    return hashlib.sha256(canonical(_values(plan)).encode()).hexdigest()


def to_json(plan: Plan) -> dict[str, Any]:
    """The plan as a JSON document with `schema_version` and `hash`."""
    text = canonical(_values(plan))
    digest = hashlib.sha256(text.encode()).hexdigest()
    return cast(dict[str, Any], json.loads(text)) | {"hash": digest}


def from_json(document: Any, *, where: str = "") -> Plan:
    """The plan in a document that `to_json` made. ConfigError KO-PLAN-FORMAT, KO-PLAN-VERSION
    or KO-PLAN-EDITED, naming `where` (a file)."""
    if not isinstance(document, Mapping):
        raise _format("it is not a JSON object", where)
    version = document.get("schema_version")
    if version != SCHEMA_VERSION:
        raise ConfigError(
            "KO-PLAN-VERSION",
            f"the plan has schema_version {version!r}, this kafkaops reads {SCHEMA_VERSION}",
            where=where,
            hint="plan again",
        )
    content = {k: v for k, v in document.items() if k != "hash"}
    plan = cast(
        Plan,
        _build(
            Plan,
            content
            | {
                "specs": tuple(_build(Spec, s, where) for s in _list(content, "specs", where)),
                "criticals": tuple(
                    _build(Critical, c, where) for c in _list(content, "criticals", where)
                ),
                "notes": tuple(_list(content, "notes", where)),
            },
            where,
        ),
    )
    if document.get("hash") != plan_hash(plan):
        raise ConfigError(
            "KO-PLAN-EDITED",
            "the plan does not match its own hash: it was edited or cut short",
            where=where,
            hint="plan again",
        )
    return plan


def _values(plan: Plan) -> dict[str, Any]:
    pieces = {"specs": [_spec(s) for s in plan.specs], "criticals": map(vars, plan.criticals)}
    return {**vars(plan), **{k: list(v) for k, v in pieces.items()}}


def _spec(spec: Spec) -> dict[str, Any]:
    """Without what came later where it says nothing: a plan of before keeps its hash."""
    return {k: v for k, v in vars(spec).items() if k not in LATER or v}


def drift(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What differs between two snapshots, one line each: `path: was X, is Y`."""
    return list(_drift("", _plain(old), _plain(new)))


def _drift(path: str, old: Any, new: Any) -> list[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        lines = []
        for key in sorted({*old, *new}):
            inner = f"{path}.{key}" if path else str(key)
            if key not in new:
                lines.append(f"{inner}: was {_word(old[key])}, is gone")
            elif key not in old:
                lines.append(f"{inner}: was not there, is {_word(new[key])}")
            else:
                lines += _drift(inner, old[key], new[key])
        return lines
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        if any(isinstance(v, (dict, list)) for v in (*old, *new)):
            return [line for i, (a, b) in pairs for line in _drift(f"{path}[{i}]", a, b)]
    return [] if old == new else [f"{path}: was {_word(old)}, is {_word(new)}"]


def _word(value: Any) -> str:
    text = value if isinstance(value, str) and value else canonical(value)
    return text if len(text) <= 120 else f"{text[:117]}..."


def _plain(value: Any) -> Any:
    return json.loads(canonical(value))


def _list(content: Mapping[str, Any], key: str, where: str) -> Sequence[Any]:
    value = content.get(key, ())
    if not isinstance(value, (list, tuple)):
        raise _format(f"{key} is not a list", where)
    return value


def _build(kind: type[Any], values: Any, where: str) -> Any:
    known = {f.name: f for f in fields(kind)}
    if not isinstance(values, Mapping):
        raise _format(f"a {kind.__name__.lower()} is not a JSON object", where)
    strange = sorted(set(values) - set(known))
    missing = sorted(
        name
        for name, f in known.items()
        if name not in values and f.default is MISSING and f.default_factory is MISSING
    )
    if strange or missing:
        what = f"unknown {strange}" if strange else f"missing {missing}"
        raise _format(f"{kind.__name__.lower()}: {what}", where)
    return kind(**values)


def _format(why: str, where: str) -> ConfigError:
    return ConfigError("KO-PLAN-FORMAT", f"not a plan: {why}", where=where, hint="plan again")
