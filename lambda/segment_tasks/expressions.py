r"""Expressions of Personalize: a query's attributes and filter values, and filters.

The attributes are `ITEMS.column = "value"`, repeated with `AND`. The developer
guide allows nothing else: no OR, no IN, no ranges. Where it is silent (the case of
keywords and columns, numbers without quotes, what `\` may stand before) this parser
takes what it finds, and tells it as a doubt.
"""

import re
from typing import Final, NamedTuple

_STRING: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_NUMBER: Final = r"[-+]?+(?:\d++(?:\.\d*+)?+|\.\d++)(?:[eE][-+]?+\d++)?+"
_TOKEN: Final = re.compile(
    rf"""
      (?P<space>\s+)
    | (?P<string>{_STRING.pattern})
    | (?P<unclosed>"(?:[^"\\]|\\.)*+\\?\Z)
    | (?P<number>{_NUMBER}(?![\w.]))
    | (?P<word>[\w-]+(?:\.[\w-]+)*)
    | (?P<operator>[=!<>]=|<>|&&|\|\||.)
    """,
    re.VERBOSE | re.DOTALL,
)
# What most values are comes first, since it is read fastest.
_VALUE: Final = (
    r'(?:\d++,|"[^"\\]*+",)*+'
    rf"\s*+(?:{_STRING.pattern}|{_NUMBER})\s*+"
)
_VALUES: Final = re.compile(f"{_VALUE}(?:,{_VALUE})*+", re.DOTALL)
_PLACEHOLDER: Final = re.compile(r"\$(\w+)")
_TYPOGRAPHIC_QUOTES: Final = frozenset(
    "\u201c\u201d\u201e\u201f\u2018\u2019\u201a\u201b"
    "\u00ab\u00bb\u2039\u203a\u2032\u2033\u0060\u00b4"
)
_RANGES: Final = frozenset({"<", ">", "<=", ">=", "BETWEEN"})

_SPLIT_OR = (
    "OR and its like are not supported; write one query per alternative, each on a "
    "line of its own"
)
_SPLIT_IN = (
    "IN is not supported, only = is; write one query per value, each on a line of "
    "its own"
)
_NO_NOT = (
    "inequality is not supported, only = is; leave users out with a filter instead"
)
_NO_RANGE = "ranges are not supported, only = is; write one query per value"
_QUOTE = 'write the value in double quotes, as in ITEMS.column = "value"'

# The usual spelling, which leaves nothing open.
_TEXT: Final = r'"[^"\'\\\x00-\x1f]++"'
_CONDITION: Final = rf"ITEMS\.[A-Za-z0-9_]++ *+= *+{_TEXT}"
_USUAL: Final = re.compile(rf" *+{_CONDITION}(?: ++AND ++{_CONDITION})*+ *+")
_USUAL_VALUES: Final = re.compile(rf" *+{_TEXT}(?: *+, *+{_TEXT})*+ *+")
# Any spelling that `parse` takes, since it takes its time.
_COMPARISON: Final = (
    r"(?ai:ITEMS)\.[\w-]++\s*+=\s*+"
    rf"(?:{_STRING.pattern}|{_NUMBER}(?![\w.]))\s*+"
)
_RIGHT: Final = re.compile(
    rf"\s*+{_COMPARISON}(?:(?ai:AND)\s++{_COMPARISON})*+", re.DOTALL
)
# What the documentation leaves open: around the strings, each of them seen as "" and
# all behind a comma, and what to look at inside them. Patterns that begin with a set of
# characters are searched for quickly.
_OPEN_AROUND: Final = {
    "numbers without quotes": re.compile(r"[=,]\s*+[-+.\d]"),
    "AND or ITEMS in lower case": re.compile(
        r"\A(?!(?:[\W\d]++|(?<=[\d.])[eE]|ITEMS\.[\w-]++|AND\b)*+\Z)"
    ),
    "AND without a space before it": re.compile('"AND', re.IGNORECASE),
    "columns of other characters than A-Z, a-z, 0-9 and _": re.compile(
        r"[Ss]\.[A-Za-z0-9_]*+[^A-Za-z0-9_\s=]"
    ),
    "white space other than spaces": re.compile(r"[^\S ]"),
}
_OPEN_INSIDE: Final = re.compile(r"[\\'\x00-\x1f](?:(?<=\\).)?", re.DOTALL)


