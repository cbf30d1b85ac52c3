"""How stacks refer to topics, rules and the like, and what of them they refuse."""

import json

import pytest

from .conftest import new_name

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {
                "Service": ["lambda.amazonaws.com", "scheduler.amazonaws.com"]
            },
            "Action": "sts:AssumeRole",
        }
    ],
}
RECEIVE = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}],
}


class Stack:
    """A stack, with the physical ids of its resources."""

    def __init__(self, aws):
        self.client, self.name = aws.client("cloudformation"), new_name("stack")

    def create(self, resources, outputs=None):
        self.client.create_stack(**self._request(resources, outputs))
        return self.status()

    def update(self, resources, outputs=None):
        self.client.update_stack(**self._request(resources, outputs))
        return self.status()

    def delete(self):
        self.client.delete_stack(StackName=self.name)

    def status(self):
        return self._describe()["StackStatus"]

    def outputs(self):
        return {
            each["OutputKey"]: each["OutputValue"]
            for each in self._describe()["Outputs"]
        }

    def failures(self):
        events = self.client.describe_stack_events(StackName=self.name)["StackEvents"]
        return " ".join(each.get("ResourceStatusReason", "") for each in events)

    def id(self, logical_id):
        return self.client.describe_stack_resource(
            StackName=self.name, LogicalResourceId=logical_id
        )["StackResourceDetail"]["PhysicalResourceId"]

    def _describe(self):
        return self.client.describe_stacks(StackName=self.name)["Stacks"][0]

    def _request(self, resources, outputs):
        template = {
            "Resources": resources,
            "Outputs": {
                name: {"Value": value} for name, value in (outputs or {}).items()
            },
        }
        if not outputs:
            del template["Outputs"]
        return {"StackName": self.name, "TemplateBody": json.dumps(template)}


@pytest.fixture
def stack(aws):
    return Stack(aws)


def resource(kind, **properties):
    return {"Type": f"AWS::{kind}", "Properties": properties}


def get(logical_id, attribute):
    return {"Fn::GetAtt": [logical_id, attribute]}


def test_what_has_no_name_is_named_and_referred_to(aws, stack):
    resources = {
        "Queue": resource("SQS::Queue"),
        "Topic": resource("SNS::Topic"),
        "Bus": resource("Events::EventBus", Name=new_name("bus")),
        "Rule": resource(
            "Events::Rule", ScheduleExpression="rate(1 day)", State="DISABLED"
        ),
        "OnBus": resource(
            "Events::Rule",
            EventBusName={"Ref": "Bus"},
            EventPattern={"source": ["mine"]},
            Targets=[{"Id": "one", "Arn": get("Queue", "Arn")}],
        ),
        "Role": resource(
            "IAM::Role",
            AssumeRolePolicyDocument=TRUST,
            Policies=[{"PolicyName": "Receive", "PolicyDocument": RECEIVE}],
        ),
        "Group": resource("Scheduler::ScheduleGroup"),
        "Schedule": resource(
            "Scheduler::Schedule",
            FlexibleTimeWindow={"Mode": "OFF"},
            GroupName={"Ref": "Group"},
            ScheduleExpression="at(2190-01-01T00:00:00)",
            Target={"Arn": {"Ref": "Topic"}, "RoleArn": get("Role", "Arn")},
        ),
        "Function": resource(
            "Lambda::Function",
            Code={"ZipFile": "def handler(event, context): pass"},
            Handler="index.handler",
            Runtime="python3.13",
            Role=get("Role", "Arn"),
        ),
        "Mapping": resource(
            "Lambda::EventSourceMapping",
            EventSourceArn=get("Queue", "Arn"),
            FunctionName={"Ref": "Function"},
        ),
    }
    referred = {
        "Queue": ["Arn", "QueueName", "QueueUrl"],
        "Topic": ["TopicArn", "TopicName"],
        "Bus": ["Arn", "Name"],
        "Rule": ["Arn"],
        "OnBus": ["Arn"],
        "Group": ["Arn"],
        "Schedule": ["Arn"],
        "Mapping": ["EventSourceMappingArn", "Id"],
    }
    outputs = {
        f"{logical_id}{name}": get(logical_id, name)
        for logical_id, names in referred.items()
        for name in names
    }
    assert stack.create(resources, outputs) == "CREATE_COMPLETE", stack.failures()
    given, url = stack.outputs(), stack.id("Queue")
    events, schedules = aws.client("events"), aws.client("scheduler")
    queue = aws.client("sqs").get_queue_attributes(
        QueueUrl=url, AttributeNames=["QueueArn"]
    )
    bus, _, on_bus = stack.id("OnBus").partition("|")
    group = stack.id("Group")
    mapping = aws.client("lambda").get_event_source_mapping(UUID=stack.id("Mapping"))
    assert given == {
        "QueueArn": queue["Attributes"]["QueueArn"],
        "QueueQueueName": url.rpartition("/")[2],
        "QueueQueueUrl": url,
        "TopicTopicArn": stack.id("Topic"),
        "TopicTopicName": stack.id("Topic").rpartition(":")[2],
        "BusArn": events.describe_event_bus(Name=bus)["Arn"],
        "BusName": bus,
        "RuleArn": events.describe_rule(Name=stack.id("Rule"))["Arn"],
        "OnBusArn": events.describe_rule(Name=on_bus, EventBusName=bus)["Arn"],
        "GroupArn": schedules.get_schedule_group(Name=group)["Arn"],
        "ScheduleArn": schedules.get_schedule(
            Name=stack.id("Schedule"), GroupName=group
        )["Arn"],
        "MappingEventSourceMappingArn": mapping["EventSourceMappingArn"],
        "MappingId": mapping["UUID"],
    }
    # As in AWS, by which it is not found there.
    del resources["Schedule"]["Properties"]["GroupName"]
    assert stack.update(resources, outputs) == "UPDATE_ROLLBACK_COMPLETE"
    assert "cannot be moved to another group" in stack.failures()
    stack.delete()


@pytest.mark.parametrize(
    ("declared", "name"),
    [
        (resource("SQS::Queue", FifoQueue=True), "FifoQueue"),
        (resource("SNS::Topic", FifoTopic=True), "FifoTopic"),
        (resource("Events::Rule", RoleArn="arn:aws:iam::1:role/r"), "RoleArn"),
        (
            resource(
                "S3::Bucket",
                NotificationConfiguration={
                    "QueueConfigurations": [{"Event": "s3:*", "Queue": "q"}]
                },
            ),
            "NotificationConfiguration.QueueConfigurations",
        ),
        (
            resource(
                "Events::Rule",
                ScheduleExpression="rate(1 day)",
                Targets=[{"Id": "1", "Arn": "a", "EcsParameters": {}}],
            ),
            "EcsParameters",
        ),
    ],
)
def test_a_property_that_is_not_honoured_is_refused_by_name(stack, declared, name):
    assert stack.create({"Only": declared}) == "ROLLBACK_COMPLETE"
    assert name in stack.failures()
