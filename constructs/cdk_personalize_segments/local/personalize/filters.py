"""Filters of segments: their expressions, parsed and applied to ranked users.

Understood, after the developer guide's pages on filter expressions:
`INCLUDE|EXCLUDE UserID WHERE` and conditions on `Users.<COLUMN>` or
`Interactions.EVENT_TYPE`, joined by AND and OR (AND binds more tightly). A condition
is `IN (…)`, `NOT IN (…)`, or one of `=`, `<`, `<=`, `>`, `>=` and one value. Values
are quoted texts, numbers, or placeholders like `$AGE` (not with NOT IN).
"""

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cdk_personalize_segments.local.personalize.dataset import Dataset

_TOKEN: Final = re.compile(
    r"""\s*(?: (?P<text>"(?:[^"\\]|\\.)*")
             | (?P<placeholder>\$[A-Za-z_][A-Za-z0-9_]*)
             | (?P<number>-?\d+(?:\.\d+)?)
             | (?P<word>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)?)
             | (?P<symbol><=|>=|!=|[=<>(),|])
             )""",
    re.VERBOSE,
)
_LITERALS: Final = re.compile(
    r"""\s*(?:"(?P<text>(?:[^"\\]|\\.)*)"|(?P<number>-?\d+(?:\.\d+)?))\s*(?:,|$)""",
    re.VERBOSE,
)
_COMPARISONS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class FilterExpressionError(ValueError):
    """A filter expression that is malformed or not emulated."""


class FilterValueError(ValueError):
    """A query's values do not fill the placeholders of its filter."""


@dataclass(frozen=True)
class Placeholder:
    """A value that every query brings along, as `filterValues`."""

    name: str


Value = str | Placeholder


@dataclass(frozen=True)
class Condition:
    """One comparison of a column."""

    field: str
    operator: str
    values: tuple[Value, ...]

    def holds(self, actual: frozenset[str], given: Mapping[str, Sequence[str]]) -> bool:
        """Tell whether a user's values of the field satisfy it."""
        wanted = [
            each
            for value in self.values
            for each in (
                given[value.name] if isinstance(value, Placeholder) else [value]
            )
        ]
        if self.operator in {"IN", "="}:
            return any(_same(have, want) for have in actual for want in wanted)
        if self.operator == "NOT IN":
            return not any(_same(have, want) for have in actual for want in wanted)
        compare = _COMPARISONS[self.operator]
        limit = _number(wanted[0]) if len(wanted) == 1 else None
        if limit is None:
            raise FilterValueError(f"{self.field} {self.operator} needs one number")
        numbers = [_number(have) for have in actual]
        return any(have is not None and compare(have, limit) for have in numbers)


@dataclass(frozen=True)
class Filter:
    """A filter on users.

    Attributes:
        includes: Whether users that match are kept, or those that do not.
        alternatives: Conditions that must all hold, of which one group must.
    """

    includes: bool
    alternatives: tuple[tuple[Condition, ...], ...]

    @property
    def fields(self) -> frozenset[str]:
        """The fields that it looks at, like `Users.AGE`."""
        return frozenset(each.field for each in self._conditions())

    @property
    def placeholders(self) -> frozenset[str]:
        """The names that every query must give values for, without `$`."""
        return frozenset(
            value.name
            for condition in self._conditions()
            for value in condition.values
            if isinstance(value, Placeholder)
        )

    def apply(
        self, users: Sequence[str], dataset: Dataset, values: Mapping[str, str]
    ) -> list[str]:
        """Keep the users that pass, in their order.

        Args:
            users: Their ids.
            dataset: What the filter looks at.
            values: The query's `filterValues`, quoted as the service wants them.

        Raises:
            FilterValueError: A placeholder has no value, or a malformed one.
        """
        given = {name: _literals(name, values.get(name)) for name in self.placeholders}
        return [
            user
            for user in users
            if self._matches(user, dataset, given) == self.includes
        ]

    def _matches(
        self, user: str, dataset: Dataset, given: Mapping[str, Sequence[str]]
    ) -> bool:
        return any(
            all(
                condition.holds(_actual(condition.field, user, dataset), given)
                for condition in group
            )
            for group in self.alternatives
        )

    def _conditions(self) -> Iterator[Condition]:
        for group in self.alternatives:
            yield from group


def parse(expression: str) -> Filter:
    """Parse a filter expression.

    Raises:
        FilterExpressionError: It is malformed, or uses what is not emulated.
    """
    return _Parser(expression).parse()


