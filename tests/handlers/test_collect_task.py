"""Collecting a part: each query ends as exactly one thing, with all its users."""

import csv
import hashlib
import io
import json
from collections import Counter
from unittest.mock import ANY

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segment_tasks import collect, objects, users_csv
from segment_tasks.failures import AccessDenied, OutputIncomplete
from segment_tasks.matching import Matching
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
    folder = f"results/{run['name']}/"
    assert [each.pop("key") for each in account["files"]] == [
        key.removeprefix(folder)
        for kind in ("users", "queries")
        for key in cloud.keys(f"{folder}{kind}/", "outputs")
    ]
    assert account == {
        "part": 0,
        "etag": ANY,
        "used": ANY,
        "progress": None,
        "files": [ANY, ANY],
        "queries": 5,
        "distinct": 5,
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


@pytest.mark.parametrize("gone", ["/part-00000.json", ".plan/part-00000.jsonl"])
def test_what_was_asked_being_gone_is_told(cloud, gone):
    run, job = cloud.ready("a")
    cloud.s3.delete_object(Bucket="inputs", Key=f"input/{run['name']}{gone}")
    with pytest.raises(OutputIncomplete, match=rf"{gone}.*is gone"):
        cloud.collect(run, job)


def test_the_account_has_checksums_of_what_was_written(cloud, answer_line):
    run, job = cloud.ready("a", "b")
    cloud.answer(answer_line("a", "u1", "u2"), answer_line("b", "u3"))
    cloud.collect(run, job)
    files = results(cloud, run)[2]["files"]
    assert [(each["key"], each["rows"]) for each in files] == [
        ("users/part-00000.csv.gz", 3),
        ("queries/part-00000.jsonl.gz", 2),
    ]
    for each in files:
        key = f"results/{run['name']}/{each['key']}"
        content = cloud.s3.get_object(Bucket="outputs", Key=key)["Body"].read()
        assert each["bytes"] == len(content)
        assert each["sha256"] == hashlib.sha256(content).hexdigest()


class Hurry:
    """A call that has time for one unit of work only."""

    def get_remaining_time_in_millis(self):
        return 299_999


def users_of_all_pieces(cloud, run):
    found = {}
    for key in cloud.keys(f"results/{run['name']}/users/", "outputs"):
        table = io.StringIO(cloud.text(key), newline="")
        for row in csv.DictReader(table):
            found.setdefault(row["query_id"], []).append(row["user_id"])
    return found


def test_what_does_not_fit_into_one_call_goes_on_in_the_next(cloud, answer_line):
    run, job = cloud.ready("a", "b", "c")
    cloud.answer(
        answer_line("c", "u1"), answer_line("a", "u2", "u3"), answer_line("b", "u4")
    )
    units = []
    for _ in range(3):
        cloud.collect(run, job, context=Hurry())
        account = cloud.json(f"results/{run['name']}/parts/part-00000.json")
        units.append(account["progress"] and account["progress"]["units"])
    assert units == [1, 2, None]
    assert [each["key"] for each in account["files"]] == [
        "users/part-00000.csv.gz",
        "users/part-00000-1.csv.gz",
        "users/part-00000-2.csv.gz",
        "queries/part-00000.jsonl.gz",
    ]
    assert users_of_all_pieces(cloud, run) == {
        "q000001": ["u2", "u3"],
        "q000002": ["u4"],
        "q000003": ["u1"],
    }
    assert (account["segments"], account["users"]) == (3, 4)


def test_another_output_is_collected_from_its_start(cloud, answer_line):
    run, job = cloud.ready("a", "b")
    cloud.answer(answer_line("a", "old"), answer_line("b", "old"))
    cloud.collect(run, job, context=Hurry())
    key = f"results/{run['name']}/users/part-00000-1.csv.gz"
    cloud.put(key, "left by a call that was cut short", "outputs")
    cloud.answer(answer_line("b", "new"), answer_line("a", "new"))
    cloud.collect(run, job)
    assert users_of_all_pieces(cloud, run) == {"q000001": ["new"], "q000002": ["new"]}


def test_output_that_has_not_changed_is_not_collected_again(
    cloud, answer_line, monkeypatch
):
    run, job = cloud.ready("a", "b")
    cloud.answer(answer_line("a", "u"))
    cloud.collect(run, job)
    monkeypatch.setattr(collect, "Matching", None)
    assert cloud.collect(run, job) == {"part": 0}


def test_what_is_overwritten_is_not_vouched_for_meanwhile(
    cloud, answer_line, monkeypatch
):
    run, job = cloud.ready("a", "b")
    cloud.answer(answer_line("a", "u"))
    cloud.collect(run, job)
    cloud.answer(answer_line("a", "u"), answer_line("b", "u"))
    monkeypatch.setattr(collect._Collection, "_write_queries", None)
    with pytest.raises(TypeError):
        cloud.collect(run, job)
    account = cloud.json(f"results/{run['name']}/parts/part-00000.json")
    assert account["progress"] == {"units": 0}
    monkeypatch.undo()


def test_nothing_but_other_pieces_of_the_part_is_deleted(
    cloud, answer_line, monkeypatch
):
    monkeypatch.setenv("RESULTS_PREFIX", "v1.0/results/")
    run, job = cloud.ready(*map(str, range(501)))
    cloud.answer(*(answer_line(str(each), "u") for each in range(500)))
    cloud.answer(answer_line("500", "u"), part=1)
    others = ["v1.0/results/other/users/part-00000.csv.gz", "v1-precious"]
    for key in others:
        cloud.put(key, "x", "outputs")
    for part in (0, 1, 0):
        cloud.collect(run, job, part)
    folder = f"v1.0/results/{run['name']}/"
    assert cloud.keys("v1", "outputs") == [
        *others[1:],
        *(
            f"{folder}{kind}/part-{part:05d}.{ending}"
            for kind, ending in (
                ("parts", "json"),
                ("queries", "jsonl.gz"),
                ("users", "csv.gz"),
            )
            for part in (0, 1)
        ),
        others[0],
    ]


def test_the_longest_line_is_collected_though_its_query_is_longer(cloud, answer_line):
    name = "A" * 30
    query = '{"itemId":"a","filterValues":{"%s":"\\"%s\\""}}'
    line = query % (name, "x" * (262_144 - len(query % (name, ""))))
    assert len(line) == 262_144
    filter_arn = "arn:aws:personalize:us-east-1:123456789012:filter/members"
    cloud.personalize.filters[filter_arn] = {
        "filterArn": filter_arn,
        "status": "ACTIVE",
        "datasetGroupArn": "arn:aws:personalize:us-east-1:123456789012:"
        "dataset-group/films",
        "filterExpression": f"INCLUDE UserID WHERE Users.A IN (${name})",
    }
    cloud.put("queries/a.json", line)
    run = cloud.prepare({"filterArn": filter_arn})["run"]
    job = cloud.create(run)["job"]
    cloud.answer(answer_line("a", "u"))
    cloud.collect(run, job)
    assert results(cloud, run)[0] == [("segment", 1, None)]


def test_a_query_that_very_many_ask_is_written_in_several_rounds(
    cloud, answer_line, monkeypatch
):
    monkeypatch.setattr(collect, "_ROWS_A_UNIT", 4)
    run, job = cloud.ready("a", "b", "a", "a", "b", "a", "a")
    cloud.answer(answer_line("b", "u3"), answer_line("a", "u1", "u2"))
    calls = 0
    account = {"progress": True}
    while account["progress"]:
        cloud.collect(run, job, context=Hurry())
        account = cloud.json(f"results/{run['name']}/parts/part-00000.json")
        calls += 1
    assert calls == 4
    assert account["users"] == 12
    assert users_of_all_pieces(cloud, run) == {
        f"q{number:06d}": users
        for number, users in enumerate(
            [["u1", "u2"], ["u3"], *[["u1", "u2"]] * 2, ["u3"], *[["u1", "u2"]] * 2],
            start=1,
        )
    }


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
    found = Matching(asked)
    for index, query in enumerate(lines):
        users = (Span(index, index, 1),)
        found.add(None if query is None else Answer(query, None, users))
    found.settle()
    answers = [each and each.users[0].start for each in found.answers]
    return answers, found.unrecognized, found.by_order


def test_queries_that_differ_in_filter_values_are_told_apart_where_echoed():
    assert match(FILTERED, *reversed(FILTERED)) == ([2, 1, 0], 0, 0)


def test_queries_that_differ_in_filter_values_are_told_apart_by_order_where_not():
    bare = [{"itemId": each["itemId"]} for each in reversed(FILTERED)]
    assert match(FILTERED, *bare) == ([1, 2, 0], 0, 2)


def test_nothing_is_matched_by_order_where_an_answer_may_be_missing():
    bare = {"itemId": "a"}
    assert match(FILTERED, bare, {"itemId": "b"}) == ([None, None, 1], 1, 0)
    assert match(FILTERED, None, bare, bare) == ([None, None, None], 3, 0)


def test_a_segment_wins_over_an_error_for_the_same_query(cloud, answer_line):
    for lines in (
        (answer_line("a", error="Internal"), answer_line("a", "u")),
        (answer_line("a", "u"), answer_line("a", error="Internal")),
    ):
        run, job = cloud.ready("a")
        cloud.answer(*lines)
        cloud.collect(run, job)
        queries, users, account = results(cloud, run)
        assert queries == [("segment", 1, None)]
        assert users == {"q000001": [(1, "u")]}
        assert account["unrecognized"] == 1


def test_long_errors_are_cut(cloud, answer_line):
    run, job = cloud.ready("a")
    cloud.answer(answer_line("a", error="x" * 500_000))
    cloud.collect(run, job)
    assert len(results(cloud, run)[0][0][2]) == 10_000


def test_filter_values_that_were_not_asked_answer_nothing():
    other = {"itemId": "a", "filterValues": {"LAND": '"Italy"'}}
    assert match(FILTERED, other, {}, None) == ([None, None, None], 3, 0)


def test_keys_that_are_no_part_of_a_query_do_not_matter():
    echoed = {"filterValues": None, "itemId": "a", "more": 1}
    assert match([{"itemId": "a"}], echoed) == ([0], 0, 0)


_ITEMS = st.sampled_from("abcd")


@given(
    st.lists(_ITEMS, max_size=4, unique=True), st.lists(_ITEMS | st.none(), max_size=16)
)
def test_each_query_is_accounted_for_exactly_once(asked, lines):
    found = Matching([{"itemId": item} for item in asked])
    for index, item in enumerate(lines):
        users = (Span(index, index, 1),)
        found.add(item and Answer({"itemId": item}, None, users))
    assert len(found.answers) == len(asked)
    for item, answer in zip(asked, found.answers, strict=True):
        assert (answer is not None) == (item in lines)
        assert answer is None or answer.users[0].start == lines.index(item)
    used = Counter(asked) & Counter(line for line in lines if line)
    assert found.unrecognized == len(lines) - used.total()


@given(
    st.lists(st.text(st.characters(codec="utf-8")), max_size=8)
    | st.integers(990, 3010).map(lambda number: ["u"] * number),
    st.integers(1, 10**6),
)
def test_any_user_ids_are_read_back_from_the_table(users, first):
    quoted = users_csv.quoted([user.encode() for user in users])
    text = (users_csv.HEADER + users_csv.rows("q000001", first, quoted)).decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["user_id"] for row in rows] == users
    assert [int(row["rank"]) for row in rows] == list(range(first, first + len(users)))
