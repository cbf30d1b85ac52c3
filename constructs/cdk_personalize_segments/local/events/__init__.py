"""Events: of S3, Step Functions, alarms and schedules, by rules to their targets.

Every event and delivery happens at the virtual second that causes it. What recurs
never makes virtual time pass: `aws.clock.advance` does.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from cdk_personalize_segments.local.events import sources
from cdk_personalize_segments.local.events.delivery import Deliveries
from cdk_personalize_segments.local.events.executions import status_changed
from cdk_personalize_segments.local.events.rules import Rules
from cdk_personalize_segments.local.events.s3 import Disturbance, S3Events
from cdk_personalize_segments.local.events.scheduler import Scheduler
from cdk_personalize_segments.local.untyped import Json, Moto

if TYPE_CHECKING:
    from cdk_personalize_segments.local.aws import LocalAws
    from cdk_personalize_segments.local.stepfunctions.execution import Execution


class Events:
    """The events of an account, and what tests can do to them.

    Attributes:
        deliveries: What is on its way.
    """

    def __init__(self, aws: "LocalAws") -> None:
        """Let events flow.

        Args:
            aws: The local AWS.
        """
        self.deliveries = Deliveries(aws)
        self._rules = Rules(aws, self.deliveries)
        self._s3 = S3Events(aws, self._rules)
        Scheduler(aws, self.deliveries)

    def alarm_changed(self, alarm: Moto, detail: Mapping[str, Json]) -> None:
        """Tell event buses that an alarm has another state.

        Args:
            alarm: moto's alarm.
            detail: What is told of it.
        """
        self._rules.emit(
            sources.CLOUDWATCH,
            "CloudWatch Alarm State Change",
            detail,
            region=alarm.region_name,
            resources=[alarm.alarm_arn],
        )

    def status_changed(self, execution: "Execution") -> None:
        """Tell event buses that an execution has another status.

        Args:
            execution: The execution.
        """
        status_changed(self._rules, execution)

    def disturb_s3(
        self, *, duplicated: float = 0.0, latest: timedelta = timedelta(0)
    ) -> None:
        """Let S3 deliver events as badly as it may: again, late and out of order.

        What goes wrong follows from the account's seed. Without arguments, all goes
        well again.

        Args:
            duplicated: The chance that an event comes once more, below 1.
            latest: How much later an event may come, at most.

        Raises:
            ValueError: A value is out of range.
        """
        if not 0 <= duplicated < 1:
            raise ValueError(f"duplicated must be from 0 to below 1, not {duplicated}")
        if latest < timedelta(0):
            raise ValueError(f"latest must not be negative, as {latest} is")
        self._s3.disturbance = Disturbance(duplicated, latest)

    def throttle(self, target_arn: str, times: int) -> None:
        """Let the next tries to deliver to a target be throttled.

        Args:
            target_arn: The target of a rule or schedule.
            times: How many tries.
        """
        self.deliveries.throttle(target_arn, times)


def install(aws: "LocalAws") -> None:
    """Let events flow.

    Args:
        aws: The local AWS.
    """
    aws.events = Events(aws)
