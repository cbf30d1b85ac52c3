"""Accounts for one part of a job's output: what became of each query, and its users."""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice
from typing import Any, Final, NamedTuple

from . import log_fields, matching, objects, output, usage, users_csv
from .asked import Asked
from .locations import Locations, bucket_and_key, output_file, part_name
from .matching import Matching
from .output import Answer, Span
from .times import Context, is_short

_log = logging.getLogger(__name__)

# A call goes on only while the largest unit of work would still fit into its time.
_RESERVE_SECONDS: Final = 300
_ROWS_A_UNIT: Final = 5_000_000


class _Unit(NamedTuple):
    """Rows that are written in one go: the users of an answer, under each of the ids.

    Where so many lines ask the same that this is too much for one go, the output is
    read in several rounds.
    """

    round: int
    spans: Sequence[Span]
    ids: Sequence[int]


def handler(event: dict[str, Any], context: Context) -> dict[str, int]:
    """Account for one part: `run`, `job` and its number `part`.

    Doing so again gives the same results. What does not fit into the time of one call
    is left to the next one, which goes on from there.

    Raises:
        AccessDenied: A grant is missing.
        OutputIncomplete: The record of what was asked is gone.
    """
    account = _Collection(event, context).collect()
    counts = {key: value for key, value in account.items() if isinstance(value, int)}
    _log.info("Part collected", extra=log_fields.of(event, **counts))
    return {"part": event["part"]}


class _Collection:
    """One call's work on a part."""

    def __init__(self, event: dict[str, Any], context: Context) -> None:
        self._places = Locations()
        self._run: str = event["run"]["name"]
        self._part: int = event["part"]
        self._context = context
        self._meter = usage.Meter(context)
        # What earlier calls for this part used.
        self._used_before: dict[str, int] = {}
        self._asked = Asked(self._places, event["run"]["prepared"], self._part)
        self._output = _output(event["job"]["output"], self._part)

    def collect(self) -> dict[str, Any]:
        """Write the results of the part, and its account; return that."""
        etag = self._output.etag if self._output else None
        known = objects.read_json(*self._account) or {"etag": None, "used": {}}
        self._used_before = known["used"]
        if etag and known["etag"] == etag and not known["progress"]:
            # Looked at again for output that is missing, which has not come.
            return dict(known)
        if etag is None or known["etag"] != etag:
            # What is overwritten now is not vouched for any more.
            known = {"progress": {"units": 0}, "files": []}
            self._write_account(etag, known)
        done, files = known["progress"]["units"], known["files"]
        found = Matching(self._asked.queries)
        for answer in output.scan(self._output.chunks() if self._output else ()):
            found.add(answer)
        found.settle()
        units = _units(found.answers, self._asked.ids())
        if units[done:] or not files:
            done += self._write_users(units[done:], files)
        account: dict[str, Any] = {"progress": {"units": done}}
        if done == len(units):
            account = {"progress": None, **self._write_queries(found, files)}
            self._delete_others(files)
        return self._write_account(etag, {**account, "files": files})

    @property
    def _account(self) -> tuple[str, str]:
        key = self._places.part_account(self._run, self._part)
        return self._places.output_bucket, key

    def _write_account(self, etag: str | None, rest: dict[str, Any]) -> dict[str, Any]:
        account = {"part": self._part, "etag": etag, "used": self._used(), **rest}
        objects.write_json(*self._account, account)
        return account

    def _used(self) -> dict[str, int]:
        # The account, which holds this, is still to be written.
        now = self._meter.used(more_writes=1)
        now["milliseconds"] = self._meter.milliseconds()
        used = {key: now[key] + self._used_before.get(key, 0) for key in now}
        return {**used, "raw": self._output.size if self._output else 0}

    def _write_users(self, units: list[_Unit], files: list[dict[str, Any]]) -> int:
        """Write units as long as there is time; return how many."""
        key = self._places.users_part(self._run, self._part, len(files))
        done = rows = 0
        with objects.GzipWriter(self._places.output_bucket, key) as writer:
            writer.write(users_csv.HEADER)
            for unit, stretches in self._read(units):
                if done and is_short(self._context, _RESERVE_SECONDS):
                    break
                rows += _write_unit(writer, unit, stretches)
                done += 1
        files.append(_file("users", key, writer, rows))
        return done

    def _read(self, units: list[_Unit]) -> Iterator[tuple[_Unit, Iterator[bytes]]]:
        """Read the users of units, going through the output once for each round."""
        for _, same_round in groupby(units, lambda unit: unit.round):
            of_round = list(same_round)
            spans = [span for unit in of_round for span in unit.spans]
            start = spans[0].start
            chunks = self._output.chunks(start) if self._output else ()
            stretches = output.stretches(chunks, start, spans)
            for unit in of_round:
                yield unit, islice(stretches, len(unit.spans))

    def _write_queries(
        self, found: Matching, files: list[dict[str, Any]]
    ) -> dict[str, Any]:
        """Write what became of each query; return the counts."""
        counts: Counter[str] = Counter()
        key = self._places.queries_part(self._run, self._part)
        with objects.GzipWriter(self._places.output_bucket, key) as writer:
            for number, lines in self._asked.lines():
                answer = found.answers[number]
                status = matching.status(answer)
                users = _count(answer) if status == matching.SEGMENT else 0
                for line in lines:
                    row = {
                        "query_id": _query_id(line.id),
                        "file": line.file,
                        "line": line.line,
                        "query": self._asked.queries[number],
                        "status": status,
                        "users": users,
                        "error": matching.error(answer),
                    }
                    writer.write(objects.json_line(row))
                    counts.update({status: 1, "users": users})
        queries = sum(counts[each] for each in matching.STATUSES)
        files.append(_file("queries", key, writer, queries))
        return {
            "queries": queries,
            "distinct": len(self._asked.queries),
            "segments": counts[matching.SEGMENT],
            "empty": counts[matching.EMPTY],
            "failed": counts[matching.FAILED],
            "missing": counts[matching.MISSING],
            "users": counts["users"],
            "unrecognized": found.unrecognized,
            "byOrder": found.by_order,
        }

    def _delete_others(self, files: list[dict[str, Any]]) -> None:
        """Delete pieces of users that another attempt left behind."""
        bucket = self._places.output_bucket
        folder = self._places.results_folder(self._run)
        pieces = self._places.users_folder(self._run) + part_name(self._part)
        for key in objects.keys(bucket, pieces):
            if key.removeprefix(folder) not in {each["key"] for each in files}:
                objects.delete(bucket, key)


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


