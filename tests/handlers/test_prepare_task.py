"""Preparing a run: what becomes of query files, and what refuses a run."""

import gzip
import json
from contextlib import contextmanager
from threading import Lock

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from segment_tasks import dealing, limits, objects, prepare, sources
from segment_tasks.failures import AccessDenied
from segment_tasks.locations import run_name

ACCOUNT = "123456789012"
PERSONALIZE = f"arn:aws:personalize:us-east-1:{ACCOUNT}"
SOLUTION = f"{PERSONALIZE}:solution/films"
VERSION = f"{SOLUTION}/0a1b2c3d"
FILTER = f"{PERSONALIZE}:filter/members"
ATTRIBUTES = "arn:aws:personalize:::recipe/aws-item-attribute-affinity"
FILM = json.dumps({"itemAttributes": 'ITEMS.genres = "Comedy"'})


def refused(result, error):
    """Return the cause of a refusal, after checking what comes with it."""
    assert result["outcome"] == "failed", result
    assert result["failure"]["error"] == error, result["failure"]
    run = result["run"]
    told = {key for key, value in run.items() if value}
    assert told <= {"name", "invalidLines", "used"}
    assert result["parts"] == []
    return result["failure"]["cause"]


def test_one_file_becomes_one_part_and_all_that_a_job_needs(cloud):
    cloud.put("queries/a.json", '{"itemId": "1"}\r\n\n{"itemId": "2"}')
    result = cloud.prepare({"tags": {"team": "crm"}}, tags={"team": "x", "app": "y"})
    run = result["run"]
    name = run["name"]
    assert result == {
        "outcome": "ready",
        "result": None,
        "run": {
            "name": name,
            "jobName": name,
            "adoptable": [],
            "prepared": name,
            "solutionVersionArn": VERSION,
            "recipe": "aws-item-affinity",
            "filterArn": None,
            "numResults": 25,
            "tags": {"team": "crm", "app": "y"},
            "input": f"s3://inputs/input/{name}/part-00000.json",
            "output": f"s3://outputs/output/{name}/",
            "queries": 2,
            "distinct": 2,
            "invalidLines": None,
            # Lists the query files, and what may be left of another attempt.
            "used": {"reads": 2, "writes": 6, "bytes": 150},
        },
        "parts": [0],
        "waiting": {"since": None, "attempts": 0, "refusedSince": None},
        "looking": {"since": None, "rounds": 1, "parts": 1},
        "failure": None,
    }
    sent = cloud.text(f"input/{name}/part-00000.json", "inputs")
    assert sent == '{"itemId": "1"}\n{"itemId": "2"}\n'
    assert cloud.rows(f"input/{name}.plan/part-00000.jsonl", "inputs") == [
        {"id": 1, "file": "queries/a.json", "line": 1, "count": 1},
        {"id": 2, "file": "queries/a.json", "line": 3, "count": 1},
    ]


def test_a_query_is_sent_once_however_it_is_spelled_and_wherever_it_is_asked(cloud):
    cloud.put("queries/a.json", '{"itemId": "1"}\n{"itemId":"2"}\n{"itemId": "1"}\n')
    cloud.put("queries/b.json", '\n { "itemId" : "\\u0032", "filterValues": {} }\n')
    run = cloud.prepare()["run"]
    name = run["name"]
    assert (run["queries"], run["distinct"]) == (4, 2)
    sent = cloud.text(f"input/{name}/part-00000.json", "inputs")
    assert sent == '{"itemId": "1"}\n{"itemId": "2"}\n'
    assert cloud.rows(f"input/{name}.plan/part-00000.jsonl", "inputs") == [
        {"id": 1, "file": "queries/a.json", "line": 1, "count": 2},
    ]
    assert cloud.rows(f"input/{name}.plan/part-00000.repeats.jsonl", "inputs") == [
        {"query": 0, "id": 3, "file": "queries/a.json", "line": 3},
        {"query": 1, "id": 4, "file": "queries/b.json", "line": 2},
    ]


def test_repeats_are_recorded_with_the_part_that_asks_the_query(cloud, monkeypatch):
    monkeypatch.setitem(limits.QUERIES_PER_FILE, limits.ITEM_AFFINITY, 2)
    cloud.items("a", "b", "c", "d", "e", "c", "a", "d")
    result = cloud.prepare()
    name = result["run"]["name"]
    assert result["parts"] == [0, 1, 2]
    assert [
        [each["itemId"] for each in cloud.rows(f"input/{name}/{part}.json", "inputs")]
        for part in ("part-00000", "part-00001", "part-00002")
    ] == [["a", "b"], ["c", "d"], ["e"]]
    repeats = {
        key.rpartition("/")[2]: [
            (each["query"], each["id"]) for each in cloud.rows(key, "inputs")
        ]
        for key in cloud.keys(f"input/{name}.plan/")
        if "repeats" in key
    }
    assert repeats == {
        "part-00000.repeats.jsonl": [(0, 7)],
        "part-00001.repeats.jsonl": [(0, 6), (1, 8)],
    }


