"""Every error that is known of batch segment jobs, one case each."""

import json
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError

from cdk_personalize_segments.local.personalize.errors import MESSAGES

PREFIX = "arn:aws:personalize:us-east-1:123456789012:"
pytestmark = pytest.mark.emulates("personalize:CreateBatchSegmentJob")


def refusal(call, *arguments, **parameters):
    with pytest.raises(ClientError) as caught:
        call(*arguments, **parameters)
    response = caught.value.response
    status = response["ResponseMetadata"]["HTTPStatusCode"]
    return status, response["Error"]["Code"], response["Error"]["Message"]


def allow(action, resource="*"):
    return {"Effect": "Allow", "Action": action, "Resource": resource}


def path(uri, *, output=False, **more):
    if output:
        return {"jobOutput": {"s3DataDestination": {"path": uri, **more}}}
    return {"jobInput": {"s3DataSource": {"path": uri, **more}}}


def tags(count, key="k"):
    return [{"tagKey": f"{key}{number}", "tagValue": "v"} for number in range(count)]


# --- Requests that are refused ---


KEY = "arn:aws:kms:us-east-1:123456789012:key/k"
NOT_FOUND = "ResourceNotFoundException"
INVALID = "InvalidInputException"
CASES = {
    "name of 64 characters": ({"jobName": "n" * 64}, INVALID, "'jobName'"),
    "name with a dot": ({"jobName": "run.1"}, INVALID, "'jobName'"),
    "name that starts with -": ({"jobName": "-run"}, INVALID, "'jobName'"),
    "no users": ({"numResults": 0}, INVALID, "numResults must be 1 to 5,000,000"),
    "too many users": ({"numResults": 5_000_001}, INVALID, "numResults must be"),
    "path of 257 characters": (
        path("s3://inputs/" + "x" * 245),
        INVALID,
        "'jobInput.s3DataSource.path'",
    ),
    "path without scheme": (path("inputs/run/"), INVALID, "s3DataSource.path"),
    "path of http": (path("https://inputs/run/"), INVALID, "Invalid S3 input path"),
    "input bucket that is missing": (
        path("s3://gone/run/"),
        INVALID,
        "Invalid S3 input path: the bucket gone does not exist",
    ),
    "output bucket that is missing": (
        path("s3://gone/run/", output=True),
        INVALID,
        "Invalid S3 output path: the bucket gone does not exist",
    ),
    "output as the input": (
        path("s3://inputs/run", output=True),
        INVALID,
        "Invalid S3 output path: it must differ",
    ),
    "key": (
        path("s3://inputs/run/", kmsKeyArn=KEY),
        "NotImplemented",
        "jobInput.s3DataSource.kmsKeyArn",
    ),
    "alias of a key": (
        path("s3://outputs/run/", output=True, kmsKeyArn=KEY.replace("key/", "alias/")),
        INVALID,
        "kmsKeyArn",
    ),
    "version that does not exist": (
        {"solutionVersionArn": PREFIX + "solution/gone/00000000"},
        NOT_FOUND,
        "solution/gone/00000000",
    ),
    "solution in the place of a version": (
        {"solutionVersionArn": PREFIX + "solution/films-item-affinity"},
        NOT_FOUND,
        "solution/films-item-affinity",
    ),
    "version of another Region": (
        {"solutionVersionArn": PREFIX.replace("us-east", "eu-west") + "solution/f/1"},
        NOT_FOUND,
        "eu-west-1",
    ),
    "filter that does not exist": (
        {"filterArn": PREFIX + "filter/gone"},
        NOT_FOUND,
        "filter/gone",
    ),
    "role that does not exist": (
        {"roleArn": "arn:aws:iam::123456789012:role/gone"},
        INVALID,
        "The role arn:aws:iam::123456789012:role/gone does not exist",
    ),
    "51 tags": (
        {"tags": tags(51)},
        "TooManyTagsException",
        MESSAGES["TooManyTagsException"],
    ),
    "tag of AWS": (
        {"tags": [{"tagKey": "aws:x", "tagValue": ""}]},
        INVALID,
        "reserved",
    ),
    "tag twice": ({"tags": tags(1) * 2}, INVALID, "twice"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_job_that_cannot_be_is_refused_at_once(pipeline, case):
    changes, code, told = CASES[case]

    answer = refusal(pipeline.create, **changes)

    assert answer[:2] == (400, code)
    assert told in answer[2]
    assert pipeline.personalize.list_batch_segment_jobs()["batchSegmentJobs"] == []


def test_the_sixth_job_is_one_too_many(aws, pipeline):
    aws.personalize.occupy(4, for_=timedelta(hours=1))
    pipeline.create()

    # The text is that of dataset import jobs: that of segment jobs is not known.
    assert refusal(pipeline.create, jobName="sixth") == (
        400,
        "LimitExceededException",
        "More than 5 resources with PENDING or IN_PROGRESS status.",
    )


def test_a_failed_job_takes_no_slot(aws, pipeline):
    aws.personalize.occupy(4, for_=timedelta(hours=9))
    job = pipeline.finish()

    assert job["status"] == "CREATE FAILED"
    assert pipeline.create(jobName="next")


def test_a_name_is_used_up_by_a_failed_job_too(pipeline):
    pipeline.finish()

    assert refusal(pipeline.create)[:2] == (400, "ResourceAlreadyExistsException")


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ("CREATE PENDING", "must be ACTIVE, it is CREATE PENDING"),
        ("CREATE IN_PROGRESS", "must be ACTIVE, it is CREATE IN_PROGRESS"),
        ("CREATE FAILED", "must be ACTIVE, it is CREATE FAILED"),
        ("CREATE STOPPED", "must be ACTIVE, it is CREATE STOPPED"),
    ],
)
def test_a_version_must_be_active(aws, pipeline, status, told):
    version = aws.personalize.retrain(pipeline.version.rpartition("/")[0], status)

    answer = refusal(pipeline.create, solutionVersionArn=version)

    assert (answer[1], told in answer[2]) == (INVALID, True)


