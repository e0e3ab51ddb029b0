"""Calls to AWS tried again while what fails them passes by itself, within a total patience.

Waits grow and are random over their whole length, so that the brokers of a cluster which boot
together do not return together (full jitter). botocore's own retries are off in clients that are
used here, or the two would multiply.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.config import Config
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
)
from botocore.session import Session
from tenacity import RetryCallState, Retrying, retry_if_exception, wait_random_exponential

from kafkaops.engine.clock import Clock

if TYPE_CHECKING:
    from kafkaops.config.schema import Aws  # pydantic would cost the boot 0.3 s

T = TypeVar("T")

CONNECT, READ = 3, 5
"""Seconds that one attempt has to connect, and for the answer."""
FIRST, MOST = 0.5, 10.0
"""Seconds: the longest first wait, and the longest of all."""
LOST = (
    EndpointConnectionError,
    ConnectTimeoutError,
    ReadTimeoutError,
    ConnectionClosedError,
)
THROTTLED = {
    *("ThrottlingException", "Throttling", "TooManyRequestsException", "RequestLimitExceeded"),
    "SlowDown",
}


def client(service: str, aws: Aws) -> Any:
    """A botocore client (boto3 would cost the boot a tenth of a second more) that tries once.
    The instance's own metadata service may be slow just after boot, so it is asked three times."""
    session = Session(profile=aws.profile or None)
    session.set_config_variable("metadata_service_timeout", 2)
    session.set_config_variable("metadata_service_num_attempts", 3)
    return session.create_client(
        service,
        region_name=aws.region,
        endpoint_url=aws.endpoint_url or None,
        config=Config(
            connect_timeout=CONNECT,
            read_timeout=READ,
            retries={"total_max_attempts": 1, "mode": "standard"},
            s3={"addressing_style": "path"} if aws.endpoint_url else {},
        ),
    )


def patiently(
    call: Callable[[], T],
    passing: Callable[[BaseException], bool],
    clock: Clock,
    patience: float,
) -> T:
    """What `call` returns. It is tried again while `passing` says of its error that it may pass,
    as long as the next try would begin within `patience` seconds; then that error is raised, with
    a note of how often and how long it was tried."""
    began = clock.monotonic()

    def over(state: RetryCallState) -> bool:
        return clock.monotonic() - began + state.upcoming_sleep > patience

    tries = Retrying(
        retry=retry_if_exception(passing),
        stop=over,
        wait=wait_random_exponential(multiplier=FIRST, max=MOST),
        sleep=clock.sleep,
        reraise=True,
    )
    try:
        return tries(call)
    except BaseException as error:
        count = int(tries.statistics.get("attempt_number", 1))
        error.add_note(f"tried {count} times in {clock.monotonic() - began:.0f} s")
        raise


def code_of(error: BaseException) -> str:
    """AWS's code of an error answer; empty where there was no answer."""
    if not isinstance(error, ClientError):
        return ""
    return str(error.response.get("Error", {}).get("Code", ""))


def said_by(error: BaseException) -> str:
    """What AWS said, or what botocore says where there was no answer."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Message", "")) or code_of(error)
    return str(error)


def tried(error: BaseException) -> str:
    """How often and how long, as `patiently` noted it."""
    return next(iter(getattr(error, "__notes__", [])), "tried once")
