"""Whole runs of any queries and any output: each line that asks is accounted for once.

What is right is worked out by a model of a run that is as plain as can be, and shares
no code with the functions.
"""

import csv
import gzip
import hashlib
import io
import itertools
import json
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

import cdk_personalize_segments
from segment_tasks import collect, limits, objects

# Folders may have dots in their names.
RESULTS = "data/v1.2/results/"
FILTER = "arn:aws:personalize:us-east-1:123456789012:filter/members"
ITEMS = "aws-item-affinity"
ATTRIBUTES = "aws-item-attribute-affinity"
SUBJECTS = {
    ITEMS: [{"itemId": each} for each in ("1", "2", 'a "b"', "é\n", "\\", "🎃")],
    ATTRIBUTES: [
        {"itemAttributes": f"ITEMS.GENRES = {each}"}
        for each in ('"1"', '"2"', "2", '"é"', r'"a \"b\""', '"x" AND ITEMS.YEAR = 5')
    ],
}
FILTER_VALUES = [{"A": '"x"', "B": "5"}, {"A": '"y","z"', "B": '"5"'}]
BAD_LINES = ["{}", '{"itemId": 5}', '{"x": "1"}', '{"itemId": "1"}}', "{"]
NEITHER = "The output has neither users nor an error for this query."
SCHEMA = json.loads(
    (
        Path(cdk_personalize_segments.__file__).parent / "schemas" / "manifest-1.json"
    ).read_text()
)
SLOW = [pytest.mark.slow, pytest.mark.timeout(1200)]
TIMES = [1, pytest.param(20, marks=SLOW)]
_runs = itertools.count()


# What is in the query files.


@dataclass
class Asked:
    """A line that asks."""

    file: str
    line: int
    query: dict[str, Any]


@dataclass
class Files:
    """Query files, and what is right about them."""

    recipe: str
    placeholders: bool
    contents: dict[str, bytes] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    bad: list[tuple[str, int]] = field(default_factory=list)

    @property
    def distinct(self) -> list[str]:
        """The different queries, by what identifies them, in their order."""
        return list(dict.fromkeys(identity(each.query) for each in self.asked))


def identity(query):
    return json.dumps(query, sort_keys=True)


def spelled(draw, query):
    """Write a query in one of many ways that mean the same."""
    keys = draw(st.permutations(list(query)))
    shuffled = {}
    for key in keys:
        value = query[key]
        if isinstance(value, dict):
            value = {name: value[name] for name in draw(st.permutations(list(value)))}
        shuffled[key] = value
    separators = draw(st.sampled_from([(", ", ": "), (",", ":"), (" ,\t", " :  ")]))
    text = json.dumps(shuffled, ensure_ascii=draw(st.booleans()), separators=separators)
    if draw(st.integers(0, 5)) == 0:
        text = text.replace("1", "\\u0031").replace("I", "\\u0049", 1)
        text = text.replace("\\u0049d", "Id")
    margins = draw(st.sampled_from(["{}", "{}", "  {}", "{}  ", "\t{} "]))
    return margins.format("\0").replace("\0", text)


@st.composite
def query_files(draw, with_bad):
    recipe = draw(st.sampled_from([ITEMS, ATTRIBUTES]))
    files = Files(recipe, draw(st.booleans()))
    # The order of keys is that of their UTF-8 bytes, as is that of code points.
    names = ["a.jsonl", "a/b.jsonl", "a-b.gz", "é/ü .json", "z", "日本/🎃"]
    for name in sorted(draw(st.lists(st.sampled_from(names), min_size=1, unique=True))):
        if with_bad and draw(st.integers(0, 7)) == 0:
            files.contents[name] = b"ITEM_ID,TITLE\n1,Heat\n"
            files.bad.append((name, 1))
            continue
        end = draw(st.sampled_from(["\n", "\r\n"]))
        lines = []
        for number in range(1, draw(st.integers(0, 7)) + 1):
            kind = draw(st.integers(0, 9))
            if kind == 0:
                lines.append(draw(st.sampled_from(["", "  ", "\t"])))
            elif kind == 1 and with_bad:
                lines.append(draw(st.sampled_from(BAD_LINES)))
                if lines[-1] == "{" and not any(map(str.strip, lines[:-1])):
                    lines[-1] = "{}"
                files.bad.append((name, number))
            else:
                query = dict(draw(st.sampled_from(SUBJECTS[recipe])))
                if files.placeholders:
                    query["filterValues"] = draw(st.sampled_from(FILTER_VALUES))
                lines.append(spelled(draw, query))
                files.asked.append(Asked(name, number, query))
        text = end.join(lines) + (end if draw(st.booleans()) else "")
        content = text.encode(
            "utf-8-sig" if draw(st.booleans()) else "utf-8", "surrogatepass"
        )
        if draw(st.booleans()):
            cut = draw(st.integers(0, len(content)))
            content = gzip.compress(content[:cut]) + gzip.compress(content[cut:])
        files.contents[name] = content
    return files


