"""Batch segment jobs of the emulated Personalize: life, limits, input and output."""

import json
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError

from cdk_personalize_segments._runtime import limits
from cdk_personalize_segments.local.personalize import PersonalizeError


def test_a_segment_for_a_genre_lists_its_greatest_fans_first(aws, pipeline, catalogue):
    version = aws.personalize.seed(catalogue, recipe="aws-item-attribute-affinity")

    comedy, thriller_drama, nobody = pipeline.segments(
        {"itemAttributes": 'ITEMS.GENRES = "Comedy"'},
        {"itemAttributes": 'ITEMS.GENRES = "Thriller" AND ITEMS.YEAR = 2011'},
        {"itemAttributes": 'ITEMS.GENRES = "Western"'},
        solutionVersionArn=version,
    )

    assert comedy["output"]["usersList"] == ["ann", "cleo"]
    assert thriller_drama["output"]["usersList"] == ["ben", "cleo"]
    assert nobody["output"]["usersList"] == []
    assert nobody["error"] is None


def test_a_segment_has_at_most_num_results_users(pipeline):
    (segment,) = pipeline.segments({"itemId": "1"}, numResults=1)

    assert segment["output"]["usersList"] == ["ann"]


def test_status_follows_the_clock(aws, pipeline):
    pipeline.put("run/part.json", {"itemId": "1"})
    arn = pipeline.create()

    seen = [pipeline.describe(arn)]
    for minutes in (2, 54, 1):
        aws.clock.advance(minutes=minutes)
        seen.append(pipeline.describe(arn))

    assert [job["status"] for job in seen] == [
        "CREATE PENDING",
        "CREATE IN_PROGRESS",
        "CREATE IN_PROGRESS",
        "ACTIVE",
    ]
    last = seen[-1]
    assert last["lastUpdatedDateTime"] - last["creationDateTime"] == timedelta(
        minutes=57
    )
    assert arn == "arn:aws:personalize:us-east-1:123456789012:batch-segment-job/run-1"
    assert last["numResults"] == 25


@pytest.mark.bridge("cdk_personalize_segments.local.personalize.http")
def test_output_appears_in_s3_even_if_nobody_asks_for_the_job(aws, pipeline):
    pipeline.put("run/part.json", {"itemId": "1"})
    pipeline.create()

    aws.clock.advance(minutes=56)
    assert pipeline.outputs() == []
    aws.clock.advance(minutes=1)
    assert pipeline.outputs() == ["run/part.json.out"]


def test_input_is_read_when_the_job_begins_to_work(aws, pipeline):
    pipeline.put("run/part.json", {"itemId": "1"})
    pipeline.create()

    aws.clock.advance(minutes=1)
    pipeline.put("run/part.json", {"itemId": "2"})
    aws.clock.advance(minutes=1)
    pipeline.put("run/part.json", {"itemId": "3"})
    aws.clock.advance(hours=1)

    assert [line["input"]["itemId"] for line in pipeline.lines()] == ["2"]


def test_input_path_is_a_prefix_and_not_a_folder(pipeline):
    pipeline.put("run/a.json", {"itemId": "1"})
    pipeline.put("run_old/b.json", {"itemId": "2"})
    pipeline.put("other/c.json", {"itemId": "3"})

    pipeline.finish(jobInput={"s3DataSource": {"path": "s3://inputs/run"}})

    assert pipeline.outputs() == ["run/a.json.out", "run/b.json.out"]


def test_output_path_without_a_slash_fuses_with_the_name(pipeline):
    pipeline.put("run/part.json", {"itemId": "1"})

    pipeline.finish(jobOutput={"s3DataDestination": {"path": "s3://outputs/run"}})

    assert pipeline.outputs() == ["runpart.json.out"]


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ({"itemId": "404"}, "not in the data"),
        ({"itemAttributes": 'ITEMS.GENRES = "Comedy"'}, "recipe are itemId"),
        ({"itemId": 1}, "recipe are itemId"),
    ],
)
def test_a_query_that_cannot_be_answered_has_an_error_of_its_own(pipeline, line, error):
    bad, good = pipeline.segments(line, {"itemId": "1"})

    assert bad["input"] == line
    assert bad["output"] == {"usersList": []}
    assert error in bad["error"]
    assert good["error"] is None


