"""Logs Insights: its language over lines of JSON and of text."""

import json

import pytest
from botocore.exceptions import ClientError

from cdk_personalize_segments.local.logs_insights.aggregates import AGGREGATES
from cdk_personalize_segments.local.logs_insights.functions import FUNCTIONS
from cdk_personalize_segments.local.logs_insights.language import (
    COMMANDS,
    InsightsError,
    parse_query,
)
from cdk_personalize_segments.local.logs_insights.running import QueryRunError, run
from cdk_personalize_segments.local.logs_insights.values import (
    Time,
    discovered,
    order,
    text,
)

# 12:00 on 1 May 2031, UTC.
START = 1_935_403_200_000
LINES = [
    {"run": "a", "level": "INFO", "seconds": 5, "message": {"job": "j1", "n": [7, 8]}},
    {"run": "a", "level": "ERROR", "seconds": 3.5, "error": "JobFailed"},
    {"run": "b", "level": "INFO", "seconds": "12", "done": True, "gone": None},
    "12:03 [WARN] {slow} It took: 40 seconds",
    {"run": "c", "level": "ERROR", "error": "InvalidInput", "@own": 1, "odd-name": 2},
]


def events(lines=LINES):
    found = []
    for minute, line in enumerate(lines):
        message = line if isinstance(line, str) else json.dumps(line)
        found.append(
            {
                **discovered(message, embedded=False),
                "@timestamp": Time(START + 60_000 * minute),
                "@ingestionTime": Time(START + 60_000 * minute),
                "@message": message,
                "@logStream": "stream",
                "@log": "123456789012:group",
                "@ptr": str(minute),
            }
        )
    return found


def query(words, most=10_000):
    """Give the cells of the result, row by row."""
    done = run(parse_query(words), events(), most)
    return [[text(row.get(name)) for name in done.columns] for row in done.rows]


def one(formula):
    """Evaluate a formula over the first line."""
    [[value]] = query(f"filter message.job = 'j1' | display {formula}")
    return value


QUERIES = [
    ("fields run, level | limit 2", [["c", "ERROR"], [None, None]]),
    ("fields run | sort run asc | limit 3", [[None], ["a"], ["a"]]),
    ("fields run, seconds | filter seconds > 4 | sort seconds desc",
     [["b", "12"], ["a", "5"]]),
    ("FIELDS message.job AS job, message.n.1 | FILTER ispresent(job)", [["j1", "8"]]),
    ("filter level in ['ERROR', 'FATAL'] and error != 'JobFailed' | display run",
     [["c"]]),
    ("filter level not in ['INFO'] or seconds = 12 | display run",
     [["c"], ["b"], ["a"]]),
    ("filter not (level = 'INFO') | stats count(*) as n", [["3"]]),
    ("filter @message like /(?i)warn/ | display @timestamp",
     [["2031-05-01 12:03:00.000"]]),
    ("filter error like 'Job' | display error", [["JobFailed"]]),
    ("filter error not like /^Job/ | display error", [["InvalidInput"]]),
    ("filter error =~ /^job(?i)failed$/ | display error", [["JobFailed"]]),
    ("filter done = 1 | display run", [["b"]]),
    ("filter `odd-name` = 2 and @@own = 1 | display run", [["c"]]),
    ("parse '* [*] {*} It took: * seconds' as at, level, what, took"
     " | filter took > 30 | display at, what, took", [["12:03", "slow", "40"]]),
    ("parse @message /took: (?<took>\\d+)/ | filter ispresent(took) | display took",
     [["40"]]),
    ("parse error '*Failed' as @what | filter @what = 'Job' | display @what",
     [["Job"]]),
    ("stats count(*) as runs, avg(seconds) as mean, max(seconds) by level"
     " | sort runs desc, level asc | limit 2",
     [["ERROR", "2", "3.5", "3.5"], ["INFO", "2", "8.5", "12"]]),
    ("filter ispresent(run) | stats sum(seconds) as s, latest(@timestamp) as at by run"
     " | display run, s, at | sort run asc",
     [["a", "8.5", "2031-05-01 12:01:00.000"],
      ["b", "12", "2031-05-01 12:02:00.000"],
      ["c", None, "2031-05-01 12:04:00.000"]]),
    ("stats count(*) by bin(2m) | sort `bin(2m)` asc",
     [["2031-05-01 12:00:00.000", "2"], ["2031-05-01 12:02:00.000", "2"],
      ["2031-05-01 12:04:00.000", "1"]]),
    ("stats 100 * sum(seconds) / count(*) as share, floor(avg(seconds)) as low",
     [["410", "6"]]),
    ("filter run = 'none' | stats count(*)", []),
    ("stats sum(seconds) as s by run | stats max(s) as most", [["12"]]),
    ("fields level | dedup level", [["ERROR"], [None], ["INFO"]]),
    ("fields run | sort @timestamp asc | dedup run | limit 2", [["a"], ["b"]]),
    ("fields run\n # | filter run = 'b'\n | limit 1", [["c"]]),
]  # fmt: skip


