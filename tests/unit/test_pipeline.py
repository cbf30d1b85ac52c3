"""What a pipeline defines, offers and leaves to others."""

import json

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk.assertions import Match, Template

from cdk_personalize_segments import BatchSegmentPipeline, SolutionVersion

SOLUTION = "arn:aws:personalize:us-east-1:111122223333:solution/films"
MACHINE = "arn:aws:states:us-east-1:111122223333:stateMachine:Segments"


def test_a_default_pipeline_takes_at_most_30_resources(stack, make_pipeline):
    make_pipeline()
    resources = Template.from_stack(stack).to_json()["Resources"]
    assert len(resources) <= 30


def test_nothing_but_the_log_group_has_a_physical_name(stack, make_pipeline):
    make_pipeline()
    named = [
        (resource["Type"], name)
        for resource in Template.from_stack(stack).to_json()["Resources"].values()
        for name in resource.get("Properties", {})
        if name.endswith("Name") and name != "FunctionName"
    ]
    assert named == [("AWS::Logs::LogGroup", "LogGroupName")]


def test_the_log_group_s_name_has_the_stack_s_id_in_it(stack, make_pipeline):
    make_pipeline()
    Template.from_stack(stack).has_resource_properties(
        "AWS::Logs::LogGroup",
        {
            "LogGroupName": {
                "Fn::Join": [
                    "",
                    [
                        Match.string_like_regexp(
                            "^/aws/vendedlogs/states/Films-Segments-[0-9a-f]{8}-$"
                        ),
                        {
                            "Fn::Select": [
                                2,
                                {"Fn::Split": ["/", {"Ref": "AWS::StackId"}]},
                            ]
                        },
                    ],
                ]
            }
        },
    )


def test_buckets_are_private_versioned_tls_only_and_stay(stack, make_pipeline):
    make_pipeline()
    template = Template.from_stack(stack)
    template.resource_count_is("AWS::S3::Bucket", 2)
    template.all_resources(
        "AWS::S3::Bucket",
        {
            "DeletionPolicy": "Retain",
            "UpdateReplacePolicy": "Retain",
        },
    )
    template.all_resources_properties(
        "AWS::S3::Bucket",
        {
            "VersioningConfiguration": {"Status": "Enabled"},
            "PublicAccessBlockConfiguration": {
                "BlockPublicAcls": True,
                "BlockPublicPolicy": True,
                "IgnorePublicAcls": True,
                "RestrictPublicBuckets": True,
            },
            "OwnershipControls": {
                "Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]
            },
        },
    )
    template.all_resources_properties(
        "AWS::S3::BucketPolicy",
        {
            "PolicyDocument": {
                "Statement": Match.array_with(
                    [
                        Match.object_like(
                            {
                                "Action": "s3:*",
                                "Effect": "Deny",
                                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                            }
                        )
                    ]
                )
            }
        },
    )


def test_prepared_inputs_expire_for_good_and_query_files_never(stack, make_pipeline):
    make_pipeline(input_prefix="prepared/")
    rules = _lifecycle_rules(stack, "Input")
    assert [rule for rule in rules if rule.get("Prefix") != "prepared/"] == [
        {
            "Id": "IncompleteUploads",
            "Status": "Enabled",
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
        }
    ]
    assert _expiry(rules) == {
        "ExpirationInDays": 30,
        "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
        "ExpiredObjectDeleteMarker": True,
    }


def test_outputs_are_kept_unless_told_otherwise(stack, make_pipeline):
    make_pipeline()
    assert _expiry(_lifecycle_rules(stack, "Output")) == {}


def test_outputs_and_results_expire_for_good(stack, make_pipeline):
    make_pipeline(output_expiration=cdk.Duration.days(90))
    rules = _lifecycle_rules(stack, "Output")
    for prefix in ("output/", "results/"):
        assert _expiry([rule for rule in rules if rule.get("Prefix") == prefix]) == {
            "ExpirationInDays": 90,
            "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
            "ExpiredObjectDeleteMarker": True,
        }


