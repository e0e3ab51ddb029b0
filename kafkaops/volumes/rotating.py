"""A new data key for a volume, or its data key wrapped anew: decided step by step from the header.

    a new key is wrapped and copied to S3 -> its token (next) -> its keyslot -> proven to open
    -> its token takes the old one's place -> the old keyslot wiped -> old copies destroyed

Invariant: at every moment some token's key opens the volume, so a kill leaves it openable; and
the next `rotate` finishes what was begun before it begins anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from kafkaops.engine.errors import GuardRefused, StepFailed
from kafkaops.model.volume import Header, VolumeSpec
from kafkaops.volumes import copies, token
from kafkaops.volumes.ground import Ground
from kafkaops.volumes.token import Token
from kafkaops.volumes.verdict import State

STEPS = 12
SLOTS = 32
"""Keyslots and tokens of a LUKS2 header."""


class Turn(StrEnum):
    """The next step of a rotation that the header shows."""

    BEGIN = "make a new key"
    ADD = "add its keyslot"
    PROVE = "prove that it opens, and make it the key"
    CLEAR = "drop the token that is there twice"
    WIPE = "wipe the old keyslot"
    FORGET = "destroy copies of the old key and header"
    NONE = "nothing"


@dataclass(frozen=True)
class Rotated:
    """`resumed` when an earlier rotation was finished, and no new key was made."""

    turns: tuple[Turn, ...]
    resumed: bool


def turn(header: Header) -> Turn:
    """What comes next by the header alone; BEGIN where no rotation is under way. Pure."""
    found, new = token.current(header), token.coming(header)
    assert found is not None
    now = found[1]
    if new is not None:
        if new[1].key == now.key:
            return Turn.CLEAR
        return Turn.PROVE if new[1].slot in header.slots else Turn.ADD
    if any(slot in header.slots for slot in now.retire):
        return Turn.WIPE
    return Turn.FORGET if now.retire else Turn.BEGIN


def rotate(ground: Ground, spec: VolumeSpec) -> Rotated:
    """Give the volume a new data key; open or locked, mounted or not. Finishes a rotation that
    was begun, and makes no new key then. GuardRefused where the volume is not ours to open."""
    _refuse_mode(spec, "rotate")
    taken: list[Turn] = []
    began = False
    for _ in range(STEPS):
        header = openable(ground, spec)
        step = turn(header)
        if step is Turn.BEGIN:
            if taken:
                return Rotated(tuple(taken), resumed=not began)
            began = True
        ground.say(f"{spec.name}: {step}")
        TURNS[step](ground, spec, header)
        taken.append(step)
    raise StepFailed("KO-VOLUME-STUCK", f"{spec.name}: {', '.join(taken)}", where=spec.device)


def rewrap(ground: Ground, spec: VolumeSpec, arn: str) -> bool:
    """Wrap the same data key by another KMS key, or by the newest material of the same one: no
    keyslot changes. False when a rotation is under way, which goes first."""
    _refuse_mode(spec, "rewrap")
    header = openable(ground, spec)
    if turn(header) is not Turn.BEGIN:
        raise GuardRefused(
            "KO-VOLUME-ROTATING",
            f"a rotation of {spec.name} was begun and is not finished",
            where=spec.device,
            hint=f"kafkaops volume rotate {spec.name}",
        )
    number, now = _now(header)
    wrapped = ground.keys.rewrap(now.key, arn)
    if not ground.disks.key_opens(spec, wrapped, now.slot):
        raise StepFailed(
            "KO-VOLUME-REWRAP",
            f"what KMS gave back does not open {spec.device}: nothing was changed",
            where=spec.name,
        )
    renewed = replace(now, key=wrapped)
    copies.keep_token(ground.copies, spec, header.uuid, renewed)
    ground.disks.token_put(spec, number, renewed.to_json())
    _forget_copies(ground, spec, header.uuid, renewed)
    return True


def openable(ground: Ground, spec: VolumeSpec) -> Header:
    """The header of a volume of ours that has its key; GuardRefused with the verdict's code."""
    facts, verdict = ground.judged(spec)
    if verdict.state not in (State.LOCKED, State.ACTIVE) or facts.header is None:
        raise GuardRefused(
            verdict.code or "KO-VOLUME-BLANK",
            verdict.why or f"{spec.device} is {verdict.state}: there is no key in it",
            where=spec.name,
            hint=verdict.hint or f"kafkaops volume prepare {spec.name}",
        )
    if verdict.token is None and token.current(facts.header) is None:
        raise GuardRefused(
            "KO-VOLUME-NO-TOKEN",
            f"{spec.device} has no token of kafkaops: its password is the recipe's",
            where=spec.name,
        )
    return facts.header


