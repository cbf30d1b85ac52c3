"""Collecting a part: each query ends as exactly one thing, with all its users."""

import csv
import io
import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segment_tasks import matching, objects, users_csv
from segment_tasks.failures import AccessDenied, OutputIncomplete
from segment_tasks.matching import Asked, Matching
from segment_tasks.output import Answer, Span


def results(cloud, run, part=0):
    """Return (status, users, error) of each query, the users by query, the account."""
    folder = f"results/{run['name']}"
    queries = cloud.rows(f"{folder}/queries/part-{part:05d}.jsonl.gz")
    table = io.StringIO(
        cloud.text(f"{folder}/users/part-{part:05d}.csv.gz"), newline=""
    )
    users = {}
    for row in csv.DictReader(table):
        users.setdefault(row["query_id"], []).append((int(row["rank"]), row["user_id"]))
    return (
        [(each["status"], each["users"], each["error"]) for each in queries],
        users,
        cloud.json(f"{folder}/parts/part-{part:05d}.json"),
    )


def test_every_query_is_accounted_for(cloud, answer_line):
    run, job = cloud.ready("a", "b", "c", "d", "e")
    cloud.answer(
        answer_line("c"),
        "",
        answer_line("a", "u1", "u2"),
        answer_line("b", error="no such item"),
        {"input": {"itemId": "e"}, "error": None},
        answer_line("stranger", "u9"),
        "broken",
    )
    assert cloud.collect(run, job) == {"part": 0}
    queries, users, account = results(cloud, run)
    assert queries == [
        ("segment", 2, None),
        ("failed", 0, "no such item"),
        ("empty", 0, None),
        ("missing", 0, None),
        ("failed", 0, "The output has neither users nor an error for this query."),
    ]
    assert users == {"q000001": [(1, "u1"), (2, "u2")]}
    assert account == {
        "part": 0,
        "queries": 5,
        "segments": 1,
        "empty": 1,
        "failed": 2,
        "missing": 1,
        "users": 2,
        "unrecognized": 2,
        "byOrder": 0,
    }


def test_the_results_say_where_each_query_came_from(cloud, answer_line):
    run, job = cloud.ready("a")
    cloud.answer(answer_line("a"))
    cloud.collect(run, job)
    (row,) = cloud.rows(f"results/{run['name']}/queries/part-00000.jsonl.gz")
    assert row == {
        "query_id": "q000001",
        "file": "queries/items.json",
        "line": 1,
        "query": {"itemId": "a"},
        "status": "empty",
        "users": 0,
        "error": None,
    }


def test_attribute_queries_in_the_documented_shape_are_collected(cloud):
    version = next(iter(cloud.personalize.solution_versions.values()))
    version["recipeArn"] = "arn:aws:personalize:::recipe/aws-item-attribute-affinity"
    query = {"itemAttributes": 'ITEMS.genres = "Comedy"'}
    cloud.put("queries/a.json", json.dumps(query))
    run = cloud.prepare()["run"]
    job = cloud.create(run)["job"]
    cloud.answer({**query, "output": {"recommendedUsers": ["u"]}})
    cloud.collect(run, job)
    assert results(cloud, run)[1] == {"q000001": [(1, "u")]}


def test_collecting_again_gives_the_same_bytes(cloud, answer_line):
    run, job = cloud.ready("a", "b")
    cloud.answer(answer_line("b", "u1"), answer_line("a", "u2"))

    def contents():
        cloud.collect(run, job)
        keys = cloud.keys("results/", "outputs")
        assert len(keys) == 3
        return {
            key: cloud.s3.get_object(Bucket="outputs", Key=key)["Body"].read()
            for key in keys
        }

    assert contents() == contents()


def test_odd_user_ids_come_out_right(cloud, answer_line):
    odd = ['q"uote', "back\\slash", "com,ma", "line\nfeed", "cr\r", "ünï 🎃", "", " x "]
    run, job = cloud.ready("a")
    cloud.answer(answer_line("a", *odd))
    cloud.collect(run, job)
    assert results(cloud, run)[1] == {"q000001": list(enumerate(odd, start=1))}


