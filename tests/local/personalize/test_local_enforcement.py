"""Requests of role sessions, held to their role's policies."""

import json
import urllib.request

import pytest
from botocore.exceptions import ClientError

from cdk_personalize_segments.local import enforcement

ACCOUNT = "123456789012"
BUCKET = "arn:aws:s3:::data-bucket"


def allow(action, resource="*", **condition):
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    return {**statement, "Condition": condition} if condition else statement


@pytest.fixture
def s3(aws):
    client = aws.client("s3")
    client.create_bucket(Bucket="data-bucket")
    client.put_object(Bucket="data-bucket", Key="in/there", Body=b"content")
    return client


@pytest.fixture
def session(aws):
    def client_of(service, *statements):
        role = aws.make_role("function", *statements)
        return aws.client(service, role)

    return client_of


def refusal(call, **parameters):
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    return caught.value.response


def code(call, **parameters):
    return refusal(call, **parameters)["Error"]["Code"]


@pytest.mark.parametrize(
    ("actions", "call"),
    [
        (["s3:GetObject"], lambda s3: s3.get_object(Key="in/there", Bucket=NAME)),
        (["s3:GetObject"], lambda s3: s3.head_object(Key="in/there", Bucket=NAME)),
        (["s3:PutObject"], lambda s3: s3.put_object(Key="in/new", Bucket=NAME)),
        (["s3:DeleteObject"], lambda s3: s3.delete_object(Key="in/x", Bucket=NAME)),
        (["s3:ListBucket"], lambda s3: s3.list_objects_v2(Bucket=NAME)),
        (["s3:ListBucket"], lambda s3: s3.head_bucket(Bucket=NAME)),
        (["s3:ListBucketVersions"], lambda s3: s3.list_object_versions(Bucket=NAME)),
        (["s3:GetBucketLocation"], lambda s3: s3.get_bucket_location(Bucket=NAME)),
        (
            ["s3:DeleteObject"],
            lambda s3: s3.delete_objects(
                Bucket=NAME, Delete={"Objects": [{"Key": "in/there"}]}
            ),
        ),
        (
            ["s3:GetObject", "s3:PutObject"],
            lambda s3: s3.copy_object(
                Bucket=NAME, Key="in/copy", CopySource=f"{NAME}/in/there"
            ),
        ),
        (["s3:PutObject"], lambda s3: upload_in_parts(s3)),
        (
            ["s3:PutObject", "s3:ListMultipartUploadParts"],
            lambda s3: s3.list_parts(
                Bucket=NAME,
                Key="in/x",
                UploadId=s3.create_multipart_upload(Bucket=NAME, Key="in/x")[
                    "UploadId"
                ],
            ),
        ),
        (
            ["s3:PutObject", "s3:AbortMultipartUpload"],
            lambda s3: s3.abort_multipart_upload(
                Bucket=NAME,
                Key="in/x",
                UploadId=s3.create_multipart_upload(Bucket=NAME, Key="in/x")[
                    "UploadId"
                ],
            ),
        ),
    ],
)
def test_s3_calls_need_just_their_actions(aws, s3, actions, call):
    resource = [BUCKET, f"{BUCKET}/in/*"]
    enough = aws.make_role("enough", *[allow(each, resource) for each in actions])

    call(aws.client("s3", enough))

    for missing in actions:
        others = [allow(each, resource) for each in actions if each != missing]
        role = aws.make_role(f"no-{missing[3:]}", allow("s3:GetBucketTagging"), *others)
        with pytest.raises(ClientError) as caught:
            call(aws.client("s3", role))
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


NAME = "data-bucket"


def upload_in_parts(s3):
    place = {"Bucket": NAME, "Key": "in/large"}
    upload = s3.create_multipart_upload(**place)["UploadId"]
    part = s3.upload_part(**place, UploadId=upload, PartNumber=1, Body=b"x")
    s3.complete_multipart_upload(
        **place,
        UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
    )


