"""A pipeline's buckets in moto, and a Personalize that does as the tests say."""

import gzip
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from hypothesis import settings
from moto import mock_aws
from moto.s3.models import s3_backends

from segment_tasks import clients, collect, create_job, finish, poll_job, prepare
from segment_tasks.locations import run_name

# Machines may be busy: what counts is the outcome.
settings.register_profile("handlers", deadline=None)
settings.load_profile("handlers")

ACCOUNT = "123456789012"
PERSONALIZE = f"arn:aws:personalize:us-east-1:{ACCOUNT}"
SOLUTION = f"{PERSONALIZE}:solution/films"
VERSION = f"{SOLUTION}/0a1b2c3d"
DATASET_GROUP = f"{PERSONALIZE}:dataset-group/films"
FILTER = f"{PERSONALIZE}:filter/members"
EXECUTION = f"arn:aws:states:us-east-1:{ACCOUNT}:execution:pipeline:one"
STARTED = "2026-01-05T06:00:00.000Z"
RUN = run_name("films", EXECUTION, STARTED)
PERSONALIZE_CLIENTS = (
    clients.personalize,
    clients.personalize_once,
)
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "INPUT_BUCKET": "inputs",
    "QUERIES_PREFIX": "queries/",
    "INPUT_PREFIX": "input/",
    "OUTPUT_BUCKET": "outputs",
    "OUTPUT_PREFIX": "output/",
    "RESULTS_PREFIX": "results/",
    "RUN_PREFIX": "films",
    "SERVICE_ROLE_ARN": f"arn:aws:iam::{ACCOUNT}:role/service",
}


class Context:
    """What Lambda tells of a call, with all of its time left."""

    def get_remaining_time_in_millis(self) -> int:
        return 900_000


CONTEXT = Context()


