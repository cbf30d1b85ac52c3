"""Reads the results of a run from S3, as much of them as a screen holds."""

import csv
import gzip
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import ClientError

from cdk_personalize_segments._runtime import locations
from cdk_personalize_segments.cli.account import Account
from cdk_personalize_segments.cli.errors import CliError, is_not_found
from cdk_personalize_segments.cli.executions import RUNNING, find_execution, look
from cdk_personalize_segments.cli.pipelines import Pipeline

SEGMENT: Final = "segment"
_SCHEMA: Final = Path(__file__).parents[1] / "schemas" / "manifest-1.json"
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

    Raises:
        CliError: It is of another version.
    """
    bucket, key = pipeline.places.output_bucket, pipeline.places.manifest(run)
    return manifest_at(pipeline.account, locations.uri(bucket, key))


def manifest_of(pipeline: Pipeline, run: str) -> Mapping[str, Any]:
    """Read the manifest that a run must have.

    Args:
        pipeline: The pipeline.
        run: The run's name, or the ARN of its execution.

    Raises:
        CliError: It has none (yet), or one of another version; or there is no such run.
    """
    # Results outlive what Step Functions knows of an execution.
    found = None if run.startswith("arn:") else manifest(pipeline, run)
    if found is not None:
        return found
    snapshot = look(pipeline, find_execution(pipeline, run))
    if snapshot.status == RUNNING:
        raise CliError(
            f"The run {snapshot.run} is still running; `personalize-segments status "
            f"{snapshot.run}` shows how far it is."
        )
    found = manifest(pipeline, snapshot.run)
    nothing = (snapshot.output or {}).get("nothingToDo")
    if found is None and nothing:
        raise CliError(
            f"The run {snapshot.run} had nothing to do, so it has no results: {nothing}"
        )
    if found is None:
        places = pipeline.places
        where = locations.uri(places.output_bucket, places.results_folder(snapshot.run))
        raise CliError(
            f"The run {snapshot.run} ended as {snapshot.status}, without results in "
            f"{where}."
        )
    return found


def manifest_at(account: Account, uri: str) -> Mapping[str, Any] | None:
    """Read a manifest from S3, or return None if there is nothing.

    Args:
        account: The account to read it with.
        uri: Its S3 URI.

    Raises:
        CliError: It is no manifest, or one of another version.
    """
    bucket, key = locations.bucket_and_key(uri)
    try:
        answer = account.s3.get_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if is_not_found(error):
            return None
        raise
    return parsed_manifest(answer["Body"].read(), uri)


def parsed_manifest(content: bytes, where: str) -> Mapping[str, Any]:
    """Read the content of a manifest.

    Args:
        content: The content.
        where: Where it comes from, for people.

    Raises:
        CliError: It is no manifest, or one of another version.
    """
    try:
        found = json.loads(content)
    except ValueError:
        found = None
    schema = json.loads(_SCHEMA.read_text(encoding="utf-8"))
    known = schema["properties"]["schemaVersion"]["const"]
    if isinstance(found, dict) and found.get("schemaVersion", known) != known:
        raise CliError(
            f"{where} is a manifest of version {found['schemaVersion']}, and this "
            f"command reads version {known}; use the library's version that wrote it."
        )
    if not isinstance(found, dict) or not found.keys() >= set(schema["required"]):
        raise CliError(f"{where} is no manifest of a run; name a manifest.json.")
    return found


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
