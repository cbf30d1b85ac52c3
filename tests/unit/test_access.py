"""Who may do what: the statements, party by party."""

import json

import aws_cdk as cdk
import pytest
from aws_cdk import aws_s3 as s3
from aws_cdk.assertions import Match, Template

from cdk_personalize_segments import BatchSegmentPipeline, SolutionVersion

SOLUTION = "arn:aws:personalize:us-east-1:111122223333:solution/films"
SOURCE = {
    "Fn::Join": [
        "",
        [
            "arn:",
            {"Ref": "AWS::Partition"},
            ":personalize:",
            {"Ref": "AWS::Region"},
            ":",
            {"Ref": "AWS::AccountId"},
            ":*",
        ],
    ]
}


def test_only_this_account_s_personalize_assumes_the_service_role(stack, make_pipeline):
    make_pipeline()
    Template.from_stack(stack).has_resource_properties(
        "AWS::IAM::Role",
        {
            "AssumeRolePolicyDocument": {
                "Statement": [
                    {
                        "Action": "sts:AssumeRole",
                        "Condition": {
                            "StringEquals": {
                                "aws:SourceAccount": {"Ref": "AWS::AccountId"}
                            },
                            "ArnLike": {"aws:SourceArn": SOURCE},
                        },
                        "Effect": "Allow",
                        "Principal": {"Service": "personalize.amazonaws.com"},
                    }
                ],
                "Version": "2012-10-17",
            }
        },
    )


def test_the_service_role_reads_input_and_writes_output_and_nothing_else(
    stack, make_pipeline, statements
):
    make_pipeline()
    found = statements(Template.from_stack(stack), "ServiceRole")
    assert [(each["Action"], _text(each["Resource"])) for each in found] == [
        ("s3:GetObject", "<InputBucket>/input/*"),
        ("s3:ListBucket", "<InputBucket>"),
        ("s3:PutObject", "<OutputBucket>/output/*"),
        ("s3:ListBucket", "<OutputBucket>"),
    ]
    assert [each.get("Condition") for each in found] == [
        None,
        {"StringLikeIfExists": {"s3:prefix": "input/*"}},
        None,
        {"StringLikeIfExists": {"s3:prefix": "output/*"}},
    ]


@pytest.mark.parametrize(
    ("bucket", "action", "objects"),
    [
        ("InputBucket", "s3:GetObject", "/input/*"),
        ("OutputBucket", "s3:PutObject", "/output/*"),
    ],
)
def test_bucket_policies_let_personalize_do_the_same(
    stack, make_pipeline, bucket, action, objects
):
    make_pipeline()
    Template.from_stack(stack).has_resource_properties(
        "AWS::S3::BucketPolicy",
        {
            "PolicyDocument": {
                "Statement": Match.array_with(
                    [
                        {
                            "Action": action,
                            "Condition": {
                                "StringEqualsIfExists": {
                                    "aws:SourceAccount": {"Ref": "AWS::AccountId"}
                                },
                                "ArnLikeIfExists": {"aws:SourceArn": SOURCE},
                            },
                            "Effect": "Allow",
                            "Principal": {"Service": "personalize.amazonaws.com"},
                            "Resource": {
                                "Fn::Join": [
                                    "",
                                    [
                                        {
                                            "Fn::GetAtt": [
                                                Match.string_like_regexp(bucket),
                                                "Arn",
                                            ]
                                        },
                                        objects,
                                    ],
                                ]
                            },
                            "Sid": Match.any_value(),
                        }
                    ]
                )
            }
        },
    )


def test_functions_reach_only_what_their_task_needs(stack, make_pipeline, statements):
    make_pipeline()
    template = Template.from_stack(stack)
    allowed = {
        role: {
            (action, _text(statement["Resource"]))
            for statement in statements(template, f"{role}Role")
            for action in _listed(statement["Action"])
            if action.split(":")[0] in ("s3", "personalize", "iam")
        }
        for role in ("Prepare", "CreateJob", "PollJob", "Collect", "Finish")
    }
    [run_prefix] = {
        function["Properties"]["Environment"]["Variables"]["RUN_PREFIX"]
        for function in template.find_resources("AWS::Lambda::Function").values()
    }
    jobs = f"<Personalize>:batch-segment-job/{run_prefix}-*"
    assert allowed == {
        "Prepare": {
            ("s3:ListBucket", "<InputBucket>"),
            ("s3:ListBucketVersions", "<InputBucket>"),
            ("s3:GetObject", "<InputBucket>/queries/*"),
            ("s3:GetObjectVersion", "<InputBucket>/queries/*"),
            ("s3:GetObject", "<InputBucket>/input/*"),
            ("s3:PutObject", "<InputBucket>/input/*"),
            ("s3:AbortMultipartUpload", "<InputBucket>/input/*"),
            ("s3:DeleteObject", "<InputBucket>/input/*"),
            ("s3:PutObject", "<OutputBucket>/results/*"),
            ("s3:AbortMultipartUpload", "<OutputBucket>/results/*"),
            ("personalize:DescribeSolutionVersion", f"{SOLUTION}/*"),
            ("personalize:DescribeFilter", "<Personalize>:filter/*"),
        },
        "CreateJob": {
            ("personalize:CreateBatchSegmentJob", jobs),
            ("personalize:DescribeBatchSegmentJob", jobs),
            ("personalize:TagResource", jobs),
            ("iam:PassRole", "<ServiceRole>"),
        },
        "PollJob": {("personalize:DescribeBatchSegmentJob", jobs)},
        "Collect": {
            ("s3:GetObject", "<InputBucket>/input/*"),
            ("s3:ListBucket", "<InputBucket>"),
            ("s3:GetObject", "<OutputBucket>/output/*"),
            ("s3:GetObject", "<OutputBucket>/results/*/parts/*"),
            ("s3:ListBucket", "<OutputBucket>"),
            ("s3:DeleteObject", "<OutputBucket>/results/*/users/*"),
            ("s3:PutObject", "<OutputBucket>/results/*"),
            ("s3:AbortMultipartUpload", "<OutputBucket>/results/*"),
        },
        "Finish": {
            ("s3:GetObject", "<InputBucket>/input/*.plan/*"),
            ("s3:ListBucket", "<InputBucket>"),
            ("s3:GetObject", "<OutputBucket>/results/*"),
            ("s3:ListBucket", "<OutputBucket>"),
            ("s3:PutObject", "<OutputBucket>/results/*"),
            ("s3:AbortMultipartUpload", "<OutputBucket>/results/*"),
        },
    }


