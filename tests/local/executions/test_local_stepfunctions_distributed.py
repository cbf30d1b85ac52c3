"""Distributed Map states: child executions, what they read and what they write."""

import json
import time
from datetime import timedelta

import pytest

BUCKET = "distributed"


def allow(action, resource="*"):
    return {"Effect": "Allow", "Action": action, "Resource": resource}


@pytest.fixture(scope="module")
def bucket(local_aws):
    s3 = local_aws.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    for key, text in {
        "items.json": '[{"n": 1}, {"n": 2}, {"n": 3}]',
        "object.json": '{"n": 1}',
        "items.jsonl": '{"n": 1}\n{"n": 2}\n\n{"n": 3}',
        "items.csv": '\ufeffid,name\n1,"An ""A"", b"\n\n2\n3,c,more\n',
        "given.csv": "1|a\n2|b\n",
        "listed/one": "1",
        "listed/two": "22",
    }.items():
        s3.put_object(Bucket=BUCKET, Key=key, Body=text.encode())
    return BUCKET


@pytest.fixture(scope="module")
def mapping_role(role, bucket):
    """Everything that the documentation asks for."""
    arn = f"arn:aws:s3:::{bucket}"
    return role(
        allow(["states:StartExecution", "states:RedriveExecution"]),
        allow(["s3:GetObject", "s3:PutObject"], f"{arn}/*"),
        allow("s3:ListBucket", arn),
    )


@pytest.fixture
def mapping(machine, mapping_role):
    """Make a machine of one Distributed Map state called Map."""

    def make(states=None, role_arn=mapping_role, settings=None, **fields):
        states = states or {"Pass": {"Type": "Pass", "End": True}}
        state = {
            "Type": "Map",
            "ItemProcessor": {
                "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
                "StartAt": next(iter(states)),
                "States": states,
            },
            "End": True,
            **fields,
        }
        return machine({"Map": state}, role_arn=role_arn, settings=settings)

    return make


FAILING = {
    "Bad?": {
        "Type": "Choice",
        "Choices": [
            {"Condition": "{% $states.input in ['bad', 'worse'] %}", "Next": "Fail"}
        ],
        "Default": "Wait",
    },
    "Wait": {"Type": "Wait", "Seconds": 60, "End": True},
    "Fail": {"Type": "Fail", "Error": "Bad", "Cause": "{% $states.input %}"},
}


def kinds(events):
    return [event["type"] for event in events]


def elapsed(execution):
    return execution.history[-1]["timestamp"] - execution.history[0]["timestamp"]


def map_run_of(machine, execution_arn):
    [run] = machine.client.list_map_runs(executionArn=execution_arn)["mapRuns"]
    return run["mapRunArn"]


def children_of(machine, map_run_arn, **options):
    listed = machine.client.list_executions(mapRunArn=map_run_arn, **options)
    return listed["executions"]


def counts(told, which="executionCounts"):
    return {name: n for name, n in told[which].items() if n}


@pytest.mark.emulates(
    "asl:DistributedMap",
    "stepfunctions:ListMapRuns",
    "stepfunctions:DescribeMapRun",
    "stepfunctions:ListExecutions",
    "asl:Label",
)
def test_each_item_has_a_child_execution(mapping):
    states = {
        "Tell": {
            "Type": "Wait",
            "Seconds": 60,
            "Output": {
                "item": "{% $states.input %}",
                "of": "{% $states.context.StateMachine.Name %}",
            },
            "End": True,
        }
    }
    made = mapping(
        states,
        Items="{% $states.input %}",
        ItemSelector={
            "is": "{% $states.context.Map.Item.Value %}",
            "at": "{% $states.context.Map.Item.Index %}",
        },
        MaxConcurrency=2,
        Label="Own",
    )
    execution = made.run(["a", "b", "c"])
    assert execution.output == [
        {"item": {"is": item, "at": at}, "of": f"{made.name}/Own"}
        for at, item in enumerate("abc")
    ]
    assert elapsed(execution) == timedelta(minutes=2)
    assert kinds(execution.history) == [
        *("ExecutionStarted", "MapStateEntered", "MapStateStarted", "MapRunStarted"),
        *("MapRunSucceeded", "MapStateSucceeded", "MapStateExited"),
        "ExecutionSucceeded",
    ]
    assert execution.history[2]["mapStateStartedEventDetails"] == {"length": 3}
    arn = map_run_of(made, execution.arn)
    assert execution.history[3]["mapRunStartedEventDetails"] == {"mapRunArn": arn}
    assert arn.startswith(
        f"arn:aws:states:us-east-1:123456789012:mapRun:{made.name}/Own:"
    )
    run = made.client.describe_map_run(mapRunArn=arn)
    assert (run["status"], run["executionArn"]) == ("SUCCEEDED", execution.arn)
    assert run["maxConcurrency"] == 2
    assert counts(run) == counts(run, "itemCounts") == {"succeeded": 3, "total": 3}
    children = children_of(made, arn)
    assert len(children) == 3
    for child in children:
        assert child["stateMachineArn"] == f"{made.arn}/Own"
        told = made.describe(child["executionArn"])
        assert told["mapRunArn"] == arn
        assert kinds(made.history(child["executionArn"]))[0] == "ExecutionStarted"
    # They are no executions of the machine itself.
    listed = made.client.list_executions(stateMachineArn=made.arn)["executions"]
    assert [each["executionArn"] for each in listed] == [execution.arn]
    of_child = made.client.describe_state_machine_for_execution(
        executionArn=children[0]["executionArn"]
    )
    assert (of_child["label"], of_child["mapRunArn"]) == ("Own", arn)


