"""Operations of the smaller services, each by what another one tells of it."""

import io
import json
import zipfile

import pytest
from botocore.exceptions import ClientError

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "sts:AssumeRole",
                "Principal": {
                    "AWS": "123456789012",
                    "Service": "lambda.amazonaws.com",
                },
            }
        ],
    }
)
ANYTHING = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
    }
)


# --- ECR ---


@pytest.mark.parametrize(
    ("put", "parameter", "text", "kind"),
    [
        pytest.param(
            "set_repository_policy",
            "policyText",
            json.dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": [
                        {"Effect": "Allow", "Action": "ecr:*", "Principal": "*"}
                    ],
                }
            ),
            "repository_policy",
            marks=pytest.mark.emulates("ecr:DeleteRepositoryPolicy"),
        ),
        pytest.param(
            "put_lifecycle_policy",
            "lifecyclePolicyText",
            json.dumps(
                {
                    "rules": [
                        {
                            "rulePriority": 1,
                            "selection": {
                                "tagStatus": "untagged",
                                "countType": "imageCountMoreThan",
                                "countNumber": 1,
                            },
                            "action": {"type": "expire"},
                        }
                    ]
                }
            ),
            "lifecycle_policy",
            marks=pytest.mark.emulates("ecr:DeleteLifecyclePolicy"),
        ),
    ],
)
def test_a_policy_of_a_repository_is_deleted(aws, new_name, put, parameter, text, kind):
    client = aws.client("ecr")
    place = {"repositoryName": new_name()}
    client.create_repository(**place)
    getattr(client, put)(**place, **{parameter: text})
    getattr(client, f"get_{kind}")(**place)
    getattr(client, f"delete_{kind}")(**place)
    with pytest.raises(ClientError, match="PolicyNotFoundException"):
        getattr(client, f"get_{kind}")(**place)


# --- IAM ---


@pytest.fixture
def role(aws, new_name):
    """A role, by its name."""
    name = new_name()
    aws.client("iam").create_role(
        RoleName=name,
        AssumeRolePolicyDocument=TRUST,
        Description="old",
        Tags=[{"Key": "team", "Value": "crm"}],
    )
    return name


@pytest.mark.emulates("iam:ListRoles", "iam:ListRoleTags")
def test_roles_and_their_tags_are_listed(aws, role, list_all):
    client = aws.client("iam")
    listed = {each["RoleName"]: each for each in list_all("iam", "list_roles")}
    assert listed[role]["AssumeRolePolicyDocument"] == json.loads(TRUST)
    tags = client.list_role_tags(RoleName=role)["Tags"]
    assert tags == [{"Key": "team", "Value": "crm"}]


@pytest.mark.emulates("iam:ListPolicies")
def test_policies_are_listed(aws, new_name, list_all):
    arn = aws.client("iam").create_policy(
        PolicyName=new_name(), PolicyDocument=ANYTHING
    )["Policy"]["Arn"]
    assert arn in {each["Arn"] for each in list_all("iam", "list_policies")}


@pytest.mark.emulates("iam:UpdateRoleDescription")
def test_the_description_of_a_role_changes(aws, role):
    client = aws.client("iam")
    client.update_role_description(RoleName=role, Description="new")
    assert client.get_role(RoleName=role)["Role"]["Description"] == "new"


@pytest.mark.emulates("iam:DeleteRolePermissionsBoundary")
def test_the_boundary_of_a_role_is_taken_away(aws, role):
    client = aws.client("iam")
    boundary = "arn:aws:iam::aws:policy/ReadOnlyAccess"
    client.put_role_permissions_boundary(RoleName=role, PermissionsBoundary=boundary)
    given = client.get_role(RoleName=role)["Role"]["PermissionsBoundary"]
    assert given["PermissionsBoundaryArn"] == boundary
    client.delete_role_permissions_boundary(RoleName=role)
    assert "PermissionsBoundary" not in client.get_role(RoleName=role)["Role"]


# --- KMS ---


@pytest.mark.emulates("kms:ListKeys")
def test_keys_are_listed(aws, list_all):
    arn = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    assert arn in {each["KeyArn"] for each in list_all("kms", "list_keys")}


# --- STS ---


