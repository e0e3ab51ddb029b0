"""What botocore raises, as errors with a code, a sentence and the next thing to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from kafkaops.engine.errors import ConfigError, OpsError, StepFailed, Unreachable

if TYPE_CHECKING:
    from kafkaops.config.schema import Aws  # what runs at boot on a host does without pydantic

DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}


def client(service: str, aws: Aws, **more: Any) -> Any:
    """A boto3 client of this config, with bounded timeouts and botocore's own retries; `more` are
    further options of botocore's Config."""
    import boto3
    from botocore.config import Config

    session = boto3.Session(profile_name=aws.profile or None, region_name=aws.region)
    return session.client(
        service,  # type: ignore[call-overload]
        endpoint_url=aws.endpoint_url or None,
        config=Config(
            connect_timeout=5,
            read_timeout=20,
            retries={"mode": "standard", "total_max_attempts": 5},
            **more,
        ),
    )


def translated(error: BotoCoreError | ClientError, action: str) -> OpsError:
    """`action` is as IAM names it (`ssm:SendCommand`)."""
    if isinstance(error, NoCredentialsError):
        return ConfigError(
            "KO-AWS-CREDENTIALS",
            "no AWS credentials were found",
            where=action,
            hint="set aws.profile, or run where an instance profile is",
        )
    if isinstance(error, ClientError):
        code = str(error.response.get("Error", {}).get("Code", ""))
        said = str(error.response.get("Error", {}).get("Message", error))
        if code in DENIED:
            return ConfigError(
                "KO-AWS-DENIED",
                f"AWS denies {action}: {said}",
                where=action,
                hint=f"allow {action} to this role",
            )
        return StepFailed("KO-AWS", f"{action}: {code}: {said}", where=action)
    return Unreachable("KO-AWS-UNREACHABLE", f"{action}: {error}", where=action)
