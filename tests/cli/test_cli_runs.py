"""`run`, `status`, `list` and `fetch` on a deployed pipeline."""

import csv
import gzip
import io
import json
import os
import re
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

from cdk_personalize_segments.cli import executions, progress, results, runs, screen
from cdk_personalize_segments.cli.errors import CliError

pytestmark = pytest.mark.xdist_group("cli")

FILM = {"itemId": "film-001"}
UNKNOWN = {"itemId": "no-such-film"}


def run_name(output):
    return re.search(r"Cinema-Items-\w+-[0-9a-f]{16}", output)[0]


def test_a_run_shows_its_segments_and_where_all_lies(on_items, queries, items):
    result = on_items("run", queries(FILM, {"itemId": "film-002"}), "--num-results", 3)
    assert result.exit_code == 0, result.output
    output = result.output
    row = next(line for line in output.splitlines() if line.startswith(" film-001"))
    assert re.search(r"film-001 +3 +user-\d+, user-\d+, user-\d+ *$", row)
    run = run_name(output)
    assert f"Run {run} succeeded" in output
    assert "2 queries, 0 failed, 6 users" in output
    results = f"s3://{items.places.output_bucket}/results/{run}"
    for place in (
        f"{results}/queries/",
        f"{results}/users/",
        f"{results}/manifest.json",
    ):
        assert place in output
    assert f"s3://{items.places.output_bucket}/output/{run}/" in output


def test_the_shown_users_are_the_first_of_the_segment(on_items, queries, items):
    output = on_items("run", queries(UNKNOWN, FILM)).output
    shown = re.search(r"film-001 +25 +(.*), …", output)[1].split(", ")
    body = items.account.s3.get_object(
        Bucket=items.places.output_bucket,
        Key=f"results/{run_name(output)}/users/part-00000.csv.gz",
    )["Body"].read()
    rows = csv.DictReader(io.StringIO(gzip.decompress(body).decode()))
    assert shown == [row["user_id"] for row in rows][:5]


def test_failed_queries_are_told_with_their_reasons(on_items, queries):
    result = on_items("run", queries(FILM, UNKNOWN, name="mixed.jsonl"))
    assert result.exit_code == 0
    assert "1 query without an answer:" in result.output
    assert "queries/mixed.jsonl, line 2: no-such-film: User error" in result.output


def test_only_the_first_of_many_segments_are_shown(on_items, queries):
    many = [{"itemId": f"film-{number:03d}"} for number in range(1, 31)]
    output = on_items("run", queries(*many)).output
    assert "film-020" in output
    assert "film-021" not in output
    assert "… and 10 more queries" in output


def test_a_bad_file_is_not_even_uploaded(on_items, queries, items):
    file = queries(FILM, {"itemId": 2}, name="bad.jsonl")
    result = on_items("run", file)
    assert result.exit_code == 1
    assert f"{file}:2:12: itemId must be a string" in result.output
    assert "nothing was uploaded or started" in result.output
    keys = items.account.s3.list_objects_v2(Bucket=items.places.input_bucket)
    assert "queries/bad.jsonl" not in [each["Key"] for each in keys["Contents"]]


def test_the_filter_s_placeholders_are_asked_for_before_the_upload(
    on_items, queries, environment
):
    arn = environment.personalize.add_filter(
        "countries",
        "INCLUDE UserID WHERE Users.COUNTRY IN ($COUNTRY)",
        dataset_group="cinema",
    )
    result = on_items("run", queries(FILM), "--filter-arn", arn)
    assert result.exit_code == 1
    assert "the filter needs a value for COUNTRY" in result.output
    values = {"filterValues": {"COUNTRY": '"Japan"'}}
    result = on_items("run", queries({**FILM, **values}), "--filter-arn", arn)
    assert result.exit_code == 0, result.output
    assert re.search(r'film-001 \{"COUNTRY": .*Japan.*\} +\d+ +user-', result.output)


def test_a_file_for_the_other_recipe_is_refused(on_items, queries):
    result = on_items("run", queries({"itemAttributes": 'ITEMS.GENRES = "Comedy"'}))
    assert result.exit_code == 1
    assert "itemAttributes is for the other recipe" in result.output