def test_a_segment_of_many_users_is_whole_and_in_order(cloud, answer_line):
    run, job = cloud.ready("a", "b")
    many = [f"user-{each}" for each in range(150_000)]
    cloud.answer(answer_line("a", *many), answer_line("b", "u"))
    cloud.collect(run, job)
    _, users, account = results(cloud, run)
    assert users["q000001"] == list(enumerate(many, start=1))
    assert users["q000002"] == [(1, "u")]
    assert account["users"] == 150_001


def test_results_of_any_size_are_written_in_pieces(cloud, answer_line, monkeypatch):
    monkeypatch.setattr(objects, "_PART_BYTES", 5 * 1024 * 1024)
    monkeypatch.setattr(objects, "_GZIP", 31)
    run, job = cloud.ready("a")
    many = [f"{each:0>40}" for each in range(200_000)]
    cloud.answer(answer_line("a", *many))
    target = f"results/{run['name']}/users/part-00000.csv.gz"
    with objects.ObjectWriter("outputs", target, "text/csv") as writer:
        for _ in range(3):
            writer.write(b"x" * 5 * 1024 * 1024)
        writer.write(b"y")
    assert cloud.s3.head_object(Bucket="outputs", Key=target)["ContentLength"] == (
        15 * 1024 * 1024 + 1
    )
    cloud.collect(run, job)
    assert len(results(cloud, run)[1]["q000001"]) == 200_000


def test_the_output_is_found_wherever_the_job_put_it_in_its_folder(cloud, answer_line):
    run, job = cloud.ready("a")
    line = json.dumps(answer_line("a", "u"))
    name = run["name"]
    cloud.put(f"output/{name}/input/{name}/not-part-00000.json.out", "x", "outputs")
    cloud.put(f"output/{name}/input/{name}/part-00000.json.out", line, "outputs")
    cloud.collect(run, job)
    assert results(cloud, run)[0] == [("segment", 1, None)]


def test_without_output_every_query_is_missing(cloud):
    run, job = cloud.ready("a", "b")
    cloud.put(f"output/{run['name']}/part-00001.json.out", "x", "outputs")
    cloud.collect(run, job)
    queries, users, account = results(cloud, run)
    assert queries == [("missing", 0, None)] * 2
    assert users == {}
    assert account["missing"] == 2


def test_a_query_asked_twice_is_answered_twice_even_by_one_line(cloud, answer_line):
    run, job = cloud.ready("a", "b", "a")
    cloud.answer(answer_line("a", "u1", "u2"), answer_line("b", "u3"))
    cloud.collect(run, job)
    queries, users, account = results(cloud, run)
    assert [each[0] for each in queries] == ["segment"] * 3
    assert users["q000001"] == users["q000003"] == [(1, "u1"), (2, "u2")]
    assert account["users"] == 5


def test_lines_beyond_what_was_asked_are_told(cloud, answer_line):
    run, job = cloud.ready("a")
    cloud.answer(answer_line("a", "first"), answer_line("a", "second"))
    cloud.collect(run, job)
    _, users, account = results(cloud, run)
    assert users == {"q000001": [(1, "first")]}
    assert account["unrecognized"] == 1


def test_a_cut_off_line_loses_its_own_query_only(cloud, answer_line):
    run, job = cloud.ready("a", "b")
    cloud.answer('{"input": {"itemId": "a"}, "output": {"usersList": ["u1", "u', "")
    cloud.answer(
        '{"input": {"itemId": "a"}, "output": {"usersList": ["u1", "u',
        answer_line("b", "u2"),
    )
    cloud.collect(run, job)
    queries, users, _ = results(cloud, run)
    assert [each[0] for each in queries] == ["missing", "segment"]
    assert users == {"q000002": [(1, "u2")]}


def test_the_output_of_an_adopted_job_is_read_where_that_job_wrote_it(
    cloud, answer_line
):
    run, job = cloud.ready("a")
    cloud.answer(answer_line("a", "u"))
    resumed = cloud.prepare({"resume": run["name"]}, execution="arn:2")["run"]
    cloud.collect(resumed, job)
    assert results(cloud, resumed)[0] == [("segment", 1, None)]


