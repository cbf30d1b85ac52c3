"""Alarms of CloudWatch with all that they were given, in the states that AWS has.

moto's alarms are OK from the start and again after each change, and lose what
suppresses a composite alarm's actions. Composite alarms are kept, not evaluated: their
states change by SetAlarmState only, and nothing suppresses their actions.
"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from moto.cloudwatch.exceptions import ValidationError
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult

from cdk_personalize_segments.local.cloudwatch import alarm_actions
from cdk_personalize_segments.local.cloudwatch.alarm_history import ITEM_TYPES
from cdk_personalize_segments.local.cloudwatch.definitions import define
from cdk_personalize_segments.local.cloudwatch.errors import QueryError
from cdk_personalize_segments.local.untyped import Moto

if TYPE_CHECKING:
    from cdk_personalize_segments.local.aws import LocalAws
    from cdk_personalize_segments.local.cloudwatch.watches import Watches

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
_MOST_ACTIONS: Final = 5
_FILTERS: Final = frozenset(
    {"ActionPrefix", "AlarmNamePrefix", "AlarmNames", "AlarmTypes", "StateValue"}
)
_HISTORY_FILTERS: Final = frozenset(
    {"AlarmName", "AlarmTypes", "EndDate", "HistoryItemType", "ScanBy", "StartDate"}
)
_STATE: Final = (
    "history",
    "state_reason",
    "state_reason_data",
    "state_updated_timestamp",
    "state_value",
)


class AlarmsApi(CloudWatchResponse):
    """One request; moto calls the method that is named as the operation."""

    local_aws: "LocalAws"
    watches: "Watches"

    def put_metric_alarm(self) -> ActionResult:
        """PutMetricAlarm, after which it is evaluated from the next minute on."""
        given = self._get_params()
        self._check(METRIC_ALARM)
        try:
            definition = define(self.local_aws.metrics, self.region, given)
        except QueryError as error:
            raise ValidationError(str(error)) from None
        answer = self._put()
        alarm = self.cloudwatch_backend.alarms[given["AlarmName"]]
        self.watches.start(alarm, definition, given)
        return answer

    def put_composite_alarm(self) -> ActionResult:
        """PutCompositeAlarm."""
        self._check(COMPOSITE_ALARM)
        answer = self._put()
        alarm = self.cloudwatch_backend.alarms[self._get_param("AlarmName")]
        for parameter, attribute in _SUPPRESSION.items():
            setattr(alarm, attribute, self._get_param(parameter))
        return answer

    def _check(self, honoured: frozenset[str]) -> None:
        self._accept(honoured)
        for kind in alarm_actions.OF_STATE:
            actions = self._get_param(kind, [])
            if len(actions) > _MOST_ACTIONS:
                raise ValidationError(f"{kind} may have {_MOST_ACTIONS} at most")
            for action in actions:
                if not alarm_actions.RUN.match(action):
                    raise ValidationError(
                        f"local AWS does not honour the action {action}; there are "
                        "those of topics and functions"
                    )

    def _put(self) -> ActionResult:
        """Put an alarm, which leaves its state as it is.

        Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/
        API_PutMetricAlarm.html. Tags of an alarm that exists are left alone as well.
        """
        alarms = self.cloudwatch_backend.alarms
        name = self._get_param("AlarmName")
        before = alarms.get(name)
        tags = before and self.cloudwatch_backend.list_tags_for_resource(
            before.alarm_arn
        )
        answer = super().put_metric_alarm()
        after = alarms[name]
        self.watches.history.configured(after, "updated" if before else "created")
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

    def set_alarm_state(self) -> ActionResult:
        """SetAlarmState, which lasts until the alarm is evaluated again."""
        alarm: Moto = self.cloudwatch_backend.alarms.get(self._get_param("AlarmName"))
        before = alarm_actions.state_of(alarm) if alarm else {}
        answer = super().set_alarm_state()
        if before["value"] != alarm.state_value:
            self.watches.changed(alarm, before)
        self.watches.look_again(alarm.alarm_arn)
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

    def describe_alarm_history(self) -> ActionResult:
        """DescribeAlarmHistory, all in one page."""
        self._accept(_HISTORY_FILTERS)
        given = self._get_params()
        kind = given.get("HistoryItemType")
        if kind not in (None, *ITEM_TYPES):
            raise ValidationError(f"there is no HistoryItemType {kind}")
        types = given.get("AlarmTypes") or ["MetricAlarm"]
        start, end = (_aware(given.get(each)) for each in ("StartDate", "EndDate"))
        found = [
            item
            for item in self.watches.history.of(self.region)
            if given.get("AlarmName") in (None, item["AlarmName"])
            and item["AlarmType"] in types
            and kind in (None, item["HistoryItemType"])
            and (start is None or item["Timestamp"] >= start)
            and (end is None or item["Timestamp"] <= end)
        ]
        if given.get("ScanBy", "TimestampDescending") == "TimestampDescending":
            found.reverse()
        return ActionResult({"AlarmHistoryItems": found})

    def delete_alarms(self) -> ActionResult:
        """DeleteAlarms, together with their tags."""
        for name in self._get_param("AlarmNames", []):
            alarm = self.cloudwatch_backend.alarms.get(name)
            if alarm is not None:
                self.watches.stop(alarm.alarm_arn)
                self.watches.history.configured(alarm, "deleted")
                self.cloudwatch_backend.tagger.delete_all_tags_for_resource(
                    alarm.alarm_arn
                )
        return super().delete_alarms()

    def _accept(self, honoured: frozenset[str]) -> None:
        for name, value in self._get_params().items():
            if value not in (None, "", [], {}) and name not in honoured:
                raise ValidationError(f"local AWS does not honour the parameter {name}")


def _aware(instant: datetime | None) -> datetime | None:
    if instant is None or instant.tzinfo is not None:
        return instant
    return instant.replace(tzinfo=UTC)


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
