"""Alarms: what of a pipeline somebody has to know of, and how soon.

The construct id of an alarm is what it watches, and beneath it how severe it is: both
stay as they are when thresholds change, so that an alarm keeps its history.
"""

import enum
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

import aws_cdk as cdk
import jsii
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from cdk_personalize_segments import _validation
from cdk_personalize_segments.monitored import Monitored

RUN_BOOK: Final = "docs/guide/monitoring.md#{} of cdk-personalize-segments"
DEFAULT_WITHIN: Final = cdk.Duration.minutes(5)
_HOUR: Final = cdk.Duration.hours(1)
# Runs that wait say so every 6 minutes or more often.
_WAITING: Final = cdk.Duration.minutes(15)
# Whoever calls a function that fails for good has given up within this time.
_RETRIES: Final = cdk.Duration.minutes(15)
_MESSAGES: Final = cdk.Duration.minutes(5)


class AlarmSeverity(enum.Enum):
    """How bad it is what an alarm tells, for `BatchSegmentPipeline.add_alarms`.

    Examples:
        >>> [each.name for each in AlarmSeverity]
        ['CRITICAL', 'WARNING']
    """

    CRITICAL = "Critical"
    """Segments are missing, or will be: somebody should look now."""
    WARNING = "Warning"
    """Something is not as it should be: somebody should look within days."""


Counts = Mapping[AlarmSeverity, int]
Times = Mapping[AlarmSeverity, cdk.Duration]
Action = cloudwatch.IAlarmAction | Mapping[AlarmSeverity, cloudwatch.IAlarmAction]

_DEFAULTS: Final[Mapping[str, Counts]] = {
    "failed_runs": {AlarmSeverity.CRITICAL: 1},
    "timed_out_runs": {AlarmSeverity.CRITICAL: 1},
    # Somebody did it.
    "aborted_runs": {AlarmSeverity.WARNING: 1},
    "throttled_transitions": {AlarmSeverity.WARNING: 1},
    "failed_queries": {AlarmSeverity.WARNING: 1},
    # A call that fails once or twice is made again, and costs nothing but time.
    "function_errors": {AlarmSeverity.WARNING: 3},
    "dead_letters": {AlarmSeverity.CRITICAL: 1},
    "lost_notices": {AlarmSeverity.WARNING: 1},
}
# What Step Functions counts: construct id, property, what, and what becomes of it.
_OF_EXECUTIONS: Final = (
    ("FailedRuns", "failed_runs", "run", "failed", "failed"),
    ("TimedOutRuns", "timed_out_runs", "run", "timed out", "timed out"),
    ("AbortedRuns", "aborted_runs", "run", "was aborted", "were aborted"),
    (
        "ThrottledTransitions",
        "throttled_transitions",
        "state transition",
        "was throttled",
        "were throttled",
    ),
)


