"""Metric math: expressions over time series.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/
using-metric-math.html. Functions that are not in `FUNCTIONS` are refused by name.

The guide leaves open, and local AWS takes it so: FILL fills metrics without any data
point too, statistics of a time series without data points have no value, extremes of
several time series leave missing values out, and two arrays do not go together.
"""

import itertools
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Final, TypeAlias

from cdk_personalize_segments.local.cloudwatch.errors import QueryError
from cdk_personalize_segments.local.cloudwatch.metrics import Metric
from cdk_personalize_segments.local.formulas import (
    Call,
    FormulaError,
    Grammar,
    Items,
    Name,
    Node,
    Number,
    Operation,
    Reader,
    Text,
    walk,
)

_GRAMMAR: Final = Grammar(
    tokens=re.compile(
        r"(?P<number>\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)"
        r"|(?P<text>'[^']*'|\"[^\"]*\")"
        r"|(?P<name>[A-Za-z]\w*)"
        r"|(?P<sign>&&|\|\||[=!<>]=|[-+*/^<>(),\[\]])"
    ),
    binary={
        **dict.fromkeys(("||", "OR"), 1),
        **dict.fromkeys(("&&", "AND"), 2),
        **dict.fromkeys(("==", "!=", "<=", ">=", "<", ">"), 3),
        **dict.fromkeys(("+", "-"), 4),
        **dict.fromkeys(("*", "/"), 5),
        "^": 7,
    },
    prefix={"-": 6},
)
_ID: Final = re.compile(r"[a-z]\w*")


class MathError(QueryError):
    """An expression is malformed, or asks for what is not there."""


@dataclass(frozen=True)
class Line:
    """A time series: values by time.

    Attributes:
        values: The values.
        label: What it is called.
        metric: The metric that it is of, or None.
    """

    values: Mapping[float, float]
    label: str = ""
    metric: Metric | None = None


Value: TypeAlias = float | Line | list[Line]


@dataclass(frozen=True)
class Window:
    """The times that are asked for.

    Attributes:
        start: The first one.
        period: How far they are apart, in seconds.
        count: How many there are.
    """

    start: float
    period: float
    count: int

    @property
    def end(self) -> float:
        """The end of the last one's period."""
        return self.start + self.period * self.count

    @property
    def times(self) -> list[float]:
        """All of them."""
        return [self.start + self.period * each for each in range(self.count)]


@cache
def parse(expression: str) -> Node:
    """Read an expression.

    Args:
        expression: The expression.

    Raises:
        MathError: It is malformed, or has functions that local AWS does not have.
    """
    try:
        reader = Reader(expression, _GRAMMAR)
        node = reader.formula()
        if reader.peek().kind != "end":
            raise reader.error("expected an operator")
    except FormulaError as error:
        raise MathError(f"the expression {expression} is malformed: {error}") from None
    for each in walk(node):
        if isinstance(each, Call) and each.function not in FUNCTIONS:
            raise MathError(
                f"local AWS does not have the function {each.function} of metric math; "
                f"it has {', '.join(sorted(FUNCTIONS))}"
            )
    return node


def functions(node: Node) -> set[str]:
    """Name the functions of an expression."""
    return {each.function for each in walk(node) if isinstance(each, Call)}


def references(node: Node) -> list[str]:
    """Name what an expression refers to, by ids."""
    names = (each.value for each in walk(node) if isinstance(each, Name))
    return list(dict.fromkeys(name for name in names if _ID.fullmatch(name)))


def search_periods(node: Node) -> set[float]:
    """Give the periods that the searches of an expression have of their own."""
    calls = (each for each in walk(node) if isinstance(each, Call))
    searches = (each.arguments for each in calls if each.function == "SEARCH")
    periods = (each[2] for each in searches if len(each) > 2)
    return {each.value for each in periods if isinstance(each, Number)}


