"""Filters of the emulated Personalize: grammar, placeholders, limits, life."""

import json

import pytest

from cdk_personalize_segments.local.personalize import dataset, filters

PREFIX = "arn:aws:personalize:us-east-1:123456789012:"
GROUP = PREFIX + "dataset-group/films-item-affinity"
# Whom item 1 ranks, best first. Dan is in no users.csv.
EVERYBODY = ["ann", "ben", "cleo", "dan"]


@pytest.fixture
def films(catalogue):
    return dataset.load(catalogue)


@pytest.fixture
def client(pipeline):
    return pipeline.personalize


def create_filter(client, expression, name="f"):
    answer = client.create_filter(
        name=name, datasetGroupArn=GROUP, filterExpression=expression
    )
    return answer["filterArn"]


@pytest.mark.parametrize(
    ("expression", "kept"),
    [
        ('INCLUDE UserID WHERE Users.COUNTRY IN ("Japan")', "ann cleo"),
        ('EXCLUDE UserID WHERE Users.COUNTRY IN ("Japan")', "ben dan"),
        ('INCLUDE UserID WHERE Users.COUNTRY IN ("japan")', ""),
        ('INCLUDE UserID WHERE Users.COUNTRY IN ("Peru", "France")', "ben"),
        ('INCLUDE UserID WHERE Users.COUNTRY NOT IN ("Japan")', "ben dan"),
        ('INCLUDE UserID WHERE Users.COUNTRY = "France"', "ben"),
        ('INCLUDE UserID WHERE Users.COUNTRY != "France"', "ann cleo dan"),
        ("INCLUDE UserID WHERE Users.AGE = 40.0", "ben"),
        ("INCLUDE UserID WHERE Users.AGE != 40", "ann cleo dan"),
        # As numbers: as texts, "9" would come after all.
        ("INCLUDE UserID WHERE Users.AGE > 9", "ann ben cleo"),
        ('INCLUDE UserID WHERE Users.AGE > "9"', "ann ben cleo"),
        ("INCLUDE UserID WHERE Users.AGE < 40", "ann"),
        ("INCLUDE UserID WHERE Users.AGE <= 40", "ann ben"),
        ("INCLUDE UserID WHERE Users.AGE > (40)", "cleo"),
        ("EXCLUDE UserID WHERE Users.AGE >= 40", "ann dan"),
        ('INCLUDE UserID WHERE Interactions.EVENT_TYPE IN ("rate")', "ben dan"),
        ('INCLUDE UserID WHERE Interactions.EVENT_TYPE IN ("RATE")', "ben dan"),
        ('INCLUDE UserID WHERE Interactions.EVENT_TYPE IN ("*")', "ann ben cleo dan"),
        ('EXCLUDE UserID WHERE Interactions.EVENT_TYPE IN ("*")', ""),
        ('INCLUDE UserID WHERE Interactions.EVENT_TYPE NOT IN ("rate")', "ann cleo"),
        # AND first.
        (
            'INCLUDE UserID WHERE Users.COUNTRY IN ("Japan") AND Users.AGE < 18 '
            'OR Users.COUNTRY IN ("France")',
            "ann ben",
        ),
        (
            'INCLUDE UserID WHERE Users.COUNTRY IN ("France") '
            'OR Users.COUNTRY IN ("Japan") AND Users.AGE < 18',
            "ann ben",
        ),
        # Both included are united, both excluded too, and what is excluded is out.
        (
            "INCLUDE UserID WHERE Users.AGE < 18 | INCLUDE UserID WHERE Users.AGE > 60",
            "ann cleo",
        ),
        (
            "EXCLUDE UserID WHERE Users.AGE < 18 | EXCLUDE UserID WHERE Users.AGE > 60",
            "ben dan",
        ),
        (
            'EXCLUDE UserID WHERE Interactions.EVENT_TYPE IN ("rate") | '
            "INCLUDE UserID WHERE Users.AGE > 18",
            "cleo",
        ),
        # As in a notebook of AWS.
        ('exclude UserId where users.COUNTRY in ("England", "Japan")', "ben dan"),
    ],
)
def test_expressions_keep_the_users_that_they_should(films, expression, kept):
    passed = filters.parse(expression).apply(EVERYBODY, films, {})

    assert passed == kept.split()


