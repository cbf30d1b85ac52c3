"""What follows when an alarm's state changes: messages, invocations and an event.

Sources: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/
cloudwatch-and-eventbridge.html, alarms-and-actions-Lambda.html and
Notify_Users_Alarm_Changes.html.
"""

import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from botocore.session import Session

from cdk_personalize_segments.local.events.delivery import Delivery
from cdk_personalize_segments.local.events.targets import (
    DeliveryError,
    Sender,
    Target,
)
from cdk_personalize_segments.local.untyped import Json, Moto

if TYPE_CHECKING:
    from cdk_personalize_segments.local.aws import LocalAws

OF_STATE: Final = {
    "AlarmActions": "ALARM",
    "InsufficientDataActions": "INSUFFICIENT_DATA",
    "OKActions": "OK",
}
"""The parameters of actions, and the state that runs each."""
RUN: Final = re.compile(r"arn:[\w-]+:(?:sns|lambda):")
"""The actions that are run, by their ARNs."""
_SERVICES: Final = {
    "lambda": "lambda.alarms.cloudwatch.amazonaws.com",
    "sns": "cloudwatch.amazonaws.com",
}


def state_of(alarm: Moto) -> dict[str, Json]:
    """Tell the state of an alarm, as events do.

    Args:
        alarm: moto's alarm.
    """
    data = alarm.state_reason_data
    return {
        "value": alarm.state_value,
        "reason": alarm.state_reason,
        **({"reasonData": data} if data and data != "{}" else {}),
        "timestamp": _written(alarm.state_updated_timestamp),
    }


Acted = Callable[[str, DeliveryError | None], None]


def run(aws: "LocalAws", alarm: Moto, before: dict[str, Json], acted: Acted) -> None:
    """Tell event buses of another state, and run the actions for it if there are some.

    Args:
        aws: The local AWS.
        alarm: moto's alarm.
        before: What `state_of` told of it before.
        acted: Is told of each action when it has been run, and of its error if any.
    """
    data = {
        "alarmName": alarm.name,
        "state": state_of(alarm),
        "previousState": before,
        "configuration": _configuration(aws, alarm),
    }
    aws.events.alarm_changed(alarm, data)
    actions = {
        "ALARM": alarm.alarm_actions,
        "INSUFFICIENT_DATA": alarm.insufficient_data_actions,
        "OK": alarm.ok_actions,
    }[alarm.state_value]
    for arn in actions if alarm.actions_enabled else ():
        _deliver(aws, alarm, arn, data, acted)


def _deliver(
    aws: "LocalAws", alarm: Moto, arn: str, data: dict[str, Json], acted: Acted
) -> None:
    place = _region_name(alarm.region_name)
    target = Target(
        arn=arn, subject=f'{alarm.state_value}: "{alarm.name}" in {place}'[:100]
    )
    told = (
        _message(aws, alarm, data["previousState"]["value"], place)
        if target.service == "sns"
        else _event(aws, alarm, data)
    )
    text = json.dumps(told)
    sender = Sender(
        service=_SERVICES[target.service],
        source_arn=alarm.alarm_arn,
        # The policy that a topic has of itself lets its owner's alarms in by it.
        context={"AWS:SourceOwner": aws.account_id},
    )
    aws.events.deliveries.start(
        Delivery(
            sender=sender,
            target=target,
            text=lambda _: text,
            ended=lambda error: acted(arn, error),
        )
    )


def _event(aws: "LocalAws", alarm: Moto, data: dict[str, Json]) -> dict[str, Json]:
    """Write what a function is given."""
    return {
        "source": "aws.cloudwatch",
        "alarmArn": alarm.alarm_arn,
        "accountId": aws.account_id,
        "time": data["state"]["timestamp"],
        "region": alarm.region_name,
        "alarmData": data,
    }