class Evaluation:
    """Evaluates expressions over one window."""

    def __init__(
        self,
        window: Window,
        values: Mapping[str, Value],
        metrics: Mapping[str, Line],
        search: Callable[[str, str], list[Line]],
    ) -> None:
        """Set up.

        Args:
            window: The times.
            values: What expressions may refer to, by its id.
            metrics: Those of them that are metrics.
            search: Finds metrics for a search expression and statistic.
        """
        self.window = window
        self.metrics = metrics
        self.search = search
        self._values = values

    def evaluate(self, node: Node) -> Value:
        """Evaluate an expression, or a part of one.

        Args:
            node: The expression.

        Raises:
            MathError: It cannot be.
        """
        if isinstance(node, Number):
            return node.value
        if isinstance(node, Name):
            if node.value not in self._values:
                raise MathError(f"there is no {node.value}")
            return self._values[node.value]
        if isinstance(node, Items):
            return self._array(node)
        if isinstance(node, Call):
            return FUNCTIONS[node.function](self, node.arguments)
        if isinstance(node, Operation):
            operands = [self.evaluate(each) for each in node.operands]
            return _operate(node.operator, *operands)
        raise MathError("a text stands where a value is expected")

    def _array(self, node: Items) -> list[Line]:
        lines: list[Line] = []
        for each in node.items:
            value = self.evaluate(each)
            if isinstance(value, float):
                raise MathError("an array is one of time series, not of numbers")
            lines += value if isinstance(value, list) else [value]
        return lines


# --- Operators ---


def _divide(left: float, right: float) -> float:
    return left / right if right else math.nan


def _power(left: float, right: float) -> float:
    try:
        found = left**right
    except (OverflowError, ZeroDivisionError):
        return math.nan
    return math.nan if isinstance(found, complex) else float(found)


_OPERATORS: Final[Mapping[str, Callable[[float, float], float]]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": _divide,
    "^": _power,
    "==": lambda left, right: float(left == right),
    "!=": lambda left, right: float(left != right),
    "<": lambda left, right: float(left < right),
    "<=": lambda left, right: float(left <= right),
    ">": lambda left, right: float(left > right),
    ">=": lambda left, right: float(left >= right),
    **dict.fromkeys(
        ("&&", "AND"), lambda left, right: float(bool(left) and bool(right))
    ),
    **dict.fromkeys(("||", "OR"), lambda left, right: float(bool(left) or bool(right))),
}


def _operate(operator: str, left: Value, right: Value | None = None) -> Value:
    if right is None:
        return _operate("*", -1.0, left)
    if isinstance(left, list) and isinstance(right, list):
        raise MathError(f"{operator} between two arrays is not honoured")
    if isinstance(left, list):
        return [_one(operator, each, right) for each in left]
    if isinstance(right, list):
        return [_one(operator, left, each) for each in right]
    if isinstance(left, float) and isinstance(right, float):
        return _OPERATORS[operator](left, right)
    return _one(operator, left, right)


def _one(operator: str, left: Value, right: Value) -> Line:
    """Apply an operator where at least one side is a time series.

    Values that are missing on one side count as 0.
    """
    times: set[float] = set()
    for side in (left, right):
        if isinstance(side, Line):
            times |= side.values.keys()
    work = _OPERATORS[operator]
    shown = left if isinstance(left, Line) else right
    return _kept(shown, {at: work(_at(left, at), _at(right, at)) for at in times})


def _at(side: Value, time: float) -> float:
    if isinstance(side, Line):
        return side.values.get(time, 0.0)
    return side if isinstance(side, float) else math.nan


def _kept(line: Value, values: Mapping[float, float]) -> Line:
    """Give a line with other values, in order, without those that are none."""
    kept = {at: each for at, each in sorted(values.items()) if math.isfinite(each)}
    made = Line(kept)
    return replace(line, values=kept) if isinstance(line, Line) else made


# --- Functions ---

_Arguments: TypeAlias = Sequence[Node]
_Function: TypeAlias = Callable[[Evaluation, _Arguments], Value]


def _count(arguments: _Arguments, name: str, least: int, most: int) -> None:
    if not least <= len(arguments) <= most:
        wanted = str(least) if least == most else f"{least} to {most}"
        raise MathError(f"{name} takes {wanted} arguments, not {len(arguments)}")


def _each(name: str, work: Callable[[Line], Mapping[float, float]]) -> _Function:
    """Make a function of one time series, or of each of an array."""

    def apply(evaluation: Evaluation, arguments: _Arguments) -> Value:
        _count(arguments, name, 1, 1)
        value = evaluation.evaluate(arguments[0])
        if isinstance(value, float):
            raise MathError(f"{name} takes time series, not a number")
        if isinstance(value, list):
            return [_kept(each, work(each)) for each in value]
        return _kept(value, work(value))

    return apply


def _by_value(name: str, work: Callable[[float], float]) -> _Function:
    return _each(
        name, lambda line: {at: work(value) for at, value in line.values.items()}
    )


def _by_step(name: str, work: Callable[[float, float], float]) -> _Function:
    """Make a function of the distance to the value before, and to its time."""

    def steps(line: Line) -> Mapping[float, float]:
        points = list(line.values.items())
        return {
            at: work(value - before, at - earlier)
            for (earlier, before), (at, value) in itertools.pairwise(points)
        }

    return _each(name, steps)


