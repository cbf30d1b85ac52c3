"""Evaluation of IAM policies, without IAM: documents and a request in, verdict out.

Follows the IAM user guide's "Policy evaluation logic" and "IAM JSON policy elements".
What is not evaluated is refused by name, never skipped: policy variables,
NotPrincipal, and condition operators for dates, addresses and binary values.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from typing import Any, Final

Document = Mapping[str, Any]
Context = Mapping[str, str | Sequence[str]]


class UnsupportedPolicyError(ValueError):
    """A policy uses what is not evaluated here."""


class Verdict(Enum):
    """What policies say about a request."""

    ALLOWED = "allowed"
    NOT_ALLOWED = "not allowed by any statement"
    DENIED = "denied by a statement"


@dataclass(frozen=True)
class Principal:
    """Who makes a request, as resource policies name it.

    Attributes:
        kind: `AWS` or `Service`.
        names: The ARNs or the service name that stand for it.
        account: Its account's id. A statement that allows an account only hands the
            decision to the account's own policies, so it allows nobody by itself.
    """

    kind: str
    names: frozenset[str]
    account: str | None = None


@dataclass(frozen=True)
class Request:
    """What is to be decided.

    Attributes:
        action: Like `s3:GetObject`.
        resource: The ARN, or `*` where the action has no resource.
        context: The values of condition keys.
    """

    action: str
    resource: str
    context: Context = field(default_factory=dict)


def evaluate(
    documents: Iterable[str | Document],
    request: Request,
    principal: Principal | None = None,
) -> Verdict:
    """Evaluate policies of one kind together; an explicit deny wins.

    Args:
        documents: The policies, as JSON text or parsed.
        request: What is to be decided.
        principal: Who asks, for resource policies; None for identity policies, which
            name nobody.

    Raises:
        UnsupportedPolicyError: A statement uses what is not evaluated here.
    """
    verdict = Verdict.NOT_ALLOWED
    for document in documents:
        parsed = json.loads(document) if isinstance(document, str) else document
        for statement in _list(parsed.get("Statement", [])):
            if not _applies(statement, request, principal):
                continue
            if statement["Effect"] == "Deny":
                return Verdict.DENIED
            verdict = Verdict.ALLOWED
    return verdict


def _applies(
    statement: Document, request: Request, principal: Principal | None
) -> bool:
    # Every part is looked at, so that what is not evaluated is always found.
    parts = (
        _names_action(statement, request.action),
        _names_resource(statement, request.resource),
        _names_principal(statement, principal),
        _holds(statement.get("Condition", {}), request.context),
    )
    return all(parts)


def _names_action(statement: Document, action: str) -> bool:
    if "NotAction" in statement:
        return not _any_action(statement["NotAction"], action)
    return _any_action(statement.get("Action", []), action)


def _any_action(patterns: object, action: str) -> bool:
    wanted = action.lower()
    return any(_like(wanted, each.lower()) for each in _texts(patterns))


def _names_resource(statement: Document, resource: str) -> bool:
    if "NotResource" in statement:
        return not any(
            _like(resource, each) for each in _texts(statement["NotResource"])
        )
    # Trust policies have no resource: they are about the role that holds them.
    if "Resource" not in statement:
        return True
    return any(_like(resource, each) for each in _texts(statement["Resource"]))


def _names_principal(statement: Document, principal: Principal | None) -> bool:
    if "NotPrincipal" in statement:
        raise UnsupportedPolicyError("NotPrincipal is not evaluated by local AWS")
    if principal is None:
        return True
    named = statement.get("Principal", {})
    # Both are everyone, services among them: the policy that a topic has of itself
    # says {"AWS": "*"}, and lets its owner's alarms publish.
    if named == "*" or "*" in _texts(named.get("AWS", [])):
        return True
    allowed = list(_texts(named.get(principal.kind, [])))
    names = set(principal.names)
    if principal.account and statement["Effect"] == "Deny":
        names |= {principal.account}
        names |= {each for each in allowed if _is_root(each, principal.account)}
    return any(each == "*" or each in names for each in allowed)


def _is_root(arn: str, account: str) -> bool:
    return re.fullmatch(rf"arn:[^:]+:iam::{account}:root", arn) is not None


def _holds(conditions: Document, context: Context) -> bool:
    present = {key.lower(): _list(value) for key, value in context.items()}
    checks = [
        _operator(name)(_wanted(values), present.get(key.lower()))
        for name, keys in conditions.items()
        for key, values in keys.items()
    ]
    return all(checks)


def _wanted(values: object) -> list[str]:
    return list(_texts([_text(each) for each in _list(values)]))


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


Check = Callable[[list[str], list[str] | None], bool]


def _operator(name: str) -> Check:
    """Return the check that an operator with its modifiers stands for."""
    quantifier, _, rest = name.rpartition(":")
    base = rest.removesuffix(IF_EXISTS)
    if name == _NULL:
        return lambda wanted, actual: wanted == [_text(actual is None)]
    if base not in _COMPARISONS or quantifier not in QUANTIFIERS:
        raise UnsupportedPolicyError(
            f"the condition operator {name} is not evaluated by local AWS"
        )
    compare, negated = _COMPARISONS[base]
    if_missing = QUANTIFIERS[quantifier]

    def matches(value: str, wanted: list[str]) -> bool:
        return any(compare(value, each) for each in wanted) != negated

    def check(wanted: list[str], actual: list[str] | None) -> bool:
        if actual is None:
            if rest != base:
                return True
            return negated if if_missing is None else if_missing
        results = [matches(value, wanted) for value in actual]
        every = quantifier == "ForAllValues" or (negated and not quantifier)
        return all(results) if every else any(results)

    return check


QUANTIFIERS: Final[Mapping[str, bool | None]] = {
    "": None,
    "ForAnyValue": False,
    "ForAllValues": True,
}
"""What each says of a key that the request does not have; without one, only the
negated operators hold."""
_NULL: Final = "Null"
IF_EXISTS: Final = "IfExists"
"""What, after an operator, lets it hold for a key that the request does not have."""


def _like(text: str, pattern: str) -> bool:
    return _glob(pattern).fullmatch(text) is not None


@cache
def _glob(pattern: str) -> re.Pattern[str]:
    escaped = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.compile(escaped, re.DOTALL)


def _arn_like(arn: str, pattern: str) -> bool:
    """Compare ARNs field by field, so that a wildcard stays within its field."""
    actual, wanted = arn.split(":", 5), pattern.split(":", 5)
    return len(actual) == len(wanted) and all(
        _like(have, want) for have, want in zip(actual, wanted, strict=True)
    )


def _numeric(compare: Callable[[float, float], bool]) -> Callable[[str, str], bool]:
    def check(value: str, wanted: str) -> bool:
        try:
            return compare(float(value), float(wanted))
        except ValueError:
            return False

    return check


# Each operator's comparison, and whether it is negated.
_COMPARISONS: Final[Mapping[str, tuple[Callable[[str, str], bool], bool]]] = {
    "StringEquals": (lambda value, wanted: value == wanted, False),
    "StringNotEquals": (lambda value, wanted: value == wanted, True),
    "StringEqualsIgnoreCase": (
        lambda value, wanted: value.lower() == wanted.lower(),
        False,
    ),
    "StringNotEqualsIgnoreCase": (
        lambda value, wanted: value.lower() == wanted.lower(),
        True,
    ),
    "StringLike": (_like, False),
    "StringNotLike": (_like, True),
    "ArnEquals": (_arn_like, False),
    "ArnLike": (_arn_like, False),
    "ArnNotEquals": (_arn_like, True),
    "ArnNotLike": (_arn_like, True),
    "Bool": (lambda value, wanted: value.lower() == wanted.lower(), False),
    "NumericEquals": (_numeric(lambda value, wanted: value == wanted), False),
    "NumericNotEquals": (_numeric(lambda value, wanted: value == wanted), True),
    "NumericLessThan": (_numeric(lambda value, wanted: value < wanted), False),
    "NumericLessThanEquals": (_numeric(lambda value, wanted: value <= wanted), False),
    "NumericGreaterThan": (_numeric(lambda value, wanted: value > wanted), False),
    "NumericGreaterThanEquals": (
        _numeric(lambda value, wanted: value >= wanted),
        False,
    ),
}
OPERATORS: Final = frozenset({*_COMPARISONS, _NULL})
"""The condition operators that are evaluated; IF_EXISTS goes with all but Null."""


def _texts(value: object) -> Iterator[str]:
    for each in _list(value):
        if "${" in each:
            raise UnsupportedPolicyError(
                f"the policy variable in {each!r} is not evaluated by local AWS"
            )
        yield each


def _list(value: Any) -> list[Any]:  # noqa: ANN401
    if isinstance(value, (list, tuple)):
        return list(value)
    return [value]