def test_a_version_needs_an_action_of_its_own(s3, session):
    s3.put_bucket_versioning(Bucket=NAME, VersioningConfiguration={"Status": "Enabled"})
    version = s3.put_object(Bucket=NAME, Key="in/v", Body=b"1")["VersionId"]
    client = session("s3", allow("s3:GetObject"))

    assert client.get_object(Bucket=NAME, Key="in/v")
    assert code(client.get_object, Bucket=NAME, Key="in/v", VersionId=version) == (
        "AccessDenied"
    )


@pytest.mark.bridge("cdk_personalize_segments.local.enforcement")
def test_a_denied_s3_request_says_who_lacks_what(s3, session):
    client = session("s3", allow("s3:GetObject", f"{BUCKET}/in/*"))

    answer = refusal(client.put_object, Bucket=NAME, Key="out/x", Body=b"1")

    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert answer["Error"]["Code"] == "AccessDenied"
    assert answer["Error"]["Message"] == (
        f"User: arn:aws:sts::{ACCOUNT}:assumed-role/function/local is not authorized "
        f"to perform: s3:PutObject on resource: {BUCKET}/out/x because no "
        "identity-based policy allows the s3:PutObject action"
    )
    assert s3.list_objects_v2(Bucket=NAME)["KeyCount"] == 1


def test_listing_is_held_to_its_prefix(s3, session):
    client = session(
        "s3", allow("s3:ListBucket", BUCKET, StringLike={"s3:prefix": ["in/*"]})
    )

    assert client.list_objects_v2(Bucket=NAME, Prefix="in/")["KeyCount"] == 1
    assert code(client.list_objects_v2, Bucket=NAME, Prefix="out/") == "AccessDenied"
    assert code(client.list_objects_v2, Bucket=NAME) == "AccessDenied"


def test_only_who_may_list_learns_that_an_object_is_absent(aws, s3):
    reader = allow("s3:GetObject", f"{BUCKET}/*")
    prefixes = {"StringLike": {"s3:prefix": "in/*"}}
    roles = {
        "reader": aws.make_role("reader", reader),
        "folder": aws.make_role(
            "folder", reader, allow("s3:ListBucket", BUCKET, **prefixes)
        ),
        "lister": aws.make_role("lister", reader, allow("s3:ListBucket", BUCKET)),
    }

    def codes(operation, key):
        return {
            name: code(getattr(aws.client("s3", role), operation), Bucket=NAME, Key=key)
            for name, role in roles.items()
        }

    assert codes("get_object", "in/absent") == {
        "reader": "AccessDenied",
        "folder": "NoSuchKey",
        "lister": "NoSuchKey",
    }
    assert codes("head_object", "out/absent") == {
        "reader": "403",
        "folder": "403",
        "lister": "404",
    }


def test_bucket_policies_can_deny_and_allow(aws, s3, session):
    client = session("s3", allow("s3:GetObject"))
    role = f"arn:aws:iam::{ACCOUNT}:role/function"

    def set_policy(effect, action, **condition):
        statement = {
            "Effect": effect,
            "Principal": {"AWS": role},
            "Action": action,
            "Resource": f"{BUCKET}/*",
        }
        if condition:
            statement["Condition"] = condition
        s3.put_bucket_policy(Bucket=NAME, Policy=json.dumps({"Statement": [statement]}))

    set_policy("Deny", "s3:GetObject")
    assert (
        "explicit deny in a resource-based policy"
        in (refusal(client.get_object, Bucket=NAME, Key="in/there")["Error"]["Message"])
    )
    set_policy("Deny", "s3:*", Bool={"aws:SecureTransport": "false"})
    assert client.get_object(Bucket=NAME, Key="in/there")
    set_policy("Allow", "s3:PutObject")
    assert client.put_object(Bucket=NAME, Key="in/new")