@pytest.mark.emulates(*(f"insights:{name}" for name in COMMANDS))
@pytest.mark.parametrize(("words", "rows"), QUERIES)
def test_queries(words, rows):
    assert query(words) == rows


def test_all_commands_have_an_example():
    for name in COMMANDS:
        assert any(name in words for words, _ in QUERIES)


def test_without_fields_events_are_shown_newest_first():
    rows = query("limit 1")
    assert rows == [["2031-05-01 12:04:00.000", json.dumps(LINES[4])]]
    assert len(query("fields run", most=3)) == 3


FORMULAS = [
    ("1 + 2 * 3 ^ 2 % 5 - -1", "5"),
    ("(1 + 2) * 3", "9"),
    ("1 / 0", None),
    ("abs(3 - seconds)", "2"),
    ("ceil(1.2)", "2"),
    ("floor(1.8)", "1"),
    ("greatest(1, seconds, 3)", "5"),
    ("least(1, seconds)", "1"),
    ("log(1)", "0"),
    ("sqrt(9)", "3"),
    ("sqrt(0 - 9)", None),
    ("coalesce(none, run)", "a"),
    ("concat(run, '-', seconds)", "a-5"),
    ("ispresent(none)", "0"),
    ("isempty('')", "1"),
    ("isblank('  ')", "1"),
    ("ltrim('xyZfoo', 'xyZ')", "foo"),
    ("rtrim('foo  ')", "foo"),
    ("trim(' foo ')", "foo"),
    ("strlen(level)", "4"),
    ("toupper(run)", "A"),
    ("tolower(level)", "info"),
    ("substr('xyZfooxyZ', 3, 3)", "foo"),
    ("substr('xyZ', 2)", "Z"),
    ("replace('foo', 'o', '0')", "f00"),
    ("strcontains(level, 'NF')", "1"),
    ("bin(1h)", "2031-05-01 12:00:00.000"),
    ("datefloor(@timestamp, 1d)", "2031-05-01 00:00:00.000"),
    ("dateceil(@timestamp + 1, 1h)", "2031-05-01 13:00:00.000"),
    ("toMillis(@timestamp)", str(START)),
    ("fromMillis(0)", "1970-01-01 00:00:00.000"),
    ("none + 1", None),
    ("none != 1", "0"),
    ("level < 'J'", "1"),
    ("seconds <= 5 and seconds >= 5", "1"),
]


@pytest.mark.emulates(*(f"insights:{name}" for name in FUNCTIONS))
@pytest.mark.parametrize(("formula", "value"), FORMULAS)
def test_functions(formula, value):
    assert one(formula) == value


def test_all_functions_have_an_example():
    for name in FUNCTIONS:
        assert any(f"{name}(" in formula for formula, _ in FORMULAS), name