class Body:
    """The body of an answer, as botocore reads it."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, **_: object) -> Iterator[bytes]:
        yield self._content


class Personalize:
    """Answers requests of the real SDK with what the tests put in.

    Attributes:
        solution_versions: Descriptions by ARN; likewise `solutions`, `filters`, `jobs`.
        requests: The operations called, with what was sent.
        troubles: For each operation, what to do instead of answering, in order: a
            code and message to refuse with, an exception to raise, or a function to
            call first.
    """

    def __init__(self) -> None:
        self.solutions: dict[str, dict[str, Any]] = {}
        self.solution_versions: dict[str, dict[str, Any]] = {}
        self.filters: dict[str, dict[str, Any]] = {}
        self.jobs: dict[str, dict[str, Any]] = {}
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.troubles: dict[str, list[Any]] = {}

    def sent(self, operation: str) -> list[dict[str, Any]]:
        return [request for name, request in self.requests if name == operation]

    def trouble(self, operation: str, *troubles: Any) -> None:
        self.troubles.setdefault(operation, []).extend(troubles)

    def __call__(self, request: AWSPreparedRequest, **_: object) -> AWSResponse:
        operation = request.headers["X-Amz-Target"].decode().partition(".")[2]
        body = json.loads(request.body)
        self.requests.append((operation, body))
        status, answer = 200, None
        if self.troubles.get(operation):
            trouble = self.troubles[operation].pop(0)
            if isinstance(trouble, Exception):
                raise trouble
            if callable(trouble):
                trouble(body)
            else:
                code, message, *rest = trouble
                status, answer = (
                    rest[0] if rest else 400,
                    {"__type": code, "message": message},
                )
        if answer is None:
            status, answer = getattr(self, f"_{operation}")(body)
        content = json.dumps(answer).encode()
        return AWSResponse(
            request.url,
            status,
            {"Content-Type": "application/x-amz-json-1.1"},
            Body(content),
        )

    def _one(
        self, store: dict[str, dict[str, Any]], arn: str, key: str
    ) -> tuple[int, dict[str, Any]]:
        if arn not in store:
            return 400, {
                "__type": "ResourceNotFoundException",
                "message": f"Could not find {arn}",
            }
        return 200, {key: store[arn]}

    def _DescribeSolution(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:  # noqa: N802
        return self._one(self.solutions, body["solutionArn"], "solution")

    def _DescribeSolutionVersion(  # noqa: N802
        self, body: dict[str, Any]
    ) -> tuple[int, dict[str, Any]]:
        arn = body["solutionVersionArn"]
        return self._one(self.solution_versions, arn, "solutionVersion")

    def _ListSolutionVersions(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:  # noqa: N802
        found = [
            {"solutionVersionArn": arn, **version}
            for arn, version in self.solution_versions.items()
            if arn.startswith(body["solutionArn"] + "/")
        ]
        index = int(body.get("nextToken", "0"))
        answer: dict[str, Any] = {"solutionVersions": found[index : index + 1]}
        if index + 1 < len(found):
            answer["nextToken"] = str(index + 1)
        return 200, answer

    def _DescribeFilter(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:  # noqa: N802
        return self._one(self.filters, body["filterArn"], "filter")

    def _DescribeBatchSegmentJob(  # noqa: N802
        self, body: dict[str, Any]
    ) -> tuple[int, dict[str, Any]]:
        return self._one(self.jobs, body["batchSegmentJobArn"], "batchSegmentJob")

    def _CreateBatchSegmentJob(  # noqa: N802
        self, body: dict[str, Any]
    ) -> tuple[int, dict[str, Any]]:
        arn = f"{PERSONALIZE}:batch-segment-job/{body['jobName']}"
        if arn in self.jobs:
            return 400, {"__type": "ResourceAlreadyExistsException", "message": "there"}
        self.add_job(body)
        return 200, {"batchSegmentJobArn": arn}

    def add_job(
        self, request: dict[str, Any], status: str = "CREATE PENDING", **more: Any
    ) -> str:
        arn = f"{PERSONALIZE}:batch-segment-job/{request['jobName']}"
        self.jobs[arn] = {
            **{key: value for key, value in request.items() if key != "tags"},
            "batchSegmentJobArn": arn,
            "status": status,
            "creationDateTime": 1767592860,
            "lastUpdatedDateTime": 1767592920.5,
            **more,
        }
        return arn


class Cloud:
    """A pipeline's buckets, and its functions as the state machine calls them."""

    def __init__(self, personalize: Personalize) -> None:
        self.s3 = clients.s3()
        self.personalize = personalize
        for bucket in ("inputs", "outputs"):
            self.s3.create_bucket(Bucket=bucket)

    def put(self, key: str, content: str | bytes, bucket: str = "inputs") -> None:
        data = content.encode() if isinstance(content, str) else content
        self.s3.put_object(Bucket=bucket, Key=key, Body=data)

    def get(self, key: str, bucket: str = "outputs") -> bytes:
        data: bytes = self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        return gzip.decompress(data) if key.endswith(".gz") else data

    def text(self, key: str, bucket: str = "outputs") -> str:
        return self.get(key, bucket).decode()

    def json(self, key: str, bucket: str = "outputs") -> Any:
        return json.loads(self.get(key, bucket))

    def rows(self, key: str, bucket: str = "outputs") -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.get(key, bucket).splitlines()]

    def keys(self, prefix: str, bucket: str = "inputs") -> list[str]:
        found = self.s3.list_objects_v2(Bucket=bucket, Prefix=prefix)
        return [each["Key"] for each in found.get("Contents", [])]

    def prepare(
        self,
        given: Any = None,
        execution: str = EXECUTION,
        started: str = STARTED,
        **defaults: Any,
    ) -> dict[str, Any]:
        return prepare.handler(
            {
                "now": STARTED,
                "execution": {"arn": execution, "startedAt": started},
                "input": {} if given is None else given,
                "defaults": {
                    "solutionVersionArn": VERSION,
                    "solutionArn": None,
                    "numResults": 25,
                    "filterArn": None,
                    "tags": {},
                    "allowAnySolution": False,
                    "skipInvalidLines": False,
                    **defaults,
                },
            },
            CONTEXT,
        )

    def create(
        self,
        run: dict[str, Any],
        now: str = STARTED,
        waiting: dict[str, Any] | None = None,
        queue_timeout: int = 86400,
    ) -> dict[str, Any]:
        waiting = waiting or {"since": None, "attempts": 0, "refusedSince": None}
        return create_job.handler(
            {
                "now": now,
                "execution": {"arn": EXECUTION, "startedAt": STARTED},
                "run": run,
                "waiting": waiting,
                "queueTimeoutSeconds": queue_timeout,
                "pollIntervalSeconds": 300,
            },
            None,
        )

    def poll(
        self, run: dict[str, Any], job: dict[str, Any], now: str, timeout: int = 86400
    ) -> dict[str, Any]:
        return poll_job.handler(
            {
                "now": now,
                "run": run,
                "job": job,
                "pollIntervalSeconds": 300,
                "jobTimeoutSeconds": timeout,
            },
            None,
        )

    def collect(
        self,
        run: dict[str, Any],
        job: dict[str, Any],
        part: int = 0,
        context: Any = None,
    ) -> dict[str, Any]:
        return collect.handler(
            {"run": run, "job": job, "part": part}, context or CONTEXT
        )

    def finish(
        self,
        run: dict[str, Any] | None,
        job: dict[str, Any] | None,
        now: str = "2026-01-05T07:00:00Z",
        since: str | None = None,
        most: int | None = None,
        failure: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        return finish.handler(
            {
                "now": now,
                "execution": {"arn": EXECUTION, "startedAt": STARTED},
                "run": run,
                "job": job,
                "waiting": {"since": None, "attempts": 0, "refusedSince": None},
                "looking": {"since": since, "rounds": 1, "parts": 1},
                "maxFailedQueries": most,
                "failure": failure,
            },
            CONTEXT,
        )

    def items(self, *ids: str, key: str = "queries/items.json") -> None:
        """Upload a file of item queries."""
        self.put(key, "".join(json.dumps({"itemId": each}) + "\n" for each in ids))

    def answer(self, *lines: Any, run: str = RUN, part: int = 0) -> None:
        """Put the raw output of a part, one line for each object or text."""
        content = "".join(
            f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines
        )
        self.put(f"output/{run}/part-{part:05d}.json.out", content, "outputs")

    def ready(self, *ids: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Prepare a run over items, and return it with its finished job."""
        self.items(*ids)
        run = self.prepare()["run"]
        job = self.create(run)["job"]
        return run, {**job, "status": "ACTIVE", "finishedAt": STARTED}


def answered(item: str, *users: str, error: str | None = None) -> dict[str, Any]:
    """Return a line of output as real jobs write it."""
    return {
        "input": {"itemId": item},
        "output": {"usersList": list(users)},
        "error": error,
    }


@pytest.fixture
def personalize() -> Personalize:
    """Personalize with a solution version for items, and nothing else."""
    fake = Personalize()
    fake.solution_versions[VERSION] = {
        "solutionVersionArn": VERSION,
        "solutionArn": SOLUTION,
        "status": "ACTIVE",
        "recipeArn": "arn:aws:personalize:::recipe/aws-item-affinity",
        "datasetGroupArn": DATASET_GROUP,
        "creationDateTime": datetime(2026, 1, 1, tzinfo=UTC).timestamp(),
    }
    return fake


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch, personalize: Personalize) -> Iterator[Cloud]:
    """The buckets of a pipeline, empty, and its functions."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    # Retries of the SDK are its own business; their pauses would only cost time.
    monkeypatch.setattr(
        "botocore.retries.standard.ExponentialBackoff.delay_amount", _no_delay
    )
    mock = mock_aws(config={"core": {"passthrough": {"services": ["personalize"]}}})
    # Moto's state belongs to the process, where a local AWS may run for other tests.
    mock.start(reset=False)
    try:
        for client in PERSONALIZE_CLIENTS:
            events = client().meta.events
            events.register("before-send.personalize", personalize, unique_id="fake")
        yield Cloud(personalize)
        for client in PERSONALIZE_CLIENTS:
            client().meta.events.unregister("before-send.personalize", unique_id="fake")
        for bucket in ("inputs", "outputs"):
            s3_backends[ACCOUNT]["aws"].buckets.pop(bucket)
            s3_backends.bucket_accounts.pop(bucket)
    finally:
        mock.stop(remove_data=False)


def _no_delay(self: object, context: object) -> float:
    return 0


@pytest.fixture
def answer_line() -> Callable[..., dict[str, Any]]:
    """Make a line of output as real jobs write it."""
    return answered
