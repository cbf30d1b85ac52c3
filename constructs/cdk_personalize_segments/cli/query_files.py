"""Checks query files on this machine, as the preparation of a run does."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from cdk_personalize_segments._runtime import dealing, limits, queries, query_files
from cdk_personalize_segments.cli.errors import CliError

_CHUNK: Final = 1 << 20
_LOOKED_AT: Final = 100


class BadLine(NamedTuple):
    """Something wrong with a line of a file, and what to write instead."""

    file: Path
    line: int
    column: int
    reason: str


class FileCounts(NamedTuple):
    """How many lines of a file are queries, and how many cannot be used."""

    file: Path
    queries: int
    bad: int


class Checker:
    """What a run would make of query files.

    Attributes:
        deal: The queries so far, dealt out as a run would.
        files: What was found in each file that was read.
        has_needless_values: Whether a line has filterValues that no filter asks for.
    """

    def __init__(
        self,
        recipe: str,
        placeholders: frozenset[str] | None,
        num_results: int = limits.DEFAULT_NUM_RESULTS,
    ) -> None:
        """Set what the queries are for.

        Args:
            recipe: The recipe of the solution.
            placeholders: The names of the filter's placeholders, none without a
                filter, or None if the filter is not known.
            num_results: Users per segment.
        """
        self.recipe = recipe
        self.deal = dealing.Deal(recipe, num_results)
        self.files: list[FileCounts] = []
        self.has_needless_values = False
        self._placeholders = placeholders
        self._doubts: Counter[str] = Counter()

    @property
    def bad(self) -> int:
        """How many lines cannot be used."""
        return sum(each.bad for each in self.files)

    def bad_lines(self, files: Iterable[Path]) -> Iterator[BadLine]:
        """Check files, and yield all that is wrong with them.

        Args:
            files: The files, in the order in which a run would read them.

        Raises:
            CliError: One cannot be read.
        """
        for file in files:
            before, bad = self.deal.lines, 0
            for found in self.read(file, self.deal.weigh):
                if isinstance(found, query_files.Good):
                    self.deal.add(found.queries)
                    self._doubts.update(found.doubts)
                    continue
                bad += 1
                for column, reason in found.problems:
                    if reason == queries.NO_PLACEHOLDERS:
                        self.has_needless_values = True
                    yield BadLine(file, found.line, column, reason)
            self.files.append(FileCounts(file, self.deal.lines - before, bad))

    def read(
        self, file: Path, weigh: Callable[[int], None] = lambda _: None
    ) -> Iterator[query_files.Good | query_files.Bad]:
        """Read the queries of a file.

        Args:
            file: The file.
            weigh: Is told how many bytes are read.

        Raises:
            CliError: It cannot be read.
        """
        return query_files.read(_chunks(file), self.recipe, self._placeholders, weigh)

    def problem(self, *, skip_bad: bool = False) -> str | None:
        """Say why a run would be refused, or return None.

        Args:
            skip_bad: Whether it goes on without lines that cannot be used.
        """
        if self.bad and not (skip_bad and self.deal.lines):
            lines = "1 line" if self.bad == 1 else f"{self.bad:,} lines"
            return (
                f"{lines} cannot be used, {self.deal.lines:,} can; a run takes nothing "
                "until all are good, unless its pipeline has skip_invalid_lines."
            )
        if not self.deal.lines:
            return (
                "There is no query in any file; write one per line, like "
                f"{queries.EXAMPLES[self.recipe]}."
            )
        if len(self.files) > limits.MAX_QUERY_FILES:
            return (
                f"{len(self.files):,} query files are more than the "
                f"{limits.MAX_QUERY_FILES:,} that one run reads; join them to fewer."
            )
        return self.deal.problem()

    def notes(self) -> Iterator[str]:
        """Say what a run would go on with, but note in its manifest."""
        for each in self.files:
            if not each.queries and not each.bad:
                yield f"{each.file} holds no query."
        for doubt, count in self._doubts.items():
            lines = "1 line" if count == 1 else f"{count:,} lines"
            yield (
                f"Not documented is whether Personalize takes {doubt}, as in {lines}."
            )


def expand(paths: Iterable[Path]) -> list[Path]:
    """List files, and for folders all files in them as a run would read them.

    Args:
        paths: Files and folders.

    Raises:
        CliError: A folder has no files, or one with a name that no key can have.
    """
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        files = [each for each in path.rglob("*") if each.is_file()]
        if not files:
            raise CliError(f"The folder {path} has no files; name another.")
        found += sorted(files, key=_key)
    return found


def check_lasting(files: Iterable[Path]) -> None:
    """Make sure that files can be read more than once.

    Args:
        files: The files.

    Raises:
        CliError: One cannot, as a pipe.
    """
    for file in files:
        if file.exists() and not file.is_file():
            raise CliError(
                f"{file} is not a file but a pipe or device, which can be read only "
                "once; write the queries to a file first."
            )


def _key(file: Path) -> bytes:
    try:
        return file.as_posix().encode()
    except UnicodeEncodeError:
        raise CliError(
            f"The name {str(file)!r} is not UTF-8, which keys in S3 are; rename it."
        ) from None


def recipe_of(file: Path) -> str:
    """Tell from its first lines which recipe a file's queries are for.

    Args:
        file: The file.

    Returns:
        The item attribute recipe if one is a good query for it, else the other.

    Raises:
        CliError: The file cannot be read.
    """
    recipe = limits.ITEM_ATTRIBUTE_AFFINITY
    first = islice(query_files.read(_chunks(file), recipe, None), _LOOKED_AT)
    good = any(isinstance(each, query_files.Good) for each in first)
    return recipe if good else limits.ITEM_AFFINITY


def _chunks(file: Path) -> Iterator[bytes]:
    try:
        with file.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                yield chunk
    except OSError as error:
        raise CliError(
            f"{file} cannot be read: {error.strerror}; name a file of queries."
        ) from None
