"""How queries are dealt out to the files of a job, and how many one job takes."""

import zlib
from array import array
from typing import Final

from . import limits

# The upper 32 bits of a hash, which are none of those of a place.
_UPPER: Final = 0xFFFFFFFF_00000000
_SPLIT: Final = "`personalize-segments split` cuts them into runs that fit"


def per_part(recipe: str, num_results: int) -> int:
    """Return how many queries go into one part.

    As many as a file may hold, but fewer where the output of so many would be too
    large to account for in one go.
    """
    planned = limits.MAX_PART_OUTPUT_BYTES // (num_results * limits.BYTES_PER_USER)
    return min(limits.QUERIES_PER_FILE[recipe], max(1, planned))


def too_large() -> str:
    """Say that the query files have more bytes than one run reads."""
    return (
        f"The query files have more than {limits.MAX_QUERY_BYTES:,} bytes, "
        "uncompressed and with repeated queries, and one run reads at most so many; "
        f"remove repeated lines, or {_SPLIT}."
    )


class Deal:
    """The queries of one job, dealt out in order; the same query only once.

    Attributes:
        per_part: How many queries a part holds, but for the last one.
        most: How many different queries one job takes.
        lines: How many were added.
        distinct: How many different ones; not counted beyond what one job takes.
        weight: How many bytes the query files have, uncompressed.
    """

    def __init__(self, recipe: str, num_results: int) -> None:
        """Set what decides how many queries a part holds."""
        self.per_part = per_part(recipe, num_results)
        self.most = self.per_part * limits.MAX_INPUT_FILES
        self.lines = 0
        self.distinct = 0
        self.weight = 0
        self._num_results = num_results
        self._bytes = 0
        # Places for twice as many as one job takes, so that one is found quickly; all
        # there from the start, so that memory does not grow with the queries.
        self._places = 1 << (2 * self.most).bit_length()
        self._marks = array("Q", [0]) * self._places
        self._numbers = array("I", [0]) * self._places

    @property
    def parts(self) -> int:
        """How many parts the queries make."""
        return -(-self.distinct // self.per_part)

    def weigh(self, size: int) -> None:
        """Count bytes of the query files, uncompressed."""
        self.weight += size

    def add(self, queries: list[bytes]) -> list[int]:
        """Add queries by their texts; return the number of each, from 0.

        One that was added before has the number that it had then. Beyond what one job
        takes, all are taken for new ones.
        """
        self.lines += len(queries)
        # One loop over local names: this runs for every line of every file.
        marks, numbers, last = self._marks, self._numbers, self._places - 1
        dealt = []
        for text in queries:
            # The place is 20 bits of a hash; the mark is 32 others, and 32 of another
            # hash. That two of 500,000 queries share both has a probability of less
            # than 1 in 10^13.
            wanted = hash(text)
            place = wanted & last
            mark = wanted & _UPPER | zlib.crc32(text) or 1
            while found := marks[place]:
                if found == mark:
                    dealt.append(numbers[place])
                    break
                place = (place + 1) & last
            else:
                number = self.distinct
                self.distinct += 1
                self._bytes += len(text) + 1
                if number < self.most:
                    marks[place] = mark
                    numbers[place] = number
                dealt.append(number)
        return dealt

    def problem(self) -> str | None:
        """Say why this is more than one job takes, with the arithmetic, or None."""
        if self.weight > limits.MAX_QUERY_BYTES:
            return too_large()
        if self.distinct > self.most:
            return (
                f"{self.distinct:,} queries at {self.per_part} a file (fewer, the more "
                f"users a segment may have) make {self.parts:,} files, and one job "
                f"takes at most {limits.MAX_INPUT_FILES:,} files, so at most "
                f"{self.most:,} queries; {_SPLIT}."
            )
        if self._bytes > limits.MAX_INPUT_BYTES:
            return (
                f"The queries have {self._bytes:,} bytes, and one job takes at most "
                f"{limits.MAX_INPUT_BYTES:,}; {_SPLIT}."
            )
        output = self.lines * self._num_results * limits.BYTES_PER_USER
        if output > limits.MAX_OUTPUT_BYTES:
            return (
                f"{self.lines:,} lines with a query, {self._num_results:,} users for "
                f"each and about {limits.BYTES_PER_USER} bytes a user make "
                f"{output:,} bytes of output, and one run takes at most "
                f"{limits.MAX_OUTPUT_BYTES:,}; ask for fewer users, or {_SPLIT}."
            )
        if self.lines > limits.MAX_LINES:
            return (
                f"The query files hold {self.lines:,} lines with a query, and one run "
                f"takes at most {limits.MAX_LINES:,}, repeated queries included; "
                f"remove repeated lines, or {_SPLIT}."
            )
        return None
