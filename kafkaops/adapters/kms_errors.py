"""What KMS answers, as errors with a sentence, the next command and an exit code each.

Source: AWS KMS API reference, errors of Decrypt, GenerateDataKeyWithoutPlaintext and ReEncrypt.
"""

from __future__ import annotations

import re

from botocore.exceptions import NoCredentialsError

from kafkaops.adapters import aws_errors
from kafkaops.adapters.patience import LOST, THROTTLED, code_of, said_by, tried
from kafkaops.engine.errors import ConfigError, Exit, OpsError, StepFailed, Unreachable

PASSING = {
    *("KMSInternalException", "DependencyTimeoutException", "KeyUnavailableException"),
    *("InternalFailure", "ServiceUnavailable", "ServiceUnavailableException"),
}
UNKNOWN_KEY = "refers to a customer master key that does not exist"
STALE = {
    *("ExpiredTokenException", "UnrecognizedClientException", "InvalidSignatureException"),
    *("InvalidClientTokenId", "RequestExpired", "IncompleteSignature"),
}
ARN = re.compile(r"arn:aws[^:]*:kms:(?P<region>[^:]+):(?P<account>\d{12}):key/[\w-]+")


def passing(error: BaseException) -> bool:
    """What KMS says may pass: its own failures, throttling, and no answer at all."""
    return isinstance(error, LOST) or code_of(error) in PASSING | THROTTLED


def region_checked(arn: str, region: str) -> None:
    """ConfigError where this is no ARN of a key, or one of another region than the session's."""
    read = ARN.fullmatch(arn)
    if read is None:
        raise ConfigError(
            "KO-KMS-NO-KEY",
            f"{arn!r} is not the ARN of a KMS key",
            where="volumes.key",
            hint="`aws kms describe-key --key-id alias/NAME --query KeyMetadata.Arn` tells it",
        )
    if read["region"] != region:
        raise ConfigError(
            "KO-KMS-REGION",
            f"the key {arn} lies in {read['region']}, this session in {region}",
            where=arn,
            hint=f"name a key of {region} (of a multi-Region key its replica there),"
            f" or set aws.region: {read['region']}",
        )


def other_account(arn: str, account: str) -> ConfigError:
    return ConfigError(
        "KO-KMS-ACCOUNT",
        f"the key {arn} belongs to another account than this session's, {account}",
        where=arn,
        hint=f"name a key of account {account}, or use a profile of the key's account"
        " (`aws sts get-caller-identity`)",
    )


def translated(error: Exception, action: str, arn: str, *, region: str, also: str = "") -> OpsError:
    """`action` as IAM names it; `arn` of the key, or what is known instead; `also` ends the
    sentence of a ciphertext that does not open."""
    code, said = code_of(error).removeprefix("KMS."), said_by(error)
    key = arn or "the key"
    if code in THROTTLED:
        return Unreachable(
            "KO-KMS-THROTTLED",
            f"KMS throttles {action}: {said} ({tried(error)})",
            where=arn,
            hint="repeat the command; if it stays so, `aws service-quotas list-service-quotas"
            " --service-code kms` shows the account's rates",
            exit=Exit.TIMEOUT,
        )
    if passing(error):
        return Unreachable(
            "KO-KMS-AWAY",
            f"KMS does not answer {action}: {f'{code}: ' * bool(code)}{said} ({tried(error)})",
            where=arn,
            hint="repeat the command; if it stays so, look for a route or VPC endpoint to"
            f" kms.{region}.amazonaws.com: `curl -sI https://kms.{region}.amazonaws.com`",
            exit=Exit.TIMEOUT,
        )
    if code in aws_errors.DENIED:
        return _denied(said, action, arn)
    if code in STALE or isinstance(error, NoCredentialsError):
        return ConfigError(
            "KO-AWS-CREDENTIALS",
            f"AWS takes no credentials of this host for {action}: {said}",
            where=action,
            hint="`aws sts get-caller-identity`; on an instance its profile, and its clock:"
            " `chronyc tracking`",
        )
    fatal = {
        "DisabledException": ConfigError(
            "KO-KMS-DISABLED",
            f"{key} is disabled: nothing that it wrapped opens",
            where=arn,
            hint=f"`aws kms enable-key --key-id {arn}`, then repeat",
        ),
        "KMSInvalidStateException": ConfigError(
            "KO-KMS-DELETING",
            f"{key} is to be deleted: {said}",
            where=arn,
            hint=f"`aws kms cancel-key-deletion --key-id {arn}`, then"
            f" `aws kms enable-key --key-id {arn}`, then repeat",
        ),
        "NotFoundException": _unknown(said, arn),
        "InvalidCiphertextException": StepFailed(
            "KO-KMS-CONTEXT",
            f"{key} does not open this key: its ciphertext was changed, or its encryption context"
            f" is another{also}",
            where=arn,
            hint="`kafkaops volume status` shows both; `kafkaops volume open` takes the copy in"
            " S3, where there is one",
        ),
        "IncorrectKeyException": StepFailed(
            "KO-KMS-OTHER-KEY",
            f"this key was not wrapped by {key}",
            where=arn,
            hint="`kafkaops volume status` shows the token; the ARN in it names the wrong key",
        ),
    }
    found = fatal.get(code)
    return found or StepFailed(
        "KO-KMS", f"{action}: {code or type(error).__name__}: {said}", where=arn
    )


def _denied(said: str, action: str, arn: str) -> OpsError:
    if UNKNOWN_KEY in said:
        return _unknown(said, arn)
    key, user = ARN.fullmatch(arn), re.search(r"arn:aws[^:]*:(?:iam|sts)::(\d{12}):", said)
    if key and user and key["account"] != user[1]:
        return other_account(arn, user[1])
    return ConfigError(
        "KO-KMS-DENIED",
        f"AWS denies {action}: {said}",
        where=arn,
        hint="`kafkaops volume policy` prints what the role and the key have to allow",
    )


def _unknown(said: str, arn: str) -> ConfigError:
    return ConfigError(
        "KO-KMS-NO-KEY",
        f"there is no key {arn or 'that wrapped this'}: {said}",
        where=arn,
        hint=f"`aws kms describe-key --key-id {arn or 'KEY'}`; a key that was deleted took its"
        " volumes with it",
    )