def test_texts_may_have_quotes_and_any_script(catalogue):
    with (catalogue / "users.csv").open("a") as users:
        users.write('dan,"Japan購入 ""x""",5\n')
    parsed = filters.parse(r'INCLUDE UserID WHERE Users.COUNTRY IN ("Japan購入 \"x\"")')

    assert parsed.apply(EVERYBODY, dataset.load(catalogue), {}) == ["dan"]


def test_a_user_with_several_values_has_each_of_them(catalogue):
    with (catalogue / "users.csv").open("a") as users:
        users.write("dan,Peru|Japan,5\n")
    films = dataset.load(catalogue)

    def kept(expression):
        return filters.parse(expression).apply(["dan"], films, {})

    assert kept('INCLUDE UserID WHERE Users.COUNTRY IN ("Japan")') == ["dan"]
    assert kept('INCLUDE UserID WHERE Users.COUNTRY NOT IN ("Japan")') == []


@pytest.mark.parametrize(
    ("expression", "values", "kept"),
    [
        ("INCLUDE UserID WHERE Users.AGE < $AGE", '"40"', ["ann"]),
        ("INCLUDE UserID WHERE Users.AGE < ($AGE)", "40", ["ann"]),
        ("EXCLUDE UserID WHERE Users.AGE < $AGE", '"40"', ["ben", "cleo", "dan"]),
        ("INCLUDE UserID WHERE Users.COUNTRY IN ($AGE, \"France\")", '"Japan"',
         ["ann", "ben", "cleo"]),
        ("EXCLUDE UserID WHERE Interactions.EVENT_TYPE IN ($AGE)", '"WATCH"', ["dan"]),
    ],
)  # fmt: skip
def test_placeholders_stand_for_values(films, expression, values, kept):
    parsed = filters.parse(expression)

    assert parsed.placeholders == {"AGE"}
    assert parsed.apply(EVERYBODY, films, {"AGE": values}) == kept


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({}, "no value for the parameter AGE"),
        ({"age": '"1"'}, "no value for the parameter AGE"),
        ({"AGE": "old"}, "quoted literals"),
        ({"AGE": 40}, "quoted literals"),
        ({"AGE": ""}, "quoted literals"),
        ({"AGE": '"old"'}, "needs a number"),
        ({"AGE": '"1","2"'}, "needs one value"),
    ],
)
def test_values_that_fill_no_placeholder_say_why(films, values, told):
    parsed = filters.parse("INCLUDE UserID WHERE Users.AGE < $AGE")

    with pytest.raises(filters.FilterValueError, match=told):
        parsed.apply(EVERYBODY, films, values)


@pytest.mark.emulates("personalize:CreateFilter", "personalize:CreateBatchSegmentJob")
def test_jobs_apply_the_filter_with_the_values_of_each_query(pipeline):
    arn = create_filter(
        pipeline.personalize, "INCLUDE UserID WHERE Users.COUNTRY IN ($COUNTRIES)"
    )

    lines = pipeline.segments(
        {"itemId": "1", "filterValues": {"COUNTRIES": '"France"'}},
        {"itemId": "1", "filterValues": {"COUNTRIES": '"France","Japan"'}},
        {"itemId": "1", "filterValues": {"COUNTRIES": "France"}},
        {"itemId": "1", "filterValues": {"COUNTRIES": '"France""'}},
        {"itemId": "1", "filterValues": '"France"'},
        {"itemId": "1"},
        filterArn=arn,
    )

    assert [line["output"]["usersList"] for line in lines] == [
        ["ben"],
        ["ann", "cleo", "ben"],
        *[[]] * 4,
    ]
    assert [line["error"] is None for line in lines] == [True] * 2 + [False] * 4
    assert "no value for the parameter COUNTRIES" in lines[5]["error"]


def test_filters_look_at_the_data_as_they_are_now(aws, pipeline, catalogue):
    arn = create_filter(pipeline.personalize, "INCLUDE UserID WHERE Users.AGE < 18")
    (catalogue / "users.csv").write_text("USER_ID,COUNTRY,AGE\nben,France,5\n")
    aws.personalize.import_data(catalogue, dataset_group="films-item-affinity")

    (line,) = pipeline.segments({"itemId": "1"}, filterArn=arn)

    assert line["output"]["usersList"] == ["ben"]


