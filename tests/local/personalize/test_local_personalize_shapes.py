"""Requests and answers against the SDK's model of Personalize, in both directions.

Every emulated operation, every member of its shapes, every constraint: what is valid
passes, and what breaks one rule is refused with the name of the member that breaks it.
"""

import copy
import re
from datetime import UTC, datetime

import botocore.session
import pytest

from cdk_personalize_segments.local.personalize import PersonalizeError, shapes
from cdk_personalize_segments.local.personalize.operations import OPERATIONS
from cdk_personalize_segments.local.personalize.refusals import REFUSED

MODEL = botocore.session.get_session().get_service_model("personalize")
ALL = sorted(OPERATIONS)
# A value for each pattern, and one that does not match it.
PATTERNS = {
    "Arn": ("arn:aws:personalize:us-east-1:123456789012:a/b", "arn:aws:s3:::b"),
    "ColumnName": ("AGE", "AGE!"),
    "DatasetType": ("ITEMS", "ITEMS!"),
    "KmsKeyArn": (
        "arn:aws:kms:us-east-1:123456789012:key/k",
        "arn:aws:kms:us-east-1:123456789012:alias/k",
    ),
    "Name": ("a", "-a"),
    "NextToken": ("a", "é"),
    "RoleArn": ("arn:aws:iam::123456789012:role/r", "arn:aws:iam::1:role/r"),
    "S3Location": ("s3://bucket/key", "bucket/key"),
    "SchedulingExpression": ("rate(7 days)", "rate(a day)"),
    "TagKey": ("k", "k!"),
    "TagValue": ("v", "v?"),
}
WRONG_TYPES = {
    "boolean": "true",
    "double": "1",
    "integer": "1",
    "list": {},
    "map": [],
    "string": 1,
    "structure": [],
    "timestamp": "2026",
}


def valid(shape, *, largest=False):
    """Make a value with all members: each as small as can be, or as large."""
    kind, rules = shape.type_name, shape.metadata
    if kind == "structure":
        return {
            name: valid(member, largest=largest)
            for name, member in shape.members.items()
        }
    if kind == "list":
        count = rules.get("max", 1) if largest and is_leaf(shape.member) else 1
        return [valid(shape.member, largest=largest)] * count
    if kind == "map":
        return {valid(shape.key): valid(shape.value)}
    if kind == "string":
        return text(shape, largest=largest)
    if kind == "boolean":
        return largest
    if kind == "timestamp":
        return datetime(2026, 1, 1, tzinfo=UTC)
    smallest = rules.get("min", 0)
    return rules.get("max", smallest) if largest else smallest


def is_leaf(shape):
    return shape.type_name != "structure" or shape.name == "Tag"


def text(shape, *, largest=False):
    rules = shape.metadata
    if rules.get("enum"):
        return rules["enum"][-1 if largest else 0]
    sample = PATTERNS.get(shape.name, ("x" * rules.get("min", 0), ""))[0]
    if not largest or shape.name in {"DatasetType", "SchedulingExpression"}:
        return sample
    return sample + "x" * (rules.get("max", 10) - len(sample))


def only_required(shape):
    if shape.type_name != "structure":
        return valid(shape)
    return {name: only_required(shape.members[name]) for name in shape.required_members}


def violations(shape, path=()):
    """List what can be wrong: where, the wrong value, the name that must be told."""
    name = next((each for each in reversed(path) if isinstance(each, str)), None)
    kind, rules = shape.type_name, shape.metadata
    if path:
        yield path, WRONG_TYPES[kind], name
    if kind == "structure":
        yield (*path, "madeUp"), 1, "madeUp"
        for required in shape.required_members:
            yield (*path, required), MISSING, required
        for key, member in shape.members.items():
            yield from violations(member, (*path, key))
    elif kind == "list":
        yield from violations(shape.member, (*path, 0))
        if "max" in rules:
            yield path, [valid(shape.member)] * (rules["max"] + 1), name
        if rules.get("min"):
            yield path, [], name
    elif kind == "map":
        item = valid(shape.value)
        if "max" in rules:
            yield path, {f"{chr(65 + n % 26)}" * (n + 1): item
                         for n in range(rules["max"] + 1)}, name  # fmt: skip
        yield path, {"x" * (shape.key.metadata["max"] + 1): item}, name
    elif kind == "string":
        yield from ((path, wrong, name) for wrong in wrong_texts(shape))
    elif kind in {"integer", "double"}:
        if "min" in rules:
            yield path, rules["min"] - 1, name
        if "max" in rules:
            yield path, rules["max"] + 1, name