@pytest.mark.emulates("asl:DistributedMap")
def test_children_do_not_see_the_variables_of_their_parent(machine, mapping_role):
    processor = {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "Tell",
        "States": {
            "Tell": {
                "Type": "Pass",
                "Assign": {"outer": 1},
                "Output": "{% $exists($outer) %}",
                "End": True,
            }
        },
    }
    execution = machine(
        {
            "Set": {"Type": "Pass", "Assign": {"outer": 2}, "Next": "Map"},
            "Map": {
                "Type": "Map",
                "Items": [1],
                "ItemProcessor": processor,
                "Output": "{% [$states.result, $outer] %}",
                "End": True,
            },
        },
        role_arn=mapping_role,
    ).run()
    assert execution.output == [False, 2]


@pytest.mark.emulates(
    "asl:DistributedMap",
    "error:States.ExceedToleratedFailureThreshold",
    "asl:ToleratedFailureCount",
    "asl:ToleratedFailurePercentage",
)
@pytest.mark.parametrize(
    ("fields", "items", "fails"),
    [
        ({}, ["fine", "bad"], True),
        ({"ToleratedFailureCount": 1}, ["fine", "bad"], False),
        ({"ToleratedFailureCount": 1}, ["bad", "worse"], True),
        ({"ToleratedFailureCount": "{% 1 + 1 %}"}, ["bad", "worse"], False),
        ({"ToleratedFailurePercentage": 50}, ["fine", "bad"], False),
        ({"ToleratedFailurePercentage": "{% 49.9 %}"}, ["fine", "bad"], True),
        (
            {"ToleratedFailureCount": 2, "ToleratedFailurePercentage": 10},
            ["fine", "bad"],
            True,
        ),
    ],
)
def test_failures_are_tolerated_up_to_a_threshold(mapping, fields, items, fails):
    made = mapping(FAILING, Items="{% $states.input %}", **fields)
    execution = made.run(items)
    run = made.client.describe_map_run(mapRunArn=map_run_of(made, execution.arn))
    if not fails:
        assert run["status"] == "SUCCEEDED"
        for item, told in zip(items, execution.output, strict=True):
            if item == "fine":
                assert told == item
            else:
                assert (told["Status"], told["Cause"]) == ("FAILED", item)
        return
    assert execution.error == "States.ExceedToleratedFailureThreshold"
    assert run["status"] == "FAILED"
    assert kinds(execution.history)[-3:] == [
        *("MapRunFailed", "MapStateFailed", "ExecutionFailed"),
    ]
    # The others are stopped at once.
    assert elapsed(execution) == timedelta(0)
    assert set(counts(run)) <= {"aborted", "failed", "total"}


@pytest.mark.emulates("asl:ItemReader", "item-reader:s3:getObject")
@pytest.mark.parametrize(
    ("key", "config", "expected"),
    [
        pytest.param(
            "items.json",
            {"InputType": "JSON"},
            [{"n": 1}, {"n": 2}, {"n": 3}],
            marks=pytest.mark.emulates("item-reader:JSON"),
        ),
        pytest.param(
            "items.jsonl",
            {"InputType": "JSONL", "MaxItems": "{% 1 + 1 %}"},
            [{"n": 1}, {"n": 2}],
            marks=pytest.mark.emulates("item-reader:JSONL"),
        ),
        pytest.param(
            "items.csv",
            {"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW"},
            [
                {"id": "1", "name": 'An "A", b'},
                {"id": "2", "name": ""},
                {"id": "3", "name": "c"},
            ],
            marks=pytest.mark.emulates("item-reader:CSV"),
        ),
        (
            "given.csv",
            {
                "InputType": "CSV",
                "CSVHeaderLocation": "GIVEN",
                "CSVHeaders": ["id", "name"],
                "CSVDelimiter": "PIPE",
                "MaxItems": 1,
            },
            [{"id": "1", "name": "a"}],
        ),
    ],
)
def test_items_are_read_from_s3(mapping, key, config, expected):
    reader = {
        "Resource": "arn:aws:states:::s3:getObject",
        "ReaderConfig": config,
        "Arguments": {"Bucket": BUCKET, "Key": "{% $states.input %}"},
    }
    execution = mapping(ItemReader=reader).run(key)
    assert execution.output == expected
    assert execution.history[2]["mapStateStartedEventDetails"] == {"length": 0}