def test_many_queries_are_dealt_out_to_as_few_parts_as_allowed(cloud):
    cloud.items(*map(str, range(1234)))
    result = cloud.prepare()
    name = result["run"]["name"]
    assert result["parts"] == [0, 1, 2]
    assert result["run"]["input"] == f"s3://inputs/input/{name}/"
    sizes = [
        len(cloud.rows(f"input/{name}/part-{part:05d}.json", "inputs"))
        for part in range(3)
    ]
    assert sizes == [500, 500, 234]
    index = cloud.rows(f"input/{name}.plan/part-00002.jsonl", "inputs")
    file = "queries/items.json"
    assert index == [{"id": 1001, "file": file, "line": 1001, "count": 234}]
    assert len(cloud.keys(f"input/{name}/")) == 3


def test_attribute_queries_go_out_ten_a_part(cloud):
    cloud.personalize.solution_versions[VERSION]["recipeArn"] = ATTRIBUTES
    films = (FILM.replace("Comedy", str(each)) for each in range(37))
    cloud.put("queries/a.json", "\n".join(films))
    result = cloud.prepare()
    assert result["parts"] == [0, 1, 2, 3]
    assert result["run"]["recipe"] == limits.ITEM_ATTRIBUTE_AFFINITY


@pytest.mark.parametrize(
    ("num_results", "expected"), [(25, 500), (100_000, 250), (5_000_000, 5)]
)
def test_parts_are_smaller_where_their_output_would_be_huge(num_results, expected):
    assert dealing.per_part(limits.ITEM_AFFINITY, num_results) == expected


def test_files_are_taken_in_key_order_whatever_their_names(cloud):
    cloud.items("b", key="queries/z/ünï code.txt")
    cloud.items("a", key="queries/a b.json")
    cloud.put("queries/", "")
    cloud.put("queries/z/", "")
    cloud.put("queries/empty.json", "\n\n")
    cloud.put("queries-old/no.json", '{"itemId": "no"}')
    result = cloud.prepare()
    name = result["run"]["name"]
    index = cloud.rows(f"input/{name}.plan/part-00000.jsonl", "inputs")
    assert [each["file"] for each in index] == [
        "queries/a b.json",
        "queries/z/ünï code.txt",
    ]
    plan = cloud.json(f"input/{name}.plan/plan.json", "inputs")
    assert [each["queries"] for each in plan["sources"]] == [1, 0, 1]
    assert plan["sources"][0]["bytes"] == 16
    assert plan["notes"] == ["queries/empty.json holds no query."]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("a", ["queries/a"]),
        ("queries/a", ["queries/a"]),
        ("a/", ["queries/a/1.json", "queries/a/b/2.json", "queries/a/bc/3.json"]),
        ("a/b", ["queries/a/b/2.json"]),
        ("a.json", ["queries/a.json"]),
        ("queries/", None),
        (None, None),
    ],
)
def test_queries_names_a_file_or_a_folder_never_a_mere_beginning(
    cloud, asked, expected
):
    everything = [
        "queries/a",
        "queries/a.json",
        "queries/a.json.bak",
        "queries/a/1.json",
        "queries/a/b/2.json",
        "queries/a/bc/3.json",
        "queries/ab/3.json",
    ]
    for key in everything:
        cloud.items(key, key=key)
    result = cloud.prepare({"queries": asked})
    plan = cloud.json(f"input/{result['run']['name']}.plan/plan.json", "inputs")
    assert [each["key"] for each in plan["sources"]] == (expected or everything)


def test_one_version_of_a_file_is_used_and_written_down(cloud):
    cloud.s3.put_bucket_versioning(
        Bucket="inputs", VersioningConfiguration={"Status": "Enabled"}
    )
    cloud.items("old")
    cloud.items("new")
    newest = cloud.s3.head_object(Bucket="inputs", Key="queries/items.json")
    plan = cloud.json(
        f"input/{cloud.prepare()['run']['name']}.plan/plan.json", "inputs"
    )
    (source,) = plan["sources"]
    assert source["versionId"] == newest["VersionId"]
    assert source["etag"] == newest["ETag"].strip('"')


@pytest.mark.parametrize("asked", [None, "absent", "absent/"])
def test_no_query_files_is_told_with_where_they_are_expected(cloud, asked):
    cause = refused(cloud.prepare({"queries": asked}), "InvalidInput")
    assert "s3://inputs/queries/" in cause
    assert asked is None or "s3://inputs/queries/absent" in cause


def test_files_without_any_query_are_refused(cloud):
    cloud.put("queries/a.json", "\n")
    cause = refused(cloud.prepare(), "InvalidInput")
    assert "There is no query in 1 file that the run reads" in cause
    assert "queries/a.json" in cause


@contextmanager
def handling(cloud, event, handler):
    """Let a handler see, and change, requests of the S3 client."""
    cloud.s3.meta.events.register(event, handler)
    yield
    cloud.s3.meta.events.unregister(event, handler)


