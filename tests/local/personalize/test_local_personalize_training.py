"""Solutions and versions: training over time, retraining, several dataset groups."""

from datetime import timedelta

import pytest

from cdk_personalize_segments.local.personalize import JobTiming

PREFIX = "arn:aws:personalize:us-east-1:123456789012:"
SOLUTION = PREFIX + "solution/likes"
ITEM = "arn:aws:personalize:::recipe/aws-item-affinity"
ATTRIBUTE = "arn:aws:personalize:::recipe/aws-item-attribute-affinity"


@pytest.fixture
def client(aws):
    return aws.client("personalize")


@pytest.fixture
def group(aws, client, catalogue):
    client.create_dataset_group(name="shop")
    return aws.personalize.import_data(catalogue, dataset_group="shop")


@pytest.fixture
def solve(client, group):
    """Create the solution, by default without automatic training."""

    def create(**changes):
        request = {
            "name": "likes",
            "datasetGroupArn": group,
            "recipeArn": ITEM,
            "performAutoTraining": False,
            **changes,
        }
        return client.create_solution(**request)["solutionArn"]

    return create


@pytest.fixture
def train(client, solve):
    def create(**changes):
        solution = solve()
        answer = client.create_solution_version(solutionArn=solution, **changes)
        return answer["solutionVersionArn"]

    return create


@pytest.fixture
def statuses(aws, client):
    def of(version, *minutes):
        seen = []
        for each in minutes:
            aws.clock.advance(minutes=each)
            described = client.describe_solution_version(solutionVersionArn=version)
            seen.append(described["solutionVersion"]["status"])
        return seen

    return of


@pytest.mark.emulates(
    "personalize:CreateSolution",
    "personalize:CreateSolutionVersion",
    "personalize:DescribeSolutionVersion",
)
def test_a_version_is_trained_over_time(aws, client, train, statuses):
    arn = train(name="spring")

    assert statuses(arn, 0, 1, 1, 134, 1) == [
        "CREATE PENDING",
        "CREATE PENDING",
        "CREATE IN_PROGRESS",
        "CREATE IN_PROGRESS",
        "ACTIVE",
    ]
    version = client.describe_solution_version(solutionVersionArn=arn)
    version = version["solutionVersion"]
    took = version["lastUpdatedDateTime"] - version["creationDateTime"]
    assert took == timedelta(minutes=137)
    assert version["trainingHours"] == 2.25
    assert (version["name"], version["trainingType"]) == ("spring", "MANUAL")
    assert arn.startswith(f"{SOLUTION}/")


@pytest.mark.emulates(
    "personalize:DescribeSolution", "personalize:ListSolutionVersions"
)
def test_the_latest_version_may_still_be_in_training(aws, client, train):
    first = train()
    aws.clock.advance(hours=3)
    second = client.create_solution_version(solutionArn=SOLUTION)["solutionVersionArn"]

    latest = client.describe_solution(solutionArn=SOLUTION)["solution"]
    listed = client.list_solution_versions(solutionArn=SOLUTION)["solutionVersions"]

    assert latest["latestSolutionVersion"]["solutionVersionArn"] == second
    assert latest["latestSolutionVersion"]["status"] == "CREATE PENDING"
    assert (
        "trainingHours"
        not in (
            client.describe_solution_version(solutionVersionArn=second)[
                "solutionVersion"
            ]
        )
    )
    assert [(each["solutionVersionArn"], each["status"]) for each in listed] == [
        (first, "ACTIVE"),
        (second, "CREATE PENDING"),
    ]


@pytest.mark.emulates("personalize:CreateSolutionVersion")
def test_only_a_newer_version_knows_newer_data(aws, pipeline, catalogue, train):
    old = train()
    aws.clock.advance(hours=3)
    interactions = catalogue / "interactions.csv"
    interactions.write_text(interactions.read_text() + "eve,1,9,watch\n")
    aws.personalize.import_data(catalogue, dataset_group="shop")
    answer = pipeline.personalize.create_solution_version(solutionArn=SOLUTION)
    aws.clock.advance(hours=3)

    (before,) = pipeline.segments({"itemId": "1"}, solutionVersionArn=old)
    (after,) = pipeline.segments({"itemId": "1"}, jobName="2", **only_version(answer))

    assert before["output"]["usersList"] == ["ann", "cleo", "ben"]
    assert after["output"]["usersList"] == ["eve", "ann", "cleo", "ben"]


