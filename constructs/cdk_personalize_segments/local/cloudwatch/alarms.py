"""Alarms of CloudWatch with all that they were given, in the states that AWS has.

moto's alarms are OK from the start and again after each change, and lose what
suppresses a composite alarm's actions. Alarms are kept, not evaluated: their states
change by SetAlarmState only, which runs their actions. Nothing suppresses those.
"""

from typing import TYPE_CHECKING, Any, Final

from moto.cloudwatch.exceptions import ValidationError
from moto.cloudwatch.models import CloudWatchBackend
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult

from cdk_personalize_segments.local import patching
from cdk_personalize_segments.local.cloudwatch import alarm_actions
from cdk_personalize_segments.local.untyped import Moto

if TYPE_CHECKING:
    from cdk_personalize_segments.local.aws import LocalAws

_ACTIONS: Final = frozenset(
    {
        "ActionsEnabled",
        "AlarmActions",
        "AlarmDescription",
        "AlarmName",
        "InsufficientDataActions",
        "OKActions",
        "Tags",
    }
)
METRIC_ALARM: Final = _ACTIONS | {
    "ComparisonOperator",
    "DatapointsToAlarm",
    "Dimensions",
    "EvaluateLowSampleCountPercentile",
    "EvaluationPeriods",
    "ExtendedStatistic",
    "MetricName",
    "Metrics",
    "Namespace",
    "Period",
    "Statistic",
    "Threshold",
    "ThresholdMetricId",
    "TreatMissingData",
    "Unit",
}
"""The parameters of PutMetricAlarm that are honoured."""
_SUPPRESSION: Final = {
    "ActionsSuppressor": "actions_suppressor",
    "ActionsSuppressorExtensionPeriod": "actions_suppressor_extension_period",
    "ActionsSuppressorWaitPeriod": "actions_suppressor_wait_period",
}
COMPOSITE_ALARM: Final = _ACTIONS | {"AlarmRule", *_SUPPRESSION}
"""The parameters of PutCompositeAlarm that are honoured."""
_SHORT_PERIODS: Final = (10, 20, 30)
_MISSING: Final = ("breaching", "ignore", "missing", "notBreaching")
_FILTERS: Final = frozenset(
    {"ActionPrefix", "AlarmNamePrefix", "AlarmNames", "AlarmTypes", "StateValue"}
)
_STATE: Final = (
    "history",
    "state_reason",
    "state_reason_data",
    "state_updated_timestamp",
    "state_value",
)


def install(aws: "LocalAws") -> None:
    """Answer for alarms.

    Args:
        aws: The local AWS.
    """
    set_state = CloudWatchBackend.set_alarm_state

    def set_alarm_state(
        backend: Moto, alarm_name: str, reason: str, reason_data: str, state_value: str
    ) -> None:
        alarm = backend.alarms.get(alarm_name)
        before = alarm and alarm_actions.state_of(alarm)
        set_state(backend, alarm_name, reason, reason_data, state_value)
        if before["value"] != state_value:
            alarm_actions.run(aws, alarm, before)

    patching.patch(CloudWatchBackend, "set_alarm_state", set_alarm_state)