MISSING = object()


def wrong_texts(shape):
    rules = shape.metadata
    if "max" in rules:
        yield text(shape) + "x" * (rules["max"] + 1 - len(text(shape)))
    if rules.get("min"):
        yield "x" * (rules["min"] - 1)
    if "pattern" in rules:
        yield PATTERNS[shape.name][1]
    if rules.get("enum"):
        yield "NOTHING"


def broken(value, path, wrong):
    """Copy a value, but for the one place that is to be wrong."""
    changed = copy.deepcopy(value)
    place = changed
    for key in path[:-1]:
        place = place[key]
    if wrong is MISSING:
        del place[path[-1]]
    else:
        place[path[-1]] = wrong
    return changed


def test_the_model_has_the_constraints_that_the_tests_are_made_from():
    described = [
        wrong
        for operation in ALL
        for wrong in violations(MODEL.operation_model(operation).input_shape)
    ]

    assert len(ALL) == 25
    assert len(described) > 300


@pytest.mark.parametrize("operation", ALL)
def test_requests_that_the_model_allows_pass(operation):
    shape = MODEL.operation_model(operation).input_shape

    for request in (only_required(shape), valid(shape), valid(shape, largest=True)):
        shapes.check_request(operation, request)


@pytest.mark.parametrize("operation", ALL)
def test_requests_that_break_one_rule_name_the_member(aws, operation):
    shape = MODEL.operation_model(operation).input_shape
    request = valid(shape)

    for path, wrong, name in violations(shape):
        with pytest.raises(PersonalizeError) as caught:
            aws.personalize.call(operation, broken(request, path, wrong))
        assert caught.value.code == "InvalidInputException", (path, wrong)
        assert re.search(rf"\b{name}\b", caught.value.message), (path, wrong)


@pytest.mark.parametrize("operation", ALL)
def test_answers_are_held_to_the_model(operation):
    shape = MODEL.operation_model(operation).output_shape
    if shape is None:
        with pytest.raises(TypeError, match="has no member 'madeUp'"):
            shapes.check_answer(operation, {"madeUp": 1})
        return
    answer = valid(shape)
    shapes.check_answer(operation, answer)
    shapes.check_answer(operation, valid(shape, largest=True))

    for path, wrong, name in violations(shape):
        with pytest.raises((TypeError, ValueError)) as caught:
            shapes.check_answer(operation, broken(answer, path, wrong))
        assert re.search(rf"\b{name}\b", str(caught.value)), (path, wrong)


REFUSED_PATHS = [
    pytest.param(each, path, marks=pytest.mark.emulates(f"refused:{each}.{path}"))
    for each in REFUSED
    for path in REFUSED[each]
]


@pytest.mark.parametrize(("operation", "path"), REFUSED_PATHS)
def test_parameters_that_are_not_honoured_are_refused_by_name(aws, operation, path):
    shape = MODEL.operation_model(operation).input_shape
    request, place = only_required(shape), shape
    inner = request
    *parents, name = path.split(".")
    for parent in parents:
        place = place.members[parent]
        inner = inner.setdefault(parent, {})
    inner[name] = valid(place.members[name], largest=True)

    with pytest.raises(PersonalizeError) as caught:
        aws.personalize.call(operation, request)

    assert caught.value.code == "NotImplemented"
    assert f"{path} (" in caught.value.message


def members(shape, *, but=()):
    """Name all members of a shape and of those in it, as `Shape.member`."""
    if shape is None or shape.type_name not in {"structure", "list"}:
        return set()
    if shape.type_name == "list":
        return members(shape.member, but=but)
    named = {f"{shape.name}.{name}" for name in shape.members} - set(but)
    for name, member in shape.members.items():
        if f"{shape.name}.{name}" in named:
            named |= members(member, but=but)
    return named