def only_version(answer):
    return {"solutionVersionArn": answer["solutionVersionArn"]}


@pytest.mark.emulates("personalize:CreateSolutionVersion")
def test_a_training_takes_the_data_of_when_it_begins(aws, pipeline, catalogue, train):
    arn = train()
    interactions = catalogue / "interactions.csv"
    original = interactions.read_text()
    aws.clock.advance(minutes=1)
    interactions.write_text(original + "eve,1,9,watch\n")
    aws.personalize.import_data(catalogue, dataset_group="shop")
    aws.clock.advance(minutes=1)
    interactions.write_text(original + "fay,1,9,watch\n")
    aws.personalize.import_data(catalogue, dataset_group="shop")
    aws.clock.advance(hours=3)

    (line,) = pipeline.segments({"itemId": "1"}, solutionVersionArn=arn)

    assert line["output"]["usersList"][0] == "eve"


@pytest.mark.emulates("personalize:CreateDatasetGroup")
def test_each_dataset_group_has_data_of_its_own(
    aws, pipeline, catalogue, train, refused
):
    (catalogue / "interactions.csv").write_text("USER_ID,ITEM_ID\nzoe,1\n")
    (catalogue / "users.csv").write_text("USER_ID,MOOD\nzoe,grim\n")
    aws.personalize.import_data(catalogue, dataset_group="other")
    client = pipeline.personalize
    other = client.create_solution(
        name="other", datasetGroupArn=PREFIX + "dataset-group/other", recipeArn=ITEM
    )["solutionArn"]
    version = client.create_solution_version(solutionArn=other)["solutionVersionArn"]
    mine = train()
    aws.clock.advance(hours=3)

    (line,) = pipeline.segments({"itemId": "1"}, solutionVersionArn=mine)
    (others,) = pipeline.segments(
        {"itemId": "1"}, jobName="2", solutionVersionArn=version
    )

    assert line["output"]["usersList"] == ["ann", "cleo", "ben"]
    assert others["output"]["usersList"] == ["zoe"]
    grim = 'INCLUDE UserID WHERE Users.MOOD IN ("grim")'
    assert aws.personalize.add_filter("f", grim, dataset_group="other")
    create = client.create_filter
    shop = {"name": "g", "datasetGroupArn": PREFIX + "dataset-group/shop"}
    assert "Users.MOOD" in refused(create, filterExpression=grim, **shop)[1]


@pytest.mark.emulates("personalize:StopSolutionVersionCreation")
def test_a_pending_training_stops_at_once(client, train, statuses):
    arn = train()

    client.stop_solution_version_creation(solutionVersionArn=arn)

    assert statuses(arn, 0, 300) == ["CREATE STOPPED", "CREATE STOPPED"]


@pytest.mark.emulates("personalize:StopSolutionVersionCreation")
def test_a_training_in_progress_stops_soon(client, train, statuses, refused):
    arn = train()
    assert statuses(arn, 2) == ["CREATE IN_PROGRESS"]

    client.stop_solution_version_creation(solutionVersionArn=arn)

    assert statuses(arn, 0, 1, 300) == ["CREATE STOPPING"] + ["CREATE STOPPED"] * 2
    code, message = refused(
        client.stop_solution_version_creation, solutionVersionArn=arn
    )
    assert code == "InvalidInputException"
    assert "it is CREATE STOPPED" in message


@pytest.mark.emulates("behaviour:fail_next_training", "behaviour:training_timing")
def test_a_training_can_be_made_to_fail_and_to_take_its_time(
    aws, client, train, statuses
):
    aws.personalize.fail_next_training("Too few good films.")
    aws.personalize.training_timing = JobTiming(timedelta(), timedelta(minutes=5))
    arn = train()

    assert statuses(arn, 0, 5) == ["CREATE IN_PROGRESS", "CREATE FAILED"]
    described = client.describe_solution_version(solutionVersionArn=arn)
    assert described["solutionVersion"]["failureReason"] == "Too few good films."
    again = client.create_solution_version(solutionArn=SOLUTION)["solutionVersionArn"]
    assert statuses(again, 6) == ["ACTIVE"]


