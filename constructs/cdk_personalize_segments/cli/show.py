"""The command `show`: prints the manifest of a run readably."""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from cdk_personalize_segments.cli import options, results, screen
from cdk_personalize_segments.cli.errors import CliError

_SOURCES: Final = 20


def show(
    run: Annotated[
        str, typer.Argument(help="A run's name, or a manifest.json that was fetched.")
    ],
    stack: options.Stack = None,
    pipeline: options.PipelinePath = None,
    state_machine: options.StateMachine = None,
    profile: options.Profile = None,
    region: options.Region = None,
    as_json: options.AsJson = False,
) -> None:
    """Show what a run's manifest says: counts, times, files, notes, what failed."""
    if Path(run).is_file():
        manifest = _read(Path(run))
    else:
        found = options.pipeline_of(profile, region, stack, pipeline, state_machine)
        of_run = results.manifest(found, run)
        if of_run is None:
            raise CliError(
                f"There is no manifest of a run {run!r}, nor a file of that name; "
                "`personalize-segments list` shows the recent runs."
            )
        manifest = of_run
    if as_json:
        typer.echo(json.dumps(manifest, indent=2, ensure_ascii=False))
        return
    _print(manifest)


def _read(file: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        content = None
    if not isinstance(content, dict) or not {"schemaVersion", "run"} <= content.keys():
        raise CliError(f"{file} is no manifest of a run; name a manifest.json.")
    results.check_version(content)
    return content


def _print(manifest: Mapping[str, Any]) -> None:
    failed = manifest["failure"]
    screen.line(
        f"Run {manifest['run']}: {manifest['status'].lower()}",
        "bold red" if failed else "green",
    )
    if failed:
        screen.line(f"{failed['error']}: {failed['cause']}")
    screen.places(_facts(manifest))
    counts = manifest["queries"]
    columns = ("segments", "empty", "failed", "missing", "total", "distinct")
    screen.table(
        [each.capitalize() for each in columns], [[f"{counts[c]:,}" for c in columns]]
    )
    sources = manifest["sources"]
    if sources:
        screen.table(
            ("Query file", "Queries", "Bytes", "Version"),
            (
                (
                    each["key"],
                    f"{each['queries']:,}",
                    f"{each['bytes']:,}",
                    each["versionId"] or "",
                )
                for each in sources[:_SOURCES]
            ),
        )
    if len(sources) > _SOURCES:
        screen.line(f"… and {screen.count(len(sources) - _SOURCES, 'more file')}")
    for note in manifest["notes"]:
        screen.line(f"Note: {note}", "yellow")


def _facts(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    job, invalid = manifest["job"], manifest["invalidLines"]
    facts = [
        ("started", manifest["startedAt"]),
        ("took", _between(manifest["startedAt"], manifest["finishedAt"])),
        ("solution", manifest["solutionVersionArn"]),
        ("recipe", manifest["recipe"]),
        ("filter", manifest["filterArn"]),
        ("users", f"{manifest['users']:,} in all"),
    ]
    if manifest["numResults"]:
        facts.append(("at most", f"{manifest['numResults']:,} a segment"))
    if job:
        facts += [
            ("job", f"{job['arn']} ({job['status']})"),
            ("queued", _between(job["queuedSince"], job["createdAt"])),
            ("worked", _between(job["createdAt"], job["updatedAt"])),
            ("input", job["input"]),
            ("output", job["output"]),
        ]
    if invalid:
        what = "skipped" if invalid["skipped"] else "refused"
        lines = screen.count(invalid["count"], "line")
        facts.append(("bad lines", f"{lines} {what}: {invalid['location']}"))
    if manifest["results"]:
        facts += list(manifest["results"].items())
    return [(name, value) for name, value in facts if value]


def _between(start: str | None, end: str | None) -> str | None:
    if not start or not end:
        return None
    return screen.duration(datetime.fromisoformat(end) - datetime.fromisoformat(start))
