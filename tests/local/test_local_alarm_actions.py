"""What SetAlarmState sets off: messages, invocations and events."""

import json
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cdk_personalize_segments.local import LocalAws

ALARM: dict[str, Any] = {
    "ComparisonOperator": "GreaterThanThreshold",
    "Dimensions": [{"Name": "FunctionName", "Value": "f"}],
    "EvaluationPeriods": 1,
    "MetricName": "Errors",
    "Namespace": "AWS/Lambda",
    "Period": 60,
    "Statistic": "Sum",
    "Threshold": 1.0,
}


@pytest.fixture
def topic(aws: LocalAws) -> Any:
    """Give a topic, with the policy that every topic has, that mails somebody."""
    client = aws.client("sns")
    arn = client.create_topic(Name=f"alarms-{uuid.uuid4().hex[:8]}")["TopicArn"]
    client.subscribe(TopicArn=arn, Protocol="email", Endpoint=f"{arn[-8:]}@example.org")
    return arn


def mails(aws: LocalAws, topic: str) -> list[Any]:
    aws.clock.settle()
    return aws.messages(f"{topic[-8:]}@example.org")


@pytest.mark.emulates("cloudwatch:SetAlarmState")
def test_another_state_runs_the_actions_for_it(aws: LocalAws, topic: str) -> None:
    client = aws.client("cloudwatch")
    client.put_metric_alarm(
        AlarmName="acting", AlarmActions=[topic], AlarmDescription="Too many", **ALARM
    )

    def set_state(value: str, reason: str) -> None:
        client.set_alarm_state(AlarmName="acting", StateValue=value, StateReason=reason)

    set_state("ALARM", "first")
    set_state("ALARM", "no other state")
    set_state("OK", "without an action")
    [mail] = mails(aws, topic)
    assert mail.subject == 'ALARM: "acting" in US East (N. Virginia)'
    told = json.loads(mail.body)
    assert told["AlarmName"] == "acting"
    assert told["AlarmDescription"] == "Too many"
    assert (told["OldStateValue"], told["NewStateValue"]) == (
        "INSUFFICIENT_DATA",
        "ALARM",
    )
    assert told["NewStateReason"] == "first"
    assert told["Region"] == "US East (N. Virginia)"
    assert told["AlarmActions"] == [topic]
    assert told["Trigger"] == {
        "MetricName": "Errors",
        "Namespace": "AWS/Lambda",
        "StatisticType": "Statistic",
        "Statistic": "SUM",
        "Unit": None,
        "Dimensions": [{"value": "f", "name": "FunctionName"}],
        "Period": 60,
        "EvaluationPeriods": 1,
        "ComparisonOperator": "GreaterThanThreshold",
        "Threshold": 1.0,
        "TreatMissingData": "",
        "EvaluateLowSampleCountPercentile": "",
    }
    client.put_metric_alarm(
        AlarmName="acting", AlarmActions=[topic], ActionsEnabled=False, **ALARM
    )
    set_state("ALARM", "disabled")
    assert len(mails(aws, topic)) == 1


@pytest.mark.emulates("cloudwatch:PutCompositeAlarm")
def test_a_composite_alarm_runs_its_actions(aws: LocalAws, topic: str) -> None:
    client = aws.client("cloudwatch")
    client.put_metric_alarm(AlarmName="part", **ALARM)
    client.put_composite_alarm(
        AlarmName="whole", AlarmRule="ALARM(part)", OKActions=[topic]
    )
    client.set_alarm_state(AlarmName="whole", StateValue="OK", StateReason="A test")
    [mail] = mails(aws, topic)
    assert json.loads(mail.body)["AlarmRule"] == "ALARM(part)"


@pytest.mark.emulates("event-source:cloudwatch")
def test_another_state_is_an_event(aws: LocalAws) -> None:
    sqs, events = aws.client("sqs"), aws.client("events")
    url = sqs.create_queue(QueueName="alarm-events")["QueueUrl"]
    arn = "arn:aws:sqs:us-east-1:123456789012:alarm-events"
    allowed = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    sqs.set_queue_attributes(
        QueueUrl=url,
        Attributes={
            "Policy": json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        },
    )
    pattern = {
        "source": ["aws.cloudwatch"],
        "detail": {"alarmName": ["telling"], "state": {"value": ["ALARM"]}},
    }
    events.put_rule(Name="alarms", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="alarms", Targets=[{"Id": "only", "Arn": arn}])
    client = aws.client("cloudwatch")
    client.put_metric_alarm(AlarmName="telling", **ALARM)
    client.set_alarm_state(
        AlarmName="telling",
        StateValue="ALARM",
        StateReason="A test",
        StateReasonData='{"a": 1}',
    )
    aws.clock.settle()
    [message] = sqs.receive_message(QueueUrl=url)["Messages"]
    event = json.loads(message["Body"])
    assert event["detail-type"] == "CloudWatch Alarm State Change"
    assert event["resources"] == [
        "arn:aws:cloudwatch:us-east-1:123456789012:alarm:telling"
    ]
    detail = event["detail"]
    assert detail["previousState"]["value"] == "INSUFFICIENT_DATA"
    assert detail["state"]["reason"] == "A test"
    assert detail["state"]["reasonData"] == '{"a": 1}'
    [metric] = detail["configuration"]["metrics"]
    assert metric["metricStat"] == {
        "metric": {
            "namespace": "AWS/Lambda",
            "name": "Errors",
            "dimensions": {"FunctionName": "f"},
        },
        "period": 60,
        "stat": "Sum",
    }
    events.remove_targets(Rule="alarms", Ids=["only"])
    events.delete_rule(Name="alarms")


def test_an_action_that_could_not_run_is_refused(aws: LocalAws) -> None:
    with pytest.raises(ClientError, match="does not honour the action arn:aws:swf"):
        aws.client("cloudwatch").put_metric_alarm(
            AlarmName="refused", OKActions=["arn:aws:swf:us-east-1:1:a"], **ALARM
        )
