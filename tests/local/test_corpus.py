"""The corpus of query files, run through deployed pipelines: each has its verdict.

The command line is asked about the same files, and must say the same to the letter.
Cases that are alike make up one run; when there is time, each also has one of its own.
"""

import json
import shutil
import time
from collections import defaultdict
from functools import cached_property
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


class Batch:
    """Cases of one recipe and filter in one run, and what became of it."""

    def __init__(self, folder, names, pipeline):
        self.folder = folder
        self.names = names
        self.said = SAID[names[0]]
        self.prefix = f"queries/{folder.name}/"
        self.pipeline = pipeline
        self.arn = self.end = None

    def upload(self):
        for name in self.names:
            case = self.folder / name
            if "generated" in SAID[name]:
                case.mkdir(parents=True)
                pieces = SAID[name]["generated"]["pieces"]
                text = "".join(piece * times for piece, times in pieces)
                (case / SAID[name]["generated"]["file"]).write_text(text)
            else:
                shutil.copytree(CASES[name].with_suffix(""), case)
            for marker in SAID[name].get("folderMarkers", []):
                self._put(f"{name}/{marker}", b"")
        for file in self.folder.rglob("*"):
            if file.is_file():
                self._put(file.relative_to(self.folder).as_posix(), file.read_bytes())

    def _put(self, key, content):
        self.pipeline.aws.client("s3").put_object(
            Bucket=self.pipeline.input_bucket, Key=self.prefix + key, Body=content
        )

    def start(self, filters):
        wanted = filters.get((self.said["recipe"], self.said["filter"]))
        given = {"filterArn": wanted} if wanted else {}
        self.arn = self.pipeline.start(self.folder.name, **given)

    @cached_property
    def manifest(self):
        if self.end["status"] == "SUCCEEDED":
            return self.pipeline.manifest(json.loads(self.end["output"])["run"])
        run = self.end["cause"].rpartition("/manifest.json")[0].rpartition("/")[2]
        return self.pipeline.manifest(run)

    @cached_property
    def rows(self):
        return self.pipeline.queries(json.loads(self.end["output"])["run"])

    @cached_property
    def bad(self):
        if not self.manifest["invalidLines"]:
            return []
        listed = self.pipeline.read(self.manifest["invalidLines"]["location"])
        return [json.loads(line) for line in listed.splitlines()]

    @cached_property
    def told(self):
        """What the command line says about the same files."""
        options = ["--recipe", self.said["recipe"], "--json"]
        if self.said["filter"] is not None:
            options += ["--filter-expression", self.said["filter"]]
        result = CliRunner().invoke(app, ["validate", str(self.folder), *options])
        assert isinstance(result.exception, SystemExit | None)
        return json.loads(result.stdout)

    def of_case(self, name, found):
        """Return those rows or bad lines that are of one case."""
        return [
            each for each in found if each["file"].startswith(f"{self.prefix}{name}/")
        ]


def alike(name):
    """What cases of one run have in common."""
    said = SAID[name]
    if not said.get("refused", {"lines": True})["lines"]:
        return name
    return said["recipe"], said["filter"], "accepted" in said


@pytest.fixture(
    scope="module", params=["together", pytest.param("alone", marks=pytest.mark.slow)]
)
def batches(request, aws, pipelines, filters, tmp_path_factory):
    """The batch of each case, once it has been run."""
    groups = defaultdict(list)
    for name in CASES:
        groups[alike(name) if request.param == "together" else name].append(name)
    folder = tmp_path_factory.mktemp("batches")
    found = [
        Batch(
            folder / f"{request.param}-{number}",
            names,
            pipelines[SAID[names[0]]["recipe"]],
        )
        for number, names in enumerate(groups.values())
    ]
    client = aws.client("stepfunctions")
    waiting, running = list(found), []
    give_up = time.monotonic() + END_SECONDS
    while waiting or running:
        assert time.monotonic() < give_up, "runs take too long"
        while waiting and len(running) < AT_ONCE:
            running.append(waiting.pop())
            running[-1].upload()
            running[-1].start(filters)
        for batch in list(running):
            execution = client.describe_execution(executionArn=batch.arn)
            if execution["status"] != "RUNNING":
                batch.end = execution
                running.remove(batch)
        time.sleep(0.02)
    return {name: batch for batch in found for name in batch.names}


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_can_be_used_is_run_to_the_end(name, batches):
    batch, accepted = batches[name], SAID[name]["accepted"]
    assert batch.end["status"] == "SUCCEEDED", batch.end.get("cause")
    rows = batch.of_case(name, batch.rows)
    assert len(rows) == accepted["queries"]
    asked = {json.dumps(row["query"], sort_keys=True) for row in rows}
    assert len(asked) == accepted["different"]
    output, manifest, told = (
        json.loads(batch.end["output"]),
        batch.manifest,
        batch.told,
    )
    total = sum(SAID[each]["accepted"]["queries"] for each in batch.names)
    assert (output["queries"], output["skippedLines"]) == (total, 0)
    assert manifest["invalidLines"] is None
    counts = manifest["queries"]
    assert (counts["total"], counts["missing"]) == (total, 0)
    ids = sorted(row["query_id"] for row in batch.rows)
    assert ids == [f"q{number:06d}" for number in range(1, total + 1)]
    assert told["problem"] is None
    assert (told["queries"], told["distinct"]) == (total, counts["distinct"])
    notes = [each.removeprefix(batch.prefix) for each in manifest["notes"]]
    assert notes == [each.removeprefix(f"{batch.folder}/") for each in told["notes"]]
    said = accepted.get("notes", [])
    told_notes = [each.removeprefix(f"{name}/") for each in notes]
    if batch.names == [name]:
        assert told_notes == said
    # The notes of several cases count the lines of all.
    assert {each.partition(", as in")[0] for each in said} <= {
        each.partition(", as in")[0] for each in told_notes
    }


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_used_is_refused_with_every_reason(name, batches):
    batch, refused = batches[name], SAID[name]["refused"]
    assert (batch.end["status"], batch.end["error"]) == ("FAILED", "InvalidInput")
    assert batch.manifest["job"] is None
    if batch.names == [name]:
        assert refused["says"] in batch.end["cause"]
    bad = batch.of_case(name, batch.bad)
    for each, wanted in zip(bad, refused["lines"], strict=True):
        assert each["file"] == f"{batch.prefix}{name}/{wanted['file']}"
        assert wanted["line"] in (None, each["line"])
        assert wanted["column"] in (None, each["column"])
        assert wanted["reason"] in each["reason"]
    local = [
        {**each, "file": Path(each["file"]).relative_to(batch.folder).as_posix()}
        for each in batch.told["badLines"]
    ]
    found = [
        {**each, "file": each["file"].removeprefix(batch.prefix)} for each in batch.bad
    ]
    assert found == local
