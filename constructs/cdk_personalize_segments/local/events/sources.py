"""What tells event buses of what happens in the account."""

from collections.abc import Mapping
from typing import Final

S3: Final = "aws.s3"
STATES: Final = "aws.states"
SOURCES: Final[Mapping[str, str]] = {
    S3: "Object Created and Object Deleted of buckets that send events to EventBridge",
    STATES: "Step Functions Execution Status Change of every execution",
}
"""Each source of events, and what it tells."""