def test_functions_run_on_the_newest_python_with_traces_and_json_logs(
    stack, make_pipeline
):
    make_pipeline(architecture=lambda_.Architecture.X86_64)
    template = Template.from_stack(stack)
    template.all_resources_properties(
        "AWS::Lambda::Function",
        {
            "Runtime": "python3.14",
            "Architectures": ["x86_64"],
            "TracingConfig": {"Mode": "Active"},
            "LoggingConfig": {"LogFormat": "JSON", "LogGroup": Match.any_value()},
        },
    )
    functions = template.find_resources("AWS::Lambda::Function").values()
    # Each carries its own modules only.
    assert len({str(each["Properties"]["Code"]) for each in functions}) == 5
    assert len({str(each["Properties"]["LoggingConfig"]) for each in functions}) == 1


def test_old_versions_of_functions_are_retained(stack, make_pipeline):
    make_pipeline()
    template = Template.from_stack(stack)
    template.resource_count_is("AWS::Lambda::Version", 5)
    template.all_resources(
        "AWS::Lambda::Version",
        # Not that of a deployment that fails: it would block the next one.
        {"DeletionPolicy": "RetainExceptOnCreate", "UpdateReplacePolicy": "Retain"},
    )


def test_a_version_is_published_when_a_bucket_is_replaced(stack, make_pipeline):
    bucket = s3.Bucket(stack, "Lake", bucket_name="lake")
    make_pipeline(output_bucket=bucket)
    versions = Template.from_stack(stack).find_resources("AWS::Lambda::Version")
    reference = stack.resolve(bucket.bucket_name)
    for version in versions.values():
        assert reference in version["Properties"]["Description"]["Fn::Join"][1]


def test_a_function_takes_grants_of_its_owner(stack, make_pipeline):
    table = s3.Bucket(stack, "Table")
    table.grant_read(make_pipeline().functions[0])
    Template.from_stack(stack).resource_count_is("AWS::IAM::Policy", 1)


def test_logs_go_with_the_stack_after_their_retention(stack, make_pipeline):
    make_pipeline(log_retention=logs.RetentionDays.ONE_WEEK)
    template = Template.from_stack(stack)
    template.resource_count_is("AWS::Logs::LogGroup", 2)
    template.all_resources(
        "AWS::Logs::LogGroup",
        {"DeletionPolicy": "Delete", "Properties": {"RetentionInDays": 7}},
    )


@pytest.mark.parametrize(
    ("policy", "written"),
    [(cdk.RemovalPolicy.DESTROY, "Delete"), (cdk.RemovalPolicy.RETAIN, "Retain")],
)
def test_the_removal_policy_is_that_of_the_buckets_and_their_policies(
    stack, make_pipeline, policy, written
):
    make_pipeline(removal_policy=policy)
    for kind in ("AWS::S3::Bucket", "AWS::S3::BucketPolicy"):
        Template.from_stack(stack).all_resources(kind, {"DeletionPolicy": written})


def test_the_pipeline_shows_what_it_is_made_of(stack, make_pipeline):
    bucket = s3.Bucket.from_bucket_name(stack, "Mine", "my-bucket")
    pipeline = make_pipeline(input_bucket=bucket)
    assert pipeline.input_bucket is bucket
    assert pipeline.output_bucket.node.path == "Films/Segments/OutputBucket"
    assert pipeline.service_role.node.path == "Films/Segments/ServiceRole"
    assert pipeline.state_machine.node.path == "Films/Segments/StateMachine"
    assert pipeline.log_group.node.path == "Films/Segments/StateMachineLogs"
    assert [each.node.id for each in pipeline.functions] == [
        "Prepare",
        "CreateJob",
        "PollJob",
        "Collect",
        "Finish",
    ]


