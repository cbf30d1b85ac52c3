"""The API of metrics: what is put, listed and computed.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/. All is
answered in one page, except by ListMetrics. The texts of errors are our own.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from moto.cloudwatch.exceptions import (
    InvalidParameterCombination,
    InvalidParameterValue,
    ValidationError,
)
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult, EmptyResult

from cdk_personalize_segments.local.cloudwatch.errors import QueryError
from cdk_personalize_segments.local.cloudwatch.metric_math import Line, Window
from cdk_personalize_segments.local.cloudwatch.metrics import (
    LONGEST_FUTURE_HOURS,
    LONGEST_PAST_DAYS,
    UNITS,
    Metric,
)
from cdk_personalize_segments.local.cloudwatch.queries import (
    Queries,
    check_period,
    metric_of,
    statistics_of,
)
from cdk_personalize_segments.local.cloudwatch.series import MINUTE, Sample

if TYPE_CHECKING:
    from cdk_personalize_segments.local.aws import LocalAws

PUT_METRIC_DATA: Final = frozenset({"MetricData", "Namespace"})
GET_METRIC_DATA: Final = frozenset(
    {"EndTime", "MetricDataQueries", "ScanBy", "StartTime"}
)
GET_METRIC_STATISTICS: Final = frozenset(
    {
        "Dimensions",
        "EndTime",
        "ExtendedStatistics",
        "MetricName",
        "Namespace",
        "Period",
        "StartTime",
        "Statistics",
        "Unit",
    }
)
LIST_METRICS: Final = frozenset({"Dimensions", "MetricName", "Namespace", "NextToken"})
_DATUM: Final = frozenset(
    {
        "Counts",
        "Dimensions",
        "MetricName",
        "StorageResolution",
        "Timestamp",
        "Unit",
        "Value",
        "Values",
    }
)
_MOST_DATA: Final = 1000
_MOST_VALUES: Final = 150
_MOST_QUERIES: Final = 500
_MOST_POINTS: Final = 100_800
_MOST_STATISTICS_POINTS: Final = 1440
_PAGE: Final = 500


class MetricsApi(CloudWatchResponse):
    """One request; moto calls the method that is named as the operation."""

    local_aws: "LocalAws"

    def put_metric_data(self) -> ActionResult:
        """PutMetricData, of values; sets of statistics are refused."""
        self._accept(PUT_METRIC_DATA)
        data = self._get_param("MetricData", [])
        if len(data) > _MOST_DATA:
            raise ValidationError(f"MetricData may have {_MOST_DATA} members at most")
        namespace = self._get_param("Namespace")
        if namespace.startswith("AWS/"):
            raise InvalidParameterValue(
                "The value AWS/ for parameter Namespace is invalid."
            )
        now = self.local_aws.metrics.now()
        read = [_read(self.region, namespace, datum, now) for datum in data]
        for metric, datum, at, values in read:
            for value, weight in values:
                self.local_aws.metrics.put(
                    metric,
                    value,
                    datum.get("Unit") or "None",
                    at=at,
                    weight=weight,
                    to_the_second=datum.get("StorageResolution") == 1,
                )
        return EmptyResult()

    def get_metric_data(self) -> ActionResult:
        """GetMetricData."""
        self._accept(GET_METRIC_DATA)
        asked = self._get_param("MetricDataQueries", [])
        if len(asked) > _MOST_QUERIES:
            raise ValidationError(f"{_MOST_QUERIES} queries are the most")
        start, end = self._times()
        descending = (
            self._get_param("ScanBy", "TimestampDescending") == "TimestampDescending"
        )
        try:
            queries = Queries(self.local_aws.metrics, self.region, asked)
            for name in queries.returned:
                points = (end - start) / queries.period_of(name)
                _check_points(points, _MOST_POINTS)
            results = queries.results(start, end)
        except QueryError as error:
            raise ValidationError(str(error)) from None
        return ActionResult(
            {
                "MetricDataResults": [
                    _told(result.id, result.line, descending=descending)
                    for result in results
                ],
                "Messages": [],
            }
        )

    def get_metric_statistics(self) -> ActionResult:
        """GetMetricStatistics."""
        self._accept(GET_METRIC_STATISTICS)
        given = self._get_params()
        plain = given.get("Statistics") or []
        extended = given.get("ExtendedStatistics") or []
        if not plain and not extended:
            raise InvalidParameterCombination(
                "Must specify either Statistics or ExtendedStatistics"
            )
        start, end = self._times()
        period = given["Period"]
        _check_points((end - start) / period, _MOST_STATISTICS_POINTS)
        metric, unit = metric_of(self.region, given), given.get("Unit")
        try:
            check_period(period)
            round_to = min(period, MINUTE)
            first = start // round_to * round_to
            window = Window(first, period, -int(-(end - first) // period))
            points = [
                point
                for name, samples in self._by_unit(metric, window)
                if unit in (None, name)
                for point in _points(samples, name, plain, extended, window, metric)
            ]
        except QueryError as error:
            raise ValidationError(str(error)) from None
        return ActionResult({"Label": metric.name, "Datapoints": points})

    def _by_unit(
        self, metric: Metric, window: Window
    ) -> Iterator[tuple[str, list[Sample]]]:
        found: dict[str, list[Sample]] = {}
        series = self.local_aws.metrics.series(metric)
        for sample in series.between(window.start, window.end):
            found.setdefault(sample.unit, []).append(sample)
        yield from found.items()

    def list_metrics(self) -> ActionResult:
        """ListMetrics, also of metrics whose data is older than two weeks."""
        self._accept(LIST_METRICS)
        given = self._get_params()
        wanted = [
            (each["Name"], each.get("Value")) for each in given.get("Dimensions") or []
        ]
        found = [
            metric
            for metric, _ in self.local_aws.metrics.all()
            if metric.region == self.region
            and given.get("Namespace") in (None, metric.namespace)
            and given.get("MetricName") in (None, metric.name)
            and all(_has(metric, name, value) for name, value in wanted)
        ]
        start = int(given.get("NextToken") or 0)
        end = start + _PAGE
        page = {"Metrics": [_described(metric) for metric in found[start:end]]}
        more = {"NextToken": str(end)} if end < len(found) else {}
        return ActionResult({**page, **more})

    def _times(self) -> tuple[float, float]:
        start, end = (
            _seconds(self._get_param(each)) for each in ("StartTime", "EndTime")
        )
        if start >= end:
            raise ValidationError(
                "The parameter StartTime must be less than the parameter EndTime."
            )
        return start, end

    def _accept(self, honoured: frozenset[str]) -> None:
        for name, value in self._get_params().items():
            if value not in (None, "", [], {}) and name not in honoured:
                raise ValidationError(f"local AWS does not honour the parameter {name}")


def _read(
    region: str, namespace: str, datum: Mapping[str, Any], now: float
) -> tuple[Metric, Mapping[str, Any], float, list[tuple[float, float]]]:
    """Read what is put: of which metric, when, and values with their counts."""
    others = {name for name, value in datum.items() if value is not None} - _DATUM
    if others:
        raise ValidationError(
            f"local AWS does not honour {', '.join(sorted(others))} of MetricData"
        )
    if datum.get("Unit") not in (None, *UNITS):
        raise ValidationError(f"there is no unit {datum['Unit']}")
    metric = metric_of(region, {**datum, "Namespace": namespace})
    at = now if datum.get("Timestamp") is None else _seconds(datum["Timestamp"])
    if not -LONGEST_PAST_DAYS * 86_400 <= at - now <= LONGEST_FUTURE_HOURS * 3600:
        raise InvalidParameterValue(
            "The parameter MetricData.member.1.Timestamp must specify a time within "
            "the past two weeks and no more than two hours in the future."
        )
    values = datum.get("Values") or []
    counts = datum.get("Counts") or [1.0] * len(values)
    if bool(values) == (datum.get("Value") is not None) or len(counts) != len(values):
        raise InvalidParameterCombination(
            "MetricData must have either a Value, or Values with as many Counts"
        )
    if len(values) > _MOST_VALUES:
        raise ValidationError(f"Values may have {_MOST_VALUES} members at most")
    pairs = list(zip(values, counts, strict=True)) or [(datum["Value"], 1.0)]
    return metric, datum, at, pairs


def _points(
    samples: Sequence[Sample],
    unit: str,
    plain: Sequence[str],
    extended: Sequence[str],
    window: Window,
    metric: Metric,
) -> list[dict[str, Any]]:
    """Write what GetMetricStatistics tells of samples of one unit."""
    lines = {
        name: statistics_of(samples, name, window, metric)
        for name in (*plain, *extended)
    }
    times = next(iter(lines.values())).values
    return [
        {
            "Timestamp": datetime.fromtimestamp(at, UTC),
            "Unit": unit,
            **{name: lines[name].values[at] for name in plain},
            **(
                {
                    "ExtendedStatistics": {
                        name: lines[name].values[at] for name in extended
                    }
                }
                if extended
                else {}
            ),
        }
        for at in times
    ]


def _told(name: str, line: Line, *, descending: bool) -> dict[str, Any]:
    times = sorted(line.values, reverse=descending)
    return {
        "Id": name,
        "Label": line.label,
        "Timestamps": [datetime.fromtimestamp(at, UTC) for at in times],
        "Values": [line.values[at] for at in times],
        "StatusCode": "Complete",
    }


def _described(metric: Metric) -> dict[str, Any]:
    return {
        "Namespace": metric.namespace,
        "MetricName": metric.name,
        "Dimensions": [
            {"Name": name, "Value": value} for name, value in metric.dimensions
        ],
    }


def _has(metric: Metric, name: str, value: str | None) -> bool:
    return any(
        each == name and value in (None, found) for each, found in metric.dimensions
    )


def _check_points(points: float, most: int) -> None:
    if points > most:
        raise InvalidParameterCombination(
            f"You have requested up to {points:.0f} datapoints, which exceeds the "
            f"limit of {most}. You may reduce the datapoints requested by increasing "
            "Period, or decreasing the time range."
        )


def _seconds(instant: datetime | float) -> float:
    if not isinstance(instant, datetime):
        return float(instant)
    return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp()