def test_ten_attribute_queries_are_the_most_in_a_file(aws, pipeline, catalogue):
    version = aws.personalize.seed(catalogue, recipe="aws-item-attribute-affinity")
    query = {"itemAttributes": 'ITEMS.GENRES = "Comedy"'}
    pipeline.put("run/part.json", *[query] * 11)

    job = pipeline.finish(solutionVersionArn=version)

    assert "11 queries" in job["failureReason"]
    assert len(
        pipeline.segments(*[query] * 10, jobName="2", solutionVersionArn=version)
    )


def test_a_thousand_files_are_the_most_in_a_job(pipeline, monkeypatch):
    assert limits.MAX_INPUT_FILES == 1000
    monkeypatch.setattr(limits, "MAX_INPUT_FILES", 2)
    for number in range(3):
        pipeline.put(f"run/{number}.json", {"itemId": "1"})

    assert "3 objects match" in pipeline.finish()["failureReason"]


def test_a_gigabyte_is_the_most_in_a_job(pipeline, monkeypatch):
    assert limits.MAX_INPUT_BYTES == 1_000_000_000
    monkeypatch.setattr(limits, "MAX_INPUT_BYTES", 15)
    pipeline.put("run/part.json", {"itemId": "1"})

    assert "16 bytes; a job takes at most 15" in pipeline.finish()["failureReason"]


def test_five_jobs_may_be_pending_or_in_progress(aws, pipeline, refused):
    pipeline.put("run/part.json", {"itemId": "1"})
    for number in range(5):
        pipeline.create(jobName=f"run-{number}")

    code, message = refused(pipeline.create, jobName="sixth")

    assert code == "LimitExceededException"
    assert message == "More than 5 resources with PENDING or IN_PROGRESS status."
    aws.clock.advance(minutes=57)
    assert pipeline.create(jobName="sixth")


@pytest.mark.emulates("behaviour:occupy")
def test_jobs_of_others_take_slots_for_their_time(aws, pipeline, refused):
    aws.personalize.occupy(5, for_=timedelta(hours=3))
    pipeline.put("run/part.json", {"itemId": "1"})

    assert refused(pipeline.create)[0] == "LimitExceededException"
    with pytest.raises(ValueError, match="1 slots are wanted, 0 are free"):
        aws.personalize.occupy(1, for_=timedelta(hours=1))
    aws.clock.advance(hours=3)
    assert pipeline.create()
    listed = pipeline.personalize.list_batch_segment_jobs()["batchSegmentJobs"]
    assert len(listed) == 6


def test_tag_values_are_never_repeated(pipeline, refused):
    tags = [{"tagKey": "k", "tagValue": "secret!"}]

    assert "secret!" not in refused(pipeline.create, tags=tags)[1]


# --- Behaviour for tests ---


def test_a_scripted_error_comes_before_the_work(aws, pipeline, refused):
    aws.personalize.script(
        "CreateBatchSegmentJob", errors=["ThrottlingException", "InternalFailure"]
    )

    assert refused(pipeline.create)[0] == "ThrottlingException"
    with pytest.raises(ClientError) as caught:
        pipeline.create()
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert pipeline.create()


def test_a_lost_answer_comes_after_the_work(aws, pipeline, refused):
    aws.personalize.script(
        "CreateBatchSegmentJob",
        errors=[PersonalizeError("ServiceUnavailable", "gone fishing")],
        effect="after",
    )

    assert refused(pipeline.create) == ("ServiceUnavailable", "gone fishing")
    assert refused(pipeline.create)[0] == "ResourceAlreadyExistsException"


def test_scripting_an_unknown_operation_is_an_error(aws):
    with pytest.raises(ValueError, match="CreateCampaign is not emulated"):
        aws.personalize.script("CreateCampaign", errors=["InternalFailure"])


@pytest.mark.emulates("behaviour:fail_next_job")
def test_the_next_job_can_be_made_to_fail(aws, pipeline):
    aws.personalize.fail_next_job("The model is moody.")
    pipeline.put("run/part.json", {"itemId": "1"})

    failed, fine = pipeline.finish(), pipeline.finish(jobName="run-2")

    assert (failed["status"], failed["failureReason"]) == (
        "CREATE FAILED",
        "The model is moody.",
    )
    assert fine["status"] == "ACTIVE"


