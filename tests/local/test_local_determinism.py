"""The same seed, beginning and calls give the same account."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import json
from datetime import UTC, datetime
from cdk_personalize_segments.local import LocalAws

TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
    "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}]}
TEMPLATE = {"Resources": {
    "Data": {"Type": "AWS::S3::Bucket",
        "Properties": {"VersioningConfiguration": {"Status": "Enabled"}}},
    "Group": {"Type": "AWS::Logs::LogGroup"},
    "Key": {"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": TRUST}},
    "Role": {"Type": "AWS::IAM::Role",
        "Properties": {"AssumeRolePolicyDocument": TRUST}},
    "Made": {"Type": "AWS::CDK::Metadata"},
}, "Outputs": {"RoleId": {"Value": {"Fn::GetAtt": ["Role", "RoleId"]}}}}

def use():
    begins = datetime(2025, 2, 3, 4, 5, 6, tzinfo=UTC)
    with LocalAws(begins=begins, seed=7) as aws:
        stacks, s3 = aws.client("cloudformation"), aws.client("s3")
        stacks.create_stack(StackName="one", TemplateBody=json.dumps(TEMPLATE),
            Capabilities=["CAPABILITY_IAM"])
        made = stacks.describe_stack_resources(StackName="one")["StackResources"]
        ids = {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in made}
        stacks.create_change_set(StackName="one", ChangeSetName="next",
            Capabilities=["CAPABILITY_IAM"],
            TemplateBody=json.dumps(TEMPLATE), Tags=[{"Key": "a", "Value": "b"}])
        aws.clock.sleep(3600)
        put = s3.put_object(Bucket=ids["Data"], Key="a", Body=b"a")
        upload = s3.create_multipart_upload(Bucket=ids["Data"], Key="b")
        role = aws.client("iam").get_role(RoleName=ids["Role"])["Role"]
        return json.dumps([
            made,
            stacks.describe_stacks()["Stacks"],
            stacks.describe_stack_events(StackName="one")["StackEvents"],
            stacks.list_change_sets(StackName="one")["Summaries"],
            put["VersionId"], upload["UploadId"],
            s3.list_objects_v2(Bucket=ids["Data"])["Contents"],
            s3.list_buckets()["Buckets"],
            role,
            aws.sessions.issue(role["Arn"]),
            aws.client("logs").describe_log_groups()["logGroups"],
            aws.client("kms").describe_key(KeyId=ids["Key"])["KeyMetadata"],
        ], default=str)

print(use())
"""


def start(hash_seed: str) -> subprocess.Popen[str]:
    """Use an account in a process where sets are laid out in a way of their own."""
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": "constructs", "PYTHONHASHSEED": hash_seed},
    )


# Two starts of a whole account.
@pytest.mark.slow
def test_accounts_with_the_same_seed_and_beginning_are_the_same() -> None:
    processes = [start("1"), start("2")]
    first, second = (process.communicate()[0] for process in processes)
    assert json.loads(first)
    assert first == second
