r"""Filters of segments: their expressions, parsed and applied to ranked users.

Understood is what the developer guide has for user segments:

* expressions `INCLUDE|EXCLUDE UserID WHERE` and conditions, chained by AND and OR, all
  on one dataset, Users or Interactions. Several expressions are combined by `|`: users
  are kept that any INCLUDE selects (all, if there is none) and no EXCLUDE;
* `IN (…)` and `NOT IN (…)` for texts, which match exactly, but for event types, whose
  case is ignored; "*" stands for all event types;
* `=`, `!=`, `<`, `<=`, `>`, `>=` for numbers, which may come in quotes;
* placeholders like `$AGE`, filled from each query, except with NOT IN.

https://docs.aws.amazon.com/personalize/latest/dg/creating-filter-expressions.html
https://docs.aws.amazon.com/personalize/latest/dg/user-segment-filter-examples.html
https://docs.aws.amazon.com/personalize/latest/dg/multiple-expression-example.html
https://docs.aws.amazon.com/personalize/latest/dg/filter-expression-guidelines-requirements.html

Decided here, since no source says:

* AND binds more tightly than OR, and there are no parentheses around conditions;
* keywords and datasets may be written in any case, as AWS's own sample does
  (`exclude UserId where users.country in ("England")`), columns may not;
* `=` and `!=` also compare texts, as in an example of the guide for items
  (`IF CurrentUser.MEMBERSHIP = $PREMIUM`);
* a user without a value is one that no condition holds for, except NOT IN and `!=`;
* a list in `users.csv` (`a|b`) is in a list if any of its values is.

Only the 100 most recent interactions per user and event type count for the service.
Since filters ask only whether there are any, no answer depends on that. That it forgets
users without new interactions after three months is not emulated.
"""

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cdk_personalize_segments.local.personalize.dataset import Dataset, number

# By the page on guidelines: distinct fields of one filter.
MAX_FIELDS: Final = 10
EVENT_TYPE: Final = "Interactions.EVENT_TYPE"
_ALL_EVENTS: Final = "*"
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
_EQUALITY: Final = ("=", "!=")
_ORDER: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_DATASETS: Final = {"users": "Users", "interactions": "Interactions"}
# What the guide has for other uses than segments, and what it is for.
_OTHER_USES: Final = {
    "ITEMID": "ItemID selects items, not users",
    "ACTIONID": "ActionID selects actions, not users",
    "IF": "IF is for the user that items are recommended to",
    "CURRENTUSER": "CurrentUser is for the user that items are recommended to",
    "CURRENTITEM": "CurrentItem is for related items",
    "ITEMS": "no documented filter of users looks at Items",
    "ACTIONS": "Actions are for action recommendations",
    "ACTION_INTERACTIONS": "Action_Interactions are for action recommendations",
}


class FilterExpressionError(ValueError):
    """A filter expression that the service does not take."""


class NotEmulatedError(ValueError):
    """A filter expression that is for something else than segments."""


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
        if self.operator in {"IN", "NOT IN"}:
            matches = any(
                self._matches(have, want) for have in actual for want in wanted
            )
            return matches == (self.operator == "IN")
        if len(wanted) != 1:
            raise FilterValueError(f"{self.field} {self.operator} needs one value")
        if self.operator in _EQUALITY:
            equal = any(_equal(have, wanted[0]) for have in actual)
            return equal == (self.operator == "=")
        limit = number(wanted[0])
        if limit is None:
            raise FilterValueError(f"{self.field} {self.operator} needs a number")
        numbers = [number(have) for have in actual]
        compare = _ORDER[self.operator]
        return any(have is not None and compare(have, limit) for have in numbers)

    def _matches(self, have: str, want: str) -> bool:
        if self.field == EVENT_TYPE:
            return want == _ALL_EVENTS or have.casefold() == want.casefold()
        return have == want


@dataclass(frozen=True)
class Expression:
    """One of the expressions that a filter combines.

    Attributes:
        includes: Whether users that match are kept, or left out.
        alternatives: Conditions that must all hold, of which one group must.
    """

    includes: bool
    alternatives: tuple[tuple[Condition, ...], ...]

    def selects(
        self, user: str, dataset: Dataset, given: Mapping[str, Sequence[str]]
    ) -> bool:
        """Tell whether a user matches."""
        return any(
            all(
                condition.holds(_actual(condition.field, user, dataset), given)
                for condition in group
            )
            for group in self.alternatives
        )


@dataclass(frozen=True)
class Filter:
    """A filter on users: expressions, of which the order does not matter."""

    expressions: tuple[Expression, ...]

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
        self, users: Sequence[str], dataset: Dataset, values: Mapping[str, object]
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
        including = [each for each in self.expressions if each.includes]
        excluding = [each for each in self.expressions if not each.includes]
        return [
            user
            for user in users
            if (
                not including
                or any(each.selects(user, dataset, given) for each in including)
            )
            and not any(each.selects(user, dataset, given) for each in excluding)
        ]

    def _conditions(self) -> Iterator[Condition]:
        for expression in self.expressions:
            for group in expression.alternatives:
                yield from group


