"""`kafkaops volume policy`: the least that IAM and KMS must allow, and what allows more."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kafkaops.cli.commands import OpsCommand, make_app
from kafkaops.cli.output import Table, Text, emit
from kafkaops.cli.session import current
from kafkaops.engine.errors import Exit, UsageFault

if TYPE_CHECKING:
    from kafkaops.model.volume import VolumeSpec

app = make_app("The least that IAM and KMS must allow.")


class Role(StrEnum):
    BROKER = "broker"
    ADMINISTRATOR = "administrator"
    KEY = "key"


@app.command(cls=OpsCommand)
def policy(
    cluster: Annotated[
        str, typer.Option("--cluster", metavar="blue|green", help="Whose volumes.")
    ] = "blue",
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="HOST", help="Only this host; repeatable.")
    ] = None,
    role: Annotated[
        Role, typer.Option("--role", help="The hosts' role, the administrator's, or the KMS key.")
    ] = Role.BROKER,
    brokers: Annotated[
        list[str] | None,
        typer.Option("--broker-arn", metavar="ARN", help="With --role key: the hosts' role."),
    ] = None,
    administrators: Annotated[
        list[str] | None,
        typer.Option("--admin-arn", metavar="ARN", help="With --role key: an administrator."),
    ] = None,
    rewraps: Annotated[
        bool,
        typer.Option(
            "--rewraps", help="Of hosts: what `rewrap` needs too, for as long as it runs."
        ),
    ] = False,
    new_key: Annotated[
        str, typer.Option("--new-key", metavar="ARN", help="With --rewraps: to this KMS key.")
    ] = "",
    check: Annotated[
        str | None,
        typer.Option("--check", metavar="FILE", help="Say what this policy allows beyond it; 5."),
    ] = None,
) -> int:
    """Print the least policy: these objects, this key, these encryption contexts, and no more.

    The hosts' role opens volumes and writes copies once; it can delete none. The administrator
    clears copies, which ends a rotation or an erasure, and cannot open a volume.

    \b
    Examples:
      kafkaops volume policy --cluster blue > broker-role.json
      kafkaops volume policy --role administrator
      kafkaops volume policy --rewraps --new-key arn:aws:kms:eu-west-1:111122223333:key/0f0e...
      kafkaops volume policy --role key --broker-arn arn:aws:iam::111122223333:role/kafka \
        --admin-arn arn:aws:iam::111122223333:role/kafka-admin
      kafkaops volume policy --check existing.json
    """
    from kafkaops.volumes import policy as least

    if new_key and not rewraps and role is Role.BROKER:
        raise UsageFault(
            "KO-USAGE", "--new-key is where --rewraps moves keys to", hint="--rewraps --new-key ARN"
        )
    specs = _specs(cluster, tuple(only or ()))
    if check is not None:
        return _checked(check, specs, role)
    if role is Role.KEY:
        keys = sorted({spec.key for spec in specs if spec.key})
        if len(keys) != 1 or not brokers or not administrators:
            raise UsageFault(
                "KO-USAGE",
                "a key policy is of one key, for the hosts' role and an administrator",
                hint="--role key --broker-arn ARN --admin-arn ARN",
            )
        document = least.key_policy(keys[0], specs, brokers, administrators, rewraps=rewraps)
    elif role is Role.ADMINISTRATOR:
        document = least.administrator(*specs, new_key=new_key)
    else:
        document = least.broker(*specs, rewraps=rewraps, new_key=new_key)
    emit({"role": role.value, "policy": document}, Text(json.dumps(document, indent=2)))
    return Exit.OK


def _checked(file: str, specs: tuple[VolumeSpec, ...], role: Role) -> int:
    from kafkaops.cli.files import read_json
    from kafkaops.volumes import policy_width

    document: Any = read_json(file)
    asked: Any = "administrator" if role is Role.ADMINISTRATOR else "broker"
    found = policy_width.too_wide(document, *specs, role=asked)
    rows = [(finding.where, finding.what, finding.instead) for finding in found]
    none = [] if found else [Text(f"{file} allows nothing beyond what these volumes need")]
    emit({"findings": found}, Table(("where", "too wide", "instead"), rows), *none)
    return Exit.GUARD if found else Exit.OK


def _specs(cluster: str, only: tuple[str, ...]) -> tuple[VolumeSpec, ...]:
    from kafkaops.cli.job import colour_of
    from kafkaops.volumes import inventory
    from kafkaops.volumes.cluster.planner import chosen

    config = current().load(enter_lab=False).config
    spec = config.blue if colour_of(cluster) == "blue" else config.green
    files = [
        inventory.host_file(spec, host, config.aws, broker=True) for host in chosen(spec, only)
    ]
    return tuple(volume for file in files for volume in file.volumes)
