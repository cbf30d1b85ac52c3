"""Event patterns, each as EventBridge's user guide describes it."""

import json

import pytest

from cdk_personalize_segments.local.events.patterns import (
    COMPARISONS,
    InvalidPatternError,
    parse,
)

EVENT = {
    "source": "aws.s3",
    "region": "eu-central-1",
    "detail": {
        "name": "Queries/All.JSONL",
        "size": 300,
        "none": None,
        "yes": True,
        "empty": "",
        "address": "10.0.3.7",
        "tags": ["red", "blue"],
        "nothing": [],
        "rows": [{"state": "on", "id": 1}, {"state": "off", "id": 2}],
        "deep": {"er": {"still": "here"}},
    },
}


def naming(details):
    """Mark each part of a pattern with the comparisons that it makes."""
    return [
        pytest.param(
            detail,
            marks=pytest.mark.emulates(
                *(f"pattern:{name}" for name in COMPARISONS if f'"{name}"' in text)
            ),
        )
        for detail in details
        for text in [json.dumps(detail)]
    ]


def matches(detail):
    return parse(json.dumps({"detail": detail}))(EVENT)


@pytest.mark.parametrize(
    "detail",
    naming(
        [
            {"name": ["other", "Queries/All.JSONL"]},
            {"size": [300]},
            {"none": [None]},
            {"yes": [True]},
            {"empty": [""]},
            {"tags": ["blue"]},
            {"deep": {"er": {"still": ["here"]}}},
            {"name": [{"prefix": "Queries/"}]},
            {"name": [{"prefix": {"equals-ignore-case": "queries/"}}]},
            {"name": [{"suffix": ".JSONL"}]},
            {"name": [{"suffix": {"equals-ignore-case": ".jsonl"}}]},
            {"name": [{"equals-ignore-case": "queries/ALL.jsonl"}]},
            {"name": [{"wildcard": "Q*/*.JSONL"}]},
            {"name": [{"wildcard": "*"}]},
            {"name": [{"anything-but": "other"}]},
            {"name": [{"anything-but": ["other", "another"]}]},
            {"name": [{"anything-but": {"prefix": "results/"}}]},
            {"name": [{"anything-but": {"prefix": ["results/", "output/"]}}]},
            {"name": [{"anything-but": {"suffix": ".csv"}}]},
            {"name": [{"anything-but": {"wildcard": "*/results/*"}}]},
            {"name": [{"anything-but": {"equals-ignore-case": ["other"]}}]},
            {"size": [{"anything-but": [200, 400]}]},
            {"size": [{"numeric": ["=", 300]}]},
            {"size": [{"numeric": [">", 299, "<=", 300]}]},
            {"address": [{"cidr": "10.0.0.0/16"}]},
            {"name": [{"exists": True}]},
            {"missing": [{"exists": False}]},
            {"missing": {"below": [{"exists": False}]}},
            {"nothing": [{"exists": False}]},
            {"missing": [{"exists": False}, "here"]},
            {"rows": {"state": ["off"], "id": [2]}},
            {"$or": [{"size": [1]}, {"name": [{"suffix": "L"}]}]},
            {"size": [300], "$or": [{"yes": [True]}, {"yes": [False]}]},
        ]
    ),
)
@pytest.mark.emulates("events:PutRule")
def test_a_pattern_matches(detail):
    assert matches(detail)


@pytest.mark.parametrize(
    "detail",
    naming(
        [
            {"name": ["queries/all.jsonl"]},
            {"size": ["300"]},
            {"size": [300.0]},
            {"none": [""]},
            {"yes": [1]},
            {"tags": ["green"]},
            {"deep": {"er": ["here"]}},
            {"name": {"er": ["here"]}},
            {"name": [{"prefix": "queries/"}]},
            {"size": [{"prefix": "3"}]},
            {"name": [{"wildcard": "*.csv"}]},
            {"name": [{"wildcard": "All*"}]},
            {"name": [{"anything-but": "Queries/All.JSONL"}]},
            {"name": [{"anything-but": {"suffix": ".JSONL"}}]},
            {"missing": [{"anything-but": "other"}]},
            {"size": [{"numeric": [">", 300]}]},
            {"name": [{"numeric": [">", 0]}]},
            {"address": [{"cidr": "10.1.0.0/16"}]},
            {"name": [{"exists": False}]},
            {"missing": [{"exists": True}]},
            {"rows": {"state": ["off"], "id": [1]}},
            {"$or": [{"size": [1]}, {"size": [2]}]},
            {"size": [1], "$or": [{"yes": [True]}, {"yes": [False]}]},
        ]
    ),
)
def test_a_pattern_does_not_match(detail):
    assert not matches(detail)


def test_a_star_after_a_backslash_stands_for_itself():
    pattern = parse(json.dumps({"key": [{"wildcard": "a\\*b*"}]}))
    assert pattern({"key": "a*bc"})
    assert not pattern({"key": "axbc"})


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("{", "not JSON"),
        ({}, "with fields"),
        ({"a": "text"}, "a must be an object or an array"),
        ({"a": []}, "empty arrays"),
        ({"a": {}}, "with fields"),
        ({"a": [["b"]]}, "an array in an array"),
        ({"a": [{"starts-with": "b"}]}, "Unrecognized match type starts-with"),
        ({"a": [{"prefix": "b", "suffix": "c"}]}, "one way at a time"),
        ({"a": [{"prefix": 1}]}, "must be a string"),
        ({"a": [{"prefix": {"suffix": "b"}}]}, "Unrecognized match type suffix"),
        ({"a": [{"wildcard": "a**"}]}, "consecutive"),
        ({"a": [{"wildcard": "a\\b"}]}, "escape"),
        ({"a": [{"exists": "yes"}]}, "true or false"),
        ({"a": [{"numeric": ["~", 1]}]}, "numeric at a"),
        ({"a": [{"numeric": [">", "1"]}]}, "numeric at a"),
        ({"a": [{"numeric": [">", 1, "<"]}]}, "numeric at a"),
        ({"a": [{"numeric": [">", 1e10]}]}, "5,000,000,000"),
        ({"a": [{"numeric": []}]}, "numeric at a"),
        ({"a": [{"cidr": "10.0"}]}, "CIDR"),
        ({"a": [{"anything-but": []}]}, "anything-but at a"),
        ({"a": [{"anything-but": [None]}]}, "anything-but at a"),
        ({"a": [{"anything-but": {"numeric": [">", 1]}}]}, "numeric in anything-but"),
        ({"$or": [{"a": [1]}]}, "two or more"),
    ],
)
def test_what_is_not_understood_is_refused(pattern, problem):
    text = pattern if isinstance(pattern, str) else json.dumps(pattern)
    with pytest.raises(InvalidPatternError, match=problem):
        parse(text)