class Condition(NamedTuple):
    """One comparison: a column of the Items dataset and the value it is to have."""

    column: str
    value: str


class ExpressionError(ValueError):
    """An expression that Personalize does not take: why, and where in it, from 0.

    The message says what to write instead, and does not quote the text.
    """

    def __init__(self, message: str, position: int) -> None:
        """Set what is wrong, and where."""
        super().__init__(message)
        self.message = message
        self.position = position


class _Token(NamedTuple):
    kind: str
    text: str
    position: int

    @property
    def keyword(self) -> str:
        return self.text.upper()


def parse(text: str) -> tuple[Condition, ...]:
    """Parse the `itemAttributes` of a query, decoded from the JSON around it.

    Raises:
        ExpressionError: It is not conditions joined by AND.
    """
    tokens = _tokens(text)
    end = _Token("end", "", len(text))
    conditions: list[Condition] = []
    index = 0

    def at(offset: int) -> _Token:
        return tokens[index + offset] if index + offset < len(tokens) else end

    while True:
        conditions.append(
            Condition(_column(at(0), at(1)), _value(_after_equals(at(1), at(2))))
        )
        index += 3
        if at(0) is end:
            return tuple(conditions)
        _expect_and(at(0))
        index += 1


def _tokens(text: str) -> list[_Token]:
    tokens = []
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or ""
        if kind == "unclosed":
            # What follows is of no use, and may be long.
            tokens.append(_Token("operator", '"', match.start()))
        elif kind != "space":
            tokens.append(_Token(kind, match[0], match.start()))
    return tokens


def _column(token: _Token, following: _Token) -> str:
    if token.kind == "end":
        raise ExpressionError(
            'a condition is missing; write ITEMS.column = "value"', token.position
        )
    _refuse_misuse(token)
    if token.kind != "word":
        raise ExpressionError(
            "a condition starts with a column of the Items dataset; write "
            'ITEMS.column = "value"',
            token.position,
        )
    table, _, column = token.text.partition(".")
    if table.upper() == "ITEMS" and column and "." not in column:
        return column
    if table.upper() == "ITEMS":
        raise ExpressionError(
            "a column is written ITEMS.column, without spaces around its one dot",
            token.position,
        )
    if column:
        raise ExpressionError(
            "only columns of the Items dataset can be used; write ITEMS.column",
            token.position,
        )
    if token.keyword == "AND":
        raise ExpressionError(
            'AND needs a condition before it; write ITEMS.column = "value" AND '
            'ITEMS.column = "value"',
            token.position,
        )
    if token.keyword == "NOT" or following.keyword == "NOT":
        raise ExpressionError(_NO_NOT, token.position)
    raise ExpressionError(
        "ITEMS. is missing before the column; write ITEMS.column", token.position
    )


def _after_equals(token: _Token, following: _Token) -> _Token:
    """Check that a token is `=`, and return the one that is the value."""
    if token.text == "=":
        return following
    if token.text == "==":
        raise ExpressionError("write = instead of ==", token.position)
    if token.text in {"!=", "<>"} or token.keyword in {"NOT", "IS"}:
        raise ExpressionError(_NO_NOT, token.position)
    if token.keyword in {"IN", "CONTAINS", "LIKE"}:
        raise ExpressionError(
            _SPLIT_IN
            if token.keyword == "IN"
            else "only = is supported; write the whole value",
            token.position,
        )
    if token.keyword in _RANGES:
        raise ExpressionError(_NO_RANGE, token.position)
    _refuse_misuse(token)
    raise ExpressionError(
        '= is missing after the column; write ITEMS.column = "value"', token.position
    )


