"""The systemd unit that carries a run for days.

Invariant: what a resume can cure is tried again, a bounded number of times; what wants an operator
is not; and whatever the unit is stopped for, the run gets the time to stop where it is safe.
"""

from __future__ import annotations

import getpass
import math
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kafkaops.cli.session import current
from kafkaops.upgrade.blue_green import outage

if TYPE_CHECKING:
    from kafkaops.config.loader import Loaded
    from kafkaops.config.schema import Config

RESTARTS, WITHIN = 5, 3600
"""Starts within so many seconds, after which systemd leaves it failed."""
AFTER_LEASE = 15
"""Seconds past the end of a dead process's lease: one that is held (6) is not tried again."""
STOP = 900
"""Seconds for the longest single act that a stop waits for (a node's own stop may take 600), and
for giving back what is held of its host."""


def command(loaded: Loaded, run: str, agreed: str) -> list[str]:
    """What the unit executes: this Python, this config, and every flag that changed the config.
    `agreed` is the flag of consent: nobody is there to ask."""
    line = [sys.executable, "-m", "kafkaops", "run", "serve", run]
    line += ["-c", str(loaded.file.resolve())]
    if current().context is not None:
        line += ["--context", str(current().context)]
    for change in current().sets:
        line += ["--set", change]
    return [*line, *agreed.split()]


def stop_time(config: Config) -> int:
    """Seconds from SIGTERM to SIGKILL. In a planned outage going back waits for the names and for
    hooks, and who is killed meanwhile leaves clients stopped."""
    if config.has("cutover") and outage.planned(config):
        return STOP + math.ceil(outage.limit(config) + outage.hooks_time(config))
    return STOP


def unit_file(loaded: Loaded, run: str, agreed: str) -> str:
    """A systemd unit that carries the run, again after a failure that a resume can cure."""
    config = loaded.config
    return f"""\
[Unit]
Description=kafkaops run {run}
After=network-online.target
Wants=network-online.target
# A failure that comes again at once is an operator's: `systemctl reset-failed` lets it try again.
StartLimitIntervalSec={WITHIN}
StartLimitBurst={RESTARTS}

[Service]
Type=exec
User={getpass.getuser()}
WorkingDirectory={quoted(str(loaded.file.resolve().parent), words=False)}
# Secrets that the config names as env:NAME: NAME=value lines, readable by root alone.
EnvironmentFile=-/etc/kafkaops/{run}.env
ExecStart={" ".join(quoted(word) for word in command(loaded, run, agreed))}
# SIGTERM is the first Ctrl-C: the step at hand is finished; inside a cutover it goes back.
KillSignal=SIGTERM
KillMode=mixed
TimeoutStopSec={stop_time(config)}
# Stopped as asked: no failure, and the journal says how to go on.
SuccessExitStatus=130
# 7 timed out, 8 a step failed, killed: a resume may go on. Everything else wants an operator.
Restart=on-failure
RestartForceExitStatus=7 8
RestartPreventExitStatus=1 2 3 4 5 6 9 20 21 24 130
# A killed process's lease must be over.
RestartSec={math.ceil(config.state.lease_ttl) + AFTER_LEASE}

[Install]
WantedBy=multi-user.target
"""


def quoted(word: str, *, words: bool = True) -> str:
    """A word of a unit file: its specifiers (%), and on a command line its variables ($) and
    quoting, taken as they are."""
    plain = word.replace("%", "%%")
    if not words:
        return plain
    plain = plain.replace("$", "$$")
    if plain and not set(plain) & set(" \t\n\"'\\;"):
        return plain
    inside = plain.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{inside}"'


def told(unit: str) -> Sequence[str]:
    """What to do with the unit, for the operator."""
    return (
        f"save it as /etc/systemd/system/{unit}.service, then:",
        f"  systemd-analyze verify {unit}.service && systemctl enable --now {unit}",
        f"  journalctl -fu {unit}    or anywhere: kafkaops run watch",
        f"  systemctl stop {unit}    the first Ctrl-C;  systemctl disable {unit}  when it is over",
    )
