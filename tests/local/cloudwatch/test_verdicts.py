"""Which state data points mean, by the tables of the CloudWatch user guide."""

import pytest

from cdk_personalize_segments.local.cloudwatch.verdicts import (
    COMPARISONS,
    MISSING,
    Rule,
    judge,
)

ALL_OK = ("OK", "OK", "OK", "OK")
ALL_ALARM = ("ALARM", "ALARM", "ALARM", "ALARM")
UNKNOWN = "INSUFFICIENT_DATA"
KEPT = None
# Data points, oldest first: 0 is well, X breaches, - is missing. Then the states if
# missing data counts as missing, ignore, breaching and notBreaching.
THREE_OF_THREE = [
    ("0-X-X", ALL_OK),
    ("0----", ALL_OK),
    ("----0", ALL_OK),
    ("-----", (UNKNOWN, KEPT, "ALARM", "OK")),
    ("0XX-X", ALL_ALARM),
    ("----X", (UNKNOWN, KEPT, "ALARM", "OK")),
    ("--X--", ("ALARM", KEPT, "ALARM", "OK")),
    ("X----", ("ALARM", KEPT, "ALARM", "OK")),
]
TWO_OF_THREE = [
    ("0-X-X", ALL_ALARM),
    ("00X0X", ALL_ALARM),
    ("0-X--", ("OK", "OK", "ALARM", "OK")),
    ("----0", ("OK", "OK", "ALARM", "OK")),
    ("----X", (UNKNOWN, KEPT, "ALARM", "OK")),
    ("---X-", ("ALARM", KEPT, "ALARM", "OK")),
]
# What the project's own alarms are: one period.
ONE_OF_ONE = [
    ("--X", ALL_ALARM),
    ("X--", ALL_ALARM),
    ("X-0", ALL_OK),
    ("---", (UNKNOWN, KEPT, "ALARM", "OK")),
]


def state(points, periods, needed, missing, before="OK"):
    rule = Rule("GreaterThanThreshold", 1.0, periods, needed, missing)
    values = {"0": 0.0, "X": 2.0, "-": None}
    verdict = judge(rule, [("t", values[each]) for each in points], before)
    return verdict and verdict.state


@pytest.mark.emulates(*(f"missing-data:{name}" for name in MISSING))
@pytest.mark.parametrize(
    ("points", "states", "needed", "periods"),
    [
        *((*row, 3, 3) for row in THREE_OF_THREE),
        *((*row, 2, 3) for row in TWO_OF_THREE),
        *((*row, 1, 1) for row in ONE_OF_ONE),
    ],
)
def test_the_tables_of_the_guide(points, states, needed, periods):
    found = tuple(
        state(points, periods, needed, missing)
        for missing in ("missing", "ignore", "breaching", "notBreaching")
    )
    assert found == states


@pytest.mark.emulates(*(f"comparison:{name}" for name in COMPARISONS))
@pytest.mark.parametrize(
    ("comparison", "breaching"),
    [
        ("GreaterThanThreshold", [3]),
        ("GreaterThanOrEqualToThreshold", [2, 3]),
        ("LessThanThreshold", [1]),
        ("LessThanOrEqualToThreshold", [1, 2]),
    ],
)
def test_comparisons(comparison, breaching):
    rule = Rule(comparison, 2.0, 1, 1, "missing")
    assert [value for value in (1, 2, 3) if rule.breaches(value)] == breaching


@pytest.mark.parametrize(
    ("points", "missing", "reason"),
    [
        (
            [None, 0.0, 2.0],
            "missing",
            "Threshold Crossed: 1 out of the last 1 datapoints [2.0 (t2)] was greater "
            "than the threshold (1.0) (minimum 1 datapoint for OK -> ALARM "
            "transition).",
        ),
        (
            [None, 2.0, 0.0],
            "missing",
            "Threshold Crossed: 1 datapoint [0.0 (t2)] was not greater than the "
            "threshold (1.0).",
        ),
        (
            [None, None, None],
            "notBreaching",
            "Threshold Crossed: no datapoints were received for 1 period and 1 missing "
            "datapoint was treated as [NonBreaching].",
        ),
        (
            [None, None, None],
            "missing",
            "Insufficient Data: 1 datapoint was unknown.",
        ),
    ],
)
def test_reasons(points, missing, reason):
    rule = Rule("GreaterThanThreshold", 1.0, 1, 1, missing)
    timed = [(f"t{place}", value) for place, value in enumerate(points)]
    assert judge(rule, timed, "OK").reason == reason
