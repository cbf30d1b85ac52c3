"""Event patterns: which events a rule is for.

Every comparison of EventBridge's is known; what is not is refused when a rule is put.
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
"""

import ipaddress
import json
import operator
import re
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from cdk_personalize_segments.local.untyped import Json

Matches: TypeAlias = Callable[[Json], bool]

# Stands for a field that an event does not have.
_ABSENT: Final = object()
_NUMERIC: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_LARGEST_NUMBER: Final = 5e9


class InvalidPatternError(ValueError):
    """A pattern is not one of EventBridge's."""


def parse(text: str) -> Matches:
    """Parse a pattern.

    Args:
        text: The pattern, as JSON.

    Returns:
        Tells whether an event matches.

    Raises:
        InvalidPatternError: It is malformed, or compares in a way that is not known.
    """
    try:
        pattern = json.loads(text)
    except ValueError as error:
        raise InvalidPatternError(f"it is not JSON: {error}") from None
    return _fields(pattern, "the pattern")


def _fields(pattern: Json, where: str) -> Matches:
    """Parse what must hold for the fields of an object; all of it must."""
    if not isinstance(pattern, dict) or not pattern:
        raise InvalidPatternError(f"{where} must be an object with fields")
    checks = [
        _either(each, where) if name == "$or" else _field(name, each)
        for name, each in pattern.items()
    ]

    def matches(event: Json) -> bool:
        # Of objects in an array, one must match as a whole.
        candidates = event if isinstance(event, list) else [event]
        return any(
            all(check(each) for check in checks)
            for each in candidates or [{}]
            if isinstance(each, dict) or each is _ABSENT
        )

    return matches


def _either(patterns: Json, where: str) -> Matches:
    if not isinstance(patterns, list) or len(patterns) < 2:
        raise InvalidPatternError(f"$or in {where} must be an array of two or more")
    choices = [_fields(each, f"$or in {where}") for each in patterns]
    return lambda event: any(choice(event) for choice in choices)


def _field(name: str, pattern: Json) -> Matches:
    check = _values(name, pattern) if isinstance(pattern, list) else None
    if check is None and not isinstance(pattern, dict):
        raise InvalidPatternError(f"{name} must be an object or an array")
    matches = check or _fields(pattern, name)

    def of_field(event: Json) -> bool:
        return matches(_ABSENT if event is _ABSENT else event.get(name, _ABSENT))

    return of_field


def _values(name: str, patterns: list[Json]) -> Matches:
    """Parse what a field may be; one of it must hold for one of its values."""
    if not patterns:
        raise InvalidPatternError(f"empty arrays are not allowed, as at {name}")
    choices = [_comparison(name, each) for each in patterns]

    def matches(value: Json) -> bool:
        values = value if isinstance(value, list) else [value]
        # An empty array is a field without a value.
        return any(choice(each) for choice in choices for each in values or [_ABSENT])

    return matches


def _comparison(name: str, pattern: Json) -> Matches:
    if isinstance(pattern, list):
        raise InvalidPatternError(f"an array in an array, as at {name}, is not allowed")
    if not isinstance(pattern, dict):
        return lambda value: _same(value, pattern)
    kind, operand = _only(name, pattern)
    if kind not in COMPARISONS:
        raise InvalidPatternError(f"Unrecognized match type {kind}, at {name}")
    return COMPARISONS[kind](name, operand)


def _only(name: str, pattern: Mapping[str, Json]) -> tuple[str, Json]:
    if len(pattern) != 1:
        raise InvalidPatternError(f"{name} must compare in one way at a time")
    return next(iter(pattern.items()))


def _same(value: Json, wanted: Json) -> bool:
    """Compare as EventBridge does, by what is written: 300 is not 300.0."""
    return type(value) is type(wanted) and bool(value == wanted)


def _text(name: str, kind: str, operand: Json) -> str:
    if not isinstance(operand, str) or not operand:
        raise InvalidPatternError(f"{kind} at {name} must be a string")
    return operand


def _of_texts(check: Callable[[str], bool]) -> Matches:
    return lambda value: isinstance(value, str) and check(value)


def _prefix(name: str, operand: Json) -> Matches:
    wanted, fold = _perhaps_ignoring_case(name, "prefix", operand)
    return _of_texts(lambda value: fold(value).startswith(fold(wanted)))


def _suffix(name: str, operand: Json) -> Matches:
    wanted, fold = _perhaps_ignoring_case(name, "suffix", operand)
    return _of_texts(lambda value: fold(value).endswith(fold(wanted)))


