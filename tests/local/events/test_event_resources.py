"""Topics, queues, rules, schedules and mappings in stacks."""

import json
import uuid

import pytest
from botocore.exceptions import ClientError

from .conftest import new_name

TAGS = [{"Key": "team", "Value": "crm"}]
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {
                "Service": [
                    "events.amazonaws.com",
                    "lambda.amazonaws.com",
                    "scheduler.amazonaws.com",
                ]
            },
            "Action": "sts:AssumeRole",
        }
    ],
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


def policy(action, resources):
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "events.amazonaws.com"},
                "Action": action,
                "Resource": resources,
            }
        ],
    }


@pytest.mark.emulates("AWS::SQS::Queue", "AWS::SQS::QueuePolicy")
def test_a_queue_is_what_its_template_says(aws, stack):
    client = aws.client("sqs")

    def attributes(logical_id):
        return client.get_queue_attributes(
            QueueUrl=stack.id(logical_id), AttributeNames=["All"]
        )["Attributes"]

    settings = {
        "DelaySeconds": 5,
        "KmsDataKeyReusePeriodSeconds": 600,
        "KmsMasterKeyId": "alias/aws/sqs",
        "MaximumMessageSize": 2048,
        "MessageRetentionPeriod": 1_209_600,
        "ReceiveMessageWaitTimeSeconds": 7,
        "SqsManagedSseEnabled": False,
        "VisibilityTimeout": 90,
    }
    resources = {
        "Letters": resource("SQS::Queue"),
        "Queue": resource(
            "SQS::Queue",
            **settings,
            RedrivePolicy={
                "deadLetterTargetArn": get("Letters", "Arn"),
                "maxReceiveCount": 3,
            },
            Tags=TAGS,
        ),
        "Policy": resource(
            "SQS::QueuePolicy",
            Queues=[{"Ref": "Queue"}],
            PolicyDocument=policy("sqs:SendMessage", get("Queue", "Arn")),
        ),
    }
    outputs = {name: get("Queue", name) for name in ("Arn", "QueueName", "QueueUrl")}
    assert stack.create(resources, outputs) == "CREATE_COMPLETE", stack.failures()
    told = attributes("Queue")
    assert {name: told[name] for name in settings} == {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in settings.items()
    }
    assert json.loads(told["RedrivePolicy"]) == {
        "deadLetterTargetArn": attributes("Letters")["QueueArn"],
        "maxReceiveCount": 3,
    }
    expected = policy("sqs:SendMessage", told["QueueArn"])
    assert json.loads(told["Policy"]) == expected
    tags = client.list_queue_tags(QueueUrl=stack.id("Queue"))["Tags"]
    assert tags["team"] == "crm"
    url = stack.id("Queue")
    assert stack.outputs() == {
        "Arn": told["QueueArn"],
        "QueueName": url.rpartition("/")[2],
        "QueueUrl": url,
    }
    # What is no longer said is as it is by default.
    del resources["Policy"]
    resources["Queue"] = resource("SQS::Queue", VisibilityTimeout=100)
    assert stack.update(resources) == "UPDATE_COMPLETE"
    told = attributes("Queue")
    assert (stack.id("Queue"), told["VisibilityTimeout"]) == (url, "100")
    assert (told["DelaySeconds"], told["SqsManagedSseEnabled"]) == ("0", "true")
    assert "RedrivePolicy" not in told
    assert "KmsMasterKeyId" not in told
    assert "Policy" not in told
    resources["Queue"] = resource("SQS::Queue", QueueName=new_name("renamed"))
    assert stack.update(resources) == "UPDATE_COMPLETE"
    with pytest.raises(ClientError, match="does not exist"):
        client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    url = stack.id("Queue")
    stack.delete()
    with pytest.raises(ClientError, match="does not exist"):
        client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])


