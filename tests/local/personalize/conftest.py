"""The local AWS with a fresh Personalize, and what a segment job needs."""

import json
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.iam.models import iam_backends
from moto.s3.models import s3_backends

from cdk_personalize_segments.local.personalize import EmulatedPersonalize

# One for all clients: it keeps the service models that it has read.
_BOTO3 = boto3.session.Session()
ITEMS = """ITEM_ID,TITLE,GENRES,YEAR
1,Two Left Feet,Comedy,1999
2,The Long Joke,Comedy|Drama,2005
3,Cold Harbour,Thriller,2005
4,Night Ferry,Thriller|Drama,2011
5,Nobody Came,Drama,2011
"""
# Ann likes comedies most, Ben thrillers, Cleo a bit of all; Dan dislikes comedies.
INTERACTIONS = """USER_ID,ITEM_ID,EVENT_VALUE,EVENT_TYPE
ann,1,2,watch
ann,2,2,watch
ben,3,2,watch
ben,4,2,rate
cleo,1,1,watch
cleo,3,1,watch
cleo,4,1,watch
dan,1,-2,rate
dan,3,1,rate
"""
USERS = """USER_ID,COUNTRY,AGE
ann,Japan,17
ben,France,40
cleo,Japan,65
"""


class ManualClock:
    def __init__(self):
        self._now = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self):
        return self._now

    def advance(self, **duration):
        self._now += timedelta(**duration)


class Account:
    """The local AWS, with a Personalize and a clock of the test's own."""

    def __init__(self, local_aws):
        self._aws = local_aws

    def __getattr__(self, name):
        return getattr(self._aws, name)

    def client(self, service, role_arn=None, region=None):
        if role_arn is None:
            return self._aws.client(service, region)
        return _BOTO3.client(
            service,
            region_name=self.region,
            endpoint_url=self.endpoint_url,
            config=Config(retries={"total_max_attempts": 1}),
            **self.sessions.issue(role_arn),
        )

    def make_role(self, name, *statements, trust=None, **more):
        iam = self.client("iam")
        trust = trust or {"Effect": "Allow", "Principal": {"AWS": "*"}}
        role = iam.create_role(
            RoleName=name,
            AssumeRolePolicyDocument=policy({**trust, "Action": "sts:AssumeRole"}),
            **more,
        )
        if statements:
            iam.put_role_policy(
                RoleName=name, PolicyName="p", PolicyDocument=policy(*statements)
            )
        return role["Role"]["Arn"]


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@pytest.fixture
def aws(local_aws, monkeypatch):
    monkeypatch.setattr(local_aws, "clock", ManualClock())
    monkeypatch.setattr(local_aws, "personalize", EmulatedPersonalize(local_aws))
    s3 = s3_backends[local_aws.account_id]["aws"]
    iam = iam_backends[local_aws.account_id]["aws"]
    kept = [dict(s3.buckets), dict(iam.roles), dict(iam.managed_policies)]
    yield Account(local_aws)
    for name in s3.buckets.keys() - kept[0].keys():
        del s3_backends.bucket_accounts[name]
    for made, before in zip(
        (s3.buckets, iam.roles, iam.managed_policies), kept, strict=True
    ):
        for name in made.keys() - before.keys():
            del made[name]


@pytest.fixture(scope="session")
def refused():
    """Make a call that must be refused, and return the code and the message."""

    def call_refused(call, *arguments, **parameters):
        with pytest.raises(ClientError) as caught:
            call(*arguments, **parameters)
        error = caught.value.response["Error"]
        return error["Code"], error["Message"]

    return call_refused


@pytest.fixture
def catalogue(tmp_path):
    folder = tmp_path / "films"
    folder.mkdir()
    (folder / "items.csv").write_text(ITEMS)
    (folder / "interactions.csv").write_text(INTERACTIONS)
    (folder / "users.csv").write_text(USERS)
    return folder


@pytest.fixture
def pipeline(aws, catalogue):
    """What a job needs: buckets, service role, a seeded version, and its request."""
    return Pipeline(aws, catalogue)


class Pipeline:
    def __init__(self, aws, catalogue):
        self.aws = aws
        self.personalize = aws.client("personalize")
        self.s3 = aws.client("s3")
        self.version = aws.personalize.seed(catalogue)
        for name in ("inputs", "outputs"):
            self.s3.create_bucket(Bucket=name)
            self.s3.put_bucket_policy(
                Bucket=name, Policy=policy(self.bucket_statement(name))
            )
        self.role = aws.make_role(
            "service", *self.role_statements(), trust=self.trust()
        )

    def trust(self):
        return {
            "Effect": "Allow",
            "Principal": {"Service": "personalize.amazonaws.com"},
            "Condition": {
                "StringEquals": {"aws:SourceAccount": "123456789012"},
                "ArnLike": {
                    "aws:SourceArn": "arn:aws:personalize:us-east-1:123456789012:*"
                },
            },
        }

    def role_statements(self):
        return [
            {
                "Effect": "Allow",
                "Action": ["s3:GetObject", "s3:ListBucket"],
                "Resource": ["arn:aws:s3:::inputs", "arn:aws:s3:::inputs/*"],
            },
            {
                "Effect": "Allow",
                "Action": ["s3:PutObject", "s3:ListBucket"],
                "Resource": ["arn:aws:s3:::outputs", "arn:aws:s3:::outputs/*"],
            },
        ]

    def bucket_statement(self, name):
        return {
            "Effect": "Allow",
            "Principal": {"Service": "personalize.amazonaws.com"},
            "Action": ["s3:GetObject", "s3:ListBucket", "s3:PutObject"],
            "Resource": [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"],
        }

    def put(self, key, *lines):
        body = "".join(
            f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines
        )
        self.s3.put_object(Bucket="inputs", Key=key, Body=body.encode())

    def request(self, **changes):
        return {
            "jobName": "run-1",
            "solutionVersionArn": self.version,
            "jobInput": {"s3DataSource": {"path": "s3://inputs/run/"}},
            "jobOutput": {"s3DataDestination": {"path": "s3://outputs/run/"}},
            "roleArn": self.role,
            **changes,
        }

    def create(self, **changes):
        request = self.request(**changes)
        answer = self.personalize.create_batch_segment_job(**request)
        return answer["batchSegmentJobArn"]

    def describe(self, arn):
        answer = self.personalize.describe_batch_segment_job(batchSegmentJobArn=arn)
        return answer["batchSegmentJob"]

    def finish(self, **changes):
        arn = self.create(**changes)
        self.aws.clock.advance(hours=1)
        return self.describe(arn)

    def output(self, key="run/part.json.out"):
        return self.s3.get_object(Bucket="outputs", Key=key)["Body"].read().decode()

    def lines(self, key="run/part.json.out"):
        return [json.loads(line) for line in self.output(key).splitlines()]

    def segments(self, *lines, **changes):
        self.put("run/part.json", *lines)
        job = self.finish(**changes)
        assert job["status"] == "ACTIVE", job.get("failureReason")
        return self.lines()

    def outputs(self):
        found = self.s3.list_objects_v2(Bucket="outputs").get("Contents", [])
        return [each["Key"] for each in found]
