"""What an alarm watches, and whether PutMetricAlarm takes it.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/
API_PutMetricAlarm.html. The texts of errors are our own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from cdk_personalize_segments.local.cloudwatch.errors import QueryError
from cdk_personalize_segments.local.cloudwatch.metric_math import Line, Window
from cdk_personalize_segments.local.cloudwatch.metrics import Metrics
from cdk_personalize_segments.local.cloudwatch.queries import Queries, metric_of
from cdk_personalize_segments.local.cloudwatch.series import MINUTE
from cdk_personalize_segments.local.cloudwatch.statistics import PERCENTILE
from cdk_personalize_segments.local.cloudwatch.verdicts import (
    COMPARISONS,
    DEFAULT_MISSING,
    MISSING,
    Rule,
)

_HOUR: Final = 3600
_DAY: Final = 86_400
_SHORT_PERIODS: Final = (10, 20, 30)
_MOST_METRICS: Final = 10
_LONGEST_DESCRIPTION: Final = 1024
# There are two ways to say what is watched.
_OF_ONE_METRIC: Final = (
    "Dimensions",
    "ExtendedStatistic",
    "MetricName",
    "Namespace",
    "Period",
    "Statistic",
    "Unit",
)


@dataclass(frozen=True)
class Definition:
    """What an alarm watches.

    Attributes:
        queries: What is computed.
        watched: Which of it is compared with the threshold, by its id.
        period: How long a period is, in seconds.
        rule: When it is ALARM.
        least_samples: How many samples there must be for another state.
    """

    queries: Queries
    watched: str
    period: float
    rule: Rule
    least_samples: float = 0

    @property
    def every(self) -> float:
        """How often it is evaluated, in seconds.

        Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/
        alarm-evaluation.html. That it happens at whole minutes and hours is our own.
        """
        if self.period < MINUTE:
            return _SHORT_PERIODS[0]
        return _HOUR if self.period * self.rule.periods > _DAY else MINUTE

    def window(self, end: float) -> Window:
        """Give the periods that are looked at.

        Args:
            end: The end of the last one.
        """
        count = self.rule.looked_at
        return Window(end - count * self.period, self.period, count)

    def line(self, end: float) -> Line:
        """Compute what is compared with the threshold.

        Args:
            end: The end of the last period.

        Raises:
            QueryError: It cannot be computed, or is no single time series.
        """
        value = self.queries.value(self.watched, self.window(end))
        if not isinstance(value, Line):
            raise QueryError(f"{self.watched} must be one time series")
        return value


def define(metrics: Metrics, region: str, given: Mapping[str, Any]) -> Definition:
    """Read what an alarm watches.

    Args:
        metrics: The account's metrics.
        region: Where it is.
        given: The parameters of PutMetricAlarm.

    Raises:
        QueryError: It cannot be watched.
    """
    description = given.get("AlarmDescription") or ""
    if len(description) > _LONGEST_DESCRIPTION:
        raise QueryError(
            f"AlarmDescription may have {_LONGEST_DESCRIPTION} characters, not "
            f"{len(description)}"
        )
    queries = Queries(metrics, region, _queries(given))
    both = [name for name in _OF_ONE_METRIC if given.get(name)]
    if given.get("Metrics") and both:
        raise QueryError(f"an alarm with Metrics cannot have {', '.join(both)}")
    if "SEARCH" in queries.functions:
        raise QueryError("an alarm cannot be based on a SEARCH expression")
    if len(queries.metrics) > _MOST_METRICS:
        raise QueryError(f"an alarm may have {_MOST_METRICS} metrics at most")
    if len(queries.returned) != 1:
        raise QueryError("exactly one of Metrics must have ReturnData true")
    [watched] = queries.returned
    period = queries.period_of(watched)
    definition = Definition(
        queries, watched, period, _rule(given), _least_samples(given)
    )
    _check_time(period, definition.rule.periods)
    # Whether it can be computed does not depend on data.
    definition.line(0)
    return definition


def _queries(given: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    if given.get("Metrics"):
        return list(given["Metrics"])
    lacking = [
        name for name in ("MetricName", "Namespace", "Period") if not given.get(name)
    ]
    if lacking:
        raise QueryError(f"an alarm must have Metrics, or {', '.join(lacking)}")
    statistics = [
        given[name] for name in ("Statistic", "ExtendedStatistic") if given.get(name)
    ]
    if len(statistics) != 1:
        raise QueryError("an alarm must have a Statistic or an ExtendedStatistic")
    asked = {
        "Metric": given,
        "Period": given["Period"],
        "Stat": statistics[0],
        "Unit": given.get("Unit"),
    }
    return [{"Id": "m1", "MetricStat": asked}]


def _rule(given: Mapping[str, Any]) -> Rule:
    comparison = str(given.get("ComparisonOperator"))
    threshold = given.get("Threshold")
    if comparison not in COMPARISONS:
        raise QueryError(
            f"local AWS does not have the ComparisonOperator {comparison}; it has "
            f"{', '.join(COMPARISONS)}"
        )
    if threshold is None:
        raise QueryError("an alarm must have a Threshold")
    missing = given.get("TreatMissingData") or DEFAULT_MISSING
    if missing not in MISSING:
        raise QueryError(
            f"TreatMissingData must be one of {', '.join(MISSING)}, got {missing}"
        )
    periods = given["EvaluationPeriods"]
    needed = given.get("DatapointsToAlarm") or periods
    if not 1 <= needed <= periods:
        raise QueryError(
            f"DatapointsToAlarm must be at most EvaluationPeriods, got {needed} of "
            f"{periods}"
        )
    return Rule(comparison, float(threshold), periods, needed, missing)


def _check_time(period: float, periods: int) -> None:
    if period not in _SHORT_PERIODS and period % MINUTE:
        raise QueryError(
            f"the Period of an alarm must be 10, 20, 30 or a multiple of 60, got "
            f"{period:g}"
        )
    longest, words = (7 * _DAY, "seven days") if period >= _HOUR else (_DAY, "a day")
    if period * periods > longest:
        raise QueryError(
            f"metrics cannot be checked across more than {words} with a Period of "
            f"{period:g} seconds: EvaluationPeriods * Period must be <= {longest}"
        )


def _least_samples(given: Mapping[str, Any]) -> float:
    """Tell how many samples a percentile needs, if few of them are to be ignored."""
    if given.get("EvaluateLowSampleCountPercentile") != "ignore":
        return 0
    match = PERCENTILE.fullmatch(given.get("ExtendedStatistic") or "")
    if match is None:
        raise QueryError(
            "EvaluateLowSampleCountPercentile needs a percentile as ExtendedStatistic"
        )
    share = float(match[1]) / 100
    rare = min(share, 1 - share)
    return round(10 / rare, 6) if rare else 0


def samples_of(
    metrics: Metrics, region: str, given: Mapping[str, Any], start: float, end: float
) -> float:
    """Count the samples of an alarm's metric.

    Args:
        metrics: The account's metrics.
        region: Where it is.
        given: The parameters of PutMetricAlarm, for one metric.
        start: From when on.
        end: Until when.
    """
    series = metrics.series(metric_of(region, given))
    return sum(each.weight for each in series.between(start, end))
