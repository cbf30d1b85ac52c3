"""The Lambda functions of a pipeline: one asset, handler and role for each task."""

from dataclasses import dataclass
from typing import Final, cast

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from cdk_personalize_segments import _assets
from cdk_personalize_segments._runtime import usage
from cdk_personalize_segments.access import Access
from cdk_personalize_segments.results_tables import ResultsTables
from cdk_personalize_segments.storage import Storage

# Named, since `determine_latest_python_runtime` lags behind.
_RUNTIME: Final = lambda_.Runtime.PYTHON_3_14
# Lambda's own limit: preparing 1 GB or collecting a part may take minutes.
_LONGEST: Final = cdk.Duration.minutes(15)
SHORT: Final = cdk.Duration.minutes(1)
_SMALL: Final = 256


@dataclass(frozen=True, kw_only=True)
class Functions:
    """The functions of a pipeline, by task."""

    prepare: lambda_.Function
    create_job: lambda_.Function
    poll_job: lambda_.Function
    collect: lambda_.Function
    finish: lambda_.Function

    def all(self) -> list[lambda_.Function]:
        """Return the functions in the order of a run."""
        return [
            self.prepare,
            self.create_job,
            self.poll_job,
            self.collect,
            self.finish,
        ]


# Why the functions that a state machine calls have no dead-letter queue.
_CALLED_BY_STEP_FUNCTIONS: Final = (
    "Step Functions calls the function synchronously and handles its failures; a "
    "dead-letter queue takes asynchronous calls only."
)


class FunctionFactory:
    """What the functions of a pipeline have in common.

    Attributes:
        defined: Those that there are so far.
    """

    def __init__(
        self,
        *,
        access: Access,
        environment: dict[str, str],
        log_group: logs.ILogGroup,
        architecture: lambda_.Architecture,
    ) -> None:
        """Set what all functions share.

        Args:
            access: The roles of the pipeline.
            environment: The environment variables of each function.
            log_group: Where the functions log.
            architecture: Their processors.
        """
        self._access = access
        self._environment = environment
        self._log_group = log_group
        self._architecture = architecture
        self.defined: list[lambda_.Function] = []

    def define(
        self,
        scope: Construct,
        construct_id: str,
        *,
        module: str,
        task: str,
        statements: list[iam.PolicyStatement],
        timeout: cdk.Duration = SHORT,
        memory_size: int = _SMALL,
        why_no_dead_letters: str = _CALLED_BY_STEP_FUNCTIONS,
    ) -> lambda_.Function:
        """Define a function and its role.

        Args:
            scope: Where they are defined.
            construct_id: The function's construct id; the role's has `Role` behind it.
            module: The module of `segment_tasks` with the handler.
            task: What it does, as the end of a sentence.
            statements: What it may do besides writing logs and traces.
            timeout: How long it may take.
            memory_size: Its memory, in MB.
            why_no_dead_letters: Why it has no dead-letter queue, for reviewers.
        """
        function = lambda_.Function(
            scope,
            construct_id,
            description=f"Batch segment pipeline: {task}",
            architecture=self._architecture,
            code=_assets.code(module),
            environment=self._environment,
            handler=f"segment_tasks.{module}.handler",
            log_group=self._log_group,
            logging_format=lambda_.LoggingFormat.JSON,
            memory_size=memory_size,
            role=self._access.function_role(
                scope, f"{construct_id}Role", task, statements
            ),
            runtime=_RUNTIME,
            timeout=timeout,
            current_version_options=self._version_options(),
        )
        _trace(function)
        cdk.Validations.of(function).acknowledge(
            cdk.Acknowledgment(id="Serverless-LambdaDLQ", reason=why_no_dead_letters)
        )
        self.defined.append(function)
        return function

    def _version_options(self) -> lambda_.VersionOptions:
        return lambda_.VersionOptions(
            # Names that are known at deployment only: the CDK publishes a version when
            # the template of a function changes, CloudFormation when this text does.
            description=(
                f"{self._environment['INPUT_BUCKET']} "
                f"{self._environment['OUTPUT_BUCKET']} "
                f"{self._access.service_role.role_name}"
            ),
            # Executions that are running call the version that they started with. A
            # version of a deployment that fails goes, or it would stand in the way of
            # the next one.
            removal_policy=cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
        )


def _trace(function: lambda_.Function) -> None:
    """Turn on tracing, for which the role has its statement already.

    The L2's own property would define a policy resource for each function.
    """
    resource = cast("lambda_.CfnFunction", function.node.default_child)
    resource.tracing_config = lambda_.CfnFunction.TracingConfigProperty(mode="Active")


def environment(
    *,
    access: Access,
    storage: Storage,
    run_prefix: str,
    results_tables: ResultsTables | None,
    start_on_upload: bool,
) -> dict[str, str]:
    """Return the environment variables of a pipeline's functions.

    Args:
        access: The pipeline's roles.
        storage: Its buckets and prefixes.
        run_prefix: What the names of its runs start with.
        results_tables: The tables of its results, if it has them.
        start_on_upload: Whether uploads start runs.
    """
    values = {
        "INPUT_BUCKET": storage.input_bucket.bucket_name,
        "QUERIES_PREFIX": storage.queries_prefix,
        "INPUT_PREFIX": storage.input_prefix,
        "OUTPUT_BUCKET": storage.output_bucket.bucket_name,
        "OUTPUT_PREFIX": storage.output_prefix,
        "RESULTS_PREFIX": storage.results_prefix,
        "RUN_PREFIX": run_prefix,
        "SERVICE_ROLE_ARN": access.service_role.role_arn,
    }
    if results_tables:
        values["RESULTS_DATABASE"] = results_tables.database_name
    if start_on_upload:
        values["START_ON_UPLOAD"] = "true"
    return values


def define_functions(
    scope: Construct,
    factory: FunctionFactory,
    *,
    access: Access,
    results_tables: ResultsTables | None,
) -> Functions:
    """Define the functions of a pipeline's state machine.

    Args:
        scope: The pipeline.
        factory: What defines its functions.
        access: Its roles.
        results_tables: The tables of its results, if it has them.
    """
    functions = Functions(
        prepare=factory.define(
            scope,
            "Prepare",
            module="prepare",
            task="check the queries and write the input of a job",
            statements=access.prepare_statements(),
            timeout=_LONGEST,
            memory_size=usage.MEMORY["prepare"],
        ),
        create_job=factory.define(
            scope,
            "CreateJob",
            module="create_job",
            task="create the job of a run, or find that it exists",
            statements=access.create_job_statements(),
            timeout=SHORT,
            memory_size=usage.MEMORY["create_job"],
        ),
        poll_job=factory.define(
            scope,
            "PollJob",
            module="poll_job",
            task="look how far a job is",
            statements=access.poll_job_statements(),
            timeout=SHORT,
            memory_size=usage.MEMORY["poll_job"],
        ),
        collect=factory.define(
            scope,
            "Collect",
            module="collect",
            task="account for one part of a job's output",
            statements=access.collect_statements(),
            timeout=_LONGEST,
            memory_size=usage.MEMORY["collect"],
        ),
        finish=factory.define(
            scope,
            "Finish",
            module="finish",
            task="account for a whole run and write its manifest",
            statements=access.finish_statements(),
            timeout=_LONGEST,
            memory_size=usage.MEMORY["finish"],
        ),
    )
    if results_tables:
        functions.finish.node.add_dependency(results_tables)
    return functions
