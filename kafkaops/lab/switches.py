"""What `lab set` changes in the emulated AWS while it runs: delays, refusals, faults, callers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kafkaops.lab import iam
from kafkaops.lab.kms_rest import Fault

if TYPE_CHECKING:
    from kafkaops.lab.front import Front


@dataclass(frozen=True)
class Switch:
    """One option: how it is shown, how a given value is read (ValueError, TypeError), and where
    what was read goes."""

    shown: Callable[[Front], Any]
    read: Callable[[Any], Any]
    put: Callable[[Front, Any], None]


def shown(front: Front) -> dict[str, Any]:
    return {name: switch.shown(front) for name, switch in SWITCHES.items()}


def change(front: Front, values: Mapping[str, Any]) -> None:
    """ValueError for an unknown option or value, and then nothing is changed."""
    unknown = set(values) - set(SWITCHES)
    if unknown:
        known = ", ".join(SWITCHES)
        raise ValueError(f"no option {', '.join(sorted(unknown))} (there are {known})")
    read = {name: SWITCHES[name].read(value) for name, value in values.items()}
    for name, value in read.items():
        SWITCHES[name].put(front, value)


def words(value: Any) -> frozenset[str]:
    """A list, or one text with commas."""
    found = value.split(",") if isinstance(value, str) else list(value)
    return frozenset(word.strip() for word in found if word.strip())


def _deny(front: Front, actions: frozenset[str]) -> None:
    front.api.denied = front.ssm.denied = front.scaling.denied = actions
    front.kms.desk.denied = front.kms.trail.denied = actions


def _of(path: str, read: Callable[[Any], Any], show: Callable[[Any], Any] = lambda v: v) -> Switch:
    """A switch that is one attribute of a part of the front."""
    *parts, last = path.split(".")

    def at(front: Front) -> Any:
        part: Any = front
        for name in parts:
            part = getattr(part, name)
        return part

    return Switch(
        lambda front: show(getattr(at(front), last)),
        read,
        lambda front, value: setattr(at(front), last, value),
    )


SWITCHES: dict[str, Switch] = {
    "insync_delay": Switch(
        lambda front: front.api.zone.delay,
        float,
        lambda front, seconds: front.api.zone.set_delay(seconds),
    ),
    "deny": Switch(lambda front: sorted(front.api.denied), words, _deny),
    "throttle": _of("api.throttle", int),
    "ssm_throttle": _of("ssm.commands.throttle", int),
    "ssm_offline": _of("ssm.commands.offline", words, sorted),
    "scaling_throttle": _of("scaling.throttle", int),
    "scaling_delay": _of("scaling.delay", float),
    "scaling_busy": _of("scaling.busy", words, sorted),
    "scaling_refreshing": _of("scaling.refreshing", words, sorted),
    "kms_throttle": _of("kms.throttle", int),
    "kms_fault": _of("kms.fault", Fault.read, str),
    "trail_delay": _of("kms.trail.delay", float),
    "callers": _of("callers.known", iam.read, iam.shown),
}
"""`insync_delay` (seconds), `deny` (IAM actions, commas between), `throttle` (how many Route 53
calls to refuse), `ssm_throttle` (the same), `ssm_offline` (instance ids without a live agent),
`scaling_throttle`, `scaling_delay` (seconds until a suspension is described), `scaling_busy` and
`scaling_refreshing` (groups with an activity or an instance refresh under way), `kms_throttle`,
`kms_fault` (a fault and how many calls it befalls: `timeout:2`), `trail_delay` (seconds until
CloudTrail tells of a call), `callers` (JSON: access key to ARN and policies)."""