@pytest.mark.emulates(
    "AWS::SNS::Topic", "AWS::SNS::TopicPolicy", "AWS::SNS::Subscription"
)
def test_a_topic_is_what_its_template_says(aws, stack):
    client, mail = aws.client("sns"), f"{new_name('ops')}@example.com"
    resources = {
        "Letters": resource("SQS::Queue"),
        "Topic": resource(
            "SNS::Topic",
            DisplayName="Notices",
            KmsMasterKeyId="alias/aws/sns",
            Subscription=[{"Protocol": "email", "Endpoint": mail}],
            Tags=TAGS,
        ),
        "Policy": resource(
            "SNS::TopicPolicy",
            Topics=[{"Ref": "Topic"}],
            PolicyDocument=policy("sns:Publish", {"Ref": "Topic"}),
        ),
        "Subscription": resource(
            "SNS::Subscription",
            TopicArn={"Ref": "Topic"},
            Protocol="sqs",
            Endpoint=get("Letters", "Arn"),
            FilterPolicy={"run": {"status": ["FAILED"]}},
            FilterPolicyScope="MessageBody",
            RawMessageDelivery=True,
            RedrivePolicy={"deadLetterTargetArn": get("Letters", "Arn")},
        ),
    }
    outputs = {name: get("Topic", name) for name in ("TopicArn", "TopicName")}
    assert stack.create(resources, outputs) == "CREATE_COMPLETE", stack.failures()
    topic, subscription = stack.id("Topic"), stack.id("Subscription")
    assert stack.outputs() == {
        "TopicArn": topic,
        "TopicName": topic.rpartition(":")[2],
    }

    def told():
        return client.get_topic_attributes(TopicArn=topic)["Attributes"]

    def subscribed(arn):
        return client.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]

    assert told()["DisplayName"] == "Notices"
    assert told()["KmsMasterKeyId"] == "alias/aws/sns"
    assert json.loads(told()["Policy"]) == policy("sns:Publish", topic)
    tags = client.list_tags_for_resource(ResourceArn=topic)["Tags"]
    assert TAGS[0] in tags
    given = subscribed(subscription)
    assert json.loads(given["FilterPolicy"]) == {"run": {"status": ["FAILED"]}}
    assert given["FilterPolicyScope"] == "MessageBody"
    assert given["RawMessageDelivery"] == "true"
    assert "deadLetterTargetArn" in given["RedrivePolicy"]
    by_topic = client.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert {each["Endpoint"] for each in by_topic} >= {mail}
    del resources["Policy"]
    resources["Topic"] = resource("SNS::Topic", DisplayName="Other")
    resources["Subscription"] = resource(
        "SNS::Subscription",
        TopicArn={"Ref": "Topic"},
        Protocol="sqs",
        Endpoint=get("Letters", "Arn"),
    )
    assert stack.update(resources) == "UPDATE_COMPLETE", stack.failures()
    assert stack.id("Topic") == topic
    assert told()["DisplayName"] == "Other"
    assert "KmsMasterKeyId" not in told()
    assert "events.amazonaws.com" not in told()["Policy"]
    by_topic = client.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert mail not in {each["Endpoint"] for each in by_topic}
    assert subscribed(subscription)["RawMessageDelivery"] == "false"
    assert "FilterPolicy" not in subscribed(subscription)
    resources["Subscription"]["Properties"] |= {"Protocol": "email", "Endpoint": mail}
    assert stack.update(resources) == "UPDATE_COMPLETE"
    assert stack.id("Subscription") != subscription
    stack.delete()
    with pytest.raises(ClientError, match="does not exist"):
        told()


