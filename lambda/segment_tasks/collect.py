"""Accounts for one part of a job's output: what became of each query, and its users."""

import json
import logging
from collections.abc import Iterator
from typing import Any, NamedTuple

from . import matching, objects, output, plans, users_csv
from .lines import split
from .locations import Locations, bucket_and_key, output_file
from .matching import Asked, Matching
from .output import Answer, Span

_log = logging.getLogger(__name__)


class _Wanted(NamedTuple):
    """A stretch of users that belongs to a query, the one at this index."""

    span: Span
    asked: int


def handler(event: dict[str, Any], context: object) -> dict[str, int]:
    """Account for one part: `run`, `job` and its number `part`.

    Doing so again gives the same results.

    Raises:
        AccessDenied: A grant is missing.
        OutputIncomplete: The record of what was asked is gone.
    """
    places = Locations()
    run, part = event["run"], event["part"]
    found = Matching(_asked(places, run["prepared"], part))
    reader = _output(event["job"]["output"], part)
    if reader:
        for answer in output.scan(reader.chunks()):
            found.add(answer)
    answers = found.answers()
    counts = _write_users(places, run["name"], part, reader, found.asked, answers)
    _write_queries(places, run["name"], part, found.asked, answers, counts)
    account = {
        "part": part,
        "queries": len(answers),
        **_statuses(answers),
        "users": sum(counts),
        "unrecognized": found.unrecognized,
        "byOrder": found.by_order,
    }
    objects.write_json(
        places.output_bucket, places.part_account(run["name"], part), account
    )
    _log.info("Part collected", extra={"run": run["name"], **account})
    return {"part": part}


def _asked(places: Locations, prepared: str, part: int) -> Iterator[Asked]:
    key = places.part_index(prepared, part)
    try:
        reader = objects.ObjectReader(places.input_bucket, key)
    except FileNotFoundError:
        raise plans.gone(places.input_bucket, key) from None
    for line in split(reader.chunks()):
        yield Asked(**json.loads(line))


def _output(folder: str, part: int) -> objects.ObjectReader | None:
    """Open the raw output of a part, or return None if there is none (yet).

    How the service names output of files in folders is not documented, so a file of
    the right name anywhere in the job's own folder will do.
    """
    bucket, prefix = bucket_and_key(folder)
    name = output_file(part)
    try:
        return objects.ObjectReader(bucket, prefix + name)
    except FileNotFoundError:
        pass
    for key in objects.keys(bucket, prefix):
        if key.endswith(f"/{name}"):
            return objects.ObjectReader(bucket, key)
    return None


def _write_users(
    places: Locations,
    run: str,
    part: int,
    reader: objects.ObjectReader | None,
    asked: tuple[Asked, ...],
    answers: list[Answer | None],
) -> list[int]:
    """Write the users of all segments; return how many each query has."""
    counts = [0] * len(answers)
    key = places.users_part(run, part)
    with objects.GzipWriter(places.output_bucket, key) as writer:
        writer.write(users_csv.HEADER)
        for wanted in _passes(answers):
            chunks = reader.chunks() if reader else iter(())
            slices = output.slices(chunks, [each.span for each in wanted])
            for each, users in zip(wanted, slices, strict=True):
                first_rank = counts[each.asked] + 1
                query_id = asked[each.asked].query_id
                writer.write(users_csv.rows(query_id, first_rank, users))
                counts[each.asked] += len(users)
    return counts


def _passes(answers: list[Answer | None]) -> list[list[_Wanted]]:
    """Plan the reading of users: each pass goes through the output once, in order.

    One pass is enough unless queries share an answer.
    """
    passes: list[list[_Wanted]] = []
    uses: dict[int, int] = {}
    for index, answer in enumerate(answers):
        if answer is None or matching.status(answer) != matching.SEGMENT:
            continue
        number = uses[id(answer)] = uses.get(id(answer), -1) + 1
        if number == len(passes):
            passes.append([])
        passes[number] += [_Wanted(span, index) for span in answer.users or ()]
    return [sorted(each) for each in passes]


def _write_queries(
    places: Locations,
    run: str,
    part: int,
    asked: tuple[Asked, ...],
    answers: list[Answer | None],
    counts: list[int],
) -> None:
    key = places.queries_part(run, part)
    with objects.GzipWriter(places.output_bucket, key) as writer:
        for each, answer, users in zip(asked, answers, counts, strict=True):
            row = {
                **each._asdict(),
                "status": matching.status(answer),
                "users": users,
                "error": matching.error(answer),
            }
            writer.write(objects.json_line(row))


def _statuses(answers: list[Answer | None]) -> dict[str, int]:
    found = [matching.status(each) for each in answers]
    return {
        "segments": found.count(matching.SEGMENT),
        "empty": found.count(matching.EMPTY),
        "failed": found.count(matching.FAILED),
        "missing": found.count(matching.MISSING),
    }