def test_a_failed_run_ends_with_its_error_and_its_sentence(on_items):
    result = on_items("run", "--queries", "never-uploaded")
    assert result.exit_code == 1
    assert "failed: InvalidInput\nThere is no query file s3://" in result.output


def test_a_failed_job_is_told_in_the_service_s_words(on_items, queries, environment):
    environment.personalize.fail_next_job("The moon was full.")
    result = on_items("run", queries(FILM))
    assert result.exit_code == 1
    assert "failed: JobFailed" in result.output
    assert "The moon was full." in result.output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--num-results", "0"], "--num-results must be 1 to 5,000,000, got 0"),
        (["--filter-arn", "films"], "--filter-arn must be the ARN of a filter"),
        (["--resume", "x", "--queries", "y"], "--resume goes alone"),
        (["--tag", "a"], "A --tag is written KEY=VALUE"),
        (["--tag", "aws:a=b"], "A --tag is not allowed: keys that start with 'aws:'"),
        (["--resume", ""], "--resume is empty; give it a value, or leave it out."),
        (["--queries", ""], "--queries is empty"),
        (["--solution-version-arn", ""], "--solution-version-arn must be the ARN"),
        (["--resume", "nope"], "--resume takes the name of a run of Cinema/Items"),
    ],
)
def test_what_the_run_would_refuse_is_refused_at_once(on_items, arguments, told):
    result = on_items("run", *arguments)
    assert result.exit_code == 2
    assert f"Error: {told}" in result.output


def test_file_and_queries_exclude_each_other(on_items, queries):
    result = on_items("run", queries(FILM), "--queries", "x")
    assert "Error: Give either FILES or --queries, not both." in result.output


def test_tags_reach_the_job_and_are_never_printed(on_items, queries, environment):
    result = on_items("run", queries(FILM), "--tag", "cost=hidden-value")
    assert result.exit_code == 0
    arn = environment.personalize.arn(f"batch-segment-job/{run_name(result.output)}")
    assert environment.personalize.tags[arn] == {
        "owner": "a-secret-of-ours",
        "cost": "hidden-value",
    }
    shown = result.output + on_items("doctor").output + on_items("list").output
    assert "hidden-value" not in shown
    assert "a-secret-of-ours" not in shown


def test_a_run_can_be_started_and_looked_at_later(on_items, queries, items, tmp_path):
    started = on_items("run", queries(FILM), "--no-wait")
    assert started.exit_code == 0
    assert "It goes on by itself" in started.output
    run = run_name(started.output)
    executions.follow(
        items, executions.find_execution(items, run), lambda _: None, slowest=0.1
    )
    status = on_items("status", run)
    assert status.exit_code == 0
    assert f"Run {run} succeeded" in status.output
    assert re.search(r"film-001 +25 +user-", status.output)
    [row] = [line for line in on_items("list").output.splitlines() if run in line]
    assert re.search(r"SUCCEEDED +\d{4}-\d\d-\d\d .*Z +\d.* min +1 +0 +25", row)
    [told] = [
        each
        for each in json.loads(on_items("list", "--json").output)
        if each["run"] == run
    ]
    assert (told["status"], told["queries"], told["users"]) == ("SUCCEEDED", 1, 25)
    took = datetime.fromisoformat(told["finishedAt"]) - datetime.fromisoformat(
        told["startedAt"]
    )
    assert took > timedelta(minutes=1)
    status = json.loads(on_items("status", run, "--json").output)
    assert status["run"] == run
    assert status["output"]["users"] == 25


def test_status_tells_what_a_run_cost(on_items, queries, items):
    run = run_name(on_items("run", queries(FILM, FILM, {"itemId": "film-002"})).output)
    cost = results.manifest(items, run)["cost"]
    output = on_items("status", run).output
    transitions = cost["used"]["transitions"]
    assert f"Cost on AWS, estimated: {cost['total']:.4f} USD" in output
    assert f"({transitions} transitions {cost['transitions']:.4f} USD, " in output
    assert "list prices of us-east-1 of 20" in output
    assert "Personalize's own price is not known here" in output
    told = json.loads(on_items("status", run, "--json").output)["cost"]
    assert told == {**cost, "personalize": None}


