"""Runs over uploaded files: what is started, and who reads what."""

import hashlib
import json
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError

from segment_tasks import clients, limits, objects, plans, start_run
from segment_tasks.locations import run_name

from .conftest import ENVIRONMENT, FILTER, RUN, STARTED, Cloud

MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:films"
OTHER = "arn:aws:states:us-east-1:123456789012:execution:pipeline:other"
OTHER_RUN = run_name("films", OTHER, STARTED)


class Machine:
    """Step Functions, as far as starting goes."""

    class exceptions:  # noqa: N801
        ExecutionAlreadyExists = type("ExecutionAlreadyExists", (Exception,), {})

    def __init__(self):
        self.started, self.troubles = {}, []

    def start_execution(self, *, stateMachineArn, name, input):  # noqa: N803
        assert stateMachineArn == MACHINE
        if self.troubles and (trouble := self.troubles.pop(0)):
            raise trouble
        if name in self.started:
            raise self.exceptions.ExecutionAlreadyExists
        assert len(name) <= 80
        assert len(input) < 200_000
        self.started[name] = json.loads(input)["files"]
        return {"executionArn": f"{MACHINE}:{name}"}

    @property
    def files(self):
        return list(self.started.values())


@pytest.fixture
def machine(monkeypatch):
    fake = Machine()
    monkeypatch.setattr(clients, "stepfunctions", lambda: fake)
    for name, value in {**ENVIRONMENT, "STATE_MACHINE_ARN": MACHINE}.items():
        monkeypatch.setenv(name, value)
    return fake


def told(key, version="v1", size=10, sequencer="01", **more):
    """What S3 tells of an object."""
    return {
        "key": key,
        "version-id": version,
        "etag": "e",
        "size": size,
        "sequencer": sequencer,
        **more,
    }


def batch(*bodies):
    """Hand messages to the function, numbered from 1; return those that failed."""
    records = [
        {"messageId": str(number), "body": json.dumps(body)}
        for number, body in enumerate(bodies, start=1)
    ]
    answer = start_run.handler({"Records": records}, None)
    return [each["itemIdentifier"] for each in answer["batchItemFailures"]]


def file(key, version="v1", size=10):
    return {"key": key, "versionId": version, "etag": "e", "size": size}


def test_a_batch_becomes_one_execution_in_the_order_of_the_files(machine):
    assert (
        batch(
            told("queries/b"),
            told("queries/a", "v2", sequencer="0B"),
            told("queries/a", "v1", sequencer="0A"),
            told("queries/b"),
        )
        == []
    )
    assert machine.files == [
        [file("queries/a"), file("queries/a", "v2"), file("queries/b")]
    ]


def test_the_same_batch_again_starts_nothing(machine):
    assert batch(told("queries/a"), told("queries/b")) == []
    assert batch(told("queries/b"), told("queries/a")) == []
    assert len(machine.started) == 1


@pytest.mark.parametrize("version", [None, "null"])
def test_without_versions_every_upload_is_one(machine, version):
    assert batch(told("queries/a", version), told("queries/a", version, 9, "02")) == []
    assert machine.files == [
        [
            {"key": "queries/a", "sequencer": "01", "etag": "e", "size": 10},
            {"key": "queries/a", "sequencer": "02", "etag": "e", "size": 9},
        ]
    ]


def test_a_folder_starts_nothing(machine):
    assert batch(told("queries/new/", size=0)) == []
    assert machine.started == {}


def test_what_is_no_upload_comes_back_and_holds_up_nothing(machine, caplog):
    event = {"detail": {"object": told("queries/b")}}
    assert batch({"some": "thing"}, told("queries/a"), [1], event) == ["1", "3"]
    assert machine.files == [[file("queries/a"), file("queries/b")]]
    assert {"pipeline", "execution", "run", "job"} <= vars(caplog.records[0]).keys()


def test_a_thousand_uploads_are_one_execution(machine):
    names = [f"queries/{number:04}/segments.jsonl" for number in range(1000)]
    versions = [hashlib.sha256(each.encode()).hexdigest()[:32] for each in names]
    assert batch(*map(told, names, versions)) == []
    [files] = machine.files
    assert [each["key"] for each in files] == names