def _message(
    aws: "LocalAws", alarm: Moto, old_value: str, region_name: str
) -> dict[str, Json]:
    """Write what a topic is told."""
    watched = (
        {"Trigger": _trigger(alarm)}
        if alarm.rule is None
        else {"AlarmRule": alarm.rule}
    )
    return {
        "AlarmName": alarm.name,
        "AlarmDescription": alarm.description,
        "AWSAccountId": aws.account_id,
        "AlarmConfigurationUpdatedTimestamp": _written(
            alarm.configuration_updated_timestamp
        ),
        "NewStateValue": alarm.state_value,
        "NewStateReason": alarm.state_reason,
        "StateChangeTime": _written(alarm.state_updated_timestamp),
        "Region": region_name,
        "AlarmArn": alarm.alarm_arn,
        "OldStateValue": old_value,
        "OKActions": alarm.ok_actions,
        "AlarmActions": alarm.alarm_actions,
        "InsufficientDataActions": alarm.insufficient_data_actions,
        **watched,
    }


def _trigger(alarm: Moto) -> dict[str, Json]:
    return {
        **_watched(alarm),
        "EvaluationPeriods": alarm.evaluation_periods,
        **_given(DatapointsToAlarm=alarm.datapoints_to_alarm),
        "ComparisonOperator": alarm.comparison_operator,
        **_given(
            Threshold=alarm.threshold, ThresholdMetricId=alarm.threshold_metric_id
        ),
        "TreatMissingData": alarm.treat_missing_data or "",
        "EvaluateLowSampleCountPercentile": (
            alarm.evaluate_low_sample_count_percentile or ""
        ),
    }


def _watched(alarm: Moto) -> dict[str, Json]:
    if alarm.metric_data_queries:
        return {"Metrics": [_capitalised(each) for each in _queries(alarm)]}
    statistic = (
        {"StatisticType": "Statistic", "Statistic": alarm.statistic.upper()}
        if alarm.statistic
        else {
            "StatisticType": "ExtendedStatistic",
            "ExtendedStatistic": alarm.extended_statistic,
        }
    )
    return {
        "MetricName": alarm.metric_name,
        "Namespace": alarm.namespace,
        **statistic,
        "Unit": alarm.unit,
        "Dimensions": [
            {"value": each.value, "name": each.name} for each in alarm.dimensions
        ],
        "Period": alarm.period,
    }


def _configuration(aws: "LocalAws", alarm: Moto) -> dict[str, Json]:
    described = _given(description=alarm.description)
    if alarm.rule is not None:
        return {**described, "alarmRule": alarm.rule}
    metrics = _queries(alarm) or [
        {
            "id": aws.new_id("metrics of alarms"),
            "metricStat": _statistic(
                alarm, alarm.period, alarm.statistic or alarm.extended_statistic, alarm
            ),
            "returnData": True,
        }
    ]
    return {**described, "metrics": metrics}


def _queries(alarm: Moto) -> list[dict[str, Json]]:
    """Write the metrics and expressions of an alarm that has several."""
    return [
        _given(
            id=each.id,
            expression=each.expression,
            label=each.label,
            period=each.period,
            metricStat=each.metric_stat
            and _statistic(
                each.metric_stat.metric,
                each.metric_stat.period,
                each.metric_stat.stat,
                each.metric_stat,
            ),
            returnData=each.return_data,
        )
        for each in alarm.metric_data_queries
    ]


def _statistic(
    metric: Moto, period: int, statistic: str, measured: Moto
) -> dict[str, Json]:
    return {
        "metric": {
            "namespace": metric.namespace,
            "name": metric.metric_name,
            "dimensions": {each.name: each.value for each in metric.dimensions},
        },
        "period": int(period),
        "stat": statistic,
        **_given(unit=measured.unit),
    }


def _given(**values: Any) -> dict[str, Json]:  # noqa: ANN401
    return {name: value for name, value in values.items() if value is not None}


def _capitalised(value: Json) -> Json:
    """Name members as messages do, where events begin with a small letter."""
    if not isinstance(value, dict):
        return value
    return {
        name[0].upper() + name[1:]: _capitalised(each) for name, each in value.items()
    }


def _region_name(region: str) -> str:
    """Give the name of a Region, like `US East (N. Virginia)`."""
    partitions = Session().get_data("endpoints")["partitions"]
    known = {
        name: each for part in partitions for name, each in part["regions"].items()
    }
    return str(known.get(region, {}).get("description", region))


def _written(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%S}.{instant.microsecond // 1000:03d}+0000"
