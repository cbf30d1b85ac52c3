"""Solutions, versions, recipes, filters, tags and lists of the emulated Personalize."""

import pytest
from botocore.exceptions import ClientError

from cdk_personalize_segments.local.personalize import EmulatedPersonalize, shapes
from cdk_personalize_segments.local.personalize.operations import OPERATIONS

PREFIX = "arn:aws:personalize:us-east-1:123456789012:"


def refused(call, **parameters):
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


@pytest.fixture
def client(aws):
    return aws.client("personalize")


def test_a_seeded_version_can_be_described(aws, client, catalogue):
    arn = aws.personalize.seed(catalogue, recipe="aws-item-attribute-affinity")

    version = client.describe_solution_version(solutionVersionArn=arn)
    version = version["solutionVersion"]
    solution = client.describe_solution(solutionArn=version["solutionArn"])["solution"]
    group = client.describe_dataset_group(datasetGroupArn=version["datasetGroupArn"])

    assert version["solutionArn"] == PREFIX + "solution/films-item-attribute-affinity"
    assert version["status"] == "ACTIVE"
    assert version["recipeArn"] == (
        "arn:aws:personalize:::recipe/aws-item-attribute-affinity"
    )
    assert solution["latestSolutionVersion"]["solutionVersionArn"] == arn
    assert group["datasetGroup"]["status"] == "ACTIVE"


def test_seeding_is_deterministic(aws, catalogue):
    first = aws.personalize.seed(catalogue)
    again = EmulatedPersonalize(aws).seed(catalogue)

    assert again == first


def test_retraining_makes_a_newer_version(aws, client, catalogue):
    first = aws.personalize.seed(catalogue, name="films")
    second = aws.personalize.retrain(PREFIX + "solution/films")
    third = aws.personalize.retrain(PREFIX + "solution/films", "CREATE IN_PROGRESS")

    listed = client.list_solution_versions(solutionArn=PREFIX + "solution/films")
    listed = listed["solutionVersions"]
    latest = client.describe_solution(solutionArn=PREFIX + "solution/films")

    by_age = sorted(listed, key=lambda each: each["creationDateTime"])
    assert [each["solutionVersionArn"] for each in by_age] == [first, second, third]
    assert latest["solution"]["latestSolutionVersion"]["status"] == "CREATE IN_PROGRESS"


def test_a_version_keeps_the_data_of_its_training(aws, pipeline, catalogue):
    interactions = catalogue / "interactions.csv"
    interactions.write_text(interactions.read_text() + "eve,1,9,watch\n")
    aws.personalize.seed(catalogue, name="newer", dataset_group="films-item-affinity")
    newer = aws.personalize.retrain(pipeline.version.rpartition("/")[0])

    (before,) = pipeline.segments({"itemId": "1"})
    (after,) = pipeline.segments({"itemId": "1"}, jobName="2", solutionVersionArn=newer)

    assert "eve" not in before["output"]["usersList"]
    assert after["output"]["usersList"][0] == "eve"


def test_seeding_a_name_twice_says_what_to_do(aws, catalogue):
    aws.personalize.seed(catalogue)

    with pytest.raises(ValueError, match="retrain it, or seed another name"):
        aws.personalize.seed(catalogue)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("items.csv", "ID\n1\n", "items.csv has no column ITEM_ID"),
        (
            "interactions.csv",
            "USER_ID,ITEM_ID,EVENT_VALUE\nann,1,high\n",
            "interactions.csv, line 2: EVENT_VALUE must be a number, got 'high'",
        ),
    ],
)
def test_a_malformed_folder_says_where(aws, catalogue, file, content, message):
    (catalogue / file).write_text(content)

    with pytest.raises(ValueError, match=message):
        aws.personalize.seed(catalogue)


def test_a_missing_file_is_named(aws, catalogue):
    (catalogue / "items.csv").unlink()

    with pytest.raises(FileNotFoundError, match=r"items\.csv is missing"):
        aws.personalize.seed(catalogue)


@pytest.mark.bridge("moto.personalize.urls.url_paths")
def test_the_types_of_recipes_are_told(client):
    types = {
        name: client.describe_recipe(recipeArn=f"arn:aws:personalize:::recipe/{name}")[
            "recipe"
        ]["recipeType"]
        for name in ("aws-item-affinity", "aws-user-personalization")
    }

    assert types == {
        "aws-item-affinity": "USER_SEGMENTATION",
        "aws-user-personalization": "USER_PERSONALIZATION",
    }


