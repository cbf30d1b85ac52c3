"""Messages: topics, queues, and functions that are invoked with them."""

from typing import TYPE_CHECKING

from cdk_personalize_segments.local.cloudwatch.queues import QueueMetrics
from cdk_personalize_segments.local.messaging.event_source_mappings import (
    EventSourceMappings,
)
from cdk_personalize_segments.local.messaging.queues import Queues
from cdk_personalize_segments.local.messaging.topics import Message, Topics

if TYPE_CHECKING:
    from cdk_personalize_segments.local.aws import LocalAws

__all__ = ["Message", "Topics", "install"]


def install(aws: "LocalAws") -> None:
    """Let messages flow, after events do.

    Args:
        aws: The local AWS.
    """
    aws.topics = Topics(aws, aws.events.deliveries)
    queues = Queues(aws)
    QueueMetrics(aws, queues)
    EventSourceMappings(aws, queues)
