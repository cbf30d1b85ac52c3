"""Reads the results of a run from S3, as much of them as a screen holds."""

import csv
import gzip
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from botocore.exceptions import ClientError

from cdk_personalize_segments.cli.errors import CliError, is_not_found
from cdk_personalize_segments.cli.pipelines import Pipeline

SEGMENT: Final = "segment"
_SCHEMA_VERSION: Final = 1
# A part may hold millions of users before those of the next query.
_MOST_ROWS: Final = 500_000


@dataclass
class Segment:
    """What became of a query.

    Attributes:
        query_id: Its id in the run.
        file: The key of its file.
        line: Its line there.
        query: The query itself.
        status: `segment`, `empty`, `failed` or `missing`.
        users: How many users the segment has.
        error: What the service says, if it failed.
        first_users: The first users; none where they were not read.
    """

    query_id: str
    file: str
    line: int
    query: Mapping[str, Any]
    status: str
    users: int
    error: str | None
    first_users: list[str] = field(default_factory=list)


def manifest(pipeline: Pipeline, run: str) -> Mapping[str, Any] | None:
    """Read a run's manifest, or return None if it has none.

    Args:
        pipeline: The pipeline.
        run: The run's name.
    """
    try:
        answer = pipeline.account.s3.get_object(
            Bucket=pipeline.places.output_bucket, Key=pipeline.places.manifest(run)
        )
    except ClientError as error:
        if is_not_found(error):
            return None
        raise
    content: Mapping[str, Any] = json.load(answer["Body"])
    check_version(content)
    return content


def check_version(manifest: Mapping[str, Any]) -> None:
    """Refuse a manifest of another version than this library writes.

    Args:
        manifest: The manifest.

    Raises:
        CliError: It is of another version.
    """
    if manifest["schemaVersion"] != _SCHEMA_VERSION:
        raise CliError(
            f"The manifest of the run {manifest.get('run')} has version "
            f"{manifest['schemaVersion']}, and this command reads version "
            f"{_SCHEMA_VERSION}; install the library's version that wrote it."
        )


def first_segments(
    pipeline: Pipeline,
    manifest: Mapping[str, Any],
    most_queries: int,
    most_users: int,
) -> list[Segment]:
    """Read the first queries of a run with their first users.

    Args:
        pipeline: The pipeline.
        manifest: The run's manifest.
        most_queries: How many queries to read.
        most_users: How many users of each.
    """
    run = manifest["run"]
    segments: list[Segment] = []
    for part in manifest["parts"]:
        if len(segments) >= most_queries:
            break
        number = int(part["part"])
        of_part = []
        for segment in _segments(pipeline, run, number):
            of_part.append(segment)
            if len(segments) + len(of_part) >= most_queries:
                break
        _add_users(pipeline, run, part, of_part, most_users)
        segments += of_part
    return segments


def unanswered(
    pipeline: Pipeline, manifest: Mapping[str, Any], most: int
) -> list[Segment]:
    """Read the first queries of a run that failed or are missing.

    Args:
        pipeline: The pipeline.
        manifest: The run's manifest.
        most: How many.
    """
    found: list[Segment] = []
    for part in manifest["parts"]:
        if not part["failed"] and not part["missing"]:
            continue
        for segment in _segments(pipeline, manifest["run"], int(part["part"])):
            if segment.status in {"failed", "missing"}:
                found.append(segment)
            if len(found) == most:
                return found
    return found


def _segments(pipeline: Pipeline, run: str, part: int) -> Iterator[Segment]:
    with _text(pipeline, pipeline.places.queries_part(run, part)) as lines:
        for line in lines:
            yield Segment(**json.loads(line))


def _add_users(
    pipeline: Pipeline,
    run: str,
    part: Mapping[str, Any],
    segments: list[Segment],
    most: int,
) -> None:
    """Read users until every segment has as many as are wanted."""
    wanted = {each.query_id: each for each in segments if each.status == SEGMENT}
    folder = pipeline.places.results_folder(run)
    keys = [each["key"] for each in part["files"] if each["key"].startswith("users/")]
    for key in keys:
        with _text(pipeline, folder + key) as lines:
            for number, row in enumerate(csv.DictReader(lines)):
                segment = wanted.get(row["query_id"])
                if segment:
                    segment.first_users.append(row["user_id"])
                    if len(segment.first_users) == min(most, segment.users):
                        del wanted[row["query_id"]]
                if not wanted or number == _MOST_ROWS:
                    return


def _text(pipeline: Pipeline, key: str) -> io.TextIOWrapper:
    body = pipeline.account.s3.get_object(
        Bucket=pipeline.places.output_bucket, Key=key
    )["Body"]
    return io.TextIOWrapper(
        gzip.GzipFile(fileobj=body),
        encoding="utf-8",
        newline="",
    )