def test_a_version_must_be_of_a_segment_recipe(aws, pipeline):
    version = aws.personalize.create_solution_version("for-you")

    answer = refusal(pipeline.create, solutionVersionArn=version)

    assert (answer[1], "USER_SEGMENTATION" in answer[2]) == (INVALID, True)


# --- Rights ---


def test_the_role_must_be_for_personalize(aws, pipeline):
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}}
    role = aws.make_role("other", *pipeline.role_statements(), trust=trust)

    answer = refusal(pipeline.create, roleArn=role)

    assert (answer[1], "not authorized to assume" in answer[2]) == (INVALID, True)


@pytest.mark.parametrize("bucket", ["inputs", "outputs"])
def test_the_bucket_must_let_the_service_in(pipeline, bucket):
    pipeline.s3.delete_bucket_policy(Bucket=bucket)

    answer = refusal(pipeline.create)

    assert answer[1] == INVALID
    assert answer[2].startswith(
        "Insufficient privileges for accessing data in S3. Please look at "
    )
    assert f"fix bucket policy on {bucket}" in answer[2]


@pytest.mark.parametrize("bucket", ["inputs", "outputs"])
def test_whether_a_key_may_be_used_is_not_emulated(pipeline, bucket):
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}
    pipeline.s3.put_bucket_encryption(
        Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]}
    )

    answer = refusal(pipeline.create)

    assert answer[1] == "NotImplemented"
    assert f"the bucket {bucket} is encrypted with KMS" in answer[2]


CREATE = allow("personalize:CreateBatchSegmentJob")
PASS = allow("iam:PassRole")


@pytest.mark.parametrize(
    ("statements", "changes", "missing"),
    [
        ([PASS], {}, "personalize:CreateBatchSegmentJob"),
        ([CREATE], {}, "iam:PassRole"),
        ([CREATE, PASS], {"tags": tags(1)}, "personalize:TagResource"),
    ],
)
def test_the_caller_needs_its_rights(aws, pipeline, statements, changes, missing):
    role = aws.make_role("caller", *statements)
    client = aws.client("personalize", role)

    answer = refusal(client.create_batch_segment_job, **pipeline.request(**changes))

    assert answer[:2] == (403, "AccessDeniedException")
    assert f"is not authorized to perform: {missing} on resource" in answer[2]


