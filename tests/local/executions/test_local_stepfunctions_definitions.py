"""Definitions that local AWS does not run as AWS would are refused by name."""

import json

import pytest
from botocore.exceptions import ClientError

from cdk_personalize_segments.local.stepfunctions.definition import (
    InvalidDefinitionError,
    parse,
)

INVOKE = "arn:aws:states:::lambda:invoke"


def define(state, **fields):
    return json.dumps(
        {
            "QueryLanguage": "JSONata",
            "StartAt": "The state",
            "States": {
                "The state": state,
                "After": {"Type": "Pass", "End": True},
                "Way": {
                    "Type": "Choice",
                    "Choices": [{"Condition": "{% true %}", "Next": "After"}],
                    "Default": "Way",
                },
            },
            **fields,
        }
    )


def passing(**fields):
    return {"Type": "Pass", "Next": "Way", **fields}


def task(**fields):
    return {
        "Type": "Task",
        "Resource": INVOKE,
        "Arguments": {"FunctionName": "f"},
        "Next": "Way",
        **fields,
    }


def choosing(rule):
    return {"Type": "Choice", "Choices": [rule], "Default": "Way"}


def mapping(inner=None, **fields):
    return {
        "Type": "Map",
        "ItemProcessor": {
            "StartAt": "Inner",
            "States": {"Inner": inner or {"Type": "Pass", "End": True}},
        },
        "Next": "Way",
        **fields,
    }


def distributed(ExecutionType="STANDARD", **fields):  # noqa: N803
    state = mapping(**fields)
    config = {"Mode": "DISTRIBUTED", "ExecutionType": ExecutionType}
    state["ItemProcessor"]["ProcessorConfig"] = config
    return state


def reader(**config):
    return {
        "Resource": "arn:aws:states:::s3:getObject",
        "Arguments": {"Bucket": "b", "Key": "k"},
        "ReaderConfig": config or {"InputType": "JSON"},
    }