@pytest.mark.parametrize(
    ("name", "character"),
    [
        pytest.param(name, character, marks=pytest.mark.emulates(f"item-reader:{name}"))
        for name, character in {
            "COMMA": ",",
            "PIPE": "|",
            "SEMICOLON": ";",
            "SPACE": " ",
            "TAB": "\t",
        }.items()
    ],
)
def test_a_file_has_the_delimiter_that_is_named(mapping, local_aws, name, character):
    key = f"{name}.csv"
    text = f"id{character}name\n1{character}a\n"
    local_aws.client("s3").put_object(Bucket=BUCKET, Key=key, Body=text.encode())
    reader = {
        "Resource": "arn:aws:states:::s3:getObject",
        "ReaderConfig": {
            "InputType": "CSV",
            "CSVHeaderLocation": "FIRST_ROW",
            "CSVDelimiter": name,
        },
        "Arguments": {"Bucket": BUCKET, "Key": key},
    }
    assert mapping(ItemReader=reader).run().output == [{"id": "1", "name": "a"}]


@pytest.mark.emulates("asl:ItemReader", "item-reader:s3:listObjectsV2")
def test_objects_are_listed_as_items(mapping):
    reader = {
        "Resource": "arn:aws:states:::s3:listObjectsV2",
        "Arguments": {"Bucket": BUCKET, "Prefix": "listed/"},
    }
    output = mapping(ItemReader=reader).run().output
    assert [(each["Key"], each["Size"]) for each in output] == [
        ("listed/one", 1),
        ("listed/two", 2),
    ]
    assert set(output[0]) == {"Etag", "Key", "LastModified", "Size", "StorageClass"}


@pytest.mark.emulates("asl:ItemReader")
@pytest.mark.parametrize(
    ("key", "said"), [("absent", "NoSuchKey"), ("object.json", "not a JSON array")]
)
def test_items_that_cannot_be_read_fail_the_state(mapping, key, said):
    reader = {
        "Resource": "arn:aws:states:::s3:getObject",
        "ReaderConfig": {"InputType": "JSON"},
        "Arguments": {"Bucket": BUCKET, "Key": key},
    }
    execution = mapping(ItemReader=reader).run()
    assert execution.error == "States.ItemReaderFailed"
    assert said in execution.cause
    assert kinds(execution.history)[2:5] == [
        *("MapStateStarted", "MapRunStarted", "MapRunFailed"),
    ]


@pytest.mark.emulates(
    "error:States.ItemReaderFailed",
    "error:States.ResultWriterFailed",
    "error:States.Permissions",
)
def test_the_role_needs_every_permission(mapping, role):
    nothing = role(allow("lambda:InvokeFunction"))
    execution = mapping(role_arn=nothing, Items=[1]).run()
    assert execution.error == "States.Permissions"
    assert "perform: states:StartExecution" in execution.cause
    starting = role(allow("states:StartExecution"))
    reader = {
        "Resource": "arn:aws:states:::s3:getObject",
        "ReaderConfig": {"InputType": "JSON"},
        "Arguments": {"Bucket": BUCKET, "Key": "items.json"},
    }
    execution = mapping(role_arn=starting, ItemReader=reader).run()
    assert execution.error == "States.ItemReaderFailed"
    assert "perform: s3:GetObject" in execution.cause
    execution = mapping(role_arn=starting, Items=[1], ResultWriter=writer()).run()
    assert execution.error == "States.ResultWriterFailed"
    assert "perform: s3:PutObject" in execution.cause