@pytest.mark.parametrize(
    ("grant", "actions"),
    [
        ("grant_start_execution", {"states:StartExecution"}),
        ("grant_put_queries", {"s3:AbortMultipartUpload", "s3:PutObject"}),
        ("grant_read_results", {"s3:GetObject", "s3:ListBucket"}),
    ],
)
def test_a_grant_gives_just_what_it_says(stack, make_pipeline, grant, actions):
    user = iam.User(stack, "User")
    getattr(make_pipeline(), grant)(user)
    [policy] = Template.from_stack(stack).find_resources("AWS::IAM::Policy").values()
    given = set()
    for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
        listed = statement["Action"]
        given |= {listed} if isinstance(listed, str) else set(listed)
        assert statement["Resource"] != "*"
    assert given == actions


def test_an_imported_pipeline_can_be_started_and_measured(stack):
    pipeline = BatchSegmentPipeline.from_state_machine_arn(stack, "Other", MACHINE)
    pipeline.grant_start_execution(iam.User(stack, "User"))
    Template.from_stack(stack).has_resource_properties(
        "AWS::IAM::Policy",
        {
            "PolicyDocument": {
                "Statement": [
                    {
                        "Action": "states:StartExecution",
                        "Effect": "Allow",
                        "Resource": MACHINE,
                    }
                ]
            }
        },
    )


@pytest.mark.parametrize(
    ("method", "name"),
    [
        ("metric_succeeded", "ExecutionsSucceeded"),
        ("metric_failed", "ExecutionsFailed"),
        ("metric_timed_out", "ExecutionsTimedOut"),
    ],
)
@pytest.mark.parametrize("imported", [True, False])
def test_metrics_are_those_of_the_executions(
    stack, make_pipeline, method, name, imported
):
    pipeline = (
        BatchSegmentPipeline.from_state_machine_arn(stack, "Other", MACHINE)
        if imported
        else make_pipeline()
    )
    metric = getattr(pipeline, method)(period=cdk.Duration.hours(1))
    assert (metric.namespace, metric.metric_name) == ("AWS/States", name)
    assert metric.statistic == "Sum"
    assert metric.period.to_seconds() == 3600
    arn = stack.resolve(pipeline.state_machine.state_machine_arn)
    assert stack.resolve(metric.dimensions) == {"StateMachineArn": arn}


def test_run_prefixes_differ_by_stack_and_by_path(make_stack):
    prefixes = set()
    for stack_name in ("Films-dev", "Films-prod"):
        stack = make_stack({}, stack_name=stack_name)
        for scope in (stack, cdk.NestedStack(stack, "Nested")):
            BatchSegmentPipeline(
                scope, "P", solution_version=SolutionVersion.latest_of(SOLUTION)
            )
        prefixes |= _run_prefixes(stack)
    assert len(prefixes) == 4
    assert all(len(prefix) <= 33 for prefix in prefixes)


def test_two_synths_are_equal_to_the_byte(make_stack, context):
    def synth():
        stack = make_stack(context)
        for construct_id in ("First", "Second"):
            BatchSegmentPipeline(
                stack,
                construct_id,
                solution_version=SolutionVersion.latest_of(SOLUTION),
                job_tags={"b": "1", "a": "2"},
            )
        return json.dumps(Template.from_stack(stack).to_json())

    assert synth() == synth()


def _run_prefixes(stack):
    stacks = [stack, *(each for each in stack.node.find_all() if _is_nested(each))]
    return {
        function["Properties"]["Environment"]["Variables"]["RUN_PREFIX"]
        for each in stacks
        for function in Template.from_stack(each)
        .find_resources("AWS::Lambda::Function")
        .values()
    }


def _is_nested(construct):
    return isinstance(construct, cdk.NestedStack)


def _lifecycle_rules(stack, name):
    buckets = Template.from_stack(stack).find_resources("AWS::S3::Bucket")
    [bucket] = [each for key, each in buckets.items() if name in key]
    return bucket["Properties"]["LifecycleConfiguration"]["Rules"]


def _expiry(rules):
    ignored = ("Id", "Prefix", "Status", "AbortIncompleteMultipartUpload")
    return {
        key: value
        for rule in rules
        for key, value in rule.items()
        if key not in ignored
    }
