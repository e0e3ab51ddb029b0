"""Which part of the code conducts a run, by its plan's `operation`; imported when asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

from kafkaops.engine.errors import ConfigError

if TYPE_CHECKING:
    from kafkaops.ports.operation import Operation


def _blue_green() -> Operation:
    from kafkaops.upgrade.blue_green.operation import BlueGreen

    return BlueGreen()


def _restart() -> Operation:
    from kafkaops.upgrade.rolling.operation import Restart

    return Restart()


def _features() -> Operation:
    from kafkaops.features.operation import FeatureChange

    return FeatureChange()


def _placement() -> ModuleType:
    from kafkaops.placement.applying import operation

    return operation


def _downtime() -> Operation:
    from kafkaops.upgrade.downtime.operation import Outage

    return Outage()


def _protocol() -> Operation:
    from kafkaops.upgrade.protocol.operation import Raise

    return Raise()


def _rolling() -> Operation:
    from kafkaops.upgrade.rolling.upgrade import RollingUpgrade

    return RollingUpgrade()


def _renewal() -> Operation:
    from kafkaops.upgrade.rolling.renewal import Renewal

    return Renewal()


def _volumes() -> Operation:
    from kafkaops.volumes.cluster.operation import VolumeWork

    return VolumeWork()


CONDUCT: Mapping[str, Callable[[], Operation | ModuleType]] = {
    "blue-green": _blue_green,
    "blue-green-back": _blue_green,
    "blue-green-finalize": _blue_green,
    "names-to-blue": _blue_green,
    "names-to-green": _blue_green,
    "clear": _blue_green,
    "restart": _restart,
    "features": _features,
    "protocol": _protocol,
    "rolling": _rolling,
    "rolling-back": _rolling,
    "downtime": _downtime,
    "downtime-back": _downtime,
    "placement": _placement,
    "placement-back": _placement,
    "renew": _renewal,
    "volumes": _volumes,
}
"""A plan's `operation` to what conducts it: an `Operation`, or a module with its four functions."""


def conducted(operation: str) -> Any:
    """What conducts it. ConfigError for an operation that this kafkaops does not know."""
    if operation not in CONDUCT:
        raise ConfigError(
            "KO-OPERATION-UNKNOWN",
            f"this kafkaops does not know the operation {operation!r}",
            hint="use the version that made the plan",
        )
    return CONDUCT[operation]()
