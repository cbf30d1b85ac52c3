"""The command `fetch`: downloads the results of a run."""

from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TransferSpeedColumn,
)

from cdk_personalize_segments._runtime import locations
from cdk_personalize_segments.cli import options, screen
from cdk_personalize_segments.cli.errors import CliError
from cdk_personalize_segments.cli.pipelines import Pipeline


class _Object(NamedTuple):
    key: str
    size: int
    target: Path


def fetch(
    run: Annotated[str, typer.Argument(help="The run's name.")],
    to: Annotated[
        Path | None,
        typer.Option(help="The folder to write to. Default: one of the run's name."),
    ] = None,
    stack: options.Stack = None,
    pipeline: options.PipelinePath = None,
    state_machine: options.StateMachine = None,
    profile: options.Profile = None,
    region: options.Region = None,
) -> None:
    """Download the results of a run, as they are: manifest, queries and users."""
    found = options.pipeline_of(profile, region, stack, pipeline, state_machine)
    folder = to or Path(run)
    objects = _objects(found, run, folder)
    if not objects:
        bucket = found.places.output_bucket
        where = locations.uri(bucket, found.places.results_folder(run))
        raise CliError(
            f"There are no results in {where}; `personalize-segments list` shows the "
            "recent runs."
        )
    _download(found, objects)
    screen.line(f"{screen.count(len(objects), 'file')} in {folder}")


def _objects(pipeline: Pipeline, run: str, folder: Path) -> list[_Object]:
    prefix = pipeline.places.results_folder(run)
    pages = pipeline.account.s3.get_paginator("list_objects_v2").paginate(
        Bucket=pipeline.places.output_bucket, Prefix=prefix
    )
    found = []
    for page in pages:
        for each in page.get("Contents", []):
            target = folder / each["Key"].removeprefix(prefix)
            if not target.resolve().is_relative_to(folder.resolve()):
                raise CliError(f"The key {each['Key']} leads out of {folder}.")
            found.append(_Object(each["Key"], each["Size"], target))
    return found


def _download(pipeline: Pipeline, objects: list[_Object]) -> None:
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
        for each in objects:
            progress.update(task, description=each.target.name)
            each.target.parent.mkdir(parents=True, exist_ok=True)
            pipeline.account.s3.download_file(
                pipeline.places.output_bucket,
                each.key,
                str(each.target),
                Callback=lambda done: progress.advance(task, done),
            )
