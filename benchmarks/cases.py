"""What is measured, each case in a process of its own: `cases.py NAME ARGUMENTS`.

Prints what was found as JSON. Times are CPU seconds of the process, without those that
making the content of objects takes.
"""

import csv
import gc
import gzip
import hashlib
import io
import json
import logging
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count, repeat
from typing import Any, Final

import content
import fakes

from segment_tasks import collect, finish, limits, prepare

_STARTED: Final = "2026-01-05T06:00:00.000Z"
_FINISHED: Final = "2026-01-05T07:00:00.000Z"
_FOLDER: Final = "queries/"
_FEW: Final = 20
_HEADER: Final = b"query_id,rank,user_id\n"


class Timer:
    """The CPU seconds of blocks of code, without those of the fakes."""

    def __init__(self, s3: fakes.S3) -> None:
        """Set whose time does not count."""
        self.seconds = 0.0
        self._s3 = s3

    @contextmanager
    def running(self) -> Iterator[None]:
        """Add the time of a block."""
        gc.collect()
        others = self._s3.cpu
        started = time.process_time()
        yield
        self.seconds += time.process_time() - started - (self._s3.cpu - others)


class Pipeline:
    """The functions of a pipeline, called as its state machine does."""

    def __init__(self, s3: fakes.S3, kind: str, *, real_clients: bool = False) -> None:
        """Set which kind of queries there are."""
        attributes = kind.startswith("attribute")
        self.recipe = (
            limits.ITEM_ATTRIBUTE_AFFINITY if attributes else limits.ITEM_AFFINITY
        )
        self.s3 = s3
        filtered = "filter values" in kind or kind == "item, 1 KB of numbers"
        self.filter = fakes.FILTER if filtered else None
        self.per_part = limits.QUERIES_PER_FILE[self.recipe]
        self._real = fakes.install(s3, self.recipe, with_real_clients=real_clients)
        self._execution: dict[str, str] = {}
        self._executions = 0

    def upload(self, queries: content.Content) -> None:
        """Put a query file there, and none beside it."""
        self.s3.clear(_FOLDER)
        self.s3.put(fakes.INPUT_BUCKET, f"{_FOLDER}all.jsonl", queries)

    def prepare(self, num_results: int = limits.DEFAULT_NUM_RESULTS) -> dict[str, Any]:
        """Begin a run: check its queries and deal them out."""
        self._executions += 1
        arn = f"arn:aws:states:us-east-1:{fakes.ACCOUNT}:execution:films"
        self._execution = {
            "arn": f"{arn}:{self._executions}",
            "startedAt": _STARTED,
        }
        return prepare.handler(
            {
                "now": _STARTED,
                "execution": self._execution,
                "input": {},
                "defaults": {
                    "solutionVersionArn": fakes.VERSION,
                    "solutionArn": None,
                    "numResults": num_results,
                    "filterArn": self.filter,
                    "tags": {},
                    "allowAnySolution": False,
                    "skipInvalidLines": False,
                },
            },
            fakes.Context(),
        )

    def answer(self, run: dict[str, Any], part: int, output: content.Content) -> None:
        """Put the output of a part where Personalize would."""
        key = f"output/{run['name']}/part-{part:05d}.json.out"
        self.s3.put(fakes.OUTPUT_BUCKET, key, output)

    def collect(self, run: dict[str, Any], part: int) -> None:
        """Account for a part of a run."""
        collect.handler(
            {"run": run, "job": self._job(run), "part": part}, fakes.Context()
        )

    def finish(self, run: dict[str, Any]) -> dict[str, Any]:
        """End a run; return its outcome."""
        return finish.handler(
            {
                "now": _FINISHED,
                "execution": self._execution,
                "run": run,
                "job": self._job(run),
                "waiting": {"since": None, "attempts": 0, "refusedSince": None},
                "looking": {"since": None, "rounds": 1, "parts": 1},
                "maxFailedQueries": None,
                "failure": None,
            },
            fakes.Context(),
        )

    def _job(self, run: dict[str, Any]) -> dict[str, Any]:
        return {
            "name": run["jobName"],
            "arn": f"{fakes.PERSONALIZE}:batch-segment-job/{run['jobName']}",
            "status": "ACTIVE",
            "output": run["output"],
            "looks": 1,
            "queuedSince": _STARTED,
            "createdAt": _STARTED,
            "updatedAt": _FINISHED,
            "finishedAt": _FINISHED,
        }


