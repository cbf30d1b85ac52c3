"""The lines of a query file, read as a stream."""

from collections.abc import Iterable, Iterator
from typing import Final

# Not a limit of the service: keeps memory small where a file has no line breaks.
# A part's longest lines fill 128 MB, a hundred times what real queries do.
MAX_LINE_BYTES: Final = 262_144


def split(chunks: Iterable[bytes], longest: int = MAX_LINE_BYTES) -> Iterator[bytes]:
    """Split a stream into lines, without their line feeds.

    A line that is longer than `longest` is cut to one byte more than that, by which it
    can be told.
    """
    rest = b""
    cut = False
    for chunk in chunks:
        *complete, rest = (rest + chunk).split(b"\n")
        for line in complete:
            if not cut:
                yield line[: longest + 1]
            cut = False
        if cut:
            rest = b""
        elif len(rest) > longest:
            yield rest[: longest + 1]
            cut, rest = True, b""
    if rest:
        yield rest