def _begin(ground: Ground, spec: VolumeSpec, header: Header) -> None:
    _, now = _now(header)
    key = ground.keys.new(spec.key, spec.context)
    new = Token(
        slot=_free(header.slots),
        key=key,
        context=spec.context,
        created=ground.clock.wall(),
        role="next",
        filesystem=now.filesystem,
    )
    copies.keep_token(ground.copies, spec, header.uuid, replace(new, role="now"))
    ground.disks.token_put(spec, _free(tuple(header.tokens)), new.to_json())


def _add(ground: Ground, spec: VolumeSpec, header: Header) -> None:
    _, new = _coming(header)
    ground.disks.slot_add(spec, _now(header)[1].key, new.key, new.slot)


def _prove(ground: Ground, spec: VolumeSpec, header: Header) -> None:
    number, now = _now(header)
    _, new = _coming(header)
    if not ground.disks.key_opens(spec, new.key, new.slot):
        raise StepFailed(
            "KO-VOLUME-NEW-KEY",
            f"the new key does not open keyslot {new.slot} of {spec.device};"
            f" the old one stays in keyslot {now.slot}",
            where=spec.name,
            hint="see `cryptsetup luksDump` on the host",
        )
    took = replace(new, role="now", filesystem=now.filesystem, retire=(*now.retire, now.slot))
    ground.disks.token_put(spec, number, took.to_json())


def _clear(ground: Ground, spec: VolumeSpec, header: Header) -> None:
    ground.disks.token_drop(spec, _coming(header)[0])


def _wipe(ground: Ground, spec: VolumeSpec, header: Header) -> None:
    _, now = _now(header)
    for slot in now.retire:
        if slot in header.slots:
            ground.disks.slot_kill(spec, slot, now.key)


def _forget(ground: Ground, spec: VolumeSpec, header: Header) -> None:
    """Header copies made before the old keyslot was wiped still open with the old key."""
    number, now = _now(header)
    _forget_copies(ground, spec, header.uuid, now)
    for uri in copies.headers(ground.copies, spec, header.uuid):
        ground.copies.delete(uri)
    ground.disks.token_put(spec, number, replace(now, retire=()).to_json())


def _forget_copies(ground: Ground, spec: VolumeSpec, uuid: str, kept: Token) -> None:
    if not spec.copies:
        return
    keep = copies.token_uri(spec, uuid, kept)
    for uri in ground.copies.listed(copies.home(spec, uuid)):
        if uri.endswith(".json") and uri != keep:
            ground.copies.delete(uri)


def _now(header: Header) -> tuple[int, Token]:
    found = token.current(header)
    assert found is not None
    return found


def _coming(header: Header) -> tuple[int, Token]:
    found = token.coming(header)
    assert found is not None
    return found


def _free(taken: tuple[int, ...]) -> int:
    return next(n for n in range(SLOTS) if n not in taken)


def _refuse_mode(spec: VolumeSpec, verb: str) -> None:
    if spec.mode != "wrapped":
        raise GuardRefused(
            "KO-VOLUME-MODE",
            f"the key of {spec.name} is {spec.mode}: there is nothing to {verb}",
            where=spec.device,
            hint="a volume key is renewed by wiping, from the operator's machine: `kafkaops volume"
            " rotate --cluster blue|green --volume-key`",
        )


Act = Callable[[Ground, VolumeSpec, Header], None]
TURNS: Mapping[Turn, Act] = {
    Turn.BEGIN: _begin,
    Turn.ADD: _add,
    Turn.PROVE: _prove,
    Turn.CLEAR: _clear,
    Turn.WIPE: _wipe,
    Turn.FORGET: _forget,
}
