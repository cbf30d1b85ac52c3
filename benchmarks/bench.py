"""Measures the functions of a pipeline; `make bench` prints the table.

Every figure stands beside its baseline of the same run. README.md says how to read it.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from segment_tasks import usage

_CASES: Final = Path(__file__).with_name("cases.py")

# What cannot be measured here; README.md says where it is from.
LAMBDA_SECONDS_PER_LINE: Final = 4e-6
S3_BYTES_PER_SECOND: Final = 50_000_000
S3_REQUEST_SECONDS: Final = 0.03
# Of which so much is computing, which nothing overlaps; how many wait at once.
S3_REQUEST_CPU_SECONDS: Final = 0.005
S3_REQUESTS_AT_ONCE: Final = 4
# Of the functions, as the pipeline defines them.
TIMEOUT_SECONDS: Final = 900
MEMORY_MB_OF_ONE_CPU: Final = 1769

_MOST_BYTES: Final = 200_000_000
_LINEAR: Final = (0.85, 1.15)
_MB: Final = 1_000_000


class Sizes(NamedTuple):
    """How much is measured."""

    items: int
    attributes: int
    attribute_runs: int
    growing: int
    long: int
    users: int
    part: int
    parts: int
    files: int
    repetitions: int
    short_repetitions: int


FULL: Final = Sizes(
    items=500_000,
    attributes=10_000,
    attribute_runs=20,
    growing=5_000,
    long=5_000,
    users=50_000,
    part=500,
    parts=1000,
    files=5_000,
    repetitions=3,
    short_repetitions=5,
)
QUICK: Final = Sizes(
    items=2_000,
    attributes=200,
    attribute_runs=2,
    growing=20,
    long=20,
    users=100,
    part=20,
    parts=3,
    files=20,
    repetitions=1,
    short_repetitions=1,
)


class Row(NamedTuple):
    """A line of the table.

    Attributes:
        figure: What was measured.
        measured: What came out.
        baseline: What it is compared with.
        ratio: The one over the other.
        limit: What is allowed.
        holds: Whether it is within the limit; None where there is none.
    """

    figure: str
    measured: str
    baseline: str = ""
    ratio: str = ""
    limit: str = ""
    holds: bool | None = None


class Runner:
    """Runs cases, each in a process of its own."""

    def __init__(self) -> None:
        """Begin to count the time."""
        self._started = time.monotonic()

    def run(self, case: str, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401
        """Run a case; return what it found."""
        what = ", ".join(
            [case, *(f"{name}={value}" for name, value in arguments.items())]
        )
        passed = time.monotonic() - self._started
        print(f"{passed:5.0f} s  {what}", file=sys.stderr, flush=True)
        done = subprocess.run(  # noqa: S603
            [sys.executable, _CASES, case, json.dumps(arguments)],
            stdout=subprocess.PIPE,
            check=True,
        )
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found

    def alternately(
        self, repetitions: int, *calls: tuple[str, dict[str, Any]]
    ) -> list[list[dict[str, Any]]]:
        """Run cases one after the other, several times over, since machines drift."""
        found: list[list[dict[str, Any]]] = [[] for _ in calls]
        for _ in range(repetitions):
            for each, (case, arguments) in zip(found, calls, strict=True):
                each.append(self.run(case, **arguments))
        return found


def measure(runner: Runner, sizes: Sizes) -> Iterator[Row]:
    """Measure everything."""
    yield from _prepare_speed(runner, sizes)
    longest = runner.run(
        "prepare_queries",
        kind="item, 2 KB of filter values",
        queries=100 * sizes.long,
        streamed=True,
    )
    yield from _prepare_memory(runner, sizes, longest)
    yield from _prepare_growth(runner, sizes)
    largest = sizes.users * 100
    ours, naive = runner.alternately(
        sizes.repetitions,
        ("collect_line", {"ids": "numbers", "users": largest}),
        ("collect_naively", {"ids": "numbers", "users": largest}),
    )
    yield from _collect_speed("numbers", ours, naive)
    naive, *grown = runner.alternately(
        sizes.repetitions,
        ("collect_naively", {"ids": "uuids", "users": largest}),
        *(
            ("collect_line", {"ids": "uuids", "users": users, "times": times})
            for users, times in _growing(sizes.users)
        ),
    )
    ours = grown[-1]
    yield from _collect_speed("uuids", ours, naive)
    yield from _collect_memory(runner, sizes)
    yield from _grown("Collect", "users", sizes.users, grown)
    part = runner.run("collect_part", queries=sizes.part, users=25, times=20)
    yield Row(
        f"Collect a part of {sizes.part} queries x 25 users: CPU", _time(_each(part))
    )
    finish = runner.run("finish_parts", parts=sizes.parts, times=3)
    yield Row(f"Finish a run of {sizes.parts:,} parts: CPU", _time(_each(finish)))
    yield from _timeouts(runner, sizes, longest, ours, finish)


def _prepare_speed(runner: Runner, sizes: Sizes) -> Iterator[Row]:
    runs = {"queries": sizes.attributes, "times": sizes.attribute_runs}
    for kind, arguments, limit in (
        ("item", {"queries": sizes.items}, 1.5),
        ("item, escapes", {"queries": sizes.items}, 1.5),
        ("item, filter values", {"queries": sizes.items // 5}, None),
        ("attribute", runs, 2.5),
        ("attribute, escapes", runs, 2.5),
        ("attribute, number", runs, None),
        ("attribute, filter values", runs, None),
    ):
        prepared, parsed, decoded = runner.alternately(
            sizes.short_repetitions,
            ("prepare_queries", {"kind": kind, **arguments}),
            ("parse_queries", {"kind": kind, **arguments}),
            ("parse_queries", {"kind": kind, **arguments, "decoded": True}),
        )
        name = f"{arguments['queries']:,} queries ({kind})"
        yield _compared(
            f"Prepare {name}: CPU per query, against json.loads",
            prepared,
            parsed,
            limit,
        )
        yield _compared(
            "    against json.loads of lines that are decoded already",
            prepared,
            decoded,
            None,
        )


def _prepare_memory(
    runner: Runner, sizes: Sizes, longest: dict[str, Any]
) -> Iterator[Row]:
    small = runner.run(
        "prepare_queries",
        kind="item, 2 KB of filter values",
        queries=sizes.long,
        streamed=True,
    )
    short = runner.run(
        "prepare_queries", kind="item", queries=100 * sizes.long, streamed=True
    )
    for name, base in (
        (_bytes(small["bytes"]), small),
        (f"{_bytes(short['bytes'])} of short ones", short),
    ):
        ratio = longest["peak"] / base["peak"]
        yield Row(
            f"Prepare {_bytes(longest['bytes'])} of queries: memory, against {name}",
            _bytes(longest["peak"]),
            _bytes(base["peak"]),
            f"{ratio:.2f}",
            "1.10",
            ratio <= 1.1,
        )
    peak = max(longest["peak"], short["peak"])
    yield Row(
        "    the most memory of these",
        _bytes(peak),
        limit=_bytes(_MOST_BYTES),
        holds=peak < _MOST_BYTES,
    )


def _prepare_growth(runner: Runner, sizes: Sizes) -> Iterator[Row]:
    kind = "item, filter values"
    found = runner.alternately(
        sizes.repetitions,
        *(
            ("prepare_queries", {"kind": kind, "queries": queries, "times": times})
            for queries, times in _growing(sizes.growing)
        ),
    )
    yield from _grown("Prepare", "queries", sizes.growing, found)


def _growing(size: int) -> list[tuple[int, int]]:
    """Return sizes, and how often to measure each, so that it takes long enough."""
    return [(size, 10), (10 * size, 2), (100 * size, 1)]


def _collect_speed(
    ids: str, ours: list[dict[str, Any]], naive: list[dict[str, Any]]
) -> Iterator[Row]:
    if len({each["sha256"] for each in ours + naive}) > 1:
        raise SystemExit("the rows are not the same as those of the naive way")
    users = ours[0]["units"]
    yield _compared(
        f"Collect a line of {users:,} users ({ids}): CPU per user, against naive",
        ours,
        naive,
        0.7,
    )
    yield Row(
        "    its rows, compressed",
        _bytes(ours[0]["compressed"]),
        _bytes(naive[0]["compressed"]),
        f"{ours[0]['compressed'] / naive[0]['compressed']:.2f}",
    )


def _collect_memory(runner: Runner, sizes: Sizes) -> Iterator[Row]:
    arguments = {"ids": "uuids", "users": 100 * sizes.users, "streamed": True}
    ours = runner.run("collect_line", **arguments)["peak"]
    naive = runner.run("collect_naively", **arguments)["peak"]
    yield Row(
        "    memory (uuids)",
        _bytes(ours),
        _bytes(naive),
        f"{ours / naive:.2f}",
        _bytes(_MOST_BYTES),
        ours < _MOST_BYTES,
    )


def _timeouts(
    runner: Runner,
    sizes: Sizes,
    longest: dict[str, Any],
    largest: list[dict[str, Any]],
    finish: dict[str, Any],
) -> Iterator[Row]:
    refused = runner.run("refuse_queries", kind="unusable", queries=sizes.items // 5)
    files = {"files": sizes.files, "lines": 2 * sizes.items}
    attribute = {"kind": "attribute, 1 KB of numbers", "different": sizes.attributes}
    item = {"kind": "item, 1 KB of numbers", "different": sizes.items}
    parse = ("parse_queries", {"kind": "item", "queries": sizes.items})
    before, (first,), between, (second,), after = runner.alternately(
        1,
        parse,
        ("prepare_files", {**item, **files}),
        parse,
        ("prepare_files", {**attribute, **files}),
        parse,
    )
    most = [first, second]
    units = [
        ("prepare", f"{_bytes(longest['bytes'])} of queries", longest),
        *(
            (
                "prepare",
                f"{_bytes(each['bytes'])} in {sizes.files:,} files, half of it repeats",
                each,
            )
            for each in most
        ),
        ("collect", "the line of most users", _middle(largest)),
        ("finish", f"{sizes.parts:,} parts", {**finish, "seconds": _each(finish)}),
    ]
    if sizes is FULL:
        endless = 20 * sizes.items
        read = runner.run("refuse_queries", kind="repeated", queries=endless)["lines"]
        scale = read / refused["units"]
        worst = {
            key: refused[key] * scale
            for key in ("seconds", "bytesRead", "bytesWritten", "requests", "atOnce")
        }
        units.insert(1, ("prepare", f"{read:,} bad lines, then refuses", worst))
    slowdown = LAMBDA_SECONDS_PER_LINE / _median(before + between + after)
    yield Row("A CPU of Lambda is taken to be slower by", f"{slowdown:.2f} times")
    for function, what, found in units:
        estimate = _on_lambda(function, found, slowdown)
        ratio = estimate / TIMEOUT_SECONDS
        yield Row(
            f"Time on Lambda, estimated: {function}, {what}",
            f"{estimate:.0f} s",
            f"{TIMEOUT_SECONDS} s",
            f"{ratio:.2f}",
            "0.33",
            ratio < 1 / 3,
        )


def _on_lambda(function: str, found: dict[str, Any], slowdown: float) -> float:
    share = min(1.0, usage.MEMORY[function] / MEMORY_MB_OF_ONE_CPU)
    moved = found["bytesRead"] + found["bytesWritten"]
    at_once = found["atOnce"]
    waiting = S3_REQUEST_SECONDS - S3_REQUEST_CPU_SECONDS
    return float(
        found["seconds"] * slowdown / share
        + moved / S3_BYTES_PER_SECOND
        + (found["requests"] - at_once) * S3_REQUEST_SECONDS
        + at_once * (S3_REQUEST_CPU_SECONDS + waiting / S3_REQUESTS_AT_ONCE)
    )


def _grown(
    function: str, what: str, size: int, found: list[list[dict[str, Any]]]
) -> Iterator[Row]:
    base, *larger = found
    for (count, _), each in zip(_growing(size)[1:], larger, strict=True):
        low, high = _LINEAR
        ratio = _ratio(each, base)
        yield Row(
            f"{function} {count:,} {what}: CPU of each, against {size:,}",
            _time(_median(each)),
            _time(_median(base)),
            f"{ratio:.2f}",
            f"{low} to {high}",
            low <= ratio <= high,
        )


def _compared(
    figure: str,
    measured: list[dict[str, Any]],
    baseline: list[dict[str, Any]],
    limit: float | None,
) -> Row:
    ratio = _ratio(measured, baseline)
    return Row(
        figure,
        _time(_median(measured)),
        _time(_median(baseline)),
        f"{ratio:.2f}",
        "" if limit is None else str(limit),
        None if limit is None else ratio <= limit,
    )


def _each(found: dict[str, Any]) -> float:
    return float(found["seconds"] / found["units"])


def _middle(found: list[dict[str, Any]]) -> dict[str, Any]:
    return sorted(found, key=_each)[len(found) // 2]


def _median(found: list[dict[str, Any]]) -> float:
    return statistics.median(map(_each, found))


def _ratio(measured: list[dict[str, Any]], baseline: list[dict[str, Any]]) -> float:
    """Return the median of the ratios of what was measured at about the same time."""
    pairs = zip(measured, baseline, strict=True)
    return statistics.median(_each(ours) / _each(theirs) for ours, theirs in pairs)


def _time(seconds: float) -> str:
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("us", 1e6)):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e9:.0f} ns"


def _bytes(number: float) -> str:
    return f"{number / _MB:,.0f} MB" if number >= _MB else f"{number / 1000:,.0f} kB"


def table(rows: Sequence[Row]) -> str:
    """Return rows as a table."""
    lines = [("", "measured", "baseline", "ratio", "limit", "")]
    verdicts = {None: "", True: "pass", False: "FAIL"}
    lines += [(*row[:5], verdicts[row.holds]) for row in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(6)]
    text = ""
    for figure, *values in lines:
        aligned = zip(values, widths[1:], strict=True)
        cells = [
            figure.ljust(widths[0]),
            *(each.rjust(width) for each, width in aligned),
        ]
        text += "  ".join(cells).rstrip() + "\n"
    return text


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, and return 1 if a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="check that everything runs, with sizes that say nothing of speed",
    )
    quick = parser.parse_args(arguments).quick
    rows = list(measure(Runner(), QUICK if quick else FULL))
    if quick:
        rows = [row._replace(limit="", holds=None) for row in rows]
    print(table(rows))
    return 1 if any(row.holds is False for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
