"""Metric math, statistics, search expressions and labels, without an AWS."""

import math
from datetime import UTC, datetime

import pytest

from cdk_personalize_segments.local.cloudwatch import metric_math, statistics
from cdk_personalize_segments.local.cloudwatch.errors import QueryError
from cdk_personalize_segments.local.cloudwatch.metrics import Metric, Metrics
from cdk_personalize_segments.local.cloudwatch.queries import Queries

NOW = datetime(2031, 5, 1, 12, tzinfo=UTC)
START = NOW.timestamp()
GAP = None
SERIES = {
    "m1": [1, 5, GAP, -2.5],
    "m2": [2, GAP, GAP, 4],
    "m3": [GAP, GAP, 3, GAP],
    "none": [GAP, GAP, GAP, GAP],
}


def metric(name, namespace="Own", **dimensions):
    return Metric.of("us-east-1", namespace, name, dimensions)


def stat(name, how="Sum", **more):
    of = {"Namespace": "Own", "MetricName": name}
    return {"Metric": of, "Period": 60, "Stat": how, **more}


@pytest.fixture(scope="module")
def metrics():
    made = Metrics(lambda: NOW)
    for name, values in SERIES.items():
        for minute, value in enumerate(values):
            if value is not GAP:
                made.put(metric(name), value, "Count", at=START + 60 * minute)
    for error, count in (("JobFailed", 3), ("InvalidInput", 1)):
        dimensions = {"Pipeline": "a", "Error": error}
        made.put(metric("FailedRuns", **dimensions), count, at=START)
        made.put(metric("FailedRuns", Pipeline="a"), count, at=START)
    return made


def query(metrics, *queries, minutes=4):
    asked = Queries(metrics, "us-east-1", queries)
    return asked.results(START, START + 60 * minutes)


def evaluate(metrics, expression):
    given = [
        {"Id": name, "MetricStat": stat(name), "ReturnData": False} for name in SERIES
    ]
    asked = {"Id": "e1", "Expression": expression, "Period": 60}
    return [
        [result.line.values.get(START + 60 * minute) for minute in range(4)]
        for result in query(metrics, *given, asked)
    ]


EXAMPLES = [
    # Operators: what is missing on one side is 0, what cannot be is dropped.
    ("m1 + m2", [3, 5, GAP, 1.5]),
    ("m1 - 2 * m2 + 1", [-2, 6, GAP, -9.5]),
    ("-m1 ^ 2", [-1, -25, GAP, -6.25]),
    ("2 ^ 3 ^ 0 * m1", [2, 10, GAP, -5]),
    ("m2 / m3", [GAP, GAP, 0, GAP]),
    ("m2 / m1", [2, 0, GAP, -1.6]),
    ("m1 > 1", [0, 1, GAP, 0]),
    ("m1 <= m2", [1, 0, GAP, 1]),
    ("m1 == 1 || m2 == 4", [1, 0, GAP, 1]),
    ("m1 != 1 AND m2 >= 4", [0, 0, GAP, 1]),
    ("(m1 < 0 OR m1 > 4) && m2 < 5", [0, 0, GAP, 1]),
    # Functions.
    ("ABS(m1)", [1, 5, GAP, 2.5]),
    ("CEIL(m1)", [1, 5, GAP, -2]),
    ("FLOOR(m1)", [1, 5, GAP, -3]),
    ("m1 - AVG(m1)", [-1 / 6, 5 - 7 / 6, GAP, -2.5 - 7 / 6]),
    ("AVG([m1, m2])", [1.5, 2.5, GAP, 0.75]),
    ("m1 * DATAPOINT_COUNT(m2)", [2, 10, GAP, -5]),
    ("DATAPOINT_COUNT([m1, m2])", [2, 1, GAP, 2]),
    ("DIFF(m1)", [GAP, 4, GAP, -7.5]),
    ("RATE(m1)", [GAP, 4 / 60, GAP, -7.5 / 120]),
    ("RUNNING_SUM(m1)", [1, 6, GAP, 3.5]),
    ("FILL(m1, 0)", [1, 5, 0, -2.5]),
    ("FILL(none, 7)", [7, 7, 7, 7]),
    ("FILL(m3, m1)", [1, 5, 3, -2.5]),
    ("FILL(m3, REPEAT)", [GAP, GAP, 3, 3]),
    ("FILL(m2, LINEAR)", [2, 2 + 2 / 3, 2 + 4 / 3, 4]),
    ("IF(m1 > 0, m1, 0)", [1, 5, GAP, 0]),
    ("IF(m1 > 0, m2)", [2, 0, GAP, GAP]),
    ("IF(m1 < 0, 10, m2)", [2, GAP, GAP, 10]),
    ("IF(1, m1, m2)", [1, 5, GAP, -2.5]),
    ("IF(0, m1)", [GAP, GAP, GAP, GAP]),
    ("m1 / MAX(m1)", [0.2, 1, GAP, -0.5]),
    ("MAX([m1, m2])", [2, 5, GAP, 4]),
    ("m1 - MIN(m1)", [3.5, 7.5, GAP, 0]),
    ("MIN([m1, m2])", [1, 5, GAP, -2.5]),
    ("SUM([m1, m2])", [3, 5, GAP, 1.5]),
    ("SUM(METRICS())", [3, 5, 3, 1.5]),
    ("SUM(METRICS('m'))", [3, 5, 3, 1.5]),
    ("m1 * METRIC_COUNT(METRICS())", [4, 20, GAP, -10]),
    ("m1 / PERIOD(m1)", [1 / 60, 5 / 60, GAP, -2.5 / 60]),
    ("TIME_SERIES(SUM(m2))", [6, 6, 6, 6]),
    ("FIRST(SORT([m1, m2], SUM, DESC))", [2, GAP, GAP, 4]),
    ("LAST(SORT([m1, m2], AVG, ASC))", [2, GAP, GAP, 4]),
    ("FIRST(SLICE([m1, m2, m3], 1, 2))", [2, GAP, GAP, 4]),
    ("SUM(SLICE(REMOVE_EMPTY([none, m3, m1]), 1))", [1, 5, GAP, -2.5]),
    ("SUM(SEARCH('{Own,Pipeline,Error} MetricName=\"FailedRuns\"', 'Sum', 60))",
     [4, GAP, GAP, GAP]),
]  # fmt: skip


