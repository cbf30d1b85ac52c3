"""The state machine of a pipeline: the steps of a run, and nothing that they decide.

The states only pick fields that the functions always write. What is foreseen comes
back as an outcome; what is not is caught and handed whole to a function that makes
a sentence of it.
"""

from collections.abc import Mapping
from typing import Any, Final

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from cdk_personalize_segments.functions import Functions

_PARTS_AT_ONCE: Final = 40
# Longer than any of the states needs when the service is merely slow.
_BACKSTOP: Final = cdk.Duration.hours(2)

_RESULT: Final = "{% $states.result.Payload %}"
_NOW: Final = "{% $states.context.State.EnteredTime %}"
# The CDK drops None from objects; the functions expect every field.
_NULL: Final = "{% null %}"
_WAIT: Final = "{% $states.input.waitSeconds %}"
_EXECUTION: Final = {
    "arn": "{% $states.context.Execution.Id %}",
    "startedAt": "{% $states.context.Execution.StartTime %}",
}
_LAMBDA_SERVICE_ERRORS: Final = [
    "Lambda.AWSLambdaException",
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.SdkClientException",
    "Lambda.ServiceException",
    "Lambda.TooManyRequestsException",
]


class Workflow:
    """The states of a run."""

    def __init__(
        self,
        scope: Construct,
        functions: Functions,
        *,
        defaults: Mapping[str, Any],
        poll_interval: cdk.Duration,
        queue_timeout: cdk.Duration,
        job_timeout: cdk.Duration,
        max_failed_queries: int | None,
    ) -> None:
        """Set what the states tell the functions.

        Args:
            scope: Where the states are defined.
            functions: The functions that they call.
            defaults: What an execution uses where its input says nothing.
            poll_interval: How often to look at the job.
            queue_timeout: How long to wait for a job slot.
            job_timeout: How long the job may take.
            max_failed_queries: How many queries may fail before the run does.
        """
        self._scope = scope
        self._functions = functions
        self._defaults = {
            name: _NULL if value is None else value for name, value in defaults.items()
        }
        self._poll_interval = int(poll_interval.to_seconds())
        self._queue_timeout = int(queue_timeout.to_seconds())
        self._job_timeout = int(job_timeout.to_seconds())
        self._max_failed_queries = max_failed_queries
        self.timeout = cdk.Duration.seconds(
            self._queue_timeout + self._job_timeout + int(_BACKSTOP.to_seconds())
        )

    def define(self) -> sfn.IChainable:
        """Define the states and connect them."""
        self._run_failed = sfn.Fail.jsonata(
            self._scope,
            "Run failed",
            error="{% $states.input.failure.error %}",
            cause="{% $states.input.failure.cause %}",
        )
        self._record_failure = self._define_record_failure()
        look_again = self._wait("Wait for missing output")
        finish = self._define_accounting(look_again)
        collect = self._define_collecting(finish)
        look_again.next(collect)
        poll = self._define_polling(collect)
        create = self._define_creation(poll)
        return self._define_preparation(create)

    def _define_preparation(self, then: sfn.IChainable) -> sfn.IChainable:
        prepare = self._task(
            "Prepare input",
            self._functions.prepare,
            {
                "now": _NOW,
                "execution": _EXECUTION,
                "input": "{% $states.context.Execution.Input %}",
                "defaults": self._defaults,
            },
            assign={
                "run": "{% $states.result.Payload.run %}",
                "job": _NULL,
                "pending": "{% $states.result.Payload.parts %}",
                "waiting": "{% $states.result.Payload.waiting %}",
                "looking": "{% $states.result.Payload.looking %}",
            },
        )
        self._catch(
            prepare,
            "Prepare input",
            assign={
                "run": _NULL,
                "job": _NULL,
                "waiting": {"since": _NULL, "attempts": 0, "refusedSince": _NULL},
                "looking": {"since": _NULL, "rounds": 0, "parts": 0},
            },
        )
        nothing_to_do = sfn.Succeed.jsonata(
            self._scope, "Nothing to do", outputs="{% $states.input.result %}"
        )
        return prepare.next(
            self._choice("Input ready?")
            .when(_outcome_is("nothingToDo"), nothing_to_do)
            .otherwise(then)
        )

    def _define_creation(self, then: sfn.IChainable) -> sfn.IChainable:
        create = self._task(
            "Create job",
            self._functions.create_job,
            {
                "now": _NOW,
                "execution": _EXECUTION,
                "run": "{% $run %}",
                "waiting": "{% $waiting %}",
                "queueTimeoutSeconds": self._queue_timeout,
                "pollIntervalSeconds": self._poll_interval,
            },
            assign={
                "job": "{% $states.result.Payload.job %}",
                "waiting": "{% $states.result.Payload.waiting %}",
            },
        )
        self._catch(create, "Create job")
        wait = self._wait("Wait for a job slot").next(create)
        create.next(
            self._choice("Job created?").when(_outcome_is("wait"), wait).otherwise(then)
        )
        return create

    def _define_polling(self, then: sfn.IChainable) -> sfn.IChainable:
        wait = self._wait("Wait for the job")
        poll = self._task(
            "Look at the job",
            self._functions.poll_job,
            {
                "now": _NOW,
                "execution": _EXECUTION,
                "run": "{% $run %}",
                "job": "{% $job %}",
                "pollIntervalSeconds": self._poll_interval,
                "jobTimeoutSeconds": self._job_timeout,
            },
            assign={"job": "{% $states.result.Payload.job %}"},
        )
        self._catch(poll, "Look at the job")
        wait.next(poll).next(
            self._choice("Job finished?")
            .when(_outcome_is("working"), wait)
            .otherwise(then)
        )
        return wait

    def _define_collecting(self, then: sfn.IChainable) -> sfn.IChainable:
        part = self._task(
            "Collect part",
            self._functions.collect,
            {
                "execution": _EXECUTION,
                "run": "{% $states.input.run %}",
                "job": "{% $states.input.job %}",
                "part": "{% $states.input.part %}",
            },
        )
        collect = sfn.Map.jsonata(
            self._scope,
            "Collect segments",
            items=sfn.ProvideItems.jsonata("{% $pending %}"),
            item_selector={
                "run": "{% $run %}",
                "job": "{% $job %}",
                "part": "{% $states.context.Map.Item.Value %}",
            },
            max_concurrency=_PARTS_AT_ONCE,
            # What became of each part is in S3, whatever their number.
            outputs={},
        ).item_processor(part)
        self._catch(collect, "Collect segments")
        return collect.next(then)

    def _define_accounting(self, look_again: sfn.Wait) -> sfn.IChainable:
        finish = self._task(
            "Account for every query",
            self._functions.finish,
            self._accounting_payload(_NULL),
            assign={
                "pending": "{% $states.result.Payload.parts %}",
                "looking": "{% $states.result.Payload.looking %}",
            },
        )
        self._catch(finish, "Account for every query")
        succeeded = sfn.Succeed.jsonata(
            self._scope, "Run succeeded", outputs="{% $states.input.result %}"
        )
        finish.next(
            sfn.Choice.jsonata(self._scope, "Every query accounted for?")
            # The manifest already says what failed.
            .when(_outcome_is("failed"), self._run_failed)
            .when(_outcome_is("lookAgain"), look_again)
            .otherwise(succeeded)
        )
        return finish

    def _define_record_failure(self) -> sfn.IChainable:
        record = self._task(
            "Record failure",
            self._functions.finish,
            self._accounting_payload("{% $states.input.failure %}"),
        )
        not_recorded = sfn.Fail.jsonata(
            self._scope,
            "Failure not recorded",
            comment="The manifest could not be written either",
            error="FailureNotRecorded",
            # Fail takes 32,768 characters at most.
            cause="{% $substring($string($states.input), 0, 32000) %}",
        )
        record.add_catch(
            not_recorded,
            errors=["States.ALL"],
            outputs={
                "failure": "{% $states.input.failure %}",
                "notRecorded": "{% $states.errorOutput %}",
            },
        )
        record.next(self._run_failed)
        return record

    def _accounting_payload(self, failure: str) -> dict[str, Any]:
        most = self._max_failed_queries
        return {
            "now": _NOW,
            "execution": _EXECUTION,
            "run": "{% $run %}",
            "job": "{% $job %}",
            "waiting": "{% $waiting %}",
            "looking": "{% $looking %}",
            "maxFailedQueries": _NULL if most is None else most,
            "failure": failure,
        }

    def _task(
        self,
        name: str,
        function: lambda_.Function,
        payload: dict[str, Any],
        assign: dict[str, Any] | None = None,
    ) -> tasks.LambdaInvoke:
        task = tasks.LambdaInvoke.jsonata(
            self._scope,
            name,
            lambda_function=function.current_version,
            payload=sfn.TaskInput.from_object(payload),
            assign=assign,
            outputs=_RESULT,
            # Its retries have no jitter, and give up within minutes.
            retry_on_service_exceptions=False,
            task_timeout=sfn.Timeout.duration(_longer_than(function)),
        )
        task.add_retry(
            errors=_LAMBDA_SERVICE_ERRORS,
            interval=cdk.Duration.seconds(2),
            backoff_rate=2,
            max_attempts=10,
            max_delay=cdk.Duration.minutes(2),
            jitter_strategy=sfn.JitterType.FULL,
        )
        # A grant that was just deployed takes a while to hold: some 3 minutes in all.
        task.add_retry(
            errors=["AccessDenied"],
            interval=cdk.Duration.seconds(10),
            backoff_rate=1.5,
            max_attempts=7,
            max_delay=cdk.Duration.seconds(30),
        )
        # Every task can be repeated: a function that was killed is tried again.
        task.add_retry(
            errors=["States.ALL"],
            interval=cdk.Duration.seconds(5),
            backoff_rate=2,
            max_attempts=3,
            jitter_strategy=sfn.JitterType.FULL,
        )
        return task

    def _catch(
        self,
        state: sfn.TaskStateBase | sfn.Map,
        name: str,
        assign: dict[str, Any] | None = None,
    ) -> None:
        """Hand an error that no function foresaw to the one that explains it."""
        state.add_catch(
            self._record_failure,
            errors=["States.ALL"],
            assign=assign,
            outputs={"failure": {"state": name, "caught": "{% $states.errorOutput %}"}},
        )

    def _choice(self, name: str) -> sfn.Choice:
        return sfn.Choice.jsonata(self._scope, name).when(
            _outcome_is("failed"), self._record_failure
        )

    def _wait(self, name: str) -> sfn.Wait:
        return sfn.Wait.jsonata(self._scope, name, time=sfn.WaitTime.seconds(_WAIT))


def _outcome_is(outcome: str) -> sfn.Condition:
    return sfn.Condition.jsonata(f"{{% $states.input.outcome = '{outcome}' %}}")


def _longer_than(function: lambda_.Function) -> cdk.Duration:
    """Return a time-out that only ends a call whose function did not end itself."""
    seconds = function.timeout.to_seconds() if function.timeout else 0
    return cdk.Duration.seconds(int(seconds) + 60)