SUMS = [
    ("avg(seconds)", str(20.5 / 3)),
    ("count()", "5"),
    ("count(error)", "2"),
    ("count_distinct(run)", "3"),
    ("earliest(run)", "a"),
    ("latest(run)", "c"),
    ("max(seconds)", "12"),
    ("min(seconds)", "3.5"),
    ("pct(seconds, 50)", "5"),
    ("sortsFirst(error)", "InvalidInput"),
    ("sortsLast(error)", "JobFailed"),
    ("stddev(done)", "0"),
    ("sum(seconds)", "20.5"),
    ("avg(error)", None),
]


@pytest.mark.emulates(*(f"insights:{name}" for name in AGGREGATES))
@pytest.mark.parametrize(("formula", "value"), SUMS)
def test_aggregates(formula, value):
    assert query(f"stats {formula}") == [[value]]


def test_all_aggregates_have_an_example():
    assert {formula.partition("(")[0] for formula, _ in SUMS} == set(AGGREGATES)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("", "has no commands"),
        ("pattern @message", "not have the command pattern"),
        ("SOURCE 'a' | fields run", "not have the command SOURCE"),
        ("fields jsonParse(run)", "the function jsonParse"),
        ("filter count(*) > 1", "the function count of Logs Insights in this command"),
        ("stats median(seconds)", "the function median"),
        ("stats count(*) as n by run | filter level = 'INFO'", "no field level; there"),
        ("stats count(*) by run | sort @timestamp desc", "no field @timestamp"),
        ("fields @requestId", "not discover the field @requestId"),
        ("sort run", "expected asc or desc"),
        ("fields run | dedup run | fields level", "only limit may follow dedup"),
        ("limit 10001", "limit must be from 1 to 10000"),
        ("limit few", "expected a whole number"),
        ("fields run level", r"expected '\|' at 'level'"),
        ("fields run |", "expected a command"),
        ("filter run in 'a'", "in needs a list in brackets"),
        ("filter run like 5", "needs a text in quotes or a regular expression"),
        ("filter run = /a/", "takes neither lists nor regular expressions"),
        ("filter run like /(/", "is malformed"),
        ("filter run like /a", "between slashes"),
        ("filter run = ", "expected a value at 'the end'"),
        ("parse '* *' as a", "has 2 asterisks, and there are 1 names"),
        ("parse @message /a(b)/", "must have named groups"),
        ("parse @message 5", "expected a text in quotes"),
        ("fields abs(1, 2)", "abs takes 1 to 1 arguments, not 2"),
        ("fields run; limit 1", "unexpected ';'"),
        ("stats count(*) as n | stats sum(n) as m | stats sum(m)", "2 stats commands"),
    ],
)
def test_malformed_queries_are_refused_by_name(words, named):
    with pytest.raises(InsightsError, match=named):
        parse_query(words)


def test_what_only_shows_when_it_runs_is_refused():
    with pytest.raises(QueryRunError, match="the unit mo of times"):
        query("stats count(*) by bin(1mo)")
    with pytest.raises(QueryRunError, match="bin belongs after by"):
        query("stats bin(1m)")


def test_values_are_put_in_the_order_of_the_guide():
    in_order = [
        "!",
        "#",
        "*%04",
        "0#",
        "5A",
        "111A",
        "2345_",
        "@",
        "@_",
        "A",
        "A9876fghj",
        "a12345hfh",
        "0",
        "1",
        "2",
        "3",
    ]
    mixed = [*in_order[7:], *in_order[:7]]
    assert sorted(mixed, key=order) == in_order
    assert order(None) < order("!")


def test_fields_are_found_in_json_and_not_too_many():
    many = {f"f{n}": n for n in range(300)}
    assert len(discovered(json.dumps(many), embedded=False)) == 200
    line = f"2031 id INFO {json.dumps({'a': 1})} and more"
    assert discovered(line, embedded=True) == {"a": 1}
    assert discovered(line, embedded=False) == {}
    assert discovered("{not json", embedded=False) == {}


