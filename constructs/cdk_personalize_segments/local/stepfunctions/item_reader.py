"""Reads the items of a Distributed Map state from S3.

https://docs.aws.amazon.com/step-functions/latest/dg/input-output-itemreader.html
"""

import csv
import io
import itertools
from collections.abc import Iterator, Mapping
from typing import Any, Final

from botocore.exceptions import ClientError

from cdk_personalize_segments.local.stepfunctions.errors import (
    ITEM_READER_FAILED,
    StateError,
)
from cdk_personalize_segments.local.stepfunctions.json_texts import read_json
from cdk_personalize_segments.local.stepfunctions.map_definition import (
    DELIMITERS,
    LIST_OBJECTS,
)
from cdk_personalize_segments.local.untyped import Client, Json

_BYTE_ORDER_MARK: Final = "\ufeff"


def read_items(
    s3: Client, reader: Mapping[str, Any], arguments: Mapping[str, Any], most: int
) -> list[Any]:
    """Read items.

    Args:
        s3: A client with the rights of the machine's role.
        reader: The ItemReader.
        arguments: Its evaluated arguments.
        most: How many items to read at most.

    Raises:
        StateError: They cannot be read.
    """
    try:
        if reader["Resource"] == LIST_OBJECTS:
            items = _listed(s3, arguments)
        else:
            content = s3.get_object(**arguments)["Body"].read()
            items = _parsed(content, reader["ReaderConfig"])
        return list(itertools.islice(items, most))
    except ClientError as error:
        raise StateError(ITEM_READER_FAILED, str(error)) from None
    except (ValueError, csv.Error) as error:
        raise StateError(
            ITEM_READER_FAILED,
            f"Attempting to read {_place(arguments)} failed: {error}",
        ) from None


def _place(arguments: Mapping[str, Any]) -> str:
    return f"s3://{arguments.get('Bucket')}/{arguments.get('Key', '')}"


def _listed(s3: Client, arguments: Mapping[str, Any]) -> Iterator[Json]:
    for page in s3.get_paginator("list_objects_v2").paginate(**arguments):
        for each in page.get("Contents", []):
            yield {
                "Etag": each["ETag"],
                "Key": each["Key"],
                "LastModified": round(each["LastModified"].timestamp()),
                "Size": each["Size"],
                "StorageClass": each.get("StorageClass", "STANDARD"),
            }


def _parsed(content: bytes, config: Mapping[str, Any]) -> Iterator[Json]:
    text = content.decode().removeprefix(_BYTE_ORDER_MARK)
    if config["InputType"] == "CSV":
        return _rows(text, config)
    if config["InputType"] == "JSONL":
        return (read_json(line) for line in text.splitlines() if line.strip())
    items = read_json(text)
    if not isinstance(items, list):
        raise ValueError("it is not a JSON array")
    return iter(items)


def _rows(text: str, config: Mapping[str, Any]) -> Iterator[Json]:
    """Give rows as objects; missing fields are empty and surplus ones left out."""
    delimiter = DELIMITERS[config.get("CSVDelimiter", "COMMA")]
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    headers = config.get("CSVHeaders") or next(rows, [])
    for row in rows:
        if row:
            fields = itertools.chain(row, itertools.repeat(""))
            yield dict(zip(headers, fields, strict=False))