class AlarmsApi(CloudWatchResponse):
    """One request; moto calls the method that is named as the operation."""

    def put_metric_alarm(self) -> ActionResult:
        """PutMetricAlarm."""
        self._check_metric_alarm()
        return self._put(METRIC_ALARM)

    def _check_metric_alarm(self) -> None:
        """Check what moto does not.

        Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/
        API_PutMetricAlarm.html. The texts of these errors are our own.
        """
        given = self._get_params()
        period = given.get("Period")
        if period is not None and period not in _SHORT_PERIODS and period % 60:
            raise ValidationError(
                f"Period must be 10, 20, 30 or a multiple of 60, got {period}"
            )
        missing = given.get("TreatMissingData", "missing")
        if missing not in _MISSING:
            raise ValidationError(
                f"TreatMissingData must be one of {', '.join(_MISSING)}, got {missing}"
            )
        periods, points = given.get("EvaluationPeriods"), given.get("DatapointsToAlarm")
        if points is not None and periods is not None and points > periods:
            raise ValidationError(
                f"DatapointsToAlarm must be at most EvaluationPeriods, got {points} "
                f"of {periods}"
            )

    def put_composite_alarm(self) -> ActionResult:
        """PutCompositeAlarm."""
        answer = self._put(COMPOSITE_ALARM)
        alarm = self.cloudwatch_backend.alarms[self._get_param("AlarmName")]
        for parameter, attribute in _SUPPRESSION.items():
            setattr(alarm, attribute, self._get_param(parameter))
        return answer

    def _put(self, honoured: frozenset[str]) -> ActionResult:
        """Put an alarm, which leaves its state as it is.

        Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/
        API_PutMetricAlarm.html. Tags of an alarm that exists are left alone as well.
        """
        self._accept(honoured)
        for kind in alarm_actions.OF_STATE:
            for action in self._get_param(kind, []):
                if not alarm_actions.RUN.match(action):
                    raise ValidationError(
                        f"local AWS does not honour the action {action}; there are "
                        "those of topics and functions"
                    )
        for metric in self._get_param("Metrics", []):
            if "AccountId" in metric:
                raise ValidationError("local AWS does not honour AccountId of a metric")
        alarms = self.cloudwatch_backend.alarms
        name = self._get_param("AlarmName")
        before = alarms.get(name)
        tags = before and self.cloudwatch_backend.list_tags_for_resource(
            before.alarm_arn
        )
        answer = super().put_metric_alarm()
        after = alarms[name]
        if before is None:
            after.state_value = "INSUFFICIENT_DATA"
            return answer
        for attribute in _STATE:
            setattr(after, attribute, getattr(before, attribute))
        tagger = self.cloudwatch_backend.tagger
        tagger.delete_all_tags_for_resource(after.alarm_arn)
        tagger.tag_resource(
            after.alarm_arn,
            [{"Key": key, "Value": value} for key, value in (tags or {}).items()],
        )
        return answer

    def describe_alarms(self) -> ActionResult:
        """DescribeAlarms, which leaves composite alarms out unless it is told."""
        self._accept(_FILTERS)
        given = self._get_params()
        types = given.get("AlarmTypes") or ["MetricAlarm"]
        found: dict[str, list[Moto]] = {"MetricAlarm": [], "CompositeAlarm": []}
        for alarm in self.cloudwatch_backend.alarms.values():
            if _is_wanted(alarm, given):
                kind = "MetricAlarm" if alarm.rule is None else "CompositeAlarm"
                found[kind].append(alarm)
        return ActionResult(
            {f"{kind}s": found[kind] for kind in found if kind in types}
        )

    def delete_alarms(self) -> ActionResult:
        """DeleteAlarms, together with their tags."""
        for name in self._get_param("AlarmNames", []):
            alarm = self.cloudwatch_backend.alarms.get(name)
            if alarm is not None:
                self.cloudwatch_backend.tagger.delete_all_tags_for_resource(
                    alarm.alarm_arn
                )
        return super().delete_alarms()

    def _accept(self, honoured: frozenset[str]) -> None:
        for name, value in self._get_params().items():
            if value not in (None, "", [], {}) and name not in honoured:
                raise ValidationError(f"local AWS does not honour the parameter {name}")


def _is_wanted(alarm: Moto, given: dict[str, Any]) -> bool:
    names = given.get("AlarmNames")
    prefix = given.get("AlarmNamePrefix", "")
    action = given.get("ActionPrefix", "")
    actions = [
        *alarm.alarm_actions,
        *alarm.ok_actions,
        *alarm.insufficient_data_actions,
    ]
    return (
        (not names or alarm.name in names)
        and alarm.name.startswith(prefix)
        and given.get("StateValue", alarm.state_value) == alarm.state_value
        and (not action or any(each.startswith(action) for each in actions))
    )
