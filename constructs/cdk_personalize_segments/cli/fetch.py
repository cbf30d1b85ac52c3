"""The command `fetch`: downloads the results of a run."""

import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from boto3.exceptions import RetriesExceededError
from botocore.exceptions import ClientError
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TransferSpeedColumn,
)

from cdk_personalize_segments._runtime import locations
from cdk_personalize_segments.cli import options, results, screen, tables
from cdk_personalize_segments.cli.errors import CliError, is_not_found
from cdk_personalize_segments.cli.pipelines import Pipeline

_PARTIAL = ".partial"


class Format(StrEnum):
    """What files to write."""

    CSV = "csv"
    PARQUET = "parquet"
    ORIGINAL = "original"


class _Object(NamedTuple):
    """An object of the results; its checksum is None where the manifest has none."""

    name: str
    size: int
    sha256: str | None


def fetch(
    run: Annotated[
        str, typer.Argument(help="The run's name, or the ARN of its execution.")
    ],
    to: Annotated[
        Path | None,
        typer.Option(help="The folder to write to. Default: one of the run's name."),
    ] = None,
    form: Annotated[
        Format,
        typer.Option(
            "--format",
            help="csv and parquet: one file of users, one of queries; original: the "
            "objects as they are.",
        ),
    ] = Format.CSV,
    stack: options.Stack = None,
    pipeline: options.PipelinePath = None,
    state_machine: options.StateMachine = None,
    profile: options.Profile = None,
    region: options.Region = None,
) -> None:
    """Download the results of a run, and check that they are what the run wrote."""
    if form is Format.PARQUET:
        tables.check_parquet()
    found = options.pipeline_of(profile, region, stack, pipeline, state_machine)
    manifest = results.manifest_of(found, run)
    run = manifest["run"]
    folder = to or Path(run)
    folder.mkdir(parents=True, exist_ok=True)
    if form is Format.ORIGINAL:
        written = _download(found, run, _everything(found, run, manifest), folder)
    else:
        written = _tables(found, run, manifest, folder, form)
    if manifest["status"] != "SUCCEEDED":
        screen.note(
            f"The run failed ({manifest['failure']['error']}); this is what there is.",
            "yellow",
        )
    screen.line(f"{screen.count(len(written), 'file')} in {folder}")


def _tables(
    pipeline: Pipeline,
    run: str,
    manifest: Mapping[str, Any],
    folder: Path,
    form: Format,
) -> list[Path]:
    """Write one file of users and one of queries, if any, beside the manifest."""
    objects = _listed(manifest)
    beside = [
        each
        for each in _everything(pipeline, run, manifest)
        if each.name in {"manifest.json", "invalid-lines.jsonl"}
    ]
    with _removed_afterwards(folder) as scratch:
        _download(pipeline, run, objects, scratch)
        written = [
            tables.write(
                folder / f"{kind}.{form}",
                kind,
                [scratch / each.name for each in objects if each.name.startswith(kind)],
            )
            for kind in tables.KINDS
            if objects
        ]
    return [*written, *_download(pipeline, run, beside, folder)]


@contextmanager
def _removed_afterwards(folder: Path) -> Iterator[Path]:
    """Give a folder for files that are not to stay, where there is room for them."""
    scratch = Path(tempfile.mkdtemp(prefix=".fetch-", dir=folder))
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _listed(manifest: Mapping[str, Any]) -> list[_Object]:
    return [
        _Object(each["key"], each["bytes"], each["sha256"])
        for part in manifest["parts"]
        for each in part["files"]
    ]


def _everything(
    pipeline: Pipeline, run: str, manifest: Mapping[str, Any]
) -> list[_Object]:
    """List all objects of the results; of data only what the manifest vouches for."""
    listed = {each.name: each for each in _listed(manifest)}
    prefix = pipeline.places.results_folder(run)
    pages = pipeline.account.s3.get_paginator("list_objects_v2").paginate(
        Bucket=pipeline.places.output_bucket, Prefix=prefix
    )
    others = [
        _Object(each["Key"].removeprefix(prefix), each["Size"], None)
        for page in pages
        for each in page.get("Contents", [])
        if not each["Key"].removeprefix(prefix).startswith(tables.KINDS)
    ]
    return [*listed.values(), *others]


def _download(
    pipeline: Pipeline, run: str, objects: list[_Object], folder: Path
) -> list[Path]:
    progress = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=screen.err,
        transient=True,
        disable=not screen.err.is_terminal,
    )
    with progress:
        task = progress.add_task("", total=sum(each.size for each in objects))
        return [
            _download_one(pipeline, run, each, folder, progress, task)
            for each in objects
        ]


def _download_one(
    pipeline: Pipeline,
    run: str,
    wanted: _Object,
    folder: Path,
    progress: Progress,
    task: TaskID,
) -> Path:
    target = folder / wanted.name
    if not target.resolve().is_relative_to(folder.resolve()):
        raise CliError(f"The key {wanted.name} leads out of {folder}.")
    target.parent.mkdir(parents=True, exist_ok=True)
    progress.update(task, description=target.name)
    bucket = pipeline.places.output_bucket
    key = pipeline.places.results_folder(run) + wanted.name
    partial = target.with_name(target.name + _PARTIAL)
    again = f'start an execution with {{"resume": "{run}"}} to collect its segments'
    try:
        # Unlike a plain read of the object, this goes on after an interruption.
        pipeline.account.s3.download_file(
            bucket, key, str(partial), Callback=lambda n: progress.advance(task, n)
        )
        if not _is_whole(partial, wanted):
            raise CliError(
                f"{locations.uri(bucket, key)} is not what the run wrote: its size or "
                f"checksum differs from the manifest's; {again} again."
            )
        partial.replace(target)
    except ClientError as error:
        if is_not_found(error):
            raise CliError(
                f"{locations.uri(bucket, key)} is not there any more (its bucket's "
                f"rules may expire results); {again} again while its raw output is "
                "still there."
            ) from None
        raise
    except RetriesExceededError as error:
        raise CliError(
            f"{locations.uri(bucket, key)} could not be read to its end "
            f"({error}); fetch it once more."
        ) from None
    finally:
        partial.unlink(missing_ok=True)
    return target


def _is_whole(file: Path, wanted: _Object) -> bool:
    if file.stat().st_size != wanted.size:
        return False
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return wanted.sha256 in (None, digest)