@pytest.mark.bridge("moto.s3.models.FakeBucket.get_permission")
def test_a_bucket_that_demands_tls_works_for_the_developer_too(s3):
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [BUCKET, f"{BUCKET}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    s3.put_bucket_policy(Bucket=NAME, Policy=json.dumps({"Statement": [statement]}))

    assert s3.get_object(Bucket=NAME, Key="in/there")["Body"].read() == b"content"


def test_policies_are_read_at_every_request(aws, s3, session):
    client = session("s3", allow("s3:GetObject"))
    assert client.get_object(Bucket=NAME, Key="in/there")

    aws.client("iam").delete_role_policy(RoleName="function", PolicyName="p")

    assert code(client.get_object, Bucket=NAME, Key="in/there") == "AccessDenied"


@pytest.mark.bridge("moto.iam.models.load_iam_aws_managed_policies")
def test_policies_that_aws_manages_are_there(aws):
    name = "service-role/AWSLambdaBasicExecutionRole"
    found = aws.client("iam").get_policy(PolicyArn=f"arn:aws:iam::aws:policy/{name}")
    assert found["Policy"]["IsAttachable"]


def test_managed_policies_count_and_a_boundary_limits(aws, s3):
    iam = aws.client("iam")

    def managed(name, statement):
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        answer = iam.create_policy(PolicyName=name, PolicyDocument=document)
        return answer["Policy"]["Arn"]

    everything = managed("everything", allow("s3:*"))
    role = aws.make_role("wide", PermissionsBoundary=managed("b", allow("s3:Get*")))
    iam.attach_role_policy(RoleName="wide", PolicyArn=everything)
    client = aws.client("s3", role)

    assert client.get_object(Bucket=NAME, Key="in/there")
    message = refusal(client.put_object, Bucket=NAME, Key="x")["Error"]["Message"]
    assert "no permissions boundary allows" in message


def test_presigned_urls_are_held_to_the_role_as_well(s3, session):
    client = session("s3", allow("s3:GetObject", f"{BUCKET}/out/*"))
    url = client.generate_presigned_url(
        "get_object", Params={"Bucket": NAME, "Key": "in/there"}
    )

    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(url)  # noqa: S310


# --- Personalize ---


JOBS = f"arn:aws:personalize:us-east-1:{ACCOUNT}:batch-segment-job/run-*"


@pytest.fixture
def creator(aws, pipeline):
    """Creates a job with the rights given, and tells what is refused."""
    create = [allow("personalize:CreateBatchSegmentJob", JOBS)]
    pass_role = [
        allow(
            "iam:PassRole",
            pipeline.role,
            StringEquals={"iam:PassedToService": "personalize.amazonaws.com"},
        )
    ]

    def attempt(*more, name, passing=pass_role, **request):
        role = aws.make_role(f"role-{name}", *create, *passing, *more)
        client = aws.client("personalize", role)
        try:
            client.create_batch_segment_job(**pipeline.request(jobName=name, **request))
        except client.exceptions.ClientError as error:
            reason = error.response["Error"]["Message"].partition("perform: ")[2]
            return error.response["Error"]["Code"], reason.partition(" ")[0]
        return None

    return attempt


def denied(action):
    return "AccessDeniedException", action


def test_creating_a_job_needs_the_name_the_tags_and_the_role(creator, pipeline):
    tags = [{"tagKey": "team", "tagValue": "crm"}]
    tag = allow("personalize:TagResource", JOBS)
    elsewhere = allow(
        "iam:PassRole",
        pipeline.role,
        StringEquals={"iam:PassedToService": "lambda.amazonaws.com"},
    )

    assert creator(name="run-1") is None
    assert creator(name="other-1") == denied("personalize:CreateBatchSegmentJob")
    assert creator(name="run-2", tags=tags) == denied("personalize:TagResource")
    assert creator(tag, name="run-3", tags=tags) is None
    assert creator(name="run-4", passing=[]) == denied("iam:PassRole")
    assert creator(name="run-5", passing=[elsewhere]) == denied("iam:PassRole")


def test_a_job_refused_to_the_caller_is_not_created(creator, pipeline):
    creator(name="other-1")

    listed = pipeline.personalize.list_batch_segment_jobs()["batchSegmentJobs"]
    assert listed == []


def test_lists_need_a_star(aws, pipeline):
    scoped = aws.make_role(
        "scoped", allow("personalize:List*", "arn:aws:personalize:*")
    )
    open_ = aws.make_role("open", allow("personalize:List*"))

    assert aws.client("personalize", open_).list_solution_versions()
    assert code(aws.client("personalize", scoped).list_solution_versions) == (
        "AccessDeniedException"
    )


def test_descriptions_are_held_to_their_arns(aws, pipeline):
    role = aws.make_role(
        "describer", allow("personalize:DescribeSolutionVersion", pipeline.version)
    )
    client = aws.client("personalize", role)

    assert client.describe_solution_version(solutionVersionArn=pipeline.version)
    assert code(
        client.describe_solution_version, solutionVersionArn=pipeline.version + "0"
    ) == ("AccessDeniedException")


# --- Others ---


def test_functions_write_to_their_log_group(aws, session):
    group = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:/mine:*"
    aws.client("logs").create_log_group(logGroupName="/mine")
    aws.client("logs").create_log_group(logGroupName="/others")
    client = session(
        "logs", allow(["logs:CreateLogStream", "logs:PutLogEvents"], group)
    )

    client.create_log_stream(logGroupName="/mine", logStreamName="s")
    assert code(
        client.create_log_stream, logGroupName="/others", logStreamName="s"
    ) == ("AccessDeniedException")


def test_who_am_i_needs_no_permission(session):
    assert session("sts").get_caller_identity()


@pytest.mark.parametrize(
    ("service", "call", "name"),
    [
        ("dynamodb", lambda client: client.list_tables(), "dynamodb"),
        ("sts", lambda client: client.get_session_token(), "GetSessionToken"),
        ("personalize", lambda client: client.list_campaigns(), "ListCampaigns"),
        (
            "s3",
            lambda client: client.put_bucket_acl(Bucket="b-b", ACL="private"),
            "acl",
        ),
        (
            "s3",
            lambda client: client.put_object(Bucket="b-b", Key="k", ACL="private"),
            "x-amz-acl",
        ),
        ("lambda", lambda client: client.list_functions(), "/functions"),
    ],
)
def test_requests_whose_permissions_are_unknown_are_refused_by_name(
    session, service, call, name
):
    with pytest.raises(ClientError) as caught:
        call(session(service, allow("*")))

    error = caught.value.response["Error"]
    assert error["Code"] == "NotImplemented"
    assert name in error["Message"]


def test_a_policy_that_cannot_be_evaluated_is_refused_by_name(s3, session):
    client = session(
        "s3", allow("s3:GetObject", "*", DateLessThan={"aws:CurrentTime": "2030"})
    )

    answer = refusal(client.get_object, Bucket=NAME, Key="in/there")

    assert answer["Error"]["Code"] == "NotImplemented"
    assert "DateLessThan" in answer["Error"]["Message"]


def test_roles_can_be_checked_without_a_request(aws, s3):
    role = aws.make_role("r", allow("s3:GetObject", f"{BUCKET}/in/*"))

    enforcement.check(
        aws, role_arn=role, action="s3:GetObject", resource=f"{BUCKET}/in/x"
    )
    with pytest.raises(enforcement.AccessDenied, match="s3:PutObject"):
        enforcement.check(
            aws, role_arn=role, action="s3:PutObject", resource=f"{BUCKET}/in/x"
        )
    with pytest.raises(enforcement.AccessDenied, match="role/gone does not exist"):
        enforcement.check(
            aws,
            role_arn=f"arn:aws:iam::{ACCOUNT}:role/gone",
            action="s3:GetObject",
            resource=f"{BUCKET}/in/x",
        )
