"""Reads formulas, text in and a tree out, for metric math and log queries.

Each language says how its words look and which operators it has; how they combine is
the same: the stronger operator takes its operands first.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias


class FormulaError(ValueError):
    """A formula is malformed; the text says where."""


@dataclass(frozen=True)
class Number:
    """A number."""

    value: float


@dataclass(frozen=True)
class Text:
    """A text in quotes."""

    value: str


@dataclass(frozen=True)
class Regex:
    """A regular expression between slashes."""

    value: str


@dataclass(frozen=True)
class Duration:
    """A number with a unit of time."""

    number: int
    unit: str


@dataclass(frozen=True)
class Name:
    """A name."""

    value: str


@dataclass(frozen=True)
class Call:
    """A function with what it is called with."""

    function: str
    arguments: "tuple[Node, ...]"


@dataclass(frozen=True)
class Items:
    """A list in brackets."""

    items: "tuple[Node, ...]"


@dataclass(frozen=True)
class Operation:
    """An operator with its operands, one or two."""

    operator: str
    operands: "tuple[Node, ...]"


Node: TypeAlias = Number | Text | Regex | Duration | Name | Call | Items | Operation


class Token(NamedTuple):
    """A word or sign.

    Attributes:
        kind: `number`, `duration`, `text`, `name`, `sign`, or `end`.
        text: As it is written.
        at: Where it begins.
    """

    kind: str
    text: str
    at: int


@dataclass(frozen=True)
class Grammar:
    """What a language's formulas look like.

    Attributes:
        tokens: Matches a word or sign, in a group named as its kind.
        binary: The operators between two operands, with their strength.
        prefix: The operators before one operand, with their strength.
        has_regexes: Whether operands may be regular expressions.
        ignores_case: Whether operators that are words may be written in any case.
    """

    tokens: re.Pattern[str]
    binary: Mapping[str, int]
    prefix: Mapping[str, int]
    has_regexes: bool = False
    ignores_case: bool = False


_SPACE: Final = re.compile(r"\s*")
_REGEX: Final = re.compile(r"/((?:[^/\\\n]|\\.)+)/")
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)


class Reader:
    """Reads a text from its beginning to its end."""

    def __init__(self, text: str, grammar: Grammar) -> None:
        """Begin.

        Args:
            text: The text.
            grammar: The language.
        """
        self._text = text
        self._grammar = grammar
        self._at = 0

    def peek(self) -> Token:
        """Give the next word or sign, which stays the next one."""
        self._at = _SPACE.match(self._text, self._at).end()  # type: ignore[union-attr]
        if self._at == len(self._text):
            return Token("end", "", self._at)
        match = self._grammar.tokens.match(self._text, self._at)
        if match is None:
            raise self.error(f"unexpected {self._text[self._at]!r}")
        return Token(str(match.lastgroup), match[0], self._at)

    def next(self) -> Token:
        """Give the next word or sign, and go on."""
        token = self.peek()
        self._at += len(token.text)
        return token

    def word(self) -> str:
        """Give the next word or sign as operators are compared."""
        text = self.peek().text
        return text.lower() if self._grammar.ignores_case else text

    def take(self, *words: str) -> bool:
        """Go on past some words or signs if they are the next ones."""
        began = self._at
        for word in words:
            if self.word() != word or self.peek().kind == "text":
                self._at = began
                return False
            self.next()
        return True

    def expect(self, word: str) -> None:
        """Go on past a word or sign, which must be the next one."""
        if not self.take(word):
            raise self.error(f"expected {word!r}")

    def name(self) -> str:
        """Give the next word, which must be a name, and go on."""
        if self.peek().kind != "name":
            raise self.error("expected a name")
        return self.next().text.strip("`")

    def error(self, what: str) -> FormulaError:
        """Make the error that something is wrong at the next word.

        Args:
            what: What is wrong.
        """
        rest = self._text[self._at : self._at + 20].strip() or "the end"
        return FormulaError(f"{what} at {rest!r}, character {self._at + 1}")

    def formula(self, weakest: int = 0) -> Node:
        """Read a formula, as far as its operators are at least so strong."""
        left = self._operand()
        while (found := self._operator()) is not None:
            operator, words = found
            strength = self._grammar.binary[operator]
            if strength < weakest:
                break
            self.take(*words)
            # Powers are taken from the right, all else from the left.
            right = self.formula(strength + (operator != "^"))
            left = Operation(operator, (left, right))
        return left

    def _operator(self) -> tuple[str, tuple[str, ...]] | None:
        """Give the operator that is next, which may have two words."""
        if self.peek().kind == "text":
            return None
        first = self.word()
        for operator in self._grammar.binary:
            words = tuple(operator.split())
            if words[0] == first and (len(words) == 1 or self._follow(words)):
                return operator, words
        return None

    def _follow(self, words: tuple[str, ...]) -> bool:
        began = self._at
        found = self.take(*words)
        self._at = began
        return found

    def _operand(self) -> Node:
        token = self.peek()
        if self._grammar.has_regexes and token.text == "/":
            return self._regex()
        if token.kind in ("name", "sign") and self.word() in self._grammar.prefix:
            operator = self.word()
            self.next()
            operand = self.formula(self._grammar.prefix[operator])
            return Operation(operator, (operand,))
        self.next()
        if token.kind == "number":
            return Number(float(token.text))
        if token.kind == "duration":
            digits = re.match(r"\d+", token.text)[0]  # type: ignore[index]
            return Duration(int(digits), token.text[len(digits) :])
        if token.kind == "text":
            return Text(_ESCAPED.sub(r"\1", token.text[1:-1]))
        if token.kind == "name":
            name = token.text.strip("`")
            is_call = not token.text.startswith("`") and self.take("(")
            return Call(name, self._until(")")) if is_call else Name(name)
        if token.text == "(":
            inner = self.formula()
            self.expect(")")
            return inner
        if token.text == "[":
            return Items(self._until("]"))
        self._at = token.at
        raise self.error("expected a value")

    def _regex(self) -> Regex:
        match = _REGEX.match(self._text, self._at)
        if match is None:
            raise self.error("expected a regular expression between slashes")
        self._at = match.end()
        return Regex(match[1])

    def _until(self, end: str) -> tuple[Node, ...]:
        items: list[Node] = []
        if self.take(end):
            return ()
        # What counts everything is written so.
        if end == ")" and self.take("*", end):
            return ()
        while True:
            items.append(self.formula())
            if self.take(end):
                return tuple(items)
            self.expect(",")


def walk(node: Node) -> Iterator[Node]:
    """Give a tree's nodes, each before what is in it.

    Args:
        node: The tree.
    """
    yield node
    inner: tuple[Node, ...] = ()
    if isinstance(node, Call):
        inner = node.arguments
    elif isinstance(node, Operation):
        inner = node.operands
    elif isinstance(node, Items):
        inner = node.items
    for each in inner:
        yield from walk(each)
