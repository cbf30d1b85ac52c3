"""Prepares the input of a run: checks every query, deals them out, freezes them."""

import hashlib
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any, Final

from . import (
    execution_input,
    limits,
    log_fields,
    models,
    objects,
    overlaps,
    plans,
    run_outputs,
    sources,
    usage,
)
from .claims import Claims, named
from .dealing import Deal, too_large
from .execution_input import Request
from .failures import AccessDenied, InvalidInput, RunFailure, counted, describe
from .invalid_lines import InvalidLines
from .locations import Locations, run_of, uri
from .models import SolutionVersion
from .parts import PartsWriter
from .queries import EXAMPLES
from .query_files import Bad, read
from .run_outputs import NothingToDo
from .times import Context, is_short

_log = logging.getLogger(__name__)

# How much of a function's time is left for what comes after reading.
_RESERVE_SECONDS: Final = 120
# Whoever has so many times more lines than a run takes is told without all of them.
_FAR: Final = 2


def handler(event: dict[str, Any], context: Context) -> dict[str, Any]:
    """Prepare the input of a run.

    The event has `now`, `execution`, `input` and `defaults`.

    Raises:
        AccessDenied: A grant is missing. It is raised, so that the state machine
            tries again: a grant that was just given takes a while to hold.
    """
    places = Locations()
    preparation = _Preparation(event, context, places)
    name = preparation.name
    try:
        plan = plans.read(places, name) or preparation.plan()
    except NothingToDo as found:
        _log.info("Nothing to do", extra=log_fields.of(event, run=name))
        output = run_outputs.of_run(name, nothingToDo=str(found))
        return {**_result("nothingToDo", _unprepared(name)), "result": output}
    except AccessDenied:
        raise
    except RunFailure as failure:
        preparation.claims.give_back()
        error = type(failure).__name__
        _log.warning("Input refused", extra=log_fields.of(event, run=name, error=error))
        run = {
            **_unprepared(name),
            "invalidLines": preparation.invalid_lines,
            "used": preparation.meter.used(),
        }
        return _result("failed", run, failure=describe(failure))
    run = plan["run"]
    known = log_fields.of({**event, "run": run}, run=name, queries=run["queries"])
    _log.info("Input prepared", extra=known)
    return _result("ready", run, list(range(plan["parts"])))


