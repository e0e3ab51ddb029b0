"""From whatever a disk is to a mounted volume: look, take the one next step, look again.

Invariant: killed anywhere, the next run goes on from what is there; the key's copy is in S3
before its first use, the intent is on the root disk before a format begins, and a format needs
the consent of whoever asked.
"""

from __future__ import annotations

import uuid as uuids
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from kafkaops.engine.errors import GuardRefused, StepFailed
from kafkaops.model.volume import DiskFacts, VolumeSpec
from kafkaops.ports.disks import Key
from kafkaops.volumes import copies, token
from kafkaops.volumes.ground import Ground
from kafkaops.volumes.verdict import Intent, State, Step, Verdict

STEPS = 8
"""Looks until a volume is mounted: more means that a step does not do what it says."""


@dataclass(frozen=True)
class Consent:
    """What the operator allowed: to format a blank disk, or (by typing the volume's label) one
    that is not blank. `until` is the step to stop before, as `open` stops before the mount."""

    blank: bool = False
    reformat: str = ""


@dataclass(frozen=True)
class Done:
    """The steps that were taken, in order, and the last verdict."""

    steps: tuple[Step, ...]
    verdict: Verdict

    @property
    def formatted(self) -> bool:
        return Step.FORMAT in self.steps


def bring_up(
    ground: Ground, spec: VolumeSpec, consent: Consent = Consent(), *, mount: bool = True
) -> Done:
    """Take next steps until the volume is mounted (open, without `mount`). GuardRefused with the
    verdict's code where a step is refused; nothing is changed then."""
    taken: list[Step] = []
    for _ in range(STEPS):
        facts, verdict = ground.judged(spec)
        if verdict.state is State.DAMAGED and (mended := _from_copy(ground, spec, facts, verdict)):
            verdict = mended
        step = _allowed(spec, verdict, consent, taken)
        if step is Step.NOTHING or (step is Step.MOUNT and not mount):
            _settle(ground, spec, facts)
            return Done(tuple(taken), verdict)
        ground.say(f"{spec.name}: {step}")
        ACTS[step](ground, spec, facts, verdict)
        taken.append(step)
    raise StepFailed(
        "KO-VOLUME-STUCK",
        f"{spec.name} is not up after {', '.join(taken)}",
        where=spec.device,
        hint=f"kafkaops volume status {spec.name} -o json",
    )


def _allowed(spec: VolumeSpec, verdict: Verdict, consent: Consent, taken: list[Step]) -> Step:
    """The step to take; GuardRefused where it may not be taken."""
    if verdict.step is Step.REFUSED:
        if verdict.override and consent.reformat == spec.label and Step.FORMAT not in taken:
            return Step.FORMAT
        raise GuardRefused(
            verdict.code, verdict.why, where=f"{spec.name} ({spec.device})", hint=verdict.hint
        )
    if verdict.step is Step.FORMAT and not (consent.blank or consent.reformat == spec.label):
        raise GuardRefused(
            "KO-VOLUME-BLANK",
            f"{spec.device} is blank: volume {spec.name} was never made, or its disk is new",
            where=spec.name,
            hint=f"kafkaops volume prepare {spec.name}",
        )
    return verdict.step


def _format(ground: Ground, spec: VolumeSpec, facts: DiskFacts, verdict: Verdict) -> None:
    intent = ground.intent(spec)
    if intent is None or intent.device != facts.identity or not _fits(intent.key, spec):
        intent = Intent(
            device=facts.identity,
            uuid=str(uuids.uuid4()),
            key=_new_key(ground, spec),
            created=ground.clock.wall(),
        )
        ground.intend(spec, intent)
    made = token.first(spec, intent.key, intent.created)
    if spec.mode == "wrapped":
        copies.keep_token(ground.copies, spec, intent.uuid, made)
    act = ground.disks.format_and_open if spec.mode == "ephemeral" else ground.disks.format
    act(spec, intent.uuid, intent.key, made.to_json())


def _fits(key: Key, spec: VolumeSpec) -> bool:
    """Whether the key that was noted is still of the kind that the host's file asks for."""
    return (key.mode, key.arn, key.object) == (
        spec.mode,
        spec.key if spec.mode == "wrapped" else "",
        spec.object if spec.mode == "s3" else "",
    )


def _new_key(ground: Ground, spec: VolumeSpec) -> Key:
    if spec.mode == "wrapped":
        return ground.keys.new(spec.key, spec.context)
    return Key(spec.mode, object=spec.object)


def _open(ground: Ground, spec: VolumeSpec, facts: DiskFacts, verdict: Verdict) -> None:
    found = verdict.token
    ground.disks.open(spec, found.key if found is not None else Key("s3", object=spec.object))


def _filesystem(ground: Ground, spec: VolumeSpec, facts: DiskFacts, verdict: Verdict) -> None:
    ground.disks.make_filesystem(spec)
    _note_filesystem(ground, spec, facts)


def _mount(ground: Ground, spec: VolumeSpec, facts: DiskFacts, verdict: Verdict) -> None:
    _note_filesystem(ground, spec, facts)
    ground.disks.mount(spec)


def _log_dir(ground: Ground, spec: VolumeSpec, facts: DiskFacts, verdict: Verdict) -> None:
    ground.disks.make_log_dir(spec)


def _note_filesystem(ground: Ground, spec: VolumeSpec, facts: DiskFacts) -> None:
    """Have the token say that a file system was made: from then on none is made over it."""
    assert facts.header is not None
    found = token.current(facts.header)
    if found is not None and not found[1].filesystem:
        number, now = found
        ground.disks.token_put(spec, number, now.made(spec.filesystem).to_json())


def _settle(ground: Ground, spec: VolumeSpec, facts: DiskFacts) -> None:
    """The format is over and its intent is not needed any more."""
    if ground.intent(spec) is not None:
        ground.intend(spec, None)


def _from_copy(
    ground: Ground, spec: VolumeSpec, facts: DiskFacts, verdict: Verdict
) -> Verdict | None:
    """Where the token was lost or edited: the copy in S3 that opens the volume is written back,
    and the volume judged anew."""
    if verdict.code not in ("KO-VOLUME-TOKEN", "KO-VOLUME-NO-TOKEN") or facts.header is None:
        return None
    for kept in copies.tokens(ground.copies, spec, facts.header.uuid):
        if dict(kept.context) == spec.context and ground.disks.key_opens(spec, kept.key, kept.slot):
            ground.say(f"{spec.name}: the token's copy in S3 opens it and is written back")
            inside = spec.filesystem  # it was opened before, so nothing may be made over it
            ground.disks.token_put(spec, _number(facts), replace(kept, filesystem=inside).to_json())
            return ground.judged(spec)[1]
    return None


def _number(facts: DiskFacts) -> int:
    """The id of the token to replace: the damaged one of ours, else a free one."""
    assert facts.header is not None
    ours = [n for n, c in facts.header.tokens.items() if c.get("type") == token.TYPE]
    return ours[0] if ours else next(n for n in range(32) if n not in facts.header.tokens)


Act = Callable[[Ground, VolumeSpec, DiskFacts, Verdict], None]
ACTS: Mapping[Step, Act] = {
    Step.FORMAT: _format,
    Step.OPEN: _open,
    Step.FILESYSTEM: _filesystem,
    Step.MOUNT: _mount,
    Step.LOG_DIR: _log_dir,
}