@pytest.mark.parametrize(
    ("price", "usd"), [("3/run", 3.0), ("0.5/query", 1.0), ("0.2/1000-users", 0.015)]
)
def test_the_price_of_personalize_is_added_as_given(on_items, queries, price, usd):
    # Two queries are sent, of which one is asked twice.
    asked = queries(FILM, FILM, {"itemId": "film-002"})
    run = run_name(on_items("run", asked).output)
    arguments = ("status", run, "--personalize-price", price)
    told = json.loads(on_items(*arguments, "--json").output)["cost"]
    assert told["personalize"] == pytest.approx(usd)
    amount, unit = price.split("/")
    written = f"{usd:.4f}" if usd < 1 else f"{usd:.2f}"
    said = f"Personalize, at {float(amount):g} USD/{unit}: {written} USD; together "
    assert said in on_items(*arguments).output


@pytest.mark.parametrize("price", ["5", "x/query", "-1/query", "1/hour", "inf/run", ""])
def test_what_is_no_price_is_refused(on_items, price):
    result = on_items("status", "some-run", "--personalize-price", price)
    assert result.exit_code == 2
    words = result.output.replace("│", " ").split()
    assert "write USD per unit, like 0.05/query" in " ".join(words)


def test_who_may_not_read_results_still_learns_the_status(
    on_items, queries, monkeypatch
):
    run = run_name(on_items("run", queries(FILM)).output)

    def refused(*_):
        raise ClientError(
            {"Error": {"Code": "AccessDenied", "Message": ""}}, "GetObject"
        )

    monkeypatch.setattr(results, "manifest", refused)
    result = on_items("status", run, "--json")
    assert result.exit_code == 0
    assert "What the run cost is not known: AWS refused s3:GetObject" in result.output
    assert '"status": "SUCCEEDED"' in result.output


def test_a_version_of_another_solution_is_refused_before_the_upload(
    on_items, queries, items, environment
):
    other = environment.personalize.arn("solution/cinema-by-genre/1")
    file = queries(FILM, name="other-solution.jsonl")
    result = on_items("run", file, "--solution-version-arn", other)
    assert result.exit_code == 1
    assert "is not a version of the pipeline's solution" in result.output
    assert uploaded(items, "other-solution.jsonl") == []


def test_a_folder_is_uploaded_and_run_as_a_whole(on_items, queries, items, tmp_path):
    folder = tmp_path / "campaign"
    (folder / "more").mkdir(parents=True)
    queries(FILM, name="campaign/a.jsonl")
    (folder / "more" / "b.gz").write_bytes(gzip.compress(b'{"itemId": "film-002"}'))
    result = on_items("run", folder)
    assert result.exit_code == 0, result.output
    assert "succeeded" in result.output
    assert "2 queries, 0 failed" in result.output
    prefix = "queries/campaign/"
    assert uploaded(items, "campaign/") == [f"{prefix}a.jsonl", f"{prefix}more/b.gz"]


def test_several_files_are_one_run(on_items, queries, items):
    one = queries(FILM, name="one.jsonl")
    two = queries({"itemId": "film-002"}, name="two.jsonl")
    result = on_items("run", one, two)
    assert result.exit_code == 0, result.output
    assert "2 queries, 0 failed" in result.output
    names = re.findall(r"queries/upload-\w+-\w+/(\w+\.jsonl)", result.output)
    assert names == ["one.jsonl", "two.jsonl"]


def test_files_of_one_name_are_not_uploaded_over_each_other(on_items, queries, items):
    (file := queries(FILM, name="same.jsonl")).parent.joinpath("other").mkdir()
    other = queries(FILM, name="other/same.jsonl")
    result = on_items("run", file, other)
    assert result.exit_code == 1
    assert f"{file} and {other} would both be uploaded as" in result.output
    assert "Started" not in result.output