@pytest.mark.parametrize(
    ("bodies", "sizes"),
    [
        # By the bytes that the input of an execution may have.
        (
            [told(f"queries/{number:04}{'x' * 900}") for number in range(300)],
            [187, 113],
        ),
        # By the bytes that one run reads; of a file that is too large its run tells.
        (
            [told(f"queries/{number}", size=400_000_000) for number in range(5)],
            [2, 2, 1],
        ),
        ([told("queries/a", size=2_000_000_000), told("queries/b")], [1, 1]),
    ],
)
def test_what_is_too_much_for_one_becomes_several(machine, bodies, sizes):
    assert batch(*bodies) == []
    assert [len(each) for each in machine.files] == sizes


@pytest.mark.parametrize(
    "trouble",
    [
        ClientError(
            {"Error": {"Code": "AccessDeniedException", "Message": "no"}},
            "StartExecution",
        ),
        ConnectTimeoutError(endpoint_url="https://states"),
    ],
)
def test_only_what_was_not_started_comes_again(machine, trouble):
    machine.troubles = [None, trouble]
    bodies = [told(f"queries/{number}", size=600_000_000) for number in range(3)]
    assert batch(bodies[0], bodies[1], bodies[1], bodies[2]) == ["2", "3"]
    assert [[each["key"] for each in files] for files in machine.files] == [
        ["queries/0"],
        ["queries/2"],
    ]


