"""What the lines of query files ask in one part of a job, as prepare recorded it."""

import json
from array import array
from collections.abc import Iterator, Sequence
from itertools import chain, groupby
from typing import Any, NamedTuple

from . import objects, plans
from .lines import MAX_LINE_BYTES, split
from .locations import Locations


class Line(NamedTuple):
    """A line that asks a query: its number among all, its file and its number there."""

    id: int
    file: str
    line: int


class Asked:
    """The different queries of a part, and the lines that ask them.

    Attributes:
        queries: The queries, in the order of the part.
        firsts: For each query the first line that asks it.
    """

    def __init__(self, places: Locations, run: str, part: int) -> None:
        """Read the record of a part.

        Raises:
            OutputIncomplete: It is gone.
        """
        self._bucket = places.input_bucket
        self._repeats = places.part_repeats(run, part)
        self.queries = list(self._required(places.input_part(run, part)))
        self.firsts = [
            Line(each["id"] + offset, each["file"], each["line"] + offset)
            for each in self._required(places.part_index(run, part))
            for offset in range(each["count"])
        ]

    def _required(self, key: str) -> Iterator[dict[str, Any]]:
        try:
            return _rows(self._bucket, key)
        except FileNotFoundError:
            raise plans.gone(self._bucket, key) from None

    def ids(self) -> list[Sequence[int]]:
        """Return for each query the numbers of the lines that ask it."""
        ids: list[Any] = [array("I", [first.id]) for first in self.firsts]
        for repeat in self._repeated():
            ids[repeat["query"]].append(repeat["id"])
        return ids

    def lines(self) -> Iterator[tuple[int, Iterator[Line]]]:
        """Go through the queries, and for each through the lines that ask it."""
        repeats = groupby(self._repeated(), lambda each: each["query"])
        query, again = next(repeats, (None, iter(())))
        for number, first in enumerate(self.firsts):
            if number != query:
                yield number, iter([first])
                continue
            more = (Line(each["id"], each["file"], each["line"]) for each in again)
            yield number, chain([first], more)
            query, again = next(repeats, (None, iter(())))

    def _repeated(self) -> Iterator[dict[str, Any]]:
        try:
            return _rows(self._bucket, self._repeats)
        except FileNotFoundError:
            # Most parts have no repeated queries.
            return iter(())


def _rows(bucket: str, key: str) -> Iterator[dict[str, Any]]:
    # What is sent may be longer than the line that it comes from: by spaces.
    chunks = objects.ObjectReader(bucket, key).chunks()
    return map(json.loads, split(chunks, 2 * MAX_LINE_BYTES))
