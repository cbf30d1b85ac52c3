"""Notices and events: who is told how runs end, and how."""

import enum
from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from constructs import Construct

from cdk_personalize_segments._runtime import run_events
from cdk_personalize_segments.access import Access
from cdk_personalize_segments.functions import FunctionFactory

_ENDS: Final = ("SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED")
_NO_DEAD_LETTERS: Final = (
    "The function only tells what the execution and its manifest say for good: a "
    "notice that is lost after Lambda's retries loses no data, and is seen in the "
    "alarm for lost notices and in the function's log, which has the run's name."
)
_NO_RULE_DEAD_LETTERS: Final = (
    "EventBridge tries for a day to hand an event to the function; what is lost then "
    "is seen in the alarm for lost notices, and still stands in the execution."
)


class RunEvent(enum.Enum):
    """What there are events of, for `BatchSegmentPipeline.on_event`.

    The values are the detail types of the events on the account's default event bus.

    Examples:
        >>> RunEvent.FAILED.value
        'Batch Segment Run Failed'
    """

    SUCCEEDED = run_events.SUCCEEDED
    """A run succeeded, or had nothing to do."""
    FAILED = run_events.FAILED
    """A run failed, timed out or was aborted."""
    QUEUED_TOO_LONG = run_events.QUEUED_TOO_LONG
    """A run has waited for a job slot for half of `queue_timeout`, and still does."""


class Notices(Construct):
    """Tells people by a topic and machines by events how runs end.

    Attributes:
        function: The function that tells it.
        rule: What hands it the ends of runs.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        factory: FunctionFactory,
        access: Access,
        create_job: lambda_.Function,
        state_machine_arn: str,
        run_prefix: str,
        topic: sns.ITopic | None,
    ) -> None:
        """Define what tells of the runs of a pipeline.

        Args:
            scope: The pipeline.
            construct_id: The construct id.
            factory: What defines its functions.
            access: Its roles.
            create_job: The function that knows for how long a run waits.
            state_machine_arn: Its state machine.
            run_prefix: What the names of its runs start with.
            topic: Who is told, or None for machines only.
        """
        super().__init__(scope, construct_id)
        self._run_prefix = run_prefix
        self.function = factory.define(
            self,
            "Function",
            module="notify",
            task="tell how a run ended",
            statements=access.notify_statements(topic),
            why_no_dead_letters=_NO_DEAD_LETTERS,
        )
        if topic:
            self.function.add_environment("NOTIFICATION_TOPIC_ARN", topic.topic_arn)
            access.warn_of_topic(topic, self.function)
        access.let_tell_of_queueing(create_job)
        create_job.add_environment(run_events.TELL_OF_QUEUEING, "true")
        self.rule = rule = events.Rule(
            self,
            "Rule",
            description=f"Tells of the runs of {run_prefix}",
            event_pattern=events.EventPattern(
                source=["aws.states", run_events.SOURCE],
                detail_type=[
                    "Step Functions Execution Status Change",
                    run_events.QUEUED_TOO_LONG,
                ],
                detail={
                    "stateMachineArn": [state_machine_arn],
                    "status": [*_ENDS, run_events.QUEUED],
                },
            ),
            targets=[targets.LambdaFunction(self.function)],
        )
        cdk.Validations.of(rule).acknowledge(
            cdk.Acknowledgment(
                id="Serverless-EventBusDLQ", reason=_NO_RULE_DEAD_LETTERS
            )
        )
        # Beneath it every construct id is free.
        self._rules = Construct(self, "Events")

    def on_event(
        self, construct_id: str, event: RunEvent, target: events.IRuleTarget
    ) -> events.Rule:
        """Have something happen at each event of a kind.

        Args:
            construct_id: The construct id of the rule.
            event: The kind.
            target: What is to happen.
        """
        return events.Rule(
            self._rules,
            construct_id,
            description=f"{event.value}: {self._run_prefix}",
            event_pattern=events.EventPattern(
                source=[run_events.SOURCE],
                detail_type=[event.value],
                detail={"pipeline": [self._run_prefix]},
            ),
            targets=[target],
        )
