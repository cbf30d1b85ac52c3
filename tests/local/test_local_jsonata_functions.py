"""Every function that Step Functions has in JSONata, by the examples of JSONata.

Sources: https://docs.jsonata.org/string-functions and its neighbours, and for what
Step Functions adds https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html.
"""

import random
import re
from datetime import UTC, datetime

import pytest

from cdk_personalize_segments.local import jsonata

NOW = datetime(2017, 5, 15, 15, 12, 59, 152000, tzinfo=UTC)

# Expressions and their values; None for those that have no value.
EXAMPLES = [
    # Strings.
    ("$string(5)", "5"),
    ("[1..3].$string()", ["1", "2", "3"]),
    ("$string(1.50)", "1.5"),
    ("$string(1e21)", "1e+21"),
    ("$string(1e20)", "100000000000000000000"),
    ("$string(0.1 + 0.2)", "0.3"),
    ("$string(1/3)", "0.333333333333333"),
    ("$string(0.000001)", "0.000001"),
    ("$string(0.0000001)", "1e-7"),
    ("$string(10/2)", "5"),
    ("$string(true)", "true"),
    ("$string(null)", "null"),
    ('$string({"a": [1, 2.5], "b": null})', '{"a":[1,2.5],"b":null}'),
    ('$string("ünï \\"q\\"")', 'ünï "q"'),
    ('$string(["ü"])', '["ü"]'),
    ('$string({"a": [1, {}]}, true)', '{\n  "a": [\n    1,\n    {}\n  ]\n}'),
    ("$map([1.0, 2.5], $string)", ["1", "2.5"]),
    ("'n: ' & 1e20", "n: 100000000000000000000"),
    ("'' & [1/3, null, 'ü']", '[0.333333333333333,null,"ü"]'),
    ("$string(123456789.123456789)", "123456789.123457"),
    ("$string(-1.5e-10)", "-1.5e-10"),
    ("$string(function($x) { $x })", ""),
    ("$string($absent)", None),
    ('$length("Hello World")', 11),
    ('$length("😀")', 1),
    ('$substring("Hello World", 3)', "lo World"),
    ('$substring("Hello World", 3, 5)', "lo Wo"),
    ('$substring("Hello World", -4)', "orld"),
    ('$substring("Hello World", -4, 2)', "or"),
    ('$substringBefore("Hello World", " ")', "Hello"),
    ('$substringAfter("Hello World", " ")', "World"),
    ('$substringAfter("Hello", "x")', "Hello"),
    ('$uppercase("Hello World")', "HELLO WORLD"),
    ('$lowercase("Hello World")', "hello world"),
    ('$trim("   Hello    \\n World  ")', "Hello World"),
    ('$pad("foo", 5)', "foo  "),
    ('$pad("foo", -5)', "  foo"),
    ('$pad("foo", -5, "#")', "##foo"),
    ('$contains("abracadabra", "bra")', True),
    ('$contains("abracadabra", /a.*a/)', True),
    ('$contains("abracadabra", /ar.*a/)', False),
    ('$split("so many words", " ")', ["so", "many", "words"]),
    ('$split("so many words", " ", 2)', ["so", "many"]),
    ('$split("too, much, punctuation.", /[ ,.]+/)', ["too", "much", "punctuation", ""]),
    ('$split("abc", "")', ["a", "b", "c"]),
    ("$join(['a','b','c'])", "abc"),
    ("$join(['a','b','c'], '-')", "a-b-c"),
    (
        '$match("ababbabbcc", /a(b+)/)',
        [
            {"match": "ab", "index": 0, "groups": ["b"]},
            {"match": "abb", "index": 2, "groups": ["bb"]},
            {"match": "abb", "index": 5, "groups": ["bb"]},
        ],
    ),
    (
        '$match("ababbabbcc", /a(b+)/, 1)',
        {"match": "ab", "index": 0, "groups": ["b"]},
    ),
    ('$match("none", /a(b+)/)', None),
    (
        '$replace("John Smith and John Jones", "John", "Mr")',
        "Mr Smith and Mr Jones",
    ),
    (
        '$replace("John Smith and John Jones", "John", "Mr", 1)',
        "Mr Smith and John Jones",
    ),
    ('$replace("John Smith", /(\\w+)\\s(\\w+)/, "$2, $1")', "Smith, John"),
    ('$replace("a.b", ".", "-")', "a-b"),
    ('$replace("265USD", /([0-9]+)USD/, "$$$1")', "$265"),
    ('$base64encode("myuser:mypass")', "bXl1c2VyOm15cGFzcw=="),
    ('$base64decode("bXl1c2VyOm15cGFzcw==")', "myuser:mypass"),
    ('$encodeUrlComponent("?x=test")', "%3Fx%3Dtest"),
    (
        '$encodeUrl("https://mozilla.org/?x=шеллы")',
        "https://mozilla.org/?x=%D1%88%D0%B5%D0%BB%D0%BB%D1%8B",
    ),
    ('$decodeUrlComponent("%3Fx%3Dtest")', "?x=test"),
    (
        '$decodeUrl("https://mozilla.org/?x=%D1%88%D0%B5%D0%BB%D0%BB%D1%8B")',
        "https://mozilla.org/?x=шеллы",
    ),
    # Numbers.
    ('$number("5")', 5),
    ('$number("0x12")', 18),
    ('$number("1e3")', 1000),
    ("$number(true)", 1),
    ("$abs(-5)", 5),
    ("$floor(5.8)", 5),
    ("$floor(-5.3)", -6),
    ("$ceil(5.3)", 6),
    ("$ceil(-5.8)", -5),
    ("$round(123.456)", 123),
    ("$round(123.456, 2)", 123.46),
    ("$round(123.456, -1)", 120),
    ("$round(123.456, -2)", 100),
    ("$round(11.5)", 12),
    ("$round(12.5)", 12),
    ("$round(125, -1)", 120),
    ("$power(2, 8)", 256),
    ("$power(2, 0.5)", 1.4142135623730951),
    ("$sqrt(4)", 2),
    ("$sqrt(2)", 1.4142135623730951),
    ("$random() < 1", True),
    ("$formatNumber(12345.6, '#,###.00')", "12,345.60"),
    ('$formatNumber(1234.5678, "00.000e0")', "12.346e2"),
    ('$formatNumber(34.555, "#0.00;(#0.00)")', "34.56"),
    ('$formatNumber(-34.555, "#0.00;(#0.00)")', "(34.56)"),
    ("[1.005].$formatNumber('0.00')", "1.00"),
    ("$formatNumber(0.14, '01%')", "14%"),
    ("$formatBase(100, 2)", "1100100"),
    ("$formatBase(2555, 16)", "9fb"),
    ("$formatInteger(2789, 'w')", "two thousand, seven hundred and eighty-nine"),
    ("$formatInteger(1999, 'I')", "MCMXCIX"),
    ("$formatInteger(12345, '#,##0')", "12,345"),
    (
        "$parseInteger(\"twelve thousand, four hundred and seventy-six\", 'w')",
        12476,
    ),
    ("$parseInteger('12,345,678', '#,##0')", 12345678),
    # Aggregation and booleans.
    ("$sum([5,1,3,7,4])", 20),
    ("$max([5,1,3,7,4])", 7),
    ("$min([5,1,3,7,4])", 1),
    ("$average([5,1,3,7,4])", 4),
    ("$boolean('')", False),
    ("$boolean([0, 1])", True),
    ("$boolean([0])", False),
    ("$boolean({})", False),
    ("$not(0)", True),
    ("$exists($absent)", False),
    # Arrays.
    ("$count([1,2,3,1])", 4),
    ("$count('hello')", 1),
    ("$count([])", 0),
    ("$append([1,2,3], [4,5])", [1, 2, 3, 4, 5]),
    ("$append([1,2,3], 4)", [1, 2, 3, 4]),
    ('$append("Hello", "World")', ["Hello", "World"]),
    ("$sort([3, 1, 2])", [1, 2, 3]),
    ("$sort(['b', 'a', 'C'])", ["C", "a", "b"]),
    (
        '$sort([{"n": 2, "i": 1}, {"n": 1, "i": 2}, {"n": 2, "i": 3}], '
        "function($l, $r) { $l.n > $r.n }).i",
        [2, 1, 3],
    ),
    ("$reverse([1..3])", [3, 2, 1]),
    ("$count($shuffle([1..9]))", 9),
    ("$distinct([1,2,3,3,4,3,5])", [1, 2, 3, 4, 5]),
    ('$distinct([{"a": 1}, {"a": 1}])', [{"a": 1}]),
    ("$distinct([1, true, 1])", [1, True]),
    ("$zip([1,2,3], [4,5,6])", [[1, 4], [2, 5], [3, 6]]),
    ("$zip([1,2,3], [4,5], [7,8,9])", [[1, 4, 7], [2, 5, 8]]),
    # Objects.
    ('$keys({"b": 1, "a": 2})', ["b", "a"]),
    ('$keys({"only": 1})', "only"),
    ('$lookup({"a": 1}, "a")', 1),
    ('$lookup([{"a": 1}, {"a": 2}], "a")', [1, 2]),
    ('$spread({"a": 1, "b": 2})', [{"a": 1}, {"b": 2}]),
    ('$merge([{"a": 1}, {"b": 2}, {"a": 3}])', {"a": 3, "b": 2}),
    ('$sift({"a": 1, "b": 2}, function($v, $k) { $v > 1 })', {"b": 2}),
    ('$each({"a": 1, "b": 2}, function($v, $k) { $k & $v })', ["a1", "b2"]),
    ("$type(null)", "null"),
    ("$type([1])", "array"),
    ("$type(1.5)", "number"),
    ("$type(function($x) { $x })", "function"),
    ("$type($absent)", None),
    ("$assert(true, 'no')", None),
    # Dates.
    ("$now()", "2017-05-15T15:12:59.152Z"),
    ("$now('[Y0001]-[M01]-[D01]')", "2017-05-15"),
    ("$millis()", 1494861179152),
    ("$fromMillis(1510067557121)", "2017-11-07T15:12:37.121Z"),
    (
        "$fromMillis(1510067557121, '[M01]/[D01]/[Y0001] [h#1]:[m01][P]')",
        "11/07/2017 3:12pm",
    ),
    (
        "$fromMillis(1510067557121, '[H01]:[m01]:[s01] [z]', '-0500')",
        "10:12:37 GMT-05:00",
    ),
    (
        "$fromMillis(1510067557121, '[FNn], [D1o] [MNn] [Y]')",
        "Tuesday, 7th November 2017",
    ),
    ('$toMillis("2017-11-07T15:07:54.972Z")', 1510067274972),
    ('$toMillis("2017-11-07")', 1510012800000),
    ('$toMillis("2017-11-07T15:07:54+01:00")', 1510063674000),
    ("$toMillis('2017-11-07 15:07', '[Y0001]-[M01]-[D01] [H01]:[m01]')", 1510067220000),
    # Functions of higher order.
    ("$map([1..5], function($x) { $x * 2 })", [2, 4, 6, 8, 10]),
    ("$map(['a', 'b'], function($v, $i, $a) { $v & $i & $count($a) })", ["a02", "b12"]),
    ("$map(['a'], $uppercase)", "A"),
    ("$filter([1..5], function($x) { $x > 3 })", [4, 5]),
    ("$filter([1..5], function($x) { $x > 4 })", 5),
    ("$filter([1], function($x) { $x > 4 })", None),
    ("$single([1..5], function($x) { $x = 3 })", 3),
    ("$reduce([1..5], function($i, $j) { $i * $j })", 120),
    ("$reduce([1..3], function($i, $j) { $i + $j }, 10)", 16),
    # What Step Functions adds.
    ("$partition([1,2,3,4,5], 2)", [[1, 2], [3, 4], [5]]),
    ("$range(0, 5, 2)", [0, 2, 4]),
    ("$range(5, 1, -2)", [5, 3, 1]),
    ("$hash('input', 'MD5')", "a43c1b0aa53a0c908810c06ab1ff3967"),
    ("$hash('a', 'SHA-1')", "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"),
    ("$random(1) = $random(1)", True),
    ("$length($uuid())", 36),
    ("$parse('{\"a\": [1, null]}')", {"a": [1, None]}),
    ("$parse($absent)", None),
]
FAILURES = [
    ("$error('stop')", "stop"),
    ("$assert(false, 'not so')", "not so"),
    ("$number('x')", "'x'"),
    ("$sqrt(-1)", "sqrt"),
    ("$toMillis('yesterday')", "yesterday"),
    ("$single([1, 1], function($x) { $x = 1 })", "single"),
    ("$length(5)", "length"),
    ("$sum(['a'])", "sum"),
    ("$formatBase(1, 99)", "formatBase"),
    ("$sort([1, 'a'])", "array of strings or an array of numbers"),
    ("$sort([true, false])", "array of strings or an array of numbers"),
    ("$join([1])", "join"),
    ("$base64decode(1)", "base64decode"),
    ("$parse('{')", ""),
    ("$hash('a', 'CRC')", "hash"),
]