def check_fields(parsed: Filter, dataset: Dataset) -> None:
    """Check that a dataset has the fields that a filter looks at.

    Raises:
        FilterExpressionError: It does not.
    """
    known = {f"Users.{column}" for column in dataset.user_columns}
    if dataset.has_event_types:
        known.add("Interactions.EVENT_TYPE")
    for field in sorted(parsed.fields - known):
        raise FilterExpressionError(
            f"{field} is not in the dataset group; it has "
            f"{', '.join(sorted(known)) or 'no users.csv and no EVENT_TYPE'}"
        )


class _Parser:
    def __init__(self, expression: str) -> None:
        self._tokens = list(_tokens(expression))
        self._next = 0

    def parse(self) -> Filter:
        includes = self._take("INCLUDE", "EXCLUDE") == "INCLUDE"
        self._take("UserID")
        self._take("WHERE")
        alternatives = [[self._condition()]]
        while self._next < len(self._tokens):
            if self._take("AND", "OR") == "AND":
                alternatives[-1].append(self._condition())
            else:
                alternatives.append([self._condition()])
        return Filter(includes, tuple(tuple(group) for group in alternatives))

    def _condition(self) -> Condition:
        kind, field = self._token()
        if kind != "word" or not (
            field.startswith("Users.") or field == "Interactions.EVENT_TYPE"
        ):
            raise _unexpected(field, ["Users.<COLUMN>", "Interactions.EVENT_TYPE"])
        comparison = self._take("IN", "NOT", "=", *_COMPARISONS)
        if comparison == "NOT":
            self._take("IN")
            comparison = "NOT IN"
        is_list = comparison in {"IN", "NOT IN"}
        values = self._list() if is_list else (self._value(),)
        if comparison == "NOT IN":
            for value in values:
                if isinstance(value, Placeholder):
                    raise FilterExpressionError(
                        f"Invalid input symbol: ${value.name}. Placeholders are not "
                        "allowed with NOT_IN operator."
                    )
        return Condition(field, comparison, values)

    def _list(self) -> tuple[Value, ...]:
        self._take("(")
        values = [self._value()]
        while self._take(",", ")") == ",":
            values.append(self._value())
        return tuple(values)

    def _value(self) -> Value:
        kind, token = self._token()
        if kind == "placeholder":
            return Placeholder(token[1:])
        if kind == "text":
            return _unescape(token[1:-1])
        if kind == "number":
            return token
        raise _unexpected(token, ["a quoted text", "a number", "a $PLACEHOLDER"])

    def _take(self, *allowed: str) -> str:
        kind, token = self._token()
        if kind not in {"word", "symbol"} or token not in allowed:
            raise _unexpected(token, allowed)
        return token

    def _token(self) -> tuple[str, str]:
        if self._next == len(self._tokens):
            return "end", "the end"
        self._next += 1
        return self._tokens[self._next - 1]


def _tokens(expression: str) -> Iterator[tuple[str, str]]:
    position = 0
    text = expression.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise FilterExpressionError(
                f"{text[position:].strip()!r} at position {position} is not understood"
            )
        yield str(match.lastgroup), match[str(match.lastgroup)]
        position = match.end()


def _unexpected(token: str, allowed: Sequence[str]) -> FilterExpressionError:
    return FilterExpressionError(
        f"{token} stands where one of {', '.join(allowed)} must; local AWS emulates "
        "INCLUDE or EXCLUDE UserID WHERE with conditions on Users columns and "
        "Interactions.EVENT_TYPE, joined by AND and OR"
    )


def _literals(name: str, value: object) -> list[str]:
    if value is None:
        raise FilterValueError(f"filterValues has no value for the parameter {name}")
    literals: list[str] = []
    position = 0
    while isinstance(value, str) and position < len(value):
        match = _LITERALS.match(value, position)
        if match is None:
            break
        text = match["text"]
        literals.append(match["number"] if text is None else _unescape(text))
        position = match.end()
    if not isinstance(value, str) or not literals or position < len(value):
        raise FilterValueError(
            f"the value of the parameter {name} must hold quoted literals separated "
            'by commas, like "\\"drama\\",\\"comedy\\""'
        )
    return literals


def _actual(field: str, user: str, dataset: Dataset) -> frozenset[str]:
    table, _, column = field.partition(".")
    if table == "Interactions":
        return dataset.event_types.get(user, frozenset())
    value = dataset.users.get(user, {}).get(column)
    return frozenset() if value is None else frozenset(value.split("|"))


def _same(have: str, want: str) -> bool:
    if have == want:
        return True
    number = _number(have)
    return number is not None and number == _number(want)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)
