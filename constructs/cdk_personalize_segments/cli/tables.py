"""Writes the results of a run as two tables: its users, and its queries."""

import csv
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
        stream.write(b"query_id,rank,user_id\n")
        for source in sources:
            with gzip.open(source, "rb") as rows:
                rows.readline()
                shutil.copyfileobj(rows, stream, 1 << 20)


def _write_csv(target: Path, sources: list[Path]) -> None:
    with target.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, _QUERY_COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(_queries(sources))


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
                }


def _text(text: str | None) -> str | None:
    """Replace half characters, which JSON can name but no file of text can hold."""
    return text and text.encode(errors="replace").decode()


def _users(sources: list[Path]) -> Iterator[dict[str, Any]]:
    for source in sources:
        with gzip.open(source, "rt", encoding="utf-8", newline="") as rows:
            for row in csv.DictReader(rows):
                yield {**row, "rank": int(row["rank"])}


def _write_parquet(target: Path, kind: str, sources: list[Path]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    columns = ("query_id", "rank", "user_id") if kind == "users" else _QUERY_COLUMNS
    schema = pa.schema(
        [(name, pa.int64() if name in _NUMBERS else pa.string()) for name in columns]
    )
    rows = _users(sources) if kind == "users" else _queries(sources)
    with parquet.ParquetWriter(target, schema) as writer:
        for batch in _batches(rows, schema):
            writer.write_batch(batch)


def _batches(
    rows: Iterator[dict[str, Any]], schema: "pa.Schema"
) -> "Iterator[pa.RecordBatch]":
    import pyarrow as pa

    while some := list(islice(rows, _ROWS_AT_ONCE)):
        yield pa.RecordBatch.from_pylist(some, schema=schema)
