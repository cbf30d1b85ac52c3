"""What `make demo` runs: a pipeline, deployed into a local AWS and run there.

Deploys `app.py` with the real CDK CLI, uploads a query file, starts a run, shows how
far it is, and prints the segments. Ends with 1 and the reason if anything fails.
"""

import argparse
import csv
import json
import os
import shlex
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from cdk_personalize_segments.cli import pipelines, query_files, report, runs, screen
from cdk_personalize_segments.cli.account import Account
from cdk_personalize_segments.cli.errors import SDK_ERRORS, CliError, sentence
from cdk_personalize_segments.cli.local_aws import local_aws
from cdk_personalize_segments.local import LocalAws, LocalAwsError

ROOT: Final = Path(__file__).parents[1]
CATALOGUE: Final = ROOT / "examples" / "catalogue"
CATALOGUE_QUERIES: Final = "genre-queries.jsonl"
STACK: Final = "Segments"
SOLUTION: Final = "demo"
# A job of 57 minutes then takes some 9 seconds.
SPEED: Final = 400.0
LOOK_SECONDS: Final = 0.3
POPULAR_ITEMS: Final = 5


def main() -> int:
    """Run the demo.

    Returns:
        0 if the run succeeded, else 1.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data",
        type=Path,
        default=CATALOGUE,
        help="a folder with items.csv, interactions.csv and optionally users.csv",
    )
    parser.add_argument("--queries", type=Path, help="a file with one query per line")
    arguments = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            queries = arguments.queries or _default_queries(arguments.data, folder)
            return _demo(arguments.data, queries, folder)
    except SDK_ERRORS as error:
        screen.note(f"The demo failed: {sentence(error)}", "bold red")
    except OSError as error:
        unreadable = f"{error.filename} cannot be read: {error.strerror}"
        screen.note(
            f"The demo failed: {unreadable if error.filename else error}", "bold red"
        )
    except (CliError, LocalAwsError, ValueError) as error:
        screen.note(f"The demo failed: {error}", "bold red")
    return 1


def _demo(data: Path, queries: Path, scratch: Path) -> int:
    recipe = query_files.recipe_of(queries)
    with local_aws(region="us-east-1", speed=SPEED, port=0) as aws:
        _use(aws)
        with _step(f"Training a solution ({recipe}) on {data}"):
            version_arn = aws.personalize.seed(data, recipe=recipe, name=SOLUTION)
        with _step("Deploying app.py into the local AWS with the CDK CLI"):
            _deploy(aws, version_arn, scratch)
        pipeline = pipelines.find(Account(), pipelines.Wanted(stack=STACK))
        key = runs.upload(pipeline, queries)
        started = runs.start(pipeline, {"queries": key})
        ended = runs.wait(pipeline, started.execution_arn, slowest=LOOK_SECONDS)
        titles = _titles(data)
        return report.run_ended(
            pipeline, ended, lambda query: _with_title(query, titles)
        )


def _deploy(aws: LocalAws, version_arn: str, scratch: Path) -> None:
    """Deploy the app from a folder of its own: `cdk.out` may be in use in this one."""
    shutil.copy(ROOT / "cdk.json", scratch)
    aws.deploy(
        STACK,
        app=f"{shlex.quote(sys.executable)} {shlex.quote(str(ROOT / 'app.py'))}",
        cwd=scratch,
        context={"stack": STACK, "solution_version_arn": version_arn},
    )


def _use(aws: LocalAws) -> None:
    """Point every AWS tool of this process at the local AWS, whatever was set."""
    for name in [each for each in os.environ if each.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(aws.environment)


@contextmanager
def _step(what: str) -> Iterator[None]:
    """Say what is done, and how long it took."""
    began = time.monotonic()
    screen.note(f"{what} …")
    with screen.err.status("working"):
        yield
    screen.note(f"  done in {time.monotonic() - began:.1f} s")


def _default_queries(data: Path, scratch: Path) -> Path:
    """Return the catalogue's query file, or write one for another folder's data."""
    if data.resolve() == CATALOGUE:
        return CATALOGUE / CATALOGUE_QUERIES
    counts = Counter(row["ITEM_ID"] for row in _rows(data / "interactions.csv"))
    items = [item for item, _ in counts.most_common(POPULAR_ITEMS)]
    file = scratch / "popular-items.jsonl"
    file.write_text("".join(f"{json.dumps({'itemId': item})}\n" for item in items))
    screen.note(
        f"No query file was given: asking for the {len(items)} items of {data} with "
        "the most interactions."
    )
    return file


def _titles(data: Path) -> Mapping[str, str]:
    return {
        row["ITEM_ID"]: row["TITLE"]
        for row in _rows(data / "items.csv")
        if row.get("TITLE")
    }


def _with_title(query: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    title = titles.get(str(query.get("itemId")))
    text = report.label(query)
    return f"{title} ({text})" if title else text


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as lines:
        yield from csv.DictReader(lines)


if __name__ == "__main__":
    sys.exit(main())
