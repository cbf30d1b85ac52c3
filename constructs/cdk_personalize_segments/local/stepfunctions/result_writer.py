"""Gathers the results of a Map Run, and writes them to S3.

https://docs.aws.amazon.com/step-functions/latest/dg/input-output-resultwriter.html
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError

from cdk_personalize_segments.local.stepfunctions.descriptions import for_results
from cdk_personalize_segments.local.stepfunctions.errors import (
    RESULT_WRITER_FAILED,
    StateError,
)
from cdk_personalize_segments.local.stepfunctions.map_runs import Child, MapRun
from cdk_personalize_segments.local.stepfunctions.scopes import written
from cdk_personalize_segments.local.untyped import Client, Json

# The file in which child executions end up, by their status.
_FILES: Final[Mapping[str, str]] = {
    "ABORTED": "FAILED",
    "FAILED": "FAILED",
    "PENDING": "PENDING",
    "PENDING_REDRIVE": "PENDING",
    "SUCCEEDED": "SUCCEEDED",
    "TIMED_OUT": "FAILED",
}


@dataclass(frozen=True, kw_only=True)
class Format:
    """How results look.

    Attributes:
        transformation: COMPACT, FLATTEN or NONE.
        lines: Whether files have a result per line, instead of one list.
    """

    transformation: str
    lines: bool

    @classmethod
    def of(cls, writer: Mapping[str, Any]) -> "Format":
        """Read a ResultWriter, which may be empty."""
        config = writer.get("WriterConfig", {})
        default = "NONE" if "Resource" in writer else "COMPACT"
        return cls(
            transformation=config.get("Transformation", default),
            lines=config.get("OutputType") == "JSONL",
        )


def results(children: Iterable[Child], form: Format) -> list[Any]:
    """Give the results of child executions, in the order of the items.

    Args:
        children: The child executions.
        form: How results look. That of one that failed always tells of all of it.
    """
    told: list[Any] = []
    for child in children:
        if child.execution is None:
            told.append({"Input": child.text, "Status": "PENDING"})
        elif child.status != "SUCCEEDED" or form.transformation == "NONE":
            told.append(for_results(child.execution))
        else:
            output = json.loads(child.execution.output or "null")
            flat = form.transformation == "FLATTEN" and isinstance(output, list)
            told += output if flat else [output]
    return told


def write_results(
    s3: Client, run: MapRun, arguments: Mapping[str, Any], form: Format
) -> Json:
    """Write the results of a Map Run: a file by outcome, and a manifest.

    What the file of those that were never started says of each is not documented.

    Args:
        s3: A client with the rights of the machine's role.
        run: The Map Run.
        arguments: The evaluated arguments of the ResultWriter.
        form: How results look.

    Returns:
        The result of the Map state.

    Raises:
        StateError: They cannot be written.
    """
    bucket = arguments["Bucket"]
    parts = [str(arguments.get("Prefix", "")).strip("/"), run.id]
    folder = "/".join(part for part in parts if part)
    by_file: dict[str, list[Child]] = {"FAILED": [], "PENDING": [], "SUCCEEDED": []}
    for child in run.children or []:
        by_file[_FILES[child.status]].append(child)
    files: dict[str, list[dict[str, Any]]] = {}
    try:
        for name, children in by_file.items():
            files[name] = []
            if children:
                content = _content(results(children, form), form)
                key = f"{folder}/{name}_0.{'jsonl' if form.lines else 'json'}"
                s3.put_object(Bucket=bucket, Key=key, Body=content)
                files[name].append({"Key": key, "Size": len(content)})
        manifest = {
            "DestinationBucket": bucket,
            "MapRunArn": run.arn,
            "ResultFiles": files,
        }
        key = f"{folder}/manifest.json"
        s3.put_object(Bucket=bucket, Key=key, Body=written(manifest).encode())
    except ClientError as error:
        raise StateError(RESULT_WRITER_FAILED, str(error)) from None
    return {
        "MapRunArn": run.arn,
        "ResultWriterDetails": {"Bucket": bucket, "Key": key},
    }


def _content(told: list[Any], form: Format) -> bytes:
    if form.lines:
        return "".join(f"{written(each)}\n" for each in told).encode()
    return written(told).encode()
