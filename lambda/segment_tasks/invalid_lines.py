"""The lines of query files that cannot be used, listed beside the results."""

from types import TracebackType
from typing import Final, Self

from . import objects
from .failures import InvalidInput
from .locations import Locations, uri
from .queries import Problem

_IN_CAUSE: Final = 5
# Whoever has more has made one mistake in all of them.
_MOST: Final = 10_000


class InvalidLines:
    """The problems found in the lines of query files, as they are found.

    Use it in a `with` statement: the list is written at its end, if there is any.
    """

    def __init__(self, places: Locations, run: str) -> None:
        """Set where to list them."""
        self._bucket = places.output_bucket
        self._key = places.invalid_lines(run)
        self._writer: objects.ObjectWriter | None = None
        self._first: list[str] = []
        self._count = 0

    def add(self, file: str, line: int, problems: list[Problem]) -> None:
        """Add what is wrong with a line."""
        if self._writer is None:
            self._writer = objects.ObjectWriter(
                self._bucket, self._key, "application/x-ndjson"
            )
        self._count += 1
        for column, reason in problems:
            if len(self._first) < _IN_CAUSE:
                self._first.append(f"{file}, line {line}, column {column}: {reason}")
            self._writer.write(
                objects.json_line(
                    {"file": file, "line": line, "column": column, "reason": reason}
                )
            )

    @property
    def full(self) -> bool:
        """Whether there are so many that looking for more is of no use."""
        return self._count >= _MOST

    def refuse(self) -> None:
        """Refuse the run if there is any.

        Raises:
            InvalidInput: With the first problems, and where all are listed.
        """
        if self._count:
            lines = "1 line" if self._count == 1 else f"{self._count:,} lines"
            raise InvalidInput(
                f"{'At least ' if self.full else ''}{lines} of the query files cannot "
                "be used, so nothing was started. "
                f"{'; '.join(self._first)}. They are listed in "
                f"{uri(self._bucket, self._key)}; correct them and start again."
            )

    def __enter__(self) -> Self:
        """Begin the list."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Write the list, if there is any."""
        if self._writer is not None:
            self._writer.__exit__(kind, error, traceback)