def _units(
    answers: Sequence[Answer | None], ids: Sequence[Sequence[int]]
) -> list[_Unit]:
    """Plan the writing of users, in the order of the output within each round."""
    units = []
    for answer, asking in zip(answers, ids, strict=True):
        if answer is None or matching.status(answer) != matching.SEGMENT:
            continue
        at_once = max(1, _ROWS_A_UNIT // _count(answer))
        for number, start in enumerate(range(0, len(asking), at_once)):
            some = asking[start : start + at_once]
            units.append(_Unit(number, answer.users or (), some))
    return sorted(units, key=lambda unit: (unit.round, unit.spans[0].start))


def _write_unit(
    writer: objects.GzipWriter, unit: _Unit, stretches: Iterable[bytes]
) -> int:
    rank = 1
    for stretch in stretches:
        users = users_csv.quoted(output.users_of(stretch))
        for each in unit.ids:
            writer.write(users_csv.rows(_query_id(each), rank, users))
        rank += len(users)
    return (rank - 1) * len(unit.ids)


def _count(answer: Answer | None) -> int:
    return sum(span.users for span in answer.users or ()) if answer else 0


def _query_id(number: int) -> str:
    return f"q{number:06d}"


def _file(
    folder: str, key: str, writer: objects.ObjectWriter, rows: int
) -> dict[str, Any]:
    name = f"{folder}/{key.rpartition('/')[2]}"
    return {"key": name, "bytes": writer.size, "sha256": writer.sha256, "rows": rows}
