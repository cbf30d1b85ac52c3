"""JSONata as Step Functions has it."""

import random
from datetime import UTC, datetime

import pytest

from cdk_personalize_segments.local.jsonata import (
    EvaluationError,
    Undefined,
    UnsupportedExpressionError,
    check,
    evaluate,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def value_of(text, **variables):
    return evaluate(text, variables, NOW, random.Random(1))  # noqa: S311


@pytest.mark.parametrize(
    "value",
    [
        "quotes \" and ' and ` here",
        "back\\slash \\n \\",
        "line\nfeed\ttab\r",
        "ünïcödé 😀 \u2028",
        "{% $now() %}",
        "",
        0,
        -1.5,
        12345678901234567890,
        True,
        False,
        None,
        [],
        {},
        [None],
        ["one"],
        [[1], [2, [3]]],
        {"a": {"b": [{"c": None}]}, "with space": 1, "": 2},
    ],
)
def test_a_value_survives_in_a_variable_and_in_the_input(value):
    assert value_of("$kept", kept=value) == value
    assert value_of("$states.input", states={"input": value}) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$now()", "2026-03-01T12:00:00.000Z"),
        ("$millis()", 1772366400000),
        ("$fromMillis($millis())", "2026-03-01T12:00:00.000Z"),
        ("$parse('{\"a\": [1, null]}')", {"a": [1, None]}),
        ("$partition([1, 2, 3], 2)", [[1, 2], [3]]),
        ("$range(0, 10, 5)", [0, 5, 10]),
        ("$range(3, 1, -1)", [3, 2, 1]),
        (
            "$hash('a', 'SHA-256')",
            "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb",
        ),
        ("[1..4]", [1, 2, 3, 4]),
        ("10 / 4", 2.5),
        ("10 / 5", 2),
        ("$exists(null)", True),
        ("$map([1, 2], function($n) { $n * 2 })", [2, 4]),
    ],
)
def test_expressions(text, value):
    assert value_of(text) == value
    check(text)


def test_chance_is_the_same_for_the_same_seed():
    text = "[$random(), $random(7), $uuid(), $shuffle([1, 2, 3, 4])]"
    assert value_of(text) == value_of(text)
    assert value_of("$random()") != value_of("$random(7)")


def test_nothing_is_not_null():
    assert value_of("$states.input.here", states={"input": {"here": None}}) is None
    with pytest.raises(Undefined):
        value_of("$states.input.absent", states={"input": {}})
    with pytest.raises(Undefined):
        value_of("$never")


@pytest.mark.parametrize(
    "text",
    [
        "1 / 0",
        "$number('abc')",
        "'a' + 1",
        "$error('stop')",
        "$hash('a', 'CRC')",
        "function($x) { $x }",
        "($f := function($n) { 1 + $f($n) }; $f(1))",
    ],
)
def test_what_fails_says_so(text):
    with pytest.raises(EvaluationError, match=r"\w"):
        value_of(text)


def test_what_never_ends_is_ended(monkeypatch):
    monkeypatch.setattr("cdk_personalize_segments.local.jsonata._LONGEST_SECONDS", 0.1)
    with pytest.raises(EvaluationError):
        value_of("($f := function($n) { $f($n + 1) }; $f(1))")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("$eval('1')", "$eval"),
        ("$map([1], $eval)", "$eval"),
        ("$frobnicate(1)", "$frobnicate"),
        ("($f := function($x) { $g($x) }; $f(1))", "$g"),
        ("foo.bar", "'foo'"),
        ("$map($a, function($x) { foo })", "'foo'"),
        ("{'a': foo}", "'foo'"),
        ("$$", "$$"),
        ("$.a", "'$'"),
        ("$a ?: 1", "?:"),
        ("$a ?? 1", "??"),
        ("$states.errorOutput.Error", "$states.errorOutput"),
        ("$a[", "cannot be parsed"),
    ],
)
def test_what_aws_does_not_have_is_refused_by_name(text, named):
    with pytest.raises(UnsupportedExpressionError) as refused:
        check(text)
    assert named in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "$states.input.items[value > 3]",
        "$a.b.c",
        "$a{name: $sum(price)}",
        "$a^(price)",
        "$a ~> $sum()",
        "$match('ab', /(?:b)/)",
        "$a ? $a : 1",
        "($f := function($n) { $n < 1 ? 0 : $f($n - 1) }; $f(3))",
        "$map($a, function($v, $i) { $v.price * $i })",
        "$substring($string($states.input), 0, 32000)",
    ],
)
def test_what_aws_has_is_accepted(text):
    check(text)


def test_error_output_exists_in_a_catch():
    check("$states.errorOutput.Error", in_catch=True)