@pytest.mark.emulates(
    "AWS::Events::Rule",
    "AWS::Events::EventBus",
    "AWS::Scheduler::Schedule",
    "AWS::Scheduler::ScheduleGroup",
)
def test_rules_and_schedules_are_what_their_template_says(aws, stack):
    rules, schedules = aws.client("events"), aws.client("scheduler")
    bus, group = new_name("bus"), new_name("group")
    queue = get("Queue", "Arn")
    target = {
        "Id": "one",
        "Arn": queue,
        "DeadLetterConfig": {"Arn": queue},
        "RetryPolicy": {"MaximumRetryAttempts": 2, "MaximumEventAgeInSeconds": 60},
        "InputTransformer": {
            "InputPathsMap": {"key": "$.detail.object.key"},
            "InputTemplate": '{"key": <key>}',
        },
    }
    resources = {
        "Role": resource("IAM::Role", AssumeRolePolicyDocument=TRUST),
        "Queue": resource("SQS::Queue"),
        "Bus": resource("Events::EventBus", Name=bus),
        "Rule": resource(
            "Events::Rule",
            Description="why",
            EventPattern={"source": ["aws.s3"], "detail": {"size": [3]}},
            State="DISABLED",
            Targets=[target, {"Id": "two", "Arn": queue, "Input": "1"}],
        ),
        "OnBus": resource(
            "Events::Rule",
            EventBusName={"Ref": "Bus"},
            EventPattern={"source": ["mine"]},
            Targets=[{"Id": "one", "Arn": queue, "InputPath": "$.detail"}],
        ),
        "Timed": resource("Events::Rule", ScheduleExpression="rate(1 day)"),
        "Group": resource("Scheduler::ScheduleGroup", Name=group, Tags=TAGS),
        "Schedule": resource(
            "Scheduler::Schedule",
            Description="nightly",
            FlexibleTimeWindow={"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 10},
            GroupName={"Ref": "Group"},
            ScheduleExpression="cron(0 3 * * ? *)",
            ScheduleExpressionTimezone="Europe/Berlin",
            StartDate="2090-01-01T00:00:00Z",
            EndDate="2091-01-01T00:00:00Z",
            State="DISABLED",
            Target={
                "Arn": queue,
                "RoleArn": get("Role", "Arn"),
                "Input": "{}",
                "DeadLetterConfig": {"Arn": queue},
                "RetryPolicy": {
                    "MaximumEventAgeInSeconds": 120,
                    "MaximumRetryAttempts": 1,
                },
            },
        ),
    }
    outputs = {
        name: get(name, "Arn") for name in ("Rule", "OnBus", "Bus", "Group", "Schedule")
    }
    assert stack.create(resources, outputs) == "CREATE_COMPLETE", stack.failures()
    arns, name = stack.outputs(), stack.id("Rule")
    told = rules.describe_rule(Name=name)
    assert told["Arn"] == arns["Rule"]
    assert (told["State"], told["Description"]) == ("DISABLED", "why")
    pattern = resources["Rule"]["Properties"]["EventPattern"]
    assert json.loads(told["EventPattern"]) == pattern
    arn = f"arn:aws:sqs:us-east-1:{aws.account_id}:{stack.id('Queue').split('/')[-1]}"
    written = json.loads(json.dumps(target).replace(json.dumps(queue), f'"{arn}"'))
    targets = rules.list_targets_by_rule(Rule=name)["Targets"]
    assert targets == [written, {"Id": "two", "Arn": arn, "Input": "1"}]
    on_bus = stack.id("OnBus").partition("|")[2]
    told = rules.describe_rule(Name=on_bus, EventBusName=bus)
    assert told["Arn"] == arns["OnBus"]
    assert arns["OnBus"].endswith(f":rule/{bus}/{on_bus}")
    assert rules.describe_event_bus(Name=bus)["Arn"] == arns["Bus"]
    told = rules.describe_rule(Name=stack.id("Timed"))
    assert told["ScheduleExpression"] == "rate(1 day)"

    def schedule():
        told = schedules.get_schedule(Name=stack.id("Schedule"), GroupName=group)
        return {
            name: value
            for name, value in told.items()
            if name not in ("ResponseMetadata", "CreationDate", "LastModificationDate")
        }

    given = resources["Schedule"]["Properties"]
    told = schedule()
    assert told.pop("Arn") == arns["Schedule"]
    assert f"{told.pop('StartDate'):%Y}{told.pop('EndDate'):%Y}" == "20902091"
    assert told.pop("Target") == {
        **given["Target"],
        "Arn": arn,
        "RoleArn": aws.client("iam").get_role(RoleName=stack.id("Role"))["Role"]["Arn"],
        "DeadLetterConfig": {"Arn": arn},
    }
    assert told == {
        **{
            name: value
            for name, value in given.items()
            if name not in ("StartDate", "EndDate", "Target")
        },
        "GroupName": group,
        "Name": stack.id("Schedule"),
    }
    tags = schedules.list_tags_for_resource(ResourceArn=arns["Group"])["Tags"]
    assert TAGS[0] in tags
    resources["Rule"] = resource(
        "Events::Rule", EventPattern={"source": ["other"]}, Targets=[target]
    )
    for gone in ("Description", "StartDate", "EndDate", "ScheduleExpressionTimezone"):
        del given[gone]
    given |= {"State": "ENABLED", "FlexibleTimeWindow": {"Mode": "OFF"}}
    assert stack.update(resources) == "UPDATE_COMPLETE", stack.failures()
    assert stack.id("Rule") == name
    told = rules.describe_rule(Name=name)
    assert (told["State"], told.get("Description")) == ("ENABLED", None)
    assert [
        each["Id"] for each in rules.list_targets_by_rule(Rule=name)["Targets"]
    ] == ["one"]
    told = schedule()
    assert told["ScheduleExpressionTimezone"] == "UTC"
    assert told["FlexibleTimeWindow"] == {"Mode": "OFF"}
    assert not {"Description", "StartDate", "EndDate"} & set(told)
    resources["Rule"]["Properties"]["Name"] = new_name("renamed")
    assert stack.update(resources) == "UPDATE_COMPLETE", stack.failures()
    with pytest.raises(ClientError, match="does not exist"):
        rules.describe_rule(Name=name)
    stack.delete()
    with pytest.raises(ClientError, match="does not exist"):
        rules.describe_rule(Name=stack_name(resources))
    with pytest.raises(ClientError, match="does not exist"):
        schedules.get_schedule_group(Name=group)


def stack_name(resources):
    return resources["Rule"]["Properties"]["Name"]


@pytest.mark.emulates("AWS::Lambda::EventSourceMapping")
def test_a_mapping_is_what_its_template_says(aws, stack):
    client = aws.client("lambda")
    resources = {
        "Role": resource(
            "IAM::Role",
            AssumeRolePolicyDocument=TRUST,
            Policies=[
                {
                    "PolicyName": "only",
                    "PolicyDocument": {
                        "Version": "2012-10-17",
                        "Statement": [
                            {"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}
                        ],
                    },
                }
            ],
        ),
        "Function": resource(
            "Lambda::Function",
            Code={"ZipFile": "def handler(event, context): pass"},
            Handler="index.handler",
            Runtime="python3.13",
            Role=get("Role", "Arn"),
        ),
        "Queue": resource("SQS::Queue"),
        "Mapping": resource(
            "Lambda::EventSourceMapping",
            BatchSize=100,
            Enabled=False,
            EventSourceArn=get("Queue", "Arn"),
            FunctionName={"Ref": "Function"},
            FunctionResponseTypes=["ReportBatchItemFailures"],
            MaximumBatchingWindowInSeconds=30,
        ),
    }
    outputs = {name: get("Mapping", name) for name in ("Id", "EventSourceMappingArn")}
    assert stack.create(resources, outputs) == "CREATE_COMPLETE", stack.failures()
    mapping = stack.id("Mapping")
    assert stack.outputs()["Id"] == mapping
    told = client.get_event_source_mapping(UUID=mapping)
    assert told["EventSourceMappingArn"] == stack.outputs()["EventSourceMappingArn"]
    assert (told["State"], told["BatchSize"]) == ("Disabled", 100)
    assert told["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert told["MaximumBatchingWindowInSeconds"] == 30
    given = resources["Mapping"]["Properties"]
    del given["FunctionResponseTypes"], given["MaximumBatchingWindowInSeconds"]
    given |= {"Enabled": True, "BatchSize": 5}
    assert stack.update(resources) == "UPDATE_COMPLETE", stack.failures()
    told = client.get_event_source_mapping(UUID=mapping)
    assert (told["State"], told["BatchSize"]) == ("Enabled", 5)
    assert told["FunctionResponseTypes"] == []
    assert told["MaximumBatchingWindowInSeconds"] == 0
    stack.delete()
    with pytest.raises(ClientError, match="does not exist"):
        client.get_event_source_mapping(UUID=mapping)


def test_a_bucket_tells_event_buses_if_its_template_says_so(aws, stack):
    client, name = aws.client("s3"), f"told-{uuid.uuid4().hex[:8]}"

    def configured():
        told = client.get_bucket_notification_configuration(Bucket=name)
        return "EventBridgeConfiguration" in told

    def bucket(**settings):
        return {"Bucket": resource("S3::Bucket", BucketName=name, **settings)}

    def bridge(**settings):
        return {"NotificationConfiguration": {"EventBridgeConfiguration": settings}}

    assert stack.create(bucket(**bridge(EventBridgeEnabled=True))) == "CREATE_COMPLETE"
    assert configured()
    assert stack.update(bucket(**bridge(EventBridgeEnabled=False))).startswith("UPDATE")
    assert not configured()
    stack.update(bucket(**bridge(EventBridgeEnabled=True)))
    assert stack.update(bucket()) == "UPDATE_COMPLETE"
    assert not configured()
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
