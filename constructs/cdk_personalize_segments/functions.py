"""The Lambda functions of a pipeline: one asset, handler and role for each task."""

from dataclasses import dataclass
from typing import Final, cast

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from cdk_personalize_segments import _assets
from cdk_personalize_segments.access import Access
from cdk_personalize_segments.results_tables import ResultsTables
from cdk_personalize_segments.storage import Storage

# Named, since `determine_latest_python_runtime` lags behind.
_RUNTIME: Final = lambda_.Runtime.PYTHON_3_14
# Lambda's own limit: preparing 1 GB or collecting a part may take minutes.
_LONGEST: Final = cdk.Duration.minutes(15)
_SHORT: Final = cdk.Duration.minutes(1)
# About one CPU: Lambda gives processors in proportion to memory.
_ONE_CPU: Final = 1769
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


class _FunctionFactory:
    """What the functions of a pipeline have in common."""

    def __init__(
        self,
        scope: Construct,
        *,
        access: Access,
        environment: dict[str, str],
        log_group: logs.ILogGroup,
        architecture: lambda_.Architecture,
    ) -> None:
        self._scope = scope
        self._access = access
        self._environment = environment
        self._log_group = log_group
        self._architecture = architecture

    def define(
        self,
        construct_id: str,
        *,
        module: str,
        task: str,
        statements: list[iam.PolicyStatement],
        timeout: cdk.Duration,
        memory_size: int,
    ) -> lambda_.Function:
        function = lambda_.Function(
            self._scope,
            construct_id,
            description=f"Batch segment pipeline: {task}",
            architecture=self._architecture,
            code=_assets.code(module),
            environment=self._environment,
            handler=f"segment_tasks.{module}.handler",
            log_group=self._log_group,
            logging_format=lambda_.LoggingFormat.JSON,
            memory_size=memory_size,
            role=self._access.function_role(f"{construct_id}Role", task, statements),
            runtime=_RUNTIME,
            timeout=timeout,
            current_version_options=self._version_options(),
        )
        _trace(function)
        cdk.Validations.of(function).acknowledge(
            cdk.Acknowledgment(
                id="Serverless-LambdaDLQ",
                reason=(
                    "Step Functions calls the function synchronously and handles its "
                    "failures; a dead-letter queue takes asynchronous calls only."
                ),
            )
        )
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


def define_functions(
    scope: Construct,
    *,
    access: Access,
    storage: Storage,
    run_prefix: str,
    results_tables: ResultsTables | None,
    log_group: logs.ILogGroup,
    architecture: lambda_.Architecture,
) -> Functions:
    """Define the functions of a pipeline.

    Args:
        scope: The pipeline.
        access: Its roles.
        storage: Its buckets and prefixes.
        run_prefix: What the names of its runs start with.
        results_tables: The tables of its results, if it has them.
        log_group: Where the functions log.
        architecture: Their processors.
    """
    factory = _FunctionFactory(
        scope,
        access=access,
        log_group=log_group,
        architecture=architecture,
        environment={
            "INPUT_BUCKET": storage.input_bucket.bucket_name,
            "QUERIES_PREFIX": storage.queries_prefix,
            "INPUT_PREFIX": storage.input_prefix,
            "OUTPUT_BUCKET": storage.output_bucket.bucket_name,
            "OUTPUT_PREFIX": storage.output_prefix,
            "RESULTS_PREFIX": storage.results_prefix,
            "RUN_PREFIX": run_prefix,
            "SERVICE_ROLE_ARN": access.service_role.role_arn,
            **_database(results_tables),
        },
    )
    functions = Functions(
        prepare=factory.define(
            "Prepare",
            module="prepare",
            task="check the queries and write the input of a job",
            statements=access.prepare_statements(),
            timeout=_LONGEST,
            memory_size=_ONE_CPU,
        ),
        create_job=factory.define(
            "CreateJob",
            module="create_job",
            task="create the job of a run, or find that it exists",
            statements=access.create_job_statements(),
            timeout=_SHORT,
            memory_size=_SMALL,
        ),
        poll_job=factory.define(
            "PollJob",
            module="poll_job",
            task="look how far a job is",
            statements=access.poll_job_statements(),
            timeout=_SHORT,
            memory_size=_SMALL,
        ),
        collect=factory.define(
            "Collect",
            module="collect",
            task="account for one part of a job's output",
            statements=access.collect_statements(),
            timeout=_LONGEST,
            memory_size=_ONE_CPU,
        ),
        finish=factory.define(
            "Finish",
            module="finish",
            task="account for a whole run and write its manifest",
            statements=access.finish_statements(),
            timeout=_LONGEST,
            memory_size=_SMALL * 2,
        ),
    )
    if results_tables:
        functions.finish.node.add_dependency(results_tables)
    return functions


def _database(results_tables: ResultsTables | None) -> dict[str, str]:
    if results_tables is None:
        return {}
    return {"RESULTS_DATABASE": results_tables.database_name}