@pytest.mark.emulates(
    "math:operators", *(f"math:{name}" for name in metric_math.FUNCTIONS)
)
@pytest.mark.parametrize(("expression", "expected"), EXAMPLES)
def test_expressions(metrics, expression, expected):
    [found] = evaluate(metrics, expression)
    assert [each is GAP for each in found] == [each is GAP for each in expected]
    for value, wanted in zip(found, expected, strict=True):
        assert value is GAP or math.isclose(value, wanted, abs_tol=1e-9)


def test_all_functions_and_operators_have_an_example():
    tried = [metric_math.parse(expression) for expression, _ in EXAMPLES]
    used = set().union(*map(metric_math.functions, tried))
    assert used == set(metric_math.FUNCTIONS)
    for operator in metric_math.OPERATORS:
        assert any(f" {operator} " in expression for expression, _ in EXAMPLES)


def test_what_gives_arrays_gives_several_series(metrics):
    assert evaluate(metrics, "[m1, m2] * 2") == [[2, 10, GAP, -5], [4, GAP, GAP, 8]]
    assert evaluate(metrics, "ABS(METRICS('m3'))") == [[GAP, GAP, 3, GAP]]
    assert evaluate(metrics, "FILL([m3], 0)") == [[0, 0, 3, 0]]


@pytest.mark.parametrize(
    ("expression", "named"),
    [
        ("ANOMALY_DETECTION_BAND(m1, 2)", "the function ANOMALY_DETECTION_BAND of"),
        ("HOUR(m1)", "the function HOUR of"),
        ("m1 +", "expected a value at 'the end'"),
        ("m1 m2", "expected an operator at 'm2'"),
        ("m1 ? 2", r"unexpected '\?'"),
        ("FILL(m1)", "FILL takes 2 arguments, not 1"),
        ("AVG(m1)", "e1 is a number, and must be time series"),
        ("[m1] + [m2]", r"\+ between two arrays"),
        ("m9 + 1", "refers to m9, and there is none"),
        ("SORT([m1], P90, ASC)", "SORT takes one of"),
        ("PERIOD(m1 + 1)", "PERIOD takes the id of a metric"),
        ("e1 + 1", "e1 refers to itself"),
        ("SEARCH('{', 'Sum')", "is malformed"),
        ("SEARCH('', 'Sum')", "searches for nothing"),
        ("SEARCH('MetricName=', 'Sum')", "is malformed"),
        ("m1 + SUM(SEARCH('a', 'Sum', 300))", "have different periods"),
        ("'text'", "a text stands where a value is expected"),
    ],
)
def test_what_cannot_be_computed_is_refused_by_name(metrics, expression, named):
    asked = {"Id": "e1", "Expression": expression}
    given = [{"Id": name, "MetricStat": stat(name)} for name in SERIES]
    if "e1" not in expression:
        asked["Period"] = 60
    with pytest.raises(QueryError, match=named):
        query(metrics, *given, asked)