@pytest.mark.emulates("asl:ItemBatcher")
@pytest.mark.parametrize(
    ("batcher", "sizes"),
    [
        ({"MaxItemsPerBatch": 2}, [2, 2, 1]),
        ({"MaxItemsPerBatch": "{% 4 %}"}, [4, 1]),
        # {"Items":["xxxx","xxxx"]} has 25 bytes.
        ({"MaxInputBytesPerBatch": 25}, [2, 2, 1]),
        ({"MaxInputBytesPerBatch": 24}, [1, 1, 1, 1, 1]),
    ],
)
def test_items_are_batched(mapping, batcher, sizes):
    made = mapping(Items=["xxxx"] * 5, ItemBatcher=batcher)
    execution = made.run()
    assert execution.output == [{"Items": ["xxxx"] * size} for size in sizes]
    run = made.client.describe_map_run(mapRunArn=map_run_of(made, execution.arn))
    assert counts(run, "itemCounts") == {"succeeded": 5, "total": 5}
    assert counts(run)["total"] == len(sizes)


@pytest.mark.emulates("asl:ItemBatcher")
def test_a_batch_has_the_input_that_is_common(mapping):
    batcher = {"MaxItemsPerBatch": 2, "BatchInput": {"all": "{% $states.input %}"}}
    execution = mapping(Items=[1, 2, 3], ItemBatcher=batcher).run("in")
    assert execution.output == [
        {"BatchInput": {"all": "in"}, "Items": [1, 2]},
        {"BatchInput": {"all": "in"}, "Items": [3]},
    ]


def writer(prefix="out", **config):
    return {
        "Resource": "arn:aws:states:::s3:putObject",
        "Arguments": {"Bucket": BUCKET, "Prefix": prefix},
        **({"WriterConfig": config} if config else {}),
    }


def read(local_aws, key):
    return local_aws.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()


@pytest.mark.emulates("asl:ResultWriter", "result-writer:NONE")
def test_results_are_written_to_s3(mapping, local_aws):
    made = mapping(
        FAILING,
        Items=["fine", "bad"],
        ToleratedFailureCount=1,
        ResultWriter=writer("out/put"),
    )
    execution = made.run()
    run_arn = map_run_of(made, execution.arn)
    folder = f"out/put/{run_arn.rpartition(':')[2]}"
    assert execution.output == {
        "MapRunArn": run_arn,
        "ResultWriterDetails": {"Bucket": BUCKET, "Key": f"{folder}/manifest.json"},
    }
    manifest = json.loads(read(local_aws, f"{folder}/manifest.json"))
    files = manifest.pop("ResultFiles")
    assert manifest == {"DestinationBucket": BUCKET, "MapRunArn": run_arn}
    assert files["PENDING"] == []
    for outcome, item in (("SUCCEEDED", '"fine"'), ("FAILED", '"bad"')):
        [file] = files[outcome]
        assert file["Key"] == f"{folder}/{outcome}_0.json"
        content = read(local_aws, file["Key"])
        assert file["Size"] == len(content)
        [told] = json.loads(content)
        assert (told["Status"], told["Input"]) == (outcome, item)
        assert ("Output" in told) == (outcome == "SUCCEEDED")
        described = made.describe(told["ExecutionArn"])
        assert described["stateMachineArn"] == told["StateMachineArn"]
    run = made.client.describe_map_run(mapRunArn=run_arn)
    assert counts(run)["resultsWritten"] == 2


@pytest.mark.emulates(
    "asl:ResultWriter", "result-writer:FLATTEN", "result-writer:COMPACT"
)
def test_results_come_in_the_form_that_is_wanted(mapping, local_aws):
    lists = {
        "Give": {
            "Type": "Pass",
            "Output": "{% [$states.input, $states.input] %}",
            "End": True,
        }
    }
    flat = {"WriterConfig": {"Transformation": "FLATTEN", "OutputType": "JSON"}}
    assert mapping(lists, Items=[1, 2], ResultWriter=flat).run().output == [1, 1, 2, 2]
    compact = writer("compact", Transformation="COMPACT", OutputType="JSONL")
    output = mapping(lists, Items=[1, 2], ResultWriter=compact).run().output
    folder = output["ResultWriterDetails"]["Key"].rpartition("/")[0]
    assert read(local_aws, f"{folder}/SUCCEEDED_0.jsonl") == b"[1,1]\n[2,2]\n"


