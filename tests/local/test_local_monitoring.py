"""Alarms, log groups and saved queries through their own APIs."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from cdk_personalize_segments.local import LocalAws

ALARM: dict[str, Any] = {
    "ComparisonOperator": "GreaterThanThreshold",
    "EvaluationPeriods": 1,
    "MetricName": "Errors",
    "Namespace": "AWS/Lambda",
    "Period": 60,
    "Statistic": "Sum",
    "Threshold": 1.0,
}


@pytest.mark.bridge("moto.cloudwatch.urls.url_paths")
@pytest.mark.emulates("cloudwatch:SetAlarmState", "cloudwatch:PutMetricAlarm")
def test_an_alarm_keeps_its_state_and_tags_when_it_is_put_again(aws: LocalAws) -> None:
    client = aws.client("cloudwatch")
    tags = [{"Key": "team", "Value": "growth"}]
    client.put_metric_alarm(AlarmName="errors", Tags=tags, **ALARM)
    client.set_alarm_state(AlarmName="errors", StateValue="ALARM", StateReason="A test")
    other = [{"Key": "team", "Value": "sales"}]
    client.put_metric_alarm(
        AlarmName="errors", Tags=other, **{**ALARM, "Threshold": 2.0}
    )
    (alarm,) = client.describe_alarms(AlarmNames=["errors"])["MetricAlarms"]
    assert (alarm["Threshold"], alarm["StateValue"]) == (2.0, "ALARM")
    assert alarm["StateReason"] == "A test"
    found = client.list_tags_for_resource(ResourceARN=alarm["AlarmArn"])["Tags"]
    assert found == tags
    client.delete_alarms(AlarmNames=["errors"])
    client.put_metric_alarm(AlarmName="errors", **ALARM)
    (alarm,) = client.describe_alarms(AlarmNames=["errors"])["MetricAlarms"]
    assert alarm["StateValue"] == "INSUFFICIENT_DATA"
    assert client.list_tags_for_resource(ResourceARN=alarm["AlarmArn"])["Tags"] == []


@pytest.mark.emulates("cloudwatch:DescribeAlarms")
def test_alarms_are_found_by_every_filter_at_once(aws: LocalAws) -> None:
    client = aws.client("cloudwatch")
    action = "arn:aws:sns:us-east-1:123456789012:pager"
    client.put_metric_alarm(AlarmName="found-1", OKActions=[action], **ALARM)
    client.put_metric_alarm(AlarmName="found-2", **ALARM)
    client.put_composite_alarm(AlarmName="found-3", AlarmRule="ALARM(found-1)")

    def names(**filters: Any) -> list[str]:
        answer = client.describe_alarms(AlarmNamePrefix="found-", **filters)
        found = [
            *answer.get("MetricAlarms", []),
            *answer.get("CompositeAlarms", []),
        ]
        return [alarm["AlarmName"] for alarm in found]

    assert names() == ["found-1", "found-2"]
    assert names(AlarmTypes=["CompositeAlarm"]) == ["found-3"]
    assert names(ActionPrefix="arn:aws:sns") == ["found-1"]
    assert names(StateValue="OK") == []
    with pytest.raises(ClientError, match="does not honour the parameter MaxRecords"):
        names(MaxRecords=1)


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"EvaluationInterval": 10}, "EvaluationInterval"),
        (
            {"Metrics": [{"Id": "m1", "Expression": "1", "AccountId": "1"}]},
            "AccountId",
        ),
    ],
)
def test_what_an_alarm_would_lose_is_refused(
    aws: LocalAws, more: dict[str, Any], named: str
) -> None:
    with pytest.raises(ClientError, match=named):
        aws.client("cloudwatch").put_metric_alarm(
            AlarmName="refused", **{**ALARM, **more}
        )


@pytest.mark.bridge("moto.logs.urls.url_paths")
@pytest.mark.emulates("logs:DeleteLogGroup", "logs:PutLogGroupDeletionProtection")
def test_a_protected_log_group_is_not_deleted(aws: LocalAws) -> None:
    logs = aws.client("logs")
    logs.create_log_group(logGroupName="kept", deletionProtectionEnabled=True)
    with pytest.raises(logs.exceptions.ValidationException, match="kept"):
        logs.delete_log_group(logGroupName="kept")
    logs.put_log_group_deletion_protection(
        logGroupIdentifier="kept", deletionProtectionEnabled=False
    )
    logs.delete_log_group(logGroupName="kept")


@pytest.mark.bridge("moto.logs.metric_filters.MetricFilters.add_filter")
@pytest.mark.emulates("logs:DisassociateKmsKey", "logs:DescribeLogGroups")
def test_a_log_group_tells_its_key_class_and_filters(aws: LocalAws) -> None:
    logs = aws.client("logs")
    logs.create_log_group(logGroupName="told", kmsKeyId="arn:aws:kms:::key/1")
    logs.disassociate_kms_key(logGroupName="told")
    for pattern in ("ERROR", "WARN"):
        logs.put_metric_filter(
            logGroupName="told",
            filterName="failures",
            filterPattern=pattern,
            metricTransformations=[
                {"metricName": "n", "metricNamespace": "m", "metricValue": "1"}
            ],
        )
    (group,) = logs.describe_log_groups(logGroupNamePrefix="told")["logGroups"]
    assert "kmsKeyId" not in group
    assert group["logGroupClass"] == "STANDARD"
    assert group["metricFilterCount"] == 1
    (found,) = logs.describe_metric_filters(logGroupName="told")["metricFilters"]
    assert found["filterPattern"] == "WARN"
    logs.delete_log_group(logGroupName="told")
    logs.create_log_group(logGroupName="told")
    assert logs.describe_metric_filters(logGroupName="told")["metricFilters"] == []


@pytest.mark.emulates("logs:PutQueryDefinition", "logs:DeleteQueryDefinition")
def test_a_saved_query_that_is_not_there_is_refused(aws: LocalAws) -> None:
    logs = aws.client("logs")
    missing = logs.exceptions.ResourceNotFoundException
    with pytest.raises(missing):
        logs.put_query_definition(
            queryDefinitionId="none", name="a", queryString="fields @message"
        )
    with pytest.raises(missing):
        logs.delete_query_definition(queryDefinitionId="none")


@pytest.mark.bridge(
    "moto.kms.responses.KmsResponse.enable_key_rotation",
    "moto.kms.responses.KmsResponse.get_key_rotation_status",
)
def test_the_rotation_period_of_a_key(aws: LocalAws) -> None:
    kms = aws.client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    with pytest.raises(ClientError, match="between 90 and 2560"):
        kms.enable_key_rotation(KeyId=key, RotationPeriodInDays=2561)
    kms.enable_key_rotation(KeyId=key)
    status = kms.get_key_rotation_status(KeyId=key)
    assert status["RotationPeriodInDays"] == 365
    assert (status["NextRotationDate"] - aws.clock.now()).days == 365
