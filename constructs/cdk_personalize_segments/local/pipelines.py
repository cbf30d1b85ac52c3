"""Deployed pipelines as tests use them: queries in, segments out."""

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from cdk_personalize_segments._runtime import locations
from cdk_personalize_segments.local.errors import LocalAwsError
from cdk_personalize_segments.local.executions import Execution
from cdk_personalize_segments.local.untyped import Client

ClientOf = Callable[[str], Client]


def upload(
    client: ClientOf,
    state_machine_arn: str,
    name: str,
    queries: Iterable[Mapping[str, Any]],
) -> None:
    """Put queries where a pipeline reads them.

    Args:
        client: Gives a boto3 client of a service.
        state_machine_arn: The pipeline's state machine.
        name: The name of the file to be, under the queries prefix.
        queries: One mapping for each line.

    Raises:
        LocalAwsError: There is no such state machine, or it is not a pipeline's.
    """
    # Late: tests that use no fixture of ours need not wait for it.
    from botocore.exceptions import ClientError

    try:
        machine = client("stepfunctions").describe_state_machine(
            stateMachineArn=state_machine_arn
        )
    except ClientError as error:
        raise LocalAwsError(
            f"{state_machine_arn} cannot be asked: {error}; pass the ARN of a pipeline "
            "that is deployed in this local AWS"
        ) from error
    try:
        prepare = json.loads(machine["definition"])["States"]["Prepare input"]
        function = prepare["Arguments"]["FunctionName"]
        settings = client("lambda").get_function_configuration(FunctionName=function)
        places = locations.Locations(settings["Environment"]["Variables"])
    except KeyError:
        raise LocalAwsError(
            f"{state_machine_arn} is not the state machine of a BatchSegmentPipeline, "
            "and only such a one takes queries"
        ) from None
    client("s3").put_object(
        Bucket=places.input_bucket,
        Key=f"{places.queries_prefix}{name}",
        Body="".join(f"{json.dumps(query)}\n" for query in queries).encode(),
    )


def segments(client: ClientOf, execution: Execution) -> dict[str, list[str]]:
    """Read the segments of a run.

    Args:
        client: Gives a boto3 client of a service.
        execution: The run's execution, which has succeeded.

    Returns:
        The users of each query, the most likely first.

    Raises:
        LocalAwsError: The run failed, or some of its queries did.
    """
    if execution.status != "SUCCEEDED":
        raise LocalAwsError(
            f"the run has no segments: it ended as {execution.status} with "
            f"{execution.error}: {execution.cause}"
        )
    s3 = client("s3")
    results = json.loads(_read(s3, execution.output["manifest"]))["results"]
    queries = [
        json.loads(line)
        for file in _files(s3, results["queries"])
        for line in file.splitlines()
    ]
    failed = [each for each in queries if each["status"] not in ("segment", "empty")]
    if failed:
        told = [f"{_label(each['query'])} ({each['error']})" for each in failed]
        raise LocalAwsError(f"some queries have no segment: {', '.join(told)}")
    users: dict[str, list[str]] = {each["query_id"]: [] for each in queries}
    for file in _files(s3, results["users"]):
        for row in csv.DictReader(io.StringIO(file)):
            users[row["query_id"]].append(row["user_id"])
    return {_label(each["query"]): users[each["query_id"]] for each in queries}


def _label(query: Mapping[str, Any]) -> str:
    """Name a query by its item or expression, and all of it if there is more."""
    return str(*query.values()) if len(query) == 1 else json.dumps(query)


def _files(s3: Client, folder: str) -> Iterator[str]:
    """Read the gzipped files of a folder, in their order."""
    bucket, prefix = locations.bucket_and_key(folder)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    for page in pages:
        for each in page.get("Contents", []):
            content = _read(s3, locations.uri(bucket, each["Key"]))
            yield gzip.decompress(content).decode()


def _read(s3: Client, location: str) -> bytes:
    bucket, key = locations.bucket_and_key(location)
    content: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    return content
