"""`fetch` and `show`: results and manifests of runs, on this machine."""

import csv
import gzip
import io
import json
import re

import pytest
from pyarrow import parquet
from rich.console import Console

from cdk_personalize_segments.cli import executions, screen, tables

pytestmark = pytest.mark.xdist_group("cli")

FILMS = ({"itemId": "film-001"}, {"itemId": "film-002"}, {"itemId": "film-001"})


@pytest.fixture(scope="session")
def shared():
    """What is made once for all of these tests."""
    return {}


@pytest.fixture
def run(on_items, queries, shared):
    """A run of three lines that ask for two films."""
    if "run" not in shared:
        told = on_items("run", queries(*FILMS)).output
        shared["run"] = re.search(r"Started run (\S+)", told)[1]
    return shared["run"]


def read(file):
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_results_come_as_two_tables_beside_the_manifest(on_items, run, tmp_path):
    fetched = on_items("fetch", run, "--to", tmp_path / "got")
    assert fetched.exit_code == 0, fetched.output
    assert f"3 files in {tmp_path}/got" in fetched.output
    assert sorted(each.name for each in (tmp_path / "got").iterdir()) == [
        "manifest.json",
        "queries.csv",
        "users.csv",
    ]
    asked = sorted(read(tmp_path / "got" / "queries.csv"), key=lambda row: row["line"])
    assert [(each["query_id"], each["item_id"], each["users"]) for each in asked] == [
        ("q000001", "film-001", "25"),
        ("q000002", "film-002", "25"),
        ("q000003", "film-001", "25"),
    ]
    assert json.loads(asked[0]["query"]) == {"itemId": "film-001"}
    users = read(tmp_path / "got" / "users.csv")
    assert len(users) == 75
    assert users[0]["rank"] == "1"


def test_parquet_holds_the_same_as_csv_with_types(on_items, run, tmp_path):
    on_items("fetch", run, "--to", tmp_path / "csv")
    fetched = on_items("fetch", run, "--to", tmp_path / "p", "--format", "parquet")
    assert fetched.exit_code == 0, fetched.output
    for kind in ("users", "queries"):
        table = parquet.read_table(tmp_path / "p" / f"{kind}.parquet")
        rows = [
            {key: "" if value is None else str(value) for key, value in row.items()}
            for row in table.to_pylist()
        ]
        assert rows == read(tmp_path / "csv" / f"{kind}.csv")
    assert str(parquet.read_schema(tmp_path / "p" / "users.parquet").field("rank")) == (
        "pyarrow.Field<rank: int64>"
    )


def test_the_objects_come_as_they_are_if_asked_for(on_items, run, items, tmp_path):
    fetched = on_items("fetch", run, "--to", tmp_path / "got", "--format", "original")
    assert fetched.exit_code == 0, fetched.output
    prefix = items.places.results_folder(run)
    listed = items.account.s3.list_objects_v2(
        Bucket=items.places.output_bucket, Prefix=prefix
    )["Contents"]
    for each in listed:
        file = tmp_path / "got" / each["Key"].removeprefix(prefix)
        assert file.stat().st_size == each["Size"]
    assert len(
        [each for each in (tmp_path / "got").rglob("*") if each.is_file()]
    ) == len(listed)


def test_results_that_were_changed_are_refused(on_items, queries, items, tmp_path):
    told = on_items("run", queries(*FILMS)).output
    run = re.search(r"Started run (\S+)", told)[1]
    key = items.places.results_folder(run) + "users/part-00000.csv.gz"
    changed = gzip.compress(b"query_id,rank,user_id\nq000001,1,mallory\n")
    items.account.s3.put_object(
        Bucket=items.places.output_bucket, Key=key, Body=changed
    )
    result = on_items("fetch", run, "--to", tmp_path / "got")
    assert result.exit_code == 1
    assert f"{key} is not what the run wrote" in result.output
    assert list((tmp_path / "got").iterdir()) == []


def test_a_failed_run_gives_what_there_is(on_items, queries, items, tmp_path):
    bad = queries({"itemId": 5}, name="bad.jsonl")
    items.account.s3.upload_file(
        str(bad), items.places.input_bucket, "queries/fetch/bad.jsonl"
    )
    told = on_items("run", "--queries", "fetch/bad.jsonl").output
    run = re.search(r"Started run (\S+)", told)[1]
    result = on_items("fetch", run, "--to", tmp_path / "got")
    assert result.exit_code == 0, result.output
    assert "The run failed (InvalidInput); this is what there is." in result.output
    got = sorted(each.name for each in (tmp_path / "got").iterdir())
    assert got == ["invalid-lines.jsonl", "manifest.json"]
    shown = on_items("show", run).output
    assert f"Run {run}: failed" in shown
    assert "1 line refused: s3://" in shown