NAMED = {
    "create_dataset_group": ({"name": "n"}, "dataset-group/n"),
    "create_filter": (
        {"name": "n", "datasetGroupArn": PREFIX + "dataset-group/g",
         "filterExpression": "x"},
        "filter/n",
    ),
    "create_solution": (
        {"name": "n", "datasetGroupArn": PREFIX + "dataset-group/g"},
        "solution/n",
    ),
    "create_solution_version": (
        {"solutionArn": PREFIX + "solution/n"},
        "solution/n",
    ),
    "delete_dataset_group": (
        {"datasetGroupArn": PREFIX + "dataset-group/n"},
        "dataset-group/n",
    ),
    "delete_filter": ({"filterArn": PREFIX + "filter/n"}, "filter/n"),
    "delete_solution": ({"solutionArn": PREFIX + "solution/n"}, "solution/n"),
    "stop_solution_version_creation": (
        {"solutionVersionArn": PREFIX + "solution/n/1"},
        "solution/n/1",
    ),
    "update_solution": ({"solutionArn": PREFIX + "solution/n"}, "solution/n"),
}  # fmt: skip


@pytest.mark.parametrize("operation", NAMED)
def test_callers_of_other_operations_need_their_rights(aws, operation):
    request, resource = NAMED[operation]
    action = f"personalize:{operation.title().replace('_', '')}"
    allowed = aws.make_role("may", allow(action, PREFIX + resource))
    denied = aws.make_role("may-not", allow("personalize:Describe*"))

    def call(role):
        return getattr(aws.client("personalize", role), operation)

    answer = refusal(call(denied), **request)
    assert answer[:2] == (403, "AccessDeniedException")
    assert f"{action} on resource: {PREFIX}{resource}" in answer[2]
    if operation == "create_dataset_group":
        assert call(allowed)(**request)
    else:
        # It came to the operation itself, which does not find what it is about.
        assert refusal(call(allowed), **request)[1] in {INVALID, NOT_FOUND}


# --- Other operations ---


@pytest.mark.emulates("personalize:UntagResource")
def test_more_tag_keys_than_a_resource_can_have(pipeline):
    arn = pipeline.create()
    untag = pipeline.personalize.untag_resource

    answer = refusal(untag, resourceArn=arn, tagKeys=[f"k{n}" for n in range(51)])

    assert answer == (
        400,
        "TooManyTagKeysException",
        "The request contains more tag keys than can be associated with a resource "
        "(50 tag keys per resource).",
    )


@pytest.mark.emulates("personalize:TagResource")
def test_tags_add_up_to_fifty(pipeline):
    arn = pipeline.create(tags=tags(49))
    tag = pipeline.personalize.tag_resource
    tag(resourceArn=arn, tags=tags(1, "other"))

    answer = refusal(tag, resourceArn=arn, tags=tags(1, "another"))

    assert answer[1] == "TooManyTagsException"
    tag(resourceArn=arn, tags=tags(49))


@pytest.mark.emulates(
    "personalize:TagResource",
    "personalize:UntagResource",
    "personalize:ListTagsForResource",
)
def test_everything_but_recipes_can_have_tags(aws, pipeline):
    client = pipeline.personalize
    solution = pipeline.version.rpartition("/")[0]
    group = PREFIX + "dataset-group/films-item-affinity"
    passing = aws.personalize.add_filter(
        "f", "INCLUDE UserID WHERE Users.AGE > 1", dataset_group="films-item-affinity"
    )
    for arn in (pipeline.create(), pipeline.version, solution, group, passing):
        client.tag_resource(resourceArn=arn, tags=tags(2))
        client.untag_resource(resourceArn=arn, tagKeys=["k0"])
        kept = client.list_tags_for_resource(resourceArn=arn)["tags"]
        assert kept == [{"tagKey": "k1", "tagValue": "v"}]
    recipe = "arn:aws:personalize:::recipe/aws-item-affinity"
    assert refusal(client.list_tags_for_resource, resourceArn=recipe)[1] == NOT_FOUND


@pytest.mark.emulates("personalize:ListBatchSegmentJobs", "personalize:ListSolutions")
def test_a_token_is_good_for_its_own_list(aws, pipeline):
    for name in ("a", "b"):
        aws.personalize.create_solution_version(name)
        pipeline.create(jobName=name)
    client = pipeline.personalize
    token = client.list_batch_segment_jobs(maxResults=1)["nextToken"]

    assert len(client.list_batch_segment_jobs(nextToken=token)["batchSegmentJobs"]) == 1
    for wrong in (token, "made-up", "", "YQ=="):
        assert refusal(client.list_solutions, nextToken=wrong) == (
            400,
            "InvalidNextTokenException",
            "The token is not valid.",
        )


@pytest.mark.parametrize(
    "operation", ["CreateCampaign", "GetSolutionMetrics", "CreateBatchInferenceJob"]
)
def test_operations_that_are_not_emulated_are_named(aws, operation):
    with pytest.raises(Exception, match=f"{operation} is not emulated"):
        aws.personalize.call(operation, {})