def prepare_queries(
    kind: str, queries: int, times: int = 1, *, streamed: bool = False
) -> dict[str, Any]:
    """Prepare a run, several times over where one takes too little time.

    Streamed queries are made while they are read, so that memory holds nothing of
    them; the real clients are there too then.
    """
    s3 = fakes.S3(keeps=False)
    pipeline = Pipeline(s3, kind, real_clients=streamed)
    pipeline.upload(content.queries(kind, _FEW))
    pipeline.prepare()
    made = content.queries(kind, queries)
    pipeline.upload(made if streamed else content.Held(content.data(made)))
    timer = Timer(s3)
    for _ in range(times):
        s3.clear("input/")
        s3.forget()
        with timer.running():
            result = pipeline.prepare()
        _check(result["outcome"] == "ready", result["failure"])
        _check(result["run"]["queries"] == queries, "queries are lost")
    return _found(timer, queries * times, s3, bytes=made.size)


def prepare_files(kind: str, files: int, lines: int, different: int) -> dict[str, Any]:
    """Prepare a run of many files with so many lines, of which some repeat others."""
    s3 = fakes.S3(keeps=False)
    pipeline = Pipeline(s3, kind)
    each, size = lines // files, 0
    for file in range(files):
        made = content.queries(kind, each, file * each % different)
        s3.put(fakes.INPUT_BUCKET, f"{_FOLDER}{file:05d}.jsonl", made)
        size += made.size
    timer = Timer(s3)
    with timer.running():
        result = pipeline.prepare()
    _check(result["outcome"] == "ready", result["failure"])
    _check(result["run"]["queries"] == lines, "queries are lost")
    _check(result["run"]["distinct"] == different, "not as many are different")
    return _found(timer, lines, s3, bytes=size)


def parse_queries(
    kind: str, queries: int, times: int = 1, *, decoded: bool = False
) -> dict[str, Any]:
    """Read the same lines with nothing but `json.loads`."""
    s3 = fakes.S3(keeps=False)
    data = content.data(content.queries(kind, queries))
    timer = Timer(s3)
    for _ in range(times):
        with timer.running():
            _parse(data.decode() if decoded else data)
    return _found(timer, queries * times, s3)


def _parse(data: bytes | str) -> None:
    for line in data.splitlines():
        json.loads(line)


def refuse_queries(kind: str, queries: int) -> dict[str, Any]:
    """Refuse a run, for its lines or for their number; say how many were read."""
    s3 = fakes.S3(keeps=False)
    pipeline = Pipeline(s3, kind)
    made = content.queries(kind, queries)
    pipeline.upload(made)
    timer = Timer(s3)
    with timer.running():
        result = pipeline.prepare()
    _check(result["outcome"] == "failed", "the queries are taken")
    lines = s3.bytes_read * queries // made.size
    return _found(timer, lines, s3, lines=lines)


def collect_line(
    ids: str, users: int, times: int = 1, *, streamed: bool = False
) -> dict[str, Any]:
    """Collect a part of one query with many users, several times over."""
    s3 = fakes.S3(keeps=True)
    pipeline = Pipeline(s3, "item", real_clients=streamed)
    _collected(pipeline, Timer(s3), content.answers(ids, 1, _FEW), 1, _FEW, 1)
    made = content.answers(ids, 1, users)
    output = made if streamed else content.Held(content.data(made))
    s3.keeps = not streamed
    timer = Timer(s3)
    for _ in range(times):
        s3.clear("results/")
        run = _collected(pipeline, timer, output, 1, users, 1)
    peak = _peak()
    found = {} if streamed else _rows(s3, f"results/{run['name']}/users/")
    return {**_found(timer, users * times, s3, **found), "peak": peak}


def collect_part(queries: int, users: int, times: int) -> dict[str, Any]:
    """Collect a part of many queries with few users each, several times over."""
    s3 = fakes.S3(keeps=True)
    pipeline = Pipeline(s3, "item")
    output = content.Held(content.data(content.answers("numbers", queries, users)))
    timer = Timer(s3)
    _collected(pipeline, timer, output, queries, users, times)
    return _found(timer, times, s3)


