"""Consent in three tiers: none for reads, y/N for the disruptive, the name typed for the severe.

Invariant: prompts go to stderr; where no terminal can answer nothing is asked, and the error
names the flag that answers.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from kafkaops.cli.session import current
from kafkaops.engine.errors import Exit, OpsError, UsageFault

if TYPE_CHECKING:
    from kafkaops.config.loader import Loaded


class Tier(Enum):
    READ = "read"
    DISRUPTIVE = "disruptive"
    SEVERE = "severe"


def tier_of(*, changes: bool, severe: bool = False, protected: bool = False) -> Tier:
    """`protected` clusters make every change severe."""
    if not changes:
        return Tier.READ
    return Tier.SEVERE if severe or protected else Tier.DISRUPTIVE


def protected(loaded: Loaded) -> bool:
    """Whether a cluster of the config is."""
    return any(spec.protected for spec in loaded.config.clusters.values())


def require(tier: Tier, what: str, *, name: str, yes: bool, confirm: str | None) -> None:
    """Return when the operator agrees to `what` on `name`; else raise.

    `yes` is `--yes`, which never satisfies SEVERE; `confirm` is `--confirm NAME`. Raises
    UsageFault (no terminal, flag missing; a wrong name) or the decline (exit 3).
    """
    if confirm is not None and confirm != name:
        raise UsageFault(
            "KO-CONSENT-NAME",
            f"--confirm {confirm} does not name what would change: {name}",
            hint=f"--confirm {name}, if that is what you mean",
        )
    if tier is Tier.READ or confirm == name or (tier is Tier.DISRUPTIVE and yes):
        return
    flag = f"--confirm {name}" if tier is Tier.SEVERE else "--yes"
    terminal = current().operations.terminal()
    if not terminal.interactive():
        raise UsageFault(
            "KO-CONSENT-MISSING",
            f"{what} It needs consent, and there is no terminal to ask at",
            where=name,
            hint=f"repeat the command with {flag}",
        )
    if tier is Tier.SEVERE:
        agreed = terminal.ask(f"{what}\nType the name {name} to go on: ") == name
    else:
        agreed = terminal.ask(f"{what}\nGo on? [y/N] ").lower() in ("y", "yes")
    if not agreed:
        raise declined(what)


def declined(what: str) -> OpsError:
    return OpsError(
        "KO-DECLINED", f"not agreed to: {what}", hint="nothing was changed", exit=Exit.DECLINED
    )
