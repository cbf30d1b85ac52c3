"""The parts of a job's input: queries dealt out to files that the service takes."""

from typing import Final

from . import limits, objects
from .failures import InvalidInput
from .locations import Locations
from .queries import Query

_CONTENT_TYPE: Final = "application/x-ndjson"
_EACH: Final = 'and run each with {"queries": "<folder>"}'
# Up to this many times of what one job takes is told exactly.
_FAR: Final = 10


def per_part(recipe: str, num_results: int) -> int:
    """Return how many queries go into one part.

    As many as a file may hold, but fewer where the output of so many would be too
    large to account for in one go.
    """
    planned = limits.MAX_PLANNED_OUTPUT_BYTES // (num_results * limits.BYTES_PER_USER)
    return min(limits.QUERIES_PER_FILE[recipe], max(1, planned))


class PartsWriter:
    """Writes queries and the index that says where they came from, part by part."""

    def __init__(self, places: Locations, run: str, most: int) -> None:
        """Set where to write, and how many queries a part holds at most."""
        self._places = places
        self._run = run
        self._most = most
        self._bytes = 0
        self._input: list[str] = []
        self._index: list[bytes] = []
        self._stopped = False
        self.queries = 0
        self.written: set[str] = set()

    @property
    def parts(self) -> int:
        """How many parts hold the queries."""
        return -(-self.queries // self._most)

    def stop(self) -> None:
        """Write nothing more: the run is going to be refused."""
        self._stopped = True
        self._input, self._index = [], []

    def add(self, file: str, line: int, query: Query) -> None:
        """Add a query."""
        self.queries += 1
        self._bytes += len(query.text.encode()) + 1
        if self.parts > limits.MAX_INPUT_FILES or self._bytes > limits.MAX_INPUT_BYTES:
            self.stop()
            self._check_far_beyond()
        if self._stopped:
            return
        self._input.append(f"{query.text}\n")
        self._index.append(
            objects.json_line(
                {
                    "query_id": f"q{self.queries:06d}",
                    "file": file,
                    "line": line,
                    "query": query.value,
                }
            )
        )
        if len(self._input) == self._most:
            self._write()

    def finish(self) -> None:
        """Write what is left, and delete what an earlier attempt left behind.

        Raises:
            InvalidInput: The queries are more than one job takes.
        """
        self._check_limits()
        if self._input:
            self._write()
        for folder in (
            self._places.input_folder(self._run),
            self._places.plan_folder(self._run),
        ):
            for key in objects.keys(self._places.input_bucket, folder):
                if key not in self.written:
                    objects.delete(self._places.input_bucket, key)

    def _check_far_beyond(self) -> None:
        """Refuse so much that even counting it would outlast the function."""
        files, size = _FAR * limits.MAX_INPUT_FILES, _FAR * limits.MAX_INPUT_BYTES
        if self.parts > files or self._bytes > size:
            raise InvalidInput(
                f"The query files hold more than {files * self._most:,} queries or "
                f"{size:,} bytes of them, {_FAR} times what one job takes; spread them "
                f"over several folders {_EACH}."
            )

    def _write(self) -> None:
        number = self.parts - 1
        bucket = self._places.input_bucket
        for key, data in (
            (self._places.input_part(self._run, number), "".join(self._input).encode()),
            (self._places.part_index(self._run, number), b"".join(self._index)),
        ):
            with objects.ObjectWriter(bucket, key, _CONTENT_TYPE) as writer:
                writer.write(data)
            self.written.add(key)
        self._input, self._index = [], []

    def _check_limits(self) -> None:
        if self.parts > limits.MAX_INPUT_FILES:
            most = limits.MAX_INPUT_FILES * self._most
            raise InvalidInput(
                f"{self.queries:,} queries at {self._most} a file (fewer, the more "
                f"users a segment may have) make {self.parts:,} files, and one job "
                f"takes at most {limits.MAX_INPUT_FILES:,} files, so at most {most:,} "
                f"queries; spread them over {-(-self.queries // most)} folders {_EACH}."
            )
        if self._bytes > limits.MAX_INPUT_BYTES:
            runs = -(-self._bytes // limits.MAX_INPUT_BYTES)
            raise InvalidInput(
                f"The queries have {self._bytes:,} bytes, and one job takes at most "
                f"{limits.MAX_INPUT_BYTES:,}; spread them over {runs} folders {_EACH}."
            )
