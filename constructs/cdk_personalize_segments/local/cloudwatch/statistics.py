"""Statistics of samples: sums, extremes, percentiles.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/
Statistics-definitions.html.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from cdk_personalize_segments.local.cloudwatch.errors import QueryError
from cdk_personalize_segments.local.cloudwatch.series import Sample
from cdk_personalize_segments.local.percentiles import percentile

Statistic = Callable[[Sequence[Sample]], float]


class StatisticError(QueryError):
    """A statistic is not known here."""


def _sum(samples: Sequence[Sample]) -> float:
    return math.fsum(each.value * each.weight for each in samples)


def _count(samples: Sequence[Sample]) -> float:
    return math.fsum(each.weight for each in samples)


PLAIN: Final[Mapping[str, Statistic]] = {
    "Average": lambda samples: _sum(samples) / _count(samples),
    "Maximum": lambda samples: max(each.value for each in samples),
    "Minimum": lambda samples: min(each.value for each in samples),
    "SampleCount": _count,
    "Sum": _sum,
}
"""The statistics that have names."""
PERCENTILE: Final = re.compile(r"p(100|\d{1,2}(?:\.\d{1,10})?)")
"""The percentiles, like `p90` and `p99.9`."""


def statistic(name: str) -> Statistic:
    """Give a statistic by its name.

    Args:
        name: One of `PLAIN` or a percentile.

    Raises:
        StatisticError: It is another one.
    """
    if name in PLAIN:
        return PLAIN[name]
    match = PERCENTILE.fullmatch(name)
    if match is None:
        raise StatisticError(
            f"local AWS does not have the statistic {name}; it has "
            f"{', '.join(PLAIN)} and percentiles like p90"
        )
    share = float(match[1]) / 100
    return lambda samples: percentile(
        sorted((each.value, each.weight) for each in samples), share
    )