@contextmanager
def changing(cloud, change):
    """Change files when the first one is about to be read."""
    changes = [change]
    lock = Lock()

    def then_change(params, **_):
        with lock:
            if params["Key"].startswith("queries/") and changes:
                changes.pop()()

    with handling(cloud, "provide-client-params.s3.GetObject", then_change):
        yield


@pytest.mark.parametrize("change", ["overwritten", "deleted"])
def test_what_was_there_at_the_start_is_read_whatever_becomes_of_it(cloud, change):
    cloud.s3.put_bucket_versioning(
        Bucket="inputs", VersioningConfiguration={"Status": "Enabled"}
    )
    cloud.items("old")
    changes = {
        "overwritten": lambda: cloud.items("new"),
        "deleted": lambda: cloud.s3.delete_object(
            Bucket="inputs", Key="queries/items.json"
        ),
    }
    with changing(cloud, changes[change]):
        run = cloud.prepare()["run"]
    assert "old" in cloud.text(f"input/{run['name']}/part-00000.json", "inputs")


@pytest.mark.parametrize("change", ["overwritten", "deleted"])
def test_without_versions_a_file_that_changes_meanwhile_is_told(cloud, change):
    cloud.items("1")
    changes = {
        "overwritten": lambda: cloud.items("new"),
        "deleted": lambda: cloud.s3.delete_object(
            Bucket="inputs", Key="queries/items.json"
        ),
    }
    with changing(cloud, changes[change]):
        cause = refused(cloud.prepare(), "InvalidInput")
    assert "s3://inputs/queries/items.json was changed or deleted" in cause


def paged(params, **_):
    """Have lists come in pages of 3, not of 1000."""
    params["MaxKeys"] = 3


def test_nothing_that_comes_while_files_are_read_gets_into_the_run(cloud):
    cloud.s3.put_bucket_versioning(
        Bucket="inputs", VersioningConfiguration={"Status": "Enabled"}
    )
    for number in range(10):
        for version in ("older", "old"):
            cloud.items(f"{version}-{number}", key=f"queries/{number}.json")

    def change():
        cloud.items("late", key="queries/99.json")
        for number in range(10):
            cloud.items("new", key=f"queries/{number}.json")

    listing = "provide-client-params.s3.ListObjectVersions"
    with handling(cloud, listing, paged), changing(cloud, change):
        run = cloud.prepare()["run"]
    asked = cloud.rows(f"input/{run['name']}/part-00000.json", "inputs")
    assert [each["itemId"] for each in asked] == [f"old-{each}" for each in range(10)]


def test_files_keep_their_order_although_several_are_fetched_at_once(
    cloud, monkeypatch
):
    monkeypatch.setattr(sources, "_SMALL_BYTES", 300)
    expected = []
    for number in range(30):
        ids = [f"{number}-{each}" for each in range(number % 10 * 3)]
        cloud.items(*ids, key=f"queries/{number:02d}.json")
        expected += ids
    run = cloud.prepare()["run"]
    asked = cloud.rows(f"input/{run['name']}/part-00000.json", "inputs")
    assert [each["itemId"] for each in asked] == expected


def test_deleted_files_are_not_read(cloud):
    cloud.s3.put_bucket_versioning(
        Bucket="inputs", VersioningConfiguration={"Status": "Enabled"}
    )
    cloud.items("1", key="queries/a")
    cloud.items("2", key="queries/b")
    cloud.s3.delete_object(Bucket="inputs", Key="queries/a")
    run = cloud.prepare()["run"]
    assert run["queries"] == 1
    cause = refused(cloud.prepare({"queries": "a"}, "arn:2"), "InvalidInput")
    assert "There is no query file" in cause


def test_very_many_files_are_refused(cloud, monkeypatch):
    monkeypatch.setattr(limits, "MAX_QUERY_FILES", 2)
    for name in "abc":
        cloud.items(name, key=f"queries/{name}.json")
    read = []
    reading = "provide-client-params.s3.GetObject"
    with handling(cloud, reading, lambda params, **_: read.append(params["Key"])):
        assert "more than 2 query files" in refused(cloud.prepare(), "InvalidInput")
    assert not any(key.startswith("queries/") for key in read)


def test_files_that_take_too_long_to_read_are_told(cloud, monkeypatch):
    monkeypatch.setattr(prepare, "_RESERVE_SECONDS", 901)
    cloud.items("1")
    cause = refused(cloud.prepare(), "InvalidInput")
    assert "got as far as s3://inputs/queries/items.json" in cause