@pytest.mark.parametrize(
    ("state", "named"),
    [
        (passing(Result=1), "field 'Result' is not supported at /States/The state/"),
        (passing(InputPath="$.a"), "'InputPath'"),
        (passing(QueryLanguage="JSONPath"), "in JSONata only"),
        ({"Type": "Activity"}, "no states of type 'Activity'"),
        ({"Type": "Pass"}, "either Next or End"),
        ({"Type": "Pass", "Next": "Way", "End": True}, "either Next or End"),
        (passing(Next="Nowhere"), "no state 'Nowhere'"),
        (passing(Output="{% $frobnicate() %}"), "$frobnicate"),
        (passing(Output={"a": ["{% $eval('1') %}"]}), "/States/The state/Output/a[0]"),
        (passing(Output="{% foo %}"), "'foo'"),
        (passing(Output="{% $a[ %}"), "cannot be parsed"),
        (passing(Assign={"a": "{% $states.errorOutput %}"}), "$states.errorOutput"),
        (passing(Assign="{% {} %}"), "/States/The state/Assign"),
        (passing(Assign={"states": 1}), "cannot be called 'states'"),
        (passing(Assign={"a b": 1}), "cannot be called 'a b'"),
        (task(Resource="arn:aws:states:::sns:publish"), "sns:publish"),
        (task(Resource=f"{INVOKE}.sync"), "invoke.sync"),
        (task(HeartbeatSeconds=5), "HeartbeatSeconds is for tasks with"),
        (task(Credentials={}), "'Credentials'"),
        (task(TimeoutSeconds=0), "TimeoutSeconds"),
        (task(Arguments={"Payload": {}}), "FunctionName is needed"),
        (
            task(Arguments={"FunctionName": "f", "ClientContext": "x"}),
            "'ClientContext'",
        ),
        (task(Retry=[{"ErrorEquals": []}]), "ErrorEquals"),
        (task(Retry=[{"ErrorEquals": ["States.ALL", "A"]}]), "States.ALL"),
        (
            task(Retry=[{"ErrorEquals": ["States.ALL"]}, {"ErrorEquals": ["A"]}]),
            "States.ALL must stand alone, and last",
        ),
        (task(Retry=[{"ErrorEquals": ["A"], "MaxAttempts": -1}]), "MaxAttempts"),
        (task(Retry=[{"ErrorEquals": ["A"], "BackoffRate": 0.5}]), "BackoffRate"),
        (task(Retry=[{"ErrorEquals": ["A"], "JitterStrategy": "X"}]), "JitterStrategy"),
        (task(Retry=[{"ErrorEquals": ["A"], "Else": 1}]), "Retry[0]/Else"),
        (task(Retry={}), "a list of objects at /States/The state/Retry"),
        (task(Catch=[{"ErrorEquals": ["A"]}]), "a catcher needs Next"),
        (
            task(Catch=[{"ErrorEquals": ["A"], "Next": "Nowhere"}]),
            "no state 'Nowhere'",
        ),
        (
            task(Catch=[{"ErrorEquals": ["A"], "Next": "Way", "ResultPath": "$"}]),
            "'ResultPath'",
        ),
        (passing(Catch=[]), "'Catch'"),
        ({"Type": "Wait", "Next": "Way"}, "either Seconds or Timestamp"),
        ({"Type": "Wait", "Seconds": 1.5, "Next": "Way"}, "whole number"),
        ({"Type": "Wait", "Seconds": 100_000_000, "Next": "Way"}, "99999999"),
        ({"Type": "Wait", "SecondsPath": "$.a", "Next": "Way"}, "'SecondsPath'"),
        (choosing({"Variable": "$.a", "Next": "Way"}), "'Variable'"),
        (choosing({"Condition": "{% true %}"}), "a rule needs Next"),
        (choosing({"Next": "Way"}), "a rule needs Condition"),
        ({"Type": "Choice", "Choices": [], "Default": "Way"}, "Choices"),
        ({"Type": "Wait", "Timestamp": "tomorrow", "Next": "Way"}, "Timestamp"),
        ({"Type": "Wait", "Timestamp": 5, "Next": "Way"}, "Timestamp"),
        (
            {"Type": "Wait", "Timestamp": "2024-W01-1 00+00", "Next": "Way"},
            "Timestamp",
        ),
        (
            {"Type": "Wait", "Timestamp": "2024-13-01T00:00:00Z", "Next": "Way"},
            "/States/The state/Timestamp",
        ),
        (
            task(
                Resource=f"{INVOKE}.waitForTaskToken",
                HeartbeatSeconds=5,
                TimeoutSeconds=5,
            ),
            "HeartbeatSeconds must be less than TimeoutSeconds",
        ),
        (task(Resource={}), "/States/The state/Resource"),
        (passing(Next=[]), "no state []"),
        (
            task(
                Retry=[
                    {"ErrorEquals": ["A"], "IntervalSeconds": 9, "MaxDelaySeconds": 8}
                ]
            ),
            "MaxDelaySeconds must be a whole number from 9",
        ),
        (
            task(Retry=[{"ErrorEquals": ["A"], "MaxDelaySeconds": 31_622_400}]),
            "MaxDelaySeconds",
        ),
        (choosing({"Condition": "yes", "Next": "Way"}), "Condition must be a boolean"),
        (choosing({"Condition": 1, "Next": "Way"}), "Condition must be a boolean"),
        (mapping(Items="abc"), "arrays only at /States/The state/Items"),
        (mapping(MaxConcurrency=-1), "MaxConcurrency"),
        (mapping(MaxConcurrency="x"), "MaxConcurrency"),
        ({"Type": "Fail", "Error": 5}, "Error must be a string"),
        ({"Type": "Fail", "Cause": ["x"]}, "Cause must be a string"),
        ({"Type": "Parallel", "Branches": [], "Next": "Way"}, "needs a branch"),
        (
            distributed(
                ItemReader=reader(
                    InputType="CSV", CSVHeaderLocation="FIRST_ROW", CSVDelimiter=[]
                )
            ),
            "CSVDelimiter",
        ),
        (mapping(ItemReader={}), "'ItemReader' is for mode DISTRIBUTED"),
        (mapping(Label="L"), "'Label' is for mode DISTRIBUTED"),
        (distributed(Label="a b"), "Label has at most 40 characters"),
        (distributed(Label="x" * 41), "Label has at most 40 characters"),
        (distributed(ToleratedFailureCount=-1), "ToleratedFailureCount"),
        (distributed(ToleratedFailurePercentage=101), "from 0 to 100"),
        (distributed(ToleratedFailureCount="{% foo %}"), "'foo'"),
        (
            distributed(ItemReader={"Resource": "arn:x", "Arguments": {}}),
            "s3:getObject",
        ),
        (distributed(ItemReader=reader(), Items=[]), "either Items or ItemReader"),
        (distributed(ItemReader=reader(InputType="PARQUET")), "CSV, JSON, JSONL only"),
        (distributed(ItemReader=reader(InputType="CSV")), "CSVHeaderLocation"),
        (
            distributed(ItemReader=reader(InputType="JSON", ItemsPointer="/a")),
            "'ItemsPointer'",
        ),
        (distributed(ItemReader=reader(InputType="JSON", CSVHeaders=[])), "CSV"),
        (distributed(ItemReader=reader(InputType="JSON", MaxItems=0)), "MaxItems"),
        (distributed(ItemBatcher={}), "MaxItemsPerBatch"),
        (distributed(ItemBatcher={"MaxItemsPerBatch": 0}), "MaxItemsPerBatch"),
        (distributed(ItemBatcher={"MaxItems": 1}), "'MaxItems'"),
        (distributed(ResultWriter={}), "Resource and Arguments, WriterConfig"),
        (
            distributed(ResultWriter={"WriterConfig": {"OutputType": "JSONL"}}),
            "JSONL to S3 only",
        ),
        (
            distributed(ResultWriter={"WriterConfig": {"Transformation": "X"}}),
            "COMPACT, FLATTEN, NONE",
        ),
        (distributed(ExecutionType="EXPRESS"), "ExecutionType STANDARD only"),
        (distributed(ExecutionType=None), "ExecutionType STANDARD only"),
        (mapping({"Type": "Pass", "Next": "Way"}), "no state 'Way'"),
        (
            mapping({"Type": "Pass", "Output": "{% $frobnicate() %}", "End": True}),
            "/ItemProcessor/States/Inner/Output",
        ),
        (
            mapping({"Type": "Pass", "Assign": {"x": 1}, "End": True}, Assign={"x": 2}),
            "variable 'x' is assigned in an outer scope too",
        ),
        ("text", "a state must be an object"),
    ],
)
def test_what_is_wrong_in_a_state_is_named(state, named):
    with pytest.raises(InvalidDefinitionError) as refused:
        parse(define(state))
    assert named in str(refused.value)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"QueryLanguage": "JSONPath"}, "in JSONata only"),
        ({"QueryLanguage": "XPath"}, "XPath"),
        ({"StartAt": "Nowhere"}, "no state 'Nowhere'"),
        ({"TimeoutSeconds": "1"}, "TimeoutSeconds"),
        ({"TimeoutSeconds": 100_000_000}, "TimeoutSeconds"),
        ({"Version": "7.0"}, "Version is 1.0"),
        ({"StartAt": []}, "no state []"),
        ({"StartAt": "", "States": {"": {"Type": "Succeed"}}}, "1 to 80 characters"),
        ({"States": {}}, "States must be"),
        ({"ProcessorConfig": {}}, "'ProcessorConfig'"),
    ],
)
def test_what_is_wrong_in_a_machine_is_named(fields, named):
    with pytest.raises(InvalidDefinitionError) as refused:
        parse(define(passing(), **fields))
    assert named in str(refused.value)


