"""CloudWatch: what is measured, who watches it, and what is shown of it."""

from typing import TYPE_CHECKING

from cdk_personalize_segments.local.cloudwatch.metrics import Metrics

if TYPE_CHECKING:
    from cdk_personalize_segments.local.aws import LocalAws


def install(aws: "LocalAws") -> None:
    """Begin to measure, and to answer.

    Args:
        aws: The local AWS; its clock runs already.
    """
    # What is beneath it delivers what alarms do by `events`, which counts here.
    from cdk_personalize_segments.local.cloudwatch import api

    aws.metrics = Metrics(aws.clock.now)
    api.install(aws)
