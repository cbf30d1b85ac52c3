"""The metrics of pipelines: what Step Functions counts, and what the functions put."""

from collections.abc import Mapping
from typing import Any

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_stepfunctions as sfn

from cdk_personalize_segments.monitored import Monitored


class ExecutionMetrics:
    """What Step Functions counts, of any pipeline."""

    _state_machine: sfn.IStateMachine

    def metric_succeeded(
        self,
        **options: Any,  # noqa: ANN401
    ) -> cloudwatch.Metric:
        """Count the runs that succeeded.

        Args:
            **options: Those of `aws_cloudwatch.Metric`, such as `period`.
                Default: the sum over 5 minutes.
        """
        return self._state_machine.metric_succeeded(**options)

    def metric_failed(self, **options: Any) -> cloudwatch.Metric:  # noqa: ANN401
        """Count the runs that failed.

        Args:
            **options: Those of `aws_cloudwatch.Metric`, such as `period`.
                Default: the sum over 5 minutes.
        """
        return self._state_machine.metric_failed(**options)

    def metric_timed_out(
        self,
        **options: Any,  # noqa: ANN401
    ) -> cloudwatch.Metric:
        """Count the runs that the state machine's own time-out ended.

        A run ends itself before that, with `QueueTimeout` or `JobTimeout`, which
        `metric_failed` counts: this one stays at zero unless something is broken.

        Args:
            **options: Those of `aws_cloudwatch.Metric`, such as `period`.
                Default: the sum over 5 minutes.
        """
        return self._state_machine.metric_timed_out(**options)

    def metric_started(
        self,
        **options: Any,  # noqa: ANN401
    ) -> cloudwatch.Metric:
        """Count the runs that started.

        Args:
            **options: Those of `aws_cloudwatch.Metric`, such as `period`.
                Default: the sum over 5 minutes.
        """
        return self._state_machine.metric_started(**options)

    def metric_aborted(
        self,
        **options: Any,  # noqa: ANN401
    ) -> cloudwatch.Metric:
        """Count the runs that somebody stopped.

        Args:
            **options: Those of `aws_cloudwatch.Metric`, such as `period`.
                Default: the sum over 5 minutes.
        """
        return self._state_machine.metric_aborted(**options)

    def metric_throttled(
        self,
        **options: Any,  # noqa: ANN401
    ) -> cloudwatch.Metric:
        """Count the state transitions that Step Functions throttled, and then made.

        Args:
            **options: Those of `aws_cloudwatch.Metric`, such as `period`.
                Default: the sum over 5 minutes.
        """
        return self._state_machine.metric_throttled(**options)


class RunMetrics:
    """What the functions of a pipeline put, of one whose names are known."""

    _monitored: Monitored

    def metric_failed_runs(
        self,
        error: str | None = None,
        **options: Any,  # noqa: ANN401
    ) -> cloudwatch.Metric:
        """Count the runs that failed with an error of the error reference.

        Args:
            error: The error's name, such as `JobFailed`. Default: all errors.
            **options: Those of `aws_cloudwatch.Metric`, such as `period`.
                Default: the sum over 5 minutes.
        """
        return self._measured("FailedRuns", "Sum", {"error": error, **options})

    def metric_succeeded_runs(
        self,
        **options: Any,  # noqa: ANN401
    ) -> cloudwatch.Metric:
        """Count the runs that succeeded and had something to do.

        `metric_succeeded` counts those that had nothing to do as well.

        Args:
            **options: Those of `aws_cloudwatch.Metric`, such as `period`.
                Default: the sum over 5 minutes.
        """
        return self._measured("SucceededRuns", "Sum", options)

    def metric_runs(
        self,
        **options: Any,  # noqa: ANN401
    ) -> cloudwatch.Metric:
        """Count the runs that ended by themselves, whether well or not.

        A run that had nothing to do is not among them, nor one that was stopped or that
        the state machine's own time-out ended.

        Args:
            **options: Those of `aws_cloudwatch.Metric`, such as `period`.
                Default: the sum over 5 minutes.
        """
        return self._measured("Runs", "Sum", options)

    def metric_failed_queries(
        self,
        **options: Any,  # noqa: ANN401
    ) -> cloudwatch.Metric:
        """Count the queries that the service answered with an error.

        Args:
            **options: Those of `aws_cloudwatch.Metric`, such as `period`.
                Default: the sum over 5 minutes.
        """
        return self._measured("FailedQueries", "Sum", options)

    def metric_queries(
        self,
        **options: Any,  # noqa: ANN401
    ) -> cloudwatch.Metric:
        """Count the queries of runs, repeated ones included.

        Args:
            **options: Those of `aws_cloudwatch.Metric`, such as `period`.
                Default: the sum over 5 minutes.
        """
        return self._measured("Queries", "Sum", options)

    def metric_users(
        self,
        **options: Any,  # noqa: ANN401
    ) -> cloudwatch.Metric:
        """Count the users in all segments of runs.

        Args:
            **options: Those of `aws_cloudwatch.Metric`, such as `period`.
                Default: the sum over 5 minutes.
        """
        return self._measured("Users", "Sum", options)

    def metric_queue_time(
        self,
        **options: Any,  # noqa: ANN401
    ) -> cloudwatch.Metric:
        """Measure for how long runs waited for a job slot, in seconds.

        Args:
            **options: Those of `aws_cloudwatch.Metric`, such as `period`.
                Default: the average over 5 minutes.
        """
        return self._measured("QueueTime", "Average", options)

    def metric_job_time(
        self,
        **options: Any,  # noqa: ANN401
    ) -> cloudwatch.Metric:
        """Measure for how long jobs worked, in seconds.

        Args:
            **options: Those of `aws_cloudwatch.Metric`, such as `period`.
                Default: the average over 5 minutes.
        """
        return self._measured("JobTime", "Average", options)

    def metric_waiting_time(
        self,
        **options: Any,  # noqa: ANN401
    ) -> cloudwatch.Metric:
        """Measure for how long runs that wait for a job slot have done so, in seconds.

        A run puts it whenever it has looked for a slot in vain, every 6 minutes or more
        often: where nothing is put, no run waits.

        Args:
            **options: Those of `aws_cloudwatch.Metric`, such as `period`.
                Default: the maximum over 5 minutes.
        """
        return self._measured("WaitingTime", "Maximum", options)

    def metric_input_bytes(
        self,
        **options: Any,  # noqa: ANN401
    ) -> cloudwatch.Metric:
        """Measure how much runs read in query files, in bytes, as they are stored.

        Args:
            **options: Those of `aws_cloudwatch.Metric`, such as `period`.
                Default: the sum over 5 minutes.
        """
        return self._measured("InputBytes", "Sum", options)

    def metric_output_bytes(
        self,
        **options: Any,  # noqa: ANN401
    ) -> cloudwatch.Metric:
        """Measure how much runs wrote as results, in bytes, compressed.

        Args:
            **options: Those of `aws_cloudwatch.Metric`, such as `period`.
                Default: the sum over 5 minutes.
        """
        return self._measured("OutputBytes", "Sum", options)

    def _measured(
        self, name: str, statistic: str, options: Mapping[str, Any]
    ) -> cloudwatch.Metric:
        """Give a metric with its statistic, unless another one is asked for."""
        return self._monitored.metric(name, **{"statistic": statistic, **options})
