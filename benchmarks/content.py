"""Query files and raw output of any size, made while they are read.

Lines and users are of one width, so that reading can start anywhere and nothing is
held. What looks random is the same in every process.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Final, Protocol

_AT_ONCE: Final = 1000
_PIECE_BYTES: Final = 1024 * 1024
# A prime, and a range that has no factor in common with it: no number comes twice.
_STEP: Final = 48_271
_RANGE: Final = 90_000_000
_FIRST: Final = 10_000_000

_ATTRIBUTES: Final = (
    rb'"itemAttributes": "ITEMS.genres = \"Comedy\" AND ITEMS.series = \"%08d\""'
)
_VALUES: Final = rb', "filterValues": {"COUNTRY": "\"Japan\",\"France\""}'
# No id or expression makes a query of 2 KB, but a long list of filter values does.
_MANY_VALUES: Final = b', "filterValues": {"COUNTRY": "%b"}' % b",".join(
    rb"\"country%04d\"" % each for each in range(121)
)
# What takes longest to read of what is taken, in lines of just under 1 KB.
_NUMBERS: Final = b', "filterValues": {"COUNTRY": "%b"}' % b",".join(
    b"%d" % (each % 10) for each in range(472)
)
_CONDITIONS: Final = b"".join(b" AND ITEMS.year=%d" % (each % 10) for each in range(56))
# As `json.dumps` writes what is not ASCII.
_ESCAPED: Final = _ATTRIBUTES.replace(b"Comedy", rb"Com\u00e9die")
_WITH_NUMBER: Final = _ATTRIBUTES.replace(rb"\"%08d\"", b"%08d")
# The number of the line goes in at the only place for one.
QUERIES: Final = {
    "item": b'{"itemId": "%08d"}\n',
    "item, escapes": rb'{"itemId": "caf\u00e9 %08d"}' + b"\n",
    "item, filter values": b'{"itemId": "%%08d"%b}\n' % _VALUES,
    "item, 2 KB of filter values": b'{"itemId": "%%08d"%b}\n' % _MANY_VALUES,
    "item, 1 KB of numbers": b'{"itemId": "%%08d"%b}\n' % _NUMBERS,
    "attribute, 1 KB of numbers": (
        b'{"itemAttributes": "ITEMS.series=%%08d%b"}\n' % _CONDITIONS
    ),
    "attribute": b"{%b}\n" % _ATTRIBUTES,
    "attribute, escapes": b"{%b}\n" % _ESCAPED,
    "attribute, number": b"{%b}\n" % _WITH_NUMBER,
    "attribute, filter values": b"{%b%b}\n" % (_ATTRIBUTES, _VALUES),
    "repeated": b'{"itemId": "105"%.0a}\n',
    "unusable": b'{"itemID": "%08d"}\n',
}
_HEX_DIGITS: Final = 32
_UUID: Final = b'"00000000-0000-0000-0000-000000000000",'
_NUMBER: Final = b'"%d",'


class Content(Protocol):
    """What an object holds."""

    size: int

    def chunks(self, start: int = 0) -> Iterator[bytes]:
        """Return the bytes from a position on."""


class Held:
    """Bytes that are in memory."""

    def __init__(self, data: bytes) -> None:
        """Set the bytes."""
        self.size = len(data)
        self._data = data

    def chunks(self, start: int = 0) -> Iterator[bytes]:
        """Return the bytes from a position on."""
        for first in range(start, self.size, _PIECE_BYTES):
            yield self._data[first : first + _PIECE_BYTES]


class Made:
    """Bytes that are made block by block, of which only the last may be shorter."""

    def __init__(
        self, size: int, block_bytes: int, block: Callable[[int], bytes]
    ) -> None:
        """Set how to make a block."""
        self.size = size
        self._block_bytes = block_bytes
        self._block = block

    def chunks(self, start: int = 0) -> Iterator[bytes]:
        """Return the bytes from a position on."""
        first, skipped = divmod(start, self._block_bytes)
        for number in range(first, -(-self.size // self._block_bytes)):
            yield self._block(number)[skipped:]
            skipped = 0


class Joined:
    """One content after the other."""

    def __init__(self, pieces: Sequence[Content]) -> None:
        """Set the pieces."""
        self.size = sum(each.size for each in pieces)
        self._pieces = pieces

    def chunks(self, start: int = 0) -> Iterator[bytes]:
        """Return the bytes from a position on."""
        for piece in self._pieces:
            if start < piece.size:
                yield from piece.chunks(start)
            start = max(0, start - piece.size)


def data(content: Content) -> bytes:
    """Return all bytes of a content."""
    whole = bytearray(content.size)
    position = 0
    for chunk in content.chunks():
        whole[position : position + len(chunk)] = chunk
        position += len(chunk)
    return bytes(whole)


def queries(kind: str, count: int, first: int = 0) -> Content:
    """Return a query file of so many lines, from one of an endless file on.

    No two of those say the same, unless they are `repeated`.
    """
    line = QUERIES[kind]

    def block(number: int) -> bytes:
        lines = range(number * _AT_ONCE, min((number + 1) * _AT_ONCE, count))
        return line * len(lines) % tuple(_number(first + each) for each in lines)

    width = len(line % _number(0))
    return Made(width * count, width * _AT_ONCE, block)


def answers(kind: str, lines: int, users: int) -> Content:
    """Return raw output for the first lines of a file of `item` queries.

    The ids of users are `numbers` or `uuids`, in the form that real output has.
    """
    pieces: list[Content] = []
    for number in range(lines):
        item = b"%08d" % _number(number)
        pieces += [
            Held(b'{"input": {"itemId": "%b"}, "output": {"usersList": [' % item),
            _users(kind, users, seed=number),
            Held(b']}, "error": null}\n'),
        ]
    return Joined(pieces)


def _number(line: int) -> int:
    return line * _STEP % _RANGE + _FIRST


def _users(kind: str, count: int, seed: int) -> Content:
    make = {"numbers": _numbers, "uuids": _uuids}[kind]
    width = len(make(0, 1, seed))

    def block(number: int) -> bytes:
        first = number * _AT_ONCE
        users = make(first, min(_AT_ONCE, count - first), seed)
        return users if first + _AT_ONCE < count else users[:-1]

    return Made(width * count - 1, width * _AT_ONCE, block)


@cache
def _shuffled() -> tuple[list[int], list[int]]:
    rng = random.Random(0)  # noqa: S311
    return rng.sample(range(1000, 10_000), 9000), rng.choices(range(1000), k=9000)


def _numbers(first: int, count: int, seed: int) -> bytes:
    # Of 9 million users, those of 7 digits; the order has no pattern within what gzip
    # looks back at.
    leading, trailing = _shuffled()
    numbers = []
    for each in range(first + 7 * seed, first + 7 * seed + count):
        again, place = divmod(each, len(leading))
        numbers.append(leading[place] * 1000 + (trailing[place] + 377 * again) % 1000)
    return _NUMBER * count % tuple(numbers)


def _uuids(first: int, count: int, seed: int) -> bytes:
    random_bytes = random.Random(f"{seed} {first}").randbytes(_HEX_DIGITS // 2 * count)  # noqa: S311
    digits = random_bytes.hex().encode()
    users = bytearray(_UUID * count)
    places = [place for place, byte in enumerate(_UUID) if byte == ord("0")]
    for digit, place in enumerate(places):
        users[place :: len(_UUID)] = digits[digit::_HEX_DIGITS]
    return bytes(users)