def test_bad_lines_refuse_the_run_and_all_are_listed(cloud):
    cloud.put("queries/a.json", '{"itemId": "secret"}\n{"itemId": ["secret"]}\n')
    cloud.put("queries/b.json", '{"secret": 1, "filterValues": 2}\n' + "secret\n" * 5)
    result = cloud.prepare()
    cause = refused(result, "InvalidInput")
    name = result["run"]["name"]
    assert "7 lines" in cause
    assert "queries/a.json, line 2, column 12: itemId must be a string" in cause
    assert cause.count(", line ") == 5
    assert f"s3://outputs/results/{name}/invalid-lines.jsonl" in cause
    listed = cloud.rows(f"results/{name}/invalid-lines.jsonl")
    assert [(each["file"], each["line"], each["column"]) for each in listed] == [
        ("queries/a.json", 2, 12),
        ("queries/b.json", 1, 2),
        ("queries/b.json", 1, 15),
        *(("queries/b.json", line, 1) for line in range(2, 7)),
    ]
    assert all(each["reason"] for each in listed)
    assert "secret" not in cause
    assert "secret" not in json.dumps(listed)
    assert result["run"]["invalidLines"] == {
        "count": 7,
        "skipped": False,
        "location": f"s3://outputs/results/{name}/invalid-lines.jsonl",
    }
    assert cloud.keys("input/") == []


def test_bad_lines_are_skipped_and_told_where_the_pipeline_says_so(cloud):
    cloud.put("queries/a.json", '{"itemId": "1"}\nx\n{"itemId": "2"}\n{}\n')
    cloud.put("queries/b.csv", "item_id\n3\n")
    result = cloud.prepare(skipInvalidLines=True)
    name = result["run"]["name"]
    assert result["outcome"] == "ready"
    assert result["run"]["queries"] == 2
    assert result["run"]["invalidLines"] == {
        "count": 3,
        "skipped": True,
        "location": f"s3://outputs/results/{name}/invalid-lines.jsonl",
    }
    listed = cloud.rows(f"results/{name}/invalid-lines.jsonl")
    assert [(each["file"], each["line"]) for each in listed] == [
        ("queries/a.json", 2),
        ("queries/a.json", 4),
        ("queries/b.csv", 1),
    ]
    plan = cloud.json(f"input/{name}.plan/plan.json", "inputs")
    assert plan["notes"] == [
        "queries/b.csv holds no query.",
        "Skipped, since they cannot be used: 3 lines, listed in "
        f"s3://outputs/results/{name}/invalid-lines.jsonl.",
        "Skipped from the line named on to the end, since the file is none of queries "
        "or is damaged: queries/b.csv, line 1.",
    ]
    assert [each["sha256"] is None for each in plan["sources"]] == [False, False]


def test_with_nothing_but_bad_lines_there_is_nothing_to_go_on_with(cloud):
    cloud.put("queries/a.json", '{}\n{"x": 1}\n')
    cause = refused(cloud.prepare(skipInvalidLines=True), "InvalidInput")
    assert "2 lines of the query files cannot be used" in cause


def test_what_the_documentation_leaves_open_is_let_through_with_a_note(cloud):
    cloud.personalize.solution_versions[VERSION]["recipeArn"] = ATTRIBUTES
    lines = ["ITEMS.year = 1999", 'ITEMS.year = 2000 and ITEMS.a = "b"', 'ITEMS.a="b"']
    cloud.put(
        "queries/a.json",
        "".join(json.dumps({"itemAttributes": each}) + "\n" for each in lines),
    )
    run = cloud.prepare()["run"]
    plan = cloud.json(f"input/{run['name']}.plan/plan.json", "inputs")
    asked = "Not documented is whether Personalize takes"
    assert plan["notes"] == [
        f"{asked} numbers without quotes in itemAttributes, as in 2 lines.",
        f"{asked} AND or ITEMS in lower case in itemAttributes, as in 1 line.",
    ]


def test_one_bad_line_is_called_one(cloud):
    cloud.put("queries/a.json", "x")
    assert refused(cloud.prepare(), "InvalidInput").startswith("1 line of")


def test_no_list_of_bad_lines_stays_behind_when_reading_breaks(cloud, monkeypatch):
    monkeypatch.setattr(objects, "_PART_BYTES", 5 * 1024 * 1024)
    cloud.put("queries/a.json", "{}\n" * 60_000)
    cloud.items("1", key="queries/b.json")
    read = objects.ObjectReader

    def breaking(bucket, key, *version):
        if key.endswith("b.json"):
            raise ConnectionResetError
        return read(bucket, key, *version)

    monkeypatch.setattr(objects, "ObjectReader", breaking)
    with pytest.raises(ConnectionResetError):
        cloud.prepare()
    assert cloud.keys("results/", "outputs") == []
    assert "Uploads" not in cloud.s3.list_multipart_uploads(Bucket="outputs")


def test_reading_ends_far_beyond_what_one_run_takes(cloud, monkeypatch):
    monkeypatch.setattr(limits, "MAX_LINES", 1000)
    cloud.items(*map(str, range(2001)))
    cause = refused(cloud.prepare(), "InvalidInput")
    assert "more than 2,000 lines, and one run takes at most 1,000" in cause


