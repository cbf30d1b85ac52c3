"""The data of deployed runs: any file in, every line accounted for, checked results."""

import gzip
import hashlib
import json

import pytest
from aws_cdk import aws_lambda as lambda_

from cdk_personalize_segments import BatchSegmentPipeline, SolutionVersion

pytestmark = pytest.mark.xdist_group("pipeline_data")


@pytest.fixture(scope="module")
def pipelines(aws, tmp_path_factory, deploy):
    """A pipeline as it is, one that skips lines, one whose calls have little time."""
    shop = tmp_path_factory.mktemp("shop")
    (shop / "items.csv").write_text("ITEM_ID\n0\n1\n2\n3\n4\n")
    views = [f"fan-{fan},{item}" for fan in range(9) for item in range(5) if fan > item]
    (shop / "interactions.csv").write_text("\n".join(["USER_ID,ITEM_ID", *views]))
    version = SolutionVersion.from_arn(aws.personalize.seed(shop, name="data"))

    def define(stack):
        hurried = BatchSegmentPipeline(stack, "Hurried", solution_version=version)
        for function in hurried.functions:
            if "Collect" in function.node.id:
                resource = function.node.default_child
                assert isinstance(resource, lambda_.CfnFunction)
                # Less than a call keeps in reserve, so that each does one unit.
                resource.timeout = 120
        return {
            "Plain": BatchSegmentPipeline(stack, "Plain", solution_version=version),
            "Skipping": BatchSegmentPipeline(
                stack, "Skipping", solution_version=version, skip_invalid_lines=True
            ),
            "Hurried": hurried,
        }

    return deploy("Data", define)


@pytest.fixture(scope="module")
def plain(pipelines):
    return pipelines["Plain"]


def upload(deployed, key, content):
    deployed.aws.client("s3").put_object(
        Bucket=deployed.input_bucket, Key=f"queries/{key}", Body=content
    )


def test_a_query_asked_again_is_sent_once_and_reported_for_each_line(plain):
    plain.put("repeats", [{"itemId": "0"}, {"itemId": "2"}, '{"itemId":"0"}'], "a")
    plain.put("repeats", ["", {"itemId": "0"}], "b")
    execution = plain.run("repeats")
    assert execution.status == "SUCCEEDED", execution.cause
    run = execution.output["run"]
    assert execution.output["queries"] == 4
    [sent] = plain.keys(plain.input_bucket, f"input/{run}/")
    assert plain.read(f"s3://{plain.input_bucket}/{sent}").splitlines() == [
        b'{"itemId": "0"}',
        b'{"itemId": "2"}',
    ]
    rows = sorted(plain.queries(run), key=lambda row: row["query_id"])
    assert [(each["file"][-7:], each["line"], each["status"]) for each in rows] == [
        ("a.jsonl", 1, "segment"),
        ("a.jsonl", 2, "segment"),
        ("a.jsonl", 3, "segment"),
        ("b.jsonl", 2, "segment"),
    ]
    users = plain.users(run)
    assert users["q000001"] == users["q000003"] == users["q000004"]
    assert execution.output["users"] == sum(map(len, users.values()))
    assert plain.manifest(run)["queries"]["distinct"] == 2


def test_compressed_files_in_folders_with_any_name_are_read(plain):
    lines = [b'\xef\xbb\xbf{"itemId": "0"}\r\n\r\n', b'{"itemId": "2"}']
    content = b"".join(gzip.compress(line, mtime=0) for line in lines)
    upload(plain, "odd/", b"")
    upload(plain, "odd/with space/größe & 大きさ.jsonl.gz", content)
    execution = plain.run("odd")
    assert execution.status == "SUCCEEDED", execution.cause
    run = execution.output["run"]
    assert [each["line"] for each in plain.queries(run)] == [1, 3]
    [source] = plain.manifest(run)["sources"]
    assert source["key"] == "queries/odd/with space/größe & 大きさ.jsonl.gz"
    assert source["sha256"] == hashlib.sha256(content).hexdigest()
    assert source["versionId"]


def test_results_are_what_the_manifest_says_to_the_byte(plain):
    plain.put("checked", [{"itemId": str(number)} for number in range(4)])
    run = plain.run("checked").output["run"]
    folder = f"results/{run}/"
    listed = {
        each["key"]: (each["bytes"], each["sha256"], each["rows"])
        for part in plain.manifest(run)["parts"]
        for each in part["files"]
    }
    found = {}
    for kind in ("queries", "users"):
        for key in plain.keys(plain.output_bucket, f"{folder}{kind}/"):
            content = plain.read(f"s3://{plain.output_bucket}/{key}")
            rows = gzip.decompress(content).count(b"\n") - (kind == "users")
            checksum = hashlib.sha256(content).hexdigest()
            found[key.removeprefix(folder)] = (len(content), checksum, rows)
    assert listed == found != {}


def test_lines_that_cannot_be_used_are_skipped_and_told_everywhere(pipelines):
    skipping = pipelines["Skipping"]
    skipping.put("some", [{"itemId": "0"}, {"itemid": "2"}, {"itemId": "4"}], "a")
    skipping.put("some", ["item_id,name", "1,x"], "b")
    execution = skipping.run("some")
    assert execution.status == "SUCCEEDED", execution.cause
    assert execution.output["skippedLines"] == 2
    assert execution.output["queries"] == 2
    manifest = skipping.manifest(execution.output["run"])
    assert manifest["invalidLines"]["count"] == 2
    assert manifest["invalidLines"]["skipped"] is True
    listed = skipping.read(manifest["invalidLines"]["location"]).splitlines()
    assert [json.loads(each)["line"] for each in listed] == [2, 1]
    assert any("cannot be used: 2 lines" in note for note in manifest["notes"])
    assert any("b.jsonl, line 1" in note for note in manifest["notes"])


def test_a_part_that_needs_more_time_than_a_call_has_goes_on_in_the_next(pipelines):
    hurried, plain = pipelines["Hurried"], pipelines["Plain"]
    lines = [{"itemId": "0"}, {"itemId": "2"}, {"itemId": "4"}, {"itemId": "0"}]
    for deployed in (hurried, plain):
        deployed.put("long", lines)
    execution = hurried.run("long")
    assert execution.status == "SUCCEEDED", execution.cause
    run = execution.output["run"]
    pieces = hurried.keys(hurried.output_bucket, f"results/{run}/users/")
    assert len(pieces) == 3
    assert hurried.users(run) == plain.users(plain.run("long").output["run"])
    [part] = hurried.manifest(run)["parts"]
    assert sum("users/" in each["key"] for each in part["files"]) == 3
