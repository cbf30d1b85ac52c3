"""Starts runs over the files that are uploaded.

EventBridge tells a queue of each upload, whose messages Lambda collects for a moment
and hands to one function, which starts a run. Nothing on this way is exactly once: that
each version of a file is read by one run is for the runs to see to.
"""

import json
from collections.abc import Sequence
from typing import Any, Final, cast

import aws_cdk as cdk
import jsii
from aws_cdk import aws_events as events
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct, IValidation

from cdk_personalize_segments._resolved import readable
from cdk_personalize_segments._service_limits import MAX_BATCH_WINDOW_SECONDS
from cdk_personalize_segments.access import Access
from cdk_personalize_segments.dead_letters import KEPT, define_dead_letters
from cdk_personalize_segments.functions import SHORT, FunctionFactory
from cdk_personalize_segments.storage import Storage

DEFAULT_WINDOW: Final = cdk.Duration.seconds(MAX_BATCH_WINDOW_SECONDS)
# Lambda's own bound for a batch, which may also be full at 6 MB.
_BATCH_SIZE: Final = 10_000
# Lambda's least. Batches at the same time become runs of their own.
_BATCHES_AT_ONCE: Final = 2
# Then a message goes to the dead letters: half an hour and more of trying.
_ATTEMPTS: Final = 5
# What AWS advises: so many times the function's time-out, and the batch window.
_TIMEOUTS_INVISIBLE: Final = 6
_BUCKET_NOTIFICATIONS: Final = "Custom::S3BucketNotifications"