class Uploads:
    """The input bucket, as uploads find it."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        cloud.s3.put_bucket_versioning(
            Bucket="inputs", VersioningConfiguration={"Status": "Enabled"}
        )

    def put(self, key, *items):
        text = "".join(json.dumps({"itemId": each}) + "\n" for each in items)
        put = self.cloud.s3.put_object(Bucket="inputs", Key=key, Body=text)
        return {
            "key": key,
            "versionId": put["VersionId"],
            "etag": put["ETag"].strip('"'),
            "size": len(text),
        }

    @property
    def claims(self):
        keys = self.cloud.keys("input/films.uploads/")
        return {
            found["key"]: found["run"]
            for found in (self.cloud.json(key, "inputs") for key in keys)
        }


@pytest.fixture
def uploads(cloud):
    return Uploads(cloud)


def sources(cloud, run=RUN):
    plan = cloud.json(f"input/{run}.plan/plan.json", "inputs")
    return [each["key"] for each in plan["sources"]], plan["notes"]


def test_a_run_reads_the_versions_that_were_uploaded_and_no_others(cloud, uploads):
    old = uploads.put("queries/a", "1", "2")
    uploads.put("queries/a", "3")
    uploads.put("queries/b", "4")
    result = cloud.prepare({"files": [old, old]})
    assert result["outcome"] == "ready", result["failure"]
    assert cloud.text(f"input/{RUN}/part-00000.json", "inputs").count("itemId") == 2
    assert sources(cloud) == (["queries/a"], [])
    assert uploads.claims == {"queries/a": RUN}


def test_two_versions_of_a_file_are_told_apart(cloud, uploads):
    files = [uploads.put("queries/a", "1", "2"), uploads.put("queries/a", "2", "3")]
    run = cloud.prepare({"files": files})["run"]
    assert (run["queries"], run["distinct"]) == (4, 3)
    plan = cloud.json(f"input/{RUN}.plan/plan.json", "inputs")
    assert [each["versionId"] for each in plan["sources"]] == [
        each["versionId"] for each in files
    ]


def test_a_file_is_read_by_the_first_run_alone(cloud, uploads):
    one, two = uploads.put("queries/one", "1"), uploads.put("queries/two", "2")
    assert cloud.prepare({"files": [one]}, OTHER)["outcome"] == "ready"
    assert cloud.prepare({"files": [one, two]})["outcome"] == "ready"
    left_out = f"Left out, since the run {OTHER_RUN} has them already: queries/one."
    assert sources(cloud) == (["queries/two"], [left_out])


def test_a_run_that_is_left_nothing_ends_at_once_and_says_so(cloud, uploads):
    one = uploads.put("queries/one", "1")
    cloud.prepare({"files": [one]}, OTHER)
    result = cloud.prepare({"files": [one]})
    assert result["outcome"] == "nothingToDo"
    assert result["result"]["nothingToDo"] == (
        "None of the uploaded files is left to read. Left out, since the run "
        f"{OTHER_RUN} has them already: queries/one. If a run named here was stopped "
        "before it read its files, start an execution with "
        '{"queries": "<file or folder>"} to read them.'
    )
    assert cloud.keys(f"input/{RUN}") == []


def test_a_run_that_is_tried_again_finds_its_own_claims(cloud, uploads, monkeypatch):
    one = uploads.put("queries/one", "1")
    with monkeypatch.context() as patched:
        patched.setattr(plans, "write", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            cloud.prepare({"files": [one]})
    assert uploads.claims == {"queries/one": RUN}
    assert cloud.prepare({"files": [one]}, OTHER)["outcome"] == "nothingToDo"
    assert cloud.prepare({"files": [one]})["outcome"] == "ready"


def test_a_run_that_is_refused_gives_its_files_back(cloud, uploads):
    good = uploads.put("queries/good", "1")
    cloud.put("queries/bad", "item 1\n")
    head = cloud.s3.head_object(Bucket="inputs", Key="queries/bad")
    bad = {
        "key": "queries/bad",
        "versionId": head["VersionId"],
        "etag": head["ETag"].strip('"'),
        "size": 7,
    }
    result = cloud.prepare({"files": [bad, good]})
    assert result["failure"]["error"] == "InvalidInput"
    assert uploads.claims == {}
    assert cloud.prepare({"files": [good]}, OTHER)["outcome"] == "ready"


def test_uploads_that_are_too_much_together_are_told_how_to_be_run(
    cloud, uploads, monkeypatch
):
    monkeypatch.setattr(limits, "MAX_LINES", 3)
    files = [uploads.put(f"queries/{name}", name, f"{name}2") for name in "ab"]
    result = cloud.prepare({"files": files})
    assert result["failure"]["error"] == "InvalidInput"
    assert (
        "The files were uploaded at about the same time, so that they are one run: "
        'start an execution for each with {"queries": "<file or folder>"}.'
    ) in result["failure"]["cause"]
    assert uploads.claims == {}
    by_hand = cloud.prepare({"queries": ""})["failure"]["cause"]
    assert "uploaded at about" not in by_hand


def test_nothing_is_claimed_where_the_model_or_the_filter_is_refused(cloud, uploads):
    one = uploads.put("queries/one", "1")
    given = {"files": [one], "filterArn": FILTER}
    assert cloud.prepare(given)["failure"]["error"] == "FilterNotUsable"
    assert uploads.claims == {}


def test_what_a_run_reads_by_hand_is_not_read_again_on_its_upload(
    cloud, uploads, monkeypatch
):
    one, two = uploads.put("queries/one", "1"), uploads.put("queries/two", "2")
    assert cloud.prepare({"queries": "one"}, f"{OTHER}0")["outcome"] == "ready"
    assert uploads.claims == {}
    monkeypatch.setenv("START_ON_UPLOAD", "true")
    assert cloud.prepare({"queries": "one"}, OTHER)["outcome"] == "ready"
    assert cloud.prepare({"files": [one]})["outcome"] == "nothingToDo"
    # By hand, files are read whoever has them.
    assert cloud.prepare({}, f"{OTHER}2")["run"]["queries"] == 2
    assert uploads.claims["queries/one"] == OTHER_RUN
    assert cloud.prepare({"files": [two]}, f"{OTHER}3")["outcome"] == "nothingToDo"


def test_by_hand_too_a_run_that_is_refused_gives_its_files_back(
    cloud, uploads, monkeypatch
):
    monkeypatch.setenv("START_ON_UPLOAD", "true")
    one = uploads.put("queries/one", "1")
    cloud.prepare({"files": [one]})
    cloud.put("queries/two", "item 1\n")
    assert cloud.prepare({}, OTHER)["failure"]["error"] == "InvalidInput"
    assert uploads.claims == {"queries/one": RUN}


def test_versions_that_are_gone_and_empty_files_are_left_out(cloud, uploads):
    kept, gone = uploads.put("queries/kept", "1"), uploads.put("queries/gone", "2")
    empty = uploads.put("queries/empty")
    cloud.s3.delete_object(
        Bucket="inputs", Key="queries/gone", VersionId=gone["versionId"]
    )
    assert cloud.prepare({"files": [gone, kept, empty]})["outcome"] == "ready"
    notes = [
        "Left out, since they were deleted or have expired: queries/gone.",
        "Left out, since they are empty: queries/empty.",
    ]
    assert sources(cloud) == (["queries/kept"], notes)
    result = cloud.prepare({"files": [gone, empty]}, OTHER)
    assert result["outcome"] == "nothingToDo"
    assert "queries/empty" in result["result"]["nothingToDo"]
    alone = cloud.prepare({"files": [empty]}, f"{OTHER}2")
    assert alone["result"]["nothingToDo"] == (
        "None of the uploaded files is left to read. Left out, since they are "
        "empty: queries/empty."
    )


def test_in_a_bucket_without_versions_what_was_replaced_is_left_out(cloud):
    cloud.put("queries/a", '{"itemId": "1"}\n')
    etag = cloud.s3.head_object(Bucket="inputs", Key="queries/a")["ETag"].strip('"')
    first = {"key": "queries/a", "sequencer": "01", "etag": etag, "size": 16}
    assert cloud.prepare({"files": [first]})["outcome"] == "ready"
    # The same content once more is an upload of its own.
    again = {**first, "sequencer": "02"}
    assert cloud.prepare({"files": [again]}, OTHER)["outcome"] == "ready"
    cloud.put("queries/a", '{"itemId": "2"}\n')
    late = {**first, "sequencer": "03"}
    result = cloud.prepare({"files": [late]}, f"{OTHER}2")
    assert result["result"]["nothingToDo"].endswith("have expired: queries/a.")


def test_notes_name_a_few_files_and_count_the_others(cloud, uploads):
    empty = [uploads.put(f"queries/{number:02}") for number in range(25)]
    told = cloud.prepare({"files": empty})["result"]["nothingToDo"]
    assert "queries/19; and 5 more." in told
    others = [f"{OTHER}{number}" for number in range(22)]
    files = [uploads.put(f"queries/x{number}", "1") for number in range(22)]
    for execution, each in zip(others, files, strict=True):
        cloud.prepare({"files": [each]}, execution)
    told = cloud.prepare({"files": files}, f"{OTHER}-last")["result"]["nothingToDo"]
    assert "since 2 more runs have others." in told


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"files": [file("queries/a")], "queries": "a"}, "files together with queries"),
        ({"files": [file("queries/a")], "resume": RUN}, "resume together with files"),
        ({"files": []}, "must be a list of uploaded files"),
        ({"files": "queries/a"}, "must be a list of uploaded files"),
        ({"files": [file("queries/a")] * 5001}, "at most 5,000 files, got 5,001"),
        ({"files": ["queries/a"]}, "file 1 of files must be an object"),
        ({"files": [{**file("a"), "bucket": "b"}]}, "unknown key 'bucket'"),
        (
            {"files": [file("queries/a"), {"key": ""}]},
            "file 2 of files must have",
        ),
        ({"files": [file("queries/a", version=None)]}, "its versionId, or as its seq"),
        ({"files": [file("queries/a", version=7)]}, "its versionId, or as its seq"),
        ({"files": [{**file("queries/a"), "sequencer": "1"}]}, "its versionId, or as"),
        (
            {"files": [file("queries/a", size=-1)]},
            "its size in bytes, got -1",
        ),
        ({"files": [file("input/a")]}, "must name files beneath s3://inputs/queries/"),
        ({"files": [file("queries/a/")]}, "must name files beneath s3://inputs/quer"),
    ],
)
def test_files_that_cannot_be_meant_are_refused(cloud, given, problem):
    result = cloud.prepare(given)
    assert result["failure"]["error"] == "InvalidInput"
    assert problem in result["failure"]["cause"]
    assert cloud.keys("input/films.uploads/") == []


def test_a_conflict_with_another_writer_is_tried_again(cloud, monkeypatch):
    put, troubles = cloud.s3.put_object, ["ConditionalRequestConflict", "NoSuchKey"]

    def conflicting(**request):
        if troubles:
            error = {"Error": {"Code": troubles.pop(), "Message": "conflict"}}
            raise ClientError(error, "PutObject")
        return put(**request)

    monkeypatch.setattr(clients, "s3", lambda: SimpleNamespace(put_object=conflicting))
    assert objects.create("inputs", "claim", b"1", "text/plain")
    assert not objects.create("inputs", "claim", b"2", "text/plain")
    troubles += ["ConditionalRequestConflict"] * 99
    with pytest.raises(ClientError, match="ConditionalRequestConflict"):
        objects.create("inputs", "claim", b"3", "text/plain")


def test_a_claim_that_comes_and_goes_is_left_to_the_next_attempt(
    cloud, uploads, monkeypatch
):
    one = uploads.put("queries/one", "1")
    monkeypatch.setattr(objects, "create", lambda *_: False)
    with pytest.raises(RuntimeError, match="comes and goes"):
        cloud.prepare({"files": [one]})