@pytest.mark.parametrize(
    ("operation", "parameter", "resource"),
    [
        ("describe_batch_segment_job", "batchSegmentJobArn", "batch-segment-job/gone"),
        ("describe_dataset_group", "datasetGroupArn", "dataset-group/gone"),
        ("describe_filter", "filterArn", "filter/gone"),
        ("describe_recipe", "recipeArn", "recipe/gone"),
        ("describe_solution", "solutionArn", "solution/gone"),
        ("describe_solution_version", "solutionVersionArn", "solution/gone/1"),
        ("list_solution_versions", "solutionArn", "solution/gone"),
        ("list_tags_for_resource", "resourceArn", "filter/gone"),
    ],
)
def test_what_does_not_exist_is_not_found(client, operation, parameter, resource):
    code, message = refused(
        getattr(client, operation), **{parameter: PREFIX + resource}
    )

    assert code == "ResourceNotFoundException"
    assert resource in message


def test_an_operation_that_is_not_emulated_is_named(client):
    code, message = refused(client.list_campaigns)

    assert code == "NotImplemented"
    assert "ListCampaigns of personalize is not emulated" in message


def test_another_region_is_refused(aws):
    client = aws.client("personalize", region="eu-west-1")

    assert "us-east-1 only" in refused(client.list_solutions)[1]


def test_lists_come_in_pages(aws, client):
    for number in range(5):
        aws.personalize.create_solution_version(f"s{number}")
    pages = [
        page
        for token in [None]
        for page in client.get_paginator("list_solutions").paginate(
            PaginationConfig={"PageSize": 2, "StartingToken": token}
        )
    ]

    assert [len(page["solutions"]) for page in pages] == [2, 2, 1]
    assert "nextToken" not in pages[-1]
    assert {each["name"] for page in pages for each in page["solutions"]} == {
        "s0",
        "s1",
        "s2",
        "s3",
        "s4",
    }


def test_a_made_up_token_is_refused(client):
    assert refused(client.list_solutions, nextToken="made-up")[0] == (
        "InvalidNextTokenException"
    )


def test_lists_can_be_narrowed(aws, pipeline, catalogue):
    other = aws.personalize.seed(catalogue, name="other")
    pipeline.put("run/part.json", {"itemId": "1"})
    pipeline.create()
    pipeline.create(jobName="run-2", solutionVersionArn=other)
    client = pipeline.personalize

    jobs = client.list_batch_segment_jobs(solutionVersionArn=other)
    solutions = client.list_solutions(datasetGroupArn=PREFIX + "dataset-group/other")

    assert [each["jobName"] for each in jobs["batchSegmentJobs"]] == ["run-2"]
    assert [each["name"] for each in solutions["solutions"]] == ["other"]


def test_tags_are_kept_changed_and_removed(pipeline):
    arn = pipeline.create(tags=[{"tagKey": "team", "tagValue": "crm"}])
    client = pipeline.personalize

    client.tag_resource(
        resourceArn=arn,
        tags=[
            {"tagKey": "team", "tagValue": "ml"},
            {"tagKey": "cost", "tagValue": "42"},
        ],
    )
    client.untag_resource(resourceArn=arn, tagKeys=["cost"])

    assert client.list_tags_for_resource(resourceArn=arn)["tags"] == [
        {"tagKey": "team", "tagValue": "ml"}
    ]


# --- Filters ---


def create_filter(pipeline, expression, name="f"):
    group = PREFIX + "dataset-group/films-item-affinity"
    answer = pipeline.personalize.create_filter(
        name=name, datasetGroupArn=group, filterExpression=expression
    )
    return answer["filterArn"]


@pytest.mark.parametrize(
    ("expression", "kept"),
    [
        ('INCLUDE UserID WHERE Users.COUNTRY IN ("Japan")', ["ann", "cleo"]),
        ('EXCLUDE UserID WHERE Users.COUNTRY IN ("Japan")', ["ben"]),
        ('INCLUDE UserID WHERE Users.COUNTRY NOT IN ("Japan")', ["ben"]),
        ('INCLUDE UserID WHERE Users.COUNTRY = "France"', ["ben"]),
        ("INCLUDE UserID WHERE Users.AGE < 40", ["ann"]),
        ("INCLUDE UserID WHERE Users.AGE <= 40", ["ann", "ben"]),
        ("INCLUDE UserID WHERE Users.AGE > 40", ["cleo"]),
        ("EXCLUDE UserID WHERE Users.AGE >= 40", ["ann"]),
        ('INCLUDE UserID WHERE Interactions.EVENT_TYPE IN ("rate")', ["ben"]),
        (
            'INCLUDE UserID WHERE Users.COUNTRY IN ("Japan") AND Users.AGE < 18 '
            'OR Users.COUNTRY IN ("France")',
            ["ann", "ben"],
        ),
    ],
)
def test_filters_are_applied(pipeline, expression, kept):
    arn = create_filter(pipeline, expression)

    (line,) = pipeline.segments({"itemId": "1"}, filterArn=arn)

    # Without a filter: ann, cleo, ben.
    assert sorted(line["output"]["usersList"]) == kept