@pytest.mark.emulates("personalize:CreateSolutionVersion")
def test_a_training_without_data_fails_as_documented(client, statuses):
    group = client.create_dataset_group(name="empty")["datasetGroupArn"]
    solution = client.create_solution(
        name="empty", datasetGroupArn=group, recipeArn=ITEM
    )
    version = client.create_solution_version(solutionArn=solution["solutionArn"])
    arn = version["solutionVersionArn"]

    assert statuses(arn, 200) == ["CREATE FAILED"]
    described = client.describe_solution_version(solutionVersionArn=arn)
    assert described["solutionVersion"]["failureReason"] == (
        "Create failed. Dataset has fewer than 25 users with at least 2 interactions "
        "each."
    )


@pytest.mark.emulates("personalize:CreateSolutionVersion")
def test_attributes_need_a_column_of_items(aws, client, catalogue, solve, statuses):
    (catalogue / "items.csv").write_text("ITEM_ID\n1\n")
    aws.personalize.import_data(catalogue, dataset_group="shop")
    solution = solve(recipeArn=ATTRIBUTE)
    version = client.create_solution_version(solutionArn=solution)["solutionVersionArn"]

    assert statuses(version, 200) == ["CREATE FAILED"]


# --- Automatic training ---


def versions(client):
    listed = client.list_solution_versions(solutionArn=SOLUTION)["solutionVersions"]
    start = client.describe_solution(solutionArn=SOLUTION)["solution"]
    start = start["creationDateTime"]
    return [
        ((each["creationDateTime"] - start) / timedelta(hours=1), each["trainingType"])
        for each in listed
    ]


@pytest.mark.emulates("personalize:CreateSolution")
def test_new_solutions_train_by_themselves_every_week(aws, client, solve):
    solve(performAutoTraining=True)

    aws.clock.advance(minutes=59)
    assert versions(client) == []
    aws.clock.advance(days=15)

    week = 7 * 24
    assert versions(client) == [
        (1, "AUTOMATIC"),
        (1 + week, "AUTOMATIC"),
        (1 + 2 * week, "AUTOMATIC"),
    ]


@pytest.mark.emulates("personalize:CreateSolution")
def test_automatic_training_is_on_unless_it_is_turned_off(client, group):
    arguments = {"datasetGroupArn": group, "recipeArn": ITEM}
    client.create_solution(name="a", **arguments)
    client.create_solution(name="b", performAutoTraining=False, **arguments)

    def performs(name):
        arn = f"{PREFIX}solution/{name}"
        described = client.describe_solution(solutionArn=arn)["solution"]
        return described["performAutoTraining"]

    assert (performs("a"), performs("b")) == (True, False)


@pytest.mark.emulates("personalize:CreateSolution")
def test_a_manual_version_within_the_hour_skips_the_first_automatic(aws, client, solve):
    solve(
        performAutoTraining=True,
        solutionConfig={"autoTrainingConfig": {"schedulingExpression": "rate(1 day)"}},
    )
    aws.clock.advance(minutes=30)
    client.create_solution_version(solutionArn=SOLUTION)

    aws.clock.advance(hours=26)

    assert versions(client) == [(0.5, "MANUAL"), (25, "AUTOMATIC")]


@pytest.mark.emulates("personalize:UpdateSolution")
def test_an_update_changes_or_ends_automatic_training(aws, client, solve):
    solve(performAutoTraining=True)
    daily = {"autoTrainingConfig": {"schedulingExpression": "rate(1 day)"}}
    client.update_solution(solutionArn=SOLUTION, solutionUpdateConfig=daily)
    aws.clock.advance(hours=26)
    client.update_solution(solutionArn=SOLUTION, performAutoTraining=False)
    aws.clock.advance(days=30)

    assert versions(client) == [(1, "AUTOMATIC"), (25, "AUTOMATIC")]
    described = client.describe_solution(solutionArn=SOLUTION)["solution"]
    assert described["latestSolutionUpdate"]["performAutoTraining"] is False
    assert described["solutionConfig"] == daily


@pytest.mark.emulates("personalize:DeleteSolution")
def test_a_deleted_solution_trains_no_more(aws, client, solve):
    solve(performAutoTraining=True)
    client.delete_solution(solutionArn=SOLUTION)
    aws.clock.advance(days=30)

    assert client.list_solution_versions()["solutionVersions"] == []


# --- Deleting ---


