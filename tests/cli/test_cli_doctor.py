"""`doctor`: each thing that a run needs, found missing where it is missing."""

import dataclasses
import json
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError

from cdk_personalize_segments.cli import doctor
from cdk_personalize_segments.cli.account import Account
from cdk_personalize_segments.cli.checks import Verdict, guarded
from cdk_personalize_segments.cli.errors import CliError

pytestmark = pytest.mark.xdist_group("cli")

FILM = '{"itemId": "film-003"}'


def lines(result, verdict):
    return [
        line.removeprefix(verdict).strip()
        for line in result.output.splitlines()
        if line.startswith(verdict)
    ]


@pytest.fixture
def iam(environment):
    return environment.client("iam")


@pytest.fixture
def role_name(items):
    return items.service_role_arn.rpartition("/")[2]


def test_a_fresh_pipeline_passes_every_check(on_items, queries):
    on_items("run", queries(json.loads(FILM)))
    result = on_items("doctor")
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[-1] == (
        "14 ok, 0 warnings, 0 failed, 0 not checked"
    )
    looked_at = {line.split(": ")[0] for line in lines(result, "ok")}
    assert looked_at == {
        "credentials",
        "Region",
        "state machine",
        "functions",
        "solution version",
        "job slots",
        "service role",
        "input bucket",
        "output bucket",
        "query files",
    }


def test_no_query_files_is_a_warning(cli, stack, environment):
    result = cli("doctor", "--pipeline", "Cinema/Genres")
    assert result.exit_code == 0
    [warning] = lines(result, "warn")
    assert warning.startswith("query files: none in s3://")


@pytest.mark.parametrize(
    ("bucket", "what", "told"),
    [
        ("input_bucket", "input", "does not let Personalize read"),
        ("output_bucket", "output", "does not let Personalize write"),
    ],
)
def test_a_bucket_policy_without_personalize_fails(on_items, items, bucket, what, told):
    name = getattr(items.places, bucket)
    s3 = items.account.s3
    policy = s3.get_bucket_policy(Bucket=name)["Policy"]
    document = json.loads(policy)
    document["Statement"] = [
        each for each in document["Statement"] if "Service" not in each["Principal"]
    ]
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps(document))
    try:
        result = on_items("doctor")
    finally:
        s3.put_bucket_policy(Bucket=name, Policy=policy)
    assert result.exit_code == 1
    [failure] = lines(result, "FAIL")
    assert failure.startswith(f"{what} bucket: policy: the policy of {name} {told}")
    assert "its owner must add the statements" in failure


def test_a_bucket_policy_that_denies_the_role_fails(on_items, items):
    s3 = items.account.s3
    bucket = items.places.input_bucket
    policy = s3.get_bucket_policy(Bucket=bucket)["Policy"]
    document = json.loads(policy)
    document["Statement"].append(
        {
            "Effect": "Deny",
            "Principal": {"AWS": items.service_role_arn},
            "Action": "s3:GetObject",
            "Resource": f"arn:aws:s3:::{bucket}/*",
        }
    )
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(document))
    try:
        [failure] = lines(on_items("doctor"), "FAIL")
    finally:
        s3.put_bucket_policy(Bucket=bucket, Policy=policy)
    assert failure.startswith("input bucket: policy")


def test_a_bucket_policy_that_hangs_on_undocumented_keys_is_a_warning(on_items, items):
    s3 = items.account.s3
    bucket = items.places.input_bucket
    policy = s3.get_bucket_policy(Bucket=bucket)["Policy"]
    strict = policy.replace("StringEqualsIfExists", "StringEquals")
    assert strict != policy
    s3.put_bucket_policy(Bucket=bucket, Policy=strict)
    try:
        result = on_items("doctor")
    finally:
        s3.put_bucket_policy(Bucket=bucket, Policy=policy)
    assert result.exit_code == 0
    assert any("which is not documented" in line for line in lines(result, "warn"))


