"""IAM policies: documents and a request in, verdict out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdk_personalize_segments.local.policies import (
    Principal,
    Request,
    UnsupportedPolicyError,
    Verdict,
    evaluate,
)

ROLE = "arn:aws:iam::123456789012:role/r"
OBJECT = "arn:aws:s3:::b/in/part-1.json"
SERVICE = Principal("Service", frozenset({"personalize.amazonaws.com"}))
AS_ROLE = Principal("AWS", frozenset({ROLE}), "123456789012")


def allow(**more):
    return {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", **more}


def deny(**more):
    return {**allow(**more), "Effect": "Deny"}


def verdict(*statements, context=None, principal=None, action="s3:GetObject"):
    request = Request(action, OBJECT, context or {})
    return evaluate([{"Statement": list(statements)}], request, principal)


def allowed(*statements, **request):
    return verdict(*statements, **request) is Verdict.ALLOWED


def test_nothing_is_allowed_by_default():
    assert verdict() is Verdict.NOT_ALLOWED


def test_an_explicit_deny_wins_in_any_order():
    assert verdict(allow(), deny()) is Verdict.DENIED
    assert verdict(deny(), allow()) is Verdict.DENIED


@pytest.mark.parametrize(
    ("action", "holds"),
    [
        ("s3:GetObject", True),
        ("S3:getobject", True),
        ("s3:Get*", True),
        ("s3:GetObjec?", True),
        ("*", True),
        (["s3:PutObject", "s3:GetObject"], True),
        ("s3:GetObjectVersion", False),
        ("s3:Get", False),
    ],
)
def test_actions(action, holds):
    assert allowed(allow(Action=action)) is holds


def test_not_action_and_not_resource():
    but_put = {"Effect": "Allow", "NotAction": "s3:Put*", "Resource": "*"}
    but_out = {"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:s3:::b/out/*"}

    assert allowed(but_put)
    assert not allowed(but_put, action="s3:PutObject")
    assert allowed(but_out)
    assert not allowed({**but_out, "NotResource": "arn:aws:s3:::b/in/*"})


@pytest.mark.parametrize(
    ("resource", "holds"),
    [
        ("arn:aws:s3:::b/in/*", True),
        ("arn:aws:s3:::b/*/part-?.json", True),
        ("arn:aws:s3:::b/IN/*", False),
        ("arn:aws:s3:::b", False),
        ("arn:aws:s3:::b/in/part-1.jso", False),
    ],
)
def test_resources(resource, holds):
    assert allowed(allow(Resource=resource)) is holds


@pytest.mark.parametrize(
    ("named", "principal", "holds"),
    [
        ("*", SERVICE, True),
        ({"Service": "personalize.amazonaws.com"}, SERVICE, True),
        ({"Service": ["a.amazonaws.com", "personalize.amazonaws.com"]}, SERVICE, True),
        ({"Service": "states.amazonaws.com"}, SERVICE, False),
        ({"AWS": "*"}, SERVICE, True),
        ({"AWS": "*"}, AS_ROLE, True),
        ({"AWS": ROLE}, AS_ROLE, True),
        ({"AWS": "123456789012"}, AS_ROLE, False),
        ({"AWS": "arn:aws:iam::123456789012:root"}, AS_ROLE, False),
    ],
)
def test_principals(named, principal, holds):
    assert allowed(allow(Principal=named), principal=principal) is holds


@pytest.mark.parametrize("named", ["123456789012", "arn:aws:iam::123456789012:root"])
def test_a_deny_for_an_account_is_for_everyone_in_it(named):
    statement = deny(Principal={"AWS": named})

    assert verdict(statement, principal=AS_ROLE) is Verdict.DENIED
    assert verdict(statement, principal=SERVICE) is Verdict.NOT_ALLOWED


KEY = {"k": "v"}
MANY = {"k": ["a", "b"]}


CONDITIONS = [
    ("StringEquals", "v", KEY, True),
    ("StringEquals", ["u", "v"], KEY, True),
    ("StringEquals", "V", KEY, False),
    ("StringEquals", "v", {}, False),
    ("StringEquals", "v*", KEY, False),
    ("StringEqualsIfExists", "v", {}, True),
    ("StringEqualsIfExists", "u", KEY, False),
    ("StringEqualsIgnoreCase", "V", KEY, True),
    ("StringNotEquals", "v", KEY, False),
    ("StringNotEquals", ["u", "v"], KEY, False),
    ("StringNotEquals", "u", {}, True),
    ("StringNotEqualsIgnoreCase", "V", KEY, False),
    ("StringLike", "in/*", {"k": "in/run"}, True),
    ("StringLike", "in/*", {"k": "out/run"}, False),
    ("StringNotLike", "in/*", {"k": "out/run"}, True),
    ("ArnLike", "arn:aws:s3:::*", {"k": "arn:aws:s3:::b"}, True),
    ("ArnLike", "arn:aws:*:b", {"k": "arn:aws:s3:::b"}, False),
    ("ArnEquals", "arn:aws:s3:::b", {"k": "arn:aws:s3:::b"}, True),
    ("ArnNotLike", "arn:aws:s3:::*", {"k": "arn:aws:s3:::b"}, False),
    ("Bool", "false", {"k": "true"}, False),
    ("Bool", False, {"k": "false"}, True),
    ("Null", "true", {}, True),
    ("Null", "true", KEY, False),
    ("Null", False, KEY, True),
    ("NumericLessThan", "1.2", {"k": "1.3"}, False),
    ("NumericLessThan", 2, {"k": "10"}, False),
    ("NumericLessThanEquals", "10", {"k": "10"}, True),
    ("NumericGreaterThan", "9", {"k": "10"}, True),
    ("NumericGreaterThanEquals", "11", {"k": "10"}, False),
    ("NumericEquals", "10.0", {"k": "10"}, True),
    ("NumericNotEquals", "10", {"k": "10"}, False),
    ("ForAnyValue:StringEquals", ["b", "c"], MANY, True),
    ("ForAnyValue:StringEquals", "c", MANY, False),
    ("ForAnyValue:StringEquals", "c", {}, False),
    ("ForAllValues:StringEquals", ["a", "b", "c"], MANY, True),
    ("ForAllValues:StringEquals", "a", MANY, False),
    ("ForAllValues:StringEquals", "a", {}, True),
    ("ForAllValues:StringLike", "*", MANY, True),
    ("StringEqualsIgnoreCase", "u", KEY, False),
    ("StringNotEqualsIgnoreCase", "U", KEY, True),
    ("StringNotLike", "out/*", {"k": "out/run"}, False),
    ("ArnEquals", "arn:aws:s3:::c", {"k": "arn:aws:s3:::b"}, False),
    ("ArnNotEquals", "arn:aws:s3:::b", {"k": "arn:aws:s3:::b"}, False),
    ("ArnNotEquals", "arn:aws:s3:::c", {"k": "arn:aws:s3:::b"}, True),
    ("ArnNotLike", "arn:aws:s3:::c*", {"k": "arn:aws:s3:::b"}, True),
    ("NumericEquals", "1", {"k": "10"}, False),
    ("NumericNotEquals", "1", {"k": "10"}, True),
    ("NumericLessThan", "10.5", {"k": "10"}, True),
    ("NumericLessThanEquals", "9", {"k": "10"}, False),
    ("NumericGreaterThan", "10", {"k": "10"}, False),
    ("NumericGreaterThanEquals", "10", {"k": "10"}, True),
]


def parts(operator):
    """Name the lines that a condition operator with its modifiers stands for."""
    quantifier, _, rest = operator.rpartition(":")
    base = rest.removesuffix("IfExists")
    names = [base, quantifier, rest.removeprefix(base)]
    return [f"policy:{name}" for name in names if name]


@pytest.mark.parametrize(
    ("operator", "wanted", "context", "holds"),
    [
        pytest.param(*case, marks=pytest.mark.emulates(*parts(case[0])))
        for case in CONDITIONS
    ],
)
def test_conditions(operator, wanted, context, holds):
    statement = allow(Condition={operator: {"K": wanted}})

    assert allowed(statement, context=context) is holds


def test_all_conditions_must_hold():
    statement = allow(
        Condition={"StringEquals": {"a": "1", "b": "2"}, "Bool": {"c": "true"}}
    )

    assert allowed(statement, context={"a": "1", "b": "2", "c": "true"})
    assert not allowed(statement, context={"a": "1", "b": "2", "c": "false"})
    assert not allowed(statement, context={"a": "1", "c": "true"})


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        (allow(Condition={"DateGreaterThan": {"k": "2026"}}), "DateGreaterThan"),
        (allow(Condition={"NullIfExists": {"k": "true"}}), "NullIfExists"),
        (allow(Condition={"ForAnyValue:Null": {"k": "true"}}), "ForAnyValue:Null"),
        (allow(Condition={"IpAddress": {"k": "10.0.0.0/8"}}), "IpAddress"),
        (allow(Resource="arn:aws:s3:::b/${aws:username}/*"), "aws:username"),
        (allow(NotPrincipal={"AWS": ROLE}), "NotPrincipal"),
    ],
)
def test_what_is_not_evaluated_is_refused_by_name(statement, name):
    with pytest.raises(UnsupportedPolicyError, match=name):
        verdict(statement)


_NAMES = st.text("ab*?", min_size=1, max_size=4)
_STATEMENTS = st.lists(
    st.builds(
        lambda effect, action: {
            "Effect": effect,
            "Action": f"s3:{action}",
            "Resource": "*",
        },
        st.sampled_from(["Allow", "Deny"]),
        _NAMES,
    ),
    max_size=5,
)


@given(_STATEMENTS, st.text("ab", min_size=1, max_size=4))
def test_more_denials_never_allow_more(statements, action):
    action = f"s3:{action}"
    everything = {"Effect": "Deny", "Action": "*", "Resource": "*"}
    without = [each for each in statements if each["Effect"] == "Allow"]

    if allowed(*statements, action=action):
        assert allowed(*without, action=action)
    assert not allowed(*statements, everything, action=action)


@given(st.text("ab", min_size=1, max_size=4), _NAMES)
def test_a_name_matches_itself_and_a_star_anything(action, pattern):
    assert allowed(allow(Action=f"s3:{action}"), action=f"s3:{action}")
    if allowed(allow(Action=f"s3:{pattern}"), action=f"s3:{action}"):
        assert allowed(allow(Action=f"s3:{pattern}*"), action=f"s3:{action}")
