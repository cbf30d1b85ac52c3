"""The batch segment jobs of the account: who holds the slots."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from cdk_personalize_segments.cli.pipelines import Pipeline


class JobInSlot(NamedTuple):
    """A job that is pending or in progress, and so holds a slot.

    Attributes:
        name: Its name.
        status: Its status.
        created: When it was created.
        is_own: Whether the pipeline started it.
    """

    name: str
    status: str
    created: datetime
    is_own: bool


def in_slots(pipeline: Pipeline) -> list[JobInSlot]:
    """List all jobs of the account and Region that hold a slot, the oldest first.

    Args:
        pipeline: The pipeline whose own jobs are to be told.
    """
    paginator = pipeline.account.personalize.get_paginator("list_batch_segment_jobs")
    found = [
        JobInSlot(
            job["jobName"],
            job["status"],
            job["creationDateTime"],
            pipeline.is_own_job(job["jobName"]),
        )
        for page in paginator.paginate()
        for job in page["batchSegmentJobs"]
        if _holds_slot(job)
    ]
    return sorted(found, key=lambda job: job.created)


def _holds_slot(job: Mapping[str, Any]) -> bool:
    # The spellings of statuses in between differ from the documented ones.
    status = job.get("status", "")
    return status != "ACTIVE" and not status.endswith("FAILED")