def test_a_bucket_with_a_kms_key_is_a_warning(on_items, items):
    s3 = items.account.s3
    bucket = items.places.output_bucket
    before = s3.get_bucket_encryption(Bucket=bucket)
    by_kms = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}
    s3.put_bucket_encryption(
        Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [by_kms]}
    )
    try:
        warnings = lines(on_items("doctor"), "warn")
    finally:
        s3.put_bucket_encryption(
            Bucket=bucket,
            ServerSideEncryptionConfiguration=before[
                "ServerSideEncryptionConfiguration"
            ],
        )
    assert any(f"output bucket: encryption: {bucket} is" in line for line in warnings)


def test_a_role_that_personalize_may_not_assume_fails(on_items, iam, role_name):
    trust = iam.get_role(RoleName=role_name)["Role"]["AssumeRolePolicyDocument"]
    other = json.dumps(trust).replace("123456789012", "210987654321")
    iam.update_assume_role_policy(RoleName=role_name, PolicyDocument=other)
    try:
        result = on_items("doctor")
    finally:
        iam.update_assume_role_policy(
            RoleName=role_name, PolicyDocument=json.dumps(trust)
        )
    assert result.exit_code == 1
    [failure] = lines(result, "FAIL")
    assert failure.startswith("service role: trust: personalize.amazonaws.com may not")


def test_a_role_that_may_not_write_output_fails(on_items, iam, role_name):
    document = iam.get_role_policy(RoleName=role_name, PolicyName="JobData")[
        "PolicyDocument"
    ]
    less = json.loads(json.dumps(document))
    less["Statement"] = [
        each for each in less["Statement"] if each["Action"] != "s3:PutObject"
    ]
    put = {"RoleName": role_name, "PolicyName": "JobData"}
    iam.put_role_policy(**put, PolicyDocument=json.dumps(less))
    try:
        [failure] = lines(on_items("doctor"), "FAIL")
    finally:
        iam.put_role_policy(**put, PolicyDocument=json.dumps(document))
    assert failure.startswith("service role: output: ")
    assert "do not allow s3:PutObject on arn:aws:s3:::" in failure


def test_a_solution_without_an_active_version_fails(cli, environment, stack):
    personalize = environment.personalize
    versions = personalize.solutions[
        personalize.arn("solution/cinema-by-genre")
    ].versions
    versions[-1].status = "CREATE IN_PROGRESS"
    try:
        result = cli("doctor", "--pipeline", "Cinema/Genres")
    finally:
        versions[-1].status = "ACTIVE"
    assert result.exit_code == 1
    [failure] = lines(result, "FAIL")
    assert "is CREATE IN_PROGRESS; wait until it is ACTIVE" in failure


@pytest.fixture
def filter_check(environment, items):
    """Check a filter as the doctor does for a pipeline that has it."""

    def check(name, expression, group="cinema", status="ACTIVE"):
        arn = environment.personalize.add_filter(
            name, expression, dataset_group=group, status=status
        )
        with_filter = dataclasses.replace(
            items, defaults={**items.defaults, "filterArn": arn}
        )
        [found] = guarded("filter", lambda: doctor._filter(with_filter))
        return found

    return check


def test_a_filter_that_fits_tells_which_values_lines_need(filter_check):
    found = filter_check("fits", "INCLUDE UserID WHERE Users.AGE < $AGE")
    assert found.verdict is Verdict.OK
    assert found.detail.endswith("is ACTIVE; each line needs filterValues for AGE")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"status": "CREATE FAILED"},
            "is CREATE FAILED; a job needs one that is ACTIVE",
        ),
        ({"group": "cinema-by-genre"}, "use a filter of the same dataset group"),
    ],
)
def test_a_filter_that_does_not_fit_fails(filter_check, changes, told):
    name = "-".join(changes)
    found = filter_check(name, 'INCLUDE UserID WHERE Users.AGE < "9"', **changes)
    assert found.verdict is Verdict.FAILED
    assert told in found.detail


