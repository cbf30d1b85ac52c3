"""What tells event buses of what happens in the account."""

from collections.abc import Mapping
from typing import Final

CLOUDWATCH: Final = "aws.cloudwatch"
S3: Final = "aws.s3"
STATES: Final = "aws.states"
SOURCES: Final[Mapping[str, str]] = {
    CLOUDWATCH: "CloudWatch Alarm State Change",
    S3: (
        "Object Created, Object Deleted, Object Tags Added and Object Tags Deleted of "
        "buckets that send events to EventBridge; lifecycle rules do nothing"
    ),
    STATES: "Step Functions Execution Status Change of every execution",
}
"""Each source of events, and what it tells."""