@pytest.mark.emulates("behaviour:query_errors", "behaviour:drop_queries")
def test_queries_can_be_made_to_fail_or_vanish(aws, pipeline):
    aws.personalize.query_errors = {"1": "Out of popcorn"}
    aws.personalize.drop_queries = {"2"}

    lines = pipeline.segments({"itemId": "1"}, {"itemId": "2"}, {"itemId": "3"})

    assert [(line["input"]["itemId"], line["error"]) for line in lines] == [
        ("1", "Out of popcorn"),
        ("3", None),
    ]


@pytest.mark.emulates("behaviour:delay_output")
def test_output_can_come_later_than_active(aws, pipeline):
    aws.personalize.delay_output(timedelta(minutes=2))
    pipeline.put("run/part.json", {"itemId": "1"})
    arn = pipeline.create()

    aws.clock.advance(minutes=57)
    assert pipeline.describe(arn)["status"] == "ACTIVE"
    assert pipeline.outputs() == []
    aws.clock.advance(minutes=2)
    assert pipeline.outputs() == ["run/part.json.out"]


def test_lines_can_have_the_documented_shape(aws, pipeline, catalogue):
    aws.personalize.shape = "documented"
    version = aws.personalize.seed(catalogue, recipe="aws-item-attribute-affinity")
    query = {"itemAttributes": 'ITEMS.GENRES = "Comedy"'}

    (by_item,) = pipeline.segments({"itemId": "1"})
    (by_genre,) = pipeline.segments(query, jobName="2", solutionVersionArn=version)

    assert by_item == {
        "input": {"itemId": "1"},
        "output": {"recommendedUsers": ["ann", "cleo", "ben"]},
    }
    assert by_genre == {**query, "output": {"recommendedUsers": ["ann", "cleo"]}}


# --- Access ---


def test_the_role_must_trust_personalize_for_this_account(aws, pipeline, refused):
    trust = pipeline.trust()
    trust["Condition"]["StringEquals"]["aws:SourceAccount"] = "444455556666"
    role = aws.make_role("foreign", *pipeline.role_statements(), trust=trust)

    code, message = refused(pipeline.create, roleArn=role)

    assert code == "InvalidInputException"
    assert "assume the role" in message


@pytest.mark.parametrize(
    ("left", "action"), [(0, "s3:PutObject"), (1, "s3:ListBucket")]
)
def test_the_role_needs_access_to_both_buckets(aws, pipeline, left, action, refused):
    statement = pipeline.role_statements()[left]
    role = aws.make_role("narrow", statement, trust=pipeline.trust())

    code, message = refused(pipeline.create, roleArn=role)

    assert code == "InvalidInputException"
    assert message.startswith("Insufficient privileges for accessing data in S3.")
    assert action in message
    assert role in message


def test_a_guard_that_needs_an_undocumented_key_is_refused(pipeline, refused):
    guarded = pipeline.bucket_statement("inputs")
    guarded["Condition"] = {"StringEquals": {"aws:SourceAccount": "123456789012"}}
    put = pipeline.s3.put_bucket_policy
    put(Bucket="inputs", Policy=json.dumps({"Statement": [guarded]}))

    assert "fix bucket policy on inputs" in refused(pipeline.create)[1]

    guarded["Condition"] = {
        "StringEqualsIfExists": {"aws:SourceAccount": "123456789012"}
    }
    put(Bucket="inputs", Policy=json.dumps({"Statement": [guarded]}))
    assert pipeline.create()


def test_access_lost_while_the_job_works_fails_it(aws, pipeline):
    pipeline.put("run/part.json", {"itemId": "1"})
    arn = pipeline.create()
    aws.clock.advance(minutes=5)
    pipeline.s3.delete_bucket_policy(Bucket="outputs")
    aws.clock.advance(hours=1)

    job = pipeline.describe(arn)

    assert job["status"] == "CREATE FAILED"
    assert "s3:PutObject" in job["failureReason"]


def test_a_policy_that_cannot_be_evaluated_is_named(pipeline, refused):
    statement = pipeline.bucket_statement("inputs")
    statement["Condition"] = {"DateLessThan": {"aws:CurrentTime": "2030-01-01"}}
    pipeline.s3.put_bucket_policy(
        Bucket="inputs", Policy=json.dumps({"Statement": [statement]})
    )

    code, message = refused(pipeline.create)

    assert (code, "DateLessThan" in message) == ("NotImplemented", True)
