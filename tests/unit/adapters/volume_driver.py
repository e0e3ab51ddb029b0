"""One operation on a volume, as a process of its own: `volume_driver.py ROOT` with what to do as
JSON on standard input. It knows no key byte; the process that it starts does."""

from __future__ import annotations

import json
import sys

sys.path.insert(0, sys.argv[1])

from kafkaops.adapters.disk_tools import Tools
from kafkaops.adapters.key_caller import KeyCaller
from kafkaops.adapters.key_request import Account
from kafkaops.adapters.luks_disks import LuksDisks
from kafkaops.engine.errors import OpsError
from kafkaops.model.volume import VolumeSpec
from kafkaops.ports.disks import Key

UUID = "3f2b8c1e-5a70-4d0b-9d43-0c8f4a1f2e77"
TOKEN = {"type": "kafkaops-volume", "keyslots": ["0"]}


def main() -> None:
    asked = json.load(sys.stdin)
    account = Account(endpoint_url=asked["endpoint"])
    disks = LuksDisks(
        account,
        keys=KeyCaller(account, argv=asked["argv"]),
        tools=Tools(asked["path"], uid=lambda: 0),
    )
    spec = VolumeSpec("blue", 3, "d1", asked["device"], "/none")
    old, new = (Key("wrapped", arn="arn", ciphertext=name) for name in ("old", "new"))
    operations = {
        "format": lambda: disks.format(spec, UUID, old, TOKEN),
        "key_opens": lambda: disks.key_opens(spec, old),
        "slot_add": lambda: disks.slot_add(spec, old, new, 1),
        "slot_kill": lambda: disks.slot_kill(spec, 0, new),
    }
    try:
        print(f"ended with {operations[asked['operation']]()}")
    except OpsError as error:
        print(f"{error.code}: {error.message}", file=sys.stderr)


if __name__ == "__main__":
    main()
