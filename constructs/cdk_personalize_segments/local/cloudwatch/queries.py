"""Computes what metric data queries ask for: metrics and expressions over a window."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from cdk_personalize_segments.local.cloudwatch import labels, metric_math
from cdk_personalize_segments.local.cloudwatch.errors import QueryError
from cdk_personalize_segments.local.cloudwatch.metric_math import (
    Evaluation,
    Line,
    MathError,
    Value,
    Window,
)
from cdk_personalize_segments.local.cloudwatch.metrics import UNITS, Metric, Metrics
from cdk_personalize_segments.local.cloudwatch.search import read_search
from cdk_personalize_segments.local.cloudwatch.series import MINUTE, Sample
from cdk_personalize_segments.local.cloudwatch.statistics import statistic

SHORT_PERIODS: Final = (1, 5, 10, 20, 30)
"""The periods below a minute, of metrics of high resolution."""
_DEFAULT_PERIOD: Final = 300
_ID: Final = re.compile(r"[a-z][a-zA-Z0-9_]{0,254}")
_QUERY: Final = frozenset(
    {"Expression", "Id", "Label", "MetricStat", "Period", "ReturnData"}
)

Query = Mapping[str, Any]


@dataclass(frozen=True)
class Result:
    """A time series that was asked for.

    Attributes:
        id: The query.
        line: The time series.
    """

    id: str
    line: Line


def check_period(period: float) -> None:
    """Check that a period is one that CloudWatch has.

    Args:
        period: The period, in seconds.

    Raises:
        QueryError: It is not.
    """
    if period not in SHORT_PERIODS and (period <= 0 or period % MINUTE):
        raise QueryError(
            f"a period must be {', '.join(map(str, SHORT_PERIODS))} or a multiple of "
            f"60, got {period}"
        )


def metric_of(region: str, given: Mapping[str, Any]) -> Metric:
    """Read which metric is meant.

    Args:
        region: Where.
        given: Its namespace, name and dimensions.
    """
    dimensions = {each["Name"]: each["Value"] for each in given.get("Dimensions") or ()}
    return Metric.of(region, given["Namespace"], given["MetricName"], dimensions)


class Queries:
    """Queries that belong together, since they refer to each other."""

    def __init__(self, metrics: Metrics, region: str, queries: Sequence[Query]) -> None:
        """Check them.

        Args:
            metrics: The account's metrics.
            region: Where the metrics are.
            queries: The queries.

        Raises:
            QueryError: One is malformed.
        """
        self._metrics = metrics
        self._region = region
        self._queries = {query.get("Id", ""): query for query in queries}
        if len(self._queries) < len(queries):
            raise QueryError("the Id of each query must be unique")
        for name, query in self._queries.items():
            _check(name, query)
        self._expressions = {
            name: metric_math.parse(query["Expression"])
            for name, query in self._queries.items()
            if query.get("Expression") is not None
        }
        for node in self._expressions.values():
            for name in metric_math.references(node):
                if name not in self._queries:
                    raise QueryError(
                        f"an expression refers to {name}, and there is none"
                    )

    @property
    def functions(self) -> set[str]:
        """The functions that the expressions have."""
        found: set[str] = set()
        return found.union(*map(metric_math.functions, self._expressions.values()))

    @property
    def metrics(self) -> list[Metric]:
        """The metrics that are asked for, without those that are searched for."""
        return [
            metric_of(self._region, query["MetricStat"]["Metric"])
            for query in self._queries.values()
            if query.get("MetricStat")
        ]

    @property
    def returned(self) -> list[str]:
        """The queries whose results are asked for."""
        return [
            name
            for name, query in self._queries.items()
            if query.get("ReturnData") in (None, True)
        ]

    def period_of(self, name: str) -> float:
        """Tell the period of a query: its own, or that of what it refers to.

        That a search's own period comes first is not documented.

        Args:
            name: Its id.

        Raises:
            QueryError: It refers to several periods, or to itself.
        """
        return self._period(name, ())

    def _period(self, name: str, above: tuple[str, ...]) -> float:
        if name in above:
            raise QueryError(f"{name} refers to itself")
        query = self._queries[name]
        if query.get("MetricStat"):
            return float(query["MetricStat"]["Period"])
        node = self._expressions[name]
        searched = metric_math.search_periods(node)
        if query.get("Period") and not searched:
            return float(query["Period"])
        inner = metric_math.references(node)
        if not inner and "METRICS" in metric_math.functions(node):
            inner = [key for key, each in self._queries.items() if "MetricStat" in each]
        periods = {self._period(each, (*above, name)) for each in inner}
        periods |= searched
        if len(periods) > 1:
            raise QueryError(
                f"the metrics of {name} have different periods, which is not honoured"
            )
        return periods.pop() if periods else _DEFAULT_PERIOD

    def results(self, start: float, end: float) -> list[Result]:
        """Compute all that is asked for between two times.

        Periods begin at the start, rounded down to a minute or to a short period.

        Args:
            start: The first time.
            end: The last time, which does not belong to it.

        Raises:
            QueryError: Something cannot be computed.
        """
        found = []
        for name in self.returned:
            period = self.period_of(name)
            round_to = min(period, MINUTE)
            first = start // round_to * round_to
            count = max(-int(-(end - first) // period), 0)
            value = self.value(name, Window(first, period, count))
            if isinstance(value, float):
                raise QueryError(f"{name} is a number, and must be time series")
            lines = value if isinstance(value, list) else [value]
            found += [Result(name, each) for each in self._labelled(name, lines)]
        return found

    def value(self, name: str, window: Window) -> Value:
        """Compute one query over a window.

        Args:
            name: Its id.
            window: The window.

        Raises:
            QueryError: It cannot be computed.
        """
        query = self._queries[name]
        if query.get("MetricStat"):
            return self._line(query["MetricStat"], window)
        node = self._expressions[name]
        try:
            return Evaluation(
                window,
                {
                    each: self.value(each, window)
                    for each in metric_math.references(node)
                },
                {
                    key: self._line(each["MetricStat"], window)
                    for key, each in self._queries.items()
                    if each.get("MetricStat")
                }
                if {"METRICS", "PERIOD"} & metric_math.functions(node)
                else {},
                lambda *asked: self._found(window, *asked),
            ).evaluate(node)
        except MathError as error:
            raise QueryError(f"{name} cannot be computed: {error}") from None

    def _line(self, asked: Mapping[str, Any], window: Window) -> Line:
        metric = metric_of(self._region, asked["Metric"])
        unit = asked.get("Unit")
        samples = self._metrics.series(metric).between(window.start, window.end)
        if unit is not None:
            samples = [each for each in samples if each.unit == unit]
        elif len({each.unit for each in samples}) > 1:
            raise QueryError(
                f"{metric.name} has values in several units: name the Unit that is "
                "meant"
            )
        return statistics_of(samples, asked["Stat"], window, metric)

    def _found(self, window: Window, expression: str, stat: str) -> list[Line]:
        finds = read_search(expression)
        lines = [
            statistics_of(
                series.between(window.start, window.end), stat, window, metric
            )
            for metric, series in self._metrics.all()
            if metric.region == self._region and finds(metric)
        ]
        return labels.told_apart([line for line in lines if line.values])

    def _labelled(self, name: str, lines: list[Line]) -> list[Line]:
        query = self._queries[name]
        default = name
        if query.get("MetricStat"):
            default = query["MetricStat"]["Metric"]["MetricName"]
        return [
            replace(line, label=labels.label(query.get("Label"), line, default))
            for line in lines
        ]


def statistics_of(
    samples: Sequence[Sample], name: str, window: Window, metric: Metric
) -> Line:
    """Sum up samples by period.

    Args:
        samples: The samples.
        name: The statistic.
        window: The periods.
        metric: What they are of.

    Raises:
        StatisticError: There is no such statistic.
    """
    compute = statistic(name)
    binned: dict[float, list[Sample]] = {}
    for sample in samples:
        place = (sample.time - window.start) // window.period
        binned.setdefault(window.start + place * window.period, []).append(sample)
    values = {at: compute(found) for at, found in sorted(binned.items())}
    return Line(values, metric=metric)


def _check(name: str, query: Query) -> None:
    others = {key for key, value in query.items() if value is not None} - _QUERY
    if others:
        raise QueryError(
            f"local AWS does not honour {', '.join(sorted(others))} of a metric"
        )
    if not _ID.fullmatch(name):
        raise QueryError(
            f"the Id {name!r} must begin with a small letter, and have letters, digits "
            "and underscores only"
        )
    asked = query.get("MetricStat")
    if bool(asked) == (query.get("Expression") is not None):
        raise QueryError(f"{name} must have either a MetricStat or an Expression")
    if asked:
        statistic(asked["Stat"])
        check_period(asked["Period"])
        if asked.get("Unit") not in (None, *UNITS):
            raise QueryError(f"there is no unit {asked['Unit']}")
    elif query.get("Period") is not None:
        check_period(query["Period"])