# What is in the output.


@dataclass
class Line:
    """A line of output: its text, and what it says if it can be read."""

    text: str
    query: dict[str, Any] | None = None
    users: list[str] | None = None
    error: str | None = None


USER_IDS = st.text(st.sampled_from('ab1 "\\,\n\r\t]}[{é日🎃\u2028\x7f\0'), max_size=4)


@st.composite
def output_lines(draw, queries):
    """Draw the output of a part that has these queries, with all that may be odd."""
    answered = [each for each in queries if draw(st.integers(0, 5))]
    answered += draw(st.lists(st.sampled_from(queries), max_size=2))
    lines = [draw(answer(query)) for query in draw(st.permutations(answered))]
    for text in draw(
        st.lists(
            st.sampled_from(
                ["", " \t", "{", "null", "[1]", "x", '{"input": 5}', "{} {}", "\r"]
            ),
            max_size=2,
        )
    ):
        query = {} if text == '{"input": 5}' else None
        lines.insert(draw(st.integers(0, len(lines))), Line(text, query))
    if draw(st.integers(0, 4)) == 0:
        stranger = draw(answer({"itemId": "nobody asked", "filterValues": {"A": "1"}}))
        lines.insert(draw(st.integers(0, len(lines))), stranger)
    if lines and draw(st.integers(0, 4)) == 0:
        text = lines[-1].text.rstrip()
        lines[-1] = Line(text[: draw(st.integers(0, max(0, len(text) - 1)))])
    return lines


@st.composite
def answer(draw, query):
    users = draw(st.none() | st.lists(USER_IDS, max_size=6))
    error = draw(
        st.sampled_from([None, None, None, None, "no such\nitem", {"code": 5}, ""])
    )
    said: list[tuple[str, Any]] = []
    echoed = dict(query)
    if "filterValues" in echoed and draw(st.integers(0, 3)) == 0:
        del echoed["filterValues"]
    if draw(st.booleans()):
        said.append(("input", {**echoed, **draw(st.sampled_from([{}, {"more": 1}]))}))
    else:
        said += echoed.items()
    key = draw(st.sampled_from(["usersList", "recommendedUsers"]))
    if users is not None:
        output = {key: users, "model": [1, {"a": "]"}]}
        if key == "recommendedUsers" and draw(st.booleans()):
            output["usersList"] = None
        names = draw(st.permutations(list(output)))
        said.append(("output", {name: output[name] for name in names}))
    elif draw(st.booleans()):
        said.append(("output", draw(st.sampled_from([None, {}, {key: None}, "x"]))))
    if error is not None or draw(st.booleans()):
        said.append(("error", error))
    if draw(st.booleans()):
        said.append(("took", -1.5e3))
    separators = draw(st.sampled_from([(", ", ": "), (",", ":"), (" ,  ", ":")]))
    text = json.dumps(
        dict(draw(st.permutations(said))),
        ensure_ascii=draw(st.booleans()),
        separators=separators,
    )
    told = json.dumps(error) if isinstance(error, dict) else error or None
    return Line(text + draw(st.sampled_from(["", "\r"])), echoed, users, told)


@dataclass
class Outcome:
    """What became of the queries of a part: status, users and error of each."""

    of: dict[str, tuple[str, list[str], str | None]]
    unrecognized: int
    by_order: int