def test_a_state_that_nothing_leads_to_is_refused():
    with pytest.raises(InvalidDefinitionError, match="no way leads to state 'Way'"):
        parse(define({"Type": "Pass", "Next": "After"}))


@pytest.mark.parametrize(
    "text",
    ["", "no json", "[]", define(passing(Output=float("nan"))), r'{"a": "\ud800"}'],
)
def test_a_definition_must_be_an_object(text):
    with pytest.raises(InvalidDefinitionError, match="INVALID_JSON_DESCRIPTION"):
        parse(text)


def test_a_jsonata_state_fits_a_machine_that_does_not_say_its_language():
    definition = {
        "StartAt": "Pass",
        "States": {
            "Pass": {
                "Type": "Pass",
                "QueryLanguage": "JSONata",
                "Output": "{% $now() %}",
                "End": True,
            }
        },
    }
    assert parse(json.dumps(definition)) == definition


@pytest.mark.bridge(
    "moto.stepfunctions.models.StepFunctionBackend.update_state_machine"
)
def test_create_and_update_refuse_with_the_error_of_aws(machine, machine_role):
    made = machine({"Pass": {"Type": "Pass", "End": True}})
    wrong = define(passing(Output="{% $frobnicate() %}"))
    for call, arguments in (
        (
            made.client.create_state_machine,
            {"name": "never-made", "roleArn": machine_role},
        ),
        (made.client.update_state_machine, {"stateMachineArn": made.arn}),
    ):
        with pytest.raises(ClientError) as refused:
            call(definition=wrong, **arguments)
        error = refused.value.response["Error"]
        assert error["Code"] == "InvalidDefinition"
        assert "$frobnicate at /States/The state/Output" in error["Message"]
        with pytest.raises(ClientError, match="less than or equal to 1048576"):
            call(definition=define(passing(Comment="x" * 1024**2)), **arguments)
    told = made.client.describe_state_machine(stateMachineArn=made.arn)
    assert "frobnicate" not in told["definition"]
    names = {
        each["name"] for each in made.client.list_state_machines()["stateMachines"]
    }
    assert "never-made" not in names