@pytest.mark.emulates("personalize:DeleteSolution")
def test_a_solution_is_deleted_with_its_versions_when_nothing_uses_them(
    aws, pipeline, train, refused
):
    client = pipeline.personalize
    arn = train(tags=[{"tagKey": "a", "tagValue": "b"}])
    delete = client.delete_solution
    assert refused(delete, solutionArn=SOLUTION)[0] == "ResourceInUseException"
    aws.clock.advance(hours=3)
    pipeline.put("run/part.json", {"itemId": "1"})
    pipeline.create(solutionVersionArn=arn)

    code, message = refused(delete, solutionArn=SOLUTION)
    assert (code, "run-1" in message) == ("ResourceInUseException", True)
    aws.clock.advance(hours=1)
    delete(solutionArn=SOLUTION)

    for call in (
        lambda: client.describe_solution(solutionArn=SOLUTION),
        lambda: client.describe_solution_version(solutionVersionArn=arn),
        lambda: client.list_tags_for_resource(resourceArn=arn),
    ):
        assert refused(call)[0] == "ResourceNotFoundException"
    # The job stays: jobs cannot be deleted.
    assert client.list_batch_segment_jobs(solutionVersionArn=arn)["batchSegmentJobs"]


@pytest.mark.emulates("personalize:DeleteDatasetGroup", "personalize:ListDatasetGroups")
def test_a_dataset_group_is_deleted_after_what_is_in_it(client, group, solve, refused):
    def names():
        listed = client.list_dataset_groups()["datasetGroups"]
        return [each["name"] for each in listed]

    solve()
    arn = client.create_filter(
        name="f",
        datasetGroupArn=group,
        filterExpression="INCLUDE UserID WHERE Users.AGE < 40",
    )["filterArn"]

    code, message = refused(client.delete_dataset_group, datasetGroupArn=group)
    assert code == "ResourceInUseException"
    assert SOLUTION in message
    assert arn in message
    client.delete_solution(solutionArn=SOLUTION)
    client.delete_filter(filterArn=arn)
    assert names() == ["shop"]
    client.delete_dataset_group(datasetGroupArn=group)
    assert names() == []


# --- What is not possible ---


@pytest.mark.emulates("personalize:CreateSolution")
@pytest.mark.parametrize(
    ("changes", "code", "told"),
    [
        ({"recipeArn": ITEM + "x"}, "ResourceNotFoundException", "affinityx"),
        (
            {"datasetGroupArn": PREFIX + "dataset-group/gone"},
            "ResourceNotFoundException",
            "dataset-group/gone",
        ),
        (
            {
                "solutionConfig": {
                    "autoTrainingConfig": {"schedulingExpression": "rate(31 days)"}
                }
            },
            "InvalidInputException",
            "1 to 30 days",
        ),
        ({"performHPO": True}, "NotImplemented", "performHPO"),
        (
            {"tags": [{"tagKey": "aws:x", "tagValue": ""}]},
            "InvalidInputException",
            "reserved",
        ),
    ],
)
def test_solutions_that_cannot_be(solve, changes, code, told, refused):
    answer = refused(solve, **changes)

    assert (answer[0], told in answer[1]) == (code, True)


@pytest.mark.emulates("personalize:CreateSolution", "personalize:CreateDatasetGroup")
def test_names_are_taken_once(client, group, solve, refused):
    solve()

    assert refused(solve)[0] == "ResourceAlreadyExistsException"
    create = client.create_dataset_group
    assert refused(create, name="shop")[0] == "ResourceAlreadyExistsException"


def test_a_solution_needs_a_recipe(client, group, refused):
    code, message = refused(client.create_solution, name="s", datasetGroupArn=group)

    assert (code, "recipeArn" in message) == ("InvalidInputException", True)


@pytest.mark.emulates("personalize:CreateSolutionVersion")
@pytest.mark.parametrize("mode", ["UPDATE", "AUTOTRAIN"])
def test_segment_recipes_are_always_trained_in_full(client, train, mode, refused):
    code, message = refused(train, trainingMode=mode)

    assert (code, mode in message) == ("InvalidInputException", True)


@pytest.mark.emulates("personalize:CreateSolutionVersion")
def test_twenty_versions_may_be_in_training(aws, client, train, refused):
    train(name="first")
    create = client.create_solution_version
    taken = refused(create, solutionArn=SOLUTION, name="first")
    for _ in range(19):
        create(solutionArn=SOLUTION)

    code, message = refused(create, solutionArn=SOLUTION)

    assert taken[0] == "ResourceAlreadyExistsException"
    assert code == "LimitExceededException"
    assert message == "More than 20 resources with PENDING or IN_PROGRESS status."
    aws.clock.advance(hours=3)
    assert create(solutionArn=SOLUTION)
