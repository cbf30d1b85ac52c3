"""How a run fails: the table of failures, and what errors of AWS mean for a run."""

# The names are what executions end with, so they are not to end in Error.
# ruff: noqa: N818

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    HTTPClientError,
    IncompleteReadError,
)

# Step Functions takes 32,768 characters; the rest is for an ellipsis.
MAX_CAUSE_LENGTH: Final = 32_000

CONNECTION_ERRORS: Final = (ConnectionError, HTTPClientError, IncompleteReadError)
_TRANSIENT_CODES: Final = frozenset(
    {
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "RequestLimitExceeded",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_DENIED_CODES: Final = frozenset(
    {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}
)
_NOT_FOUND_CODES: Final = frozenset(
    {"404", "NoSuchBucket", "NoSuchKey", "ResourceNotFoundException"}
)
_ACTIONS: Final = {
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
    "CompleteMultipartUpload": "s3:PutObject",
    "CreatePartition": "glue:CreatePartition",
    "CreateMultipartUpload": "s3:PutObject",
    "DeleteObject": "s3:DeleteObject",
    "GetObject": "s3:GetObject",
    "GetTable": "glue:GetTable",
    "ListObjectVersions": "s3:ListBucketVersions",
    "ListObjectsV2": "s3:ListBucket",
    "PutObject": "s3:PutObject",
    "UploadPart": "s3:PutObject",
}
_REFUSAL: Final = re.compile(
    r"not authorized to perform: (?P<action>[\w:*-]+)"
    r"(?: on resource: \"?(?P<resource>arn:[^\s\"]+))?"
)


class RunFailure(Exception):
    """A failure that is foreseen, named as in the table; its text is a sentence."""


class InvalidInput(RunFailure):
    """The execution input or the queries cannot be used."""


class SolutionVersionNotUsable(RunFailure):
    """The solution version does not exist, is not ready or does not fit."""


class FilterNotUsable(RunFailure):
    """The filter does not exist, is not ready or does not fit."""


class AccessDenied(RunFailure):
    """A grant is missing."""


class QueueTimeout(RunFailure):
    """No job slot came free in time."""


class JobFailed(RunFailure):
    """Personalize refused the job or could not finish it."""


class JobTimeout(RunFailure):
    """The job takes longer than it may."""


class OutputIncomplete(RunFailure):
    """The job is done, but its output does not answer every query."""


class TooManyFailedQueries(RunFailure):
    """More queries failed than may."""


NAMES: Final = frozenset(each.__name__ for each in RunFailure.__subclasses__())


def describe(failure: RunFailure) -> dict[str, str]:
    """Return a failure as the state machine passes it on."""
    return {"error": type(failure).__name__, "cause": shorten(str(failure))}


def describe_caught(state: str, caught: dict[str, Any]) -> dict[str, str]:
    """Return an error that a state did not foresee as a failure.

    Step Functions' `Cause` is JSON where a function raised, and plain text or empty
    where it was killed.
    """
    error = str(caught.get("Error") or "")
    message = _message_of(caught.get("Cause"))
    if error in NAMES:
        return {"error": error, "cause": shorten(message or error)}
    what = ": ".join(each for each in (error, message) if each) or "no reason given"
    return {
        "error": "UnexpectedError",
        "cause": shorten(f"The step {state!r} ended with an unforeseen error: {what}"),
    }


def _message_of(cause: object) -> str:
    import json

    if not isinstance(cause, str):
        return ""
    try:
        parsed = json.loads(cause)
    except ValueError:
        return cause.strip()
    if isinstance(parsed, dict) and isinstance(parsed.get("errorMessage"), str):
        return str(parsed["errorMessage"])
    return cause.strip()


def shorten(cause: str, most: int = MAX_CAUSE_LENGTH) -> str:
    """Cut a cause to what Step Functions takes, in characters."""
    return cause if len(cause) <= most else cause[: most - 1] + "…"


def counted(number: int, noun: str) -> str:
    """Write a number with its noun."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def code(error: ClientError) -> str:
    """Return the service's code of an error."""
    return str(error.response.get("Error", {}).get("Code", ""))


def message(error: Exception) -> str:
    """Return the service's own words, or those of the SDK."""
    if isinstance(error, ClientError):
        words = error.response.get("Error", {}).get("Message")
        return str(words or code(error))
    return str(error)


def is_transient(error: Exception) -> bool:
    """Tell whether an error passes by itself: throttling, 5xx, the connection."""
    if isinstance(error, ClientError):
        metadata: dict[str, Any] = {**error.response.get("ResponseMetadata", {})}
        status = metadata.get("HTTPStatusCode", 0)
        return code(error) in _TRANSIENT_CODES or status >= 500
    return isinstance(error, CONNECTION_ERRORS)


def is_denied(error: Exception) -> bool:
    """Tell whether an error is a missing grant."""
    return isinstance(error, ClientError) and code(error) in _DENIED_CODES


def is_not_found(error: Exception) -> bool:
    """Tell whether an error says that the thing does not exist."""
    return isinstance(error, ClientError) and code(error) in _NOT_FOUND_CODES


def access_denied(error: ClientError, resource: str) -> AccessDenied:
    """Say which grant is missing, on this resource if the refusal names no other."""
    words = message(error)
    named = _REFUSAL.search(words)
    operation = error.operation_name
    action = _ACTIONS.get(operation, f"personalize:{operation}")
    if named:
        action = named["action"]
        resource = named["resource"] or resource
    return AccessDenied(
        f"{action} on {resource} was refused: {words.rstrip('.')}. "
        f"Allow {action} on {resource} to the function's role, and check that no "
        "policy of the resource or the organization denies it."
    )


@contextmanager
def refusals_named(resource: str) -> Iterator[None]:
    """Turn a refusal of AWS inside the block into `AccessDenied`."""
    try:
        yield
    except ClientError as error:
        if is_denied(error):
            raise access_denied(error, resource) from error
        raise


SDK_ERRORS: Final = (ClientError, BotoCoreError)
