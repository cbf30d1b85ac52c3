"""Batch segment jobs, as the state machine passes them on."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from . import times
from .aws_errors import SDK_ERRORS, is_not_found

if TYPE_CHECKING:
    from mypy_boto3_personalize.client import PersonalizeClient

ACTIVE = "ACTIVE"


def describe(client: "PersonalizeClient", arn: str) -> Mapping[str, Any] | None:
    """Describe a job, or return None if it does not exist."""
    try:
        answer = client.describe_batch_segment_job(batchSegmentJobArn=arn)
    except SDK_ERRORS as error:
        if is_not_found(error):
            return None
        raise
    return answer["batchSegmentJob"]


def has_failed(description: Mapping[str, Any]) -> bool:
    """Tell whether a job ended without output."""
    return str(description.get("status", "")).endswith("FAILED")


def output_of(description: Mapping[str, Any]) -> str:
    """Return the folder that a job writes to."""
    folder = description.get("jobOutput", {}).get("s3DataDestination", {})
    return str(folder.get("path", ""))


def input_of(description: Mapping[str, Any]) -> str:
    """Return what a job reads."""
    return str(description.get("jobInput", {}).get("s3DataSource", {}).get("path", ""))


def state(
    name: str, arn: str, since: str, output: str, description: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a job, taken up at `since`, as the state machine passes it on."""
    return {
        "name": name,
        "arn": arn,
        "status": description.get("status"),
        "since": since,
        "looks": 0,
        "createdAt": times.text(description.get("creationDateTime")),
        "updatedAt": times.text(description.get("lastUpdatedDateTime")),
        "finishedAt": None,
        "refusedSince": None,
        "output": output,
    }