def test_bytes_are_limited_as_they_are_uncompressed_and_with_repeats(
    cloud, monkeypatch
):
    monkeypatch.setattr(limits, "MAX_QUERY_BYTES", 5_000)
    cloud.put("queries/a.gz", gzip.compress(b'{"itemId": "1"}\n' * 300))
    assert cloud.prepare()["outcome"] == "ready"
    cloud.put("queries/b.gz", gzip.compress(b"\n" * 300))
    cause = refused(cloud.prepare(execution="arn:2"), "InvalidInput")
    assert "more than 5,000 bytes, uncompressed and with repeated queries" in cause
    assert "`personalize-segments split` cuts them" in cause


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize(
    ("stop", "says"),
    [
        ("lines", "more than 2 lines"),
        ("bytes", "more than 9 bytes"),
        ("time", "got as far as s3://inputs/queries/b.json; spread"),
        ("change", "s3://inputs/queries/b.json was changed or deleted"),
    ],
)
def test_bad_lines_are_listed_too_where_reading_stops_for_another_reason(
    cloud, monkeypatch, stop, says, skip
):
    cloud.put("queries/a.json", "{}\nx\n")
    cloud.items("1", "2", key="queries/b.json")
    if stop == "lines":
        monkeypatch.setattr(limits, "MAX_LINES", 1)
    elif stop == "bytes":
        monkeypatch.setattr(limits, "MAX_QUERY_BYTES", 9)
    elif stop == "time":
        short = iter([False, True])
        monkeypatch.setattr(prepare, "is_short", lambda *_: next(short))

    def delete():
        if stop == "change":
            cloud.s3.delete_object(Bucket="inputs", Key="queries/b.json")

    with changing(cloud, delete):
        result = cloud.prepare(skipInvalidLines=skip)
    cause = refused(result, "InvalidInput")
    assert says in cause
    name = result["run"]["name"]
    where = f"s3://outputs/results/{name}/invalid-lines.jsonl"
    assert f"2 lines cannot be used, listed in {where}: queries/a.json, line 1" in cause
    told = {"count": 2, "skipped": False, "location": where}
    assert result["run"]["invalidLines"] == told
    listed = cloud.rows(f"results/{name}/invalid-lines.jsonl")
    assert [each["line"] for each in listed] == [1, 2]


def test_lines_that_repeat_queries_are_limited_too(cloud, monkeypatch):
    monkeypatch.setattr(limits, "MAX_LINES", 3)
    cloud.items(*"abab")
    cause = refused(cloud.prepare(), "InvalidInput")
    assert "4 lines with a query, and one run takes at most 3" in cause