def _perhaps_ignoring_case(
    name: str, kind: str, operand: Json
) -> tuple[str, Callable[[str], str]]:
    if not isinstance(operand, dict):
        return _text(name, kind, operand), str
    inner, text = _only(name, operand)
    if inner != "equals-ignore-case":
        raise InvalidPatternError(f"Unrecognized match type {inner} in {kind}")
    return _text(name, inner, text), str.lower


def _equals_ignore_case(name: str, operand: Json) -> Matches:
    wanted = _text(name, "equals-ignore-case", operand).lower()
    return _of_texts(lambda value: value.lower() == wanted)


def _wildcard(name: str, operand: Json) -> Matches:
    text = _text(name, "wildcard", operand)
    if "**" in text:
        raise InvalidPatternError(f"consecutive wildcards at {name} are not allowed")
    # A backslash makes a star, or a backslash, stand for itself.
    parts = re.findall(r"\\[*\\]|\*|[^*\\]+|\\", text)
    if "\\" in parts:
        raise InvalidPatternError(f"an invalid escape character in the wildcard {text}")
    expression = re.compile(
        "".join(
            ".*" if part == "*" else re.escape(re.sub(r"\\(.)", r"\1", part))
            for part in parts
        ),
        re.DOTALL,
    )
    return _of_texts(lambda value: expression.fullmatch(value) is not None)


def _exists(name: str, operand: Json) -> Matches:
    if not isinstance(operand, bool):
        raise InvalidPatternError(f"exists at {name} must be either true or false")
    # It is about leaves, so an object does not count.
    return lambda value: (
        (value is not _ABSENT and not isinstance(value, dict)) is operand
    )


def _numeric(name: str, operand: Json) -> Matches:
    given = operand if isinstance(operand, list) else []
    pairs = list(zip(given[::2], given[1::2], strict=False))
    if len(given) not in (2, 4) or not all(
        isinstance(kind, str)
        and kind in _NUMERIC
        and _is_number(bound)
        and abs(bound) <= _LARGEST_NUMBER
        for kind, bound in pairs
    ):
        raise InvalidPatternError(
            f"numeric at {name} must be one or two of {', '.join(_NUMERIC)}, each with "
            "a number from -5,000,000,000 to 5,000,000,000"
        )
    return lambda value: (
        _is_number(value) and all(_NUMERIC[kind](value, bound) for kind, bound in pairs)
    )


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cidr(name: str, operand: Json) -> Matches:
    try:
        network = ipaddress.ip_network(_text(name, "cidr", operand), strict=False)
    except ValueError:
        raise InvalidPatternError(f"malformed CIDR {operand} at {name}") from None

    def within(value: str) -> bool:
        try:
            return ipaddress.ip_address(value) in network
        except ValueError:
            return False

    return _of_texts(within)


def _anything_but(name: str, operand: Json) -> Matches:
    choices = _excluded(name, operand)
    # It says nothing of a field that is not there.
    return lambda value: (
        value is not _ABSENT
        and not isinstance(value, dict)
        and not any(choice(value) for choice in choices)
    )


def _excluded(name: str, operand: Json) -> list[Matches]:
    if isinstance(operand, dict):
        kind, inner = _only(name, operand)
        if kind not in _EXCLUDING:
            raise InvalidPatternError(f"Unrecognized match type {kind} in anything-but")
        texts = inner if isinstance(inner, list) else [inner]
        if not texts:
            raise InvalidPatternError(f"anything-but at {name} must not be empty")
        return [COMPARISONS[kind](name, each) for each in texts]
    values = operand if isinstance(operand, list) else [operand]
    if not values or not all(
        isinstance(each, str) or _is_number(each) for each in values
    ):
        raise InvalidPatternError(
            f"anything-but at {name} must be strings, numbers or one of "
            f"{', '.join(_EXCLUDING)}"
        )
    return [_comparison(name, each) for each in values]


_EXCLUDING: Final = ("prefix", "suffix", "equals-ignore-case", "wildcard")
COMPARISONS: Final[Mapping[str, Callable[[str, Json], Matches]]] = {
    "anything-but": _anything_but,
    "cidr": _cidr,
    "equals-ignore-case": _equals_ignore_case,
    "exists": _exists,
    "numeric": _numeric,
    "prefix": _prefix,
    "suffix": _suffix,
    "wildcard": _wildcard,
}
"""How a pattern can compare a value, beyond that it is the same."""