def _running(line: Line) -> Mapping[float, float]:
    total, values = 0.0, {}
    for at, value in line.values.items():
        total += value
        values[at] = total
    return values


def _aggregate(
    name: str, of_line: Callable[[Sequence[float]], float], missing: float | None
) -> _Function:
    """Make a function that sums up the values of a line, or of lines at each time."""

    def apply(evaluation: Evaluation, arguments: _Arguments) -> Value:
        _count(arguments, name, 1, 1)
        value = evaluation.evaluate(arguments[0])
        if isinstance(value, float):
            raise MathError(f"{name} takes time series, not a number")
        if isinstance(value, Line):
            return _sum_up(of_line, list(value.values.values()))
        times = {at for each in value for at in each.values}
        values = {}
        for at in times:
            found = [each.values.get(at, missing) for each in value]
            values[at] = _sum_up(of_line, [each for each in found if each is not None])
        return _kept(Line({}), values)

    return apply


def _sum_up(of_line: Callable[[Sequence[float]], float], found: list[float]) -> float:
    return float(of_line(found)) if found else math.nan


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _fill(evaluation: Evaluation, arguments: _Arguments) -> Value:
    _count(arguments, "FILL", 2, 2)
    value, by = evaluation.evaluate(arguments[0]), arguments[1]
    filler: Value | str
    if isinstance(by, Name) and by.value in ("REPEAT", "LINEAR"):
        filler = by.value
    else:
        filler = evaluation.evaluate(by)
    if isinstance(value, float) or isinstance(filler, list):
        raise MathError("FILL takes time series, and what to fill them with")
    times = evaluation.window.times
    if isinstance(value, list):
        return [_kept(each, _filled(each, filler, times)) for each in value]
    return _kept(value, _filled(value, filler, times))


def _filled(
    line: Line, filler: float | Line | str, times: Iterable[float]
) -> Mapping[float, float]:
    values = dict(line.values)
    for at in times:
        if at not in values:
            values[at] = _filling(line, filler, at)
    return values


def _filling(line: Line, filler: float | Line | str, at: float) -> float:
    if isinstance(filler, Line):
        return filler.values.get(at, math.nan)
    if not isinstance(filler, str):
        return filler
    before = max((each for each in line.values if each < at), default=None)
    after = min((each for each in line.values if each > at), default=None)
    if before is None:
        return math.nan
    if filler == "REPEAT":
        return line.values[before]
    if after is None:
        return math.nan
    share = (at - before) / (after - before)
    return line.values[before] + share * (line.values[after] - line.values[before])


def _if(evaluation: Evaluation, arguments: _Arguments) -> Value:
    _count(arguments, "IF", 2, 3)
    condition, then, *others = [evaluation.evaluate(each) for each in arguments]
    other = others[0] if others else None
    if any(isinstance(each, list) for each in (condition, then, other)):
        raise MathError("IF takes time series and numbers, not arrays")
    if isinstance(condition, float):
        chosen = then if condition else other
        return Line({}) if chosen is None else chosen
    if not isinstance(condition, Line):
        raise MathError("IF takes a time series or a number as its condition")
    shown = then if isinstance(then, Line) else condition
    values = {}
    for at, holds in condition.values.items():
        if holds:
            values[at] = _at(then, at)
        elif isinstance(other, Line):
            values[at] = other.values.get(at, math.nan)
        elif isinstance(other, float):
            values[at] = other
    return _kept(shown, values)


def _array(evaluation: Evaluation, arguments: _Arguments, name: str) -> list[Line]:
    value = evaluation.evaluate(arguments[0])
    if not isinstance(value, list):
        raise MathError(f"{name} takes an array of time series")
    return value


def _number(evaluation: Evaluation, node: Node, name: str) -> int:
    value = evaluation.evaluate(node)
    if not isinstance(value, float):
        raise MathError(f"{name} takes numbers after the array")
    return int(value)


def _pick(name: str, place: int) -> _Function:
    def apply(evaluation: Evaluation, arguments: _Arguments) -> Value:
        _count(arguments, name, 1, 1)
        lines = _array(evaluation, arguments, name)
        return lines[place] if lines else Line({})

    return apply


def _metrics(evaluation: Evaluation, arguments: _Arguments) -> Value:
    _count(arguments, "METRICS", 0, 1)
    part = ""
    if arguments:
        if not isinstance(arguments[0], Text):
            raise MathError("METRICS takes a text in quotes, or nothing")
        part = arguments[0].value
    return [line for name, line in evaluation.metrics.items() if part in name]


