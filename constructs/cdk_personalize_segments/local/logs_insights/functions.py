"""The functions of Logs Insights that work on one event.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/
CWL_QuerySyntax-operations-functions.html.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cdk_personalize_segments.local.logs_insights.values import (
    Time,
    Value,
    number,
    text,
)

_MANY: Final = 100


@dataclass(frozen=True)
class Function:
    """A function.

    Attributes:
        arguments: How many arguments it takes at least, and at most.
        work: What it makes of their values.
    """

    arguments: tuple[int, int]
    work: Callable[[Sequence[Value]], Value]


def _of_number(work: Callable[[float], float]) -> Function:
    def apply(values: Sequence[Value]) -> Value:
        value = number(values[0])
        try:
            return None if value is None else float(work(value))
        except ValueError:
            return None

    return Function((1, 1), apply)


def _of_numbers(work: Callable[[Sequence[float]], float]) -> Function:
    def apply(values: Sequence[Value]) -> Value:
        found = [number(each) for each in values]
        present = [each for each in found if each is not None]
        return work(present) if present else None

    return Function((1, _MANY), apply)


def _of_text(
    work: Callable[..., Value], arguments: tuple[int, int] = (1, 1)
) -> Function:
    """Make a function of texts that gives nothing for what is not there."""

    def apply(values: Sequence[Value]) -> Value:
        texts = [text(each) for each in values]
        return None if None in texts else work(*texts)

    return Function(arguments, apply)


def _first(values: Sequence[Value]) -> Value:
    return next((each for each in values if each is not None), None)


def _is_blank(values: Sequence[Value]) -> Value:
    return float(not (text(values[0]) or "").strip())


def _joined(values: Sequence[Value]) -> Value:
    return "".join(text(each) or "" for each in values)


def _substring(value: str, start: str, length: str | None = None) -> Value:
    begin = int(float(start))
    return (
        value[begin:] if length is None else value[begin : begin + int(float(length))]
    )


def _trimmed(side: str) -> Callable[..., Value]:
    def trim(value: str, part: str | None = None) -> Value:
        if part is None:
            return {"l": value.lstrip(), "r": value.rstrip(), "": value.strip()}[side]
        left = value if side == "r" else value.removeprefix(part)
        return left if side == "l" else left.removesuffix(part)

    return trim


def _rounded(*, up: bool) -> Callable[[Sequence[Value]], Value]:
    def apply(values: Sequence[Value]) -> Value:
        at, period = number(values[0]), number(values[1])
        if at is None or not period:
            return None
        return Time((math.ceil if up else math.floor)(at / period) * period)

    return apply


FUNCTIONS: Final[Mapping[str, Function]] = {
    "abs": _of_number(abs),
    "bin": Function((1, 1), lambda _: None),
    "ceil": _of_number(math.ceil),
    "coalesce": Function((1, _MANY), _first),
    "concat": Function((1, _MANY), _joined),
    "dateceil": Function((2, 2), _rounded(up=True)),
    "datefloor": Function((2, 2), _rounded(up=False)),
    "floor": _of_number(math.floor),
    "fromMillis": Function(
        (1, 1),
        lambda values: None if (at := number(values[0])) is None else Time(at),
    ),
    "greatest": _of_numbers(max),
    "isblank": Function((1, 1), _is_blank),
    "isempty": Function((1, 1), lambda values: float(not text(values[0]))),
    "ispresent": Function((1, 1), lambda values: float(values[0] is not None)),
    "least": _of_numbers(min),
    "log": _of_number(math.log),
    "ltrim": _of_text(_trimmed("l"), (1, 2)),
    "replace": _of_text(lambda value, old, new: value.replace(old, new), (3, 3)),
    "rtrim": _of_text(_trimmed("r"), (1, 2)),
    "sqrt": _of_number(math.sqrt),
    "strcontains": _of_text(lambda value, part: float(part in value), (2, 2)),
    "strlen": _of_text(lambda value: float(len(value))),
    "substr": _of_text(_substring, (2, 3)),
    "toMillis": Function((1, 1), lambda values: number(values[0])),
    "tolower": _of_text(str.lower),
    "toupper": _of_text(str.upper),
    "trim": _of_text(_trimmed(""), (1, 2)),
}
"""The functions that local AWS has; `bin` needs the event, and is done elsewhere."""
