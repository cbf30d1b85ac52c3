"""Query files: what counts as one, and the queries in it, read as a stream.

A query file is JSON Lines in UTF-8, gzipped or not. Any other kind of file is refused
as a whole, any other line on its own. Preparing a run and the command line both read
files with this.
"""

import codecs
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import Final, NamedTuple

from . import limits, queries
from .file_kinds import GZIP, other_kind
from .lines import MAX_LINE_BYTES, split
from .queries import Problem

_CHUNK: Final = 1024 * 1024
_GZIP_WINDOW: Final = 31
_UTF_8_MARK: Final = b"\xef\xbb\xbf"
# The usual spelling of lines that need no closer look, and what they come to. It has
# the escapes of `json.dumps`, but for ASCII, which may mean something, and for pairs.
_TEXT: Final = rb"[^%b]*+(?:\\u(?!00[0-7]|[dD][89a-fA-F])[0-9a-fA-F]{4}[^%b]*+)*+"
_BUT: Final = rb"\"\\\x00-\x1f"
_CONDITION: Final = rb"ITEMS\.\w++ *+= *+\\\"(?!\\\")%b\\\"" % (
    _TEXT % (b"'" + _BUT, b"'" + _BUT)
)
# Ids that begin and end with the first of these leave nothing open; those that begin or
# end with others may.
_PLAIN: Final = rb"[!#-&(-\[\]-~]"
_ESCAPE: Final = rb"\\u[0-9a-fA-F]{4}"
_ODD: Final = (
    rb"[ '\x7f]",
    rb"\xc2[\x80-\xad]",
    rb"\xe1\x9a\x80",
    rb"\xe2[\x80\x81][\x80-\xbf]",
    rb"\xe3\x80\x80",
    rb"\xef\xbb\xbf",
    rb"\\u00[89aA][0-9a-fA-F]",
    rb"\\u(?:1680|20[0-9a-fA-F]{2}|3000|[fF][eE][fF][fF])",
)
_VALUES: Final = {
    limits.ITEM_AFFINITY: rb"(?:(?=%b)|(?!%b))(?=[^\"]{1,%d}+\")%b(?:(?<=%b)(?<!%b)|%b)"
    % (
        _PLAIN,
        b"|".join(_ODD),
        limits.MAX_ITEM_ID_LENGTH,
        _TEXT % (_BUT, _BUT),
        _PLAIN,
        _ESCAPE,
        b"".join(b"(?<!%b)" % each for each in _ODD),
    ),
    limits.ITEM_ATTRIBUTE_AFFINITY: rb"%b(?: ++AND ++%b)*+" % (_CONDITION, _CONDITION),
}
_USUAL: Final = rb"[ \t]*+\{ ?\"%b\" ?: ?\"(%b)\" ?\}[ \t\r]*+"
_unescape: Final = codecs.getdecoder("raw_unicode_escape")
# Keeps lists short: a pause for whoever writes the queries.
_AT_ONCE: Final = 500


class _GzipError(ValueError):
    """The compressed data is damaged; the text says how."""


class Good(NamedTuple):
    """Queries of consecutive lines.

    Attributes:
        line: The number of the first line, from 1.
        queries: Their texts, which are the same for queries that are the same.
        doubts: What in them the service's documentation leaves open, once a query.
    """

    line: int
    queries: list[bytes]
    doubts: list[str]


class Bad(NamedTuple):
    """A line that cannot be used.

    Attributes:
        line: Its number, from 1.
        problems: What is wrong with it.
        is_last: Whether nothing behind it can be used either.
    """

    line: int
    problems: list[Problem]
    is_last: bool = False


def read(
    chunks: Iterable[bytes],
    recipe: str,
    placeholders: frozenset[str] | None,
    weigh: Callable[[int], None] = lambda _: None,
) -> Iterator[Good | Bad]:
    """Read a query file: every query, and every line that is none.

    Args:
        chunks: The file's content, in pieces of any size.
        recipe: The recipe's name, a key of `limits.QUERIES_PER_FILE`.
        placeholders: As for `queries.check`.
        weigh: Is told how many bytes are read, uncompressed, piece by piece.
    """
    lines = _numbered(split(_unmarked(_weighed(_decompressed(chunks), weigh))))
    try:
        head = list(islice(lines, 2))
    except _GzipError as error:
        yield _damaged(1, error)
        return
    if problem := other_kind([line for _, line in head], recipe):
        yield Bad(head[0][0], [Problem(1, problem)], is_last=True)
    else:
        yield from _checked(chain(head, lines), recipe, placeholders)