def _value(token: _Token) -> str:
    if token.kind == "string":
        return re.sub(r"\\(.)", r"\1", token.text[1:-1], flags=re.DOTALL)
    if token.kind == "number":
        return token.text
    if token.kind == "end":
        raise ExpressionError("a value is missing after =; " + _QUOTE, token.position)
    if token.text in {"=", ">", "<"}:
        raise ExpressionError("only = is supported, once", token.position)
    if token.text in {"(", "["}:
        raise ExpressionError(
            "lists are not supported; write one query per value, each on a line of "
            "its own",
            token.position,
        )
    _refuse_misuse(token)
    raise ExpressionError(_QUOTE, token.position)


def _expect_and(token: _Token) -> None:
    if token.keyword == "AND":
        return
    if token.keyword in {"OR", "XOR", "|", "||"}:
        raise ExpressionError(_SPLIT_OR, token.position)
    if token.text in {"&&", "&", ",", ";"}:
        raise ExpressionError("write AND between conditions", token.position)
    _refuse_misuse(token)
    raise ExpressionError(
        "conditions are joined by AND, and a value ends at its closing quote; write "
        'ITEMS.column = "value" AND ITEMS.column = "value", with \\ before a quote '
        "that belongs to the value",
        token.position,
    )


def _refuse_misuse(token: _Token) -> None:
    """Refuse what is wrong wherever it stands, with the advice that fits it."""
    if token.text == "'":
        raise ExpressionError(
            "single quotes are not supported; " + _QUOTE, token.position
        )
    if token.text in _TYPOGRAPHIC_QUOTES:
        raise ExpressionError(
            'typographic quotes are not quotes; write the straight "', token.position
        )
    if token.text == '"':
        raise ExpressionError(
            'a double quote is not closed; end the value with ", and write \\ before '
            "a quote that belongs to it",
            token.position,
        )
    if token.text == "\\":
        raise ExpressionError(
            "one backslash too many: in JSON, a quote around a value is written "
            r'\", as in "ITEMS.column = \"value\""',
            token.position,
        )
    if token.text in {"(", ")"}:
        raise ExpressionError(
            "parentheses are not supported; write conditions joined by AND",
            token.position,
        )
    if token.text == "$":
        raise ExpressionError(
            "placeholders belong to filters; " + _QUOTE, token.position
        )


def check(text: str) -> list[str]:
    """Check a query's expression; return what in it the documentation leaves open.

    Raises:
        ExpressionError: As for `parse`.
    """
    if _USUAL.fullmatch(text):
        return []
    if not _RIGHT.fullmatch(text):
        parse(text)
    return _doubts(text)


def check_values(text: str) -> list[str] | None:
    """Check a filter value; return what the documentation leaves open, as `check`.

    Returns:
        None if it is not literals, separated by commas.
    """
    if _USUAL_VALUES.fullmatch(text):
        return []
    return _doubts(text) if _VALUES.fullmatch(text) else None


def _doubts(text: str) -> list[str]:
    strings = _STRING.findall(text)
    around = "," + _STRING.sub('""', text)
    inside = set(_OPEN_INSIDE.findall("".join(each[1:-1] for each in strings)))
    found = {
        **{doubt: sign.search(around) for doubt, sign in _OPEN_AROUND.items()},
        "empty values": '""' in strings,
        "single quotes without a backslash": "'" in inside,
        "backslashes within values": any(
            each[0] == "\\" and each != "\\'" for each in inside
        ),
        "control characters within values": any(each[-1] < " " for each in inside),
    }
    return [doubt for doubt, is_there in found.items() if is_there]


def placeholders(filter_expression: str) -> frozenset[str]:
    """Return the names of a filter's placeholders, without their `$`."""
    return frozenset(_PLACEHOLDER.findall(_STRING.sub("", filter_expression)))


def uses_interactions(filter_expression: str) -> bool:
    """Tell whether a filter looks at the Interactions dataset."""
    return bool(
        re.search(r"\bInteractions\s*\.", _STRING.sub("", filter_expression), re.I)
    )