# --- Through the API ---


@pytest.fixture(scope="module")
def logs(aws):
    """Give a client, and two log groups with lines of a minute ago."""
    client = aws.client("logs")
    now = round(aws.clock.now().timestamp() * 1000)
    for group in ("queried-1", "queried-2"):
        client.create_log_group(logGroupName=group)
        client.create_log_stream(logGroupName=group, logStreamName="s")
        client.put_log_events(
            logGroupName=group,
            logStreamName="s",
            logEvents=[
                {"timestamp": now - 60_000 + place, "message": json.dumps(line)}
                for place, line in enumerate(LINES)
            ],
        )
    return client


def start(aws, logs, words, **options):
    now = int(aws.clock.now().timestamp())
    times = {"startTime": now - 3600, "endTime": now}
    return logs.start_query(queryString=words, **{**times, **options})["queryId"]


@pytest.mark.emulates("logs:StartQuery", "logs:GetQueryResults")
def test_queries_run_over_log_groups(aws, logs):
    query_id = start(
        aws,
        logs,
        "fields run, @log | filter run = 'c'",
        logGroupNames=["queried-1", "queried-2"],
    )
    answer = logs.get_query_results(queryId=query_id)
    assert answer["status"] == "Complete"
    found = [
        {each["field"]: each["value"] for each in row} for row in answer["results"]
    ]
    assert [row["run"] for row in found] == ["c", "c"]
    assert {row["@log"] for row in found} == {
        f"{aws.account_id}:queried-1",
        f"{aws.account_id}:queried-2",
    }
    assert all(row["@ptr"] for row in found)
    assert answer["statistics"]["recordsScanned"] == 10
    assert answer["statistics"]["recordsMatched"] == 2


def test_only_events_of_the_time_are_looked_at(aws, logs):
    past = int(aws.clock.now().timestamp()) - 1800
    arn = f"arn:aws:logs:us-east-1:{aws.account_id}:log-group:queried-1"
    words = "stats count(*) as n"
    for end, rows in ((past, 0), (past + 3600, 1)):
        query_id = start(aws, logs, words, logGroupIdentifiers=[arn], endTime=end)
        assert len(logs.get_query_results(queryId=query_id)["results"]) == rows


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"logGroupName": "none"}, "ResourceNotFoundException"),
        ({}, "must name 1 to 50 log groups"),
        (
            {"logGroupName": "queried-1", "startTime": 9_000_000_000},
            "must not be after",
        ),
        ({"logGroupName": "queried-1", "queryLanguage": "SQL"}, "runs queries in CWLI"),
        ({"logGroupName": "queried-1", "queryString": "anomaly"}, "Malformed"),
    ],
)
def test_what_cannot_be_queried_is_refused(aws, logs, options, named):
    with pytest.raises(ClientError, match=named):
        start(aws, logs, options.pop("queryString", "limit 1"), **options)
    if not logs.describe_log_groups(logGroupNamePrefix="delivered")["logGroups"]:
        logs.create_log_group(logGroupName="delivered", logGroupClass="DELIVERY")
    with pytest.raises(ClientError, match="class DELIVERY"):
        start(aws, logs, "limit 1", logGroupName="delivered")
    with pytest.raises(ClientError, match="The specified query does not exist"):
        logs.get_query_results(queryId="none")


@pytest.mark.emulates("logs:PutQueryDefinition", "AWS::Logs::QueryDefinition")
def test_saved_queries_must_be_ones_that_run(logs):
    with pytest.raises(ClientError, match="command pattern"):
        logs.put_query_definition(name="bad", queryString="pattern @message")
    logs.put_query_definition(
        name="by-run",
        queryString="filter run = '{{run}}' | limit {{most}}",
        parameters=[{"name": "run"}, {"name": "most", "defaultValue": "5"}],
    )
