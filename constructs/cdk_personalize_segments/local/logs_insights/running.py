"""Runs a query over events.

The guide leaves open, and local AWS takes it so: what is not sorted comes newest first,
groups in the order of their first events, and stats of no events have no row.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from cdk_personalize_segments.local.formulas import (
    Call,
    Duration,
    Items,
    Name,
    Node,
    Number,
    Operation,
    Regex,
    Text,
)
from cdk_personalize_segments.local.logs_insights.aggregates import AGGREGATES
from cdk_personalize_segments.local.logs_insights.functions import FUNCTIONS
from cdk_personalize_segments.local.logs_insights.language import (
    DEFAULT_FIELDS,
    MOST_RESULTS,
    Column,
    Command,
    Dedup,
    Display,
    Fields,
    Filter,
    Limit,
    Parse,
    Sort,
    Stats,
    compile_regex,
)
from cdk_personalize_segments.local.logs_insights.values import (
    Time,
    Value,
    number,
    order,
    text,
    truth,
)

_MILLISECONDS: Final = {
    "ms": 1,
    "s": 1000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 7 * 86_400_000,
}
Row = Mapping[str, Value]


class QueryRunError(ValueError):
    """A query asks for what local AWS does not have."""


@dataclass
class Run:
    """What a query has made of events so far.

    Attributes:
        rows: The rows.
        shown: The columns that are shown.
        summed_up: Whether rows are no events any more.
        matched: How many events came to the end of the filters.
    """

    rows: list[Row]
    shown: list[str] = field(default_factory=list)
    summed_up: bool = False
    matched: int = 0

    @property
    def columns(self) -> list[str]:
        """The columns of the result."""
        return self.shown or list(DEFAULT_FIELDS)


def run(commands: Sequence[Command], events: Sequence[Row], most: int) -> Run:
    """Run a query.

    Args:
        commands: The query.
        events: The events, with their fields.
        most: How many results there are at most, unless the query says so.
    """
    limits = [each.most for each in commands if isinstance(each, Limit)]
    made = Run(sorted(events, key=_age, reverse=True))
    made.matched = len(made.rows)
    for command in commands:
        _STEPS[type(command)](made, command)
        if not made.summed_up:
            made.matched = min(made.matched, len(made.rows))
    if not limits:
        made.rows = made.rows[: min(most, MOST_RESULTS)]
    return made


def _age(row: Row) -> tuple[float, float]:
    """Give what events are put in order by: those of one instant as they came."""
    return number(row["@timestamp"]) or 0.0, number(row.get("@ptr")) or 0.0


def _fields(made: Run, command: Fields) -> None:
    made.rows = _with(made.rows, command.columns)
    made.shown += [each.name for each in command.columns if each.name not in made.shown]


def _display(made: Run, command: Display) -> None:
    made.rows = _with(made.rows, command.columns)
    made.shown = [each.name for each in command.columns]


def _with(rows: Sequence[Row], columns: Sequence[Column]) -> list[Row]:
    own = [
        each
        for each in columns
        if not (isinstance(each.node, Name) and each.node.value == each.name)
    ]
    return [
        {**row, **{each.name: evaluate(each.node, row) for each in own}} for row in rows
    ]


def _filter(made: Run, command: Filter) -> None:
    made.rows = [row for row in made.rows if truth(evaluate(command.condition, row))]


def _limit(made: Run, command: Limit) -> None:
    made.rows = made.rows[: command.most]


def _sort(made: Run, command: Sort) -> None:
    # The last key first, since sorting leaves equal ones as they are.
    for node, descending in reversed(command.keys):
        made.rows = _sorted(made.rows, node, descending=descending)


def _sorted(rows: Sequence[Row], node: Node, *, descending: bool) -> list[Row]:
    return sorted(rows, key=lambda row: order(evaluate(node, row)), reverse=descending)


def _parse(made: Run, command: Parse) -> None:
    parsed: list[Row] = []
    for row in made.rows:
        match = command.pattern.search(text(evaluate(command.source, row)) or "")
        found = match.groups() if match else ()
        parsed.append({**row, **dict(zip(command.names, found, strict=False))})
    made.rows = parsed


def _dedup(made: Run, command: Dedup) -> None:
    seen: set[tuple[Value, ...]] = set()
    kept = []
    for row in made.rows:
        key = tuple(evaluate(column.node, row) for column in command.columns)
        # Those without a value are no duplicates of each other.
        if None in key or key not in seen:
            seen.add(key)
            kept.append(row)
    made.rows = kept


def _stats(made: Run, command: Stats) -> None:
    groups: dict[tuple[Value, ...], list[Row]] = {}
    for row in made.rows:
        key = tuple(evaluate(column.node, row) for column in command.by)
        groups.setdefault(key, []).append(row)
    names = [column.name for column in command.by]
    made.rows = [
        {
            **dict(zip(names, key, strict=True)),
            **{each.name: _summed_up(each.node, rows) for each in command.columns},
        }
        for key, rows in groups.items()
    ]
    made.shown = [*names, *(column.name for column in command.columns)]
    made.summed_up = True


def _summed_up(node: Node, rows: Sequence[Row]) -> Value:
    """Evaluate a formula over a group, by the sums that are in it."""
    if isinstance(node, Call) and node.function in AGGREGATES:
        timed = [(number(row.get("@timestamp")) or 0.0, row) for row in rows]
        of, *more = node.arguments or (Number(1),)
        values = [(at, evaluate(of, row)) for at, row in timed]
        present = [(at, value) for at, value in values if value is not None]
        second = evaluate(more[0], rows[0]) if more else None
        return AGGREGATES[node.function].work(present, second)
    if isinstance(node, Call):
        if node.function == "bin":
            raise QueryRunError("bin belongs after by")
        inner = [_summed_up(each, rows) for each in node.arguments]
        return FUNCTIONS[node.function].work(inner)
    if isinstance(node, Operation):
        return _operate(node, lambda each: _summed_up(each, rows))
    return evaluate(node, rows[0])


_STEPS: Final[Mapping[type, Callable[..., None]]] = {
    Dedup: _dedup,
    Display: _display,
    Fields: _fields,
    Filter: _filter,
    Limit: _limit,
    Parse: _parse,
    Sort: _sort,
    Stats: _stats,
}


# --- Formulas ---


def evaluate(node: Node, row: Row) -> Value:
    """Evaluate a formula for a row.

    Args:
        node: The formula.
        row: The row.
    """
    if isinstance(node, Number):
        return node.value
    if isinstance(node, Text):
        return node.value
    if isinstance(node, Name):
        return row.get(node.value)
    if isinstance(node, Duration):
        return _milliseconds(node)
    if isinstance(node, Call):
        values = [evaluate(each, row) for each in node.arguments]
        if node.function == "bin":
            values = [row.get("@timestamp"), *values]
            return FUNCTIONS["datefloor"].work(values)
        return FUNCTIONS[node.function].work(values)
    if isinstance(node, Operation):
        return _operate(node, lambda each: evaluate(each, row))
    raise QueryRunError("a list or regular expression stands where a value is expected")


def _milliseconds(duration: Duration) -> float:
    if duration.unit not in _MILLISECONDS:
        raise QueryRunError(
            f"local AWS does not have the unit {duration.unit} of times; it has "
            f"{', '.join(_MILLISECONDS)}"
        )
    return float(duration.number * _MILLISECONDS[duration.unit])


def _operate(operation: Operation, value_of: Callable[[Node], Value]) -> Value:
    operator, operands = operation.operator, operation.operands
    if operator == "not":
        return float(not truth(value_of(operands[0])))
    if len(operands) == 1:
        value = number(value_of(operands[0]))
        return None if value is None else -value
    left = value_of(operands[0])
    if operator == "and":
        return float(truth(left) and truth(value_of(operands[1])))
    if operator == "or":
        return float(truth(left) or truth(value_of(operands[1])))
    if operator in ("in", "not in"):
        return _among(left, operands[1], value_of, wanted=operator == "in")
    if operator in ("like", "not like", "=~"):
        return _like(left, operands[1], wanted=operator != "not like")
    right = value_of(operands[1])
    if operator in _COMPARISONS:
        return _compare(operator, left, right)
    return _calculate(operator, left, right)


def _among(
    left: Value, items: Node, value_of: Callable[[Node], Value], *, wanted: bool
) -> Value:
    if left is None or not isinstance(items, Items):
        return 0.0
    found = any(_compare("=", left, value_of(each)) for each in items.items)
    return float(found == wanted)


def _like(left: Value, pattern: Node, *, wanted: bool) -> Value:
    value = text(left)
    if value is None:
        return 0.0
    if isinstance(pattern, Regex):
        found = compile_regex(pattern.value).search(value) is not None
    else:
        found = isinstance(pattern, Text) and pattern.value in value
    return float(found == wanted)


_COMPARISONS: Final[Mapping[str, Callable[[object, object], bool]]] = {
    "=": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    "<": lambda left, right: left < right,  # type: ignore[operator]
    "<=": lambda left, right: left <= right,  # type: ignore[operator]
    ">": lambda left, right: left > right,  # type: ignore[operator]
    ">=": lambda left, right: left >= right,  # type: ignore[operator]
}


def _compare(operator: str, left: Value, right: Value) -> float:
    if left is None or right is None:
        return 0.0
    numbers = number(left), number(right)
    if None in numbers:
        return float(_COMPARISONS[operator](text(left), text(right)))
    return float(_COMPARISONS[operator](*numbers))


def _calculate(operator: str, left: Value, right: Value) -> Value:
    first, second = number(left), number(right)
    if first is None or second is None:
        return None
    try:
        value = _ARITHMETIC[operator](first, second)
    except (OverflowError, ZeroDivisionError):
        return None
    if isinstance(value, complex) or not math.isfinite(value):
        return None
    return Time(value) if isinstance(left, Time) and operator in "+-" else float(value)


_ARITHMETIC: Final[Mapping[str, Callable[[float, float], float]]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": lambda left, right: left / right,
    "^": lambda left, right: left**right,
    "%": math.fmod,
}