@pytest.mark.emulates("personalize:CreateFilter")
@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("UserID WHERE Users.AGE < 40", "INCLUDE, EXCLUDE"),
        ("INCLUDE UserID", "the end stands where one of WHERE must"),
        ("INCLUDE UserID WHERE (Users.AGE < 40) OR Users.AGE > 60", "("),
        ("INCLUDE UserID WHERE Users.INCOME > 40", "Users.INCOME is not in"),
        ('INCLUDE UserID WHERE Users.country IN ("Japan")', "Users.country is not in"),
        ("INCLUDE UserID WHERE Users.AGE <", "the end"),
        ("INCLUDE UserID WHERE Users.AGE < 40 |", "the end"),
        ("INCLUDE UserID WHERE Users.AGE < 40 Users.AGE > 3", "AND, OR"),
        ("INCLUDE UserID WHERE Users.AGE IN 40", "40 stands where one of ( must"),
        ("INCLUDE UserID WHERE Users.AGE <> 40", "> stands where"),
        ("INCLUDE UserID WHERE Users.AGE < 'x'", "is not understood"),
        ('INCLUDE UserID WHERE Users.COUNTRY < "Japan"', "needs a number"),
        ("INCLUDE UserID WHERE Users < 40", "Users.<COLUMN>"),
        (
            "EXCLUDE UserID WHERE Users.COUNTRY NOT IN ($C)",
            "Invalid input symbol: $C. Placeholders are not allowed with NOT_IN "
            "operator.",
        ),
        (
            "INCLUDE UserID WHERE Interactions.EVENT_VALUE > 3",
            "only the event type can",
        ),
        ('INCLUDE UserID WHERE Interactions.EVENT_TYPE = "rate"', "IN and NOT IN"),
        (
            "INCLUDE UserID WHERE Users.AGE > 3 AND Interactions.EVENT_TYPE "
            'IN ("rate")',
            "must be on one dataset",
        ),
        (
            " | ".join(f"INCLUDE UserID WHERE Users.C{n} < 1" for n in range(11)),
            "at most 10 distinct fields",
        ),
    ],
)
def test_an_expression_that_the_service_does_not_take_is_refused(
    client, expression, reason, refused
):
    code, message = refused(create_filter, client, expression)

    assert code == "InvalidInputException"
    assert message.startswith("Could not create filter. ")
    assert reason in message


@pytest.mark.emulates("personalize:CreateFilter")
@pytest.mark.parametrize(
    ("expression", "named"),
    [
        ("INCLUDE ItemID WHERE Items.GENRES IN ($G)", "ItemID"),
        ("EXCLUDE ActionID WHERE Actions.VALUE < 1", "ActionID"),
        ("INCLUDE UserID WHERE Items.YEAR > 2000", "Items.YEAR"),
        ("INCLUDE UserID WHERE Users.AGE > 3 IF CurrentUser.AGE > 3", "IF"),
        ("INCLUDE UserID WHERE CurrentUser.AGE > 3", "CurrentUser.AGE"),
    ],
)
def test_an_expression_for_other_uses_is_refused_by_name(
    client, expression, named, refused
):
    code, message = refused(create_filter, client, expression)

    assert code == "NotImplemented"
    assert message.startswith(f"{named} is not emulated by local AWS")


@pytest.mark.emulates(
    "personalize:CreateFilter", "personalize:DescribeFilter", "personalize:ListFilters"
)
def test_a_filter_can_be_described_and_listed(client):
    arn = create_filter(client, "INCLUDE UserID WHERE Users.AGE < $AGE")

    described = client.describe_filter(filterArn=arn)["filter"]
    listed = client.list_filters(datasetGroupArn=GROUP)["Filters"]

    assert arn == PREFIX + "filter/f"
    assert described["status"] == "ACTIVE"
    assert described["filterExpression"] == "INCLUDE UserID WHERE Users.AGE < $AGE"
    assert [each["filterArn"] for each in listed] == [arn]
    assert client.list_filters(datasetGroupArn=GROUP + "x")["Filters"] == []


