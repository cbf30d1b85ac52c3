"""Alarms that are evaluated as virtual time passes."""

import itertools
import json
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

MINUTE = timedelta(minutes=1)
_names = itertools.count()


@pytest.fixture(scope="module")
def client(aws):
    return aws.client("cloudwatch")


@pytest.fixture(scope="module")
def topic(aws):
    sns = aws.client("sns")
    arn = sns.create_topic(Name="evaluated-alarms")["TopicArn"]
    sns.subscribe(TopicArn=arn, Protocol="email", Endpoint="oncall@example.org")
    return arn


class Alarm:
    """An alarm on a metric of its own, and what its users do with it."""

    def __init__(self, aws, topic, **settings: Any):
        self.aws = aws
        self.client = aws.client("cloudwatch")
        self.name = f"alarm-{next(_names)}"
        self.settings = {
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            "EvaluationPeriods": 1,
            "Threshold": 1.0,
            "TreatMissingData": "notBreaching",
            "AlarmActions": [topic],
            "OKActions": [topic],
            "InsufficientDataActions": [topic],
            **settings,
        }
        if "Metrics" not in settings:
            self.settings = {
                "Namespace": "Alarms",
                "MetricName": self.name,
                "Period": 60,
                "Statistic": "Sum",
                **self.settings,
            }
        # Evaluations are at whole minutes, and so are the times of these tests.
        now = aws.clock.now().replace(second=0, microsecond=0)
        aws.clock.advance_to(now + MINUTE)
        self.put()

    def put(self, **settings: Any):
        self.settings.update(settings)
        self.client.put_metric_alarm(AlarmName=self.name, **self.settings)

    def measure(self, value=1.0, name=None, **more: Any):
        datum = {"MetricName": name or self.name, "Value": value, **more}
        self.client.put_metric_data(Namespace="Alarms", MetricData=[datum])

    def described(self):
        [found] = self.client.describe_alarms(AlarmNames=[self.name])["MetricAlarms"]
        return found

    @property
    def state(self):
        return self.described()["StateValue"]

    def states(self, minutes):
        """Let minutes pass, and give the state after each."""
        found = []
        for _ in range(minutes):
            self.aws.clock.advance(MINUTE)
            found.append(self.state)
        return found

    def mails(self):
        told = [
            json.loads(each.body) for each in self.aws.messages("oncall@example.org")
        ]
        return [each for each in told if each["AlarmName"] == self.name]


@pytest.fixture
def alarm(aws, topic):
    made = []

    def make(**settings):
        made.append(Alarm(aws, topic, **settings))
        return made[-1]

    yield make
    aws.client("cloudwatch").delete_alarms(AlarmNames=[each.name for each in made])


@pytest.mark.emulates("AWS::CloudWatch::Alarm", "cloudwatch:PutMetricAlarm")
def test_an_alarm_follows_its_metric_and_tells_its_topic(aws, alarm):
    own = alarm()
    assert own.state == "INSUFFICIENT_DATA"
    assert own.states(1) == ["OK"]
    own.measure()
    before = aws.clock.now()
    # A minute is over, then three periods are looked at.
    assert own.states(5) == ["ALARM", "ALARM", "ALARM", "OK", "OK"]
    mails = own.mails()
    changes = [(each["OldStateValue"], each["NewStateValue"]) for each in mails]
    assert changes == [
        ("INSUFFICIENT_DATA", "OK"),
        ("OK", "ALARM"),
        ("ALARM", "OK"),
    ]
    at = f"{before:%d/%m/%y %H:%M:%S}"
    assert mails[1]["NewStateReason"] == (
        f"Threshold Crossed: 1 out of the last 1 datapoints [1.0 ({at})] was greater "
        "than or equal to the threshold (1.0) (minimum 1 datapoint for OK -> ALARM "
        "transition)."
    )
    assert mails[1]["StateChangeTime"].startswith(
        f"{before + MINUTE:%Y-%m-%dT%H:%M:00.000}"
    )


def test_an_alarm_makes_no_time_pass(aws, alarm):
    own = alarm()
    before = aws.clock.now()
    own.measure()
    aws.clock.settle()
    assert aws.clock.now() == before


@pytest.mark.parametrize(
    ("missing", "states"),
    [
        ("missing", ["ALARM", "ALARM", "ALARM", "INSUFFICIENT_DATA"]),
        ("ignore", ["ALARM", "ALARM", "ALARM", "ALARM"]),
        ("breaching", ["ALARM", "ALARM", "ALARM", "ALARM"]),
        ("notBreaching", ["ALARM", "ALARM", "ALARM", "OK"]),
    ],
)
def test_missing_data_counts_as_what_is_said(alarm, missing, states):
    own = alarm(TreatMissingData=missing)
    own.measure()
    assert own.states(4) == states


def test_some_of_several_periods_must_breach(alarm):
    own = alarm(EvaluationPeriods=3, DatapointsToAlarm=2)
    own.measure()
    assert own.states(2) == ["OK", "OK"]
    own.measure()
    assert own.states(1) == ["ALARM"]