def _metric_count(evaluation: Evaluation, arguments: _Arguments) -> Value:
    _count(arguments, "METRIC_COUNT", 1, 1)
    return float(len(_array(evaluation, arguments, "METRIC_COUNT")))


def _period(evaluation: Evaluation, arguments: _Arguments) -> Value:
    _count(arguments, "PERIOD", 1, 1)
    [node] = arguments
    if not (isinstance(node, Name) and node.value in evaluation.metrics):
        raise MathError("PERIOD takes the id of a metric")
    return float(evaluation.window.period)


def _remove_empty(evaluation: Evaluation, arguments: _Arguments) -> Value:
    _count(arguments, "REMOVE_EMPTY", 1, 1)
    lines = _array(evaluation, arguments, "REMOVE_EMPTY")
    return [line for line in lines if line.values]


def _search(evaluation: Evaluation, arguments: _Arguments) -> Value:
    _count(arguments, "SEARCH", 2, 3)
    expression, statistic, *period = arguments
    if not (isinstance(expression, Text) and isinstance(statistic, Text)):
        raise MathError("SEARCH takes a search expression and a statistic, in quotes")
    if period and not isinstance(period[0], Number):
        raise MathError("the period of SEARCH is a number")
    return evaluation.search(expression.value, statistic.value)


def _slice(evaluation: Evaluation, arguments: _Arguments) -> Value:
    _count(arguments, "SLICE", 2, 3)
    lines = _array(evaluation, arguments, "SLICE")
    start, *end = [_number(evaluation, each, "SLICE") for each in arguments[1:]]
    return lines[start : end[0]] if end else lines[start:]


_SORTED_BY: Final[Mapping[str, Callable[[Sequence[float]], float]]] = {
    "AVG": _mean,
    "MAX": max,
    "MIN": min,
    "SUM": math.fsum,
}


def _sort(evaluation: Evaluation, arguments: _Arguments) -> Value:
    _count(arguments, "SORT", 3, 4)
    lines = _array(evaluation, arguments, "SORT")
    by, order = (
        each.value if isinstance(each, Name) else "" for each in arguments[1:3]
    )
    if by not in _SORTED_BY or order not in ("ASC", "DESC"):
        raise MathError(f"SORT takes one of {', '.join(_SORTED_BY)}, and ASC or DESC")

    def key(line: Line) -> float:
        return _SORTED_BY[by](list(line.values.values()) or [0.0])

    found = sorted(lines, key=key, reverse=order == "DESC")
    most = [_number(evaluation, each, "SORT") for each in arguments[3:]]
    return found[: most[0]] if most else found


def _time_series(evaluation: Evaluation, arguments: _Arguments) -> Value:
    _count(arguments, "TIME_SERIES", 1, 1)
    value = evaluation.evaluate(arguments[0])
    if not isinstance(value, float):
        raise MathError("TIME_SERIES takes a number")
    return _kept(Line({}), dict.fromkeys(evaluation.window.times, value))


FUNCTIONS: Final[Mapping[str, _Function]] = {
    "ABS": _by_value("ABS", abs),
    "AVG": _aggregate("AVG", _mean, 0.0),
    "CEIL": _by_value("CEIL", lambda value: float(math.ceil(value))),
    "DATAPOINT_COUNT": _aggregate("DATAPOINT_COUNT", len, None),
    "DIFF": _by_step("DIFF", lambda value, _: value),
    "FILL": _fill,
    "FIRST": _pick("FIRST", 0),
    "FLOOR": _by_value("FLOOR", lambda value: float(math.floor(value))),
    "IF": _if,
    "LAST": _pick("LAST", -1),
    "MAX": _aggregate("MAX", max, None),
    "METRICS": _metrics,
    "METRIC_COUNT": _metric_count,
    "MIN": _aggregate("MIN", min, None),
    "PERIOD": _period,
    "RATE": _by_step("RATE", lambda value, seconds: value / seconds),
    "REMOVE_EMPTY": _remove_empty,
    "RUNNING_SUM": _each("RUNNING_SUM", _running),
    "SEARCH": _search,
    "SLICE": _slice,
    "SORT": _sort,
    "SUM": _aggregate("SUM", math.fsum, None),
    "TIME_SERIES": _time_series,
}
"""The functions that local AWS has."""
OPERATORS: Final = tuple(_OPERATORS)
"""The operators."""