@pytest.mark.emulates("asl:Redrive", "asl:DistributedMap")
def test_a_redrive_runs_unsuccessful_children_again(mapping, local_aws):
    """Under their names and in the same Map Run, once there is what they read."""
    states = {
        "Read": {
            "Type": "Map",
            "ItemProcessor": {
                "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
                "StartAt": "Inner",
                "States": {"Inner": {"Type": "Pass", "End": True}},
            },
            "ItemReader": {
                "Resource": "arn:aws:states:::s3:getObject",
                "ReaderConfig": {"InputType": "JSON"},
                "Arguments": {"Bucket": BUCKET, "Key": "{% $states.input %}"},
            },
            "End": True,
        }
    }
    made = mapping(states, Items=["items.json", "late.json"], MaxConcurrency=1)
    arn = made.start()
    assert made.wait(arn)["status"] == "FAILED"
    run_arn = map_run_of(made, arn)
    names = {child["name"]: child["status"] for child in children_of(made, run_arn)}
    [failed] = children_of(made, run_arn, statusFilter="FAILED")
    told = made.describe(failed["executionArn"])
    assert told["redriveStatus"] == "REDRIVABLE_BY_MAP_RUN"
    with pytest.raises(made.client.exceptions.ExecutionNotRedrivable):
        made.client.redrive_execution(executionArn=failed["executionArn"])
    local_aws.client("s3").put_object(Bucket=BUCKET, Key="late.json", Body=b"[9]")
    made.client.redrive_execution(executionArn=arn)
    done = made.wait(arn)
    assert json.loads(done["output"]) == [[{"n": 1}, {"n": 2}, {"n": 3}], [9]]
    children = children_of(made, run_arn)
    assert {child["name"] for child in children} == set(names)
    assert sorted(child["redriveCount"] for child in children) == [0, 1]
    run = made.client.describe_map_run(mapRunArn=run_arn)
    assert (run["status"], run["redriveCount"]) == ("SUCCEEDED", 1)
    assert "MapRunRedriven" in kinds(made.history(arn))


@pytest.mark.emulates("stepfunctions:UpdateMapRun")
def test_a_map_run_is_changed_while_it_runs(mapping, local_aws):
    waiting = {"Wait": {"Type": "Wait", "Seconds": 60, "End": True}}
    made = mapping(waiting, Items="{% [1..8] %}", MaxConcurrency=1)
    with local_aws.clock.busy():
        arn = made.start()
        while not made.client.list_map_runs(executionArn=arn)["mapRuns"]:
            time.sleep(0.01)
        run_arn = map_run_of(made, arn)
        made.client.update_map_run(
            mapRunArn=run_arn, maxConcurrency=4, toleratedFailureCount=3
        )
        run = made.client.describe_map_run(mapRunArn=run_arn)
        assert (run["maxConcurrency"], run["toleratedFailureCount"]) == (4, 3)
        assert counts(run) == {"pending": 4, "running": 4, "total": 8}
    done = made.wait(arn)
    assert done["stopDate"] - done["startDate"] == timedelta(minutes=2)
    with pytest.raises(made.client.exceptions.ValidationException):
        made.client.update_map_run(mapRunArn=run_arn, maxConcurrency=1)


@pytest.mark.emulates("asl:DistributedMap")
def test_stopping_the_parent_stops_the_children(mapping, local_aws):
    waiting = {"Wait": {"Type": "Wait", "Seconds": 60, "End": True}}
    made = mapping(waiting, Items=[1, 2])
    with local_aws.clock.busy():
        arn = made.start()
        while not made.client.list_map_runs(executionArn=arn)["mapRuns"]:
            time.sleep(0.01)
        made.client.stop_execution(executionArn=arn)
        run_arn = map_run_of(made, arn)
        while True:
            run = made.client.describe_map_run(mapRunArn=run_arn)
            if run["status"] != "RUNNING":
                break
        assert (run["status"], counts(run)) == ("ABORTED", {"aborted": 2, "total": 2})


@pytest.mark.emulates("asl:ItemReader", "asl:ResultWriter")
@pytest.mark.parametrize(
    ("fields", "error"),
    [
        (
            {
                "ItemReader": {
                    "Resource": "arn:aws:states:::s3:getObject",
                    "Arguments": "{% {'Bucket': 'distributed'} %}",
                    "ReaderConfig": {"InputType": "JSON"},
                }
            },
            "States.ItemReaderFailed",
        ),
        (
            {
                "Items": [1],
                "ResultWriter": {
                    "Resource": "arn:aws:states:::s3:putObject",
                    "Arguments": "{% {'Bucket': 'distributed', 'Key': 'k'} %}",
                },
            },
            "States.ResultWriterFailed",
        ),
    ],
)
def test_evaluated_arguments_that_are_none_fail_the_map_run(mapping, fields, error):
    made = mapping(**fields)
    execution = made.run()
    assert execution.error == error
    assert "no others than Bucket" in execution.cause
    run = made.client.describe_map_run(mapRunArn=map_run_of(made, execution.arn))
    assert run["status"] == "FAILED"