@pytest.mark.emulates("AWS::CloudWatch::Alarm")
def test_windows_of_long_periods_slide_by_the_minute(alarm):
    own = alarm(Period=300, Statistic="Maximum", TreatMissingData="missing")
    own.measure(5)
    assert own.states(1) == ["ALARM"]
    own.measure(0)
    # The highest value counts until five minutes after it was put, then the lower one.
    assert own.states(5) == ["ALARM"] * 4 + ["OK"]


def query(name, **more):
    of = {"Namespace": "Alarms", "MetricName": name}
    return {
        "Id": name,
        "MetricStat": {"Metric": of, "Period": 300, "Stat": "Sum"},
        "ReturnData": False,
        **more,
    }


def test_metric_math_is_watched(aws, alarm):
    rate = {"Id": "rate", "Expression": "100 * IF(runs > 0, failed / runs, 0)"}
    own = alarm(
        Metrics=[rate, query("runs"), query("failed")],
        Threshold=50,
        TreatMissingData="notBreaching",
    )
    own.measure(4, "runs")
    assert own.states(1) == ["OK"]
    own.measure(2, "failed")
    assert own.states(1) == ["ALARM"]
    told = own.mails()[-1]["Trigger"]
    assert told["Metrics"][0]["Expression"] == rate["Expression"]


def test_what_stays_away_is_noticed_where_gaps_are_filled(aws, alarm):
    # Without FILL, AWS looks at three periods before it takes data as missing.
    filled = {"Id": "filled", "Expression": "FILL(succeeded, 0)"}
    own = alarm(
        Metrics=[
            filled,
            {
                **query("succeeded"),
                "MetricStat": {
                    "Metric": {"Namespace": "Alarms", "MetricName": "succeeded"},
                    "Period": 86_400,
                    "Stat": "Sum",
                },
            },
        ],
        ComparisonOperator="LessThanThreshold",
        Threshold=1,
    )
    own.measure(1, "succeeded")
    assert own.states(1) == ["OK"]
    aws.clock.advance(timedelta(hours=23, minutes=58))
    assert own.state == "OK"
    assert own.states(2) == ["OK", "ALARM"]


def test_an_alarm_of_several_days_is_evaluated_every_hour(aws, alarm):
    own = alarm(Period=86_400, EvaluationPeriods=2, DatapointsToAlarm=1)
    hour = timedelta(hours=1)
    now = aws.clock.now().replace(minute=0)
    aws.clock.advance_to(now + hour)
    own.measure()
    assert own.states(1) == ["OK"]
    aws.clock.advance(hour)
    assert own.state == "ALARM"


@pytest.mark.emulates("cloudwatch:SetAlarmState")
def test_a_state_that_is_set_lasts_until_the_next_evaluation(client, alarm):
    own = alarm()
    own.states(1)
    client.set_alarm_state(AlarmName=own.name, StateValue="ALARM", StateReason="Test")
    assert own.state == "ALARM"
    assert own.states(1) == ["OK"]
    with pytest.raises(ClientError, match="ResourceNotFound"):
        client.set_alarm_state(AlarmName="none", StateValue="OK", StateReason="Test")


@pytest.mark.emulates("cloudwatch:DescribeAlarmHistory")
def test_the_history_tells_of_settings_states_and_actions(aws, client, alarm, topic):
    own = alarm(OKActions=[], InsufficientDataActions=[f"{topic}-gone"])
    own.states(1)
    own.measure()
    own.states(1)
    own.put(Threshold=2.0, TreatMissingData="missing")
    own.states(3)
    client.delete_alarms(AlarmNames=[own.name])

    def history(**filters):
        return client.describe_alarm_history(
            AlarmName=own.name, ScanBy="TimestampAscending", **filters
        )["AlarmHistoryItems"]

    summaries = [each["HistorySummary"] for each in history()]
    assert summaries == [
        f'Alarm "{own.name}" created',
        "Alarm updated from INSUFFICIENT_DATA to OK",
        "Alarm updated from OK to ALARM",
        f"Successfully executed action {topic}",
        f'Alarm "{own.name}" updated',
        "Alarm updated from ALARM to OK",
        "Alarm updated from OK to INSUFFICIENT_DATA",
        f"Failed to execute action {topic}-gone",
        f'Alarm "{own.name}" deleted',
    ]
    [first, *_] = history(HistoryItemType="StateUpdate")
    data = json.loads(first["HistoryData"])
    assert data["newState"]["stateValue"] == "OK"
    assert data["newState"]["stateReasonData"]["threshold"] == 1.0
    assert history(StartDate=aws.clock.now() + MINUTE) == []
    assert len(history(EndDate=first["Timestamp"])) == 2
    with pytest.raises(ClientError, match="MaxRecords"):
        history(MaxRecords=1)


def test_an_alarm_that_is_changed_or_deleted_is_watched_for_anew(aws, client, alarm):
    own = alarm()
    own.measure()
    own.states(1)
    own.put(Threshold=5.0)
    assert own.state == "ALARM"
    assert own.states(1) == ["OK"]
    own.measure(9)
    client.delete_alarms(AlarmNames=[own.name])
    own.put()
    assert own.states(1) == ["ALARM"]
    own.put(ActionsEnabled=False)
    count = len(own.mails())
    assert own.states(4)[-1] == "OK"
    assert len(own.mails()) == count


