"""What a disk with a LUKS header is: a volume of ours, whose, or a stranger's. Pure."""

from __future__ import annotations

from kafkaops.model.volume import DiskFacts, Header, VolumeSpec
from kafkaops.volumes import token as tokens
from kafkaops.volumes.state_open import opened, strange_mapping
from kafkaops.volumes.token import Damaged, Token
from kafkaops.volumes.verdict import Intent, State, Verdict, refused


def with_header(
    spec: VolumeSpec, facts: DiskFacts, header: Header, intent: Intent | None
) -> Verdict:
    if facts.mapping is not None and facts.mapping.uuid != header.uuid:
        return strange_mapping(spec, facts.mapping.uuid)
    if unreadable(header):
        return _unread(spec, facts, header, intent)
    if spec.mode == "s3" and not header.label and not header.tokens:
        return opened(spec, facts, None)  # the recipe's own volumes bear neither
    try:
        found = tokens.current(header)
    except Damaged as error:
        return refused(
            State.DAMAGED,
            "KO-VOLUME-TOKEN",
            f"the token of {facts.device} is not as kafkaops wrote it: {error}",
            f"`kafkaops volume open {spec.name}` takes the copy in S3, where there is one",
        )
    if found is None:
        return _tokenless(spec, facts, header)
    token = found[1]
    if strange := _stranger(spec, facts, token):
        return strange
    if token.slot not in header.slots:
        return refused(
            State.DAMAGED,
            "KO-VOLUME-ERASED",
            f"keyslot {token.slot} of {facts.device} is gone: the volume was erased,"
            " nothing opens it",
            f"a new one: `kafkaops volume prepare {spec.name} --reformat {spec.label}`",
            override=facts.mapping is None,
        )
    strange_too = [s.kind for s in facts.signatures if s.kind != "crypto_LUKS"]
    if header.torn and strange_too and facts.mapping is None:
        return refused(
            State.FOREIGN,
            "KO-VOLUME-OVERWRITTEN",
            f"{facts.device} was a volume of ours, and shows {', '.join(strange_too)} now:"
            f" {header.torn}",
            "look at what wrote there; opening it would write the header over that",
        )
    if header.harm and facts.mapping is None and (intent is None or intent.uuid != header.uuid):
        return refused(
            State.DAMAGED,
            "KO-VOLUME-HEADER",
            f"the LUKS header of {facts.device} is harmed: {header.harm}",
            write_back(spec),
        )
    return opened(spec, facts, token)


def unreadable(header: Header) -> bool:
    """Whether neither of its copies reads."""
    return bool(header.harm) and not header.uuid


def _unread(spec: VolumeSpec, facts: DiskFacts, header: Header, intent: Intent | None) -> Verdict:
    """Both copies of a header are there and neither reads: whose it was is told by nothing, so it
    may be a volume of ours that its copy in S3 opens again. Never formatted by the typed override,
    but where a format of this very disk was begun and not seen to its end."""
    begun = intent is not None and intent.device == facts.identity
    anew = (
        f"a format of this disk was begun: `kafkaops volume prepare {spec.name}"
        f" --reformat {spec.label}` makes it anew"
    )
    return refused(
        State.DAMAGED,
        "KO-VOLUME-HEADER",
        f"the LUKS header of {facts.device} is harmed: {header.harm}",
        anew
        if begun
        else f"{write_back(spec)}; without one nothing opens it again, and"
        f" `wipefs --all {facts.device}` lets `prepare` go on",
        override=begun,
    )


def write_back(spec: VolumeSpec) -> str:
    return (
        f"`kafkaops volume header-backup {spec.name} --restore URI` writes a copy back;"
        f" `kafkaops volume status {spec.name} -o json` lists them"
    )


def _stranger(spec: VolumeSpec, facts: DiskFacts, token: Token) -> Verdict | None:
    """Whose volume it is, told by what its key is bound to."""
    mine = spec.context
    for name, code, what in (
        ("cluster", "KO-VOLUME-OTHER-CLUSTER", "cluster"),
        ("broker_id", "KO-VOLUME-OTHER-BROKER", "node"),
        ("volume", "KO-VOLUME-OTHER-VOLUME", "volume"),
    ):
        theirs = token.context.get(name, "")
        if theirs != mine[name]:
            return refused(
                State.FOREIGN,
                code,
                f"{facts.device} is the volume of {what} {theirs or 'unknown'},"
                f" this is {mine[name]}",
                "put the disk where it belongs; if it may be lost:"
                f" `kafkaops volume prepare {spec.name} --reformat {spec.label}`",
                override=facts.mapping is None,
            )
    return None


def _tokenless(spec: VolumeSpec, facts: DiskFacts, header: Header) -> Verdict:
    """A header without a token of ours: ours that lost it, one of the older recipe, which bears
    nothing that tells whose it is, or a stranger's."""
    if not header.label and not header.tokens:
        return _of_the_recipe(spec, facts, header)
    lost = header.label == spec.label
    return refused(
        State.DAMAGED if lost else State.FOREIGN,
        "KO-VOLUME-NO-TOKEN" if lost else "KO-VOLUME-LUKS-OTHER",
        f"{facts.device} holds a LUKS{header.version} volume {header.uuid}"
        + (f" labelled {header.label!r}" if header.label else "")
        + (", whose token is gone" if lost else ", which is not of kafkaops"),
        (f"`kafkaops volume open {spec.name}` takes the copy in S3, where there is one; " * lost)
        + f"if it may be lost: `kafkaops volume prepare {spec.name} --reformat {spec.label}`",
        override=facts.mapping is None,
    )


def _of_the_recipe(spec: VolumeSpec, facts: DiskFacts, header: Header) -> Verdict:
    """It may hold a broker's data under a password in S3: the hint leads to that, and names no
    format, which the typed override still allows."""
    return refused(
        State.FOREIGN,
        "KO-VOLUME-RECIPE",
        f"{facts.device} holds a LUKS{header.version} volume {header.uuid} without label or token:"
        " it looks like one of the older recipe, whose password is in S3",
        "set `mode: s3` with its `object` in the config's `volumes`, then `kafkaops volume install`"
        " on the operator's machine: it opens as before",
        override=facts.mapping is None,
    )
