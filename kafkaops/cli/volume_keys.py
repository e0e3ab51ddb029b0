"""`kafkaops volume rotate|rewrap|erase|header-backup`: keys and headers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kafkaops.cli import consent
from kafkaops.cli.commands import OpsCommand, make_app
from kafkaops.cli.consent_flags import Reason, Yes
from kafkaops.cli.output import Text, emit
from kafkaops.cli.volume_cluster import Agreed, Cluster, ForCluster, Only, Planned, alone, work
from kafkaops.cli.volume_here import DEFAULT, HostFileAt, Names, each, here
from kafkaops.engine.errors import Exit
from kafkaops.model.words import counted

if TYPE_CHECKING:
    from kafkaops.volumes.rotating import Rotated

rotate = make_app("A new data key.")
rewrap = make_app("The same data key, wrapped anew.")
erase_app = make_app("Make a volume unreadable for ever.")
header = make_app("Copies of LUKS headers.")

Confirm = Annotated[
    str | None, typer.Option("--confirm", metavar="LABEL", help="Agree, by the volume's label.")
]
One = Annotated[
    list[str] | None,
    typer.Argument(metavar="[VOLUME...]", help="Which one; with --cluster default all."),
]
Named = Annotated[
    str | None,
    typer.Option(
        "--confirm",
        metavar="NAME",
        help="Agree: by the volume's label; with --cluster by the config's name.",
    ),
]


@rotate.command("rotate", cls=OpsCommand)
def rotate_(
    names: Names = None,
    host_file: HostFileAt = DEFAULT,
    yes: Yes = False,
    cluster: Cluster = "",
    only: Only = None,
    plan: Planned = False,
    confirm: Agreed = None,
    reason: Reason = "",
    volume_key: Annotated[
        bool,
        typer.Option(
            "--volume-key",
            help="With --cluster: wipe each broker's volumes in turn; they replicate again.",
        ),
    ] = False,
    return_timeout: Annotated[
        float,
        typer.Option(
            "--return-timeout",
            metavar="SECONDS",
            min=60,
            help="With --volume-key: in sync by then.",
        ),
    ] = 86400.0,
) -> int:
    """Give each volume a new data key while it stays mounted; the old one opens nothing afterwards.

    The volume key inside the header stays: who copied a header and its key before can still read
    what is on the disk. `--volume-key` makes the volumes anew, one broker after the other through
    the same gates as a restart, and each replicates all that it held.

    \b
    Examples:
      kafkaops volume rotate
      kafkaops volume rotate data-1 --yes
      kafkaops volume rotate --cluster blue --yes --reason CHG-1234
      kafkaops volume rotate --cluster blue --volume-key --only blue-3 --plan
    """
    if volume_key:
        return _renewed(cluster, only, names, (yes, confirm, reason), plan, return_timeout)
    if cluster:
        return work("rotate", cluster, only, names, (yes, confirm, reason), plan=plan)
    alone(only=only, plan=plan, confirm=confirm, reason=reason)
    from kafkaops.volumes.rotating import rotate as rotated

    host, ground, specs = here(host_file, names)
    _agree(f"This gives {_of(specs)} a new data key.", f"node-{host.node}", yes)
    return each(specs, lambda spec: rotated(ground, spec), _turned)


@rewrap.command("rewrap", cls=OpsCommand)
def rewrap_(
    names: Names = None,
    host_file: HostFileAt = DEFAULT,
    key: Annotated[
        str, typer.Option("--key", metavar="ARN", help="Default: the host file's key.")
    ] = "",
    yes: Yes = False,
    cluster: Cluster = "",
    only: Only = None,
    plan: Planned = False,
    confirm: Agreed = None,
    reason: Reason = "",
) -> int:
    """Have KMS wrap each data key anew (ReEncrypt): under another key, or newer material of it.

    \b
    Examples:
      kafkaops volume rewrap
      kafkaops volume rewrap --key arn:aws:kms:eu-west-1:111122223333:key/0f0e...
      kafkaops volume rewrap --cluster blue --yes
    """
    if cluster:
        agreed = (yes, confirm, reason)
        return work("rewrap", cluster, only, names, agreed, key=key, plan=plan)
    alone(only=only, plan=plan, confirm=confirm, reason=reason)
    from kafkaops.volumes.rotating import rewrap as rewrapped

    host, ground, specs = here(host_file, names)
    _agree(f"This wraps the data key of {_of(specs)} anew.", f"node-{host.node}", yes)
    return each(
        specs,
        lambda spec: rewrapped(ground, spec, key or spec.key),
        lambda _: f"wrapped by {key or 'the key of the host file'}",
    )


@erase_app.command(cls=OpsCommand)
def erase(
    names: One = None,
    host_file: HostFileAt = DEFAULT,
    confirm: Named = None,
    cluster: Cluster = "",
    only: Only = None,
    plan: Planned = False,
    reason: Reason = "",
) -> int:
    """Wipe every keyslot, prove that the key opens nothing, delete the copies, zero the headers.

    One volume of this host, which is to be closed; or, of a cluster, those of hosts that left it:
    a node that still holds a replica, or votes, is refused.

    \b
    Examples:
      kafkaops volume close data-1 && kafkaops volume erase data-1
      kafkaops volume erase data-1 --confirm kafkaops/prod/3/data-1
      kafkaops volume erase --cluster blue --only blue-3 --plan
    """
    from kafkaops.engine.errors import UsageFault
    from kafkaops.volumes.erasing import erase as erased

    if cluster:
        if not only:
            raise UsageFault(
                "KO-USAGE",
                "erase of a whole cluster is not offered: name the hosts that left it",
                hint="--only HOST",
            )
        return work("erase", cluster, only, names, (False, confirm, reason), plan=plan)
    alone(only=only, plan=plan, reason=reason)
    if not names or len(names) != 1:
        raise UsageFault(
            "KO-USAGE", "erase takes one volume", hint="kafkaops volume status lists them"
        )
    _, ground, [spec] = here(host_file, names)
    consent.require(
        consent.Tier.SEVERE,
        f"This makes everything on {spec.device} unreadable for ever.",
        name=spec.label,
        yes=False,
        confirm=confirm,
    )
    done = erased(ground, spec)
    proof = "the key was tried and opens nothing" if done.proven else "there was no key to try"
    emit(
        {"volume": spec.name, "proven": done.proven, "deleted": list(done.copies)},
        Text(f"{spec.name} is erased: {proof}; {len(done.copies)} copies deleted"),
    )
    return Exit.OK


@header.command("header-backup", cls=OpsCommand)
def header_backup(
    names: Names = None,
    host_file: HostFileAt = DEFAULT,
    restore: Annotated[
        str, typer.Option("--restore", metavar="URI", help="Write this copy back instead.")
    ] = "",
    confirm: Confirm = None,
    cluster: Cluster = "",
    only: Only = None,
    yes: ForCluster = False,
    plan: Planned = False,
    reason: Reason = "",
) -> int:
    """Copy each LUKS header to S3; or write one copy back to the volume it came from.

    \b
    Examples:
      kafkaops volume header-backup
      kafkaops volume header-backup --cluster blue --yes
      kafkaops volume header-backup data-1 --restore s3://keys/volumes/prod/3/data-1/...
    """
    from kafkaops.engine.errors import UsageFault
    from kafkaops.volumes import headers

    if cluster and restore:
        raise UsageFault(
            "KO-USAGE", "--restore writes to one volume of one host", hint="run it on that host"
        )
    if cluster:
        return work("header-backup", cluster, only, names, (yes, confirm, reason), plan=plan)
    alone(only=only, plan=plan, yes=yes, reason=reason)
    _, ground, specs = here(host_file, names)
    if not restore:
        return each(specs, lambda spec: headers.backup(ground, spec), str)
    if len(specs) != 1:
        raise UsageFault(
            "KO-USAGE", "--restore writes to one volume", hint="name the volume before --restore"
        )
    [spec] = specs
    consent.require(
        consent.Tier.SEVERE,
        f"This overwrites the LUKS header of {spec.device}.",
        name=spec.label,
        yes=False,
        confirm=confirm,
    )
    headers.restore(ground, spec, restore)
    emit({"volume": spec.name, "restored": restore}, Text(f"{spec.name}: the copy opens again"))
    return Exit.OK


def _renewed(
    cluster: str,
    only: list[str] | None,
    names: list[str] | None,
    agreed: tuple[bool, str | None, str],
    plan: bool,
    return_timeout: float,
) -> int:
    from kafkaops.cli import rolls
    from kafkaops.cli.carry import Orders
    from kafkaops.cli.job import Wish, colour_of
    from kafkaops.engine.errors import UsageFault
    from kafkaops.upgrade.rolling.choosing import Options

    if not cluster or names:
        raise UsageFault(
            "KO-USAGE",
            "--volume-key makes all volumes of a broker anew, through the cluster's gates",
            hint="--cluster blue --volume-key, and no volume's name",
        )
    yes, confirm, reason = agreed
    options = Options(
        colour_of(cluster), tuple(only or ()), canary=False, return_timeout=return_timeout
    )
    orders = Orders(yes, confirm, None, reason)
    return rolls.rolled(rolls.RENEWAL, options, Wish(plan, None, False), orders)


def _agree(what: str, name: str, yes: bool) -> None:
    consent.require(consent.Tier.DISRUPTIVE, what, name=name, yes=yes, confirm=None)


def _of(specs: tuple[object, ...]) -> str:
    return counted(len(specs), "volume")


def _turned(done: Rotated) -> str:
    begun = "the rotation that was begun before is finished" if done.resumed else "a new key"
    return f"{begun}: the old one opens nothing"
