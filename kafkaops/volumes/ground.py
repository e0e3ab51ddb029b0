"""What the volumes of one host stand on: its disks, KMS, copies in S3, and a small memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kafkaops.engine.clock import Clock
from kafkaops.engine.errors import ConfigError
from kafkaops.model.volume import DiskFacts, VolumeSpec
from kafkaops.ports.disks import Disks, Key
from kafkaops.ports.facts import Facts
from kafkaops.ports.keys import Copies, Keys
from kafkaops.volumes.host_file import MEMORY
from kafkaops.volumes.state import judge
from kafkaops.volumes.verdict import Intent, Verdict


def _as_it_is(spec: VolumeSpec) -> VolumeSpec:
    return spec


@dataclass(frozen=True)
class Ground:
    """`facts` outlives a reboot: on the host's root disk. `say` shows one line of progress.
    `locate` gives the volume on the device that it is on now: a disk may come late."""

    disks: Disks
    keys: Keys
    copies: Copies
    facts: Facts
    clock: Clock
    say: Callable[[str], None]
    locate: Callable[[VolumeSpec], VolumeSpec] = _as_it_is

    def judged(self, spec: VolumeSpec) -> tuple[DiskFacts, Verdict]:
        """One look, and the verdict on it."""
        facts = self.disks.look(spec)
        return facts, judge(spec, facts, self.intent(spec))

    def intent(self, spec: VolumeSpec) -> Intent | None:
        """What was written down before a format of this volume began."""
        found = self.facts.get(_intent(spec))
        return None if not found else intent_of(found, spec)

    def intend(self, spec: VolumeSpec, intent: Intent | None) -> None:
        self.facts.put(_intent(spec), None if intent is None else intent_json(intent))


def intent_json(intent: Intent) -> dict[str, Any]:
    key = intent.key
    return {
        "device": intent.device,
        "uuid": intent.uuid,
        "created": intent.created,
        "mode": key.mode,
        "arn": key.arn,
        "ciphertext": key.ciphertext,
        "context": dict(key.context),
        "object": key.object,
    }


def intent_of(found: Mapping[str, Any], spec: VolumeSpec) -> Intent:
    try:
        key = Key(
            mode=found["mode"],
            arn=found["arn"],
            ciphertext=found["ciphertext"],
            context=dict(found["context"]),
            object=found["object"],
        )
        return Intent(
            str(found["device"]), str(found["uuid"]), key, created=float(found["created"])
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            "KO-VOLUME-MEMORY",
            f"what was noted of volume {spec.name} before its format is damaged: {error}",
            hint=f"`rm {note(spec)}`, then repeat; a disk whose format was cut off takes"
            f" `kafkaops volume prepare {spec.name} --reformat {spec.label}` then",
        ) from error


def note(spec: VolumeSpec) -> str:
    """The file in which a host keeps what was noted of a volume."""
    return f"{MEMORY}/{_intent(spec)}.json"


def _intent(spec: VolumeSpec) -> str:
    return f"volume-{spec.name}"
