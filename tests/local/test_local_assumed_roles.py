"""Whose rights requests have: those of roles that were assumed, or nobody's."""

import json
import urllib.error
import urllib.request
import uuid

import pytest
from botocore.exceptions import ClientError


def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def trusting(**principal):
    return {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}


def code(call, **parameters):
    with pytest.raises(ClientError) as refused:
        call(**parameters)
    return refused.value.response["Error"]["Code"]


@pytest.fixture(scope="module")
def bucket(aws):
    """A bucket with an object, `a`, that its owner alone may read."""
    s3 = aws.client("s3")
    name = f"test-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="a", Body=b"a")
    return name


@pytest.fixture
def make_role(aws):
    """Make a role that the account may assume; give its ARN."""

    def make(*statements, trust=None, **settings):
        iam, name = aws.client("iam"), f"role-{uuid.uuid4().hex[:12]}"
        trust = trust or trusting(AWS=aws.account_id)
        role = iam.create_role(
            RoleName=name, AssumeRolePolicyDocument=document(trust), **settings
        )["Role"]
        if statements:
            iam.put_role_policy(
                RoleName=name, PolicyName="p", PolicyDocument=document(*statements)
            )
        return role["Arn"]

    return make


@pytest.fixture
def assume(aws):
    """Assume a role; give what makes clients of the session."""

    def make(role_arn, **parameters):
        given = aws.client("sts").assume_role(
            RoleArn=role_arn, RoleSessionName="me", **parameters
        )["Credentials"]

        def client(service):
            return aws.create_client(
                service,
                aws.region,
                aws_access_key_id=given["AccessKeyId"],
                aws_secret_access_key=given["SecretAccessKey"],
                aws_session_token=given["SessionToken"],
            )

        return client

    return make


@pytest.mark.bridge("moto.sts.models.STSBackend.assume_role")
@pytest.mark.emulates("sts:AssumeRole")
def test_a_role_that_is_assumed_has_its_own_rights_only(aws, bucket, make_role, assume):
    reads = {
        "Effect": "Allow",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{bucket}/*",
    }
    without, reader = assume(make_role())("s3"), assume(make_role(reads))("s3")

    assert reader.get_object(Bucket=bucket, Key="a")["Body"].read() == b"a"
    assert code(reader.put_object, Bucket=bucket, Key="b") == "AccessDenied"
    assert code(without.get_object, Bucket=bucket, Key="a") == "AccessDenied"
    with pytest.raises(ClientError, match=r"assumed-role/role-.*/me is not authorized"):
        without.get_object(Bucket=bucket, Key="a")


@pytest.mark.bridge("moto.sts.models.STSBackend.get_caller_identity")
@pytest.mark.emulates("sts:GetCallerIdentity")
def test_a_session_is_told_whose_it_is(aws, make_role):
    role = make_role()
    issued = aws.sessions.issue(role, "mine")
    told = aws.create_client("sts", aws.region, **issued).get_caller_identity()
    name = role.rpartition("/")[2]
    assert told["Arn"] == f"arn:aws:sts::{aws.account_id}:assumed-role/{name}/mine"


def test_a_role_is_assumed_by_those_it_trusts(aws, make_role, assume):
    function = make_role(trust=trusting(Service="lambda.amazonaws.com"))
    with pytest.raises(ClientError, match="not authorized to perform: sts:AssumeRole"):
        assume(function)
    with pytest.raises(ClientError, match="AccessDenied"):
        assume(f"arn:aws:iam::{aws.account_id}:role/none")

    asks = trusting(AWS=aws.account_id)
    asks["Condition"] = {"StringEquals": {"sts:ExternalId": "42"}}
    partner = make_role(trust=asks)
    assume(partner, ExternalId="42")
    with pytest.raises(ClientError, match="AccessDenied"):
        assume(partner, ExternalId="41")


def test_a_session_assumes_what_its_role_and_the_trust_allow(make_role, assume):
    second = make_role()
    may = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": second}
    wanted = {"RoleArn": second, "RoleSessionName": "next"}

    assert assume(make_role(may))("sts").assume_role(**wanted)["Credentials"]
    assert code(assume(make_role())("sts").assume_role, **wanted) == "AccessDenied"
    # One that names the role needs no permission of it.
    first = make_role()
    third = make_role(trust=trusting(AWS=first))
    assert assume(first)("sts").assume_role(**{**wanted, "RoleArn": third})


def test_roles_that_the_cdk_bootstraps_keep_the_rights_of_the_developer(
    make_role, assume
):
    tags = [{"Key": "aws-cdk:bootstrap-role", "Value": "deploy"}]
    deploys = assume(make_role(Tags=tags))("cloudformation")
    assert "Stacks" in deploys.describe_stacks()


def test_session_policies_are_refused_by_name(make_role, assume):
    with pytest.raises(ClientError, match="Policy of AssumeRole"):
        assume(make_role(), Policy=document())


# --- Requests that no header signs ---


def status(address, method="GET", data=None, **headers):
    request = urllib.request.Request(  # noqa: S310
        address, data=data, headers=headers, method=method
    )
    try:
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_nobody_has_only_what_a_bucket_policy_gives_to_everybody(aws, bucket):
    address = f"{aws.endpoint_url}/{bucket}/a"
    assert status(address) == 403
    assert status(f"{aws.endpoint_url}/{bucket}/b", "PUT", b"b") == 403

    everybody = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{bucket}/*",
    }
    aws.client("s3").put_bucket_policy(Bucket=bucket, Policy=document(everybody))
    assert status(address) == 200
    assert status(address, "PUT", b"b") == 403
    aws.client("s3").delete_bucket_policy(Bucket=bucket)


@pytest.mark.parametrize(
    ("operation", "method", "parameters"),
    [
        ("put_object_acl", "PUT", {"Key": "a", "ACL": "public-read"}),
        ("get_bucket_logging", "GET", {}),
        ("get_object", "GET", {"Key": "a", "RequestPayer": "requester"}),
    ],
)
def test_presigned_requests_are_refused_as_others_are(
    aws, bucket, operation, method, parameters
):
    address = aws.client("s3").generate_presigned_url(
        operation, Params={"Bucket": bucket, **parameters}
    )
    assert status(address, method, b"" if method == "PUT" else None) == 501


def test_presigned_requests_are_answered(aws, bucket):
    address = aws.client("s3").generate_presigned_url(
        "get_object", Params={"Bucket": bucket, "Key": "a"}
    )
    assert status(address) == 200


def test_no_other_service_takes_requests_without_a_signature(aws):
    target = {"X-Amz-Target": "DynamoDB_20120810.ListTables"}
    assert status(f"{aws.endpoint_url}/", "POST", b"{}", **target) == 501
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    data = b"Action=ListTopics&Version=2010-03-31"
    assert status(f"{aws.endpoint_url}/", "POST", data, **form) == 501