def _collected(
    pipeline: Pipeline,
    timer: Timer,
    output: content.Content,
    queries: int,
    users: int,
    times: int,
) -> dict[str, Any]:
    keeps, pipeline.s3.keeps = pipeline.s3.keeps, True
    pipeline.upload(content.queries("item", queries))
    run: dict[str, Any] = pipeline.prepare(num_results=users)["run"]
    pipeline.answer(run, 0, output)
    pipeline.s3.keeps = keeps
    pipeline.s3.requests.clear()
    pipeline.s3.bytes_written = pipeline.s3.bytes_read = 0
    for _ in range(times):
        with timer.running():
            pipeline.collect(run, 0)
    return run


def _rows(s3: fakes.S3, folder: str) -> dict[str, Any]:
    """Return a checksum of the rows in a folder, and their compressed size."""
    digest = hashlib.sha256(_HEADER)
    size = 0
    for key in s3.keys(fakes.OUTPUT_BUCKET, folder):
        data = content.data(s3.content(fakes.OUTPUT_BUCKET, key))
        digest.update(gzip.decompress(data).removeprefix(_HEADER))
        size += len(data)
    return {"sha256": digest.hexdigest(), "compressed": size}


def collect_naively(ids: str, users: int, *, streamed: bool = False) -> dict[str, Any]:
    """Make the same rows with `json.loads` of the line, `csv` and `gzip`."""
    s3 = fakes.S3(keeps=False)
    made = content.answers(ids, 1, users)
    line = b"" if streamed else content.data(made)
    sink = _Sink() if streamed else io.BytesIO()
    timer = Timer(s3)
    with timer.running():
        # What a stream makes goes nowhere but into the line.
        answer = json.loads(line or content.data(made))
        with gzip.open(
            sink, "wt", compresslevel=6, encoding="utf-8", newline=""
        ) as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(["query_id", "rank", "user_id"])
            rows.writerows(
                zip(
                    repeat("q000001"),
                    count(1),
                    answer["output"]["usersList"],
                    strict=False,
                )
            )
    peak = _peak()
    found: dict[str, Any] = {}
    if isinstance(sink, io.BytesIO):
        data = sink.getvalue()
        sha256 = hashlib.sha256(gzip.decompress(data)).hexdigest()
        found = {"sha256": sha256, "compressed": len(data)}
    return {**_found(timer, users, s3, **found), "peak": peak}


class _Sink(io.RawIOBase):
    """A file that holds nothing."""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:  # noqa: ANN401
        return len(data)


def finish_parts(parts: int, times: int) -> dict[str, Any]:
    """End a run of many parts, all collected."""
    s3 = fakes.S3(keeps=True)
    pipeline = Pipeline(s3, "attribute")
    pipeline.upload(content.queries("attribute", parts * pipeline.per_part))
    run = pipeline.prepare()["run"]
    for part in range(parts):
        key = f"input/{run['name']}/part-{part:05d}.json"
        asked = content.data(s3.content(fakes.INPUT_BUCKET, key)).splitlines()
        lines = b"".join(
            b'{"input": %b, "output": {"usersList": ["1"]}, "error": null}\n' % each
            for each in asked
        )
        pipeline.answer(run, part, content.Held(lines))
        pipeline.collect(run, part)
    timer = Timer(s3)
    for _ in range(times):
        s3.forget()
        with timer.running():
            result = pipeline.finish(run)
        _check(result["outcome"] == "succeeded", result["failure"])
        _check(result["result"]["users"] == parts * pipeline.per_part, "users are lost")
    return _found(timer, times, s3)


CASES: Final[dict[str, Callable[..., dict[str, Any]]]] = {
    each.__name__: each
    for each in (
        prepare_queries,
        prepare_files,
        parse_queries,
        refuse_queries,
        collect_line,
        collect_part,
        collect_naively,
        finish_parts,
    )
}


def _check(holds: bool, problem: object) -> None:
    if not holds:
        raise SystemExit(f"what is measured does not work: {problem}")


def _found(timer: Timer, units: int, s3: fakes.S3, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    return {
        "seconds": timer.seconds,
        "units": units,
        "peak": _peak(),
        "requests": s3.requests.total(),
        "atOnce": s3.at_once,
        "bytesRead": s3.bytes_read,
        "bytesWritten": s3.bytes_written,
        **more,
    }


def _peak() -> int:
    """Return the most memory that this process had so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    # That a run is refused is what is measured.
    logging.disable(logging.WARNING)
    print(json.dumps(CASES[sys.argv[1]](**json.loads(sys.argv[2]))))
