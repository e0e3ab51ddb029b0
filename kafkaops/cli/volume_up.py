"""`kafkaops volume prepare|open|mount|close`: a disk brought up for Kafka, and down again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kafkaops.cli import consent
from kafkaops.cli.commands import OpsCommand, make_app
from kafkaops.cli.consent_flags import Reason, Yes
from kafkaops.cli.volume_cluster import (
    Agreed,
    Cluster,
    ForCluster,
    New,
    Only,
    Out,
    Planned,
    alone,
    work,
)
from kafkaops.cli.volume_here import DEFAULT, HostFileAt, Names, each, here

if TYPE_CHECKING:
    from kafkaops.model.volume import VolumeSpec
    from kafkaops.volumes.preparing import Done

prepare_app = make_app("Make and mount a volume.")
open_app = make_app("Unlock a volume.")
mount_app = make_app("Unlock and mount a volume.")
close_app = make_app("Unmount and lock a volume.")

Reformat = Annotated[
    str,
    typer.Option(
        "--reformat",
        metavar="LABEL",
        help="Format this volume though its disk is not blank: ALL that is on it is lost.",
    ),
]
Confirm = Annotated[
    str | None,
    typer.Option(
        "--confirm",
        metavar="NAME",
        help="Agree to format a controller's blank disk: its label; with --cluster the config's.",
    ),
]

Wait = Annotated[
    bool, typer.Option("--wait", help="While the key is not to be had, say why and try on.")
]


@prepare_app.command(cls=OpsCommand)
def prepare(
    names: Names = None,
    host_file: HostFileAt = DEFAULT,
    reformat: Reformat = "",
    yes: Yes = False,
    confirm: Confirm = None,
    cluster: Cluster = "",
    only: Only = None,
    plan: Planned = False,
    out: Out = None,
    new: New = False,
    reason: Reason = "",
) -> int:
    """Bring each volume up: format where the disk is blank, unlock, make a file system, mount.

    A disk that holds anything is refused; `volume plan` says what. A broker whose disk is new has
    to replicate all its partitions again.

    \b
    Examples:
      kafkaops volume prepare
      kafkaops volume prepare data-1 --yes
      kafkaops volume prepare data-1 --reformat kafkaops/prod/3/data-1
      kafkaops volume prepare --cluster blue --only blue-3 --plan
    """
    if cluster:
        agreed = (yes, confirm, reason)
        return work("prepare", cluster, only, names, agreed, plan=plan, out=out, new=new)
    alone(only=only, plan=plan, out=out, reason=reason, **{"new-cluster": new})
    from kafkaops.engine.errors import UsageFault
    from kafkaops.volumes import looks
    from kafkaops.volumes.preparing import Consent, bring_up
    from kafkaops.volumes.verdict import Step

    _, ground, specs = here(host_file, names)
    labels = [spec.label for spec in specs]
    if reformat and reformat not in labels:
        raise UsageFault(
            "KO-VOLUME-LABEL",
            f"--reformat {reformat} is the label of no volume asked for",
            hint=f"their labels: {', '.join(labels)}",
        )
    for spec in specs:
        blank = looks.look(ground, spec, remote=False).verdict.step is Step.FORMAT
        if blank and reformat != spec.label:
            _agree(spec, yes=yes, confirm=confirm)
    allowed = Consent(blank=True, reformat=reformat)
    return each(specs, lambda spec: bring_up(ground, spec, allowed), _told)


@open_app.command("open", cls=OpsCommand)
def open_(
    names: Names = None,
    host_file: HostFileAt = DEFAULT,
    wait: Wait = False,
    cluster: Cluster = "",
    only: Only = None,
    yes: ForCluster = False,
    confirm: Agreed = None,
    plan: Planned = False,
    reason: Reason = "",
) -> int:
    """Unlock each volume and leave the mount to systemd; formats nothing. Runs at boot.

    \b
    Examples:
      kafkaops volume open data-1
      kafkaops volume open --cluster blue --only blue-3 --yes
    """
    if cluster:
        return work("open", cluster, only, names, (yes, confirm, reason), plan=plan)
    alone(only=only, plan=plan, reason=reason, yes=yes, confirm=confirm)
    from kafkaops.volumes.preparing import bring_up
    from kafkaops.volumes.waiting import until_it_opens

    _, ground, specs = here(host_file, names)

    def opened(spec: VolumeSpec) -> Done:
        if not wait:
            return bring_up(ground, spec, mount=False)
        return until_it_opens(
            lambda: bring_up(ground, ground.locate(spec), mount=False),
            *(ground.clock, ground.say, spec.name),
        )

    return each(specs, opened, _told)


@mount_app.command(cls=OpsCommand)
def mount(
    names: Names = None,
    host_file: HostFileAt = DEFAULT,
    cluster: Cluster = "",
    only: Only = None,
    yes: ForCluster = False,
    confirm: Agreed = None,
    plan: Planned = False,
    reason: Reason = "",
) -> int:
    """Unlock and mount each volume; formats nothing.

    \b
    Examples:
      kafkaops volume mount
      kafkaops volume mount --cluster blue --yes
    """
    if cluster:
        return work("mount", cluster, only, names, (yes, confirm, reason), plan=plan)
    alone(only=only, plan=plan, reason=reason, yes=yes, confirm=confirm)
    from kafkaops.volumes.preparing import bring_up

    _, ground, specs = here(host_file, names)
    return each(specs, lambda spec: bring_up(ground, spec), _told)


@close_app.command(cls=OpsCommand)
def close(
    names: Names = None,
    host_file: HostFileAt = DEFAULT,
    cluster: Cluster = "",
    only: Only = None,
    yes: ForCluster = False,
    confirm: Agreed = None,
    plan: Planned = False,
    reason: Reason = "",
) -> int:
    """Unmount and lock each volume; refused while a process has files open there.

    \b
    Examples:
      systemctl stop kafka && kafkaops volume close
      kafkaops volume close --cluster blue --only blue-3 --plan
    """
    if cluster:
        return work("close", cluster, only, names, (yes, confirm, reason), plan=plan)
    alone(only=only, plan=plan, reason=reason, yes=yes, confirm=confirm)
    from kafkaops.volumes.closing import close as closed

    _, ground, specs = here(host_file, names)
    return each(
        specs,
        lambda spec: closed(ground, spec),
        lambda did: "locked" if did else "it was locked",
    )


def _agree(spec: VolumeSpec, *, yes: bool, confirm: str | None) -> None:
    """A controller that forgets can lose what the quorum committed: never by --yes alone."""
    what = f"This formats {spec.device} for {spec.name}; node {spec.node} starts empty there"
    if not spec.voter:
        what += " and replicates its partitions again."
    else:
        what += ": a voter that forgets can lose committed metadata."
    consent.require(
        consent.tier_of(changes=True, severe=spec.voter),
        what,
        name=spec.label,
        yes=yes,
        confirm=confirm,
    )


def _told(done: Done) -> str:
    return ", ".join(done.steps) if done.steps else "nothing to do"
