"""One tiny job, and what it shows of the service that is not documented for sure."""

import json
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from botocore.exceptions import ClientError

from cdk_personalize_segments._runtime import limits, locations
from cdk_personalize_segments.cli import report, runs, screen
from cdk_personalize_segments.cli.errors import SDK_ERRORS, is_not_found, sentence
from cdk_personalize_segments.cli.executions import SUCCEEDED, Snapshot
from cdk_personalize_segments.cli.pipelines import Pipeline

_NUM_RESULTS: Final = 5
_USERS_KEYS: Final = ("usersList", "recommendedUsers")
_NONE: Final = "not seen"


class Fact(NamedTuple):
    """A thing that no documentation settles, and what was seen of it."""

    fact: str
    seen: str


def run(pipeline: Pipeline, query: str) -> int:
    """Run one job for one query, and print what it shows.

    Args:
        pipeline: The pipeline.
        query: The query, one line of JSON.

    Returns:
        0 if the run succeeded, else 1.

    Raises:
        CliError: The query cannot be used.
    """
    looks: list[Snapshot] = []
    key = None
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, f"doctor-smoke-{datetime.now(UTC):%Y%m%dT%H%M%S}.jsonl")
        file.write_text(f"{query}\n", encoding="utf-8")
        runs.check(pipeline, [file])
        try:
            key = runs.upload(pipeline, file)
            started = runs.start(pipeline, {"queries": key, "numResults": _NUM_RESULTS})
            ended = runs.wait(pipeline, started.execution_arn, on_look=looks.append)
        finally:
            if key:
                _remove(pipeline, key)
    code = report.run_ended(pipeline, ended)
    statuses = dict.fromkeys(each.job_status for each in looks if each.job_status)
    screen.line()
    screen.table(("Fact", "Seen"), _facts(pipeline, ended, list(statuses)))
    return code


def _remove(pipeline: Pipeline, key: str) -> None:
    """Remove the query file, which other runs would use too."""
    bucket = pipeline.places.input_bucket
    try:
        pipeline.account.s3.delete_object(Bucket=bucket, Key=key)
    except SDK_ERRORS as error:
        screen.note(
            f"{locations.uri(bucket, key)} was not removed, and runs over all query "
            f"files use it too; remove it. {sentence(error)}",
            "yellow",
        )


def _facts(pipeline: Pipeline, ended: Snapshot, statuses: list[str]) -> Iterator[Fact]:
    job = _job(pipeline, str((ended.output or {}).get("jobName", ended.run)))
    seen = dict.fromkeys([*statuses, *([job["status"]] if job else [])])
    yield Fact("statuses of a job", ", ".join(seen) or _NONE)
    succeeded = ended.status == SUCCEEDED
    yield Fact(
        "service role with S3 statements only; conditions on aws:SourceAccount, "
        "aws:SourceArn and s3:prefix",
        "the job succeeded with them" if succeeded else f"the run ended: {ended.error}",
    )
    if job.get("failureReason"):
        yield Fact("reason of a failed job", job["failureReason"])
    if job.get("status") != "ACTIVE":
        return
    yield Fact("input given as", job["jobInput"]["s3DataSource"]["path"])
    took = job["lastUpdatedDateTime"] - job["creationDateTime"]
    yield Fact("time from creation to the last update", screen.duration(took))
    yield from _output_facts(pipeline, job)


def _job(pipeline: Pipeline, name: str) -> Mapping[str, Any]:
    try:
        answer = pipeline.account.personalize.describe_batch_segment_job(
            batchSegmentJobArn=pipeline.job_arn(name)
        )
    except ClientError as error:
        if is_not_found(error):
            return {}
        raise
    return dict(answer["batchSegmentJob"])


def _output_facts(pipeline: Pipeline, job: Mapping[str, Any]) -> Iterator[Fact]:
    folder = job["jobOutput"]["s3DataDestination"]["path"]
    bucket, prefix = locations.bucket_and_key(folder)
    found = pipeline.account.s3.list_objects_v2(Bucket=bucket, Prefix=prefix)
    objects = found.get("Contents", [])
    names = [each["Key"].removeprefix(prefix) for each in objects]
    yield Fact(
        "objects in the output of a job with one file", ", ".join(names) or _NONE
    )
    outputs = [each for each in objects if each["Key"].endswith(".out")]
    if not outputs:
        return
    lag = outputs[0]["LastModified"] - job["lastUpdatedDateTime"]
    yield Fact(
        "output written, compared with the job's last update",
        f"{lag.total_seconds():+.0f} s",
    )
    body = pipeline.account.s3.get_object(Bucket=bucket, Key=outputs[0]["Key"])["Body"]
    lines = body.read(limits.BYTES_PER_USER * 10_000).splitlines()
    yield Fact("lines of output for one query", str(len(lines)))
    yield from _line_facts(json.loads(lines[0]) if lines else {})


def _line_facts(line: Mapping[str, Any]) -> Iterator[Fact]:
    yield Fact("keys of a line", ", ".join(line) or _NONE)
    yield Fact(
        "query wrapped in input",
        f"yes, with {', '.join(line['input'])}" if "input" in line else "no",
    )
    output = line.get("output") or {}
    key = next((each for each in _USERS_KEYS if each in output), None)
    yield Fact(
        "key of the users", f"{key} ({len(output[key])} users)" if key else _NONE
    )
    error = json.dumps(line["error"]) if "error" in line else "no such key"
    yield Fact("error of a line", error)