def right_outcome(queries, lines):
    """Work out what became of queries: what is not plain is never guessed."""
    lines = [line for line in lines if line.text.strip(" \t\r")]
    answers: dict[str, Line] = {}
    unrecognized = by_order = 0
    held = []
    for line in lines:
        exact = [each for each in queries if each == line.query]
        like = [each for each in queries if line.query == subject(each)]
        if not exact and len(like) > 1:
            held.append((line, like))
        elif asked := exact or like:
            before = answers.get(identity(asked[0]))
            unrecognized += before is not None
            # The service tried again: an answer is worth more than an error.
            if verdict(before)[0] == "missing" or (
                verdict(before)[0] == "failed" and verdict(line)[0] != "failed"
            ):
                answers[identity(asked[0])] = line
        else:
            unrecognized += 1
    all_read = all(line.query is not None for line in lines)
    while held:
        like = held[0][1]
        same = [line for line, other in held if other == like]
        held = [each for each in held if each[1] != like]
        free = [each for each in like if identity(each) not in answers]
        if all_read and len(same) == len(free):
            by_order += len(same)
            answers |= zip(map(identity, free), same, strict=True)
        else:
            unrecognized += len(same)
    return Outcome(
        {identity(each): verdict(answers.get(identity(each))) for each in queries},
        unrecognized,
        by_order,
    )


def subject(query):
    return {key: query[key] for key in query if key != "filterValues"}


def verdict(line):
    if line is None:
        return "missing", [], None
    if line.error:
        return "failed", [], line.error
    if line.users is None:
        return "failed", [], NEITHER
    return ("segment" if line.users else "empty"), line.users, None


# Calls that break off, and calls that are short of time.


class BrokenOffError(Exception):
    """A function ends in the middle."""


@contextmanager
def breaking_off(cloud, after, *, before_the_call):
    """Let a call of S3 break, the next one but so many; its effect may have come."""
    left = itertools.count(after, -1)

    def count(**_):
        if next(left) == 0:
            raise BrokenOffError

    name = "before-call.s3" if before_the_call else "after-call.s3"
    cloud.s3.meta.events.register(name, count, unique_id="break-off")
    try:
        yield
    finally:
        cloud.s3.meta.events.unregister(name, unique_id="break-off")


def insistent(cloud, draw, action):
    """Do something, which may break off anywhere and is then done again."""
    for after in draw(st.lists(st.integers(0, 14), max_size=2)):
        try:
            with breaking_off(cloud, after, before_the_call=draw(st.booleans())):
                return action()
        except BrokenOffError:
            continue
    return action()


class Hasty:
    """The context of calls that have time for one unit of work now and then."""

    def __init__(self, draw):
        self._short = draw(st.lists(st.booleans(), max_size=8))

    def get_remaining_time_in_millis(self):
        return 1000 if self._short and self._short.pop() else 900_000


class Run:
    """One run of the functions, as the state machine calls them."""

    def __init__(self, cloud, draw):
        self.cloud = cloud
        self.draw = draw
        self.number = next(_runs)
        self.folder = f"run {self.number}"

    def prepare(self, files, *, skip, num_results):
        cloud = self.cloud
        for name, content in files.contents.items():
            cloud.put(f"queries/{self.folder}/{name}", content)
        for version in cloud.personalize.solution_versions.values():
            version["recipeArn"] = f"arn:aws:personalize:::recipe/{files.recipe}"
            group = version["datasetGroupArn"]
        cloud.personalize.filters[FILTER] = {
            "filterArn": FILTER,
            "status": "ACTIVE",
            "datasetGroupArn": group,
            "filterExpression": "INCLUDE UserID WHERE Users.A IN ($A) AND Users.B = $B",
        }
        given = {"queries": self.folder, "numResults": num_results}
        if files.placeholders:
            given["filterArn"] = FILTER
        return insistent(
            cloud,
            self.draw,
            lambda: cloud.prepare(
                given, execution=f"arn:{self.number}", skipInvalidLines=skip
            ),
        )

    def account(self, run, job, parts, looked):
        """Collect and finish until the run ends."""
        cloud, draw = self.cloud, self.draw
        now, since = datetime.fromisoformat("2026-01-05T07:00:00Z"), None
        for round_ in itertools.count():
            assert round_ < 200, "the run does not come to its end"
            for part in parts:
                looked(part)
                insistent(
                    cloud,
                    draw,
                    lambda part=part: cloud.collect(run, job, part, Hasty(draw)),
                )
            end = insistent(
                cloud,
                draw,
                lambda now=now, since=since: cloud.finish(
                    run, job, now=now.isoformat(), since=since
                ),
            )
            if end["outcome"] != "lookAgain":
                return end
            parts, since = end["parts"], end["looking"]["since"]
            now += timedelta(seconds=end["waitSeconds"])