def test_more_output_than_one_run_takes_is_refused_with_the_arithmetic(cloud):
    cloud.items(*(str(each // 2) for each in range(5002)))
    cause = refused(cloud.prepare({"numResults": 5_000_000}), "InvalidInput")
    assert "5,002 lines with a query, 5,000,000 users for each" in cause
    assert "make 1,000,400,000,000 bytes of output" in cause


def test_more_queries_than_one_job_takes_are_refused_with_the_arithmetic(
    cloud, monkeypatch
):
    monkeypatch.setattr(limits, "MAX_INPUT_FILES", 2)
    cloud.items(*map(str, range(1001)), key="queries/a.json")
    cause = refused(cloud.prepare(), "InvalidInput")
    assert "1,001 queries at 500 a file" in cause
    assert "make 3 files" in cause
    assert "at most 1,000 queries; `personalize-segments split` cuts" in cause
    assert not any("plan.json" in key for key in cloud.keys("input/"))


def test_more_bytes_than_one_job_takes_are_refused_with_the_arithmetic(
    cloud, monkeypatch
):
    monkeypatch.setattr(limits, "MAX_INPUT_BYTES", 100)
    cloud.items(*"1234567")
    cause = refused(cloud.prepare(), "InvalidInput")
    assert "112 bytes" in cause
    assert "at most 100; `personalize-segments split` cuts" in cause


def test_a_path_that_the_service_would_not_take_is_refused(cloud, monkeypatch):
    monkeypatch.setenv("OUTPUT_PREFIX", "o" * 230 + "/")
    cloud.items("1")
    cause = refused(cloud.prepare(), "InvalidInput")
    assert "shorter prefix" in cause
    assert "256" in cause


def test_what_an_earlier_attempt_left_is_deleted_before_the_run_counts(cloud):
    cloud.items("1")
    name = cloud.prepare()["run"]["name"]
    cloud.s3.delete_object(Bucket="inputs", Key=f"input/{name}.plan/plan.json")
    for stale in (
        f"input/{name}/part-00007.json",
        f"input/{name}.plan/part-00007.jsonl",
    ):
        cloud.put(stale, "stale")
    assert cloud.prepare()["outcome"] == "ready"
    assert cloud.keys("input/") == [
        f"input/{name}.plan/part-00000.jsonl",
        f"input/{name}.plan/plan.json",
        f"input/{name}/part-00000.json",
    ]


def test_a_repeated_invocation_keeps_what_is_prepared(cloud):
    cloud.items("1")
    first = cloud.prepare()
    cloud.items("other")
    cloud.personalize.solution_versions.clear()
    assert cloud.prepare() == first


def test_an_execution_of_a_name_that_was_used_before_is_another_run(cloud):
    cloud.items("old")
    first = cloud.prepare()["run"]["name"]
    cloud.items("new")
    run = cloud.prepare(started="2026-05-05T06:00:00.000Z")["run"]
    assert run["name"] != first
    assert "new" in cloud.text(f"input/{run['name']}/part-00000.json", "inputs")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ([], "a JSON object"),
        ("x", "got a string"),
        (5, "got a number"),
        (True, "got true or false"),
        ({"query": "x"}, "unknown key 'query'; allowed are queries, numResults"),
        ({"queries": ""}, "queries must be the key"),
        ({"queries": 5}, "queries must be the key"),
        ({"numResults": True}, "numResults must be a whole number"),
        ({"numResults": "5"}, "numResults must be a whole number"),
        ({"numResults": 0}, "numResults must be 1 to 5,000,000, got 0"),
        ({"numResults": 5_000_001}, "numResults must be 1 to 5,000,000"),
        ({"filterArn": VERSION}, "filterArn must be the ARN of a filter"),
        ({"solutionVersionArn": SOLUTION}, "which is a solution"),
        ({"tags": []}, "tags must be an object of keys and values, got a list"),
        ({"tags": {"a": 1}}, "tags are wrong: keys and values must be strings"),
        ({"tags": {"a\n": ""}}, "the character '\\n' is not allowed"),
        ({"tags": {"a": "b\tc"}}, "the character '\\t' is not allowed"),
        ({"tags": {f"t{each}": "" for each in range(50)}}, "51 together"),
        (
            {"resume": "films-0123456789abcdef", "queries": "x"},
            "resume together with queries",
        ),
        ({"resume": "other-0123456789abcdef"}, "name of a run of this pipeline"),
        ({"resume": 5}, "name of a run of this pipeline"),
    ],
)
def test_a_bad_execution_input_is_refused_in_one_sentence(cloud, given, says):
    cloud.items("1")
    cause = refused(cloud.prepare(given, tags={"own": "tag"}), "InvalidInput")
    assert says in cause
    assert cause.endswith(".")


@pytest.mark.parametrize(
    ("default", "says"),
    [
        ({"numResults": 0}, "pipeline's num_results must be 1 to 5,000,000, got 0."),
        ({"numResults": "25"}, "pipeline's num_results must be a whole number"),
        ({"filterArn": VERSION}, "pipeline's filter_arn must be the ARN of a filter"),
        (
            {"solutionVersionArn": SOLUTION},
            "pipeline's solution_version must be the ARN of a solution version",
        ),
        (
            {"solutionVersionArn": None, "solutionArn": VERSION},
            "pipeline's solution_version must be the ARN of a solution,",
        ),
        ({"tags": {"aws:x": ""}}, "pipeline's job_tags are wrong: keys that start"),
    ],
)
def test_a_bad_value_of_the_pipeline_is_told_by_its_property(cloud, default, says):
    cloud.items("1")
    cause = refused(cloud.prepare(**default), "InvalidInput")
    assert says in cause
    assert "execution input" not in cause


def test_tags_may_have_spaces_and_letters_of_any_script(cloud):
    cloud.items("1")
    tags = {"große Ünïon": "部門\u3000٣ _.:/=+-@"}
    assert cloud.prepare({"tags": tags})["run"]["tags"] == tags


def test_an_empty_filter_of_the_pipeline_is_none(cloud):
    cloud.items("1")
    assert cloud.prepare(filterArn="")["run"]["filterArn"] is None


def test_a_lookup_that_the_service_refuses_is_told_in_its_words(cloud):
    cloud.items("1")
    trouble = ("InvalidInputException", "Invalid ARN pattern")
    cloud.personalize.trouble("DescribeSolutionVersion", trouble)
    cause = refused(cloud.prepare(), "SolutionVersionNotUsable")
    assert "Invalid ARN pattern" in cause
    cloud.personalize.trouble("DescribeFilter", trouble)
    cause = refused(cloud.prepare(filterArn=FILTER), "FilterNotUsable")
    assert "Invalid ARN pattern" in cause


def test_null_counts_as_left_out(cloud):
    cloud.items("1")
    given = dict.fromkeys(
        ["queries", "numResults", "filterArn", "solutionVersionArn", "tags", "resume"]
    )
    assert cloud.prepare(given)["run"]["numResults"] == 25


def test_what_the_execution_says_goes_before_the_defaults(cloud):
    cloud.items("1")
    cloud.personalize.solution_versions[f"{SOLUTION}/other"] = {
        **cloud.personalize.solution_versions[VERSION]
    }
    run = cloud.prepare({"numResults": 7, "solutionVersionArn": f"{SOLUTION}/other"})[
        "run"
    ]
    assert run["numResults"] == 7
    assert run["solutionVersionArn"] == f"{SOLUTION}/other"


def test_a_version_of_another_solution_is_used_only_if_allowed(cloud):
    cloud.items("1")
    other = f"{PERSONALIZE}:solution/books/1"
    cloud.personalize.solution_versions[other] = {
        **cloud.personalize.solution_versions[VERSION]
    }
    asked = {"solutionVersionArn": other}
    cause = refused(cloud.prepare(asked), "SolutionVersionNotUsable")
    assert SOLUTION in cause
    assert "allow_any_solution" in cause
    cause = refused(
        cloud.prepare(asked, solutionArn=SOLUTION, solutionVersionArn=None),
        "SolutionVersionNotUsable",
    )
    assert SOLUTION in cause
    assert cloud.prepare(asked, allowAnySolution=True)["outcome"] == "ready"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"status": "CREATE IN_PROGRESS"}, "is CREATE IN_PROGRESS; a job needs"),
        (
            {"status": "CREATE FAILED", "failureReason": "too few users"},
            "(too few users)",
        ),
        ({"recipeArn": "arn:aws:personalize:::recipe/aws-sims"}, "recipe 'aws-sims'"),
    ],
)
def test_a_solution_version_that_does_not_fit_is_told(cloud, change, says):
    cloud.items("1")
    cloud.personalize.solution_versions[VERSION].update(change)
    cause = refused(cloud.prepare(), "SolutionVersionNotUsable")
    assert says in cause
    assert VERSION in cause


