"""The checker of query lines: what is taken, and what to write instead."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segment_tasks import lines, queries
from segment_tasks.limits import ITEM_AFFINITY, ITEM_ATTRIBUTE_AFFINITY
from segment_tasks.queries import Query

NONE = frozenset()


def reasons(line, recipe=ITEM_AFFINITY, placeholders=NONE):
    found = queries.check(
        line if isinstance(line, bytes) else line.encode(), recipe, placeholders
    )
    assert isinstance(found, list), f"taken: {found}"
    return found


def only(line, recipe=ITEM_AFFINITY, placeholders=NONE):
    (problem,) = reasons(line, recipe, placeholders)
    return problem


@pytest.mark.parametrize(
    ("line", "recipe"),
    [
        ('{"itemId": "105"}', ITEM_AFFINITY),
        ('  {"itemId":"105"}\r', ITEM_AFFINITY),
        ('{"itemId": "' + "x" * 256 + '"}', ITEM_AFFINITY),
        ('{"itemId": "kürbis \\ud83c\\udf83 🎃"}', ITEM_AFFINITY),
        ('{"itemId": "half a character \\ud83c"}', ITEM_AFFINITY),
        (
            json.dumps({"itemAttributes": 'ITEMS.genres = "Comedy"'}),
            ITEM_ATTRIBUTE_AFFINITY,
        ),
    ],
)
def test_a_query_is_sent_as_it_is_meant(line, recipe):
    query = queries.check(line.encode(), recipe, NONE)
    assert isinstance(query, Query)
    assert json.loads(query.text) == json.loads(line)


def test_queries_that_say_the_same_have_the_same_text():
    lines = [
        '{"itemId": "é", "filterValues": {"A": "1", "B": "\\"x\\""}}',
        ' {"filterValues" :{"B":"\\u0022x\\"","A":"1"},"itemId":"\\u00e9"}\r',
    ]
    found = [
        queries.check(line.encode(), ITEM_AFFINITY, frozenset("AB")) for line in lines
    ]
    assert found[0] == found[1]
    assert found[0].text.decode() == lines[0]
    assert found[0].doubts == ["numbers without quotes in filterValues"]
    bare = queries.check(b'{"itemId": "1", "filterValues": {}}', ITEM_AFFINITY, NONE)
    assert bare.text == b'{"itemId": "1"}'


@pytest.mark.parametrize(
    ("line", "column", "advice"),
    [
        ("105", 1, 'write {"itemId": "105"}'),
        ("item_id,name", 1, "JSON object"),
        ('[{"itemId": "1"}]', 1, "JSON object"),
        ("{", 2, "on one line"),
        ('  {"itemId": "1"', 17, "on one line"),
        ('{"itemId": "1"},', 16, "remove the comma"),
        ('{"itemId": "1"} {"itemId": "2"}', 17, "one query per line"),
        ("{'itemId': '1'}", 2, "not valid JSON"),
        ('{"itemId": "a" b"}', 16, "not valid JSON"),
        (r'{"itemId": "a\"", x', 19, "not valid JSON"),
        ('{"itemId": "1", "itemId": "2"}', 17, "twice"),
        ("{}", 1, "itemId is missing"),
        ('{"itemId": 105}', 12, "must be a string"),
        ('{"itemId": null}', 12, "must be a string"),
        ('{"itemId": ""}', 12, "empty"),
        ('{"itemId": "' + "x" * 257 + '"}', 12, "257 characters"),
        ('{"ITEM_ID": "1"}', 2, "allowed are itemId and filterValues"),
        ('{"itemId": "1", "note": 1}', 17, "allowed are itemId and filterValues"),
        ('{"itemAttributes": "ITEMS.a = 1"}', 2, "the other recipe"),
        ('{"itemId": "1", "filterValues": {"A": "1"}}', 17, "remove it"),
        ('{"itemId": "1", "filterValues": []}', 17, "must be an object"),
        ('{"itemId": ' + "1" * 5000 + "}", 1, "cannot be read"),
        ('{"itemId": ' + "[" * 100_000, 1, "cannot be read"),
        (b'{"itemId": "\xe4"}', 13, "UTF-8"),
        (b'{"itemId": "' + b"x" * lines.MAX_LINE_BYTES + b'"}', 1, "longer than"),
    ],
)
def test_a_bad_line_is_refused_at_its_column_with_advice(line, column, advice):
    problem = only(line)
    assert advice in problem.reason
    assert problem.column == column


@pytest.mark.parametrize(
    ("line", "at", "advice"),
    [
        (r'{"itemAttributes": "ITEMS.a = \"x\" OR ITEMS.a = 1"}', "OR", "one query"),
        (
            r'{"itemAttributes": "\u0049TEMS.a = \"\u00e9\" OR ITEMS.a"}',
            "OR",
            "one query",
        ),
        (
            r'{"itemAttributes": "ITEMS.a = \"\ud83c\udf83\" OR ITEMS.a"}',
            "OR",
            "one query",
        ),
        ('{"itemAttributes": ["ITEMS.a"]}', "[", "must be a string"),
        ('{"itemId": "1"}', '"itemId"', "the other recipe"),
    ],
)
def test_a_bad_expression_is_pointed_at_in_the_line_itself(line, at, advice):
    problem = only(line, ITEM_ATTRIBUTE_AFFINITY)
    assert advice in problem.reason
    assert line[problem.column - 1 :].startswith(at)


@pytest.mark.parametrize(
    "value",
    [r"\"drama\"", r"\"a\",\"b\" , \"c, d\"", r"\"a\\\"b\"", "30", "1.5,-2", r"\"30\""],
)
def test_filter_values_are_quoted_values_or_numbers(value):
    line = f'{{"itemId": "1", "filterValues": {{"A": "{value}"}}}}'
    assert isinstance(
        queries.check(line.encode(), ITEM_AFFINITY, frozenset("A")), Query
    )


@pytest.mark.parametrize(
    ("values", "advice"),
    [
        ("{}", "needs a value for A"),
        (r'{"A": "\"x\"", "B": "\"x\""}', "no placeholder of the filter; allowed: A"),
        ('{"A": "Japan"}', "quoted values"),
        (r'{"A": "\"United States\"\""}', "quoted values"),
        ('{"A": ["x"]}', "quoted values"),
        ('{"A": ""}', "quoted values"),
    ],
)
def test_filter_values_must_fit_the_placeholders(values, advice):
    line = f'{{"itemId": "1", "filterValues": {values}}}'
    problem = only(line, placeholders=frozenset("A"))
    assert advice in problem.reason
    assert problem.column == 17


def test_filter_values_that_are_left_out_are_missed():
    assert (
        "needs a value for A, B"
        in only('{"itemId": "1"}', placeholders={"A", "B"}).reason
    )


def test_without_the_filter_at_hand_the_names_of_values_are_not_checked():
    line = rb'{"itemId": "1", "filterValues": {"ANY": "\"x\""}}'
    assert isinstance(queries.check(line, ITEM_AFFINITY, None), Query)


@pytest.mark.parametrize(
    ("line", "column"),
    [
        ('{"itemId": "a", "itemId": "itemId"}', 17),
        ('{"é": 1, "é": 2}', 10),
        ('{"a": 1, "\\u0061": 2}', 2),
    ],
)
def test_a_key_that_is_there_twice_is_told_where_it_is_again(line, column):
    problem = only(line)
    assert (problem.column, problem.reason[:22]) == (column, "a key is there twice; ")


def test_all_problems_of_a_line_are_told():
    line = '{"itemId": "", "x": 1, "filterValues": {"A": "b"}}'
    assert len(reasons(line, placeholders=frozenset("A"))) == 3


@given(st.binary() | st.text().map(str.encode))
def test_any_line_is_taken_or_refused_without_repeating_it(line):
    for recipe in (ITEM_AFFINITY, ITEM_ATTRIBUTE_AFFINITY):
        found = queries.check(b'{"itemId": "zqx' + line, recipe, NONE)
        if not isinstance(found, Query):
            assert found
            assert all(column >= 1 and "zqx" not in reason for column, reason in found)


@given(st.text(min_size=1, max_size=256))
def test_any_item_id_of_the_right_length_is_taken(item):
    for ascii_only in (True, False):
        line = json.dumps({"itemId": item}, ensure_ascii=ascii_only)
        query = queries.check(line.encode(), ITEM_AFFINITY, NONE)
        assert isinstance(query, Query)
        assert json.loads(query.text) == {"itemId": item}


@given(
    st.lists(st.binary(max_size=12).filter(lambda each: b"\n" not in each)),
    st.integers(1, 7),
    st.integers(1, 5),
)
def test_lines_are_the_same_however_the_stream_is_cut(content, size, longest):
    data = b"\n".join(content)
    chunks = [data[at : at + size] for at in range(0, len(data), size)]
    expected = [each[: longest + 1] for each in data.split(b"\n")]
    if expected[-1] == b"":
        expected.pop()
    assert list(lines.split(chunks, longest)) == expected
