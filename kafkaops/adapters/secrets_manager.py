"""Reads one secret of AWS Secrets Manager; permission `secretsmanager:GetSecretValue`."""

from __future__ import annotations

from botocore.exceptions import BotoCoreError, ClientError

from kafkaops.adapters.aws_errors import client, translated
from kafkaops.config.schema import Aws


def fetch(name: str, aws: Aws | None = None) -> str:
    """The secret's string."""
    try:
        found = client("secretsmanager", aws or Aws()).get_secret_value(SecretId=name)
    except (BotoCoreError, ClientError) as error:
        raise translated(error, "secretsmanager:GetSecretValue") from error
    return str(found["SecretString"])
