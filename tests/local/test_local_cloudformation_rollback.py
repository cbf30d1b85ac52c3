"""Failed stacks: in which order they roll back, and what to do if that fails."""

import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cdk_personalize_segments.local import LocalAws
from cdk_personalize_segments.local.resources.services import Parameter

Deploy = Callable[..., str]
BROKEN = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "No"}}


def parameter(value: str, **more: Any) -> dict[str, Any]:
    properties = {"Type": "String", "Value": value, **more}
    return {"Type": "AWS::SSM::Parameter", "Properties": properties}


def after(*names: str) -> dict[str, Any]:
    return {**BROKEN, "DependsOn": list(names)}


@pytest.fixture
def name() -> str:
    return f"test-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def deploy(aws: LocalAws, name: str) -> Deploy:
    """Create or update the stack, and give its status."""
    client = aws.client("cloudformation")
    made: list[bool] = []

    def deploy_resources(resources: Mapping[str, Any], **options: Any) -> str:
        act = client.update_stack if made else client.create_stack
        made.append(True)
        template = json.dumps({"Resources": resources})
        act(StackName=name, TemplateBody=template, **options)
        return status(aws, name)

    return deploy_resources


def status(aws: LocalAws, name: str) -> str:
    client = aws.client("cloudformation")
    return client.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]


def events(aws: LocalAws, name: str) -> list[tuple[str, str]]:
    """Give what happened in the last deployment, oldest first."""
    found = aws.client("cloudformation").describe_stack_events(StackName=name)
    told: list[tuple[str, str]] = []
    for event in found["StackEvents"]:
        logical_id = event["LogicalResourceId"]
        told.insert(0, (logical_id, event["ResourceStatus"]))
        if event.get("ResourceStatusReason") == "User Initiated":
            return told
    return told


def value(aws: LocalAws, name: str, logical_id: str) -> str:
    found = aws.client("cloudformation").describe_stack_resource(
        StackName=name, LogicalResourceId=logical_id
    )["StackResourceDetail"]["PhysicalResourceId"]
    return aws.client("ssm").get_parameter(Name=found)["Parameter"]["Value"]