def test_where_it_cannot_be_written_to_is_told(on_items, run, tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    result = on_items("fetch", run, "--to", file)
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: {file}: File exists")


def test_without_pyarrow_parquet_says_what_to_install(on_items, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    result = on_items("fetch", "any", "--format", "parquet")
    assert result.exit_code == 1
    assert "pip install 'cdk-personalize-segments[parquet]'" in result.output


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_odd_user_ids_and_parts_of_several_files_come_out_right(tmp_path, ending):
    odd = ['q"uote', "com,ma", "line\nfeed", "cr\r\nlf", "ünï 🎃", " x ", "\\"]
    odd += ["", "NA", "null", "007", "true", "'", "#", "\t"]
    sources = []
    for number, users in enumerate((odd[:4], odd[4:])):
        source = tmp_path / f"part-00000-{number}.csv.gz"
        with gzip.open(source, "wt", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(["query_id", "rank", "user_id"])
            writer.writerows((f"q{number}", 1 + at, id) for at, id in enumerate(users))
        sources.append(source)
    target = tables.write(tmp_path / f"users.{ending}", "users", sources)
    if ending == "csv":
        found = [row["user_id"] for row in read(target)]
    else:
        found = parquet.read_table(target).column("user_id").to_pylist()
    assert found == odd


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_odd_queries_come_out_right(tmp_path, ending):
    item, error = 'ü🎃,"\r\n', "User error:\rno such item"
    whole = {
        **{"query_id": "q1", "file": "queries/a b,c.json", "line": 1},
        **{"query": {"itemId": item}, "status": "failed", "users": 0, "error": error},
    }
    half = {**whole, "query": {"itemAttributes": "half \ud800"}, "error": None}
    source = tmp_path / "part-00000.jsonl.gz"
    rows = "".join(f"{json.dumps(each)}\n" for each in (whole, half))
    source.write_bytes(gzip.compress(rows.encode()))
    target = tables.write(tmp_path / f"queries.{ending}", "queries", [source])
    if ending == "csv":
        found = read(target)
        nothing = ""
    else:
        found = parquet.read_table(target).to_pylist()
        nothing = None
    assert [each["item_id"] for each in found] == [item, nothing]
    assert [each["item_attributes"] for each in found] == [nothing, "half \\ud800"]
    assert [json.loads(each["query"]) for each in found] == [
        whole["query"],
        half["query"],
    ]
    assert [each["error"] for each in found] == [error, nothing]
    assert found[0]["file"] == "queries/a b,c.json"


def test_a_manifest_is_shown_readably(on_items, run, cli, tmp_path):
    on_items("fetch", run, "--to", tmp_path)
    of_run = on_items("show", run)
    assert of_run.exit_code == 0
    assert f"Run {run}: succeeded" in of_run.output
    assert re.search(
        r"Segments +Empty +Failed +Missing +Total +Distinct", of_run.output
    )
    assert re.search(r"3 +0 +0 +0 +3 +2", of_run.output)
    assert "queries/queries.jsonl" in of_run.output
    assert cli("show", tmp_path / "manifest.json").output == of_run.output
    told = json.loads(cli("show", tmp_path / "manifest.json", "--json").output)
    assert told == json.loads((tmp_path / "manifest.json").read_text())


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{}", "is no manifest of a run"),
        ('{"schemaVersion": 1, "run": "r"}', "is no manifest of a run"),
        ("x", "is no manifest of a run"),
        ('{"schemaVersion": 9, "run": "r"}', "of version 9, and this command reads"),
    ],
)
def test_what_is_no_manifest_is_told(cli, tmp_path, content, says):
    file = tmp_path / "manifest.json"
    file.write_text(content)
    result = cli("show", file)
    assert result.exit_code == 1
    assert says in result.output


@pytest.mark.parametrize(
    ("named", "says"),
    [
        ("nothing", "The pipeline Cinema/Items has no run 'nothing'"),
        ("nothing.json", "nothing.json cannot be read: No such file or directory"),
        ("s3://{bucket}/nothing.json", "There is no s3://"),
    ],
)
def test_what_is_not_there_to_show_is_told(on_items, items, named, says):
    result = on_items("show", named.format(bucket=items.places.output_bucket))
    assert result.exit_code == 1
    assert says in result.output


def test_a_manifest_is_found_by_its_uri_and_by_its_execution(
    on_items, run, items, cli, tmp_path
):
    bucket, key = items.places.output_bucket, items.places.manifest(run)
    shown = on_items("show", run).output
    assert cli("show", f"s3://{bucket}/{key}").output == shown
    arn = executions.find_execution(items, run)
    assert on_items("show", arn).output == shown
    assert on_items("fetch", arn, "--to", tmp_path).exit_code == 0
    assert json.loads((tmp_path / "manifest.json").read_text())["run"] == run


@pytest.mark.parametrize("command", ["show", "fetch"])
def test_a_run_that_still_runs_is_told(
    on_items, queries, environment, command, tmp_path
):
    # Time stands still while this is held, so that the run cannot end meanwhile.
    with environment.clock.busy():
        told = on_items("run", queries(*FILMS), "--no-wait").output
        run = re.search(r"Started run (\S+)", told)[1]
        to = ("--to", tmp_path / "got") if command == "fetch" else ()
        result = on_items(command, run, *to)
    assert result.exit_code == 1
    assert f"The run {run} is still running" in result.output
    assert not (tmp_path / "got").exists()


def test_a_bar_shows_how_far_a_download_is_where_there_is_a_terminal(
    on_items, run, tmp_path, monkeypatch
):
    assert "━" not in on_items("fetch", run, "--to", tmp_path / "one").output
    terminal = Console(file=io.StringIO(), force_terminal=True, width=100)
    monkeypatch.setattr(screen, "err", terminal)
    on_items("fetch", run, "--to", tmp_path / "two")
    assert "━" in terminal.file.getvalue()


def test_results_that_have_expired_are_told(on_items, queries, items, tmp_path):
    told = on_items("run", queries(*FILMS)).output
    run = re.search(r"Started run (\S+)", told)[1]
    key = items.places.results_folder(run) + "users/part-00000.csv.gz"
    items.account.s3.delete_object(Bucket=items.places.output_bucket, Key=key)
    result = on_items("fetch", run, "--to", tmp_path / "got")
    assert result.exit_code == 1
    assert f"{key} is not there any more" in result.output
    assert list((tmp_path / "got").iterdir()) == []