# --- Errors that come when a test wants them ---


STATUSES = {
    "AccessDeniedException": 403,
    "InternalFailure": 500,
    "ServiceUnavailable": 503,
}


@pytest.mark.parametrize("code", MESSAGES)
@pytest.mark.parametrize("effect", ["before", "after"])
def test_any_error_can_be_scripted(aws, pipeline, code, effect):
    aws.personalize.script("CreateBatchSegmentJob", errors=[code], effect=effect)

    answer = refusal(pipeline.create)

    assert answer == (STATUSES.get(code, 400), code, MESSAGES[code])
    created = pipeline.personalize.list_batch_segment_jobs()["batchSegmentJobs"]
    assert len(created) == (effect == "after")


def test_a_job_can_be_found_late(aws, pipeline):
    arn = pipeline.create()
    aws.personalize.script("DescribeBatchSegmentJob", errors=[NOT_FOUND] * 2)

    assert refusal(pipeline.describe, arn)[1] == NOT_FOUND
    assert refusal(pipeline.describe, arn)[1] == NOT_FOUND
    assert pipeline.describe(arn)["status"] == "CREATE PENDING"


# --- Errors that come later ---


def fill(pipeline, *lines):
    pipeline.put("run/part.json", *lines)


LATE = {
    "no input": (lambda pipeline: None, "Invalid Data location. No object matches"),
    "array": (
        lambda p: fill(p, "[", '{"itemId": "1"}', "]"),
        "Line 1 of run/part.json",
    ),
    "501 queries": (lambda p: fill(p, *[{"itemId": "1"}] * 501), "501 queries"),
    "no text": (
        lambda p: p.s3.put_object(Bucket="inputs", Key="run/x", Body=b"\xff"),
        "not UTF-8",
    ),
    "folder marker": (
        lambda p: p.s3.put_object(Bucket="inputs", Key="run/", Body=b""),
        "folder marker",
    ),
    "two files of one name": (
        lambda p: [p.put(f"run/{each}/x.json", {"itemId": "1"}) for each in "ab"],
        "run/a/x.json and run/b/x.json",
    ),
    "bucket without policy": (
        lambda p: (fill(p), p.s3.delete_bucket_policy(Bucket="inputs")),
        "Insufficient privileges for accessing data in S3.",
    ),
    "bucket that is gone": (
        lambda p: p.s3.delete_bucket(Bucket="inputs"),
        "Insufficient privileges for accessing data in S3.",
    ),
}


@pytest.mark.parametrize("case", LATE)
def test_what_is_found_at_work_fails_the_job(aws, pipeline, case):
    happens, reason = LATE[case]
    arn = pipeline.create()
    happens(pipeline)
    aws.clock.advance(hours=1)

    job = pipeline.describe(arn)

    assert job["status"] == "CREATE FAILED"
    assert reason in job["failureReason"]
    assert job["lastUpdatedDateTime"] - job["creationDateTime"] == timedelta(minutes=2)


def test_what_is_wrong_with_a_query_is_in_its_line(aws, pipeline, catalogue):
    by_attribute = aws.personalize.seed(
        catalogue, recipe="aws-item-attribute-affinity", name="by-attribute"
    )
    item_lines = [{"itemId": "404"}, {"itemID": "1"}, {"itemId": None}, {}]
    attributes = [
        'ITEMS.GENRES = "Comedy" OR ITEMS.GENRES = "Drama"',
        "ITEMS.YEAR > 2000",
        'ITEMS.MOOD = "grim"',
        "",
    ]

    by_item = pipeline.segments(*item_lines, {"itemId": "1"})
    by_genre = pipeline.segments(
        *({"itemAttributes": each} for each in attributes),
        {"itemAttributes": 'ITEMS.GENRES = "Comedy"'},
        jobName="2",
        solutionVersionArn=by_attribute,
    )

    for lines, queries in ((by_item, item_lines), (by_genre, attributes)):
        *wrong, right = lines
        assert len(wrong) == len(queries)
        for line in wrong:
            assert line["output"] == {"usersList": []}
            assert line["error"].startswith("User error: ")
        assert right["error"] is None
        assert right["output"]["usersList"]
    assert "Required fields for the provided recipe are itemId" in by_item[1]["error"]
    assert json.loads(json.dumps(by_item[1]["input"])) == {"itemID": "1"}
