"""Percentiles of weighted values.

How AWS estimates a percentile is not documented: local AWS takes the value between the
two nearest ones, in proportion.
"""

import math
from collections.abc import Sequence


def percentile(weighted: Sequence[tuple[float, float]], share: float) -> float:
    """Give the value that a share of all values is below.

    Args:
        weighted: Values in order, each with how often it occurs.
        share: From 0 to 1.
    """
    last = sum(weight for _, weight in weighted) - 1
    place = share * max(last, 0)
    lower, upper = _at(weighted, math.floor(place)), _at(weighted, math.ceil(place))
    return lower + (upper - lower) * (place - math.floor(place))


def _at(weighted: Sequence[tuple[float, float]], place: int) -> float:
    passed = 0.0
    for value, weight in weighted:
        passed += weight
        if place < passed:
            return value
    return weighted[-1][0]