class Uploads(Construct):
    """What starts a run when query files are uploaded.

    Attributes:
        function: The function that starts runs.
        queue: The queue of uploads.
        dead_letter_queue: The queue of those that could not be processed.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        factory: FunctionFactory,
        access: Access,
        storage: Storage,
        state_machine: sfn.StateMachine,
        suffixes: Sequence[str] | None,
        window: cdk.Duration,
    ) -> None:
        """Define rule, queue and function.

        Args:
            scope: The pipeline.
            construct_id: The construct id.
            factory: What defines the pipeline's functions.
            access: Its roles and policies.
            storage: Where files are uploaded.
            state_machine: What is started.
            suffixes: How the names of files end, or None for any.
            window: How long uploads are collected.
        """
        super().__init__(scope, construct_id)
        _let_bucket_tell(scope, storage.input_bucket)
        # In the policy of both queues, further below.
        self.dead_letter_queue = define_dead_letters(self, enforce_ssl=False)
        self.queue = sqs.Queue(
            self,
            "Queue",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            retention_period=KEPT,
            visibility_timeout=cdk.Duration.seconds(
                _TIMEOUTS_INVISIBLE * SHORT.to_seconds() + window.to_seconds()
            ),
            dead_letter_queue=sqs.DeadLetterQueue(
                queue=self.dead_letter_queue, max_receive_count=_ATTEMPTS
            ),
        )
        rule = self._define_rule(storage, suffixes)
        sqs.CfnQueuePolicy(
            self,
            "QueuePolicy",
            queues=[self.queue.queue_url, self.dead_letter_queue.queue_url],
            policy_document=access.upload_queue_policy(rule.attr_arn),
        )
        self.function = self._define_function(factory, access, state_machine)
        self._define_mapping(window)

    def _define_rule(
        self, storage: Storage, suffixes: Sequence[str] | None
    ) -> events.CfnRule:
        prefix = storage.queries_prefix
        keys = (
            [{"prefix": prefix}]
            if suffixes is None
            else [{"wildcard": f"{prefix}*{each}"} for each in dict.fromkeys(suffixes)]
        )
        # Not the L2: it would give the queue a policy resource of its own.
        return events.CfnRule(
            self,
            "Rule",
            description="Batch segment pipeline: tell of uploaded query files",
            event_pattern={
                "source": ["aws.s3"],
                "detail-type": ["Object Created"],
                "detail": {
                    "bucket": {"name": [storage.input_bucket.bucket_name]},
                    "object": {"key": keys},
                },
            },
            targets=[
                events.CfnRule.TargetProperty(
                    id="Queue",
                    arn=self.queue.queue_arn,
                    # Who uploaded, and from where, is nobody's business here.
                    input_path="$.detail.object",
                    dead_letter_config=events.CfnRule.DeadLetterConfigProperty(
                        arn=self.dead_letter_queue.queue_arn
                    ),
                )
            ],
        )

    def _define_function(
        self, factory: FunctionFactory, access: Access, state_machine: sfn.StateMachine
    ) -> lambda_.Function:
        function = factory.define(
            self,
            "StartRun",
            module="start_run",
            task="start runs over uploaded query files",
            statements=access.start_run_statements(
                self.queue.queue_arn, state_machine.state_machine_arn
            ),
            why_no_dead_letters=(
                "Lambda calls the function with messages of a queue, which has a "
                "dead-letter queue itself; one of the function takes asynchronous "
                "calls only."
            ),
        )
        function.add_environment("STATE_MACHINE_ARN", state_machine.state_machine_arn)
        return function

    def _define_mapping(self, window: cdk.Duration) -> None:
        mapping = lambda_.EventSourceMapping(
            self,
            "Mapping",
            target=self.function,
            event_source_arn=self.queue.queue_arn,
            batch_size=_BATCH_SIZE,
            max_batching_window=window,
            max_concurrency=_BATCHES_AT_ONCE,
            report_batch_item_failures=True,
        )
        cdk.Validations.of(mapping).acknowledge(
            cdk.Acknowledgment(
                id="Serverless-LambdaEventSourceMappingDestination",
                reason=(
                    "Lambda takes destinations for streams, not for queues: messages "
                    "that fail go to the dead-letter queue of the queue."
                ),
            )
        )


def _let_bucket_tell(scope: Construct, bucket: s3.IBucket) -> None:
    """Let a bucket of the app send its events; say what is to do for another."""
    resource = bucket.node.default_child
    if resource is None or not s3.CfnBucket.is_cfn_bucket(resource):
        name = readable(cdk.Stack.of(scope).resolve(bucket.bucket_name), {})
        cdk.Annotations.of(scope).add_warning_v2(
            "cdk-personalize-segments:inputBucketEventsNotManaged",
            f"input_bucket {name!r} is imported, so its notifications are not changed "
            "here; uploads start no runs until its owner switches on Amazon "
            "EventBridge among the bucket's event notifications (in CloudFormation: "
            "NotificationConfiguration: {EventBridgeConfiguration: "
            "{EventBridgeEnabled: true}}; in the CDK: event_bridge_enabled=True)",
        )
        return
    # The property of the L2 would define a custom resource and its function.
    cast("s3.CfnBucket", resource).add_property_override(
        "NotificationConfiguration.EventBridgeConfiguration.EventBridgeEnabled", True
    )
    scope.node.add_validation(_StillTells(bucket))


@jsii.implements(IValidation)
class _StillTells:
    """Looks for notifications of the CDK on the bucket, which would undo the switch.

    At the end of synth, since they may be added at any time before.
    """

    def __init__(self, bucket: s3.IBucket) -> None:
        self._bucket = bucket

    def validate(self) -> list[str]:
        """Return what is wrong, if anything."""
        for child in self._bucket.node.find_all():
            if not cdk.CfnResource.is_cfn_resource(child):
                continue
            resource = cast("cdk.CfnResource", child)
            if resource.cfn_resource_type != _BUCKET_NOTIFICATIONS:
                continue
            properties = cdk.Stack.of(resource).resolve(resource._cfn_properties)
            if not _has_event_bridge(properties):
                return [
                    f"the notifications of the bucket {self._bucket.node.path} replace "
                    "those to EventBridge, without which start_on_upload starts "
                    "nothing; call enable_event_bridge_notification() on the bucket, "
                    "so that they keep them"
                ]
        return []


def _has_event_bridge(properties: Any) -> bool:  # noqa: ANN401
    return "EventBridgeConfiguration" in json.dumps(properties, default=str)