def test_taken_slots_are_a_warning(on_items, environment):
    personalize = environment.personalize
    free = 5 - personalize.slots_in_use()
    personalize.occupy(free, for_=timedelta(days=365))
    try:
        result = on_items("doctor")
    finally:
        for job in personalize.jobs.values():
            job.ends = min(job.ends, environment.clock.now())
    assert result.exit_code == 0
    assert any("job slots: 5 of 5 are in use" in line for line in lines(result, "warn"))


def test_what_the_user_may_not_see_is_not_checked(on_items, monkeypatch):
    class Refusing:
        def __getattr__(self, name):
            raise ClientError(
                {"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetRole"
            )

    monkeypatch.setattr(Account, "iam", Refusing())
    result = on_items("doctor")
    assert result.exit_code == 0
    assert lines(result, "not checked") == [
        "service role: trust: you lack the permission iam:GetRole",
        "service role: policies: you lack the permission iam:GetRole",
    ]
    assert not any("service role" in line for line in lines(result, "ok"))


def test_policies_that_cannot_be_evaluated_are_not_checked(on_items, iam, role_name):
    document = {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Action": "s3:*",
            "Resource": "arn:aws:s3:::${aws:PrincipalTag/team}/*",
        },
    }
    put = {"RoleName": role_name, "PolicyName": "Extra"}
    iam.put_role_policy(**put, PolicyDocument=json.dumps(document))
    try:
        result = on_items("doctor")
    finally:
        iam.delete_role_policy(**put)
    assert [line.split(": ")[1] for line in lines(result, "not checked")] == [
        "input",
        "output",
    ]


def test_smoke_runs_one_job_and_tells_what_it_shows(on_items, environment, items):
    before = len(environment.personalize.jobs)
    result = on_items("doctor", "--smoke", "--query", FILM)
    assert result.exit_code == 0, result.output
    assert len(environment.personalize.jobs) == before + 1
    facts = result.output[result.output.index("Fact") :]
    for fact, seen in (
        ("statuses of a job", "ACTIVE"),
        ("objects in the output of a job with one file", "part-00000.json.out"),
        ("query wrapped in input", "yes, with itemId"),
        ("key of the users", "usersList (5 users)"),
        ("keys of a line", "input, output, error"),
        ("error of a line", "null"),
    ):
        [row] = [line for line in facts.splitlines() if line.startswith(f" {fact}")]
        assert seen in row
    keys = items.account.s3.list_objects_v2(Bucket=items.places.input_bucket)
    assert not any(
        "doctor-smoke" in each["Key"]
        for each in keys["Contents"]
        if each["Key"].startswith("queries/")
    )


def test_smoke_tells_the_documented_form_from_the_observed_one(on_items, environment):
    environment.personalize.shape = "documented"
    try:
        facts = on_items("doctor", "--smoke", "--query", FILM).output
    finally:
        environment.personalize.shape = "observed"
    assert "recommendedUsers (5 users)" in facts
    assert "no such key" in facts


def test_smoke_does_not_start_a_job_for_a_bad_query(on_items, environment):
    before = len(environment.personalize.jobs)
    result = on_items("doctor", "--smoke", "--query", '{"item": 1}')
    assert result.exit_code == 1
    assert "nothing was uploaded or started" in result.output
    assert len(environment.personalize.jobs) == before


def test_smoke_needs_a_query(on_items):
    result = on_items("doctor", "--smoke")
    assert result.exit_code == 1
    assert "Error: --smoke and --query go together" in result.output


def test_a_bucket_that_tells_of_no_upload_is_found(items):
    assert list(doctor._uploads(items)) == []
    items.places.starts_on_upload = True
    with pytest.raises(CliError, match="does not send its events to Amazon EventB"):
        list(doctor._uploads(items))
    bucket = items.places.input_bucket

    def configure(**configuration):
        items.account.s3.put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration=configuration
        )

    configure(EventBridgeConfiguration={})
    try:
        [check] = doctor._uploads(items)
    finally:
        configure()
    assert check.detail == f"{bucket} tells EventBridge of its objects"