@pytest.mark.emulates(
    "statistic:percentile", *(f"statistic:{name}" for name in statistics.PLAIN)
)
def test_statistics(metrics):
    own = Metrics(lambda: NOW)
    for value in (1, 2, 3, 4):
        own.put(metric("times"), value)
    own.put(metric("times"), 10, weight=6)

    def one(how):
        [result] = query(own, {"Id": "m1", "MetricStat": stat("times", how)})
        [value] = result.line.values.values()
        return value

    assert [one(how) for how in statistics.PLAIN] == [7, 10, 1, 10, 70]
    assert [one(how) for how in ("p0", "p10", "p50", "p99.9", "p100")] == [
        *(1, pytest.approx(1.9), 10, 10, 10)
    ]
    with pytest.raises(QueryError, match="does not have the statistic TM"):
        one("TM(10%:90%)")


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"Id": "M1", "MetricStat": stat("m1")}, "must begin with a small letter"),
        ({"Id": "m1"}, "either a MetricStat or an Expression"),
        ({"Id": "m1", "MetricStat": stat("m1"), "AccountId": "1"}, "AccountId"),
        ({"Id": "m1", "MetricStat": stat("m1", Period=90)}, "multiple of 60, got 90"),
        ({"Id": "m1", "MetricStat": stat("m1", Unit="Runs")}, "no unit Runs"),
        ({"Id": "m1", "MetricStat": stat("m1"), "Label": "${X}"}, r"not have \${X}"),
    ],
)
def test_malformed_queries_are_refused(metrics, asked, named):
    with pytest.raises(QueryError, match=named):
        query(metrics, asked)


def test_units_are_told_apart(metrics):
    own = Metrics(lambda: NOW)
    own.put(metric("size"), 1, "Bytes")
    own.put(metric("size"), 2, "Kilobytes")
    with pytest.raises(QueryError, match="name the Unit"):
        query(own, {"Id": "m1", "MetricStat": stat("size")})
    [found] = query(own, {"Id": "m1", "MetricStat": stat("size", Unit="Bytes")})
    assert list(found.line.values.values()) == [1]


SCHEMA = "{Own,Error,Pipeline}"


@pytest.mark.emulates("math:SEARCH")
@pytest.mark.parametrize(
    ("search", "labels"),
    [
        (SCHEMA, ["JobFailed", "InvalidInput"]),
        (f'{SCHEMA} Error="JobFailed"', ["FailedRuns"]),
        (f"{SCHEMA} Error=(JobFailed OR InvalidInput)", ["JobFailed", "InvalidInput"]),
        (f'{SCHEMA} NOT "JobFailed"', ["FailedRuns"]),
        ('{Own,Pipeline} MetricName="FailedRuns"', ["FailedRuns"]),
        ("{Own} MetricName=m1 OR MetricName=m2", ["m1", "m2"]),
        ("Namespace=Own job", ["FailedRuns"]),
        ('{"Own","Pipeline"} "a"', ["FailedRuns"]),
        ("{Own,Pipeline} (failed AND runs)", ["FailedRuns"]),
        ('{Own,Pipeline} MetricName="Failed"', []),
        ("{Other}", []),
    ],
)
def test_searches_find_metrics_and_tell_them_apart(metrics, search, labels):
    asked = {"Id": "e1", "Expression": f"SEARCH('{search}', 'Sum')", "Period": 60}
    assert [each.line.label for each in query(metrics, asked)] == labels


def test_labels_tell_something_of_the_series(metrics):
    def label(text):
        of = {
            "Namespace": "Own",
            "MetricName": "FailedRuns",
            "Dimensions": [{"Name": "Pipeline", "Value": "a"}],
        }
        asked = {"Metric": of, "Period": 60, "Stat": "Sum"}
        [found] = query(metrics, {"Id": "m1", "MetricStat": asked, "Label": text})
        return found.line.label

    assert label("${PROP('Dim.Pipeline')}: ${SUM} ${LABEL}") == "a: 4 FailedRuns"
    assert label(None) == "FailedRuns"
    assert label("${PROP('Namespace')} ${PROP('MetricName')}") == "Own FailedRuns"
    assert label("${MIN} ${MAX} ${AVG} ${FIRST} ${LAST}") == "4 4 4 4 4"


def test_a_search_has_its_own_period(metrics):
    search = "SEARCH('{Own,Pipeline} MetricName=\"FailedRuns\"', 'Sum', 3600)"
    asked = Queries(metrics, "us-east-1", [{"Id": "e1", "Expression": search}])
    assert asked.period_of("e1") == 3600
    [found] = asked.results(START, START + 3600)
    assert list(found.line.values.values()) == [4]