def test_a_solution_version_or_solution_that_is_missing_is_told(cloud):
    cloud.items("1")
    cloud.personalize.solution_versions.clear()
    assert VERSION in refused(cloud.prepare(), "SolutionVersionNotUsable")
    latest = cloud.prepare(solutionVersionArn=None, solutionArn=SOLUTION)
    assert f"The solution {SOLUTION} does not exist" in refused(
        latest, "SolutionVersionNotUsable"
    )


def test_the_latest_version_is_used_when_it_is_active(cloud):
    cloud.items("1")
    cloud.personalize.solutions[SOLUTION] = {
        "latestSolutionVersion": {"solutionVersionArn": VERSION, "status": "ACTIVE"}
    }
    run = cloud.prepare(solutionVersionArn=None, solutionArn=SOLUTION)["run"]
    assert run["solutionVersionArn"] == VERSION
    assert cloud.personalize.sent("ListSolutionVersions") == []


def test_while_the_latest_version_trains_the_newest_active_one_is_used(cloud):
    cloud.items("1")
    versions = cloud.personalize.solution_versions
    base = versions.pop(VERSION)
    for name, day, status in (
        ("b", 2, "ACTIVE"),
        ("c", 3, "ACTIVE"),
        ("a", 1, "ACTIVE"),
        ("d", 4, "CREATE IN_PROGRESS"),
    ):
        arn = f"{SOLUTION}/{name}"
        versions[arn] = {
            **base,
            "solutionVersionArn": arn,
            "status": status,
            "creationDateTime": day * 86400,
        }
    cloud.personalize.solutions[SOLUTION] = {
        "latestSolutionVersion": {
            "solutionVersionArn": f"{SOLUTION}/d",
            "status": "CREATE IN_PROGRESS",
        }
    }
    run = cloud.prepare(solutionVersionArn=None, solutionArn=SOLUTION)["run"]
    assert run["solutionVersionArn"] == f"{SOLUTION}/c"


@pytest.mark.parametrize(
    ("latest", "says"),
    [({"status": "CREATE PENDING"}, "the newest is CREATE PENDING"), ({}, "none yet")],
)
def test_a_solution_without_an_active_version_is_told(cloud, latest, says):
    cloud.items("1")
    cloud.personalize.solutions[SOLUTION] = {"latestSolutionVersion": latest}
    cloud.personalize.solution_versions.clear()
    result = cloud.prepare(solutionVersionArn=None, solutionArn=SOLUTION)
    assert says in refused(result, "SolutionVersionNotUsable")


def a_filter(cloud, expression, **change):
    cloud.personalize.filters[FILTER] = {
        "filterArn": FILTER,
        "status": "ACTIVE",
        "datasetGroupArn": f"{PERSONALIZE}:dataset-group/films",
        "filterExpression": expression,
        **change,
    }


def test_a_filter_with_placeholders_needs_their_values_on_every_line(cloud):
    a_filter(cloud, "INCLUDE UserID WHERE Users.COUNTRY IN ($COUNTRY)")
    query = {"itemId": "1", "filterValues": {"COUNTRY": '"Japan"'}}
    cloud.put("queries/a.json", json.dumps(query))
    assert cloud.prepare({"filterArn": FILTER})["run"]["filterArn"] == FILTER
    cloud.items("2")
    cause = refused(cloud.prepare(execution="arn:2", filterArn=FILTER), "InvalidInput")
    assert "1 line of" in cause
    assert "the filter needs a value for COUNTRY" in cause


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"status": "CREATE PENDING"}, "is CREATE PENDING; a job needs"),
        ({"status": "CREATE FAILED", "failureReason": "bad field"}, "(bad field)"),
        ({"datasetGroupArn": f"{PERSONALIZE}:dataset-group/x"}, "dataset-group/films"),
    ],
)
def test_a_filter_that_does_not_fit_is_told(cloud, change, says):
    cloud.items("1")
    a_filter(cloud, "INCLUDE UserID WHERE Users.AGE > 3", **change)
    cause = refused(cloud.prepare(filterArn=FILTER), "FilterNotUsable")
    assert says in cause
    assert FILTER in cause


