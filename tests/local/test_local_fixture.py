"""The pytest fixture, as users of the library have it."""

import gzip
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cdk_personalize_segments.local import Execution, LocalAws, LocalAwsError

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "test_my_stack.py"
README = (ROOT / "README.md").read_text()
_numbers = itertools.count()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project of a user: the app of the README, some data, and the example."""
    [app] = re.findall(r"^```python\n(# app\.py\n.*?)^```", README, re.S | re.M)
    (tmp_path / "app.py").write_text(app)
    (tmp_path / "cdk.json").write_text('{"app": "python app.py"}')
    data = tmp_path / "data"
    data.mkdir()
    (data / "items.csv").write_text("ITEM_ID,GENRES\n1,Comedy\n2,Drama\n3,Western\n")
    (data / "interactions.csv").write_text(
        "USER_ID,ITEM_ID\nann,1\nann,1\nbob,1\ncid,2\ncid,2\ndot,3\n"
    )
    (tmp_path / "node_modules").symlink_to(ROOT / "node_modules")
    shutil.copy(EXAMPLE, tmp_path)
    return tmp_path


def test_the_readme_shows_the_example_as_it_is() -> None:
    code = EXAMPLE.read_text()
    assert f"```python\n{code[code.index('def ') :]}```" in README


def run_pytest(folder: Path, *options: str) -> str:
    """Run the tests of a folder as a user does."""
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTEST_ADDOPTS": ""},
    )
    return ended.stdout + ended.stderr


@pytest.fixture
def succeeded(aws: LocalAws) -> Callable[..., Execution]:
    """Lay the results of a run, in parts, as the README describes them."""

    def lay(*parts: list[tuple[dict[str, object], str]]) -> Execution:
        s3, bucket = aws.client("s3"), f"results-{next(_numbers)}"
        s3.create_bucket(Bucket=bucket)

        def put(key: str, lines: list[str]) -> None:
            body = gzip.compress("".join(f"{line}\n" for line in lines).encode())
            s3.put_object(Bucket=bucket, Key=f"run/{key}", Body=body)

        ids = (f"q{number}" for number in itertools.count(1))
        for part, queries in enumerate(parts):
            rows = [
                {"query_id": next(ids), "query": query, "status": status, "error": None}
                for query, status in queries
            ]
            for row in rows:
                if row["status"] == "failed":
                    row["error"] = "no such item"
            put(f"queries/part-{part}.jsonl.gz", [json.dumps(row) for row in rows])
            users = [
                f"{row['query_id']},{rank},{row['query_id']}-{which}"
                for row in rows
                if row["status"] == "segment"
                for rank, which in ((1, "best"), (2, "next"))
            ]
            put(f"users/part-{part}.csv.gz", ["query_id,rank,user_id", *users])
        folder = f"s3://{bucket}/run"
        results = {"queries": f"{folder}/queries/", "users": f"{folder}/users/"}
        s3.put_object(
            Bucket=bucket,
            Key="run/manifest.json",
            Body=json.dumps({"results": results}).encode(),
        )
        output = {"manifest": f"{folder}/manifest.json"}
        return Execution(
            arn="arn",
            status="SUCCEEDED",
            output=output,
            error=None,
            cause=None,
            history=[],
        )

    return lay


# It deploys by the CDK CLI.
@pytest.mark.slow
def test_the_example_tests_a_user_s_own_stack(folder: Path) -> None:
    assert "1 passed" in run_pytest(folder)


def test_the_example_has_under_ten_lines() -> None:
    test = EXAMPLE.read_text().partition("def test_")[2]
    assert len(test.splitlines()) < 10


def test_a_failed_run_says_why_instead_of_segments(aws: LocalAws) -> None:
    failed = Execution(
        arn="arn",
        status="FAILED",
        output=None,
        error="InvalidInput",
        cause="line 1 is no query",
        history=[],
    )
    with pytest.raises(
        LocalAwsError, match="ended as FAILED with InvalidInput: line 1 is no query"
    ):
        aws.segments(failed)


def test_segments_are_read_from_all_files_of_a_run(
    aws: LocalAws, succeeded: Callable[..., Execution]
) -> None:
    france = {"itemId": "1", "filterValues": {"COUNTRY": '"France"'}}
    comedies = 'ITEMS.GENRES = "Comedy"'
    execution = succeeded(
        [({"itemAttributes": comedies}, "segment"), ({"itemId": "2"}, "empty")],
        [(france, "segment")],
    )
    assert aws.segments(execution) == {
        comedies: ["q1-best", "q1-next"],
        "2": [],
        json.dumps(france): ["q3-best", "q3-next"],
    }


def test_a_query_without_a_segment_is_named(
    aws: LocalAws, succeeded: Callable[..., Execution]
) -> None:
    execution = succeeded([({"itemId": "1"}, "segment"), ({"itemId": "2"}, "failed")])
    with pytest.raises(LocalAwsError, match=r"have no segment: 2 \(no such item\)"):
        aws.segments(execution)


@pytest.mark.parametrize("given", [{"queries": "all.jsonl"}, ["all.jsonl"]])
def test_queries_are_given_once(aws: LocalAws, given: object) -> None:
    with pytest.raises(ValueError, match="leave them out there"):
        aws.run("arn", given, queries=[{"itemId": "1"}])