def test_what_was_asked_being_gone_is_told(cloud):
    run, job = cloud.ready("a")
    for key in cloud.keys(f"input/{run['name']}.plan/"):
        cloud.s3.delete_object(Bucket="inputs", Key=key)
    with pytest.raises(OutputIncomplete, match=r"part-00000\.jsonl.*is gone"):
        cloud.collect(run, job)


def test_a_missing_grant_is_named(cloud, monkeypatch):
    run, job = cloud.ready("a")
    cloud.s3.meta.events.register(
        "before-send.s3.GetObject", deny, unique_id="deny-reads"
    )
    try:
        with pytest.raises(AccessDenied) as caught:
            cloud.collect(run, job)
    finally:
        cloud.s3.meta.events.unregister(
            "before-send.s3.GetObject", unique_id="deny-reads"
        )
    assert "Allow s3:GetObject on s3://inputs/input/" in str(caught.value)


def deny(request, **_):
    from botocore.awsrequest import AWSResponse

    class Body:
        def stream(self, **_):
            yield b"<Error><Code>AccessDenied</Code><Message>No.</Message></Error>"

    return AWSResponse(request.url, 403, {}, Body())


FILTERED = [
    {"itemId": "a", "filterValues": {"LAND": '"Japan"'}},
    {"itemId": "a", "filterValues": {"LAND": '"France"'}},
    {"itemId": "b", "filterValues": {"LAND": '"Japan"'}},
]


def match(asked, *lines):
    found = Matching(Asked(f"q{n}", "f", n, query) for n, query in enumerate(asked))
    for index, query in enumerate(lines):
        found.add(None if query is None else Answer(query, None, (Span(index, index),)))
    answers = [each and each.users[0].start for each in found.answers()]
    return answers, found.unrecognized, found.by_order


def test_queries_that_differ_in_filter_values_are_told_apart_where_echoed():
    assert match(FILTERED, *reversed(FILTERED)) == ([2, 1, 0], 0, 0)


def test_queries_that_differ_in_filter_values_are_told_apart_by_order_where_not():
    bare = [{"itemId": each["itemId"]} for each in reversed(FILTERED)]
    assert match(FILTERED, *bare) == ([1, 2, 0], 0, 2)


def test_one_query_asked_twice_needs_no_order():
    same = [FILTERED[0], FILTERED[0]]
    assert match(same, {"itemId": "a"}, {"itemId": "a"}) == ([0, 1], 0, 0)


def test_filter_values_that_were_not_asked_answer_nothing():
    other = {"itemId": "a", "filterValues": {"LAND": '"Italy"'}}
    assert match(FILTERED, other, {}, None) == ([None, None, None], 3, 0)


def test_keys_that_are_no_part_of_a_query_do_not_matter():
    echoed = {"filterValues": None, "itemId": "a", "more": 1}
    assert match([{"itemId": "a"}], echoed) == ([0], 0, 0)


_ITEMS = st.sampled_from("abcd")


@given(st.lists(_ITEMS, max_size=12), st.lists(_ITEMS | st.none(), max_size=16))
def test_each_query_is_accounted_for_exactly_once(asked, lines):
    found = Matching(
        Asked(str(n), "f", n, {"itemId": item}) for n, item in enumerate(asked)
    )
    for index, item in enumerate(lines):
        found.add(item and Answer({"itemId": item}, None, (Span(index, index),)))
    answers = found.answers()
    assert len(answers) == len(asked)
    for item, answer in zip(asked, answers, strict=True):
        assert (answer is not None) == (item in lines)
        assert answer is None or lines[answer.users[0].start] == item
    used = Counter(asked) & Counter(line for line in lines if line)
    assert found.unrecognized == len(lines) - used.total()
    statuses = Counter(matching.status(answer) for answer in answers)
    assert statuses.total() == len(asked)


@given(st.lists(st.text(), max_size=8), st.integers(1, 10**6))
def test_any_user_ids_are_read_back_from_the_table(users, first):
    text = (users_csv.HEADER + users_csv.rows("q000001", first, users)).decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["user_id"] for row in rows] == users
    assert [int(row["rank"]) for row in rows] == list(range(first, first + len(users)))
