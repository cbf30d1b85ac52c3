"""The filter patterns of CloudWatch Logs: text in, what tells matching lines out.

Follows the CloudWatch Logs user guide's "Filter pattern syntax for metric filters,
subscription filters, filter log events, and Live Tail":
https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html.
There are three kinds: terms, `{…}` for lines of JSON and `[…]` for lines of fields.

The guide leaves open, and local AWS takes it so: a term may be a part of a word, text
that is a number compares as one, and a comparison, `!=` included, never holds for a
field that is not there.
"""

import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Final

from cdk_personalize_segments.local.untyped import Json

Matches = Callable[[str], bool]
# What a condition says of a line that is read as JSON, or of the fields of one.
Condition = Callable[[Json], bool]
_Check = Callable[[list[Json]], bool]

_MOST_REGEXES: Final = 2
_QUOTED: Final = r'"(?:[^"\\]|\\.)*"'
_REGEX: Final = r"%[^%]+%"
_TERM: Final = re.compile(rf"\s*([-?]?)({_QUOTED}|{_REGEX}|[^\s\"%]+)(?=\s|$)\s*")
_SELECTOR: Final = r"\$(?:\.[\w@-]+|\[(?:\d+|\*|'[^']*')\])+"
_STEP: Final = re.compile(r"\.([\w@-]+)|\[(?:(\d+)|(\*)|'([^']*)')\]")
_TOKEN: Final = re.compile(
    rf"\s*({_QUOTED}|{_REGEX}|{_SELECTOR}|&&|\|\||[<>!]=|[=<>(),]|[^\s\"%=<>!&|(),]+)\s*"
)
# Fields in brackets or quotes may have spaces.
_FIELD: Final = re.compile(r'\[([^\]]*)\]|"([^"]*)"|(\S+)')
_NUMBER: Final = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
_ALLOWED_IN_REGEX: Final = re.compile(r"[A-Za-z0-9:_#=@/;,\-^$?\[\]{}|\\*+.]+")
_ELLIPSIS: Final = "..."


class PatternError(ValueError):
    """A pattern is malformed; the text is that of the error answer."""


@cache
def read_pattern(pattern: str) -> Matches:
    """Read a pattern.

    Args:
        pattern: The pattern.

    Returns:
        What tells whether a line matches it.

    Raises:
        PatternError: It is malformed.
    """
    text = pattern.strip()
    if text[:1] == "{" and text[-1:] == "}":
        return _json_pattern(text[1:-1])
    if text[:1] == "[" and text[-1:] == "]":
        return _fields_pattern(text[1:-1])
    return _terms(text)


# --- Terms ---


def _terms(text: str) -> Matches:
    kinds: dict[str, list[Matches]] = {"": [], "-": [], "?": []}
    at = 0
    while at < len(text):
        match = _TERM.match(text, at)
        if match is None:
            raise PatternError("Invalid filter pattern")
        kinds[match[1]].append(_term(match[2]))
        at = match.end()
    required, excluded, optional = kinds.values()
    if required or excluded:
        # As AWS does: those with a question mark do not count besides others.
        optional = []
    return lambda line: (
        all(term(line) for term in required)
        and not any(term(line) for term in excluded)
        and (not optional or any(term(line) for term in optional))
    )


def _term(text: str) -> Matches:
    if text[0] == "%":
        pattern = _regex(text)
        return lambda line: pattern.search(line) is not None
    if text[0] != '"' and re.search(r"\W", text):
        raise PatternError(f"Invalid character(s) in term '{text}'")
    wanted = _unquoted(text)
    return lambda line: wanted in line


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if text[0] == '"' else text


def _regex(text: str) -> re.Pattern[str]:
    inner = text[1:-1]
    if not _ALLOWED_IN_REGEX.fullmatch(inner):
        raise PatternError(f"Invalid character(s) in term '{text}'")
    try:
        return re.compile(inner, re.ASCII)
    except re.error:
        raise PatternError(f"Invalid regex in term '{text}'") from None


# --- Lines of JSON ---


def _json_pattern(text: str) -> Matches:
    reader = _Reader(text, _selector)
    holds = reader.any_of()
    reader.end()

    def matches(line: str) -> bool:
        try:
            found = json.loads(line)
        except ValueError:
            return False
        return isinstance(found, dict) and holds(found)

    return matches


def _selector(text: str) -> Callable[[Json], list[Json]]:
    """Read what selects values in an object: `$.name`, `[0]`, `[*]`, `['name']`."""
    if not re.fullmatch(_SELECTOR, text):
        raise PatternError("Invalid filter pattern")
    steps = [match.groups() for match in _STEP.finditer(text)]

    def select(found: Json) -> list[Json]:
        values = [found]
        for name, index, every, quoted in steps:
            values = list(_step(values, name or quoted, index, every))
        return values

    return select


def _step(
    values: list[Json], name: str | None, index: str | None, every: str | None
) -> Iterator[Json]:
    for value in values:
        if name is not None:
            if isinstance(value, dict) and name in value:
                yield value[name]
        elif isinstance(value, list):
            if every:
                yield from value
            elif index is not None and int(index) < len(value):
                yield value[int(index)]


# --- Lines of fields ---


