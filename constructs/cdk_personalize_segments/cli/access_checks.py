"""Checks what Personalize may do: the service role, and the bucket policies."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from botocore.exceptions import ClientError

from cdk_personalize_segments._runtime import locations
from cdk_personalize_segments.cli.account import Account
from cdk_personalize_segments.cli.checks import Check, Verdict, guarded
from cdk_personalize_segments.cli.errors import CliError, code, is_not_found
from cdk_personalize_segments.cli.pipelines import Pipeline
from cdk_personalize_segments.local import policies

_PERSONALIZE: Final = "personalize.amazonaws.com"
_NAMED_RUN: Final = "doctor"
_NO_ENCRYPTION: Final = "ServerSideEncryptionConfigurationNotFoundError"
_SECURE: Final[policies.Context] = {"aws:SecureTransport": "true"}

Document = Mapping[str, Any]


class _Place(NamedTuple):
    """A bucket, the folder in it that a job uses, and what it does there."""

    name: str
    bucket: str
    folder: str
    file: str
    action: str

    @property
    def verb(self) -> str:
        return "read" if self.action == "s3:GetObject" else "write"

    def requests(
        self, partition: str, context: policies.Context
    ) -> list[policies.Request]:
        """Return what a job asks S3 for here."""
        arn = f"arn:{partition}:s3:::{self.bucket}"
        listing = {**context, "s3:prefix": self.folder}
        return [
            policies.Request(self.action, f"{arn}/{self.folder}{self.file}", context),
            policies.Request("s3:ListBucket", arn, listing),
        ]


class AccessChecks:
    """What Personalize needs to read the input of a job and to write its output."""

    def __init__(self, pipeline: Pipeline) -> None:
        """Set whose access to check.

        Args:
            pipeline: The pipeline.
        """
        places = pipeline.places
        fields = pipeline.state_machine_arn.split(":")
        self._account: Account = pipeline.account
        self._partition, self._account_id = fields[1], fields[4]
        self._role_arn = pipeline.service_role_arn
        self._role_name = pipeline.service_role_arn.rpartition("/")[2]
        self._source = {
            "aws:SourceAccount": self._account_id,
            "aws:SourceArn": pipeline.job_arn(_NAMED_RUN),
        }
        self._input = _Place(
            "input",
            places.input_bucket,
            places.input_folder(_NAMED_RUN),
            locations.part_file(0),
            "s3:GetObject",
        )
        self._output = _Place(
            "output",
            places.output_bucket,
            places.output_folder(_NAMED_RUN),
            locations.output_file(0),
            "s3:PutObject",
        )

    def trust(self) -> Iterator[Check]:
        """Check that Personalize may assume the service role."""
        what = "service role: trust"
        document = self._role()["AssumeRolePolicyDocument"]
        verdict = self._evaluated(
            [document],
            policies.Request("sts:AssumeRole", self._role_arn, self._source),
            self._service,
        )
        if verdict is None:
            yield _not_evaluated(what)
        elif verdict is policies.Verdict.ALLOWED:
            yield Check(
                Verdict.OK, what, f"{_PERSONALIZE} may assume {self._role_name}"
            )
        else:
            yield Check(
                Verdict.FAILED,
                what,
                f"{_PERSONALIZE} may not assume {self._role_arn} for jobs of this "
                "account; correct its trust policy, or deploy the pipeline again",
            )

    def statements(self) -> Iterator[Check]:
        """Check what the service role's own policies let it do."""
        documents = list(self._role_policies())
        boundary = self._boundary()
        for place in (self._input, self._output):
            what = f"service role: {place.name}"
            refused = []
            for request in place.requests(self._partition, _SECURE):
                verdicts = [self._evaluated(documents, request, None)]
                if boundary:
                    verdicts.append(self._evaluated([boundary], request, None))
                if None in verdicts:
                    yield _not_evaluated(what)
                    break
                if set(verdicts) != {policies.Verdict.ALLOWED}:
                    refused.append(f"{request.action} on {request.resource}")
            else:
                yield self._of_role(what, place, refused)

    def _of_role(self, what: str, place: _Place, refused: Sequence[str]) -> Check:
        if refused:
            return Check(
                Verdict.FAILED,
                what,
                f"the policies of {self._role_name} do not allow "
                f"{' and '.join(refused)}; deploy the pipeline again, or grant it",
            )
        where = locations.uri(place.bucket, place.folder.partition(_NAMED_RUN)[0])
        return Check(Verdict.OK, what, f"may {place.verb} {where}")

    def input_bucket(self) -> Iterator[Check]:
        """Check that the input bucket lets Personalize read."""
        return self._bucket(self._input)

    def output_bucket(self) -> Iterator[Check]:
        """Check that the output bucket lets Personalize write."""
        return self._bucket(self._output)

    def _bucket(self, place: _Place) -> Iterator[Check]:
        yield from self._bucket_region(place)
        yield from guarded(
            f"{place.name} bucket: encryption", lambda: self._encryption(place)
        )
        what = f"{place.name} bucket: policy"
        try:
            text = self._account.s3.get_bucket_policy(Bucket=place.bucket)["Policy"]
        except ClientError as error:
            if code(error) != "NoSuchBucketPolicy":
                raise
            text = '{"Statement": []}'
        yield self._of_bucket(what, place, json.loads(text))

    def _bucket_region(self, place: _Place) -> Iterator[Check]:
        what = f"{place.name} bucket: Region"
        try:
            answer = self._account.s3.get_bucket_location(Bucket=place.bucket)
        except ClientError as error:
            if not is_not_found(error):
                raise
            raise CliError(
                f"the bucket {place.bucket} does not exist; deploy the pipeline again"
            ) from None
        region = _region(answer.get("LocationConstraint"))
        if region == self._account.region:
            yield Check(Verdict.OK, what, f"{place.bucket} is in {region}")
        else:
            yield Check(
                Verdict.WARNING,
                what,
                f"{place.bucket} is in {region}, and whether Personalize takes one of "
                "another Region is not documented; use a bucket of the same Region",
            )

    def _encryption(self, place: _Place) -> Iterator[Check]:
        """Find a KMS key, which Personalize and the functions need grants for."""
        what = f"{place.name} bucket: encryption"
        try:
            answer = self._account.s3.get_bucket_encryption(Bucket=place.bucket)
        except ClientError as error:
            if code(error) != _NO_ENCRYPTION:
                raise
            return
        for rule in answer["ServerSideEncryptionConfiguration"]["Rules"]:
            default = rule.get("ApplyServerSideEncryptionByDefault")
            if default and default["SSEAlgorithm"].startswith("aws:kms"):
                yield Check(
                    Verdict.WARNING,
                    what,
                    f"{place.bucket} is encrypted with a KMS key, which the pipeline "
                    "does not grant to Personalize or to its functions; grant it to "
                    "them, or use S3-managed encryption",
                )

    def _of_bucket(self, what: str, place: _Place, document: Document) -> Check:
        """Judge with the source keys, and without: which are sent is not documented."""
        sent = self._refused(place, document, {**_SECURE, **self._source})
        not_sent = self._refused(place, document, _SECURE)
        if sent is None or not_sent is None:
            return _not_evaluated(what)
        if sent and not_sent:
            return Check(
                Verdict.FAILED,
                what,
                f"the policy of {place.bucket} does not let Personalize {place.verb}: "
                f"{' and '.join(sent)}; its owner must add the statements that synth "
                "prints",
            )
        if sent or not_sent:
            return Check(
                Verdict.WARNING,
                what,
                f"the policy of {place.bucket} depends on whether Personalize sends "
                "aws:SourceAccount and aws:SourceArn, which is not documented; use "
                "the …IfExists operators",
            )
        return Check(Verdict.OK, what, f"lets Personalize {place.verb} {place.bucket}")

    def _refused(
        self, place: _Place, document: Document, context: policies.Context
    ) -> list[str] | None:
        """List what a bucket policy refuses; None where it cannot be evaluated."""
        refused = []
        role = policies.Principal("AWS", frozenset({self._role_arn}), self._account_id)
        for request in place.requests(self._partition, context):
            as_service = self._evaluated([document], request, self._service)
            as_role = self._evaluated([document], request, role)
            if as_service is None or as_role is None:
                return None
            denied = as_role is policies.Verdict.DENIED
            if as_service is not policies.Verdict.ALLOWED or denied:
                refused.append(f"{request.action} is {as_service.value}")
        return refused

    @property
    def _service(self) -> policies.Principal:
        return policies.Principal("Service", frozenset({_PERSONALIZE}))

    def _evaluated(
        self,
        documents: Sequence[Document],
        request: policies.Request,
        principal: policies.Principal | None,
    ) -> policies.Verdict | None:
        try:
            return policies.evaluate(documents, request, principal)
        except policies.UnsupportedPolicyError:
            return None

    def _role(self) -> Mapping[str, Any]:
        try:
            role: Mapping[str, Any] = self._account.iam.get_role(
                RoleName=self._role_name
            )["Role"]
        except ClientError as error:
            if is_not_found(error):
                raise CliError(
                    f"the role {self._role_arn} does not exist; deploy the pipeline "
                    "again"
                ) from None
            raise
        return role

    def _role_policies(self) -> Iterator[Document]:
        iam = self._account.iam
        name = self._role_name
        for page in iam.get_paginator("list_role_policies").paginate(RoleName=name):
            for policy in page["PolicyNames"]:
                answer = iam.get_role_policy(RoleName=name, PolicyName=policy)
                yield answer["PolicyDocument"]
        pages = iam.get_paginator("list_attached_role_policies").paginate(RoleName=name)
        for page in pages:
            for policy in page["AttachedPolicies"]:
                yield self._managed(policy["PolicyArn"])

    def _boundary(self) -> Document | None:
        boundary = self._role().get("PermissionsBoundary")
        if boundary is None:
            return None
        return self._managed(boundary["PermissionsBoundaryArn"])

    def _managed(self, arn: str) -> Document:
        version = self._account.iam.get_policy(PolicyArn=arn)["Policy"]
        answer = self._account.iam.get_policy_version(
            PolicyArn=arn, VersionId=version["DefaultVersionId"]
        )
        document: Document = answer["PolicyVersion"]["Document"]
        return document


def _region(constraint: str | None) -> str:
    """Read a bucket's location, which is empty for the oldest Region."""
    return constraint or "us-east-1"


def _not_evaluated(what: str) -> Check:
    return Check(
        Verdict.NOT_CHECKED,
        what,
        "a policy uses variables, NotPrincipal or conditions that are not evaluated",
    )