def parse(expression: str) -> Filter:
    """Parse a filter expression.

    Raises:
        FilterExpressionError: The service would not take it.
        NotEmulatedError: It is not for segments.
    """
    parsed = _Parser(expression).parse()
    if len(parsed.fields) > MAX_FIELDS:
        raise FilterExpressionError(
            f"A filter has at most {MAX_FIELDS} distinct fields, this one has "
            f"{len(parsed.fields)}"
        )
    return parsed


def check_fields(parsed: Filter, dataset: Dataset) -> None:
    """Check that a dataset has the fields that a filter looks at.

    Raises:
        FilterExpressionError: It does not.
    """
    known = {f"Users.{column}" for column in dataset.user_columns}
    if dataset.has_event_types:
        known.add(EVENT_TYPE)
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
        expressions = [self._expression()]
        while self._next < len(self._tokens):
            self._take("|")
            expressions.append(self._expression())
        return Filter(tuple(expressions))

    def _expression(self) -> Expression:
        includes = self._take("INCLUDE", "EXCLUDE") == "INCLUDE"
        self._take("UserID")
        self._take("WHERE")
        alternatives = [[self._condition()]]
        while self._next < len(self._tokens) and self._peek() != "|":
            if self._take("AND", "OR", "|") == "AND":
                alternatives[-1].append(self._condition())
            else:
                alternatives.append([self._condition()])
        _check_one_dataset(alternatives)
        return Expression(includes, tuple(tuple(group) for group in alternatives))

    def _condition(self) -> Condition:
        field = self._field()
        comparison = self._take("IN", "NOT", *_EQUALITY, *_ORDER)
        if comparison == "NOT":
            self._take("IN")
            comparison = "NOT IN"
        is_list = comparison in {"IN", "NOT IN"}
        if field == EVENT_TYPE and not is_list:
            raise FilterExpressionError(
                f"{EVENT_TYPE} {comparison} is not possible; event types are texts, "
                "compared by IN and NOT IN"
            )
        values = self._list() if is_list else (self._single(),)
        for value in values:
            _check_value(field, comparison, value)
        return Condition(field, comparison, values)

    def _field(self) -> str:
        kind, token = self._token()
        table, _, column = token.partition(".")
        dataset = _DATASETS.get(table.lower())
        if kind != "word" or dataset is None or not column:
            raise _unexpected(token, ["Users.<COLUMN>", EVENT_TYPE])
        field = f"{dataset}.{column}"
        if dataset == "Interactions" and field != EVENT_TYPE:
            raise FilterExpressionError(
                f"{field} cannot be filtered on; of interactions only the event type "
                f"can, as {EVENT_TYPE}"
            )
        return field

    def _list(self) -> tuple[Value, ...]:
        self._take("(")
        values = [self._value()]
        while self._take(",", ")") == ",":
            values.append(self._value())
        return tuple(values)

    def _single(self) -> Value:
        """Take a value, which the guide's examples also have in parentheses."""
        if self._peek() != "(":
            return self._value()
        self._take("(")
        value = self._value()
        self._take(")")
        return value

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
        for each in allowed:
            if kind in {"word", "symbol"} and token.upper() == each.upper():
                return each
        raise _unexpected(token, allowed)

    def _peek(self) -> str:
        following = self._tokens[self._next : self._next + 1]
        return following[0][1] if following else ""

    def _token(self) -> tuple[str, str]:
        if self._next == len(self._tokens):
            return "end", "the end"
        self._next += 1
        return self._tokens[self._next - 1]


def _check_one_dataset(alternatives: Sequence[Sequence[Condition]]) -> None:
    datasets = {
        condition.field.partition(".")[0] for each in alternatives for condition in each
    }
    if len(datasets) > 1:
        raise FilterExpressionError(
            "The conditions of one expression must be on one dataset; combine "
            "expressions on Users and on Interactions by |"
        )


def _check_value(field: str, comparison: str, value: Value) -> None:
    if isinstance(value, Placeholder):
        if comparison == "NOT IN":
            raise FilterExpressionError(
                f"Invalid input symbol: ${value.name}. Placeholders are not allowed "
                "with NOT_IN operator."
            )
    elif comparison in _ORDER and number(value) is None:
        raise FilterExpressionError(f"{field} {comparison} needs a number")


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


def _unexpected(
    token: str, allowed: Sequence[str]
) -> FilterExpressionError | NotEmulatedError:
    other_use = _OTHER_USES.get(token.partition(".")[0].upper())
    if other_use is not None:
        return NotEmulatedError(
            f"{token} is not emulated by local AWS, whose filters are for segments: "
            f"{other_use}"
        )
    return FilterExpressionError(
        f"{token} stands where one of {', '.join(allowed)} must"
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
    if field == EVENT_TYPE:
        return dataset.event_types.get(user, frozenset())
    value = dataset.users.get(user, {}).get(field.partition(".")[2])
    return frozenset() if value is None else frozenset(value.split("|"))


def _equal(have: str, want: str) -> bool:
    amount = number(have)
    return have == want or (amount is not None and amount == number(want))


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)