def value_of(text):
    try:
        return jsonata.evaluate(text, {}, NOW, random.Random(1))  # noqa: S311
    except jsonata.Undefined:
        return None


def named(text):
    """Mark an example with the functions that it shows."""
    return pytest.mark.emulates(
        *(f"jsonata:${name}" for name in jsonata.FUNCTIONS & set(_names(text)))
    )


def _names(text):
    return re.findall(r"\$(\w+)", text)


@pytest.mark.parametrize(
    ("text", "value"),
    [pytest.param(text, value, marks=named(text), id=text) for text, value in EXAMPLES],
)
def test_functions_by_example(text, value):
    jsonata.check(text)
    found = value_of(text)
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize(
    ("text", "said"),
    [pytest.param(text, said, marks=named(text), id=text) for text, said in FAILURES],
)
def test_functions_that_fail(text, said):
    jsonata.check(text)
    with pytest.raises(jsonata.EvaluationError) as failed:
        value_of(text)
    assert said.lower() in str(failed.value).lower()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("$replace('a', /a/, function($m) { 'b' })", "replace by a function"),
        ("$replace('a', 'a', $uppercase)", "replace by a function"),
        ("$split('a b', / */)", "matches the empty text"),
        ("$match('a', /(?<name>a)/)", "cannot be parsed"),
        ("$clone({})", "no function $clone"),
    ],
)
def test_what_would_go_another_way_than_on_aws_is_refused(text, said):
    with pytest.raises(jsonata.UnsupportedExpressionError) as refused:
        jsonata.check(text)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$contains('a\n', /a$/)", False),
        ("$contains('a\nb', /a$/m)", True),
        ("$contains('\u0661', /\\d/)", False),
        ("$contains('é', /É/i)", True),
        ("$contains('$', /[$]/)", True),
        ("$contains('\u0661', /[\\d]/)", False),
    ],
)
def test_regular_expressions_are_those_of_javascript(text, value):
    assert value_of(text) is value


def test_a_variable_hides_a_function():
    found = jsonata.evaluate(
        "$string & $now",
        {"string": "a", "now": "b"},
        NOW,
        random.Random(1),  # noqa: S311
    )
    assert found == "ab"


def test_there_is_an_example_for_each_function():
    shown = {name for text, _ in [*EXAMPLES, *FAILURES] for name in _names(text)}
    assert jsonata.FUNCTIONS - shown == set()