def given(shape, value):
    if shape is None or shape.type_name not in {"structure", "list"}:
        return set()
    if shape.type_name == "list":
        return set().union(*(given(shape.member, each) for each in value))
    inner = (given(shape.members[name], each) for name, each in value.items())
    return {f"{shape.name}.{name}" for name in value}.union(*inner)


def outputs():
    return [MODEL.operation_model(operation).output_shape for operation in ALL]


def test_members_that_are_left_out_exist():
    known = set().union(*map(members, outputs()))

    assert set(shapes.LEFT_OUT) <= known


@pytest.mark.emulates(*(f"personalize:{operation}" for operation in ALL))
@pytest.mark.emulates(*(f"left-out:{name}" for name in shapes.LEFT_OUT))
def test_every_member_is_given_in_some_answer_or_known_to_be_left_out(
    aws, pipeline, catalogue, monkeypatch
):
    seen, answered = set(), set()
    check = shapes.check_answer

    def collect(operation, answer):
        check(operation, answer)
        answered.add(operation)
        seen.update(given(MODEL.operation_model(operation).output_shape, answer))

    monkeypatch.setattr(shapes, "check_answer", collect)
    take_every_operation(aws, pipeline, catalogue)

    wanted = set().union(*(members(each, but=shapes.LEFT_OUT) for each in outputs()))
    assert answered == set(OPERATIONS)
    assert wanted - seen == set()
    assert seen & set(shapes.LEFT_OUT) == set()


def take_every_operation(aws, pipeline, catalogue):
    client = pipeline.personalize
    tags = [{"tagKey": "k", "tagValue": "v"}]
    group = client.create_dataset_group(name="shop", domain="ECOMMERCE", tags=tags)
    group = group["datasetGroupArn"]
    aws.personalize.import_data(catalogue, dataset_group="shop")
    weekly = {"autoTrainingConfig": {"schedulingExpression": "rate(8 days)"}}
    solution = client.create_solution(
        name="by-item",
        datasetGroupArn=group,
        recipeArn="arn:aws:personalize:::recipe/aws-item-affinity",
        solutionConfig=weekly,
        tags=tags,
    )["solutionArn"]
    client.update_solution(solutionArn=solution, solutionUpdateConfig=weekly)
    aws.personalize.fail_next_training("Tired")
    version = client.create_solution_version(solutionArn=solution, name="first")
    version = version["solutionVersionArn"]
    aws.clock.advance(hours=5)
    client.describe_solution(solutionArn=solution)
    client.describe_solution_version(solutionVersionArn=version)
    version = client.create_solution_version(solutionArn=solution, tags=tags)
    version = version["solutionVersionArn"]
    aws.clock.advance(hours=5)
    client.describe_solution_version(solutionVersionArn=version)
    expression = "INCLUDE UserID WHERE Users.AGE > 1"
    passing = client.create_filter(
        name="f", datasetGroupArn=group, filterExpression=expression, tags=tags
    )["filterArn"]
    failed = aws.personalize.add_filter(
        "g",
        expression,
        dataset_group="shop",
        status="CREATE FAILED",
        failure_reason="Odd",
    )
    client.describe_filter(filterArn=failed)
    pipeline.put("run/part.json", {"itemId": "1"})
    aws.personalize.fail_next_job("Moody")
    pipeline.finish(filterArn=passing, solutionVersionArn=version, tags=tags)
    pipeline.create(jobName="run-2")
    client.describe_dataset_group(datasetGroupArn=group)
    client.describe_recipe(recipeArn="arn:aws:personalize:::recipe/aws-item-affinity")
    for list_page in (
        client.list_batch_segment_jobs,
        client.list_dataset_groups,
        client.list_filters,
        client.list_recipes,
        client.list_solution_versions,
        client.list_solutions,
    ):
        first = list_page(maxResults=1)
        list_page(nextToken=first["nextToken"])
    client.tag_resource(resourceArn=group, tags=tags)
    client.list_tags_for_resource(resourceArn=group)
    client.untag_resource(resourceArn=group, tagKeys=["k"])
    stopped = client.create_solution_version(solutionArn=solution)["solutionVersionArn"]
    client.stop_solution_version_creation(solutionVersionArn=stopped)
    for made in (passing, failed):
        client.delete_filter(filterArn=made)
    client.delete_solution(solutionArn=solution)
    client.delete_dataset_group(datasetGroupArn=group)