def _numbered(lines: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Number the lines that are not blank."""
    for number, line in enumerate(lines, start=1):
        if (line and not line.isspace()) or len(line) > MAX_LINE_BYTES:
            yield number, line


def _damaged(line: int, error: _GzipError) -> Bad:
    problem = Problem(1, f"{error}; compress and upload it again")
    return Bad(line, [problem], is_last=True)


def _decompressed(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Undo gzip, told by its first bytes; it may have several members."""
    start, stream = _first_bytes(chunks)
    if not start.startswith(GZIP):
        yield start
        yield from stream
        return
    decompressor = zlib.decompressobj(_GZIP_WINDOW)
    inside = False
    for chunk in chain([start], stream):
        # Zeros may fill up what is between members, and the end.
        data, full = chunk if inside else chunk.lstrip(b"\0"), False
        while data or full:
            inside = True
            try:
                plain = decompressor.decompress(data, _CHUNK)
            except zlib.error:
                raise _GzipError("the compressed file is damaged here") from None
            yield plain
            data, full = decompressor.unconsumed_tail, len(plain) == _CHUNK
            if decompressor.eof:
                data, full = decompressor.unused_data.lstrip(b"\0"), False
                decompressor = zlib.decompressobj(_GZIP_WINDOW)
                inside = False
    if inside:
        raise _GzipError("the compressed file is cut off here")


def _weighed(chunks: Iterable[bytes], weigh: Callable[[int], None]) -> Iterator[bytes]:
    for chunk in chunks:
        weigh(len(chunk))
        yield chunk


def _unmarked(chunks: Iterable[bytes]) -> Iterator[bytes]:
    start, rest = _first_bytes(chunks)
    yield start.removeprefix(_UTF_8_MARK)
    yield from rest


def _first_bytes(chunks: Iterable[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Take enough of a stream to tell what it is."""
    stream = iter(chunks)
    start = b""
    for chunk in stream:
        start += chunk
        if len(start) >= len(_UTF_8_MARK):
            break
    return start, stream


def _checked(
    lines: Iterator[tuple[int, bytes]],
    recipe: str,
    placeholders: frozenset[str] | None,
) -> Iterator[Good | Bad]:
    # Where values for a filter are needed, no line goes without them.
    usual = re.compile(b"(?!)" if placeholders else _usual(recipe)).fullmatch
    text = b'{"%b": "%%b"}' % queries.KEY_OF_RECIPE[recipe].encode()
    good = _Growing(0)
    number = following = size = 0
    try:
        for number, line in lines:
            if number != following or len(good.queries) == _AT_ONCE or size > _CHUNK:
                if good.queries:
                    yield good.grown()
                good, size = _Growing(number), 0
            following = number + 1
            size += len(line)
            match = usual(line) if len(line) <= MAX_LINE_BYTES else None
            if match and (line.isascii() or _is_plain_utf_8(line)):
                query = text % match[1]
                if query.find(b"\\u") >= 0:
                    good.escaped.append(len(good.queries))
                good.queries.append(query)
                continue
            found = queries.check(line, recipe, placeholders)
            if isinstance(found, queries.Query):
                good.queries.append(found.text)
                good.doubts.extend(found.doubts)
                continue
            if good.queries:
                yield good.grown()
            good, size = _Growing(following), 0
            yield Bad(number, found)
    except _GzipError as error:
        if good.queries:
            yield good.grown()
        yield _damaged(number + 1, error)
        return
    if good.queries:
        yield good.grown()


class _Growing:
    """Queries of consecutive lines, some of which still have their escapes."""

    def __init__(self, line: int) -> None:
        self.queries: list[bytes] = []
        self.doubts: list[str] = []
        self.escaped: list[int] = []
        self._line = line

    def grown(self) -> Good:
        """Undo the escapes, all at once: one by one takes five times as long."""
        if self.escaped:
            queries = self.queries
            joined = b"\n".join([queries[each] for each in self.escaped])
            plain = _unescape(joined)[0].encode().split(b"\n")
            for index, query in zip(self.escaped, plain, strict=True):
                queries[index] = query
        return Good(self._line, self.queries, self.doubts)


def _is_plain_utf_8(line: bytes) -> bool:
    """Tell whether a line is UTF-8, without escapes: those are undone in ASCII only."""
    if b"\\u" in line:
        return False
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _usual(recipe: str) -> bytes:
    return _USUAL % (queries.KEY_OF_RECIPE[recipe].encode(), _VALUES[recipe])
