"""What a look at a volume says to people and scripts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kafkaops.engine.errors import OpsError, StepFailed
from kafkaops.model.volume import DiskFacts, VolumeSpec
from kafkaops.volumes import copies
from kafkaops.volumes.ground import Ground
from kafkaops.volumes.token import coming
from kafkaops.volumes.verdict import State, Step, Verdict

REFUSED = Step.REFUSED


@dataclass(frozen=True)
class Look:
    """`last_unlock` epoch seconds by CloudTrail, None where it cannot be read; `copies` the URIs
    of the header's and token's copies, or of any header's where there is none; None where they
    were not asked for or cannot be listed, for the reason `why_not`."""

    spec: VolumeSpec
    facts: DiskFacts
    verdict: Verdict
    copies: tuple[str, ...] | None = None
    last_unlock: float | None = None
    why_not: str = ""

    @property
    def good(self) -> bool:
        """Whether Kafka may start on it."""
        return self.verdict.state is State.ACTIVE and self.verdict.step is Step.NOTHING

    @property
    def hardware(self) -> str:
        """What encrypts the disk below LUKS: Nitro's NVMe instance store does, with a key a device
        that is gone when the instance stops; older families do not (c1, c3, d2, i2, m1, m2, m3,
        r3, x1, x1e). Source: Amazon EC2 user guide, data protection."""
        if not self.facts.instance_store:
            return ""
        return "instance store, NVMe: XTS-AES-256 in hardware" if _nvme(self.facts) else ""


def look(ground: Ground, spec: VolumeSpec, *, remote: bool = True) -> Look:
    """`remote` False asks neither S3 nor CloudTrail, and what they do not answer is not known: a
    look is for the hour when things are out. A disk that does not read is UNKNOWN."""
    try:
        facts, verdict = ground.judged(spec)
    except StepFailed as error:
        told = (error.code, error.message, error.hint)
        return Look(spec, DiskFacts(spec.device, "other"), Verdict(State.UNKNOWN, REFUSED, *told))
    if not remote:
        return Look(spec, facts, verdict)
    kept, why_not = _copies(ground, spec, facts)
    unlocked = ground.keys.last_use(spec.context) if spec.mode == "wrapped" else None
    return Look(spec, facts, verdict, kept, unlocked, why_not)


def _copies(
    ground: Ground, spec: VolumeSpec, facts: DiskFacts
) -> tuple[tuple[str, ...] | None, str]:
    if not spec.copies:
        return (), ""
    try:
        return tuple(ground.copies.listed(copies.home(spec, facts.uuid))), ""
    except OpsError as error:
        return None, f"{error.code}: {error.message}"


def row(found: Look, now: float) -> Mapping[str, Any]:
    """For JSON; ages in seconds."""
    spec, facts, verdict, token = found.spec, found.facts, found.verdict, found.verdict.token
    return {
        "volume": spec.name,
        "state": verdict.state,
        "good": found.good,
        "next": verdict.step,
        "code": verdict.code,
        "why": verdict.why,
        "hint": verdict.hint,
        "device": facts.device,
        "size": facts.size,
        "mountpoint": spec.mountpoint,
        "mounted": facts.at is not None,
        "immutable": facts.immutable,
        "hardware": found.hardware,
        "uuid": facts.header.uuid if facts.header is not None else "",
        "mode": token.key.mode if token is not None else spec.mode,
        "key": token.key.arn if token is not None else "",
        "key_id": copies.named(token) if token is not None else "",
        "key_age": max(0.0, now - token.created) if token is not None else None,
        "rotating": _rotating(found),
        "harm": facts.header.harm if facts.header is not None else "",
        "torn": facts.header.torn if facts.header is not None else "",
        "copies": None if found.copies is None else list(found.copies),
        "last_unlock": found.last_unlock,
    }


def _rotating(found: Look) -> bool:
    header, now = found.facts.header, found.verdict.token
    if header is None or now is None:
        return False
    return bool(now.retire) or coming(header) is not None


def _nvme(facts: DiskFacts) -> bool:
    return "NVMe" in facts.model or "nvme" in facts.device
