"""The parts of a job's input, and the record of which lines ask what."""

from array import array
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import groupby
from types import TracebackType
from typing import Final, Self

from . import objects
from .clients import S3_AT_ONCE
from .dealing import Deal
from .locations import Locations

_CONTENT_TYPE: Final = "application/x-ndjson"
# What is worth a thread: many small parts, or one that is large.
_BYTES_TOGETHER: Final = 128 * 1024
# A part of more bytes is sent while it is made.
_BYTES_HELD: Final = 1024 * 1024
# The lines of indexes. There may be as many as queries, and making JSON of objects
# would take longer than dealing the queries out.
_STRETCH: Final = b'{"id": %d, "file": %b, "line": %d, "count": %d}\n'
_REPEAT: Final = b'{"query": %d, "id": %d, "file": %b, "line": %d}\n'


class PartsWriter:
    """Writes queries part by part, each once, and which lines ask each of them.

    Beside a part lies its index: the stretches of lines that its queries come from.
    Lines that repeat a query come later, so those of a part have an index of their own.

    Use it in a `with` statement: an error inside leaves no part behind.
    """

    def __init__(self, places: Locations, run: str, deal: Deal) -> None:
        """Set where to write, and what deals the queries out."""
        self._places = places
        self._run = run
        self._deal = deal
        # As JSON, as the indexes name them.
        self._files: list[bytes] = []
        self._file: str | None = None
        self._part = 0
        self._filled = 0
        self._bytes = 0
        self._held: list[bytes] = []
        self._input: objects.ObjectWriter | None = None
        # Consecutive lines of a file whose queries follow each other in the part: the
        # number of the first among all lines, its file, its number there; how many.
        self._stretches: list[tuple[int, int, int, int]] = []
        self._written: set[str] = set()
        self._pool = ThreadPoolExecutor(S3_AT_ONCE)
        self._pending: deque[Future[None]] = deque()
        # What is done together, since a thread costs more than a small part.
        self._batch: list[Callable[[], None]] = []
        self._batched = 0
        self._stopped = False
        # Of each line that repeats a query: the query's number, the line's among all,
        # its file and its number there. As bare numbers, since there may be many.
        self._repeats = tuple(array("I") for _ in range(4))

    def add(self, file: str, line: int, queries: list[bytes]) -> None:
        """Add the queries of consecutive lines."""
        if self._file != file:
            self._file = file
            self._files.append(objects.json_bytes(file))
        asked, new = self._deal.lines, self._deal.distinct
        numbers = self._deal.add(queries)
        if self._deal.problem():
            self.stop()
        if self._stopped:
            return
        if self._deal.distinct - new == len(queries):
            self._add_new(asked, line, queries)
            return
        for offset, number in enumerate(numbers):
            if number == new:
                self._add_new(asked + offset, line + offset, [queries[offset]])
                new += 1
            else:
                self._add_repeat(number, asked + offset, line + offset)

    def stop(self) -> None:
        """Write nothing more: the run is going to be refused."""
        self._stopped = True
        self._held = []
        if self._input:
            self._input.drop()
            self._input = None

    def finish(self) -> None:
        """Write what is left, and delete what an earlier attempt left behind."""
        if self._filled:
            self._finish_part()
        self._do_batch()
        self._write_repeats()
        self._do_batch()
        while self._pending:
            self._pending.popleft().result()
        places, bucket = self._places, self._places.input_bucket
        for folder in (places.input_folder(self._run), places.plan_folder(self._run)):
            for key in objects.keys(bucket, folder):
                if key not in self._written:
                    objects.delete(bucket, key)

    def _add_new(self, asked: int, line: int, queries: list[bytes]) -> None:
        done = 0
        while done < len(queries):
            some = queries[done : done + self._deal.per_part - self._filled]
            self._write(b"%b\n" % b"\n".join(some))
            self._add_stretch(asked + done, line + done, len(some))
            self._filled += len(some)
            if self._filled == self._deal.per_part:
                self._finish_part()
            done += len(some)

    def _write(self, lines: bytes) -> None:
        """Add lines to the part; a large one goes on its way already."""
        self._held.append(lines)
        self._bytes += len(lines)
        if self._input is None and self._bytes > _BYTES_HELD:
            key = self._places.input_part(self._run, self._part)
            self._input = self._writer(key)
        if self._input:
            self._input.write(b"".join(self._held))
            self._held = []

    def _add_stretch(self, asked: int, line: int, count: int) -> None:
        file = len(self._files) - 1
        if self._stretches:
            first, same, start, before = self._stretches[-1]
            if (first + before, same, start + before) == (asked, file, line):
                self._stretches[-1] = (first, same, start, before + count)
                return
        self._stretches.append((asked, file, line, count))

    def _add_repeat(self, number: int, asked: int, line: int) -> None:
        values = (number, asked, len(self._files) - 1, line)
        for column, value in zip(self._repeats, values, strict=True):
            column.append(value)

    def _finish_part(self) -> None:
        if self._input:
            self._later(self._bytes, self._input.publish)
        else:
            key = self._places.input_part(self._run, self._part)
            self._put_later(key, b"".join(self._held))
        index = [
            _STRETCH % (asked + 1, self._files[file], line, count)
            for asked, file, line, count in self._stretches
        ]
        key = self._places.part_index(self._run, self._part)
        self._put_later(key, b"".join(index))
        self._input, self._held, self._stretches = None, [], []
        self._filled = self._bytes = 0
        self._part += 1

    def _write_repeats(self) -> None:
        numbers, ids, files, places = self._repeats
        # Sorting is stable: the lines of a query stay in their order.
        order = sorted(range(len(numbers)), key=numbers.__getitem__)
        size = self._deal.per_part
        for part, repeats in groupby(order, lambda each: numbers[each] // size):
            key = self._places.part_repeats(self._run, part)
            lines = (
                _REPEAT
                % (
                    numbers[each] % size,
                    ids[each] + 1,
                    self._files[files[each]],
                    places[each],
                )
                for each in list(repeats)
            )
            # A line of this record takes about so many bytes.
            self._later(size * 64, _write_all, self._writer(key), lines)

    def _put_later(self, key: str, data: bytes) -> None:
        self._written.add(key)
        bucket = self._places.input_bucket
        self._later(len(data), objects.put, bucket, key, data, _CONTENT_TYPE)

    def _later(self, size: int, do: Callable[..., None], *given: object) -> None:
        """Do something about so many bytes beside what follows, and others with it."""
        self._batch.append(partial(do, *given))
        self._batched += size
        if self._batched >= _BYTES_TOGETHER:
            self._do_batch()

    def _do_batch(self) -> None:
        """Do what was left for later; not too much may be undone."""
        if len(self._pending) == S3_AT_ONCE:
            self._pending.popleft().result()
        self._pending.append(self._pool.submit(_all, self._batch))
        self._batch, self._batched = [], 0

    def _writer(self, key: str) -> objects.ObjectWriter:
        self._written.add(key)
        return objects.ObjectWriter(self._places.input_bucket, key, _CONTENT_TYPE)

    def __enter__(self) -> Self:
        """Begin to write."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Drop what is unfinished; after an error, all that was written."""
        self.stop()
        self._pool.shutdown()
        if error is not None:
            for key in self._written:
                objects.delete(self._places.input_bucket, key)


def _all(tasks: list[Callable[[], None]]) -> None:
    for do in tasks:
        do()


def _write_all(writer: objects.ObjectWriter, lines: Iterable[bytes]) -> None:
    with writer:
        for line in lines:
            writer.write(line)
