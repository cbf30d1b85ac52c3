"""The corpus of query files, run through deployed pipelines: each has its verdict.

The command line is asked about the same files, and must say the same to the letter.
"""

import json
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cdk_personalize_segments import BatchSegmentPipeline, SolutionVersion
from cdk_personalize_segments.cli.app import app

pytestmark = pytest.mark.xdist_group("corpus")

CORPUS = Path(__file__).parents[1] / "corpus"
CASES = {each.stem: each for each in sorted(CORPUS.glob("*/*.json"))}
SAID = {name: json.loads(case.read_text()) for name, case in CASES.items()}
ACCEPTED = [name for name, said in SAID.items() if "accepted" in said]
REFUSED = [name for name, said in SAID.items() if "refused" in said]
# More at once would start more functions, each of which takes a while to start.
AT_ONCE = 3
END_SECONDS = 240


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus-shop")
    (folder / "items.csv").write_text("ITEM_ID,GENRES\n1,Comedy\n2,Drama\n")
    (folder / "interactions.csv").write_text(
        "USER_ID,ITEM_ID\n" + "".join(f"user-{each},1\n" for each in range(3))
    )
    users = [f"user-{each},gold,{20 + each},Japan" for each in range(3)]
    (folder / "users.csv").write_text("\n".join(["USER_ID,LEVEL,AGE,COUNTRY", *users]))
    return folder


@pytest.fixture(scope="module")
def pipelines(aws, shop, deploy):
    """A pipeline for each recipe, by the recipe's name on the command line."""
    versions = {
        recipe: aws.personalize.seed(
            shop, recipe=f"aws-{recipe}", name=f"corpus-{recipe}"
        )
        for recipe in ("item-affinity", "item-attribute-affinity")
    }

    def define(stack):
        return {
            key: BatchSegmentPipeline(
                stack, key, solution_version=SolutionVersion.from_arn(versions[recipe])
            )
            for key, recipe in (
                ("Items", "item-affinity"),
                ("Attributes", "item-attribute-affinity"),
            )
        }

    deployed = deploy("Corpus", define)
    return {
        "item-affinity": deployed["Items"],
        "item-attribute-affinity": deployed["Attributes"],
    }


@pytest.fixture(scope="module")
def filters(aws, pipelines):
    """The ARN of each filter of the corpus, for each recipe."""
    wanted = sorted({(said["recipe"], said["filter"] or "") for said in SAID.values()})
    return {
        (recipe, expression): aws.personalize.add_filter(
            f"corpus-{number}", expression, dataset_group=f"corpus-{recipe}"
        )
        for number, (recipe, expression) in enumerate(wanted)
        if expression
    }


@pytest.fixture(scope="module")
def folders(pipelines, tmp_path_factory):
    """Upload the files of every case; return the local folder of each."""
    found = {}
    for name, case in CASES.items():
        said = SAID[name]
        folder = found[name] = case.with_suffix("")
        if "generated" in said:
            folder = found[name] = tmp_path_factory.mktemp(name)
            pieces = said["generated"]["pieces"]
            text = "".join(piece * times for piece, times in pieces)
            (folder / said["generated"]["file"]).write_text(text)
        keys = dict.fromkeys(said.get("folderMarkers", []), b"")
        keys |= {
            file.relative_to(folder).as_posix(): file.read_bytes()
            for file in folder.rglob("*")
            if file.is_file()
        }
        pipeline = pipelines[said["recipe"]]
        for key, content in keys.items():
            pipeline.aws.client("s3").put_object(
                Bucket=pipeline.input_bucket, Key=f"queries/{name}/{key}", Body=content
            )
    return found


@pytest.fixture(scope="module")
def ends(aws, pipelines, filters, folders):
    """How the execution of each case ended."""
    client = aws.client("stepfunctions")
    waiting, running, ended = [*REFUSED, *ACCEPTED], {}, {}
    give_up = time.monotonic() + END_SECONDS
    while waiting or running:
        assert time.monotonic() < give_up, f"still running: {sorted(running)}"
        while waiting and len(running) < AT_ONCE:
            name = waiting.pop(0)
            said = SAID[name]
            given = {}
            if said["filter"] is not None:
                given["filterArn"] = filters[said["recipe"], said["filter"]]
            running[name] = pipelines[said["recipe"]].start(name, **given)
        for name, arn in list(running.items()):
            execution = client.describe_execution(executionArn=arn)
            if execution["status"] != "RUNNING":
                ended[name] = execution
                del running[name]
        time.sleep(0.02)
    return ended


def told_by_validate(name, folder):
    """What the command line says about the files of a case."""
    said = SAID[name]
    options = ["--recipe", said["recipe"], "--json"]
    if said["filter"] is not None:
        options += ["--filter-expression", said["filter"]]
    result = CliRunner().invoke(app, ["validate", str(folder), *options])
    assert isinstance(result.exception, SystemExit | None)
    return json.loads(result.stdout)


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_can_be_used_is_run_to_the_end(name, pipelines, folders, ends):
    said, end = SAID[name], ends[name]
    assert end["status"] == "SUCCEEDED", end.get("cause")
    output = json.loads(end["output"])
    queries = said["accepted"]["queries"]
    assert (output["queries"], output["skippedLines"]) == (queries, 0)
    pipeline = pipelines[said["recipe"]]
    manifest = pipeline.manifest(output["run"])
    assert manifest["invalidLines"] is None
    counts = manifest["queries"]
    assert (counts["total"], counts["missing"]) == (queries, 0)
    assert counts["distinct"] == said["accepted"]["different"]
    ids = sorted(row["query_id"] for row in pipeline.queries(output["run"]))
    assert ids == [f"q{number:06d}" for number in range(1, queries + 1)]
    notes = [each.removeprefix(f"queries/{name}/") for each in manifest["notes"]]
    assert notes == said["accepted"].get("notes", [])
    told = told_by_validate(name, folders[name])
    assert told["problem"] is None
    assert [each.removeprefix(f"{folders[name]}/") for each in told["notes"]] == notes
    assert (told["queries"], told["distinct"]) == (queries, counts["distinct"])


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_used_is_refused_with_every_reason(
    name, pipelines, folders, ends
):
    said, end = SAID[name], ends[name]
    assert (end["status"], end["error"]) == ("FAILED", "InvalidInput")
    refused = said["refused"]
    assert refused["says"] in end["cause"]
    pipeline = pipelines[said["recipe"]]
    run = end["cause"].rpartition("/manifest.json")[0].rpartition("/")[2]
    manifest = pipeline.manifest(run)
    assert manifest["job"] is None
    bad = []
    if refused["lines"]:
        listed = pipeline.read(manifest["invalidLines"]["location"])
        bad = [json.loads(line) for line in listed.splitlines()]
    for each, wanted in zip(bad, refused["lines"], strict=True):
        assert each["file"] == f"queries/{name}/{wanted['file']}"
        assert wanted["line"] in (None, each["line"])
        assert wanted["column"] in (None, each["column"])
        assert wanted["reason"] in each["reason"]
    told = told_by_validate(name, folders[name])["badLines"]
    local = [
        {**each, "file": Path(each["file"]).relative_to(folders[name]).as_posix()}
        for each in told
    ]
    prefix = f"queries/{name}/"
    assert [
        {**each, "file": each["file"].removeprefix(prefix)} for each in bad
    ] == local
