"""The functions of Logs Insights that sum up events.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/
CWL_QuerySyntax-Stats.html.
"""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cdk_personalize_segments.local.logs_insights.values import Value, number, order
from cdk_personalize_segments.local.percentiles import percentile

Timed = tuple[float, Value]


@dataclass(frozen=True)
class Aggregate:
    """A function that sums up.

    Attributes:
        arguments: How many arguments it takes at least, and at most.
        work: What it makes of the values that there are, each with the time of its
            event, newest first, and of the value of the second argument.
    """

    arguments: tuple[int, int]
    work: Callable[[Sequence[Timed], Value], Value]


def _of_numbers(
    work: Callable[[Sequence[float]], float], *, least: int = 1
) -> Callable[[Sequence[Timed], Value], Value]:
    def apply(values: Sequence[Timed], _: Value) -> Value:
        found = [number(value) for _, value in values]
        present = [each for each in found if each is not None]
        return work(present) if len(present) >= least else None

    return apply


def _percentile(values: Sequence[Timed], share: Value) -> Value:
    found = sorted(n for _, v in values if (n := number(v)) is not None)
    percent = number(share)
    if not found or percent is None:
        return None
    return percentile([(each, 1) for each in found], percent / 100)


def _earliest(values: Sequence[Timed], _: Value) -> Value:
    return min(values, key=lambda each: each[0])[1] if values else None


def _latest(values: Sequence[Timed], _: Value) -> Value:
    return max(values, key=lambda each: each[0])[1] if values else None


def _first(values: Sequence[Timed], _: Value) -> Value:
    return min((value for _, value in values), key=order, default=None)


def _last(values: Sequence[Timed], _: Value) -> Value:
    return max((value for _, value in values), key=order, default=None)


AGGREGATES: Final[Mapping[str, Aggregate]] = {
    "avg": Aggregate((1, 1), _of_numbers(lambda found: math.fsum(found) / len(found))),
    "count": Aggregate((0, 1), lambda values, _: float(len(values))),
    "count_distinct": Aggregate(
        (1, 1), lambda values, _: float(len({value for _, value in values}))
    ),
    "earliest": Aggregate((1, 1), _earliest),
    "latest": Aggregate((1, 1), _latest),
    "max": Aggregate((1, 1), _last),
    "min": Aggregate((1, 1), _first),
    "pct": Aggregate((2, 2), _percentile),
    "sortsFirst": Aggregate((1, 1), _first),
    "sortsLast": Aggregate((1, 1), _last),
    "stddev": Aggregate((1, 1), _of_numbers(statistics.pstdev)),
    "sum": Aggregate((1, 1), _of_numbers(math.fsum)),
}
"""The functions that local AWS has."""
