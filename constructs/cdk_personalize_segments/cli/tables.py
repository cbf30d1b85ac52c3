"""Writes the results of a run as two tables: its users, and its queries."""

import gzip
import json
import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cdk_personalize_segments.cli.errors import CliError

if TYPE_CHECKING:
    import pyarrow as pa

KINDS: Final = ("users", "queries")
_USER_COLUMNS: Final = ("query_id", "rank", "user_id")
_QUERY_COLUMNS: Final = (
    "query_id",
    "file",
    "line",
    "item_id",
    "item_attributes",
    "query",
    "status",
    "users",
    "error",
)
_NUMBERS: Final = frozenset({"rank", "line", "users"})
_ROWS_AT_ONCE: Final = 50_000
_CHUNK: Final = 1 << 20
_PARTIAL: Final = ".partial"


def check_parquet() -> None:
    """Make sure that Parquet can be written.

    Raises:
        CliError: It cannot.
    """
    try:
        import pyarrow  # noqa: F401
    except ModuleNotFoundError:
        raise CliError(
            "Parquet needs pyarrow; pip install 'cdk-personalize-segments[parquet]' "
            "brings it."
        ) from None


def write(target: Path, kind: str, sources: list[Path]) -> Path:
    """Write one table, as its name ends: CSV or Parquet.

    Args:
        target: The file; it is there when it is whole.
        kind: One of `KINDS`.
        sources: The files of the results that hold it.

    Returns:
        The file.
    """
    partial = target.with_name(target.name + _PARTIAL)
    try:
        if target.suffix == ".parquet":
            _write_parquet(partial, kind, sources)
        elif kind == "users":
            _join_csv(partial, sources)
        else:
            _write_csv(partial, sources)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return target


def _join_csv(target: Path, sources: list[Path]) -> None:
    """Put files of users together, under one header."""
    with target.open("wb") as stream:
        stream.write(f"{','.join(_USER_COLUMNS)}\n".encode())
        for source in sources:
            with gzip.open(source, "rb") as rows:
                rows.readline()
                shutil.copyfileobj(rows, stream, 1 << 20)


def _write_csv(target: Path, sources: list[Path]) -> None:
    with target.open("w", encoding="utf-8", newline="") as stream:
        stream.write(f"{','.join(_QUERY_COLUMNS)}\n")
        for row in _queries(sources):
            fields = (_field(row[column]) for column in _QUERY_COLUMNS)
            stream.write(f"{','.join(fields)}\n")


def _field(value: str | int | None) -> str:
    """Write a field of CSV; the standard library does not always quote a return."""
    text = "" if value is None else str(value)
    if any(each in text for each in '",\r\n'):
        return '"{}"'.format(text.replace('"', '""'))
    return text


def _queries(sources: list[Path]) -> Iterator[dict[str, Any]]:
    for source in sources:
        with gzip.open(source, "rt", encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                query = row["query"]
                yield {
                    **row,
                    "item_id": _text(query.get("itemId")),
                    "item_attributes": _text(query.get("itemAttributes")),
                    "query": _text(json.dumps(query, ensure_ascii=False)),
                    "error": _text(row["error"]),
                }


def _text(value: str | None) -> str | None:
    """Write half a character, which JSON can name but UTF-8 cannot, as its escape."""
    return value and value.encode(errors="backslashreplace").decode()


def _write_parquet(target: Path, kind: str, sources: list[Path]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    columns = _USER_COLUMNS if kind == "users" else _QUERY_COLUMNS
    schema = pa.schema(
        [(name, pa.int64() if name in _NUMBERS else pa.string()) for name in columns]
    )
    batches = _user_batches if kind == "users" else _query_batches
    with parquet.ParquetWriter(target, schema) as writer:
        for batch in batches(sources, schema):
            writer.write_batch(batch)


def _user_batches(
    sources: list[Path], schema: "pa.Schema"
) -> "Iterator[pa.RecordBatch]":
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    for source in sources:
        # The reader's own threads would read ahead as far as there is memory.
        with (
            pa.input_stream(source, compression="gzip") as stream,
            arrow_csv.open_csv(
                stream,
                arrow_csv.ReadOptions(use_threads=False, block_size=_CHUNK),
                arrow_csv.ParseOptions(newlines_in_values=True),
                arrow_csv.ConvertOptions(column_types=schema),
            ) as reader,
        ):
            yield from reader


def _query_batches(
    sources: list[Path], schema: "pa.Schema"
) -> "Iterator[pa.RecordBatch]":
    import pyarrow as pa

    rows = _queries(sources)
    while some := list(islice(rows, _ROWS_AT_ONCE)):
        yield pa.RecordBatch.from_pylist(some, schema=schema)
