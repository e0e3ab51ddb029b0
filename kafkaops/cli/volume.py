"""`kafkaops volume`: the encrypted volumes of this host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import typer

from kafkaops.cli.commands import Lazy, OpsGroup, common_params

HELP = """Encrypted log volumes of this host: LUKS, with keys that KMS guards.

Which volumes there are stands in /etc/kafkaops/volumes.json (--host-file), one file a host. Every
command may be typed again: it goes on from what it finds on the disk.

\b
Examples:
  kafkaops volume status
  kafkaops volume prepare data-1
  kafkaops volume rotate
"""


class Volume(OpsGroup):
    lazy: ClassVar[Mapping[str, Lazy]] = {
        "status": Lazy("kafkaops.cli.volume_show", "State, key and copies of each.", "status_app"),
        "plan": Lazy("kafkaops.cli.volume_show", "What prepare would do to each.", "plan_app"),
        "prepare": Lazy(
            "kafkaops.cli.volume_up", "Make a volume of a blank disk; mount it.", "prepare_app"
        ),
        "open": Lazy("kafkaops.cli.volume_up", "Unlock; makes nothing.", "open_app"),
        "mount": Lazy("kafkaops.cli.volume_up", "Unlock and mount; makes nothing.", "mount_app"),
        "close": Lazy("kafkaops.cli.volume_up", "Unmount and lock.", "close_app"),
        "bench": Lazy("kafkaops.cli.volume_bench", "How fast it is, plain and encrypted."),
        "install": Lazy("kafkaops.cli.volume_install", "What opens them at boot, on each host."),
        "policy": Lazy("kafkaops.cli.volume_policy", "The least that IAM and KMS must allow."),
        "rotate": Lazy("kafkaops.cli.volume_keys", "A new data key, the data in place.", "rotate"),
        "rewrap": Lazy("kafkaops.cli.volume_keys", "The same key under another KMS key.", "rewrap"),
        "erase": Lazy("kafkaops.cli.volume_keys", "Crypto-erase, proven.", "erase_app"),
        "header-backup": Lazy(
            "kafkaops.cli.volume_keys", "Copy the LUKS header to S3, or back.", "header"
        ),
    }

    def __init__(self, **attrs: Any) -> None:
        attrs["params"] = [*(attrs.get("params") or ()), *common_params()]
        super().__init__(**attrs)


app = typer.Typer(
    cls=Volume,
    help=HELP,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.callback()
def _volume() -> None: ...
