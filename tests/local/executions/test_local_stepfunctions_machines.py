"""State machines: their names, versions, revisions, tags and checks."""

import itertools
import json

import pytest
from botocore.exceptions import ClientError

_numbers = itertools.count()
PASS = {"Pass": {"Type": "Pass", "End": True}}
ROLE = "arn:aws:iam::123456789012:role/any"


@pytest.fixture(scope="module")
def client(local_aws):
    return local_aws.client("stepfunctions")


def define(states):
    return json.dumps(
        {"QueryLanguage": "JSONata", "StartAt": next(iter(states)), "States": states}
    )


def refusal(call, **arguments):
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def create(client, **arguments):
    made = client.create_state_machine(
        **{
            "name": f"created-{next(_numbers)}",
            "definition": define(PASS),
            "roleArn": ROLE,
            **arguments,
        }
    )
    return made


@pytest.mark.emulates("stepfunctions:CreateStateMachine")
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"name": "with space"}, "InvalidName"),
        ({"name": "a/b"}, "InvalidName"),
        ({"name": "a*"}, "InvalidName"),
        ({"roleArn": "arn:aws:s3:::bucket"}, "InvalidArn"),
        ({"definition": "{}"}, "InvalidDefinition"),
        ({"type": "EXPRESS"}, "StateMachineTypeNotSupported"),
        ({"versionDescription": "v"}, "ValidationException"),
        (
            {
                "encryptionConfiguration": {
                    "type": "CUSTOMER_MANAGED_KMS_KEY",
                    "kmsKeyId": "k",
                }
            },
            "InvalidEncryptionConfiguration",
        ),
        ({"loggingConfiguration": {"level": "ALL"}}, "InvalidLoggingConfiguration"),
    ],
)
def test_what_a_machine_cannot_be_is_refused(client, arguments, code):
    assert refusal(lambda **_: create(client, **arguments))[0] == code


@pytest.mark.emulates(
    "stepfunctions:CreateStateMachine",
    "stepfunctions:DescribeStateMachine",
    "stepfunctions:ListStateMachines",
    "stepfunctions:DeleteStateMachine",
)
def test_a_machine_is_read_back_listed_and_deleted(client, local_aws, list_all):
    with local_aws.clock.busy():
        now = local_aws.clock.now()
        arn = create(client, name="read-back")["stateMachineArn"]
    told = client.describe_state_machine(stateMachineArn=arn)
    del told["ResponseMetadata"]
    assert told == {
        "stateMachineArn": arn,
        "name": "read-back",
        "status": "ACTIVE",
        "definition": define(PASS),
        "roleArn": ROLE,
        "type": "STANDARD",
        "creationDate": now,
        "loggingConfiguration": {"level": "OFF"},
        "tracingConfiguration": {"enabled": False},
        "encryptionConfiguration": {"type": "AWS_OWNED_KEY"},
        "revisionId": "INITIAL",
    }
    names = {each["name"] for each in list_all("stepfunctions", "list_state_machines")}
    assert "read-back" in names
    client.delete_state_machine(stateMachineArn=arn)
    code, _ = refusal(client.describe_state_machine, stateMachineArn=arn)
    assert code == "StateMachineDoesNotExist"


@pytest.mark.emulates(
    "stepfunctions:PublishStateMachineVersion",
    "stepfunctions:ListStateMachineVersions",
    "stepfunctions:DeleteStateMachineVersion",
    "stepfunctions:UpdateStateMachine",
)
def test_versions_are_published_once_a_revision(client):
    made = create(client, publish=True, versionDescription="first")
    arn = made["stateMachineArn"]
    assert made["stateMachineVersionArn"] == f"{arn}:1"
    first = client.describe_state_machine(stateMachineArn=f"{arn}:1")
    assert (first["description"], first["revisionId"]) == ("first", "INITIAL")
    # The same again is the same version.
    again = client.publish_state_machine_version(stateMachineArn=arn)
    assert again["stateMachineVersionArn"] == f"{arn}:1"
    definition = define({"Other": {"Type": "Succeed"}})
    client.update_state_machine(stateMachineArn=arn, definition=definition)
    revision = client.describe_state_machine(stateMachineArn=arn)["revisionId"]
    code, message = refusal(
        client.publish_state_machine_version, stateMachineArn=arn, revisionId="INITIAL"
    )
    assert (code, revision in message) == ("ConflictException", True)
    second = client.publish_state_machine_version(
        stateMachineArn=arn, revisionId=revision
    )
    assert second["stateMachineVersionArn"] == f"{arn}:2"
    third = client.update_state_machine(
        stateMachineArn=arn, definition=define(PASS), publish=True
    )
    assert third["stateMachineVersionArn"] == f"{arn}:3"

    def versions(**options):
        listed = client.list_state_machine_versions(stateMachineArn=arn, **options)
        return [
            each["stateMachineVersionArn"] for each in listed["stateMachineVersions"]
        ]

    assert versions() == [f"{arn}:3", f"{arn}:2", f"{arn}:1"]
    assert versions(maxResults=1) == [f"{arn}:3"]
    client.delete_state_machine_version(stateMachineVersionArn=f"{arn}:2")
    assert versions() == [f"{arn}:3", f"{arn}:1"]
    told = client.describe_state_machine(stateMachineArn=f"{arn}:1")
    assert told["definition"] == define(PASS)


