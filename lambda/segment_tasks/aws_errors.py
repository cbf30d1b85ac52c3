"""What errors of AWS and of its SDK mean for a run."""

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

from .failures import AccessDenied

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
    "ListExecutions": "states:ListExecutions",
    "ListObjectVersions": "s3:ListBucketVersions",
    "ListObjectsV2": "s3:ListBucket",
    "PutObject": "s3:PutObject",
    "UploadPart": "s3:PutObject",
}
_REFUSAL: Final = re.compile(
    r"not authorized to perform: (?P<action>[\w:*-]+)"
    r"(?: on resource: \"?(?P<resource>arn:[^\s\"]+))?"
)


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