def test_a_filter_on_interactions_is_refused_for_attributes_only(cloud):
    a_filter(cloud, 'INCLUDE UserID WHERE Interactions.EVENT_TYPE IN ("click")')
    cloud.items("1")
    assert cloud.prepare(filterArn=FILTER)["outcome"] == "ready"
    cloud.personalize.solution_versions[VERSION]["recipeArn"] = ATTRIBUTES
    result = cloud.prepare(execution="arn:2", filterArn=FILTER)
    assert "looks at interactions" in refused(result, "FilterNotUsable")


def test_a_filter_that_is_missing_is_told(cloud):
    cloud.items("1")
    assert FILTER in refused(cloud.prepare(filterArn=FILTER), "FilterNotUsable")


@pytest.mark.parametrize("operation", ["DescribeSolutionVersion", "DescribeFilter"])
def test_a_missing_grant_is_named_and_tried_again_by_the_machine(cloud, operation):
    cloud.items("1")
    a_filter(cloud, "")
    words = (
        "User: arn:aws:sts::123456789012:assumed-role/r/f is not authorized to "
        f"perform: personalize:{operation} on resource: arn:aws:personalize:x because "
        "no policy allows it"
    )
    cloud.personalize.trouble(operation, ("AccessDeniedException", words))
    with pytest.raises(AccessDenied) as caught:
        cloud.prepare(filterArn=FILTER)
    assert words in str(caught.value)
    assert f"Allow personalize:{operation} on arn:aws:personalize:x" in str(
        caught.value
    )


def test_throttling_is_sat_out_by_the_sdk(cloud):
    cloud.items("1")
    cloud.personalize.trouble(
        "DescribeSolutionVersion",
        ("ThrottlingException", "slow down"),
        ("LimitExceededException", "slow down"),
        ("ServiceUnavailable", "later", 503),
        EndpointConnectionError(endpoint_url="https://personalize"),
    )
    assert cloud.prepare()["outcome"] == "ready"


def test_what_is_not_foreseen_is_left_to_the_machine(cloud):
    cloud.items("1")
    a_filter(cloud, "")
    cloud.personalize.trouble("DescribeFilter", ("SomethingElse", "?"))
    with pytest.raises(ClientError, match="SomethingElse"):
        cloud.prepare(filterArn=FILTER)
    cloud.personalize.trouble("DescribeSolutionVersion", ("SomethingElse", "?"))
    with pytest.raises(ClientError, match="SomethingElse"):
        cloud.prepare()


def test_a_resumed_run_uses_the_same_input_and_may_adopt_the_job(cloud):
    cloud.items("1", "2")
    old = cloud.prepare({"numResults": 9, "tags": {"a": "b"}})["run"]
    cloud.items("changed")
    cloud.personalize.solution_versions.clear()
    second = cloud.prepare({"resume": old["name"]}, execution="arn:2")
    run = second["run"]
    assert second["outcome"] == "ready"
    assert run == {
        **old,
        "name": run["name"],
        "jobName": run["name"],
        "adoptable": [old["name"]],
        "output": f"s3://outputs/output/{run['name']}/",
        "used": None,
    }
    assert run["name"] != old["name"]
    third = cloud.prepare({"resume": run["name"]}, execution="arn:3")["run"]
    assert third["adoptable"] == [run["name"], old["name"]]
    assert third["prepared"] == old["name"]


def test_a_run_without_prepared_input_cannot_be_resumed(cloud):
    cloud.items("1")
    cause = refused(cloud.prepare({"resume": "films-0123456789abcdef"}), "InvalidInput")
    assert "no such run" in cause
    assert "30 days" in cause
    old = cloud.prepare(execution="arn:1")["run"]
    again = cloud.prepare({"resume": old["name"]}, execution="arn:2")["run"]
    cloud.s3.delete_object(Bucket="inputs", Key=f"input/{old['name']}.plan/plan.json")
    result = cloud.prepare({"resume": again["name"]}, execution="arn:3")
    assert "expired" in refused(result, "InvalidInput")


def test_an_execution_s_name_that_is_used_again_makes_a_new_run():
    arn = "arn:aws:states:us-east-1:123456789012:execution:pipeline:weekly-12"
    first = run_name("films", arn, "2026-01-05T06:00:00.000Z")
    assert run_name("films", arn, "2026-01-05T06:00:00+00:00") == first
    assert run_name("films", arn, "2026-06-05T06:00:00.000Z") != first