@pytest.mark.emulates("personalize:DeleteFilter")
def test_a_deleted_filter_is_gone_and_its_name_is_free(client, refused):
    expression = "INCLUDE UserID WHERE Users.AGE < 40"
    arn = create_filter(client, expression)
    client.tag_resource(resourceArn=arn, tags=[{"tagKey": "a", "tagValue": "b"}])

    client.delete_filter(filterArn=arn)

    assert refused(client.describe_filter, filterArn=arn)[0] == (
        "ResourceNotFoundException"
    )
    assert create_filter(client, expression) == arn
    assert client.list_tags_for_resource(resourceArn=arn)["tags"] == []


@pytest.mark.emulates("personalize:DeleteFilter")
def test_a_filter_that_a_job_uses_cannot_be_deleted(aws, pipeline, refused):
    pipeline.put("run/part.json", {"itemId": "1"})
    client = pipeline.personalize
    arn = create_filter(client, "INCLUDE UserID WHERE Users.AGE < 40")
    pipeline.create(filterArn=arn)

    code, message = refused(client.delete_filter, filterArn=arn)

    assert code == "ResourceInUseException"
    assert "batch-segment-job/run-1" in message
    aws.clock.advance(hours=1)
    client.delete_filter(filterArn=arn)
    assert json.loads(pipeline.output())["output"]["usersList"] == ["ann"]


@pytest.mark.emulates("personalize:CreateFilter")
def test_a_dataset_group_has_thirty_filters(client, refused):
    for number in range(30):
        create_filter(
            client, f"INCLUDE UserID WHERE Users.AGE < {number}", f"f{number}"
        )

    code, message = refused(create_filter, client, "INCLUDE UserID WHERE Users.AGE < 1")

    assert code == "LimitExceededException"
    assert "30 filters" in message


@pytest.mark.emulates("personalize:CreateFilter")
def test_the_filters_of_a_dataset_group_have_twenty_fields(
    aws, client, catalogue, refused
):
    columns = [f"C{number}" for number in range(21)]
    rows = [",".join(["USER_ID", *columns]), ",".join(["ann", *columns])]
    (catalogue / "users.csv").write_text("\n".join(rows))
    aws.personalize.import_data(catalogue, dataset_group="films-item-affinity")

    def expression(numbers):
        conditions = (f'Users.C{number} IN ("x")' for number in numbers)
        return f"INCLUDE UserID WHERE {' OR '.join(conditions)}"

    create_filter(client, expression(range(10)), "a")
    create_filter(client, expression(range(10, 20)), "b")
    create_filter(client, expression(range(5, 15)), "c")
    code, message = refused(create_filter, client, expression([20]), "d")

    assert code == "LimitExceededException"
    assert "20 distinct fields" in message


@pytest.mark.emulates("personalize:CreateFilter")
def test_an_expression_has_2500_characters(client, refused):
    head, tail = 'INCLUDE UserID WHERE Users.COUNTRY IN ("', '")'
    longest = head + "x" * (2500 - len(head) - len(tail)) + tail

    assert create_filter(client, longest)
    code, message = refused(create_filter, client, f"{longest} ")
    assert code == "InvalidInputException"
    assert "'filterExpression'" in message
    assert "xxx" not in message


@pytest.mark.emulates("personalize:CreateBatchSegmentJob")
def test_unusable_filters_are_refused(aws, pipeline, catalogue, refused):
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
        pipeline.personalize,
        "INCLUDE UserID WHERE Users.AGE < 40 | "
        'EXCLUDE UserID WHERE Interactions.EVENT_TYPE IN ("rate")',
    )
    create = pipeline.create

    assert "must be ACTIVE" in refused(create, filterArn=failed)[1]
    assert "same dataset group" in refused(create, filterArn=foreign)[1]
    on_events = {"filterArn": events, "solutionVersionArn": by_attribute}
    assert "on interactions" in refused(create, **on_events)[1]
    assert refused(create, filterArn=PREFIX + "filter/gone")[0] == (
        "ResourceNotFoundException"
    )