@pytest.mark.emulates("stepfunctions:ListExecutions")
def test_the_executions_of_a_version_are_told_of(client, machine):
    made = machine(PASS, settings={"publish": True})
    version = f"{made.arn}:1"
    arn = client.start_execution(stateMachineArn=version)["executionArn"]
    told = made.wait(arn)
    assert told["stateMachineVersionArn"] == version
    assert told["stateMachineArn"] == made.arn
    other = made.start()
    made.wait(other)
    for asked, expected in ((version, {arn}), (made.arn, {arn, other})):
        listed = client.list_executions(stateMachineArn=asked)["executions"]
        assert {each["executionArn"] for each in listed} == expected
    code, _ = refusal(client.list_executions)
    assert code == "ValidationException"
    code, _ = refusal(
        client.list_executions, stateMachineArn=made.arn, nextToken="nobody's"
    )
    assert code == "InvalidToken"


@pytest.mark.emulates("stepfunctions:ValidateStateMachineDefinition")
def test_a_definition_is_validated_without_a_machine(client):
    told = client.validate_state_machine_definition(definition=define(PASS))
    assert (told["result"], told["diagnostics"]) == ("OK", [])
    wrong = define({"Pass": {"Type": "Pass", "Output": "{% $foo( %}", "End": True}})
    told = client.validate_state_machine_definition(definition=wrong)
    assert (told["result"], told["truncated"]) == ("FAIL", False)
    [diagnostic] = told["diagnostics"]
    assert diagnostic["severity"] == "ERROR"
    assert diagnostic["code"] == "UNSUPPORTED_JSONATA_EXPRESSION"
    assert diagnostic["location"] == "/States/Pass/Output"
    assert "cannot be parsed" in diagnostic["message"]
    [diagnostic] = client.validate_state_machine_definition(definition="no json")[
        "diagnostics"
    ]
    assert diagnostic["code"] == "INVALID_JSON_DESCRIPTION"


@pytest.mark.emulates(
    "stepfunctions:TagResource",
    "stepfunctions:UntagResource",
    "stepfunctions:ListTagsForResource",
)
def test_tags_are_kept(client):
    arn = create(client, tags=[{"key": "a", "value": "1"}])["stateMachineArn"]
    client.tag_resource(resourceArn=arn, tags=[{"key": "b", "value": "2"}])
    client.untag_resource(resourceArn=arn, tagKeys=["a"])
    told = client.list_tags_for_resource(resourceArn=arn)
    assert told["tags"] == [{"key": "b", "value": "2"}]


@pytest.mark.emulates("stepfunctions:StartExecution")
def test_a_name_is_free_again_90_days_after_its_execution(machine, local_aws):
    quick = machine(PASS)
    arn = quick.start(name="again")
    first = quick.wait(arn)
    local_aws.clock.sleep(90 * 86400 - 1)
    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        quick.start(name="again")
    local_aws.clock.sleep(2)
    with pytest.raises(ClientError, match="ExecutionDoesNotExist"):
        quick.describe(arn)
    assert quick.start(name="again") == arn
    assert quick.wait(arn)["startDate"] > first["startDate"]


@pytest.mark.parametrize("operation", ["create_state_machine_alias", "create_activity"])
def test_aliases_and_activities_are_refused_by_name(client, operation):
    arguments = {"name": "a"}
    if "alias" in operation:
        arguments["routingConfiguration"] = [
            {"stateMachineVersionArn": f"{ROLE}:1", "weight": 100}
        ]
    code, message = refusal(getattr(client, operation), **arguments)
    assert code == "NotImplemented"
    assert "is not emulated" in message


@pytest.mark.emulates("stepfunctions:DescribeExecution")
def test_an_execution_is_described_without_its_data(client, machine):
    quick = machine(PASS)
    arn = quick.start({"secret": 1})
    quick.wait(arn)
    told = client.describe_execution(executionArn=arn)
    assert told["output"] == '{"secret":1}'
    assert told["inputDetails"] == {"included": True}


@pytest.mark.parametrize("size", [262_144, 262_145])
def test_an_input_has_at_most_256_kib(client, machine, size):
    quick = machine({"Pass": {"Type": "Pass", "Output": 1, "End": True}})
    text = json.dumps("x" * (size - 2))
    if size == 262_144:
        assert client.start_execution(stateMachineArn=quick.arn, input=text)
        return
    with pytest.raises(ClientError):
        client.start_execution(stateMachineArn=quick.arn, input=text)
