"""What each line of the functions' log says of where it belongs."""

import os
from collections.abc import Mapping
from typing import Any


def of(event: Mapping[str, Any], **fields: object) -> dict[str, object]:
    """Return the fields of a log line: those that each line has, and further ones.

    Args:
        event: The event of a task, which need not have all of this yet.
        **fields: What the line says besides, also in place of what the event says.
    """
    run, job = event.get("run") or {}, event.get("job") or {}
    return {
        "pipeline": os.environ["RUN_PREFIX"],
        "execution": (event.get("execution") or {}).get("arn"),
        "run": run.get("name"),
        "job": job.get("name") or run.get("jobName"),
        **fields,
    }
