r"""The raw output of a batch segment job, read in constant memory.

Each line answers a query, and may hold millions of users. Seen in real outputs is
`{"input": {…}, "output": {"usersList": […]}, "error": null}`; the developer guide
shows `recommendedUsers` and, for one recipe, the query's keys without `input`. Both
are read, with keys in any order and others beside them.

Reading has two steps, since a line may name its query after its users: `scan` finds
what each line says and where its users are, `stretches` then reads those.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple

from .failures import shorten

QUERY_KEYS: Final = ("itemId", "itemAttributes", "filterValues")
_USERS_KEYS: Final = ("usersList", "recommendedUsers")
# A query, an error or a single user's id is far smaller; without a bound, a broken
# file could fill the memory.
_LONGEST_VALUE: Final = 1024 * 1024
_LONGEST_ERROR: Final = 10_000

_STRING_PATTERN: Final = (
    rb'"[^"\\\x00-\x1f]*+'
    rb'(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*+)*+"'
)
_SPACE: Final = rb"[ \t\r]*+"
_SPACES: Final = re.compile(_SPACE)
_STRING: Final = re.compile(_STRING_PATTERN)
# Complete users, each with its comma, and the last one with the end of the list.
_USERS: Final = re.compile(rb"(?:%b%b%b,)*+" % (_SPACE, _STRING_PATTERN, _SPACE))
_LAST_USER: Final = re.compile(rb"%b%b%b(?=\])" % (_SPACE, _STRING_PATTERN, _SPACE))
_SEPARATOR: Final = b'","'
_SCALAR: Final = re.compile(rb"[\w+.-]++")


class Span(NamedTuple):
    """A stretch of a list of users: where it is, and how many they are."""

    start: int
    end: int
    users: int


class Answer(NamedTuple):
    """What a line of the output says.

    Attributes:
        query: The query that it answers, as far as it is echoed.
        error: The service's reason why the query failed, or None.
        users: Where its users are, in stretches of about 1 MB; None where the line
            has no list of users.
    """

    query: dict[str, Any]
    error: str | None
    users: tuple[Span, ...] | None


class MalformedError(Exception):
    """A line is not as expected."""


def scan(chunks: Iterable[bytes]) -> Iterator[Answer | None]:
    """Find what each line that is not blank says; None where it cannot be read."""
    window = _Window(iter(chunks))
    while True:
        following = window.peek()
        if following == b"":
            return
        if following == b"\n":
            window.skip(1)
            continue
        try:
            yield _answer(window)
        except MalformedError:
            yield None
            window.skip_line()


def stretches(
    chunks: Iterable[bytes], base: int, spans: Iterable[Span]
) -> Iterator[bytes]:
    """Read spans, in ascending order, of the file that was scanned, on from `base`."""
    stream = iter(chunks)
    data = b""
    for start, end, _ in spans:
        while base + len(data) < start:
            base += len(data)
            data = next(stream)
        if base < start:
            data, base = data[start - base :], start
        while base + len(data) < end:
            data += next(stream)
        yield data[: end - base]
        data, base = data[end - base :], end


class _Window:
    """The part of the stream that is being looked at.

    Whitespace here never includes line feeds: a line that is cut off ends where it
    ends, and the next one is read.
    """

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._data = b""
        self._at = 0
        self._base = 0
        self._keep: int | None = None

    @property
    def position(self) -> int:
        """Where in the stream the next byte is."""
        return self._base + self._at

    def _more(self) -> bool:
        """Read on; drop what has been looked at, unless it is to be kept."""
        chunk = next(self._chunks, b"")
        keep = self._at if self._keep is None else self._keep
        self._data = self._data[keep:] + chunk
        self._base += keep
        self._at -= keep
        if self._keep is not None:
            self._keep = 0
        return bool(chunk)

    def peek(self) -> bytes:
        """Return the next byte after whitespace; none at the end of the stream."""
        while True:
            match = _SPACES.match(self._data, self._at)
            self._at = match.end() if match else self._at
            if self._at < len(self._data) or not self._more():
                return self._data[self._at : self._at + 1]

    def skip(self, count: int) -> None:
        """Pass by bytes that were peeked at."""
        self._at += count

    def skip_line(self) -> None:
        """Pass by what is left of the line."""
        self._keep = None
        while True:
            end = self._data.find(b"\n", self._at)
            if end >= 0:
                self._at = end + 1
                return
            self._at = len(self._data)
            if not self._more():
                return

    def expect(self, wanted: bytes) -> None:
        """Pass by one byte after whitespace, which must be this one."""
        if self.peek() != wanted:
            raise MalformedError
        self._at += 1

    def match(self, pattern: re.Pattern[bytes]) -> bytes | None:
        """Pass by what a pattern matches in what has been read so far."""
        match = pattern.match(self._data, self._at)
        if match is None:
            return None
        self._at = match.end()
        return match[0]

    def skip_plain_users(self) -> int:
        """Pass by users without escapes as far as they are read; return how many."""
        stop = self._data.find(b"]", self._at)
        end = self._data.rfind(b'",', self._at, len(self._data) if stop < 0 else stop)
        end += 1
        users = self._data[self._at : end]
        separator = _separator(users)
        if separator is None:
            return 0
        self._at = end
        return users.count(separator, 1, len(users) - 1) + 1

    def grow(self) -> None:
        """Read on, since what was looked for may not be complete yet."""
        # No value spans lines, so a line feed shows that none is coming.
        rest = len(self._data) - self._at
        if rest > _LONGEST_VALUE or self._data.find(b"\n", self._at) >= 0:
            raise MalformedError
        if not self._more():
            raise MalformedError

    def take_string(self) -> bytes:
        """Pass by a string, and return it in its quotes."""
        while (string := self.match(_STRING)) is None:
            self.grow()
        return string

    def skip_scalar(self) -> None:
        """Pass by a number or a word, which may go on where the data ends so far."""
        if self.match(_SCALAR) is None:
            raise MalformedError
        while self._at == len(self._data) and self._more():
            self.match(_SCALAR)

    def keep(self) -> None:
        """Keep what comes from here on, until it is captured."""
        self._keep = self._at

    def kept(self) -> int:
        """Return how many bytes are kept."""
        return 0 if self._keep is None else self._at - self._keep

    def captured(self) -> bytes:
        """Return what was passed by since `keep`."""
        start, self._keep = self._keep or 0, None
        return self._data[start : self._at]


def _answer(window: _Window) -> Answer:
    echoed: dict[str, Any] = {}
    lists: dict[str, tuple[Span, ...]] = {}
    found: dict[str, Any] = {"input": None, "error": None}

    def in_output(key: str) -> None:
        if key in _USERS_KEYS and window.peek() == b"[":
            lists[key] = _users(window)
        else:
            _skip_value(window)

    def in_line(key: str) -> None:
        if key == "output" and window.peek() == b"{":
            _object(window, in_output)
        elif key in found:
            found[key] = _value(window)
        elif key in QUERY_KEYS:
            echoed[key] = _value(window)
        else:
            _skip_value(window)

    _object(window, in_line)
    if window.peek() not in {b"\n", b""}:
        raise MalformedError
    query = found["input"] if isinstance(found["input"], dict) else echoed
    users = next((lists[key] for key in _USERS_KEYS if key in lists), None)
    return Answer(query, _error(found["error"]), users)


def _error(value: object) -> str | None:
    if value is None or value == "":
        return None
    return shorten(
        value if isinstance(value, str) else json.dumps(value), _LONGEST_ERROR
    )


def _object(window: _Window, read: Callable[[str], None]) -> None:
    """Read an object, handing each key to a function that reads its value."""
    window.expect(b"{")
    if window.peek() == b"}":
        window.skip(1)
        return
    while True:
        if window.peek() != b'"':
            raise MalformedError
        key = _decoded(window.take_string())
        window.expect(b":")
        read(key)
        if window.peek() == b"}":
            window.skip(1)
            return
        window.expect(b",")


def _value(window: _Window) -> Any:  # noqa: ANN401
    """Read any value that is not too large."""
    window.peek()
    window.keep()
    _skip_value(window)
    return _decoded(window.captured())


def _decoded(value: bytes) -> Any:  # noqa: ANN401
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise MalformedError from None


def _skip_value(window: _Window) -> None:
    """Pass by any value, in constant memory unless it is kept."""
    depth = 0
    while True:
        following = window.peek()
        if following in {b"", b"\n"} or window.kept() > _LONGEST_VALUE:
            raise MalformedError
        if following == b'"':
            window.take_string()
        elif following in {b"{", b"["}:
            depth += 1
            window.skip(1)
        elif following in {b"}", b"]"}:
            depth -= 1
            window.skip(1)
        elif following in {b",", b":"}:
            window.skip(1)
        else:
            window.skip_scalar()
        if depth <= 0:
            break
    if depth < 0:
        raise MalformedError


def _users(window: _Window) -> tuple[Span, ...]:
    """Find the stretches of a list of strings."""
    window.expect(b"[")
    if window.peek() == b"]":
        window.skip(1)
        return ()
    spans: list[Span] = []
    while True:
        window.peek()
        start = window.position
        if count := window.skip_plain_users():
            spans.append(Span(start, window.position, count))
            window.expect(b",")
        elif several := window.match(_USERS):
            spans.append(_span(start, several[:-1]))
        elif last := window.match(_LAST_USER):
            spans.append(_span(start, last))
            window.expect(b"]")
            return _joined(spans)
        else:
            window.grow()


def _span(start: int, users: bytes) -> Span:
    return Span(start, start + len(users), len(users_of(users)))


def _joined(spans: list[Span]) -> tuple[Span, ...]:
    """Join the last user to the stretch before, unless that is long."""
    *before, last = spans
    if before and before[-1].end - before[-1].start < _LONGEST_VALUE:
        start, _, users = before.pop()
        last = Span(start, last.end, users + last.users)
    return (*before, last)


def users_of(stretch: bytes) -> list[bytes]:
    """Return the users of a stretch.

    Raises:
        MalformedError: It has what JSON can hold but UTF-8 cannot, or is not UTF-8.
    """
    if separator := _separator(stretch):
        return stretch[1:-1].split(separator)
    try:
        return [user.encode() for user in json.loads(b"[%b]" % stretch)]
    except ValueError:
        raise MalformedError from None


def _separator(users: bytes) -> bytes | None:
    """Return what is between users that have no escapes, or None where some have."""
    if users[:1] + users[-1:] != b'""' or b"\\" in users or b"\n" in users:
        return None
    end = users.find(b'"', 1)
    separator = users[end : users.find(b'"', end + 1) + 1] or _SEPARATOR
    if separator.replace(b" ", b"") != _SEPARATOR:
        return None
    # Not from the quote that opens the first user, which may be a comma itself.
    if users.count(b'"') != 2 * users.count(separator, 1, len(users) - 1) + 2:
        return None
    return separator if users.isascii() or _is_utf_8(users) else None


def _is_utf_8(users: bytes) -> bool:
    try:
        users.decode()
    except UnicodeDecodeError:
        return False
    return True