def test_queries_from_a_pipe_are_refused(on_items, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    result = on_items("run", tmp_path / "pipe")
    assert result.exit_code == 1
    assert "can be read only once; write the queries to a file" in result.output


def test_a_folder_that_has_other_files_in_the_bucket_is_not_run(
    on_items, queries, items, tmp_path
):
    for name in ("week", "queries"):
        items.account.s3.put_object(
            Bucket=items.places.input_bucket,
            Key=f"queries/{name}/old.jsonl",
            Body=b'{"itemId": "film-009"}',
        )
        (tmp_path / name).mkdir()
        queries(FILM, name=f"{name}/new.jsonl")
        result = on_items("run", tmp_path / name)
        assert result.exit_code == 1
        assert f"queries/{name}/old.jsonl is there already" in result.output
        assert uploaded(items, f"{name}/") == [f"queries/{name}/old.jsonl"]


def test_a_folder_called_like_the_prefix_is_run_alone(
    on_items, queries, items, tmp_path
):
    items.account.s3.delete_object(
        Bucket=items.places.input_bucket, Key="queries/queries/old.jsonl"
    )
    (tmp_path / "queries").mkdir()
    queries(FILM, name="queries/only.jsonl")
    result = on_items("run", tmp_path / "queries")
    assert result.exit_code == 0, result.output
    assert "1 query, 0 failed" in result.output


def uploaded(pipeline, name):
    found = pipeline.account.s3.list_objects_v2(
        Bucket=pipeline.places.input_bucket, Prefix=f"queries/{name}"
    )
    return [each["Key"] for each in found.get("Contents", [])]


def test_a_run_without_any_answer_is_no_plain_success(on_items, queries):
    result = on_items("run", queries({"itemId": "no-such-film"}))
    assert "No query got an answer; max_failed_queries" in result.output


def test_list_names_the_error_of_a_failed_run(on_items):
    run = run_name(on_items("run", "--queries", "never-uploaded").output)
    [row] = [line for line in on_items("list").output.splitlines() if run in line]
    assert "FAILED: InvalidInput" in row
    listed = json.loads(on_items("list", "--json").output)
    [told] = [each for each in listed if each["run"] == run]
    assert (told["status"], told["error"]) == ("FAILED", "InvalidInput")
    assert told["queries"] is None


def test_resume_takes_up_the_job_of_an_earlier_run(on_items, queries, environment):
    run = run_name(on_items("run", queries(FILM)).output)
    before = len(environment.personalize.jobs)
    result = on_items("run", "--resume", run)
    assert result.exit_code == 0, result.output
    assert re.search(r"film-001 +25 +user-", result.output)
    assert len(environment.personalize.jobs) == before


def test_who_may_not_read_results_still_learns_how_the_run_ended(
    on_items, queries, monkeypatch
):
    def refused(*_):
        raise ClientError(
            {"Error": {"Code": "AccessDenied", "Message": ""}}, "GetObject"
        )

    monkeypatch.setattr(results, "manifest", refused)
    result = on_items("run", queries(FILM))
    assert result.exit_code == 0
    assert "The segments cannot be shown: AWS refused s3:GetObject" in result.output
    assert "succeeded" in result.output


def test_a_manifest_of_another_version_hides_not_how_the_run_ended(
    on_items, queries, monkeypatch
):
    def unknown(*_):
        raise CliError("It is of version 2.")

    monkeypatch.setattr(results, "manifest", unknown)
    result = on_items("run", queries(FILM))
    assert result.exit_code == 0
    assert "The segments cannot be shown: It is of version 2." in result.output
    assert "succeeded" in result.output


def test_ctrl_c_says_that_the_run_goes_on(on_items, queries, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, "wait", interrupted)
    result = on_items("run", queries(FILM))
    assert result.exit_code == 130
    assert f"The run {run_name(result.output)} goes on by itself" in result.output


@pytest.mark.parametrize("command", ["status", "fetch"])
def test_a_run_that_does_not_exist_is_told(on_items, command):
    result = on_items(command, "Cinema-Items-nope")
    assert result.exit_code == 1
    assert "`personalize-segments list` shows the recent" in result.output


def test_status_shows_what_runs_and_who_holds_the_slots(
    on_items, queries, environment, items
):
    environment.personalize.occupy(2, for_=timedelta(days=365))
    run = run_name(on_items("run", queries(FILM), "--no-wait").output)
    # Time stands still while this is held, so that the run cannot end meanwhile.
    with environment.clock.busy():
        output = on_items("status").output
        told = json.loads(on_items("status", "--json").output)
    assert told["jobSlots"] == 5
    others = [each for each in told["jobs"] if not each["ofThisPipeline"]]
    assert [each["status"] for each in others] == ["CREATE IN_PROGRESS"] * 2
    assert (run, "RUNNING") in [(each["run"], each["status"]) for each in told["runs"]]
    assert "job slots of this account in us-east-1 are in use." in output
    held = [line for line in output.splitlines() if line.startswith(" someone-elses")]
    assert len(held) == 2
    assert all(re.search(r"CREATE IN_PROGRESS .* no *$", line) for line in held)
    for job in environment.personalize.jobs.values():
        if job.name.startswith("someone-elses"):
            job.ends = environment.clock.now()


def snapshot(items, **changes):
    now = datetime(2026, 1, 1, tzinfo=UTC)
    values = {
        "run": "r",
        "execution_arn": "a",
        "status": "RUNNING",
        "state": "Wait for the job",
        "job_name": "r",
        "job_status": "CREATE IN_PROGRESS",
        "started": now,
        "now": now,
        "output": None,
        "error": None,
        "cause": None,
    }
    return executions.Snapshot(**{**values, **changes})


def test_every_state_of_the_machine_has_plain_words(items):
    definition = json.loads(
        items.account.step_functions.describe_state_machine(
            stateMachineArn=items.state_machine_arn
        )["definition"]
    )
    names = set(definition["States"])
    for state in definition["States"].values():
        names |= set(state.get("ItemProcessor", {}).get("States", {}))
    assert names == set(progress.PHASES)


def test_progress_without_a_terminal_is_a_line_for_each_change(items, capsys):
    shown = progress.RunProgress()
    with shown:
        shown.show(snapshot(items, state="Prepare input", job_status=None))
        shown.show(snapshot(items))
        shown.show(snapshot(items))
        shown.show(snapshot(items, status="SUCCEEDED"))
    assert [line.strip() for line in capsys.readouterr().err.splitlines()] == [
        "0 s  Checking the queries, writing the job's input",
        "0 s  Personalize works on the job (CREATE IN_PROGRESS)",
        "0 s  Done",
    ]


def test_progress_on_a_terminal_is_a_bar(items, monkeypatch):
    from rich.console import Console

    written = io.StringIO()
    monkeypatch.setattr(
        screen, "err", Console(file=written, force_terminal=True, width=100)
    )
    with progress.RunProgress() as shown:
        shown.show(snapshot(items))
    assert "Personalize works on the job (CREATE IN_PROGRESS)" in written.getvalue()
    assert "━" in written.getvalue()


def test_a_run_that_had_nothing_to_do_is_told_by_every_command(
    on_items, items, environment
):
    gone = {"key": "queries/gone", "versionId": "x", "etag": "e", "size": 3}
    execution = environment.run(items.state_machine_arn, {"files": [gone]})
    run, reason = execution.output["run"], "expired: queries/gone."
    status = on_items("status", run)
    assert status.exit_code == 0
    assert f"Run {run} had nothing to do: None of" in status.output
    assert reason in status.output
    told = json.loads(on_items("status", run, "--json").output)
    assert told["output"]["nothingToDo"].endswith(reason)
    line = next(each for each in on_items("list").output.splitlines() if run in each)
    assert "SUCCEEDED: nothing to do" in line
    [listed] = json.loads(on_items("list", "--most", 1, "--json").output)
    assert (listed["run"], listed["queries"]) == (run, None)
    assert listed["nothingToDo"].endswith(reason)
    for command in ("show", "fetch"):
        result = on_items(command, run)
        assert result.exit_code == 1
        assert f"The run {run} had nothing to do, so it has no" in result.output