def test_the_service_role_is_passed_to_personalize_only(
    stack, make_pipeline, statements
):
    make_pipeline()
    found = statements(Template.from_stack(stack), "CreateJobRole")
    [passing] = [each for each in found if each["Action"] == "iam:PassRole"]
    assert passing["Condition"] == {
        "StringEquals": {"iam:PassedToService": "personalize.amazonaws.com"}
    }


@pytest.mark.parametrize(
    ("properties", "looked_up"),
    [
        (
            {"solution_version": SolutionVersion.latest_of(SOLUTION)},
            {
                ("personalize:DescribeSolutionVersion", f"{SOLUTION}/*"),
                ("personalize:DescribeSolution", SOLUTION),
                ("personalize:ListSolutionVersions", "*"),
            },
        ),
        (
            {"allow_any_solution": True},
            {("personalize:DescribeSolutionVersion", "<Personalize>:solution/*")},
        ),
    ],
)
def test_looking_solutions_up_follows_the_properties(
    stack, make_pipeline, statements, properties, looked_up
):
    make_pipeline(**properties)
    found = statements(Template.from_stack(stack), "PrepareRole")
    assert looked_up == {
        (statement["Action"], _text(statement["Resource"]))
        for statement in found
        if "Solution" in str(statement["Action"])
    }


def test_the_state_machine_calls_every_version_of_its_functions(
    stack, make_pipeline, statements
):
    make_pipeline()
    found = statements(Template.from_stack(stack), "StateMachineRole")
    [calling] = [each for each in found if each["Action"] == "lambda:InvokeFunction"]
    assert {_text(each) for each in calling["Resource"]} == {
        f"<{name}>:*"
        for name in ("Prepare", "CreateJob", "PollJob", "Collect", "Finish")
    }


def test_no_construct_adds_a_policy_of_its_own(stack, make_pipeline):
    make_pipeline()
    Template.from_stack(stack).resource_count_is("AWS::IAM::Policy", 0)
    Template.from_stack(stack).resource_properties_count_is(
        "AWS::IAM::Role", {"ManagedPolicyArns": Match.any_value()}, 0
    )


def test_the_owner_of_an_imported_bucket_is_told_what_to_add(make_stack):
    stack = make_stack(
        {}, env=cdk.Environment(account="111122223333", region="eu-west-1")
    )
    BatchSegmentPipeline(
        stack,
        "Segments",
        solution_version=SolutionVersion.latest_of(
            SOLUTION.replace("us-east-1", "eu-west-1")
        ),
        output_bucket=s3.Bucket.from_bucket_name(stack, "Theirs", "their-bucket"),
    )
    [message] = [
        str(each.entry.data)
        for each in stack.node.root.synth().get_stack_by_name("Films").messages
    ]
    assert "cdk-personalize-segments:outputBucketPolicyNotManaged" in message
    assert "output_bucket 'their-bucket' is imported" in message
    pasted = json.loads(message[message.index("[\n") : message.rindex("\n]") + 2])
    assert pasted[0] == {
        "Action": "s3:PutObject",
        "Condition": {
            "StringEqualsIfExists": {"aws:SourceAccount": "111122223333"},
            "ArnLikeIfExists": {
                "aws:SourceArn": (
                    "arn:${AWS::Partition}:personalize:eu-west-1:111122223333:*"
                )
            },
        },
        "Effect": "Allow",
        "Principal": {"Service": "personalize.amazonaws.com"},
        "Resource": "arn:${AWS::Partition}:s3:::their-bucket/output/*",
        "Sid": "WriteJobOutput",
    }
    assert [each["Action"] for each in pasted] == ["s3:PutObject", "s3:ListBucket"]


def _listed(action):
    return [action] if isinstance(action, str) else action


def _text(value):
    """Write an ARN shortly: `<Logical>` for what the template only refers to."""
    match value:
        case {"Fn::GetAtt": [name, "Arn"]}:
            return f"<{name.removeprefix('Segments')[:-8]}>"
        case {"Fn::Join": ["", ["arn:", _, ":personalize:", _, ":", _, rest]]}:
            return f"<Personalize>{rest}"
        case {"Fn::Join": ["", parts]}:
            return "".join(_text(part) for part in parts)
    return value
