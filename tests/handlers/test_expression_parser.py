"""Expressions of item attributes: what is taken, and the advice where it is not."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segment_tasks import expressions
from segment_tasks.expressions import Condition, ExpressionError


@pytest.mark.parametrize(
    ("text", "conditions"),
    [
        ('ITEMS.genres = "Comedy"', [("genres", "Comedy")]),
        (
            'ITEMS.genres = "Comedy" AND ITEMS.genres = "Action"',
            [("genres", "Comedy"), ("genres", "Action")],
        ),
        ('ITEMS.SKILLS="JAVA"AND ITEMS.LEVEL=3', [("SKILLS", "JAVA"), ("LEVEL", "3")]),
        ("items.YEAR = -1.5e3", [("YEAR", "-1.5e3")]),
        (r'ITEMS.title = "12\" single"', [("title", '12" single')]),
        (r'ITEMS.path = "a\\b"', [("path", "a\\b")]),
        ("ITEMS.title = \"this AND that OR 'x'\"", [("title", "this AND that OR 'x'")]),
        ('ITEMS.title = "é ünï 日本"', [("title", "é ünï 日本")]),
        ('ITEMS.empty = ""', [("empty", "")]),
        ('ITEMS.a = "x"\n  and ITEMS.b = "y"', [("a", "x"), ("b", "y")]),
    ],
)
def test_conditions_joined_by_and_are_taken(text, conditions):
    assert expressions.parse(text) == tuple(Condition(*each) for each in conditions)


@pytest.mark.parametrize(
    ("text", "at", "advice"),
    [
        ('ITEMS.a = "x" OR ITEMS.a = "y"', "OR", "one query per alternative"),
        ('ITEMS.a = "x" || ITEMS.a = "y"', "||", "one query per alternative"),
        ('ITEMS.a = "x" | ITEMS.a = "y"', "|", "one query per alternative"),
        ('ITEMS.a = "x" xor ITEMS.a = "y"', "xor", "one query per alternative"),
        ('ITEMS.a IN ("x", "y")', "IN", "one query per value"),
        ('ITEMS.a NOT IN ("x")', "NOT", "a filter"),
        ('NOT ITEMS.a = "x"', "NOT", "a filter"),
        ('ITEMS.a != "x"', "!=", "a filter"),
        ('ITEMS.a <> "x"', "<>", "a filter"),
        ("ITEMS.year > 1990", ">", "ranges"),
        ("ITEMS.year <= 1990", "<=", "ranges"),
        ("ITEMS.year BETWEEN 1 AND 2", "BETWEEN", "ranges"),
        ('ITEMS.a LIKE "x%"', "LIKE", "the whole value"),
        ('ITEMS.a == "x"', "==", "= instead of =="),
        ('ITEMS.a = = "x"', '= "x"', "once"),
        ('genres = "x"', "genres", "write ITEMS.column"),
        ('USERS.age = "x"', "USERS", "only columns of the Items dataset"),
        ('ITEMS . a = "x"', "ITEMS", "without spaces"),
        ('ITEMS.a.b = "x"', "ITEMS", "one dot"),
        ("ITEMS.a = 'x'", "'", "single quotes"),
        ("ITEMS.a = \u201cx\u201d", "\u201c", "typographic quotes"),
        ("ITEMS.a = \u00abx\u00bb", "\u00ab", "typographic quotes"),
        (r"ITEMS.a = \"x\"", "\\", "one backslash too many"),
        ('ITEMS.a = "x', '"', "not closed"),
        ('ITEMS.a = "x""', '"x""', "not closed"),
        ("ITEMS.a = x", "x", "double quotes"),
        ("ITEMS.a = 5th", "5th", "double quotes"),
        ("ITEMS.a = $X", "$", "placeholders belong to filters"),
        ('ITEMS.a = ("x")', "(", "lists are not supported"),
        ('(ITEMS.a = "x")', "(", "parentheses"),
        ('ITEMS.a "x"', '"x"', "= is missing"),
        ("ITEMS.a", None, "= is missing"),
        ("ITEMS.a =", None, "a value is missing"),
        ('ITEMS.a = "x" AND', None, "a condition is missing"),
        ("", None, "a condition is missing"),
        ('AND ITEMS.a = "x"', "AND", "needs a condition before it"),
        ('ITEMS.a = "x" && ITEMS.b = "y"', "&&", "write AND"),
        ('ITEMS.a = "x", ITEMS.b = "y"', ",", "write AND"),
        ('ITEMS.a = "x" ITEMS.b = "y"', "ITEMS.b", "joined by AND"),
        ('"x" = ITEMS.a', '"x"', "starts with a column"),
    ],
)
def test_what_people_try_is_refused_where_it_stands_with_advice(text, at, advice):
    with pytest.raises(ExpressionError) as caught:
        expressions.parse(text)
    assert advice in caught.value.message
    place = caught.value.position
    if at is None:
        assert place == len(text)
    elif advice == "not closed":
        assert text[place] == '"'
    else:
        assert text[place:].startswith(at)


@pytest.mark.parametrize(
    ("text", "doubts"),
    [
        ('ITEMS.a = "x"  AND ITEMS.B_2="y z, é=1.5 and items"', []),
        (r'ITEMS.a = "it\'s"', []),
        ("ITEMS.a = 5 AND ITEMS.b = -1.5e-3", ["numbers without quotes"]),
        ('ITEMS.a = "x" and ITEMS.b = "y"', ["AND or ITEMS in lower case"]),
        ('Items.AND = "x"', ["AND or ITEMS in lower case"]),
        ('ITEMS.and = "x"AND ITEMS.b = "y"', ["AND without a space before it"]),
        (
            'ITEMS.a-b = "x" AND ITEMS.größe = "y"',
            ["columns of other characters than A-Z, a-z, 0-9 and _"],
        ),
        ('ITEMS.a\u00a0= "x" AND\tITEMS.b="y"', ["white space other than spaces"]),
        ('ITEMS.a = "" AND ITEMS.b = "x"', ["empty values"]),
        ('ITEMS.a = "it\'s"', ["single quotes without a backslash"]),
        (r'ITEMS.a = "12\" single"', ["backslashes within values"]),
        (r'ITEMS.a = "a\\b"', ["backslashes within values"]),
        ('ITEMS.a = "x\ny"', ["control characters within values"]),
        (
            'items.a=""and ITEMS.b=.5',
            [
                *("numbers without quotes", "AND or ITEMS in lower case"),
                *("AND without a space before it", "empty values"),
            ],
        ),
    ],
)
def test_what_the_documentation_leaves_open_is_told(text, doubts):
    assert expressions.check(text) == doubts


@pytest.mark.parametrize(
    ("text", "doubts"),
    [
        ('"x"', []),
        ('"x" ,"y, 5"', []),
        ('1,"x"', ["numbers without quotes"]),
        ('"x", -.5e3', ["numbers without quotes"]),
        ('"","x"', ["empty values"]),
        (r'"a\"b"', ["backslashes within values"]),
        ('"x",\n"y"', ["white space other than spaces"]),
        ("x", None),
        ('"x""y"', None),
    ],
)
def test_doubts_about_filter_values_are_told_too(text, doubts):
    assert expressions.check_values(text) == doubts


def test_advice_does_not_repeat_the_query():
    with pytest.raises(ExpressionError) as caught:
        expressions.parse('ITEMS.a = "x" OR secretcolumn = "secretvalue"')
    assert "secret" not in str(caught.value)


_COLUMNS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,20}", fullmatch=True)


@given(st.lists(st.tuples(_COLUMNS, st.text()), min_size=1, max_size=5))
def test_any_value_can_be_written_with_escapes(pairs):
    def literal(value):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'

    text = " AND ".join(f"ITEMS.{column} = {literal(value)}" for column, value in pairs)
    assert expressions.parse(text) == tuple(Condition(*pair) for pair in pairs)


@given(
    st.text()
    | st.lists(
        st.sampled_from(
            [
                "ITEMS.a",
                "=",
                '"x"',
                "AND",
                "OR",
                "5",
                "'",
                '"',
                "\\",
                "(",
                " ",
                "!=",
                "é",
            ]
        )
    ).map(" ".join)
)
def test_any_text_is_parsed_or_refused_at_a_place_inside_it(text):
    try:
        conditions, position = expressions.parse(text), 0
    except ExpressionError as error:
        conditions, position = error.args, error.position
    assert conditions
    assert 0 <= position <= len(text)


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("INCLUDE UserID WHERE Users.STATUS IN ($MEMBERSHIP)", {"MEMBERSHIP"}),
        ('INCLUDE UserID WHERE Users.NAME IN ("$NO")', set()),
        (
            'EXCLUDE UserID WHERE Users.AGE < $AGE AND Users.LAND IN ("a", $LAND)',
            {"AGE", "LAND"},
        ),
        ("INCLUDE UserID WHERE Users.AGE > 3", set()),
    ],
)
def test_placeholders_of_a_filter_are_found_outside_its_literals(expression, names):
    assert expressions.placeholders(expression) == names


def test_a_filter_on_interactions_is_told_from_one_on_users():
    on = expressions.uses_interactions
    assert on('INCLUDE UserID WHERE Interactions.EVENT_TYPE IN ("click")')
    assert not on('INCLUDE UserID WHERE Users.NAME IN ("Interactions.EVENT_TYPE")')


def test_a_quote_that_is_never_closed_is_found_at_once_however_long_the_rest():
    text = 'ITEMS.a = "' + '\\"' * 100_000
    started = time.process_time()
    with pytest.raises(expressions.ExpressionError, match="not closed") as caught:
        expressions.parse(text)
    assert caught.value.position == 10
    assert time.process_time() - started < 1
