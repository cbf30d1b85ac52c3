"""Search expressions: which metrics one finds.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/
search-expression-syntax.html: `{Namespace,Dimension} terms`. What is in double quotes
matches whole values; other words match values that have all their parts, which are what
stands between other signs than letters and digits, and before capital letters.

CloudWatch finds metrics with data of the last two weeks only; here all are found.
"""

import re
from collections.abc import Callable, Iterable
from functools import cache
from typing import Final

from cdk_personalize_segments.local.cloudwatch.metric_math import MathError
from cdk_personalize_segments.local.cloudwatch.metrics import Metric

Finds = Callable[[Metric], bool]

_SCHEMA: Final = re.compile(r'\s*\{((?:"[^"]*"|[^{}"])*)\}')
_PART: Final = re.compile(r'\s*(?:"([^"]*)"|([^,"]+?))\s*(?:,|$)')
_TOKEN: Final = re.compile(r'\s*("[^"]*"|[()=]|[^\s()="{}]+)')
_WORDS: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")


@cache
def read_search(expression: str) -> Finds:
    """Read a search expression.

    Args:
        expression: The expression.

    Returns:
        What tells whether it finds a metric.

    Raises:
        MathError: It is malformed.
    """
    schema = _SCHEMA.match(expression)
    rest = expression[schema.end() :] if schema else expression
    tokens = _tokens(rest, expression)
    if not schema and not tokens:
        raise MathError(f"the search expression {expression!r} searches for nothing")
    conditions: list[Finds] = []
    if schema:
        names = [quoted or plain for quoted, plain in _PART.findall(schema[1])]
        conditions.append(_of_schema(names))
    if tokens:
        reader = _Reader(tokens, expression)
        conditions.append(reader.any_of())
        reader.end()
    return lambda metric: all(holds(metric) for holds in conditions)


def _tokens(text: str, expression: str) -> list[str]:
    tokens, at = [], 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None:
            raise _malformed(expression)
        tokens.append(match[1])
        at = match.end()
    return tokens


def _malformed(expression: str) -> MathError:
    return MathError(f"the search expression {expression!r} is malformed")


def _of_schema(names: list[str]) -> Finds:
    namespace, dimensions = names[0] if names else "", sorted(names[1:])
    return lambda metric: (
        metric.namespace == namespace
        and sorted(name for name, _ in metric.dimensions) == dimensions
    )


class _Reader:
    """Reads terms that are combined by AND, OR, NOT and parentheses."""

    def __init__(self, tokens: list[str], expression: str) -> None:
        self._tokens = tokens
        self._expression = expression
        self._at = 0

    def _peek(self, ahead: int = 0) -> str:
        at = self._at + ahead
        return self._tokens[at] if at < len(self._tokens) else ""

    def _take(self, token: str) -> bool:
        found = self._peek() == token
        self._at += found
        return found

    def end(self) -> None:
        """Check that nothing is left."""
        if self._peek():
            raise _malformed(self._expression)

    def any_of(self) -> Finds:
        """Read terms of which one must hold."""
        terms = [self._all_of()]
        while self._take("OR"):
            terms.append(self._all_of())
        return lambda metric: any(holds(metric) for holds in terms)

    def _all_of(self) -> Finds:
        terms = [self._one()]
        while self._peek() not in ("", "OR", ")"):
            # What stands side by side must hold together.
            self._take("AND")
            terms.append(self._one())
        return lambda metric: all(holds(metric) for holds in terms)

    def _one(self) -> Finds:
        if self._take("NOT"):
            inner = self._one()
            return lambda metric: not inner(metric)
        if self._take("("):
            inner = self.any_of()
            if not self._take(")"):
                raise _malformed(self._expression)
            return inner
        if self._peek(1) == "=":
            designator = self._word()
            self._at += 1
            wanted = self._values()
            name = designator.strip('"')
            return lambda metric: any(map(wanted, _designated(metric, name)))
        wanted = self._value()
        return lambda metric: any(map(wanted, _everything(metric)))

    def _values(self) -> Callable[[str], bool]:
        """Read what a designator is compared with: a value, or some in parentheses."""
        if not self._take("("):
            return self._value()
        values = [self._value()]
        while self._take("OR"):
            values.append(self._value())
        if not self._take(")"):
            raise _malformed(self._expression)
        return lambda found: any(matches(found) for matches in values)

    def _word(self) -> str:
        token = self._peek()
        if token in ("", "(", ")", "=", "AND", "OR", "NOT"):
            raise _malformed(self._expression)
        self._at += 1
        return token

    def _value(self) -> Callable[[str], bool]:
        token = self._word()
        if token.startswith('"'):
            return lambda found: found == token[1:-1]
        parts = _parts(token)
        return lambda found: parts <= _parts(found)


def _parts(text: str) -> set[str]:
    return {word.lower() for word in _WORDS.findall(text)}


def _designated(metric: Metric, name: str) -> Iterable[str]:
    if name == "MetricName":
        return [metric.name]
    if name == "Namespace":
        return [metric.namespace]
    return [value for each, value in metric.dimensions if each == name]


def _everything(metric: Metric) -> Iterable[str]:
    return [
        metric.namespace,
        metric.name,
        *(each for dimension in metric.dimensions for each in dimension),
    ]
