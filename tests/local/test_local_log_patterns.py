"""Filter patterns of CloudWatch Logs, by the lines that FilterLogEvents finds."""

import json
import uuid

import pytest
from botocore.exceptions import ClientError

LINES = {
    "json": json.dumps(
        {
            "level": "ERROR",
            "n": 3,
            "ok": True,
            "none": None,
            "list": [{"code": 1}],
            "a.b": "c",
        }
    ),
    "request": '127.0.0.1 - frank [10/Oct/2000] "GET /a.html HTTP/1.0" 404 1534',
    "text": "plain WARN text",
}


@pytest.fixture(scope="module")
def group(aws):
    """A log group with one line of each kind."""
    logs, name = aws.client("logs"), f"test-{uuid.uuid4().hex[:12]}"
    logs.create_log_group(logGroupName=name)
    logs.create_log_stream(logGroupName=name, logStreamName="s")
    now = round(aws.clock.now().timestamp() * 1000)
    logs.put_log_events(
        logGroupName=name,
        logStreamName="s",
        logEvents=[{"timestamp": now, "message": line} for line in LINES.values()],
    )
    return name


@pytest.mark.bridge("moto.logs.models.EventMessageFilter")
@pytest.mark.emulates("logs:FilterLogEvents")
@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("", "json request text"),
        ("ERROR", "json"),
        ('"plain WARN"', "text"),
        ("plain text", "text"),
        ("plain ERROR", ""),
        ("?ERROR ?WARN", "json text"),
        ("?ERROR WARN", "text"),
        ("-ERROR", "request text"),
        ('WARN -"plain"', ""),
        (r"%W[AB]RN\s%", "text"),
        ('{ $.level = "ERROR" }', "json"),
        ("{ $.level = ERR* }", "json"),
        ("{ $.level != ERROR }", ""),
        ("{ $.level = %^ERR% }", "json"),
        ("{ $.n > 2 }", "json"),
        ("{ $.n > 3 || $.n <= 2.9 }", ""),
        ("{ $.n = 3.0 && ($.ok IS FALSE || $.none IS NULL) }", "json"),
        ("{ $.ok IS TRUE && $.gone NOT EXISTS }", "json"),
        ("{ $.n NOT EXISTS }", ""),
        ("{ $.list[0].code = 1 }", "json"),
        ("{ $.list[*].code = 2 }", ""),
        ("{ $['a.b'] = c }", "json"),
        ("[first, second]", ""),
        ("[first, second, third]", "text"),
        ("[ip, id, user, at, request = *.html*, status = 4*, bytes > 1000]", "request"),
        ("[..., status = 500 || status = 404, bytes]", "request"),
        ("[ip != 127*, ...]", "json text"),
        ("[..., bytes < 1000]", ""),
    ],
)
def test_lines_are_found_by_a_pattern(aws, group, pattern, found):
    events = aws.client("logs").filter_log_events(
        logGroupName=group, filterPattern=pattern
    )["events"]
    assert [each["message"] for each in events] == [
        LINES[name] for name in found.split()
    ]


MALFORMED = {
    "foo.bar": "Invalid character",
    '"open': "Invalid filter pattern",
    "%a!b%": "Invalid character",
    "%[%": "Invalid regex",
    "{ level = 1 }": "Invalid filter pattern",
    "{ $.n > x }": "Invalid filter pattern",
    "{ $.n IS MAYBE }": "Invalid filter pattern",
    "{ $.n = 1 && }": "Invalid filter pattern",
    "{ ($.n = 1 }": "Invalid filter pattern",
    "[a,,b]": "Invalid filter pattern",
    "[..., a, ...]": "Invalid filter pattern",
    "{ $.a = %a% || $.b = %b% || $.c = %c% }": "more than two regexes",
}


@pytest.mark.parametrize(("pattern", "reason"), MALFORMED.items())
def test_a_malformed_pattern_is_refused(aws, group, pattern, reason):
    logs = aws.client("logs")
    with pytest.raises(logs.exceptions.InvalidParameterException, match=reason):
        logs.filter_log_events(logGroupName=group, filterPattern=pattern)


@pytest.mark.emulates("logs:PutMetricFilter")
def test_a_metric_filter_needs_a_pattern_and_a_group(aws, group):
    logs = aws.client("logs")
    metric = {"metricName": "m", "metricNamespace": "n", "metricValue": "1"}

    def code(**given):
        wanted = {"logGroupName": group, "filterPattern": "ERROR", **given}
        with pytest.raises(ClientError) as refused:
            logs.put_metric_filter(
                filterName="f", metricTransformations=[metric], **wanted
            )
        return refused.value.response["Error"]["Code"]

    assert code(filterPattern="{ $.n > x }") == "InvalidParameterException"
    assert code(logGroupName="none") == "ResourceNotFoundException"
    assert logs.describe_metric_filters(logGroupName=group)["metricFilters"] == []
