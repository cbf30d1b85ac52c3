"""Solutions, versions, recipes, tags and lists of the emulated Personalize."""

import pytest

from cdk_personalize_segments.local.personalize import EmulatedPersonalize

PREFIX = "arn:aws:personalize:us-east-1:123456789012:"


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


def test_seeding_a_name_again_retrains_on_the_new_data(aws, client, catalogue):
    first = aws.personalize.seed(catalogue, name="again")
    (catalogue / "items.csv").write_text("ITEM_ID\n77\n")
    (catalogue / "interactions.csv").write_text("USER_ID,ITEM_ID,TIMESTAMP\neve,77,1\n")
    second = aws.personalize.seed(catalogue, name="again")

    assert first != second
    assert first.rpartition("/")[0] == second.rpartition("/")[0]
    learnt = [aws.personalize.versions[arn].affinity for arn in (first, second)]
    assert learnt[0] is not learnt[1]


@pytest.mark.parametrize(
    "other", [{"recipe": "aws-item-attribute-affinity"}, {"dataset_group": "other"}]
)
def test_seeding_a_name_as_something_else_is_refused(aws, catalogue, other):
    aws.personalize.seed(catalogue, name="taken")

    with pytest.raises(ValueError, match="the solution taken exists, of the recipe"):
        aws.personalize.seed(catalogue, name="taken", **other)


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


@pytest.mark.parametrize("name", ["", "my shop", "-shop", "s" * 64])
def test_names_that_the_service_does_not_have_are_refused(aws, catalogue, name):
    aws.personalize.import_data(catalogue, dataset_group="shop")
    expression = "INCLUDE UserID WHERE Users.AGE > 1"

    with pytest.raises(ValueError, match="a name has 1 to 63"):
        aws.personalize.import_data(catalogue, dataset_group=name)
    with pytest.raises(ValueError, match="a name has 1 to 63"):
        aws.personalize.add_filter(name, expression, dataset_group="shop")


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
def test_what_does_not_exist_is_not_found(
    client, operation, parameter, resource, refused
):
    code, message = refused(
        getattr(client, operation), **{parameter: PREFIX + resource}
    )

    assert code == "ResourceNotFoundException"
    assert resource in message


def test_an_operation_that_is_not_emulated_is_named(client, refused):
    code, message = refused(client.list_campaigns)

    assert code == "NotImplemented"
    assert "ListCampaigns of personalize is not emulated" in message


def test_another_region_is_refused(aws, refused):
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


def test_a_made_up_token_is_refused(client, refused):
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
