"""`kafkaops config show|validate|schema`."""

from __future__ import annotations

from typing import Annotated

import typer

from kafkaops.cli.commands import OpsCommand, make_app
from kafkaops.cli.output import Table, Text, emit
from kafkaops.cli.session import current

app = make_app("The config: what it is, whether it is right, every key explained.")


@app.command(cls=OpsCommand)
def show(
    origin: Annotated[
        bool, typer.Option("--origin", help="Say where each value came from.")
    ] = False,
) -> None:
    """Show every key with its effective value. Secrets show as references.

    \b
    Examples:
      kafkaops config show -c configs/lab.yaml
      kafkaops config show --origin --set cutover.ttl=30
    """
    loaded = current().load(enter_lab=False)
    values = loaded.values()
    data = {"file": str(loaded.file), "config": loaded.config.model_dump(mode="json")}
    if origin:
        data["origins"] = {key: source for key, _, source in values}
        emit(data, Table(("key", "value", "origin"), values))
    else:
        emit(data, Table(("key", "value"), [(key, value) for key, value, _ in values]))


@app.command(cls=OpsCommand)
def validate() -> None:
    """Check the config and show every fault at once. Touches nothing; exit 4 on a fault.

    \b
    Examples:
      kafkaops config validate -c configs/aws-example.yaml
    """
    loaded = current().load(enter_lab=False)
    config = loaded.config
    clusters = " to ".join(spec.name for spec in config.clusters.values())
    emit(
        {"file": str(loaded.file), "valid": True, "name": config.name},
        Text(f"{loaded.file}: valid ({config.name}: {clusters})"),
    )


@app.command(cls=OpsCommand)
def schema(
    markdown: Annotated[
        bool, typer.Option("--markdown", help="As a page for people, instead of JSON Schema.")
    ] = False,
) -> None:
    """Print the config's JSON Schema (for editors), or a page that explains every key.

    \b
    Examples:
      kafkaops config schema > kafkaops.schema.json
      kafkaops config schema --markdown > docs/configuration.md
    """
    import json

    from kafkaops.config import reference

    if markdown:
        print(reference.markdown(), end="")
    else:
        print(json.dumps(reference.json_schema(), indent=2))