class Alarms(Construct):
    """The alarms of a pipeline.

    Attributes:
        all: Those that are defined, in order.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        monitored: Monitored,
        action: Action | None,
        ok_action: Action | None,
        counts: Mapping[str, Counts | None],
        within: cdk.Duration | None,
        queued_too_long: Times | None,
        no_success_within: Times | None,
        runbook_url: str | None,
    ) -> None:
        """Check what was asked for, and define it.

        Args:
            scope: The pipeline.
            construct_id: The construct id.
            monitored: What is watched.
            action: What happens at an alarm.
            ok_action: What happens when it is over.
            counts: From how many on there is an alarm, by property; None for the
                default.
            within: In which time runs, transitions and queries are counted.
            queued_too_long: How long a run waits.
            no_success_within: For how long no run has succeeded.
            runbook_url: The page that says what to do.
        """
        wanted = {
            name: _DEFAULTS[name] if given is None else given
            for name, given in counts.items()
        }
        for name, thresholds in wanted.items():
            _check(name, thresholds, _validation.check_count)
        within = DEFAULT_WITHIN if within is None else within
        _validation.check_within(within)
        waits = _default_wait(monitored) if queued_too_long is None else queued_too_long
        _check(
            "queued_too_long", waits, _validation.check_wait(monitored.queue_timeout)
        )
        silences = no_success_within or {}
        _check("no_success_within", silences, _validation.check_silence)
        self._actions = _by_severity("action", action)
        self._ok_actions = _by_severity("ok_action", ok_action)
        if runbook_url is not None:
            _validation.check_url("runbook_url", runbook_url)
        super().__init__(scope, construct_id)
        self._monitored = monitored
        self._runbook = f"{runbook_url}#{{}}" if runbook_url else RUN_BOOK
        self._dead_letters = wanted["dead_letters"]
        self._lost_notices = wanted["lost_notices"]
        self.all: list[cloudwatch.Alarm] = []
        self._define_counts(wanted, within)
        self._define_waits(waits)
        self._define_silences(silences)
        self._define_errors(wanted["function_errors"])
        for of, queue in monitored.dead_letter_queues.items():
            self.watch_dead_letters(of, queue)

    def _define_counts(
        self, wanted: Mapping[str, Counts], within: cdk.Duration
    ) -> None:
        """Define what counts within a time: nothing is put where nothing happens."""
        machine = self._monitored.state_machine
        for construct_id, name, what, became, became_many in _OF_EXECUTIONS:
            for severity, count in wanted[name].items():
                self._define(
                    construct_id,
                    severity,
                    f"at least {_several(count, what)} of {{pipeline}} "
                    f"{became if count == 1 else became_many} within {_text(within)}",
                    metric=_of_machine(machine, name, within),
                    threshold=count,
                    treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
                )
        for severity, count in wanted["failed_queries"].items():
            self._define(
                "FailedQueries",
                severity,
                f"at least {_several(count, 'query')} of {{pipeline}} failed within "
                f"{_text(within)}",
                metric=self._monitored.metric(
                    "FailedQueries", period=within, statistic="Sum"
                ),
                threshold=count,
                treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            )

    def _define_waits(self, waits: Times) -> None:
        for severity, wait in waits.items():
            self._define(
                "QueuedTooLong",
                severity,
                f"a run of {{pipeline}} has waited for a job slot for {_text(wait)}",
                metric=self._monitored.metric(
                    "WaitingTime", period=_WAITING, statistic="Maximum"
                ),
                threshold=wait.to_seconds(),
                # Put while a run waits: where nothing is put, none does.
                treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            )

    def _define_silences(self, silences: Times) -> None:
        for severity, silence in silences.items():
            self._define(
                "NoSuccess",
                severity,
                f"no run of {{pipeline}} has succeeded for {_text(silence)}",
                # Hours, since those are what an alarm takes 7 days of; none of them
                # may have a success. An execution that had nothing to do is none.
                metric=self._monitored.metric(
                    "SucceededRuns", period=_HOUR, statistic="Sum"
                ),
                comparison_operator=(cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD),
                threshold=1,
                evaluation_periods=int(silence.to_hours()),
                # Nothing is put where nothing succeeds: that is what is looked for.
                treat_missing_data=cloudwatch.TreatMissingData.BREACHING,
            )

    def _define_errors(self, counts: Counts) -> None:
        for severity, count in counts.items():
            alarm = self._define(
                "FunctionErrors",
                severity,
                f"at least {_several(count, 'call')} of the functions of {{pipeline}} "
                f"failed within {_text(_RETRIES)}",
                metric=cloudwatch.MathExpression(
                    expression="SUM([errors0])",
                    using_metrics={
                        "errors0": self._monitored.functions[0].metric_errors()
                    },
                    period=_RETRIES,
                ),
                threshold=count,
                # Lambda counts errors, also none, where a function is called.
                treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            )
            # Functions that are defined after the alarms are watched, too.
            resource = cast("cloudwatch.CfnAlarm", alarm.node.default_child)
            resource.metrics = cdk.Lazy.any(_FunctionErrors(self._monitored))

    def watch_dead_letters(self, of: str, queue: sqs.IQueue) -> None:
        """Define what watches a dead-letter queue.

        Args:
            of: What fills it, in the plural.
            queue: The queue.
        """
        for severity, count in self._dead_letters.items():
            self._define(
                "DeadLetters",
                severity,
                f"at least {_several(count, 'message')} about {of.lower()} of "
                "{pipeline} could not be processed",
                beneath=of,
                metric=queue.metric_approximate_number_of_messages_visible(
                    period=_MESSAGES, statistic="Maximum"
                ),
                threshold=count,
                # SQS is silent about queues that have been empty for six hours.
                treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            )

    def watch_notices(self, function: lambda_.IFunction, rule: events.IRule) -> None:
        """Define what watches whether notices get through.

        Args:
            function: The function that tells of runs.
            rule: What hands it the ends of runs.
        """
        for severity, count in self._lost_notices.items():
            self._define(
                "LostNotices",
                severity,
                f"at least {_several(count, 'notice')} about runs of {{pipeline}} "
                "could not be told, and will not be",
                metric=cloudwatch.MathExpression(
                    expression="SUM([dropped, undelivered])",
                    using_metrics={
                        # By Lambda, after its last attempt.
                        "dropped": function.metric(
                            "AsyncEventsDropped", statistic="Sum"
                        ),
                        "undelivered": cloudwatch.Metric(
                            namespace="AWS/Events",
                            metric_name="FailedInvocations",
                            dimensions_map={"RuleName": rule.rule_name},
                            statistic="Sum",
                        ),
                    },
                    period=_MESSAGES,
                ),
                threshold=count,
                # Both are put only where something is lost.
                treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            )

    def _define(
        self,
        construct_id: str,
        severity: AlarmSeverity,
        sentence: str,
        *,
        beneath: str | None = None,
        evaluation_periods: int = 1,
        **options: Any,  # noqa: ANN401
    ) -> cloudwatch.Alarm:
        scope = _child(self, construct_id)
        options.setdefault(
            "comparison_operator",
            cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
        )
        alarm = cloudwatch.Alarm(
            _child(scope, beneath) if beneath else scope,
            severity.value,
            alarm_description=self._describe(construct_id, sentence),
            evaluation_periods=evaluation_periods,
            **options,
        )
        if severity in self._actions:
            alarm.add_alarm_action(self._actions[severity])
        if severity in self._ok_actions:
            alarm.add_ok_action(self._ok_actions[severity])
        self.all.append(alarm)
        return alarm

    def _describe(self, construct_id: str, sentence: str) -> str:
        """Say what happened and where it stands what to do, in one sentence."""
        said = sentence.format(pipeline=f"the pipeline {self._monitored.name}")
        where = f": see {self._runbook.format(anchor(construct_id))}"
        return f"{said[0].upper()}{said[1:]}{where}"


def anchor(construct_id: str) -> str:
    """Give the anchor of an alarm's section in the run book, such as `failed-runs`.

    Args:
        construct_id: The construct id of the alarm.
    """
    return "".join(
        f"-{each.lower()}" if each.isupper() else each for each in construct_id
    ).lstrip("-")


@jsii.implements(cdk.IStableAnyProducer)
class _FunctionErrors:
    """Gives the metrics of the alarm of all functions, once all are defined."""

    def __init__(self, monitored: Monitored) -> None:
        self._monitored = monitored

    def produce(self) -> Any:  # noqa: ANN401
        """Give them as CloudFormation takes them."""
        errors: list[dict[str, Any]] = [
            {
                "id": f"errors{index}",
                "metricStat": {
                    "metric": {
                        "namespace": "AWS/Lambda",
                        "metricName": "Errors",
                        "dimensions": [
                            {"name": "FunctionName", "value": function.function_name}
                        ],
                    },
                    "period": _RETRIES.to_seconds(),
                    "stat": "Sum",
                },
                "returnData": False,
            }
            for index, function in enumerate(self._monitored.functions)
        ]
        ids = ",".join(each["id"] for each in errors)
        return [{"id": "errors", "expression": f"SUM([{ids}])"}, *errors]


def _child(scope: Construct, construct_id: str) -> Construct:
    found = scope.node.try_find_child(construct_id)
    return cast("Construct", found) or Construct(scope, construct_id)


def _of_machine(
    machine: sfn.IStateMachine, name: str, within: cdk.Duration
) -> cloudwatch.Metric:
    metric: Callable[..., cloudwatch.Metric] = {
        "failed_runs": machine.metric_failed,
        "timed_out_runs": machine.metric_timed_out,
        "aborted_runs": machine.metric_aborted,
        "throttled_transitions": machine.metric_throttled,
    }[name]
    return metric(period=within, statistic="Sum")


def _default_wait(monitored: Monitored) -> Times:
    half = int(monitored.queue_timeout.to_seconds()) // 2
    return {AlarmSeverity.WARNING: cdk.Duration.seconds(half)}


def _check(
    name: str, given: Mapping[AlarmSeverity, Any], check: Callable[[str, Any], None]
) -> None:
    _validation.check_by_severity(name, given, AlarmSeverity)
    for severity, value in given.items():
        check(f"{name}[AlarmSeverity.{severity.name}]", value)


def _by_severity(
    name: str, given: Action | None
) -> Mapping[AlarmSeverity, cloudwatch.IAlarmAction]:
    if given is None:
        return {}
    if isinstance(given, Mapping):
        _check(name, given, _validation.check_alarm_action)
        return given
    _validation.check_alarm_action(name, given)
    return dict.fromkeys(AlarmSeverity, given)


def _several(count: int, what: str) -> str:
    many = f"{what[:-1]}ies" if what.endswith("y") else f"{what}s"
    return f"{count:,} {what if count == 1 else many}"


def _text(duration: cdk.Duration) -> str:
    return str(duration.to_human_string())
