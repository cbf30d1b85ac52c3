"""Prepares the input of a run: checks every query, deals them out, freezes them."""

import logging
from typing import Any

from . import (
    execution_input,
    limits,
    lines,
    models,
    objects,
    plans,
    queries,
    sources,
)
from .execution_input import Request
from .failures import AccessDenied, InvalidInput, RunFailure, describe
from .invalid_lines import InvalidLines
from .locations import Locations, run_of, uri
from .models import SolutionVersion
from .parts import PartsWriter, per_part

_log = logging.getLogger(__name__)


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Prepare the input of a run.

    The event has `now`, `execution`, `input` and `defaults`.

    Raises:
        AccessDenied: A grant is missing. It is raised, so that the state machine
            tries again: a grant that was just given takes a while to hold.
    """
    places = Locations()
    name = run_of(places, event["execution"])
    try:
        plan = plans.read(places, name) or _plan(event, places, name)
    except AccessDenied:
        raise
    except RunFailure as failure:
        return _failed(name, failure)
    _log.info("Input prepared", extra={"run": name, "queries": plan["run"]["queries"]})
    return _result("ready", plan["run"], list(range(plan["parts"])), None)


def _plan(event: dict[str, Any], places: Locations, name: str) -> dict[str, Any]:
    request = execution_input.read(event["input"], event["defaults"], places.run_prefix)
    if request.resume:
        return plans.resumed(places, name, request.resume)
    version = models.find_solution_version(
        request.solution_version_arn, event["defaults"]
    )
    placeholders = models.filter_placeholders(request.filter_arn, version)
    parts = PartsWriter(places, name, per_part(version.recipe, request.num_results))
    used = _read(places, name, request, version.recipe, placeholders, parts)
    run = _run(places, name, request, version, parts)
    return plans.write(places, run, parts.parts, used, _notes(used))


def _read(
    places: Locations,
    name: str,
    request: Request,
    recipe: str,
    placeholders: frozenset[str],
    parts: PartsWriter,
) -> list[dict[str, Any]]:
    """Check all query files and write the parts; return which files they were."""
    used: list[dict[str, Any]] = []
    with InvalidLines(places, name) as invalid:
        for key in sources.find(request.queries, places):
            try:
                reader = objects.ObjectReader(places.input_bucket, key)
            except FileNotFoundError:
                raise InvalidInput(
                    f"The query file {uri(places.input_bucket, key)} was deleted while "
                    "the run read the query files; start again."
                ) from None
            before = parts.queries
            for number, line in lines.queries(reader.chunks()):
                query = queries.check(line, recipe, placeholders)
                if isinstance(query, queries.Query):
                    parts.add(key, number, query)
                else:
                    parts.stop()
                    invalid.add(key, number, query)
                    if invalid.full:
                        break
            if invalid.full:
                break
            used.append(
                {
                    "key": key,
                    "versionId": reader.version_id,
                    "etag": reader.etag,
                    "bytes": reader.size,
                    "queries": parts.queries - before,
                }
            )
    invalid.refuse()
    if not parts.queries:
        raise InvalidInput(
            f"The {len(used):,} query files that the run reads hold no query, "
            f"{uri(places.input_bucket, used[0]['key'])} for one; write one query per "
            f"line, like {queries.EXAMPLES[recipe]}."
        )
    parts.finish()
    return used


def _run(
    places: Locations,
    name: str,
    request: Request,
    version: SolutionVersion,
    parts: PartsWriter,
) -> dict[str, Any]:
    # A single file is the path that the service's guide shows.
    folder = places.input_folder(name)
    key = places.input_part(name, 0) if parts.parts == 1 else folder
    run = {
        **_unprepared(name),
        "jobName": name,
        "prepared": name,
        "solutionVersionArn": version.arn,
        "recipe": version.recipe,
        "filterArn": request.filter_arn,
        "numResults": request.num_results,
        "tags": request.tags,
        "input": uri(places.input_bucket, key),
        "output": uri(places.output_bucket, places.output_folder(name)),
        "queries": parts.queries,
    }
    for path in (run["input"], run["output"]):
        if len(path) > limits.MAX_S3_PATH_LENGTH:
            raise InvalidInput(
                f"The path {path} has {len(path)} characters, and Personalize takes at "
                f"most {limits.MAX_S3_PATH_LENGTH}; give the pipeline a shorter prefix."
            )
    return run


def _notes(used: list[dict[str, Any]]) -> list[str]:
    return [f"{each['key']} holds no query." for each in used if not each["queries"]]


def _unprepared(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "jobName": None,
        "adoptable": [],
        "prepared": None,
        "solutionVersionArn": None,
        "recipe": None,
        "filterArn": None,
        "numResults": None,
        "tags": {},
        "input": None,
        "output": None,
        "queries": None,
    }


def _failed(name: str, failure: RunFailure) -> dict[str, Any]:
    _log.warning("Input refused", extra={"run": name, "error": type(failure).__name__})
    return _result("failed", _unprepared(name), [], describe(failure))


def _result(
    outcome: str,
    run: dict[str, Any],
    parts: list[int],
    failure: dict[str, str] | None,
) -> dict[str, Any]:
    return {
        "outcome": outcome,
        "run": run,
        "parts": parts,
        "waiting": {"since": None, "attempts": 0, "refusedSince": None},
        "looking": {"since": None},
        "failure": failure,
    }