@pytest.mark.emulates("sts:AssumeRole", "sts:GetCallerIdentity")
def test_a_role_is_assumed_and_told(aws, role):
    before = aws.client("sts").get_caller_identity()
    assert before["Account"] == aws.account_id
    given = aws.client("sts").assume_role(
        RoleArn=f"arn:aws:iam::{aws.account_id}:role/{role}", RoleSessionName="me"
    )
    secrets = given["Credentials"]
    session = aws.create_client(
        "sts",
        aws.region,
        aws_access_key_id=secrets["AccessKeyId"],
        aws_secret_access_key=secrets["SecretAccessKey"],
        aws_session_token=secrets["SessionToken"],
    )
    arn = f"arn:aws:sts::{aws.account_id}:assumed-role/{role}/me"
    assert given["AssumedRoleUser"]["Arn"] == arn
    assert session.get_caller_identity()["Arn"] == arn


# --- Logs ---


class Group:
    """A log group with one stream of lines."""

    def __init__(self, client, name):
        self.client, self.name = client, name
        self.stream = {"logGroupName": name, "logStreamName": "stream"}
        client.create_log_group(logGroupName=name)
        client.create_log_stream(**self.stream)

    def put(self, now, *lines):
        self.client.put_log_events(
            **self.stream,
            logEvents=[
                {"timestamp": round(now.timestamp() * 1000) + number, "message": line}
                for number, line in enumerate(lines)
            ],
        )


@pytest.fixture
def group(aws, new_name):
    return Group(aws.client("logs"), new_name())


@pytest.mark.emulates("logs:CreateLogStream", "logs:DescribeLogStreams")
def test_a_stream_is_made_once(group):
    [stream] = group.client.describe_log_streams(logGroupName=group.name)["logStreams"]
    assert stream["logStreamName"] == "stream"
    with pytest.raises(group.client.exceptions.ResourceAlreadyExistsException):
        group.client.create_log_stream(**group.stream)


@pytest.mark.emulates("logs:PutLogEvents", "logs:GetLogEvents", "logs:FilterLogEvents")
def test_lines_are_read_and_found(aws, group):
    now = aws.clock.now()
    group.put(now, "one line", "another")
    read = group.client.get_log_events(**group.stream, startFromHead=True)["events"]
    assert [each["message"] for each in read] == ["one line", "another"]
    found = group.client.filter_log_events(
        logGroupName=group.name, filterPattern="another"
    )["events"]
    assert [each["message"] for each in found] == ["another"]


@pytest.mark.emulates("logs:DeleteRetentionPolicy")
def test_without_a_retention_lines_stay(group):
    def days():
        [found] = group.client.describe_log_groups(logGroupNamePrefix=group.name)[
            "logGroups"
        ]
        return found.get("retentionInDays")

    group.client.put_retention_policy(logGroupName=group.name, retentionInDays=7)
    assert days() == 7
    group.client.delete_retention_policy(logGroupName=group.name)
    assert days() is None


# --- Lambda ---


@pytest.fixture
def function(aws, role, new_name):
    """A function with a version, by its name."""
    name = new_name()
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("index.py", "def handler(event, context):\n  return [event]")
    aws.client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.13",
        Handler="index.handler",
        Role=f"arn:aws:iam::{aws.account_id}:role/{role}",
        Code={"ZipFile": code.getvalue()},
        Tags={"team": "crm"},
        Publish=True,
    )
    return name


@pytest.mark.emulates("lambda:ListFunctions", "lambda:ListTags", "lambda:ListAliases")
def test_functions_and_what_they_have_are_listed(aws, function, list_all):
    client = aws.client("lambda")
    listed = {
        each["FunctionName"]: each for each in list_all("lambda", "list_functions")
    }
    arn = listed[function]["FunctionArn"]
    assert client.list_tags(Resource=arn)["Tags"] == {"team": "crm"}
    client.create_alias(FunctionName=function, Name="live", FunctionVersion="1")
    aliases = client.list_aliases(FunctionName=function)["Aliases"]
    assert [(each["Name"], each["FunctionVersion"]) for each in aliases] == [
        ("live", "1")
    ]


@pytest.mark.emulates("lambda:Invoke")
def test_a_function_answers(aws, function):
    answer = aws.client("lambda").invoke(FunctionName=function, Payload=b'{"a": 1}')
    assert json.loads(answer["Payload"].read()) == [{"a": 1}]
    assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "$LATEST")
