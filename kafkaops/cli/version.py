"""`kafkaops version`."""

from __future__ import annotations

import platform
from importlib import metadata

from kafkaops.cli.commands import OpsCommand, make_app
from kafkaops.cli.output import Table, emit

app = make_app()
PACKAGES = ("kafkaops", "kafka-python", "confluent-kafka", "boto3", "pydantic", "typer")


@app.command(cls=OpsCommand)
def version() -> None:
    """Versions of kafkaops and of what it uses.

    \b
    Examples:
      kafkaops version
      kafkaops version -o json
    """
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    emit({"versions": versions}, Table(("package", "version"), list(versions.items())))