def _fields_pattern(text: str) -> Matches:
    names: list[str] = []

    def field(name: str) -> Callable[[Json], list[Json]]:
        if not re.fullmatch(r"\w+", name):
            raise PatternError("Invalid filter pattern")
        return lambda found: [found]

    reader = _Reader(text, field)
    conditions: list[Condition] = []
    while True:
        name = reader.peek()
        names.append(name)
        conditions.append(_field_condition(reader))
        if not reader.take(","):
            break
    reader.end()
    if names.count(_ELLIPSIS) > 1:
        raise PatternError("Invalid filter pattern")
    gap = names.index(_ELLIPSIS) if _ELLIPSIS in names else None
    return lambda line: _fields_match(_split(line), conditions, gap)


def _field_condition(reader: "_Reader") -> Condition:
    """Read one field: a name alone, `...`, or conditions on it."""
    if reader.peek() == _ELLIPSIS or reader.peek(1) in {",", ""}:
        name = reader.next()
        if name != _ELLIPSIS and not re.fullmatch(r"\w+", name):
            raise PatternError("Invalid filter pattern")
        return lambda _: True
    return reader.any_of()


def _split(line: str) -> list[str]:
    return [
        next(group for group in match.groups() if group is not None)
        for match in _FIELD.finditer(line)
    ]


def _fields_match(
    fields: list[str], conditions: list[Condition], gap: int | None
) -> bool:
    if gap is None:
        return len(fields) == len(conditions) and all(
            holds(field) for holds, field in zip(conditions, fields, strict=True)
        )
    after = conditions[gap + 1 :]
    if len(fields) < gap + len(after):
        return False
    first = zip(conditions[:gap], fields, strict=False)
    last = zip(after, fields[len(fields) - len(after) :], strict=True)
    return all(holds(field) for holds, field in [*first, *last])


# --- Conditions ---


class _Reader:
    """Reads conditions that are combined by `&&`, `||` and parentheses."""

    def __init__(
        self, text: str, select: Callable[[str], Callable[[Json], list[Json]]]
    ) -> None:
        self._tokens = _tokens(text)
        self._at = 0
        self._select = select

    def peek(self, ahead: int = 0) -> str:
        at = self._at + ahead
        return self._tokens[at] if at < len(self._tokens) else ""

    def next(self) -> str:
        token = self.peek()
        if not token:
            raise PatternError("Invalid filter pattern")
        self._at += 1
        return token

    def take(self, token: str) -> bool:
        found = self.peek() == token
        self._at += found
        return found

    def expect(self, token: str) -> None:
        if not self.take(token):
            raise PatternError("Invalid filter pattern")

    def end(self) -> None:
        if self.peek():
            raise PatternError("Invalid filter pattern")

    def any_of(self) -> Condition:
        conditions = [self._all_of()]
        while self.take("||"):
            conditions.append(self._all_of())
        return lambda found: any(holds(found) for holds in conditions)

    def _all_of(self) -> Condition:
        conditions = [self._one()]
        while self.take("&&"):
            conditions.append(self._one())
        return lambda found: all(holds(found) for holds in conditions)

    def _one(self) -> Condition:
        if self.take("("):
            inner = self.any_of()
            self.expect(")")
            return inner
        select, check = self._select(self.next()), self._check()
        return lambda found: check(select(found))

    def _check(self) -> _Check:
        operator = self.next()
        if operator == "NOT":
            self.expect("EXISTS")
            return lambda values: not values
        if operator == "IS":
            wanted = self.next()
            if wanted not in _STATES:
                raise PatternError("Invalid filter pattern")
            return lambda values: any(value is _STATES[wanted] for value in values)
        return _comparison(operator, self.next())


def _tokens(text: str) -> list[str]:
    found, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise PatternError("Invalid filter pattern")
        found.append(match[1])
        at = match.end()
    if sum(token[0] == "%" for token in found) > _MOST_REGEXES:
        raise PatternError("Invalid filter pattern: it has more than two regexes")
    return found


_STATES: Final = {"TRUE": True, "FALSE": False, "NULL": None}
_ORDERS: Final[dict[str, Callable[[float, float], bool]]] = {
    "<": lambda value, wanted: value < wanted,
    "<=": lambda value, wanted: value <= wanted,
    ">": lambda value, wanted: value > wanted,
    ">=": lambda value, wanted: value >= wanted,
}


def _comparison(operator: str, wanted: str) -> _Check:
    if operator in _ORDERS:
        if not _NUMBER.fullmatch(wanted):
            raise PatternError("Invalid filter pattern")
        compare, limit = _ORDERS[operator], float(wanted)
        return lambda values: any(
            compare(number, limit)
            for number in map(_number, values)
            if number is not None
        )
    if operator not in {"=", "!="}:
        raise PatternError("Invalid filter pattern")
    equals = _equality(wanted)
    return lambda values: any(equals(value) == (operator == "=") for value in values)


def _equality(wanted: str) -> Callable[[Json], bool]:
    if wanted[0] == "%":
        pattern = _regex(wanted)
        return lambda value: (
            isinstance(value, str) and pattern.search(value) is not None
        )
    if not re.fullmatch(rf"{_QUOTED}|[^\"%=<>!&|(),]+", wanted):
        raise PatternError("Invalid filter pattern")
    number = float(wanted) if _NUMBER.fullmatch(wanted) else None
    like = re.compile(
        ".*".join(re.escape(part) for part in _unquoted(wanted).split("*")), re.DOTALL
    )

    def equals(value: Json) -> bool:
        if number is not None and _number(value) is not None:
            return _number(value) == number
        return isinstance(value, str) and like.fullmatch(value) is not None

    return equals


def _number(value: Json) -> float | None:
    """Give the number that a value of JSON, or a field, is; None for others."""
    if isinstance(value, str):
        return float(value) if _NUMBER.fullmatch(value) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value)