class _Preparation:
    """The preparation of a run's input, and what was found on the way."""

    def __init__(
        self, event: dict[str, Any], context: Context, places: Locations
    ) -> None:
        self.name = run_of(places, event["execution"])
        self.invalid_lines: dict[str, Any] | None = None
        self.claims = Claims(places, self.name)
        self.meter = usage.Meter(context)
        self._execution: dict[str, str] = event["execution"]
        self._input = event["input"]
        self._defaults: dict[str, Any] = event["defaults"]
        self._context = context
        self._places = places
        self._sources: list[dict[str, Any]] = []
        self._doubts: Counter[str] = Counter()
        self._unread: list[str] = []
        self._uploaded = False

    def plan(self) -> dict[str, Any]:
        """Prepare the input, and commit it."""
        places = self._places
        request = execution_input.read(self._input, self._defaults, places.run_prefix)
        if request.resume:
            return plans.resumed(places, self.name, request.resume)
        if request.skips_on_overlap:
            overlaps.check(places, self._execution)
        version = models.find_solution_version(
            request.solution_version_arn, self._defaults
        )
        placeholders = models.filter_placeholders(request.filter_arn, version)
        deal = Deal(version.recipe, request.num_results)
        with PartsWriter(places, self.name, deal) as parts:
            self._read(request, version.recipe, placeholders, deal, parts)
            parts.finish()
        run = self._run(request, version, deal)
        return plans.write(places, run, deal.parts, self._sources, self._notes())

    def _read(
        self,
        request: Request,
        recipe: str,
        placeholders: frozenset[str],
        deal: Deal,
        parts: PartsWriter,
    ) -> None:
        """Check all query files, and deal out their queries."""
        skip = self._defaults["skipInvalidLines"]
        files = self._files(request)
        invalid = InvalidLines(self._places, self.name)
        try:
            with invalid:
                self._read_files(files, recipe, placeholders, deal, parts, invalid)
        except InvalidInput as stopped:
            self.invalid_lines = invalid.summary(skipped=False)
            raise invalid.mentioned(stopped) from None
        self.invalid_lines = invalid.summary(skipped=skip)
        if invalid.count and not (skip and deal.lines):
            raise invalid.refusal()
        if not self._sources:
            raise NothingToDo(self.claims.nothing_left())
        if not deal.lines:
            first = uri(self._places.input_bucket, self._sources[0]["key"])
            raise InvalidInput(
                f"There is no query in {counted(len(self._sources), 'file')} that the "
                f"run reads, {first} for one; write one query per line, like "
                f"{EXAMPLES[recipe]}."
            )
        if problem := deal.problem():
            raise self._too_much(problem)

    def _files(self, request: Request) -> list[objects.Version]:
        if request.files is None:
            found = sources.find(request.queries, self._places)
            if self._places.starts_on_upload:
                self.claims.take_too(found)
            return found
        self._uploaded = True
        sources.check_uploads(request.files, self._places)
        return self.claims.take(request.files)

    def _read_files(
        self,
        files: list[objects.Version],
        recipe: str,
        placeholders: frozenset[str],
        deal: Deal,
        parts: PartsWriter,
        invalid: InvalidLines,
    ) -> None:
        def weigh(size: int) -> None:
            deal.weigh(size)
            if deal.weight > limits.MAX_QUERY_BYTES:
                raise self._too_much(too_large())

        bucket = self._places.input_bucket
        with closing(sources.opened(bucket, files)) as opened:
            for each in opened:
                before = deal.lines
                key = each.version.key
                try:
                    source = _Source(bucket, each, self._context)
                except FileNotFoundError:
                    if not self._uploaded:
                        raise _gone(uri(bucket, key)) from None
                    # Also where it is the newest: another run reads what replaced it.
                    self.claims.miss(key)
                    continue
                for found in read(source.chunks(), recipe, placeholders, weigh):
                    if isinstance(found, Bad):
                        invalid.add(key, found.line, found.problems)
                        if found.is_last:
                            self._unread.append(f"{key}, line {found.line}")
                        if not self._defaults["skipInvalidLines"]:
                            parts.stop()
                    else:
                        parts.add(key, found.line, found.queries)
                        self._doubts.update(found.doubts)
                    _check_far(deal.lines + invalid.count)
                self._sources.append(source.record(deal.lines - before))

    def _too_much(self, problem: str) -> InvalidInput:
        if not self._uploaded:
            return InvalidInput(problem)
        # Uploaded anew, they would come together again.
        return InvalidInput(
            f"{problem.rstrip('.')}. The files were uploaded at about the same time, "
            "so that they are one run: start an execution for each with "
            '{"queries": "<file or folder>"}.'
        )

    def _run(
        self, request: Request, version: SolutionVersion, deal: Deal
    ) -> dict[str, Any]:
        places, name = self._places, self.name
        # A single file is the path that the service's guide shows.
        folder = places.input_folder(name)
        key = places.input_part(name, 0) if deal.parts == 1 else folder
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
            "queries": deal.lines,
            "distinct": deal.distinct,
            "invalidLines": self.invalid_lines,
            # The plan, which holds this, is still to be written.
            "used": self.meter.used(more_writes=1),
        }
        for path in (run["input"], run["output"]):
            if len(path) > limits.MAX_S3_PATH_LENGTH:
                raise InvalidInput(
                    f"The path {path} has {len(path)} characters, and Personalize "
                    f"takes at most {limits.MAX_S3_PATH_LENGTH}; give the pipeline a "
                    "shorter prefix."
                )
        return run

    def _notes(self) -> list[str]:
        notes = [
            f"{each['key']} holds no query."
            for each in self._sources
            if not each["queries"]
        ]
        notes += self.claims.notes()
        if self.invalid_lines:
            count = self.invalid_lines["count"]
            notes.append(
                f"Skipped, since they cannot be used: {counted(count, 'line')}, listed "
                f"in {self.invalid_lines['location']}."
            )
        if self._unread:
            notes.append(
                "Skipped from the line named on to the end, since the file is none of "
                f"queries or is damaged: {named(self._unread)}."
            )
        for doubt, count in self._doubts.items():
            notes.append(
                f"Not documented is whether Personalize takes {doubt}, as in "
                f"{counted(count, 'line')}."
            )
        return notes


class _Source:
    """One version of a query file."""

    def __init__(self, bucket: str, source: sources.Source, context: Context) -> None:
        self._key = source.version.key
        self._location = uri(bucket, self._key)
        self._context = context
        self._digest = hashlib.sha256()
        self._read = 0
        self._reader = source.open()

    def chunks(self) -> Iterator[bytes]:
        try:
            for chunk in self._reader.chunks():
                if is_short(self._context, _RESERVE_SECONDS):
                    raise InvalidInput(
                        "The query files are too large, or too many, to be read in the "
                        f"time of one function, which got as far as {self._location}; "
                        "spread them over several folders and run each with "
                        '{"queries": "<folder>"}.'
                    )
                self._digest.update(chunk)
                self._read += len(chunk)
                yield chunk
        except FileNotFoundError:
            raise _gone(self._location) from None

    def record(self, queries: int) -> dict[str, Any]:
        # Of a file that is none of queries only the first lines are read.
        complete = self._read == self._reader.size
        return {
            "key": self._key,
            "versionId": self._reader.version_id,
            "etag": self._reader.etag,
            "sha256": self._digest.hexdigest() if complete else None,
            "bytes": self._reader.size,
            "queries": queries,
        }


def _gone(location: str) -> InvalidInput:
    return InvalidInput(
        f"The query file {location} was changed or deleted while the run read the "
        "query files; start again."
    )


def _check_far(lines: int) -> None:
    if lines > _FAR * limits.MAX_LINES:
        raise InvalidInput(
            f"The query files hold more than {_FAR * limits.MAX_LINES:,} lines, and "
            f"one run takes at most {limits.MAX_LINES:,}; `personalize-segments split` "
            "cuts them into runs that fit."
        )


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
        "distinct": None,
        "invalidLines": None,
        "used": None,
    }


def _result(
    outcome: str,
    run: dict[str, Any],
    parts: Sequence[int] = (),
    failure: dict[str, str] | None = None,
) -> dict[str, Any]:
    return {
        "outcome": outcome,
        "run": run,
        "result": None,
        "parts": list(parts),
        "waiting": {"since": None, "attempts": 0, "refusedSince": None},
        "looking": {"since": None, "rounds": 1, "parts": len(parts)},
        "failure": failure,
    }
