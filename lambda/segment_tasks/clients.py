"""Clients of AWS services, made when first used.

They come from botocore itself: boto3's resources, sessions and transfer manager
would only lengthen the start of a function.
"""

import gc
import os
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

import botocore.session
from botocore.config import Config

from . import usage

if TYPE_CHECKING:
    from mypy_boto3_glue.client import GlueClient
    from mypy_boto3_personalize.client import PersonalizeClient
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_stepfunctions.client import SFNClient

# So many small objects are read at once, and as many written: most of their time is
# waiting.
S3_AT_ONCE: Final = 4

# Standard mode on purpose: older SDKs default to one that does not retry
# LimitExceededException.
_PATIENT: Final = Config(
    retries={"mode": "standard", "total_max_attempts": 8},
    connect_timeout=5,
    read_timeout=60,
    max_pool_connections=2 * S3_AT_ONCE + 2,
)
# One call to create and one to describe fit into a function's minute even if neither
# is answered; whoever called the function tries again.
_ONCE: Final = Config(
    retries={"mode": "standard", "total_max_attempts": 1},
    connect_timeout=5,
    read_timeout=20,
)
# Beside those two calls, there are seconds left to put an event.
_BRIEF: Final = Config(
    retries={"mode": "standard", "total_max_attempts": 1},
    connect_timeout=2,
    read_timeout=5,
)


class EventsClient(Protocol):
    """What is used of a client of EventBridge."""

    def put_events(self, *, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        """Put events on a bus."""


class SNSClient(Protocol):
    """What is used of a client of SNS."""

    def publish(
        self,
        *,
        TopicArn: str,  # noqa: N803
        Subject: str,  # noqa: N803
        Message: str,  # noqa: N803
    ) -> dict[str, Any]:
        """Publish a message."""


@cache
def _session() -> botocore.session.Session:
    return botocore.session.get_session()


def _client(service: str, config: Config) -> object:
    collecting = gc.isenabled()
    # The service's model fills memory with objects that stay: looking for garbage
    # among them finds none, and takes a fifth of a function's start.
    gc.disable()
    try:
        return _session().create_client(
            service, region_name=os.environ["AWS_REGION"], config=config
        )
    finally:
        if collecting:
            gc.enable()


@cache
def s3() -> "S3Client":
    """Return a client of S3 that outlasts throttling, and counts its requests."""
    client = cast("S3Client", _client("s3", _PATIENT))
    # Once for each attempt, as S3 charges.
    client.meta.events.register("request-created.s3", usage.count_request)
    return client


@cache
def glue() -> "GlueClient":
    """Return a client of Glue that outlasts throttling."""
    return cast("GlueClient", _client("glue", _PATIENT))


@cache
def stepfunctions() -> "SFNClient":
    """Return a client of Step Functions that outlasts throttling."""
    return cast("SFNClient", _client("stepfunctions", _PATIENT))


@cache
def events() -> EventsClient:
    """Return a client of EventBridge that outlasts throttling."""
    return cast("EventsClient", _client("events", _PATIENT))


@cache
def events_once() -> EventsClient:
    """Return a client of EventBridge that gives up soon."""
    return cast("EventsClient", _client("events", _BRIEF))


@cache
def sns() -> SNSClient:
    """Return a client of SNS that outlasts throttling."""
    return cast("SNSClient", _client("sns", _PATIENT))


@cache
def personalize() -> "PersonalizeClient":
    """Return a client of Personalize that outlasts its one request a second."""
    return cast("PersonalizeClient", _client("personalize", _PATIENT))


@cache
def personalize_once() -> "PersonalizeClient":
    """Return a client of Personalize that never repeats a request.

    Creating a job is not idempotent: a silent repetition after a lost answer would
    come back as an error about one's own job.
    """
    return cast("PersonalizeClient", _client("personalize", _ONCE))
