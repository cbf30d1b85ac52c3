"""Checks query files on this machine, with the checker that runs use."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from cdk_personalize_segments._runtime import limits, lines, queries
from cdk_personalize_segments.cli.errors import CliError

_CHUNK: Final = 1 << 20


class BadLine(NamedTuple):
    """Something wrong with a line of a file, and what to write instead."""

    file: Path
    line: int
    column: int
    reason: str


class FileCheck:
    """One file's queries, checked while `bad_lines` is read.

    Attributes:
        queries: How many lines are good, so far.
        bad: How many lines are not.
    """

    def __init__(
        self, file: Path, recipe: str, placeholders: frozenset[str] | None
    ) -> None:
        """Set what to check.

        Args:
            file: The file.
            recipe: The recipe that its queries are for.
            placeholders: The names of the filter's placeholders, none without a
                filter, or None if the filter is not known.
        """
        self._file = file
        self._recipe = recipe
        self._placeholders = placeholders
        self.queries = 0
        self.bad = 0

    def bad_lines(self) -> Iterator[BadLine]:
        """Check the file, and yield all that is wrong with it.

        Raises:
            CliError: It cannot be read.
        """
        for number, line in lines.queries(_chunks(self._file)):
            found = queries.check(line, self._recipe, self._placeholders)
            if isinstance(found, queries.Query):
                self.queries += 1
                continue
            self.bad += 1
            for column, reason in found:
                yield BadLine(self._file, number, column, reason)


def recipe_of(file: Path) -> str:
    """Tell from its first line which recipe a file's queries are for.

    Args:
        file: The file.

    Returns:
        The item attribute recipe if the line speaks of attributes, else the other.

    Raises:
        CliError: The file cannot be read.
    """
    key = queries.KEY_OF_RECIPE[limits.ITEM_ATTRIBUTE_AFFINITY].encode()
    first = next(lines.queries(_chunks(file)), (0, b""))[1]
    return limits.ITEM_ATTRIBUTE_AFFINITY if key in first else limits.ITEM_AFFINITY


def most_queries(recipe: str) -> int:
    """Return how many queries one run can take at most."""
    return limits.QUERIES_PER_FILE[recipe] * limits.MAX_INPUT_FILES


def _chunks(file: Path) -> Iterator[bytes]:
    try:
        with file.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                yield chunk
    except OSError as error:
        raise CliError(
            f"{file} cannot be read: {error.strerror}; name a file of queries."
        ) from None