@pytest.fixture(autouse=True)
def in_a_folder_of_dots(cloud, monkeypatch):
    monkeypatch.setenv("RESULTS_PREFIX", RESULTS)


def every(strategy, check, examples, start=0):
    """Hold a check against so many examples, others for each start."""

    @seed(start)
    @settings(
        max_examples=examples,
        deadline=None,
        # Making examples smaller takes longer than a test may.
        phases=[Phase.reuse, Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(strategy)
    def holds(data):
        with pytest.MonkeyPatch.context() as patch:
            check(data.draw, patch)

    holds()


def small_limits(draw, patch, *, files):
    """Make limits small enough for a few queries to reach them."""
    for recipe in (ITEMS, ATTRIBUTES):
        patch.setitem(limits.QUERIES_PER_FILE, recipe, draw(st.integers(1, 4)))
    patch.setattr(limits, "MAX_INPUT_FILES", files)
    patch.setattr(objects, "CHUNK_BYTES", draw(st.sampled_from([1 << 20, 64, 7])))
    patch.setattr(limits, "MAX_PART_OUTPUT_BYTES", 240_000_000)
    patch.setattr(collect, "_ROWS_A_UNIT", draw(st.sampled_from([5_000_000, 3, 1])))


# An example takes two seconds or three: 400 of them in rounds that fit into a time-out.
@pytest.mark.parametrize(
    ("examples", "start"),
    [(6, 0), *(pytest.param(100, n, marks=SLOW) for n in range(4))],
)
def test_whatever_is_asked_and_answered_each_line_ends_as_one_thing(
    cloud, examples, start
):
    def check(draw, patch):
        small_limits(draw, patch, files=1000)
        skip = draw(st.booleans())
        files = draw(query_files(with_bad=skip))
        run_and_check(cloud, draw, files, skip)

    every(st.data(), check, examples, start)


def run_and_check(cloud, draw, files, skip):
    run = Run(cloud, draw)
    # So many users that only three, or one, of the queries fit into a part.
    users = draw(st.sampled_from([1, 25, 2_000_000, 5_000_000]))
    prepared = run.prepare(files, skip=skip, num_results=users)
    if not files.asked:
        assert prepared["failure"]["error"] == "InvalidInput"
        return
    assert prepared["outcome"] == "ready", prepared["failure"]
    record = prepared["run"]
    sent = check_input(cloud, files, prepared, users)
    job = {**cloud.create(record)["job"], "status": "ACTIVE", "finishedAt": None}

    outcomes: list[Outcome] = []
    contents: list[list[bytes]] = []
    for queries in sent:
        lines = draw(st.none() | output_lines(queries))
        early = (lines or [])[: draw(st.integers(0, len(lines or [])))]
        outcome = right_outcome(queries, early)
        versions = [as_bytes(early)]
        if any(status == "missing" for status, *_ in outcome.of.values()):
            outcome = right_outcome(queries, lines or [])
            versions.append(as_bytes(lines or []))
        outcomes.append(outcome)
        contents.append([] if lines is None else versions)

    def looked(part):
        """Let more of the output appear."""
        if contents[part]:
            name = record["name"]
            key = f"output/{name}/part-{part:05d}.json.out"
            cloud.put(key, contents[part].pop(0), "outputs")

    end = run.account(record, job, prepared["parts"], looked)
    check_results(run, files, sent, outcomes, record, end)


def as_bytes(lines):
    return "\n".join(line.text for line in lines).encode()


def check_input(cloud, files, prepared, users):
    """Check what Personalize would read; return the queries of each part."""
    record = prepared["run"]
    folder = f"input/{record['name']}/"
    keys = cloud.keys(folder)
    assert keys == [f"{folder}part-{part:05d}.json" for part in prepared["parts"]]
    assert record["input"] == f"s3://inputs/{keys[0] if len(keys) == 1 else folder}"
    sent = [cloud.rows(key, "inputs") for key in keys]
    flat = [identity(query) for queries in sent for query in queries]
    assert flat == files.distinct
    most = limits.QUERIES_PER_FILE[files.recipe]
    fit = max(1, limits.MAX_PART_OUTPUT_BYTES // (users * limits.BYTES_PER_USER))
    sizes = [len(queries) for queries in sent]
    assert set(sizes[:-1]) <= {min(most, fit)}
    assert 1 <= sizes[-1] <= min(most, fit)
    counts = (len(files.asked), len(files.distinct))
    assert (record["queries"], record["distinct"]) == counts
    return sent


def check_results(run, files, sent, outcomes, record, end):
    cloud = run.cloud
    folder = f"{RESULTS}{record['name']}/"
    manifest = cloud.json(f"{folder}manifest.json")
    Draft202012Validator(SCHEMA).validate(manifest)
    expected = {}
    part_of = {}
    for part, (queries, outcome) in enumerate(zip(sent, outcomes, strict=True)):
        for query in queries:
            expected[identity(query)] = outcome.of[identity(query)]
            part_of[identity(query)] = part

    rows = []
    segments: dict[str, list[tuple[int, str]]] = {}
    for part, record_of_part in enumerate(manifest["parts"]):
        check_part(cloud, folder, record_of_part, outcomes[part])
        own = []
        for file in record_of_part["files"]:
            if file["key"].startswith("queries/"):
                own += cloud.rows(folder + file["key"])
                continue
            table = io.StringIO(cloud.text(folder + file["key"]), newline="")
            for row in csv.DictReader(table):
                found = segments.setdefault(row["query_id"], [])
                found.append((int(row["rank"]), row["user_id"]))
        assert {part_of[identity(row["query"])] for row in own} == {part}
        rows += own

    wanted_rows = {}
    wanted_segments = {}
    for number, asked in enumerate(files.asked, start=1):
        status, users, error = expected[identity(asked.query)]
        wanted_rows[f"q{number:06d}"] = {
            "query_id": f"q{number:06d}",
            "file": f"queries/{run.folder}/{asked.file}",
            "line": asked.line,
            "query": asked.query,
            "status": status,
            "users": len(users),
            "error": error,
        }
        if users:
            wanted_segments[f"q{number:06d}"] = list(enumerate(users, start=1))
    assert len(rows) == len(wanted_rows)
    assert {row["query_id"]: row for row in rows} == wanted_rows
    assert segments == wanted_segments
    check_manifest(cloud, folder, files, wanted_rows, manifest, end)


def check_part(cloud, folder, part, outcome):
    statuses = Counter(status for status, *_ in outcome.of.values())
    assert part["distinct"] == statuses.total()
    assert part["unrecognized"] == outcome.unrecognized
    assert part["byOrder"] == outcome.by_order
    counted: Counter[str] = Counter()
    for file in part["files"]:
        key = folder + file["key"]
        content = cloud.s3.get_object(Bucket="outputs", Key=key)["Body"].read()
        assert file["bytes"] == len(content)
        assert file["sha256"] == hashlib.sha256(content).hexdigest()
        text = gzip.decompress(content).decode()
        if file["key"].startswith("queries/"):
            found = [json.loads(line) for line in text.split("\n")[:-1]]
            counted.update(row["status"] for row in found)
            counted["queries"] += len(found)
        else:
            found = list(csv.DictReader(io.StringIO(text, newline="")))
            counted["users"] += len(found)
        assert file["rows"] == len(found)
    names = {"segments": "segment", "empty": "empty", "failed": "failed"}
    names |= {"missing": "missing", "users": "users", "queries": "queries"}
    for name, counted_as in names.items():
        assert part[name] == counted[counted_as], name


def check_manifest(cloud, folder, files, rows, manifest, end):
    statuses = Counter(row["status"] for row in rows.values())
    assert manifest["queries"] == {
        "total": len(rows),
        "distinct": len(files.distinct),
        "segments": statuses["segment"],
        "empty": statuses["empty"],
        "failed": statuses["failed"],
        "missing": statuses["missing"],
    }
    assert manifest["users"] == sum(row["users"] for row in rows.values())
    listed = {
        folder + file["key"] for part in manifest["parts"] for file in part["files"]
    }
    kept = {
        key
        for kind in ("queries/", "users/")
        for key in cloud.keys(folder + kind, "outputs")
    }
    assert listed == kept
    by_file = Counter(asked.file for asked in files.asked)
    sources = {each["key"].split("/", 2)[2]: each for each in manifest["sources"]}
    assert {name: each["queries"] for name, each in sources.items()} == {
        name: by_file[name] for name in files.contents
    }
    for name, each in sources.items():
        content = files.contents[name]
        assert each["bytes"] == len(content)
        assert each["sha256"] in (hashlib.sha256(content).hexdigest(), None)
    check_bad(cloud, files, manifest["invalidLines"], skipped=True)
    if statuses["missing"]:
        assert end["failure"]["error"] == "OutputIncomplete"
        return
    assert end["outcome"] == "succeeded", end
    result = end["result"]
    assert result["queries"] == len(rows)
    assert result["failedQueries"] == statuses["failed"]
    assert result["users"] == manifest["users"]
    assert result["skippedLines"] == len(files.bad)


def check_bad(cloud, files, told, *, skipped):
    if not files.bad:
        assert told is None
        return
    assert (told["count"], told["skipped"]) == (len(files.bad), skipped)
    listed = cloud.rows(told["location"].removeprefix("s3://outputs/"))
    places = dict.fromkeys(
        (each["file"].split("/", 2)[2], each["line"]) for each in listed
    )
    assert list(places) == files.bad


@pytest.mark.parametrize("times", TIMES)
def test_what_cannot_be_run_is_refused_completely_and_nothing_is_sent(cloud, times):
    def check(draw, patch):
        most = draw(st.integers(1, 3))
        small_limits(draw, patch, files=most)
        most_bytes = draw(st.sampled_from([1_000_000_000, 150, 60]))
        patch.setattr(limits, "MAX_INPUT_BYTES", most_bytes)
        files = draw(query_files(with_bad=draw(st.booleans())))
        prepared = Run(cloud, draw).prepare(files, skip=False, num_results=1)
        name = prepared["run"]["name"]
        bytes_ = sum(
            len(json.dumps(json.loads(each), ensure_ascii=False).encode()) + 1
            for each in files.distinct
        )
        queries = limits.QUERIES_PER_FILE[files.recipe] * most
        fits = len(files.distinct) <= queries and bytes_ <= most_bytes
        if files.asked and not files.bad and fits:
            assert prepared["outcome"] == "ready", prepared["failure"]
            sent = sum(
                len(cloud.get(key, "inputs")) for key in cloud.keys(f"input/{name}/")
            )
            assert sent == bytes_
            return
        assert prepared["outcome"] == "failed"
        assert prepared["failure"]["error"] == "InvalidInput"
        assert cloud.keys(f"input/{name}.plan/plan.json") == []
        check_bad(cloud, files, prepared["run"]["invalidLines"], skipped=False)

    every(st.data(), check, 20 * times)


def test_results_of_other_runs_are_left_alone(cloud):
    cloud.items("a")
    others = [
        f"{RESULTS}another-run/users/part-00000.csv.gz",
        f"{RESULTS}another-run/manifest.json",
        "data/v1-of-someone-else",
    ]
    for key in others:
        cloud.put(key, "kept", "outputs")
    run = cloud.prepare()["run"]
    cloud.collect(run, {**cloud.create(run)["job"], "status": "ACTIVE"})
    kept = cloud.keys("data/", "outputs")
    assert [key for key in others if key not in kept] == []