def test_few_samples_of_a_percentile_are_ignored(alarm):
    # p90 needs 100 samples.
    own = alarm(
        Statistic="",
        ExtendedStatistic="p90",
        EvaluateLowSampleCountPercentile="ignore",
    )
    own.states(1)
    own.measure(9)
    assert own.states(1) == ["OK"]
    datum = {"MetricName": own.name, "Values": [9], "Counts": [100]}
    own.client.put_metric_data(Namespace="Alarms", MetricData=[datum])
    assert own.states(1) == ["ALARM"]


@pytest.mark.emulates("metrics:AWS/SQS")
def test_dead_letters_raise_an_alarm_until_they_are_taken(aws, alarm):
    sqs = aws.client("sqs")
    url = sqs.create_queue(QueueName="watched-letters")["QueueUrl"]
    own = alarm(
        Namespace="AWS/SQS",
        MetricName="ApproximateNumberOfMessagesVisible",
        Dimensions=[{"Name": "QueueName", "Value": "watched-letters"}],
        Statistic="Maximum",
    )
    assert own.states(1) == ["OK"]
    sqs.send_message(QueueUrl=url, MessageBody="{}")
    assert own.states(2) == ["OK", "ALARM"]
    aws.clock.advance(timedelta(hours=7))
    assert own.state == "ALARM"
    [message] = sqs.receive_message(QueueUrl=url)["Messages"]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert own.states(2) == ["ALARM", "OK"]
    assert [each["NewStateValue"] for each in own.mails()] == ["OK", "ALARM", "OK"]


REFUSED = [
    ({"EvaluationPeriods": 1441}, "more than a day with a Period of 60"),
    ({"Period": 3540, "EvaluationPeriods": 25}, "more than a day"),
    ({"Period": 86_400, "EvaluationPeriods": 8}, "more than seven days"),
    ({"Period": 1}, "must be 10, 20, 30 or a multiple of 60, got 1"),
    ({"Period": 90}, "multiple of 60, got 90"),
    ({"DatapointsToAlarm": 2}, "got 2 of 1"),
    ({"TreatMissingData": "other"}, "got other"),
    ({"ComparisonOperator": "GreaterThanUpperThreshold"}, "GreaterThanUpperThreshold"),
    ({"ThresholdMetricId": "band"}, "does not honour the parameter ThresholdMetricId"),
    ({"AlarmDescription": "x" * 1025}, "1024 characters"),
    ({"AlarmActions": ["arn:aws:sns:us-east-1:1:t"] * 6}, "may have 5 at most"),
    ({"ExtendedStatistic": "p90"}, "a Statistic or an ExtendedStatistic"),
    ({"EvaluateLowSampleCountPercentile": "ignore"}, "needs a percentile"),
    ({"Metrics": [query("runs")]}, "cannot have MetricName, Namespace"),
]
MATH_REFUSED = [
    ([], "must have Metrics, or MetricName, Namespace, Period"),
    ([query("runs")], "exactly one of Metrics must have ReturnData true"),
    ([{"Id": "e1", "Expression": "SEARCH('a', 'Sum', 60)"}], "based on a SEARCH"),
    ([{"Id": "e1", "Expression": "5"}], "must be one time series"),
    ([{"Id": "e1", "Expression": "HOUR(runs)"}, query("runs")], "function HOUR"),
    (
        [
            {
                "Id": "e1",
                "Expression": f"SUM([{', '.join(f'm{n}' for n in range(11))}])",
            },
            *(query(f"m{n}") for n in range(11)),
        ],
        "10 metrics at most",
    ),
]


@pytest.mark.parametrize(("settings", "named"), REFUSED)
def test_what_the_service_refuses_is_refused(client, settings, named):
    given = {
        "AlarmName": "refused",
        "Namespace": "Alarms",
        "MetricName": "runs",
        "Period": 60,
        "Statistic": "Sum",
        "ComparisonOperator": "GreaterThanThreshold",
        "EvaluationPeriods": 1,
        "Threshold": 1.0,
    }
    with pytest.raises(ClientError, match=named):
        client.put_metric_alarm(**{**given, **settings})


@pytest.mark.parametrize(("metrics", "named"), MATH_REFUSED)
def test_what_cannot_be_watched_is_refused(client, metrics, named):
    with pytest.raises(ClientError, match=named):
        client.put_metric_alarm(
            AlarmName="refused",
            Metrics=metrics,
            ComparisonOperator="GreaterThanThreshold",
            EvaluationPeriods=1,
            Threshold=1.0,
        )


def test_alarms_of_short_periods_are_evaluated_every_ten_seconds(aws, alarm):
    own = alarm(Period=10)
    own.measure(StorageResolution=1)
    aws.clock.advance(timedelta(seconds=9))
    assert own.state == "INSUFFICIENT_DATA"
    aws.clock.advance(timedelta(seconds=1))
    assert own.state == "ALARM"
    aws.clock.advance(timedelta(seconds=30))
    assert own.state == "OK"
