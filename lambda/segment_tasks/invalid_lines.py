"""The lines of query files that cannot be used, listed beside the results."""

from types import TracebackType
from typing import Any, Final, Self

from . import objects
from .failures import InvalidInput, counted
from .locations import Locations, uri
from .queries import Problem

_IN_CAUSE: Final = 5


class InvalidLines:
    """The problems found in the lines of query files, as they are found.

    Use it in a `with` statement: the list is written at its end, if there is any, also
    if the run is refused for another reason.
    """

    def __init__(self, places: Locations, run: str) -> None:
        """Set where to list them."""
        self._bucket = places.output_bucket
        self._key = places.invalid_lines(run)
        self._writer: objects.ObjectWriter | None = None
        self._first: list[str] = []
        self.count = 0

    def add(self, file: str, line: int, problems: list[Problem]) -> None:
        """Add what is wrong with a line."""
        if self._writer is None:
            self._writer = objects.ObjectWriter(
                self._bucket, self._key, "application/x-ndjson"
            )
        self.count += 1
        for column, reason in problems:
            if len(self._first) < _IN_CAUSE:
                self._first.append(f"{file}, line {line}, column {column}: {reason}")
            self._writer.write(
                objects.json_line(
                    {"file": file, "line": line, "column": column, "reason": reason}
                )
            )

    def summary(self, *, skipped: bool) -> dict[str, Any] | None:
        """Return how many there are, and where they are listed, for the manifest."""
        if not self.count:
            return None
        where = uri(self._bucket, self._key)
        return {"count": self.count, "skipped": skipped, "location": where}

    def refusal(self) -> InvalidInput:
        """Return the refusal of the run, with the first problems."""
        return InvalidInput(
            f"{counted(self.count, 'line')} of the query files cannot be used, so "
            "nothing was started. "
            f"{'; '.join(self._first)}. They are listed in "
            f"{uri(self._bucket, self._key)}; correct them and start again."
        )

    def mentioned(self, stopped: InvalidInput) -> InvalidInput:
        """Return the reason for which reading stopped, with what was found before."""
        if not self.count:
            return stopped
        return InvalidInput(
            f"{stopped} Of what was read before, {counted(self.count, 'line')} cannot "
            f"be used, listed in {uri(self._bucket, self._key)}: "
            f"{'; '.join(self._first)}."
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
        """Write the list, if there is any; drop it where the run is tried again."""
        if self._writer is None:
            return
        if error is None or isinstance(error, InvalidInput):
            self._writer.publish()
        else:
            self._writer.drop()
