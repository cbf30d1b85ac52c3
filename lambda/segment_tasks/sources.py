"""Which query files a run reads."""

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import Final, NamedTuple

from . import limits, objects
from .clients import S3_AT_ONCE
from .failures import InvalidInput
from .locations import Locations, uri
from .objects import ObjectReader, Version
from .uploads import Upload

# Files of up to this size are fetched whole, before it is their turn.
_SMALL_BYTES: Final = 1024 * 1024


class Source(NamedTuple):
    """A query file: its version, and what opens it.

    That raises FileNotFoundError if the version is gone.
    """

    version: Version
    open: Callable[[], ObjectReader]


def opened(bucket: str, files: list[Version]) -> Generator[Source, None, None]:
    """Return files in their order, while those that follow are fetched."""
    following = iter(files)
    with ThreadPoolExecutor(S3_AT_ONCE) as pool:
        ahead = deque(
            _fetched(pool, bucket, each) for each in islice(following, S3_AT_ONCE)
        )
        while ahead:
            yield ahead.popleft()
            ahead.extend(_fetched(pool, bucket, each) for each in islice(following, 1))


def _fetched(pool: ThreadPoolExecutor, bucket: str, file: Version) -> Source:
    open_it = partial(objects.ObjectReader, bucket, file.key, file)
    if file.size > _SMALL_BYTES:
        return Source(file, open_it)
    return Source(file, pool.submit(_held, open_it).result)


def _held(open_it: Callable[[], ObjectReader]) -> ObjectReader:
    reader = open_it()
    reader.hold()
    return reader


def check_uploads(uploads: list[Upload], places: Locations) -> None:
    """Check that uploaded files are where query files lie.

    Raises:
        InvalidInput: One is elsewhere.
    """
    for each in uploads:
        if not each.key.startswith(places.queries_prefix) or each.key.endswith("/"):
            raise InvalidInput(
                "In the execution input, files must name files beneath "
                f"{uri(places.input_bucket, places.queries_prefix)}, got {each.key!r}."
            )


def find(asked: str | None, places: Locations) -> list[Version]:
    """List the query files that an execution means, in the order of their keys.

    Asked for is a key or folder, with or without the queries prefix; None means all. An
    object of just this key wins over a folder; other keys that merely start with the
    same characters are never meant.

    The list is complete before the first file is read: what is uploaded while a run
    reads does not get into it.

    Raises:
        InvalidInput: There is no such file, or there are too many.
    """
    wanted = places.queries_prefix
    if asked is not None:
        wanted += asked.removeprefix(places.queries_prefix)
        first = next(objects.versions(places.input_bucket, wanted), None)
        if first and first.key == wanted and not wanted.endswith("/"):
            return [first]
    folder = wanted if wanted.endswith("/") else f"{wanted}/"
    found = (
        each
        for each in objects.versions(places.input_bucket, folder)
        if not each.key.endswith("/")
    )
    files = list(islice(found, limits.MAX_QUERY_FILES + 1))
    if not files:
        raise InvalidInput(_nothing_there(asked, wanted, places))
    if len(files) > limits.MAX_QUERY_FILES:
        raise InvalidInput(
            f"There are more than {limits.MAX_QUERY_FILES:,} query files in "
            f"{uri(places.input_bucket, folder)}, and one run reads at most so many; "
            "join them to fewer files, which may have any number of lines."
        )
    return files


def _nothing_there(asked: str | None, wanted: str, places: Locations) -> str:
    expected = uri(places.input_bucket, places.queries_prefix)
    if asked is None:
        return f"There are no query files; upload them beneath {expected}."
    return (
        f"There is no query file {uri(places.input_bucket, wanted)}, nor a folder of "
        f"that name with files; the input's queries names a file or folder beneath "
        f"{expected}."
    )