@pytest.fixture
def no_way_back(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Let no parameter become `one` again."""
    update = Parameter.update

    def refuse(kind: Parameter, place: Any, own: str, old: Any, new: Any) -> None:
        if new["Value"] == "one":
            raise RuntimeError("no way back")
        update(kind, place, own, old, new)

    monkeypatch.setattr(Parameter, "update", refuse)
    return monkeypatch


def test_a_creation_tells_its_steps_as_aws_does(
    aws: LocalAws, name: str, deploy: Deploy
) -> None:
    assert deploy({"A": parameter("one")}) == "CREATE_COMPLETE"
    assert events(aws, name) == [
        (name, "CREATE_IN_PROGRESS"),
        ("A", "CREATE_IN_PROGRESS"),
        ("A", "CREATE_IN_PROGRESS"),
        ("A", "CREATE_COMPLETE"),
        (name, "CREATE_COMPLETE"),
    ]


def test_an_update_rolls_back_changes_first_and_then_cleans_up(
    aws: LocalAws, name: str, deploy: Deploy
) -> None:
    deploy({"A": parameter("one"), "B": parameter("one", Name=f"/{name}")})
    again = {
        "A": parameter("two"),
        "B": {**parameter("two", Name=f"/{name}-2"), "DependsOn": "A"},
        "C": {**parameter("new"), "DependsOn": "B"},
        "Broken": after("C"),
    }
    assert deploy(again) == "UPDATE_ROLLBACK_COMPLETE"
    told = events(aws, name)
    failed = told.index((name, "UPDATE_ROLLBACK_IN_PROGRESS"))
    assert told[failed:] == [
        (name, "UPDATE_ROLLBACK_IN_PROGRESS"),
        ("A", "UPDATE_COMPLETE"),
        (name, "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS"),
        ("C", "DELETE_IN_PROGRESS"),
        ("C", "DELETE_COMPLETE"),
        ("B", "DELETE_IN_PROGRESS"),
        ("B", "DELETE_COMPLETE"),
        (name, "UPDATE_ROLLBACK_COMPLETE"),
    ]
    assert value(aws, name, "A") == value(aws, name, "B") == "one"


@pytest.mark.emulates("cloudformation:ContinueUpdateRollback")
@pytest.mark.parametrize("skipped", [[], ["A"]])
def test_a_rollback_that_failed_can_be_continued(
    aws: LocalAws,
    name: str,
    deploy: Deploy,
    no_way_back: pytest.MonkeyPatch,
    skipped: list[str],
) -> None:
    client = aws.client("cloudformation")
    deploy({"A": parameter("one")})
    again = {
        "A": parameter("two"),
        "C": {**parameter("new"), "DependsOn": "A"},
        "Broken": after("C"),
    }
    assert deploy(again) == "UPDATE_ROLLBACK_FAILED"
    with pytest.raises(ClientError, match="UPDATE_ROLLBACK_FAILED state"):
        deploy({"A": parameter("three")})
    client.continue_update_rollback(StackName=name)
    assert status(aws, name) == "UPDATE_ROLLBACK_FAILED"
    if not skipped:
        no_way_back.undo()
    client.continue_update_rollback(StackName=name, ResourcesToSkip=skipped)
    assert status(aws, name) == "UPDATE_ROLLBACK_COMPLETE"
    assert value(aws, name, "A") == ("two" if skipped else "one")
    found = client.describe_stack_resources(StackName=name)["StackResources"]
    assert [each["LogicalResourceId"] for each in found] == ["A"]
    with pytest.raises(ClientError, match="can not be rolled back"):
        client.continue_update_rollback(StackName=name)


@pytest.mark.emulates("cloudformation:RollbackStack")
def test_what_was_left_after_failures_can_be_rolled_back(
    aws: LocalAws, name: str, deploy: Deploy
) -> None:
    client = aws.client("cloudformation")
    deploy({"A": parameter("one")})
    for text in ("two", "three"):
        again = {"A": parameter(text), "Broken": after("A")}
        assert deploy(again, DisableRollback=True) == "UPDATE_FAILED"
    assert value(aws, name, "A") == "three"
    client.rollback_stack(StackName=name)
    assert status(aws, name) == "UPDATE_ROLLBACK_COMPLETE"
    assert value(aws, name, "A") == "one"


def test_a_creation_that_was_left_is_rolled_back_to_nothing(
    aws: LocalAws, name: str, deploy: Deploy
) -> None:
    client = aws.client("cloudformation")
    resources = {"A": parameter("one"), "Broken": after("A")}
    assert deploy(resources, DisableRollback=True) == "CREATE_FAILED"
    assert value(aws, name, "A") == "one"
    client.rollback_stack(StackName=name)
    assert status(aws, name) == "ROLLBACK_COMPLETE"
    assert client.describe_stack_resources(StackName=name)["StackResources"] == []


def test_what_is_kept_except_on_creation_goes_when_creation_fails(
    aws: LocalAws, name: str, deploy: Deploy
) -> None:
    kept = {
        **parameter("one", Name=f"/{name}/kept"),
        "DeletionPolicy": "RetainExceptOnCreate",
    }
    deploy({"A": kept, "Broken": after("A")})
    ssm = aws.client("ssm")
    with pytest.raises(ssm.exceptions.ParameterNotFound):
        ssm.get_parameter(Name=f"/{name}/kept")
    aws.client("cloudformation").delete_stack(StackName=name)
    aws.client("cloudformation").create_stack(
        StackName=name, TemplateBody=json.dumps({"Resources": {"A": kept}})
    )
    aws.client("cloudformation").delete_stack(StackName=name)
    assert ssm.get_parameter(Name=f"/{name}/kept")
