"""Metrics through the API."""

from datetime import timedelta

import pytest
from botocore.exceptions import ClientError

PIPELINE = [{"Name": "Pipeline", "Value": "a"}]


@pytest.fixture(scope="module")
def client(aws):
    return aws.client("cloudwatch")


@pytest.fixture(scope="module")
def start(aws, client):
    """Put some values, a minute apart, and give the time of the first."""
    now = aws.clock.now().replace(second=0, microsecond=0)
    for minute, value in enumerate((1, 2, 4)):
        datum = {
            "MetricName": "Runs",
            "Dimensions": PIPELINE,
            "Value": value,
            "Unit": "Count",
            "Timestamp": now + timedelta(minutes=minute, seconds=30),
        }
        client.put_metric_data(Namespace="Api", MetricData=[datum])
    times = {"MetricName": "Times", "Values": [1, 2], "Counts": [3, 1]}
    client.put_metric_data(Namespace="Api", MetricData=[times])
    return now


@pytest.mark.emulates("cloudwatch:GetMetricData", "cloudwatch:PutMetricData")
def test_queries_give_time_series(client, start):
    runs = {
        "Metric": {"Namespace": "Api", "MetricName": "Runs", "Dimensions": PIPELINE},
        "Period": 60,
        "Stat": "Sum",
    }
    asked = [
        {"Id": "runs", "MetricStat": runs, "ReturnData": False},
        {"Id": "twice", "Expression": "runs * 2", "Label": "Twice"},
        {"Id": "all", "MetricStat": {**runs, "Period": 300}},
    ]

    def get(**options):
        answer = client.get_metric_data(
            MetricDataQueries=asked,
            StartTime=start,
            EndTime=start + timedelta(minutes=5),
            **options,
        )
        return answer["MetricDataResults"]

    twice, of_all = get(ScanBy="TimestampAscending")
    assert twice["Values"] == [2, 4, 8]
    assert twice["Timestamps"] == [start + timedelta(minutes=n) for n in range(3)]
    assert (twice["Id"], twice["Label"], twice["StatusCode"]) == (
        *("twice", "Twice"),
        "Complete",
    )
    assert (of_all["Values"], of_all["Label"]) == ([7], "Runs")
    assert get()[0]["Values"] == [8, 4, 2]
    with pytest.raises(
        ClientError, match="does not honour the parameter MaxDatapoints"
    ):
        get(MaxDatapoints=100)


@pytest.mark.emulates("cloudwatch:GetMetricStatistics")
def test_statistics_of_a_metric(client, start):
    def get(**options):
        answer = client.get_metric_statistics(
            Namespace="Api",
            MetricName="Runs",
            Dimensions=PIPELINE,
            StartTime=start,
            EndTime=start + timedelta(minutes=10),
            **{"Period": 300, **options},
        )
        return answer["Datapoints"]

    [point] = get(Statistics=["Sum", "Average"], ExtendedStatistics=["p50"])
    assert point["Timestamp"] == start
    assert (point["Sum"], point["Unit"]) == (7, "Count")
    assert point["Average"] == pytest.approx(7 / 3)
    assert point["ExtendedStatistics"] == {"p50": 2}
    assert get(Statistics=["Sum"], Unit="Bytes") == []
    with pytest.raises(ClientError, match="either Statistics or ExtendedStatistics"):
        get()
    with pytest.raises(ClientError, match="the limit of 1440"):
        client.get_metric_statistics(
            Namespace="Api",
            MetricName="Runs",
            StartTime=start,
            EndTime=start + timedelta(days=2),
            Period=60,
            Statistics=["Sum"],
        )


@pytest.mark.emulates("cloudwatch:ListMetrics")
def test_metrics_are_listed_by_what_they_are(client, start):
    def names(**filters):
        found = client.list_metrics(Namespace="Api", **filters)["Metrics"]
        return [each["MetricName"] for each in found]

    assert names() == ["Runs", "Times"]
    assert names(MetricName="Times") == ["Times"]
    assert names(Dimensions=PIPELINE) == ["Runs"]
    assert names(Dimensions=[{"Name": "Pipeline"}]) == ["Runs"]
    assert names(Dimensions=[{"Name": "Pipeline", "Value": "b"}]) == []
    with pytest.raises(ClientError, match="RecentlyActive"):
        names(RecentlyActive="PT3H")


@pytest.mark.parametrize(
    ("datum", "named"),
    [
        ({"StatisticValues": {"SampleCount": 1, "Sum": 1, "Minimum": 1, "Maximum": 1}},
         "does not honour StatisticValues"),
        ({}, "either a Value"),
        ({"Values": [1, 2], "Counts": [1]}, "as many Counts"),
    ],
)  # fmt: skip
def test_what_cannot_be_put_is_refused(client, datum, named):
    with pytest.raises(ClientError, match=named):
        client.put_metric_data(
            Namespace="Api", MetricData=[{"MetricName": "Bad", **datum}]
        )


def test_times_must_be_near_and_queries_well_formed(aws, client, start):
    late = {"MetricName": "Bad", "Value": 1, "Timestamp": start - timedelta(days=15)}
    with pytest.raises(ClientError, match="within the past two weeks"):
        client.put_metric_data(Namespace="Api", MetricData=[late])
    with pytest.raises(ClientError, match="must be less than the parameter EndTime"):
        client.get_metric_data(MetricDataQueries=[], StartTime=start, EndTime=start)
    bad = {"Id": "e1", "Expression": "HOUR(m1)"}
    with pytest.raises(ClientError, match="the function HOUR"):
        client.get_metric_data(
            MetricDataQueries=[bad],
            StartTime=start,
            EndTime=start + timedelta(hours=1),
        )
    with pytest.raises(ClientError, match="AWS/ for parameter Namespace"):
        client.put_metric_data(Namespace="AWS/Own", MetricData=[])
