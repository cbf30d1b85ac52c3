"""Where metrics come from."""

from collections.abc import Mapping
from typing import Final

SOURCES: Final[Mapping[str, str]] = {
    "embedded": (
        "documents in the embedded metric format in log lines of functions and of "
        "PutLogEvents; what CloudWatch would drop is logged as a warning and kept in "
        "`aws.metrics.refused`"
    ),
    "AWS/Logs": "EMFParsingErrors and EMFValidationErrors by LogGroupName",
}
"""Each source, an API's namespace or what makes metrics, and what it measures."""
