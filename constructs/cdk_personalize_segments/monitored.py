"""What alarms, dashboards and saved queries look at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn

from cdk_personalize_segments._runtime import metrics

NAMESPACE: Final = metrics.NAMESPACE


@dataclass(frozen=True, kw_only=True)
class Monitored:
    """A pipeline of this app, as it is watched.

    Attributes:
        name: Its construct path.
        run_prefix: What the names of its runs start with.
        state_machine: Its state machine.
        functions: Its functions, also those that are defined later.
        function_logs: Where they log.
        state_machine_logs: Where its state machine logs.
        queue_timeout: How long a run waits for a job slot.
        results_bucket_name: Where its results are.
        results_prefix: Beneath which prefix.
        dead_letter_queues: Its dead-letter queues by what fills them, in the plural.
    """

    name: str
    run_prefix: str
    state_machine: sfn.IStateMachine
    functions: Sequence[lambda_.Function]
    function_logs: logs.ILogGroup
    state_machine_logs: logs.ILogGroup
    queue_timeout: cdk.Duration
    results_bucket_name: str
    results_prefix: str
    dead_letter_queues: Mapping[str, sqs.IQueue] = field(default_factory=dict)

    def metric(
        self,
        name: str,
        *,
        error: str | None = None,
        **options: Any,  # noqa: ANN401
    ) -> cloudwatch.Metric:
        """Give one of the pipeline's own metrics.

        Args:
            name: Its name.
            error: Of which error, for metrics that have that.
            **options: Those of `aws_cloudwatch.Metric`.
        """
        return cloudwatch.Metric(
            namespace=NAMESPACE,
            metric_name=name,
            dimensions_map={
                metrics.PIPELINE: self.run_prefix,
                **({metrics.ERROR: error} if error else {}),
            },
            **options,
        )
