"""Creates the job of a run, or finds that it exists; waits where it has to."""

import hashlib
import logging
import os
import re
from collections.abc import Mapping
from typing import Any, Final

from botocore.exceptions import ClientError

from . import (
    arns,
    clients,
    event_bus,
    jobs,
    limits,
    log_fields,
    metrics,
    run_events,
    times,
)
from .aws_errors import (
    SDK_ERRORS,
    access_denied,
    code,
    is_denied,
    is_transient,
    message,
)
from .failures import (
    AccessDenied,
    FilterNotUsable,
    InvalidInput,
    JobFailed,
    QueueTimeout,
    RunFailure,
    SolutionVersionNotUsable,
    describe,
)

_log = logging.getLogger(__name__)

# A slot comes free when another job ends, which takes minutes: look often at first,
# then such that a day of waiting, for whatever it is, stays small in the execution's
# history.
_SLOT_WAIT: Final = (60, 120)
_TRANSIENT_WAIT: Final = (5, 20)
_LATER_WAIT: Final = (240, 360)
_EARLY_ATTEMPTS: Final = 10
_REFUSED_WAIT: Final = (15, 30)
# A role or grant that is new takes effect after a while; so may a job that is new be
# known by its name only.
_PROPAGATION_SECONDS: Final = 180
_NO_SLOT: Final = frozenset({"LimitExceededException", "ResourceInUseException"})
_EXISTS: Final = "ResourceAlreadyExistsException"
_INVALID: Final = "InvalidInputException"
_SPEAKS_OF_ACCESS: Final = re.compile(
    r"\brole\b|assume|privilege|permission|authori[sz]|access", re.IGNORECASE
)
_SPEAKS_OF_S3: Final = re.compile(r"\bS3\b|bucket", re.IGNORECASE)


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Create the job of a run, adopt one that exists, or say how long to wait.

    The event has `now`, `execution`, `run`, `waiting`, `queueTimeoutSeconds` and
    `pollIntervalSeconds`.
    """
    try:
        result = _Creation(event).attempt()
    except RunFailure as failure:
        _log.warning("No job", extra=log_fields.of(event, error=type(failure).__name__))
        return _result("failed", None, event["waiting"], 0, describe(failure))
    _log.info(
        "Job asked for",
        extra=log_fields.of(
            {**event, "job": result["job"]},
            outcome=result["outcome"],
            attempts=result["waiting"]["attempts"],
        ),
    )
    return result


class _Creation:
    """One attempt at creating a run's job."""

    def __init__(self, event: dict[str, Any]) -> None:
        self._run: dict[str, Any] = event["run"]
        self._now: str = event["now"]
        self._execution: dict[str, Any] = event["execution"]
        self._waiting: dict[str, Any] = event["waiting"]
        self._queue_timeout: int = event["queueTimeoutSeconds"]
        self._poll_interval: int = event["pollIntervalSeconds"]

    def attempt(self) -> dict[str, Any]:
        try:
            return self._adopt_earlier() or self._create()
        except SDK_ERRORS as error:
            # Creating failed, and no job of this run was found; or finding failed.
            return self._after(error)

    def _adopt_earlier(self) -> dict[str, Any] | None:
        """Adopt the job of a run that this one resumes, if it works or is done."""
        for name in self._run["adoptable"]:
            found = self._describe(name)
            if found and not jobs.has_failed(found) and self._same_work(found):
                return self._adopted(name, found)
        return None

    def _create(self) -> dict[str, Any]:
        name = self._run["jobName"]
        try:
            answer = clients.personalize_once().create_batch_segment_job(
                **self._request()
            )
        except SDK_ERRORS as error:
            # Whatever it says: an earlier answer may have been lost, and the last
            # slot may be taken by this very job.
            found = self._look_after(error)
            if found is None:
                raise
            if not self._same_work(found) or jobs.output_of(found) != self._output():
                raise JobFailed(
                    f"A job named {name} exists already, with other input, output or "
                    "settings, and job names can be used once only; start a new "
                    "execution."
                ) from None
            return self._adopted(name, found)
        job = jobs.state(
            name, answer["batchSegmentJobArn"], self._now, self._output(), {}
        )
        return self._created(job, self._poll_interval)

    def _look_after(self, refusal: Exception) -> Mapping[str, Any] | None:
        try:
            return self._describe(self._run["jobName"])
        except SDK_ERRORS as error:
            # What the service said first decides: the next attempt looks again.
            if is_transient(error):
                raise refusal from error
            raise

    def _request(self) -> dict[str, Any]:
        run = self._run
        request: dict[str, Any] = {
            "jobName": run["jobName"],
            "solutionVersionArn": run["solutionVersionArn"],
            "numResults": run["numResults"],
            "jobInput": {"s3DataSource": {"path": run["input"]}},
            "jobOutput": {"s3DataDestination": {"path": run["output"]}},
            "roleArn": os.environ["SERVICE_ROLE_ARN"],
        }
        if run["filterArn"]:
            request["filterArn"] = run["filterArn"]
        if run["tags"]:
            request["tags"] = [
                {"tagKey": key, "tagValue": value} for key, value in run["tags"].items()
            ]
        return request

    def _output(self) -> str:
        return str(self._run["output"])

    def _arn(self, name: str) -> str:
        return arns.job_arn(self._run["solutionVersionArn"], name)

    def _describe(self, name: str) -> Mapping[str, Any] | None:
        return jobs.describe(clients.personalize_once(), self._arn(name))

    def _same_work(self, found: Mapping[str, Any]) -> bool:
        run = self._run
        return bool(
            found.get("solutionVersionArn") == run["solutionVersionArn"]
            and found.get("filterArn") == run["filterArn"]
            and found.get("numResults", run["numResults"]) == run["numResults"]
            and jobs.input_of(found) == run["input"]
        )

    def _adopted(self, name: str, found: Mapping[str, Any]) -> dict[str, Any]:
        job = jobs.state(name, self._arn(name), self._now, jobs.output_of(found), found)
        # What is done already need not be waited for.
        over = found.get("status") == jobs.ACTIVE or jobs.has_failed(found)
        return self._created(job, 1 if over else self._poll_interval)

    def _created(self, job: dict[str, Any], wait: int) -> dict[str, Any]:
        job["queuedSince"] = self._waiting["since"] or self._now
        return _result("created", job, self._waiting, wait, None)

    def _after(self, error: Exception) -> dict[str, Any]:
        """Wait after an error that passes, or fail in the service's words."""
        no_slot = isinstance(error, ClientError) and code(error) in _NO_SLOT
        if no_slot or is_transient(error):
            if self._waiting["attempts"] >= _EARLY_ATTEMPTS:
                return self._wait(_LATER_WAIT, error)
            return self._wait(_SLOT_WAIT if no_slot else _TRANSIENT_WAIT, error)
        if self._may_settle(error):
            return self._wait(_REFUSED_WAIT, error, refused=True)
        raise self._final(error) from error

    def _may_settle(self, error: Exception) -> bool:
        refused = (
            is_denied(error)
            or _is(error, _EXISTS)
            or (
                _is(error, _INVALID)
                and any(
                    each.search(message(error))
                    for each in (_SPEAKS_OF_ACCESS, _SPEAKS_OF_S3)
                )
            )
        )
        since = self._waiting["refusedSince"] or self._now
        return refused and times.seconds_since(since, self._now) < _PROPAGATION_SECONDS

    def _wait(
        self, between: tuple[int, int], error: Exception, *, refused: bool = False
    ) -> dict[str, Any]:
        since = self._waiting["since"] or self._now
        waited = times.seconds_since(since, self._now)
        left = self._queue_timeout - waited
        metrics.put_waiting(self._now, waited)
        if left <= 0:
            if refused:
                raise self._final(error) from error
            raise QueueTimeout(
                f"No job could be created within {self._queue_timeout:,} seconds; the "
                f"last answer of Personalize was: {message(error).rstrip('.')}. Up to "
                f"{limits.MAX_ACTIVE_JOBS} jobs may be pending or running per account "
                "and Region, whoever started them. "
                f'Start an execution with {{"resume": "{self._run["name"]}"}} to try '
                "again with the same input, or give the pipeline a longer "
                "queue_timeout."
            )
        attempts = self._waiting["attempts"] + 1
        seconds = _jittered(between, f"{self._run['name']} {attempts}")
        waiting = {
            "since": since,
            "attempts": attempts,
            "refusedSince": (self._waiting["refusedSince"] or self._now)
            if refused
            else None,
        }
        told = bool(self._waiting.get("told"))
        if run_events.TELL_OF_QUEUEING in os.environ and not told:
            half = self._queue_timeout / 2
            if waited < half:
                left = half - waited
            else:
                told = self._tell(since, attempts, error)
        if told:
            waiting["told"] = True
        return _result("wait", None, waiting, max(1, min(seconds, int(left))), None)

    def _tell(self, since: str, attempts: int, error: Exception) -> bool:
        """Tell that the run is queued too long; return whether that succeeded."""
        detail = run_events.queued_too_long(
            self._run["name"],
            self._execution["arn"],
            since=since,
            now=self._now,
            queue_timeout=self._queue_timeout,
            attempts=attempts,
            reason=message(error),
        )
        try:
            event_bus.put(clients.events_once(), run_events.QUEUED_TOO_LONG, detail)
        except (*SDK_ERRORS, event_bus.EventNotPutError) as refusal:
            _log.warning(
                "Not told that a run is queued too long: %s",
                refusal,
                extra=log_fields.of({"run": self._run, "execution": self._execution}),
            )
            return False
        return True

    def _final(self, error: Exception) -> RunFailure:
        words = message(error)
        if not isinstance(error, ClientError):
            return JobFailed(
                f"The request to create the job could not be made: {words}"
            )
        if is_denied(error):
            return access_denied(error, self._arn(self._run["jobName"]))
        refused = f"Personalize refused to create the job ({code(error)}): {words}"
        if _is(error, _INVALID) and _SPEAKS_OF_ACCESS.search(words):
            return AccessDenied(
                f"{refused.rstrip('.')}. Allow Personalize s3:GetObject on "
                f"{self._run['input']} and s3:PutObject on {self._run['output']}, and "
                "s3:ListBucket on both buckets: in the policy of the service role "
                f"{os.environ['SERVICE_ROLE_ARN']} and in the policies of the buckets."
            )
        if code(error) == "ResourceNotFoundException":
            if self._run["filterArn"] and "filter" in words.lower():
                return FilterNotUsable(refused)
            return SolutionVersionNotUsable(refused)
        if code(error) in {_INVALID, "TooManyTagsException"}:
            return InvalidInput(refused)
        if code(error) == _EXISTS:
            return JobFailed(
                f"{refused.rstrip('.')}; but no job {self._run['jobName']} can be "
                "found, and job names can be used once only. Start an execution with "
                f'{{"resume": "{self._run["name"]}"}}, which uses the same input under '
                "a new name."
            )
        return JobFailed(refused)


def _is(error: Exception, wanted: str) -> bool:
    return isinstance(error, ClientError) and code(error) == wanted


def _jittered(between: tuple[int, int], seed: str) -> int:
    """Pick seconds from a range: the same for the same seed, spread over seeds."""
    least, most = between
    digest = hashlib.sha256(seed.encode()).digest()
    return least + int.from_bytes(digest[:4]) % (most - least + 1)


def _result(
    outcome: str,
    job: dict[str, Any] | None,
    waiting: dict[str, Any],
    wait_seconds: int,
    failure: dict[str, str] | None,
) -> dict[str, Any]:
    return {
        "outcome": outcome,
        "job": job,
        "waiting": waiting,
        "waitSeconds": wait_seconds,
        "failure": failure,
    }