def test_placeholders_are_filled_from_each_query(pipeline):
    arn = create_filter(pipeline, "INCLUDE UserID WHERE Users.COUNTRY IN ($COUNTRIES)")

    lines = pipeline.segments(
        {"itemId": "1", "filterValues": {"COUNTRIES": '"France"'}},
        {"itemId": "1", "filterValues": {"COUNTRIES": '"France","Japan"'}},
        {"itemId": "1", "filterValues": {"COUNTRIES": "France"}},
        {"itemId": "1", "filterValues": {"COUNTRIES": '"France""'}},
        {"itemId": "1"},
        filterArn=arn,
    )

    assert [line["output"]["usersList"] for line in lines] == [
        ["ben"],
        ["ann", "cleo", "ben"],
        [],
        [],
        [],
    ]
    assert [line["error"] is None for line in lines] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert "no value for the parameter COUNTRIES" in lines[4]["error"]


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("INCLUDE ItemID WHERE Items.GENRES IN ($G)", "UserID"),
        ('INCLUDE UserID WHERE Users.COUNTRY != "Japan"', "!="),
        ("INCLUDE UserID WHERE (Users.AGE < 40) OR Users.AGE > 60", "("),
        ("INCLUDE UserID WHERE Users.INCOME > 40", "Users.INCOME is not in"),
        (
            "EXCLUDE UserID WHERE Users.COUNTRY NOT IN ($C)",
            "Placeholders are not allowed with NOT_IN operator.",
        ),
        ("INCLUDE UserID WHERE Users.AGE <", "the end"),
    ],
)
def test_an_expression_that_is_not_emulated_is_refused(pipeline, expression, reason):
    with pytest.raises(ClientError) as caught:
        create_filter(pipeline, expression)

    error = caught.value.response["Error"]
    assert error["Code"] == "InvalidInputException"
    assert error["Message"].startswith("Could not create filter. ")
    assert reason in error["Message"]


def test_a_filter_can_be_described_and_listed(pipeline):
    arn = create_filter(pipeline, "INCLUDE UserID WHERE Users.AGE < $AGE")
    client = pipeline.personalize

    described = client.describe_filter(filterArn=arn)["filter"]
    listed = client.list_filters(datasetGroupArn=described["datasetGroupArn"])

    assert described["status"] == "ACTIVE"
    assert described["filterExpression"] == "INCLUDE UserID WHERE Users.AGE < $AGE"
    assert [each["filterArn"] for each in listed["Filters"]] == [arn]
    assert (
        refused(
            client.create_filter,
            **{
                "name": "f",
                "datasetGroupArn": described["datasetGroupArn"],
                "filterExpression": "INCLUDE UserID WHERE Users.AGE < 1",
            },
        )[0]
        == "ResourceAlreadyExistsException"
    )


def test_unusable_filters_are_refused(aws, pipeline, catalogue):
    by_attribute = aws.personalize.seed(
        catalogue,
        recipe="aws-item-attribute-affinity",
        dataset_group="films-item-affinity",
    )
    aws.personalize.seed(catalogue, name="other")
    expression = "INCLUDE UserID WHERE Users.AGE < 40"
    failed = aws.personalize.add_filter(
        "failed", expression, dataset_group="other", status="CREATE FAILED"
    )
    foreign = aws.personalize.add_filter("foreign", expression, dataset_group="other")
    events = create_filter(
        pipeline, 'INCLUDE UserID WHERE Interactions.EVENT_TYPE IN ("rate")'
    )
    request = pipeline.request
    create = pipeline.personalize.create_batch_segment_job

    assert "must be ACTIVE" in refused(create, **request(filterArn=failed))[1]
    assert "same dataset group" in refused(create, **request(filterArn=foreign))[1]
    assert (
        "on interactions"
        in refused(
            create, **request(filterArn=events, solutionVersionArn=by_attribute)
        )[1]
    )
    assert refused(create, **request(filterArn=PREFIX + "filter/gone"))[0] == (
        "ResourceNotFoundException"
    )


# --- Shapes ---


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_answers_with_members_that_the_sdk_does_not_have_are_bugs(operation):
    with pytest.raises(TypeError, match="has no member 'made_up'"):
        shapes.check_answer(operation, {"made_up": 1})


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_requests_with_members_that_the_sdk_does_not_have_are_refused(aws, operation):
    with pytest.raises(Exception, match="madeUp"):
        aws.personalize.call(operation, {"madeUp": 1})


def test_answers_of_another_type_are_bugs():
    with pytest.raises(TypeError, match="numResults must be integer"):
        shapes.check_answer(
            "DescribeBatchSegmentJob", {"batchSegmentJob": {"numResults": "25"}}
        )
