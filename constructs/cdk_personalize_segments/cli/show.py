"""The command `show`: prints the manifest of a run readably."""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from cdk_personalize_segments.cli import costs, options, results, screen
from cdk_personalize_segments.cli.account import Account
from cdk_personalize_segments.cli.errors import CliError

_SOURCES: Final = 20


def show(
    run: Annotated[
        str,
        typer.Argument(
            help="A run's name, the ARN of its execution, or a manifest.json, on disk "
            "or as s3:// URI."
        ),
    ],
    stack: options.Stack = None,
    pipeline: options.PipelinePath = None,
    state_machine: options.StateMachine = None,
    profile: options.Profile = None,
    region: options.Region = None,
    as_json: options.AsJson = False,
) -> None:
    """Show what a run's manifest says: counts, times, files, notes, cost, failure."""
    if run.startswith("s3://"):
        manifest = _stored(Account(profile, region), run)
    elif run.endswith(".json") or Path(run).is_file():
        manifest = _on_disk(Path(run))
    else:
        found = options.pipeline_of(profile, region, stack, pipeline, state_machine)
        manifest = results.manifest_of(found, run)
    if as_json:
        typer.echo(json.dumps(manifest, indent=2, ensure_ascii=False))
        return
    _print(manifest)
    costs.show(manifest, None)


def _stored(account: Account, uri: str) -> Mapping[str, Any]:
    manifest = results.manifest_at(account, uri)
    if manifest is None:
        raise CliError(f"There is no {uri}; name a manifest.json, or a run.")
    return manifest


def _on_disk(file: Path) -> Mapping[str, Any]:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise CliError(
            f"{file} cannot be read: {error.strerror}; name a manifest.json, or a run."
        ) from None
    return results.parsed_manifest(content, str(file))


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
